# dircrowd.sh - the Director's limits at and one past them, and a good client beside attacks; see dircrowd.py.
exec python3 -B "$(dirname "$0")/dircrowd.py"
