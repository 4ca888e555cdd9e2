# Calls with real telephones: linphonec outside and at the partner, baresip in the
# office. INVITE, ringing, ACK, BYE, CANCEL and rejection as they do it.
. "$(dirname "$0")/system.sh"

world_pki
world_start
world_inside_bob
world_remote_alice
world_partner_carol
for who in alice bob carol; do
	ok "$who signs in" lab_signed_in $who
done
lab_tell alice 'soundcard use files'
lab_tell carol 'soundcard use files'

forget() {
	for who in alice bob carol; do
		lab_forget $who
	done
}

# to_bob WHO ADDRESS: from linphonec to baresip; the caller hangs up
to_bob() {
	forget
	lab_tell "$1" 'call sip:bob@example.com'
	ok "$1 calls bob: it rings at his end" lab_wait_line bob "Incoming call from: +sip:$2"
	ok "  and $1 hears it" lab_wait_line "$1" 'Call [0-9]+ to sip:bob@example.com ringing'
	lab_tell bob /accept
	ok "  bob answers" lab_wait_line bob "Call established: sip:$2"
	ok "  and $1 is through" lab_wait_line "$1" 'Call [0-9]+ with sip:bob@example.com connected'
	lab_tell "$1" terminate
	ok "  $1 hangs up, bob is told" lab_wait_line bob "sip:$2(: session closed| terminated)"
}
to_bob alice alice@example.com
to_bob carol carol@contoso.example

# by_bob WHO ADDRESS: from baresip to linphonec; the caller hangs up
by_bob() {
	forget
	lab_tell bob "/dial sip:$2"
	ok "bob calls $1: it rings there" lab_wait_line "$1" 'Receiving new incoming call from .*bob@example.com'
	lab_tell "$1" answer
	ok "  $1 answers" lab_wait_line "$1" 'Call [0-9]+ with .*sip:bob@example.com.* connected'
	ok "  and bob is through" lab_wait_line bob "Call established: sip:$2"
	lab_tell bob /hangup
	ok "  bob hangs up, $1 is told" lab_wait_line "$1" 'Call [0-9]+ with .*sip:bob@example.com.* ended'
}
by_bob alice alice@example.com
by_bob carol carol@contoso.example

# given up before it is answered
forget
lab_tell alice 'call sip:bob@example.com'
ok "alice calls bob: it rings at his end" lab_wait_line bob 'Incoming call from: +sip:alice@example.com'
ok "  and alice hears it" lab_wait_line alice 'Call [0-9]+ to sip:bob@example.com ringing'
lab_tell alice terminate
ok "  she gives up, CANCEL arrives" lab_wait_line bob '^CANCEL '
ok "  and it is over at his end" lab_wait_line bob '^ACK '

# turned away
forget
lab_tell bob '/dial sip:carol@contoso.example'
ok "bob calls carol: it rings there" lab_wait_line carol 'Receiving new incoming call from .*bob@example.com'
lab_tell carol terminate
ok "  she declines, bob is told" lab_wait_line bob '^SIP/2.0 (603|486|480) '
ok "  and his client gives up" lab_wait_line bob 'session closed|terminated|[Dd]ecline'

finish
