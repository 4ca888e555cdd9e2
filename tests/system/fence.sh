# fence.sh - the processes of the edge: who holds what, that an intruder in the proxy
# gets nowhere, and that what crashes is there again.
set -eu
cd "$LAB_BUILD"
make -s tests/planted/planted-edge
exec python3 "$(dirname "$0")/fence.py"
