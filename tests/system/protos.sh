# protos.sh - thousands of malformed messages from a generator; see protos.py.
exec python3 -B "$(dirname "$0")/protos.py"
