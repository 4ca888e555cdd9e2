# hung.sh - each process of edge and Director is stopped under load and is replaced; see hung.py.
set -eu
cd "$LAB_BUILD"
make -s tests/planted/planted-edge
exec python3 -B "$(dirname "$0")/hung.py"
