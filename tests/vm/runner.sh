# Runs the cases beside it, one after another, and reports on its output: `ready`, then for each case `begin NUMBER`,
# any number of `file NAME SIZE` lines with that many bytes after them, and `end`; `done` at last.
# It cleans up after each case by emptying the network namespace it runs in: a guest's, or one made for this.

VM=$(dirname "$(readlink -f "$0")")
export VM
if grep -qw tracer.guest /proc/cmdline; then
    GUEST=yes
    RESULTS=/run/cases
else
    # Only what starts this knows for sure which namespace is the machine's own: it says so, or nothing is done.
    GUEST=
    RESULTS=$VM/results
    here=$(readlink /proc/self/ns/net)
    if [ -z "$NETNS_OUTSIDE" ] || [ -z "$here" ] || [ "$NETNS_OUTSIDE" = "$here" ]; then
        echo "runner.sh empties the network namespace it runs in: it runs in a guest, or in a namespace made for it" >&2
        exit 1
    fi
    # The machine's named namespaces are none of a case's business either. (The mount namespace is made for this, too.)
    mkdir -p /run/netns
    mount -t tmpfs tmpfs /run/netns
    PATH=$VM/bin:$PATH
fi
. "$VM/lib.sh"
ip link set lo up

main() {
    echo ready
    for case in "$VM"/cases/*; do
        [ -d "$case" ] || continue
        number=${case##*/}
        echo "begin $number"
        results=$RESULTS/$number
        mkdir -p "$results"
        run "$case" "$results"
        report "$results"
        echo end
    done
    echo done
}

run() { # CASE RESULTS
    . "$1/settings"
    read -r start _ </proc/uptime
    # Messages from before this case are not about it. A machine's own log is left alone.
    [ -z "$GUEST" ] || dmesg -c >/dev/null
    # Not in the background: a shell starts what is there with SIGINT ignored, down to the tracer.
    timeout -s KILL "$LIMIT" setsid busybox sh "$VM/case.sh" "$1" "$2" </dev/null >"$2/log" 2>&1
    [ $? != 137 ] || echo "it took longer than its limit of $LIMIT s" >>"$2/failed"
    clean_up "$2" 2>/dev/null
    [ -z "$GUEST" ] || dmesg -c >"$2/kernel"
    read -r end _ </proc/uptime
    awk "BEGIN { print $end - $start }" >"$2/seconds"
}

clean_up() { # RESULTS
    for group in "$1"/*.group; do
        [ ! -f "$group" ] || kill -KILL "-$(cat "$group")"
    done
    for namespace in /run/netns/*; do
        [ -e "$namespace" ] || continue
        namespace=${namespace##*/}
        ip netns pids "$namespace" | xargs -r kill -KILL
        ip netns del "$namespace"
    done
    for device in /sys/class/net/*; do
        device=${device##*/}
        [ "$device" = lo ] || ip link del "$device"
    done
    nft flush ruleset
}

report() { # RESULTS
    for path in "$1"/export.*; do
        # Names are words of a line.
        case ${path##*/} in *[!A-Za-z0-9._-]*) ;; *) report_file "$1" "${path##*/}" ;; esac
    done
    for file in stdout stderr exit failed log ruleset kernel variables seconds; do
        report_file "$1" "$file"
    done
}

report_file() { # RESULTS FILE
    if [ -f "$1/$2" ]; then
        size=$(stat -c %s "$1/$2")
        echo "file $2 $size"
        head -c "$size" "$1/$2"
    fi
}

main
