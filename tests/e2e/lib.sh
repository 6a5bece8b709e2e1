# shellcheck shell=bash
# Shared by the scripts here; sourced. A policy with two shares, its server,
# scripts in guests and their counts, and what the host can say about a tree.
set -uo pipefail
ulimit -c 0 # a server that crashes leaves no core

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(realpath -m "${POSTERN_BIN:-$here/../../build}")
guest_cache=$bin/guest
work=$(mktemp -d "${TMPDIR:-/tmp}/postern.XXXXXX")
server=
guest=
passed=0 failed=0 skipped=0

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
    ${more_shares:-}
}
EOF
    chmod 600 "$work/demo.policy"
}

# True once the condition holds; false after a minute, in which a guest boots on
# a slow machine, too.
eventually() {
    local n
    for ((n = 0; n < 600; n++)); do
        "$@" && return
        sleep 0.1
    done
    return 1
}

server_gone() { ! kill -0 "$server" 2>/dev/null; }
listening() { [ -S "$work/blue.9p" ] || server_gone; }

# Its children are all there when it says how to end it.
serving() { grep -q 'Ctrl-C ends' "$work/server.log" || server_gone; }

start_server() {
    : >"$work/server.log"
    "$bin/postern" serve "$work/demo.policy" >"$work/server.log" 2>&1 </dev/null &
    server=$!
    eventually serving && ! server_gone && return
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

# --- counting -------------------------------------------------------------------
check() { # CLAIM COMMAND...
    local claim=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok $claim"
    else
        failed=$((failed + 1))
        echo "FAILED $claim"
    fi
}

# What cannot be done here is skipped, but not in CI.
skip() { # REASON
    if [ "${CI:-}" = true ]; then
        failed=$((failed + 1))
        echo "FAILED $1"
    else
        skipped=$((skipped + 1))
        echo "SKIP: $1"
    fi
}
have_kernel() { # KERNEL
    "$here/../guest/guestrun" --cache "$guest_cache" --kernel "$1" --fetch && return
    skip "kernel $1: not to be had"
    return 1
}

# A script in the guest, for $guest_seconds at most; every line "ok ..." or
# "FAILED ..." of it counts, and its own count and exit status must agree with
# them.
guest_seconds=900
guest_suite() { # KERNEL NAME [GUESTRUN OPTION]... SCRIPT ARG...
    local kernel=$1 name=$2 ok bad status log=$work/log
    shift 2
    run_guest --kernel "$kernel" --timeout "$guest_seconds" "$@" >"$log" 2>&1
    status=$?
    ok=$(grep -c '^ok ' "$log")
    bad=$(grep -c '^FAILED ' "$log")
    passed=$((passed + ok)) failed=$((failed + bad))
    grep -v '^ok ' "$log"
    if [ $status -eq 0 ] && [ "$bad" -eq 0 ] && grep -qx "$name: $ok passed, 0 failed" "$log"; then
        return
    fi
    echo "$name: guest ended with status $status after: $(tail -n 1 "$log")"
    echo "the server said:"
    tail -n 10 "$work/server.log"
    return 1
}

# --- the server as the host sees it -------------------------------------------------
# All descriptors of the server and its children.
server_fds() {
    local p n=0
    for p in "$server" $(children "$server"); do
        n=$((n + $(find "/proc/$p/fd" -mindepth 1 2>/dev/null | wc -l)))
    done
    echo $n
}
children() {
    local c
    for c in $(pgrep -P "$1"); do
        echo "$c"
        children "$c"
    done
}
fds_are() { [ "$(server_fds)" -eq "$1" ]; }

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
