# dirfails.sh - whatever breaks around the Director, a request has an answer or its connection ends; see dirfails.py.
exec python3 -B "$(dirname "$0")/dirfails.py"
