# control.sh - both daemons asked over their control sockets while they work; see control.py.
exec python3 -B "$(dirname "$0")/control.py"
