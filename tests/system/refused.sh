# Who is refused, and with which reason: partners, strangers and remote users at
# the outer door, strangers at the inner one.
. "$(dirname "$0")/system.sh"

world_pki
world_start_small

pki=$LAB/pki
make_pki() {
	"$LAB_TOP/certs-example/make-pki" "$pki" cert "$@" >/dev/null
}
trust="--ca $pki/ca.pem"
users="$trust --name sip.example.com --connect $edge_outer:443"
partners="$trust --name sip.example.com --connect $edge_outer:5061"
contoso="$partners --cert $pki/partner-edge-outer.pem --key $pki/partner-edge-outer.key"

# reason WHAT REASON: the edge has logged that refusal
reason() {
	ok "$1" lab_wait_line edge "reason=$2( |\$)" 5
}

# Options hold no blanks, so they may fall apart into words.
# shellcheck disable=SC2086
{
# partners
answers "a partner speaks for another domain" 403 $contoso --user x@elsewhere.example "send MESSAGE sip:bob@example.com"
reason "  and the log says so" from-not-of-partner
answers "a partner claims one of our users" 403 $contoso --user alice@example.com "send MESSAGE sip:bob@example.com"
reason "  and the log says so" spoofed-from
answers "a partner wants us to relay" 404 $contoso --user carol@contoso.example "send MESSAGE sip:x@elsewhere.example"
reason "  and the log says so" to-not-internal
answers "a partner registers" 403 $contoso --user carol@contoso.example \
    "send REGISTER sip:example.com -H 'Contact: <sip:carol@127.0.0.1;transport=tls>'"
reason "  and the log says so" method-not-allowed
answers "the addressee is not signed in" 480 $contoso --user carol@contoso.example "send MESSAGE sip:nobody@example.com"

# certificates
make_pki stranger --dns sip.stranger.example
answers "a good certificate of nobody we know" 403 $partners --cert $pki/stranger.pem --key $pki/stranger.key \
    --user x@stranger.example "send MESSAGE sip:bob@example.com"
reason "  and the log says so" unknown-peer
no "no certificate on the partners' port" lab_sipsend sipsend $partners --user carol@contoso.example "send MESSAGE sip:bob@example.com"
make_pki expired --dns sip.contoso.example --expired
make_pki not-yet --dns sip.contoso.example --not-yet
make_pki weak --dns sip.contoso.example --key-bits 1024
make_pki client-only --dns sip.contoso.example --purpose emailProtection
make_pki wildcard --dns '*.contoso.example'
# odd REASON CERTIFICATE
odd() {
	no "certificate: $2" lab_sipsend "odd-$2" $partners --cert $pki/$2.pem --key $pki/$2.key \
	    --user carol@contoso.example "send MESSAGE sip:bob@example.com"
	no "  nothing was said to it" lab_saw "odd-$2" '^SIP/2.0'
	reason "  the log says: $1" "$1"
}
odd certificate-untrusted impostor
odd certificate-expired expired
odd certificate-not-yet-valid not-yet
odd certificate-weak weak
odd certificate-usage client-only
reason "no certificate is logged as that" certificate-missing
answers "a wildcard proves no server" 403 $partners --cert $pki/wildcard.pem --key $pki/wildcard.key \
    --user carol@contoso.example "send MESSAGE sip:bob@example.com"

# remote users
answers "a remote user without a password" 407 $users --user alice@example.com "send MESSAGE sip:bob@example.com"
answers "a remote user with a wrong password" 401 $users --user alice@example.com --password wrong register
answers "a remote user whom nobody knows" 401 $users --user mallory@example.com --password Alice-1 register
answers "a remote user of another domain" 403 $users --user carol@contoso.example "send MESSAGE sip:bob@example.com"
reason "  and the log says so" from-not-internal
answers "a signed-in user in another user's name" 403 $users --user bob@example.com --login alice --password Alice-1 \
    "send MESSAGE sip:bob@example.com"

# the inside
no "the edge's inner door wants a certificate" lab_sipsend sipsend $trust --name edge.int.example.com \
    --connect "$edge_inner:5061" --user bob@example.com "send MESSAGE sip:carol@contoso.example"
no "a partner's certificate opens no inner door" lab_sipsend sipsend $trust --name edge.int.example.com --connect "$edge_inner:5061" \
    --cert $pki/partner-edge-outer.pem --key $pki/partner-edge-outer.key \
    --user bob@example.com "send MESSAGE sip:carol@contoso.example"
reason "  and the log says so" not-internal-peer
}

finish
