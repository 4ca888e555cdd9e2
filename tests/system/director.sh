# The Director on its own, asked by an edge, a pool, a client inside and a
# stranger, each played by our raw sender; and its life as a process.
. "$(dirname "$0")/system.sh"

world_pki
lab_example_zones
lab_dns_start
lab_pool_start pool example.com "$pool" pool director.int.example.com "$director" bob:Bob-1
world_director_extra='timers = { drain = 1; };'
world_director_start
world_account carol@example.com Carol-1 --no-remote --no-federation
world_account dave@example.com Dave-1 --pool nowhere.example
world_account eve@example.com Eve-1 --disabled

pki=$LAB/pki
to="--ca $pki/ca.pem --name director.int.example.com"
edge="$to --connect $director:5061 --cert $pki/edge-inner.pem --key $pki/edge-inner.key"
as_pool="$to --connect $director:5061 --cert $pki/pool.pem --key $pki/pool.key"
client="$to --connect $director:5063"
user_mark='ms-edge-proxy-message-trust: ms-source-type=InternetUser;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified'
partner_mark='ms-edge-proxy-message-trust: ms-source-type=DirectPartner;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified;ms-source-network=federation'
provider_mark='ms-edge-proxy-message-trust: ms-source-type=AuthorizedServer;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=unverified;ms-source-network=publiccloud'

register() {	# USER
	echo "send REGISTER sip:example.com -T sip:$1@example.com -H 'Contact: <sip:$1@127.0.0.1:5999;transport=tls>' -H 'Expires: 60' -H '$user_mark'"
}

# says WHAT PATTERN: the sender has seen a line like that
says() {
	ok "  $1" lab_saw sipsend "$2"
}
no_line() {
	no "  $1" lab_saw sipsend "$2"
}
reason() {
	ok "  logged as $1" lab_wait_line director "event=refused reason=$1 " 5
}
received() {	# lines of the last answer
	tr -d '\r' <"$LAB/sipsend.log" | awk '/^<<< /{ n = 0 } { line[n++] = $0 } END { for (i = 0; i < n; i++) print line[i] }'
}

