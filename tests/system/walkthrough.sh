# walkthrough.sh - doc/first-federation.md, done to the letter in networks of its own; see walkthrough.py.
exec python3 -B "$(dirname "$0")/walkthrough.py"
