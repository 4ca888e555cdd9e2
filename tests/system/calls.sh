# Calls through edge and Director: what follows the routes that both wrote, in
# both directions, with a Director that authenticates every request of a user.
. "$(dirname "$0")/system.sh"

world_pki
world_start

at_pool="--connect $pool:5063 --name pool.int.example.com --ca $LAB/pki/ca.pem"
at_partner="--connect $partner_pool:5063 --name pool.int.contoso.example --ca $LAB/pki/ca.pem"
as_user=$(world_as_user)

# shellcheck disable=SC2086
{
lab_sipsend_start bob $at_pool --user bob@example.com --password Bob-1 register stay
lab_sipsend_start alice $as_user --user alice@example.com --password Alice-1 register stay
lab_sipsend_start carol $at_partner --user carol@contoso.example --password Carol-1 register stay
}
for who in alice bob carol; do
	ok "$who signs in" lab_signed_in $who
done

# call FROM TO URI: INVITE and ACK arrive, then a request in the dialog and BYE from the caller
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
no "  bob has not seen alice's credentials" lab_saw bob '^(Proxy-)?Authorization:.*alice'
call bob alice sip:alice@example.com
call carol bob sip:bob@example.com
call bob carol sip:carol@contoso.example
call carol alice sip:alice@example.com
call alice carol sip:carol@contoso.example
no "  carol has not seen alice's credentials" lab_saw carol '^(Proxy-)?Authorization:'

# CANCEL of a remote user's call
lab_stop bob
# shellcheck disable=SC2086
lab_sipsend_start ringing $at_pool --user bob@example.com --password Bob-1 --answer '180 Ringing' register stay
lab_signed_in ringing
lab_forget alice
lab_tell alice 'start INVITE sip:bob@example.com'
ok "a call without credentials is challenged" lab_wait_line alice '^SIP/2.0 401 '

# When the user's connection is gone, the inside hears of it at once.
lab_stop alice
# shellcheck disable=SC2086
answers "who is gone cannot be reached" 430 $at_pool --user bob@example.com --password Bob-1 \
    "send MESSAGE sip:alice@example.com"

finish
