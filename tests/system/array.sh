# array - two edges behind HAProxy, two Directors behind these; see nodes.py.
command -v haproxy >/dev/null || { echo "skip haproxy is not installed"; exit 0; }
exec python3 -B "$(dirname "$0")/nodes.py"
