# upgrade.sh - another version of the program takes over while people connect, and sockets
# that somebody else has bound are used.
exec python3 -B "$(dirname "$0")/upgrade.py"
