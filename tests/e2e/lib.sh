# shellcheck shell=bash
# Shared by the scripts here; sourced. A policy with two shares, its server,
# scripts in guests and their counts, and what the host can say about a tree.
set -uo pipefail
ulimit -S -c 0 # a server that crashes leaves no core

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

# [GUESTRUN OPTION]... SCRIPT...; in the background, so that a signal reaches us
# at once.
start_guest() {
    TMPDIR=$work "${guestrun:-$here/../guest/guestrun}" --cache "$guest_cache" --share "blue=$work/blue.9p" "$@" &
    guest=$!
}
await_guest() {
    local status
    wait "$guest"
    status=$?
    guest=
    return $status
}
run_guest() {
    start_guest "$@"
    await_guest
}

# --- a guest that hangs by itself -----------------------------------------------
# User-mode Linux 6.12 does, rarely: its kernel spins in itself and nothing comes
# of it any more. Told from a server that does not answer, for which a guest
# waits, by the processor time it takes.
guest_silence=120 # seconds without a line, and without work for the server
guest_tries=2

# Processor time of processes and all below them, also those that are gone.
ticks_of() { # PID...
    local p
    for p; do
        echo "$p"
        children "$p"
    done | while read -r p; do cat "/proc/$p/stat"; done 2>/dev/null |
        awk '{ sub(/^.*\) /, ""); n += $12 + $13 + $14 + $15 } END { print n + 0 }'
}

# Ends the guest that hangs, and says so in $work/hung.
watch_guest() { # PID LOG
    local now was=none since=$SECONDS used=0 spent
    while sleep 5 && kill -0 "$1" 2>/dev/null; do
        now="$(stat -c %s "$2") $(ticks_of "$server")"
        if [ "$now" != "$was" ]; then
            was=$now since=$SECONDS used=$(ticks_of "$1")
        elif [ $((SECONDS - since)) -ge "$guest_silence" ]; then
            spent=$(($(ticks_of "$1") - used))
            # on a loaded machine it gets few of them
            if [ $((spent * 10)) -ge $(((SECONDS - since) * $(getconf CLK_TCK))) ]; then
                echo "$((SECONDS - since)) s without a line or a request, $spent ticks" >"$work/hung"
                kill "$1"
                return
            fi
            was=none
        fi
    done
}

# What guests may write to: as it was, before another tries.
trees_keep() {
    local d
    trees=()
    for d in project held tls map stored; do [ ! -d "$work/$d" ] || trees+=("$d"); done
    tar -C "$work" --acls --xattrs --xattrs-include='*' -cpf "$work/trees.tar" "${trees[@]}"
}
trees_restore() { # the roots stay, which the server holds
    local d
    for d in "${trees[@]}"; do find "$work/$d" -mindepth 1 -delete || return; done
    tar -C "$work" --acls --xattrs --xattrs-include='*' -xpf "$work/trees.tar"
}

# run_guest into $work/log; one that hung gets a second chance, one of whose
# claims failed gets none.
guest_to_log() {
    local n status watcher tries=$guest_tries
    trees_keep || tries=1
    for ((n = 1; ; n++)); do
        rm -f "$work/hung"
        start_guest "$@" >"$work/log" 2>&1
        watch_guest "$guest" "$work/log" &
        watcher=$!
        await_guest
        status=$?
        { kill "$watcher" && wait "$watcher"; } 2>/dev/null
        [ -e "$work/hung" ] && [ $status -eq 124 ] || return $status
        echo "THE GUEST HUNG BY ITSELF ($(cat "$work/hung")), after: $(tail -n 1 "$work/log")"
        [ $n -lt "$tries" ] && ! grep -q '^FAILED ' "$work/log" || return $status
        echo "STARTING IT ONCE MORE"
        trees_restore || return
    done
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
guest_seconds=600
guest_suite() { # KERNEL NAME [GUESTRUN OPTION]... SCRIPT ARG...
    local kernel=$1 name=$2 ok bad status log=$work/log start=$SECONDS
    shift 2
    guest_to_log --kernel "$kernel" --timeout "$guest_seconds" "$@"
    status=$?
    ok=$(grep -c '^ok ' "$log")
    bad=$(grep -c '^FAILED ' "$log")
    passed=$((passed + ok)) failed=$((failed + bad))
    grep -v '^ok ' "$log"
    echo "-- guest: $((SECONDS - start)) s"
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
