# mirror.sh - no open relay, no mirror, no answer that was not asked for; see mirror.py.
exec python3 -B "$(dirname "$0")/mirror.py"
