# filter.sh - links, files, and partners that nobody has listed; see filter.py.
exec python3 -B "$(dirname "$0")/filter.py"
