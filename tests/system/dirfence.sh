# dirfence.sh - the processes of the Director: who holds what, and that an intruder in the one that
# faces the network, or in authd, gets nowhere; see dirfence.py.
set -eu
cd "$LAB_BUILD"
make -s tests/planted/planted-director
SYSTEM_KDC=
if PATH=$PATH:/usr/sbin command -v kadmin.local >/dev/null; then
	SYSTEM_KDC=$SYSTEM_RUN/kdc
	"$(dirname "$0")/../lab/kdc.sh" "$SYSTEM_KDC" "$LAB_NET.7.1" 10088 director.int.example.com
else
	echo "skip the part with a keytab: there is no KDC"
fi
export SYSTEM_KDC
exec python3 -B "$(dirname "$0")/dirfence.py"
