# torture.sh - messages after RFC 4475 and RFC 5118 against a running edge; see torture.py.
exec python3 -B "$(dirname "$0")/torture.py"
