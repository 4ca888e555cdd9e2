# inside.sh - the Director with raw SIP from all sides; see inside.py.
exec python3 -B "$(dirname "$0")/inside.py"
