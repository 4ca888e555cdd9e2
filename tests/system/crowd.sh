# crowd.sh - limits at and one past them, and a good client beside attacks; see crowd.py.
exec python3 -B "$(dirname "$0")/crowd.py"
