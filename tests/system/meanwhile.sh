# meanwhile.sh - while messages pass, everything is done that threads have to tell each other; see meanwhile.py.
exec python3 -B "$(dirname "$0")/meanwhile.py"
