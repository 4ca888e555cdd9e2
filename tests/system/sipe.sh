# A client that signs what it says (Pidgin-SIPE): it signs in with NTLM from
# outside, through the edge, and believes nothing that the Director has not signed.
. "$(dirname "$0")/system.sh"

if ! pkg-config --exists purple libxml-2.0 2>/dev/null; then
	echo "skip libpurple-dev is not installed"
	exit 0
fi
# shellcheck disable=SC2046 # several words
"${CC:-cc}" -O1 -g -w -rdynamic -o "$LAB/purple" "$LAB_TOP/tests/lab/purple.c" \
    $(pkg-config --cflags --libs purple libxml-2.0) -ldl

# lab_purple NAME USER@DOMAIN LOGIN PASSWORD [SERVER:PORT ADDRESS]
lab_purple() {
	lab_n=$1
	rm -rf "$LAB/$lab_n.home"
	mkdir -p "$LAB/$lab_n.home" "$LAB/roots"
	cp "$LAB/pki/ca.pem" "$LAB/roots/ca.pem"
	lab_start "$lab_n" env HOME="$LAB/$lab_n.home" "$LAB/purple" "$LAB/$lab_n.home" "$2" "$3" "$4" \
	    "${5:-sip.example.com:443}" "${6:-$edge_outer}" "$LAB/roots" ntlm
	echo quit >"$LAB/$lab_n.goodbye"
}

# How often the client found our signature right, and the Director its
validated() {	# NAME AT-LEAST
	[ "$(grep -a -c 'signature of incoming message validated' "$LAB/$1.home/debug.log")" -ge "$2" ]
}
never_invalid() {	# NAME
	! grep -a -q -i 'invalid message signature\|signature of incoming message is invalid' "$LAB/$1.home/debug.log"
}
registered() {	# USER HOW-OFTEN
	[ "$(grep -c "event=signed-in .*$1@example" "$LAB/director.log")" -ge "$2" ]
}

world_pki
lab_example_zones
lab_dns_start
# shellcheck disable=SC2034 # for lab_pool_start
lab_ms_clients=yes
# shellcheck disable=SC2034
lab_pool_expires=40
world_pool_start
world_director_start
world_account dora@example.com Dora-1
world_account gone@example.com Gone-1 --disabled
world_account near@example.com Near-1 --no-remote
# shellcheck disable=SC2034
world_inner_extra='director_refuses = true;'
world_edge_start

lab_purple alice alice@example.com 'EXAMPLE\alice' Alice-1
ok "signs in with NTLM through the edge" lab_wait_line alice '^connected'
ok "the Director knows how" lab_wait_line director 'event=signed-in .*scheme=NTLM .*alice@example\.com'
lab_purple dora dora@example.com dora@example.com Dora-1
ok "a user name with its domain will do as well" lab_wait_line dora '^connected'

# What the edge refuses, the Director says, so that she believes it.
echo 'content = ( { classes = [ "remote-user" ]; links = "block"; own_links = "filter"; } );' >>"$LAB/edge-policy.conf"
kill -HUP "$(lab_pid edge)"
ok "the edge refuses links from now on" lab_wait_line edge 'event=reloaded'
lab_tell alice 'say sip:dora@example.com http://evil.example/x'
ok "a link is refused" lab_wait_line edge 'event=refused reason=content-link'
ok "by the Director" lab_wait_line director 'event=refused reason=content-link'
refused_signed() {
	grep -a -A 40 '^SIP/2.0 403' "$LAB/alice.home/debug.log" | grep -a -q 'signature of incoming message validated'
}
ok "which she believes" lab_wait 10 "a signed 403" refused_signed
no "and it goes no further" lab_saw dora 'evil\.example'

lab_tell alice 'say sip:dora@example.com one from alice'
ok "a message to another such client" lab_wait_line dora '^received sip:alice@example\.com: one from alice'
lab_tell dora 'say sip:alice@example.com two from dora'
ok "and back" lab_wait_line alice '^received sip:dora@example\.com: two from dora'
ok "every answer and request was signed (alice)" lab_wait 5 "four signatures" validated alice 4
ok "every answer and request was signed (dora)" lab_wait 5 "four signatures" validated dora 4
ok "none of them was wrong" never_invalid alice
ok "nor was one of theirs" world_not_received director 'reason=bad-signature|reason=replayed'

lab_sipsend bob --connect "$pool:5063" --name pool.int.example.com --ca "$LAB/pki/ca.pem" \
    --user bob@example.com --password Bob-1 register "send MESSAGE sip:alice@example.com -b 'three from bob'"
