# shellcheck shell=bash
# Shared by demo and run; sourced. A policy with two shares, its server, and
# what the host can say about a tree.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(realpath -m "${POSTERN_BIN:-$here/../../build}")
guest_cache=$bin/guest
work=$(mktemp -d "${TMPDIR:-/tmp}/postern.XXXXXX")
server=
guest=

clean_up() {
    [ "$BASHPID" -eq $$ ] || return # a subshell that failed
    [ -z "$guest" ] || { kill "$guest" && wait "$guest"; } 2>/dev/null
    [ -z "$server" ] || stop_server >/dev/null 2>&1
    chmod -R u+rwx "$work" 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

write_policy() {
    mkdir "$work/tools" "$work/project" || return
    cat >"$work/demo.policy" <<EOF
tenant "blue" {
    listen "unix:$work/blue.9p" {}
    share "tools" { path = "$work/tools"   access = read-only }
    share "work"  { path = "$work/project" access = read-write }
}
EOF
    chmod 600 "$work/demo.policy"
}

# True once the condition holds; false after 10 s.
eventually() {
    local n
    for ((n = 0; n < 100; n++)); do
        "$@" && return
        sleep 0.1
    done
    return 1
}

server_gone() { ! kill -0 "$server" 2>/dev/null; }
listening() { [ -S "$work/blue.9p" ] || server_gone; }

start_server() {
    "$bin/postern" serve "$work/demo.policy" >"$work/server.log" 2>&1 </dev/null &
    server=$!
    eventually listening && ! server_gone && return
    echo "the server did not start:"
    cat "$work/server.log"
    return 1
}

# As Ctrl-C does; it must end by itself, with status 0, and take its socket away.
stop_server() {
    local pid=$server status
    kill -INT "$pid" 2>/dev/null
    eventually server_gone || kill -KILL "$pid"
    server=
    wait "$pid"
    status=$?
    [ $status -eq 0 ] && [ ! -e "$work/blue.9p" ] && return
    echo "the server ended with status $status:"
    tail -n 20 "$work/server.log"
    return 1
}

# run_guest [GUESTRUN OPTION]... SCRIPT...; in the background, so that a signal
# reaches us at once.
run_guest() {
    local status
    TMPDIR=$work "$here/../guest/guestrun" --cache "$guest_cache" --share "blue=$work/blue.9p" "$@" &
    guest=$!
    wait "$guest"
    status=$?
    guest=
    return $status
}

# Everything a tree is: content here, all that stat tells in tree_stats.
tree_content() { # DIR
    (cd "$1" && find . -printf '%p %y %l\n' | sort && find . -type f -print0 | sort -z |
        xargs -0 -r sha256sum)
}

# Looking at a tree moves its access times: so first all names are noted and
# their access times set long back, where any reader would move them, and then
# only stat looks.
tree_age() { # DIR NAMES
    find "$1" -print0 >"$2" && xargs -0 touch -h -a -d '2001-02-03 04:05:06.789' <"$2"
}
tree_stats() { # NAMES
    xargs -0 stat -c '%n %f %h %u %g %s %b %i x=%x y=%y z=%z' <"$1"
}
