# dirhelpers.sh - the processes that ask LDAP and winbind for authd: an intruder in one of them gets nowhere, and
# whatever ends or stops them or their keepers, users are refused in time and they come back; see dirfence.py.
set -eu
cd "$LAB_BUILD"
make -s tests/planted/planted-director
exec python3 -B "$(dirname "$0")/dirfence.py" helpers
