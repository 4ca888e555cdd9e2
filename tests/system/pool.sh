# The home pool of packaging/examples/kamailio-home: who may do what there, and
# real clients at it. No Sallyport takes part.
. "$(dirname "$0")/system.sh"

world_pki
lab_example_zones
lab_dns_start
lab_pool_start pool example.com "$pool" pool director.int.example.com "$director" bob:Bob-1 dave:Dave-1
lab_pool_start partner-pool contoso.example "$partner_pool" partner-pool edge.int.contoso.example "$partner_inner" carol:Carol-1

pki=$LAB/pki
trust="--ca $pki/ca.pem --name pool.int.example.com"
inside="$trust --connect $pool:5063"
as_director="$trust --cert $pki/director.pem --key $pki/director.key --connect $pool:5061"
as_edge="--ca $pki/ca.pem --cert $pki/partner-edge-inner.pem --key $pki/partner-edge-inner.key --connect $partner_pool:5061"

# Options hold no blanks, so they may fall apart into words.
# shellcheck disable=SC2086
{
answers "the Director registers its users without a challenge" 200 $as_director --user alice@example.com register
answers "a message by the Director reaches a user" 200 $as_director --user alice@example.com register \
    "send MESSAGE sip:alice@example.com -f x@contoso.example"
answers "nothing goes back to where it came from" 404 $as_director --user alice@example.com \
    "send MESSAGE sip:x@contoso.example"
answers "a user who is not signed in" 480 $as_director --user alice@example.com \
    "send MESSAGE sip:nobody@example.com"
answers "a client signs in with its password" 200 $inside --user bob@example.com --password Bob-1 register
answers "a wrong password" 401 $inside --user bob@example.com --password Bob-2 register
answers "an unknown user" 401 $inside --user bobby@example.com --password Bob-1 register
answers "another user's address" 403 $inside --user alice@example.com --login bob --password Bob-1 register
answers "another user's From" 403 $inside --user bob@example.com --password Bob-1 \
    "send MESSAGE sip:bob@example.com -f alice@example.com"
answers "a foreign From" 403 $inside --user bob@example.com --password Bob-1 \
    "send MESSAGE sip:bob@example.com -f x@contoso.example"
answers "a dialog that nobody has" 481 $inside --user bob@example.com \
    "send BYE sip:bob@example.com -H 'To: <sip:bob@example.com>;tag=1'"

no "the servers' port wants a certificate" lab_sipsend sipsend $trust --connect "$pool:5061" --user bob@example.com register
"$LAB_TOP/certs-example/make-pki" "$pki" cert rogue --issuer untrusted --dns director.int.example.com >/dev/null
no "a Director's name signed by a stranger" lab_sipsend sipsend $trust --connect "$pool:5061" \
    --cert "$pki/rogue.pem" --key "$pki/rogue.key" --user bob@example.com register
answers "a good certificate with another name is no Director's" 401 $trust --connect "$pool:5061" \
    --cert "$pki/partner-edge-inner.pem" --key "$pki/partner-edge-inner.key" --user bob@example.com register

answers "an edge does not vouch for users" 401 $as_edge --user carol@contoso.example register
answers "users sign in through an edge with their password" 200 $as_edge --user carol@contoso.example --password Carol-1 register
answers "an edge brings messages of others" 200 $as_edge --user carol@contoso.example --password Carol-1 register \
    "send MESSAGE sip:carol@contoso.example -f x@example.com"
answers "an edge does not speak for the pool's own users" 407 $as_edge --user carol@contoso.example \
    "send MESSAGE sip:carol@contoso.example"
}

# What a client says of itself is not what the receiver hears.
# shellcheck disable=SC2086
lab_sipsend_start dave $inside --user dave@example.com --password Dave-1 register stay
lab_signed_in dave
# shellcheck disable=SC2086
answers "a message with forged headers is delivered" 200 $inside --user bob@example.com --password Bob-1 \
    "send MESSAGE sip:dave@example.com -b forged -H 'P-Asserted-Identity: <sip:boss@example.com>' -H 'ms-edge-proxy-message-trust: ms-source-type=InternetUser'"
ok "it arrived" lab_wait_line dave '^forged'
no "the forged identity is gone" lab_saw dave 'boss@example'
no "the forged mark is gone" lab_saw dave 'ms-edge-proxy-message-trust'

# Real clients, each with each other.
lab_linphone alice bob@example.com Bob-1 'sip:pool.int.example.com:5063;transport=tls'
lab_baresip bob dave@example.com Dave-1 'sip:pool.int.example.com:5063;transport=tls' sip:bob@example.com
ok "linphonec signs in" lab_signed_in alice
ok "baresip signs in" lab_signed_in bob
lab_baresip_say bob 'from baresip'
ok "baresip to linphonec" lab_received alice dave@example.com 'from baresip'
lab_linphone_say alice sip:dave@example.com 'from linphonec'
ok "linphonec to baresip" lab_received bob bob@example.com 'from linphonec'
ok "linphonec to sipsend" lab_wait_line dave '^from linphonec'

finish
