# signing.sh - the Director and raw clients that sign; see signing.py.
exec python3 -B "$(dirname "$0")/signing.py"
