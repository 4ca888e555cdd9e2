# edge.sh - the edge with raw SIP from both sides; see edge.py.
exec python3 -B "$(dirname "$0")/edge.py"
