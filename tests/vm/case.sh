# Runs one case: its parts in one shell, so that a variable set in one is there in the next and in the expectations.
# The tracer runs beside it in a session of its own (tracer.sh). Arguments: the case's folder, the folder for results.

set -ea
CASE=$1
WORK=$2
PHASE=setup
. "$VM/lib.sh"
. "$CASE/settings"
READY=$WORK/ready
cd "$WORK"
echo $$ >case.group

main() {
    trap finish EXIT
    part setup
    { nft -a list ruleset; foreign_rulesets; } >ruleset
    tables_before=$(nft list tables)
    PHASE=tracer
    start_tracer
    part traffic
    PHASE=tracer
    stop_tracer
    PHASE="after the tracer"
    # Nothing outlives the process: true of every case, so no case needs to say it.
    wait_for 5 no_table_is_left || give_up "the tracer left a table; before it ran: '$tables_before', now: '$(nft list tables)'"
    part after
    PHASE=
}

part() { # NAME
    PHASE=$1
    set -x
    . "$CASE/$1"
    { set +x; } 2>/dev/null
}

finish() {
    status=$?
    { set +ex; } 2>/dev/null
    env -0 >variables
    if [ -n "$PHASE" ] && [ ! -s failed ]; then
        echo "a command of the part [$PHASE] failed with status $status: it is the last one among the commands below" >>failed
    fi
}

give_up() { # REASON
    { set +x; } 2>/dev/null
    echo "$1" >>failed
    exit 1
}

foreign_rulesets() {
    for namespace in /run/netns/*; do
        [ -e "$namespace" ] || continue
        echo "# in the namespace ${namespace##*/}:"
        ip netns exec "${namespace##*/}" nft -a list ruleset
    done
}

start_tracer() {
    # In the background of a shell it would be started with SIGINT ignored, which no terminal does.
    start-stop-daemon -S -q -b -m -p tracer.pid -x "$(which busybox)" -- sh "$VM/tracer.sh"
    patience=$((LIMIT * 2 / 3))
    wait_for $patience ready_or_ended || hangs "the tracer was not ready within $patience s"
    if [ "$MUST_GET_READY" = yes ] && [ ! -e "$READY" ]; then
        give_up "the tracer ended with status $(cat exit) before it was ready"
    fi
}

# What a tracer that does not go on is doing, for the log.
hangs() { # REASON
    { set +x; } 2>/dev/null
    for task in $(pidof tracer | sed 's#[0-9]*#/proc/&/task/*#g'); do
        [ -d "$task" ] || continue
        read -r _ name state _ _ _ _ _ _ _ _ _ _ user system _ <"$task/stat"
        echo "thread ${task##*/} $name: state $state, $((user / 100)) s in user space and $((system / 100)) s in the kernel, where it is at"
        cat "$task/stack"
    done >&2
    give_up "$1"
}

ready_or_ended() { [ -e "$READY" ] || [ -e exit ]; }

stop_tracer() {
    if [ "$ENDS_ITSELF" = yes ]; then
        wait_for 20 [ -e exit ] || hangs "the tracer did not end on its own within 20 s of the traffic"
    elif [ ! -e exit ]; then
        # What ^C does: the whole group gets it.
        kill -INT "-$(cat tracer.group)"
        wait_for 20 [ -e exit ] || hangs "the tracer did not end within 20 s of SIGINT"
    fi
}

# The tables here are the same as after the set-up (so traffic must not add any).
no_table_is_left() { [ "$(nft list tables)" = "$tables_before" ]; }

main