# Options hold no blanks, so they may fall apart into words.
# shellcheck disable=SC2086
{
# --- a remote user, through an edge
answers "a user without credentials is challenged" 401 $edge --user alice@example.com "$(register alice)"
says "SHA-256 and MD5, SHA-256 first" '^WWW-Authenticate: Digest realm="example.com", nonce="[0-9a-f]{60}", algorithm=SHA-256, qop="auth"'
ok "  in this order" test "$(received | sed -n 's/^WWW-Authenticate:.*algorithm=\([^,]*\),.*/\1/p' | tr '\n' ' ')" = 'SHA-256 MD5 '
says "with the time" '^Date: ..., .. ... .... ..:..:.. GMT'
for algorithm in SHA-256 MD5; do
	answers "alice signs in with $algorithm" 200 $edge --user alice@example.com --password Alice-1 --algorithm $algorithm "$(register alice)"
	says "  the answer says that she came from outside" '^ms-user-logon-data: RemoteUser'
done
answers "with her whole address as name" 200 $edge --user alice@example.com --login alice@example.com --password Alice-1 "$(register alice)"
answers "with a wrong password" 401 $edge --user alice@example.com --password wrong "$(register alice)"
no_line "not called stale" 'stale'
reason bad-credentials
ok "  the log of authd says why" lab_saw director 'event=bad-credentials why=wrong-password user="alice"'
answers "an unknown user gets the same answer" 401 $edge --user nobody@example.com --password wrong "$(register nobody)"
answers "a disabled user too" 401 $edge --user eve@example.com --password Eve-1 "$(register eve)"
answers "alice registers bob" 403 $edge --user alice@example.com --password Alice-1 "$(register bob)"
says "with the public diagnostics" '^ms-diagnostics-public: 4004;reason='
no_line "and no other" '^ms-diagnostics:'
answers "alice writes as bob" 403 $edge --user alice@example.com --password Alice-1 \
    "send MESSAGE sip:bob@example.com -f bob@example.com -H '$user_mark' -b x"
reason not-your-name
answers "carol may not sign in from outside" 403 $edge --user carol@example.com --password Carol-1 "$(register carol)"
says "which she is told" '^ms-diagnostics-public: 4003;reason='
reason remote-access-off
answers "a pool that is not configured" 404 $edge --user dave@example.com --password Dave-1 "$(register dave)"
ok "  logged with its name" lab_saw director 'event=pool-unknown user="dave@example.com" pool="nowhere.example"'
answers "alice writes to bob, who is not there" 480 $edge --user alice@example.com --password Alice-1 \
    "send MESSAGE sip:bob@example.com -H '$user_mark' -b x"
answers "alice writes to nobody" 404 $edge --user alice@example.com --password Alice-1 \
    "send MESSAGE sip:x@example.com -H '$user_mark' -b x"
reason unknown-user

# --- the same credentials twice
lab_sipsend sipsend $edge --user alice@example.com --password Alice-1 "$(register alice)" || :
used=$(tr -d '\r' <"$LAB/sipsend.log" | sed -n 's/^Authorization: /Authorization: /p' | tail -n 1)
answers "a replay is refused" 401 $edge --user alice@example.com "$(register alice) -H '$used'"
says "as stale, since the password was right" 'stale=true'
reason replayed
answers "and for another method it proves nothing" 401 $edge --user alice@example.com \
    "send MESSAGE sip:example.com -f alice@example.com -H '$user_mark' -H '$used' -b x"
no_line "not called stale" 'stale'
answers "credentials for another request" 400 $edge --user alice@example.com \
    "send MESSAGE sip:bob@example.com -f alice@example.com -H '$user_mark' -H '$used' -b x"
answers "a nonce that is none of ours" 401 $edge --user alice@example.com \
    "$(register alice) -H '$(echo "$used" | sed 's/nonce="\([0-9a-f]*\)[0-9a-f]"/nonce="\1g"/')'"
no_line "not called stale, since the response does not fit either" 'stale'
answers "malformed credentials" 400 $edge --user alice@example.com \
    "$(register alice) -H 'Authorization: Digest username=\"alice\", realm=\"example.com\", nc=1'"
answers "credentials for another realm are none" 401 $edge --user alice@example.com \
    "$(register alice) -H '$(echo "$used" | sed 's/realm="[^"]*"/realm="elsewhere"/')'"

# --- partners, through an edge
answers "a partner is not challenged" 480 $edge --user x@contoso.example "send MESSAGE sip:bob@example.com -H '$partner_mark' -b x"
answers "a partner writes to nobody" 404 $edge --user x@contoso.example "send MESSAGE sip:x@example.com -H '$partner_mark' -b x"
says "with diagnostics for the inside" '^ms-diagnostics: 4005;reason=.*;source="director.int.example.com"'
answers "a partner writes to who may not be reached" 403 $edge --user x@contoso.example \
    "send MESSAGE sip:carol@example.com -H '$partner_mark' -b x"
reason federation-not-enabled
answers "a public provider's user too" 403 $edge --user x@im.example "send MESSAGE sip:bob@example.com -H '$provider_mark' -b x"
reason public-im-not-enabled
answers "a partner writes to a disabled user" 404 $edge --user x@contoso.example "send MESSAGE sip:eve@example.com -H '$partner_mark' -b x"
answers "a partner registers" 403 $edge --user x@contoso.example \
    "send REGISTER sip:example.com -H 'Contact: <sip:x@127.0.0.1>' -H '$partner_mark'"
reason register-from-federation
answers "a partner claims one of our users" 403 $edge --user bob@example.com "send MESSAGE sip:alice@example.com -H '$partner_mark' -b x"
reason spoofed-from

# --- edges, pools, strangers
answers "an edge without a mark" 403 $edge --user alice@example.com "send MESSAGE sip:bob@example.com -b x"
reason untrusted-peer
answers "an edge asks whether we are there" 200 $edge --user edge@edge.int.example.com "send OPTIONS sip:director.int.example.com"
answers "what an edge has refused, we say" 403 $edge --user alice@example.com \
    "send MESSAGE sip:bob@example.com -H '$user_mark' -H 'x-sallyport-refused: spoofed-from' -b x"
says "with its diagnostics" '^ms-diagnostics-public: 1017;reason='
answers "a forged route" 481 $edge --user alice@example.com \
    "send BYE sip:bob@example.com -T sip:bob@example.com>;tag=<x -H 'To: <sip:bob@example.com>;tag=x' -H '$user_mark' -H 'Route: <sip:director.int.example.com:5061;transport=tls;opaque=state:Si.R1;lr;ms-route-sig=AAAAAAAAAAAAAAAAAAAAAAAAAA>'"
reason route-forged
answers "a pool writes abroad, no edge is there" 504 $as_pool --user bob@example.com "send MESSAGE sip:x@contoso.example -b x"
says "with diagnostics" '^ms-diagnostics: 1007;reason='
answers "a pool writes to its own user" 482 $as_pool --user bob@example.com "send MESSAGE sip:alice@example.com -b x"
reason loops-back
answers "a pool registers" 403 $as_pool --user bob@example.com "$(register bob)"
"$LAB_TOP/certs-example/make-pki" "$pki" cert rogue --dns rogue.int.example.com >/dev/null
no "a certificate of somebody else" lab_sipsend sipsend $to --connect $director:5061 --cert $pki/rogue.pem --key $pki/rogue.key \
    --user bob@example.com "send MESSAGE sip:alice@example.com -b x"
ok "  closed, with the reason" lab_wait_line director 'event=disconnected .*reason=untrusted-peer' 5
no "no certificate at the servers' door" lab_sipsend sipsend $to --connect $director:5061 --user bob@example.com \
    "send MESSAGE sip:alice@example.com -b x"

# --- clients inside
answers "a client inside is challenged" 401 $client --user bob@example.com "$(register bob)"
answers "then redirected" 301 $client --user bob@example.com --password Bob-1 "$(register bob)"
says "to its pool, without a user part" '^Contact: <sip:pool.int.example.com:5061;transport=tls>'
answers "carol may sign in inside" 301 $client --user carol@example.com --password Carol-1 "$(register carol)"
answers "a mark of a client's own is worth nothing" 401 $client --user x@contoso.example \
    "send MESSAGE sip:bob@example.com -H '$partner_mark' -b x"
answers "a message of a client's" 480 $client --user bob@example.com --password Bob-1 "send MESSAGE sip:bob@example.com -b x"
answers "carol may not write to partners" 403 $client --user carol@example.com --password Carol-1 "send MESSAGE sip:x@contoso.example -b x"

# --- what changes while it runs
"$LAB_BUILD/sallyportctl" user set alice@example.com --users "$LAB/users" --no-remote
kill -HUP "$(lab_pid director)"
ok "HUP reads everything again" lab_wait_line director 'event=reloaded' 5
no "  also a key that is root's alone" lab_saw director 'event=certificate-kept'
answers "alice may not come from outside any more" 403 $edge --user alice@example.com --password Alice-1 "$(register alice)"
"$LAB_BUILD/sallyportctl" user set alice@example.com --users "$LAB/users" --remote
alice_may_again() {
	lab_sipsend sipsend $edge --user alice@example.com --password Alice-1 "$(register alice)"
}
ok "a changed user file is noticed without being told" lab_wait 10 "the change to be noticed" alice_may_again
echo 'nonsense = 1;' >>"$LAB/director.conf"
kill -HUP "$(lab_pid director)"
ok "a bad configuration is refused" lab_wait_line director 'event=reload-refused' 5
ok "  and the line is named" lab_saw director 'director.conf:[0-9]+: nonsense: there is no such option'
ok "  the old one stays in force" alice_may_again
sed -i '$d' "$LAB/director.conf"
}

# --- its life as a process
authd_of() {
	ps -o pid=,comm= --ppid "$(lab_pid director)" | sed -n 's/^ *\([0-9]*\) authd$/\1/p'
}
proxy_of() {
	ps -o pid=,comm= --ppid "$(lab_pid director)" | sed -n 's/^ *\([0-9]*\) sallyport-direc$/\1/p'
}
has_network() {	# PID
	ss -Htunap | grep -q "pid=$1,"
}
ok "the proxy has connections" has_network "$(proxy_of)"
ok "authd is a process of its own" test -n "$(authd_of)"
no "  without any" has_network "$(authd_of)"
# ended STATUS PID: it ends with that status
ended() {
	lab_d=0
	wait "$2" || lab_d=$?
	[ "$lab_d" = "$1" ]
}
was=$(lab_pid director)
kill -TERM "$was"
ok "TERM ends it with status 0" ended 0 "$was"
ok "  after saying so" lab_saw director 'event=stopped'
lab_start director "$LAB_BUILD/sallyport-director" -f "$LAB/director.conf"
lab_wait_port director "$director" 5061
was=$(lab_pid director)
dead=$(authd_of)
served=$(proxy_of)
kill -KILL "$dead"
ok "when authd dies that is said" lab_wait_line director 'event=authd-ended .*signal 9' 5
ok "  and another takes its place" lab_wait_line director 'event=authd-started .*the workers' 5
another_lives() {
	[ -n "$(authd_of)" ] && [ "$(authd_of)" != "$dead" ] && [ "$(proxy_of)" = "$served" ]
}
ok "  while the proxy stays" another_lives
ok "  and users sign in" alice_may_again
lab_stop director

lab_start director "$LAB_BUILD/sallyport-director" -f "$LAB/director.conf"
lab_wait_port director "$director" 5061
left=$(authd_of)
kill -KILL "$(lab_pid director)"
left_alone() {
	! kill -0 "$left" 2>/dev/null
}
ok "when the Director is killed authd does not stay behind" lab_wait 5 "authd to end" left_alone
lab_stop director

# check STATUS PATTERN: what -n says about the configuration
check() {
	lab_d=0
	"$LAB_BUILD/sallyport-director" -n -f "$LAB/director.conf" >"$LAB/check.log" 2>&1 || lab_d=$?
	[ "$lab_d" = "$1" ] && lab_saw check "$2"
}
ok "-n says that all is good" check 0 'director.conf: good'
chmod 640 "$LAB/users"
ok "-n looks at the user file" check 78 'users: may be read .* mode 0600'
chmod 600 "$LAB/users"
sed -i 's,director.key,no-such.key,' "$LAB/director.conf"
ok "-n looks at the key" check 78 'no-such.key'
printf 'workers = "many";\nnonsense = 1;\n' >>"$LAB/director.conf"
ok "-n names a wrong line" check 78 'director.conf:[0-9]+: workers: expects a number'
ok "  and the next one" check 78 'director.conf:[0-9]+: nonsense: there is no such option'
ok "  and the key all the same, once" [ "$(grep -c 'director.conf:[0-9]*: tls.certificate: .*no-such.key' "$LAB/check.log")" = 1 ]
echo rubbish >>"$LAB/users"
ok "  and a line of the user file" check 78 'users:[0-9]+: the line does not begin'

finish
