# shared - two edges that share their policy by Redis, and what happens when that is gone; see shared.py.
command -v redis-server >/dev/null || { echo "skip redis-server is not installed"; exit 0; }
exec python3 -B "$(dirname "$0")/shared.py"
