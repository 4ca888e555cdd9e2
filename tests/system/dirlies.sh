# dirlies.sh - an LDAP server that lies, floods and stalls; see dirlies.py.
exec python3 -B "$(dirname "$0")/dirlies.py"
