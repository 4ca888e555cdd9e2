# brim.sh - messages as large as may be, on their way inward and back; see brim.py.
exec python3 -B "$(dirname "$0")/brim.py"
