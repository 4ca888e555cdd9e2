# dirfails.sh - whatever breaks around the Director, a request has an answer or its connection ends; see dirfails.py.
# What is mounted here is gone with it, however it ends.
exec unshare -m python3 -B "$(dirname "$0")/dirfails.py"
