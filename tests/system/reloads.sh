# reloads.sh - ten thousand renewals of material and contexts leave nothing behind;
# see reloads_leave_nothing in tests/unit/net/check_lists.c.
set -eu
cd "$LAB_BUILD"
make -s tests/unit/net/check_lists
if RELOADS=10000 CK_TIMEOUT_MULTIPLIER=4 CK_RUN_CASE=reloads_leave_nothing tests/unit/net/check_lists; then
	echo "ok 10000 reloads of certificates leave nothing behind"
else
	echo "not ok 10000 reloads of certificates leave nothing behind"
fi
