# book.sh - every command of the book and of README.md is run; see book.py.
command -v knotd >/dev/null || { echo "skip knot is not installed"; exit 0; }
exec python3 -B "$(dirname "$0")/book.py"
