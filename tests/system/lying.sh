# lying - edges whose Redis server is slow, only reads, or says what is not so; see lying.py.
exec python3 -B "$(dirname "$0")/lying.py"
