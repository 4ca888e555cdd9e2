# zoo.sh - good, odd and bad certificates at every door and in every direction; see zoo.py.
exec python3 -B "$(dirname "$0")/zoo.py"
