# Calls and their dialogs: INVITE, ACK, BYE and CANCEL between remote user,
# inside and partner, and Route headers that somebody made up.
. "$(dirname "$0")/system.sh"

world_pki
world_start_small

at_pool="--connect $pool:5063 --name pool.int.example.com --ca $LAB/pki/ca.pem"
at_partner="--connect $partner_pool:5063 --name pool.int.contoso.example --ca $LAB/pki/ca.pem"
as_user=$(world_as_user)
elsewhere=$LAB_NET.77.7
as_partner=$(world_as_peer partner-edge-outer)

# shellcheck disable=SC2086
{
lab_sipsend_start bob $at_pool --user bob@example.com --password Bob-1 register stay
lab_sipsend_start alice $as_user --user alice@example.com --password Alice-1 register stay
lab_sipsend_start carol $at_partner --user carol@contoso.example --password Carol-1 register stay
}
for who in alice bob carol; do
	ok "$who signs in" lab_signed_in $who
done

# call FROM TO URI: INVITE and ACK arrive, then BYE, each at the other end
call() {
	lab_forget "$1"
	lab_forget "$2"
	lab_tell "$1" "send INVITE $3 -t application/sdp -b 'v=0'"
	ok "$1 calls $2: INVITE is answered" lab_wait_line "$1" '^--- INVITE: 200'
	ok "  ACK arrives" lab_wait_line "$2" '^ACK '
	lab_tell "$1" bye
	ok "  BYE arrives" lab_wait_line "$2" '^BYE '
	ok "  and is answered" lab_wait_line "$1" '^--- BYE: 200'
	ok "  INVITE came once" [ "$(tail -n "+$(cat "$LAB/$2.first")" "$LAB/$2.log" | grep -a -c '^INVITE ')" = 1 ]
}
call alice bob sip:bob@example.com
call bob alice sip:alice@example.com
call carol bob sip:bob@example.com
call bob carol sip:carol@contoso.example
call carol alice sip:alice@example.com
call alice carol sip:carol@contoso.example

# CANCEL follows its INVITE; the caller gets 487, the callee an ACK
lab_stop bob
# shellcheck disable=SC2086
lab_sipsend_start ringing $at_pool --user bob@example.com --password Bob-1 --answer '180 Ringing' register stay
lab_signed_in ringing
# shellcheck disable=SC2086
lab_sipsend_start caller $as_partner --user carol@contoso.example 'start INVITE sip:bob@example.com' stay
ok "it rings: 180 comes back" lab_wait_line caller '^SIP/2.0 180 '
lab_tell caller cancel
ok "CANCEL is answered" lab_wait_line caller '^--- CANCEL: 200'
ok "the call ends with 487" lab_wait_line caller '^--- INVITE: 487'
ok "CANCEL arrived" lab_wait_line ringing '^CANCEL '
ok "ACK arrived" lab_wait_line ringing '^ACK '

# shellcheck disable=SC2086
{
# Routes
answers "a Route in our name that we did not sign" 481 $as_user --user alice@example.com \
    "send BYE sip:bob@example.com -H 'Route: <sip:sip.example.com:443;transport=tls;lr>' -H 'To: <sip:bob@example.com>;tag=1'"
ok "  and the log says so" lab_wait_line edge 'reason=route-forged'
answers "in a dialog, a Route to somebody else is not followed" 403 $as_partner --user carol@contoso.example \
    "send INFO sip:bob@example.com -H 'Route: <sip:$elsewhere:5061;transport=tls;lr>' -H 'To: <sip:bob@example.com>;tag=1'"
ok "  and the log says so" lab_wait_line edge 'reason=route-not-ours'
lab_stop ringing
lab_sipsend_start bob $at_pool --user bob@example.com --password Bob-1 register stay
lab_signed_in bob
answers "outside a dialog it is dropped, and the message goes its usual way" 200 $as_partner --user carol@contoso.example \
    "send MESSAGE sip:bob@example.com -H 'Route: <sip:$elsewhere:5061;transport=tls;lr>'"
ok "  to the addressee" lab_wait_line bob '^MESSAGE '
no "  and nobody else hears of the Route" lab_saw bob "$elsewhere"
answers "CANCEL of nothing" 481 $as_partner --user carol@contoso.example "send CANCEL sip:bob@example.com"
}

finish
