# failures.sh - whatever breaks, a request has an answer or its connection ends; see failures.py.
# What is mounted here is gone with it, however it ends.
exec unshare -m python3 -B "$(dirname "$0")/failures.py"
