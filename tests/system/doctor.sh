# doctor.sh - sallyportctl doctor and dns against real name servers and edges; see doctor.py.
command -v knotd >/dev/null || { echo "skip knot is not installed"; exit 0; }
exec python3 -B "$(dirname "$0")/doctor.py"
