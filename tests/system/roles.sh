# roles - the other roles of the edge: a clearing house between its members, a
# branch office behind the head office, a public IM network; see roles.py. Real
# edges all of them, with a real name server; servers and users are raw SIP.
command -v knotd >/dev/null || { echo "skip knot is not installed"; exit 0; }
. "$(dirname "$0")/system.sh"

# organisation N lives at LAB_NET.(10 + N).x
for pair in a.example:11 b.example:12 house.example:13 d.example:14 example.com:15 public.example:17; do
	lab_zone "${pair%:*}" <<-ZONE
	_sipfederationtls._tcp SRV 0 0 5061 sip
	sip       A $LAB_NET.${pair#*:}.1
	edge.int  A $LAB_NET.${pair#*:}.2
	ZONE
done
lab_zone msn.example <<-ZONE
_sipfederationtls._tcp SRV 0 0 5061 sip.public.example.
ZONE
lab_zone office.example <<-ZONE
branch1   A $LAB_NET.16.2
ZONE
lab_dns_start
ok "roles.py came to its end" python3 -B "$(dirname "$0")/roles.py" "$LAB_NET"
finish
