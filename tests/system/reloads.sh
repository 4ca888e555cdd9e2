# reloads.sh - ten thousand renewals of certificates leave nothing behind: in a running daemon, through all
# its processes (reloads.py), and in the functions that all of them come to (reloads_leave_nothing in
# tests/unit/net/check_lists.c, where malloc itself says what is in use).
set -eu
cd "$LAB_BUILD"
make -s tests/unit/net/check_lists
reloads=10000
# a sanitizer makes each take many times as long
case $(nm sallyport-edge) in
*__tsan_init*)	reloads=300 ;;
*__asan_init*)	reloads=1000 ;;
esac
# beside the daemon, whose processes wait for each other most of the time
(
	if RELOADS=$reloads CK_TIMEOUT_MULTIPLIER=4 CK_RUN_CASE=reloads_leave_nothing tests/unit/net/check_lists; then
		echo "ok $reloads reloads of certificates leave nothing behind"
	else
		echo "not ok $reloads reloads of certificates leave nothing behind"
	fi
) >"$SYSTEM_RUN/functions" 2>&1 &
status=0
python3 -B "$(dirname "$0")/reloads.py" || status=1
wait
cat "$SYSTEM_RUN/functions"
exit $status
