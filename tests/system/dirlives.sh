# dirlives.sh - the Director's processes die, and another version of it takes over; see dirlives.py.
exec python3 -B "$(dirname "$0")/dirlives.py"
