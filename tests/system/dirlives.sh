# dirlives.sh - the Director's processes die, and another version of it takes over; see dirlives.py.
. "$(dirname "$0")/system.sh"

if nm "$LAB_BUILD/sallyport-director" | grep -Eq '__[at]san_init'; then
	echo "skip what is preloaded: a sanitizer wants to be the first that is loaded"
else
	${CC:-cc} -shared -fPIC -O1 -D_GNU_SOURCE -o "$SYSTEM_RUN/sendfault.so" "$(dirname "$0")/sendfault.c" -ldl
	export SENDFAULT="$SYSTEM_RUN/sendfault.so"
fi
exec python3 -B "$(dirname "$0")/dirlives.py"
