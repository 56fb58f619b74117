# Runs the tracer of a case in the foreground of a session of its own, as a terminal would, and keeps its exit status.

. "$VM/lib.sh"
# Not this process's own number: start-stop-daemon forks once more after it has made the session.
read -r _ _ _ _ group _ </proc/$$/stat
echo "$group" >tracer.group
# These shells outlive the ^C that is meant for the tracer (a handler, unlike ignoring it, is not passed on).
trap : INT TERM
(
    trap : INT TERM
    . "$CASE/tracer"
) >stdout 2>stderr </dev/null
echo $? >exit.new
mv exit.new exit
