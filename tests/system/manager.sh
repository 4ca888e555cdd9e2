# manager.sh - what a service manager hears of the daemons and gives them: ready, reload, watchdog, sockets, credentials.
set -eu
cd "$LAB_BUILD"
make -s tests/planted/planted-edge
exec python3 -B "$(dirname "$0")/manager.py"
