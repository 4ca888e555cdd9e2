# clock.sh - somebody sets the clock while the daemons work; see clock.py. What they see of it is moved by
# clockjump.c, so that the machine's own clock stays as it is.
. "$(dirname "$0")/system.sh"

if nm "$LAB_BUILD/sallyport-edge" | grep -Eq '__[at]san_init'; then
	echo "skip a sanitizer wants to be the first that is loaded"
	exit 0
fi
mkdir -p "$SYSTEM_RUN/edge" "$SYSTEM_RUN/director"
${CC:-cc} -shared -fPIC -O1 -D_GNU_SOURCE -o "$SYSTEM_RUN/clockjump.so" "$(dirname "$0")/clockjump.c" -ldl
export CLOCKJUMP="$SYSTEM_RUN/clockjump.so"
status=0
for who in edge director; do
	SYSTEM_RUN=$SYSTEM_RUN/$who python3 -B "$(dirname "$0")/clock.py" $who || status=1
done
exit $status
