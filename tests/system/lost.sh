# Nothing is lost silently: whatever breaks, who asked gets an answer, and what
# comes back to life is used again.
. "$(dirname "$0")/system.sh"

world_pki
world_edge_extra='limits = { request = 4; failover = 2; connect = 3; };'
world_start

as_user=$(world_as_user)
as_partner=$(world_as_peer partner-edge-outer)
at_pool="--connect $pool:5063 --name pool.int.example.com --ca $LAB/pki/ca.pem"

# shellcheck disable=SC2086
lab_sipsend_start bob $at_pool --user bob@example.com --password Bob-1 register stay
lab_signed_in bob

to_bob() {	# WHAT STATUS
	# shellcheck disable=SC2086
	answers "$1" "$2" --timeout 20 $as_partner --user carol@contoso.example "send MESSAGE sip:bob@example.com -b x"
}
to_carol() {	# WHAT STATUS
	# shellcheck disable=SC2086
	answers "$1" "$2" --timeout 20 $at_pool --user bob@example.com --password Bob-1 "send MESSAGE sip:carol@contoso.example -b x"
}
why() {	# LOG PATTERN
	ok "  and the log says why: $2" lab_wait_line "$1" "$2" 5
	lab_forget "$1"
}

not_listening() {
	! lab_listens "$pool" 5061
}

to_bob "all is well" 200

# the Director
lab_forget edge
lab_stop director KILL
to_bob "the Director is gone" 504
why edge 'reason=hop-unreachable'
world_director_run
reaches_bob() {
	# shellcheck disable=SC2086
	lab_sipsend sipsend --timeout 20 $as_partner --user carol@contoso.example "send MESSAGE sip:bob@example.com -b x"
}
# Each worker of the edge tries again after a while, not at once. Which of them is met is chance: one
# that has not tried yet would answer in the Director's place below.
steadily() {
	for n in 1 2 3 4 5 6 7; do
		reaches_bob || return 1
	done
}
ok "the Director is back" lab_wait 20 "messages passing again" steadily

# the home pool
lab_forget director
lab_stop pool
to_bob "the home pool is gone" 504
why director 'reason=hop-(unreachable|lost)'

# a home pool that takes connections and says nothing
lab_forget director
lab_forget edge
/usr/bin/python3 - "$pool" "$LAB/pki" <<'PY' &
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2] + "/pool.pem", sys.argv[2] + "/pool.key")
listener = socket.create_server((sys.argv[1], 5061))
def sink(raw):
    try:
        with context.wrap_socket(raw, server_side=True) as c:
            while c.recv(65536):
                pass
    except OSError:
        pass
while True:
    threading.Thread(target=sink, args=(listener.accept()[0],), daemon=True).start()
PY
mute=$!
lab_wait 5 "the mute pool listening" lab_listens "$pool" 5061
# As with the others, the Director tries again after a while only; who asks
# meanwhile has an answer at once.
mute_found_out() {
	reaches_bob || :
	lab_saw sipsend '^SIP/2.0 504 ' || return 1
	lab_saw edge 'event=refused reason=hop-timeout' || lab_saw director 'event=refused reason=hop-timeout'
}
ok "the home pool is mute: 504, and the log says hop-timeout" lab_wait 30 "hop-timeout" mute_found_out
kill "$mute"
lab_wait_quietly 5 not_listening || :

world_pool_start
lab_stop bob
# shellcheck disable=SC2086
lab_sipsend_start bob $at_pool --user bob@example.com --password Bob-1 register stay
lab_signed_in bob
ok "the home pool is back" lab_wait 20 "messages passing again" reaches_bob

# the partner
lab_forget edge
lab_stop partner-edge
to_carol "the partner is gone" 504
why edge 'reason=hop-unreachable'

# somebody else at the partner's address
lab_forget edge
lab_start impostor /usr/bin/python3 "$LAB_TOP/tests/lab/sipsend" --accept "$partner_outer:5061" --timeout 30 \
    --cert "$LAB/pki/impostor.pem" --key "$LAB/pki/impostor.key" stay
lab_wait_port impostor "$partner_outer" 5061
# The edge does not try again at once; each message until then gets 504.
found_out() {
	# shellcheck disable=SC2086
	lab_sipsend sipsend $at_pool --user bob@example.com --password Bob-1 "send MESSAGE sip:carol@contoso.example -b x" || :
	lab_saw edge 'event=refused reason=hop-certificate'
}
ok "an impostor is in the partner's place: found out" lab_wait 20 "the edge tries and logs hop-certificate" found_out
to_carol "  the sender gets 504" 504
no "  and hears nothing" lab_saw impostor '^<<<'
lab_stop impostor
world_partner_edge_start
# shellcheck disable=SC2086
{
lab_sipsend_start carol --connect "$partner_pool:5063" --name pool.int.contoso.example --ca $LAB/pki/ca.pem \
    --user carol@contoso.example --password Carol-1 register stay
}
lab_signed_in carol
reaches_carol() {
	# shellcheck disable=SC2086
	lab_sipsend sipsend --timeout 20 $at_pool --user bob@example.com --password Bob-1 "send MESSAGE sip:carol@contoso.example -b x"
}
ok "the partner is back" lab_wait 20 "messages passing again" reaches_carol

# DNS
lab_stop dns
lab_forget edge
to_carol "DNS is gone, the partner's connection is still there" 200

lab_dns_start

# a remote user goes away without a word
# shellcheck disable=SC2086
lab_sipsend_start alice $as_user --user alice@example.com --password Alice-1 register stay
lab_signed_in alice
lab_stop alice KILL
# shellcheck disable=SC2086
answers "the remote user's connection is gone" 430 --timeout 20 $at_pool --user bob@example.com --password Bob-1 \
    "send MESSAGE sip:alice@example.com -b x"

finish