ok "a message from another kind of client" lab_wait_line alice '^received sip:bob@example\.com: three from bob'
ok "which was answered, and the answer believed" lab_saw bob '^SIP/2.0 200 OK'

lab_purple mallory alice@example.com 'EXAMPLE\alice' wrong
ok "a wrong password is refused" lab_wait_line mallory '^error [0-9]+ Authentication failed'
ok "the log says why" lab_wait_line director 'event=bad-credentials .*why=wrong-password'
lab_purple eve alice@example.com 'EXAMPLE\dora' Dora-1
ok "another user's address is refused" lab_wait_line director 'reason=not-your-name'
ok "and the client is told so, signed" lab_wait_line eve '^error [0-9]+ .*(rejected|authorized|not allowed)'

lab_purple gone gone@example.com 'EXAMPLE\gone' Gone-1
ok "a disabled user is refused" lab_wait_line gone '^error [0-9]+ '
ok "the log says why" lab_wait_line director 'event=bad-credentials .*why=disabled .*gone'
lab_purple near near@example.com 'EXAMPLE\near' Near-1
ok "who may not come from outside is refused" lab_wait_line near '^error [0-9]+ '
ok "the log says why" lab_wait_line director 'event=refused reason=remote-access-off .*near@example\.com'
for who in mallory eve gone near; do lab_stop $who; done

ok "she registers again before her time is up" lab_wait 30 "a second signed REGISTER" \
    registered alice 2
lab_tell alice offline
ok "signs out" lab_wait_line director 'event=signed-out user="sip:alice@example\.com"'
lab_tell alice online
ok "signs in again" lab_wait 10 "a second line" sh -c "[ \$(grep -c '^connected' '$LAB/alice.log') -ge 2 ]"

# It offers an older version of the protocol now. Who registers just then is told
# to wait for a minute.
lab_stop director KILL
world_director_extra='sipae = { version = 2; };'
world_director_conf
world_director_run
ok "the Director starts anew, and knows nobody: alice signs in by herself" lab_wait 90 "a sign-in" registered alice 1
ok "so does dora" lab_wait 90 "a sign-in" registered dora 1
lab_tell alice 'say sip:dora@example.com four from alice'
ok "and they go on talking" lab_wait_line dora '^received sip:alice@example\.com: four from alice'

# The pool starts anew, and has forgotten who is where: she registers before her time is up.
lab_stop pool
world_pool_start
heard_from_bob() {	# WORD
	for n in 1 2 3 4 5 6 7 8 9; do
		lab_sipsend bob$n --connect "$pool:5063" --name pool.int.example.com --ca "$LAB/pki/ca.pem" \
		    --user bob@example.com --password Bob-1 register "send MESSAGE sip:dora@example.com -b '$1 from bob'"
		lab_wait_quietly 10 lab_saw dora "^received sip:bob@example\.com: $1 from bob" && return 0
	done
	return 1
}
ok "the pool starts anew, and soon knows again where dora is" heard_from_bob five
ok "and never was a signature wrong" never_invalid alice
ok "nor one of dora's" never_invalid dora

# Associations that last ten seconds: she is not told when hers has ended, and signs in by herself.
lab_stop alice
lab_stop director KILL
world_director_extra='sipae = { lifetime = 10; };'
world_director_conf
world_director_run
sign_ins() {	# AT-LEAST
	"$LAB_BUILD/sallyportctl" --socket "$LAB/director.sock" metrics >"$LAB/metrics" &&
	    [ "$(sed -n 's/^sallyport_sign_ins_total{mechanism="ntlm",result="ok"} //p' "$LAB/metrics")" -ge "$1" ]
}
ok "dora signs in for ten seconds" lab_wait 90 "a sign-in" sign_ins 1
ok "when that is over she does so again, by herself" lab_wait 60 "another one" sign_ins 2
no "for none of her signatures was wrong" lab_saw director 'reason=bad-signature'
ok "she is written to" heard_from_bob six
ok "and nothing of ours was wrong" never_invalid dora

lab_purple inside alice@example.com alice Alice-1 "director.int.example.com:5063" "$director"
ok "a client inside signs in at the Director" lab_wait_line director 'event=signed-in .*class=client scheme=NTLM'
ok "and is sent to its pool" lab_wait 10 "the redirection" grep -a -q '^SIP/2.0 301 ' "$LAB/inside.home/debug.log"
ok "which it believes" lab_wait 5 "a signature" validated inside 1
finish
