# shellcheck shell=sh disable=SC2034
# Homes and gates from an LDAP directory: two real servers, their failures, and
# those who try to make a filter say something else.
. "$(dirname "$0")/system.sh"
. "$LAB_TOP/tests/lab/ldap.sh"

if ! command -v slapd >/dev/null || ! command -v ldapmodify >/dev/null; then
	echo "skip slapd and ldap-utils are not installed"
	finish
	exit
fi

first=$LAB_NET.7.1 second=$LAB_NET.7.2 third=$LAB_NET.7.3
world_pki
pki=$LAB/pki
"$LAB_TOP/certs-example/make-pki" "$pki" cert ldap --dns ldap.int.example.com --ip "$first" --ip "$second" >/dev/null
"$LAB_TOP/certs-example/make-pki" "$pki" cert ldap-rogue --issuer untrusted --dns ldap.int.example.com --ip "$third" >/dev/null
lab_example_zones
lab_dns_start
lab_pool_start pool example.com "$pool" pool director.int.example.com "$director" bob:Bob-1
kerberos=
if command -v krb5kdc >/dev/null && ls /usr/lib/*/sasl2/libgssapiv2.so >/dev/null 2>&1; then
	kerberos=yes
	ldap_kdc_start "$LAB_NET.7.88" "$first" "$second"
fi
ldap_start ldap1 "$first" ldap
ldap_start ldap2 "$second" ldap
ldap_start ldap3 "$third" ldap-rogue

(umask 077 && echo Ask-Me-1 >"$LAB/ldap.password")

# directory SERVERS [LINE]...: what the Director's configuration says of it
directory() {
	servers=$1
	shift
	cat <<-CONF
	public_im = [ "im.example" ];
	directory = { homes = "ldap"; ttl = 300; negative_ttl = 1; timeout = 3000; };
	ldap = {
	    servers = [ $servers ];
	    trust = "$pki/ca.pem";
	    bind = "simple";
	    bind_dn = "cn=sallyport,dc=example,dc=com";
	    password_file = "$LAB/ldap.password";
	    bases = [ "ou=people,dc=example,dc=com" ];
	    server_timeout = 700;
	    pause = 2;
	    $*
	};
	CONF
}

world_auth_extra='timeout = 8000;'
restart_with() {
	lab_stop director
	world_director_extra=$(directory "$@")
	world_director_conf
	world_director_run
}

rm -f "$LAB/users"
for user in alice:Alice-1 bob:Bob-1 carol:Carol-1 dave:Dave-1 frank:Frank-1 nohome:Nohome-1; do
	# the pool that is said here does not count
	echo "${user#*:}" | "$LAB_BUILD/sallyportctl" user add "${user%%:*}@example.com" --users "$LAB/users" \
	    --pool nowhere.example --password-file -
done

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
write_to() {	# USER [MARK]
	echo "send MESSAGE sip:$1@example.com -H '${2:-$partner_mark}' -b x"
}
says() {
	ok "  $1" lab_saw sipsend "$2"
}
reason() {
	ok "  logged as $1" lab_wait_line director "event=refused reason=$1 " 5
}
reload() {
	lab_forget director
	kill -HUP "$(lab_pid director)"
	lab_wait_line director 'event=reloaded' 5
}
both="\"ldaps://$first\", \"ldaps://$second\""
partner="--user x@contoso.example"
# status_is STATUS USER: a partner who writes to that user is told so
status_is() {
	lab_sipsend sipsend $edge $partner "$(write_to "$2")" || :
	lab_saw sipsend "^SIP/2.0 $1 "
}
# soon WHAT STATUS USER: the same, once the servers have been reached in a new way: the first to ask may wait in vain
soon() {
	lab_wait_quietly 20 status_is "$2" "$3" || :
	answers "$1" "$2" $edge $partner "$(write_to "$3")"
}

# Options hold no blanks, so they may fall apart into words.
# shellcheck disable=SC2086
{
restart_with "$both"

# --- homes and gates
answers "alice signs in; her pool is three entries above what her own one names" 200 $edge --user alice@example.com \
    --password Alice-1 "$(register alice)"
ok "  in the pool that has its name in capitals" lab_saw director 'event=signed-in .*user="alice@example.com" pool=pool.int.example.com'
answers "bob may not come from outside" 403 $edge --user bob@example.com --password Bob-1 "$(register bob)"
says "which he is told" '^ms-diagnostics-public: 4003;'
answers "inside he is redirected; his entry names the host" 301 $client --user bob@example.com --password Bob-1 "$(register bob)"
says "to the pool" '^Contact: <sip:pool.int.example.com:5061;transport=tls>'
answers "a wrong password is wrong, whatever the directory says" 401 $edge --user alice@example.com --password wrong "$(register alice)"
answers "dave is not enabled in the directory" 403 $edge --user dave@example.com --password Dave-1 "$(register dave)"
reason user-not-enabled
answers "neither is who has an account alone" 403 $edge --user nohome@example.com --password Nohome-1 "$(register nohome)"
answers "frank's pool has no entry" 404 $edge --user frank@example.com --password Frank-1 "$(register frank)"
ok "  which is logged" lab_saw director 'event=ldap-pool .*about="CN=pool99,OU=pools,DC=example,DC=com"'
answers "a partner writes to alice" 480 $edge $partner "$(write_to bob)"
answers "a partner writes to nobody" 404 $edge $partner "$(write_to nobody)"
answers "a partner writes to dave" 404 $edge $partner "$(write_to dave)"
answers "a partner writes to carol" 403 $edge $partner "$(write_to carol)"
reason federation-not-enabled
answers "a provider's user writes to carol" 403 $edge $partner "$(write_to carol "$provider_mark")"
reason public-im-not-enabled
answers "carol writes to a partner" 403 $client --user carol@example.com --password Carol-1 "send MESSAGE sip:x@contoso.example -b x"
says "that she may write to nobody outside" '^ms-diagnostics: 1012;'
answers "frank writes to a partner" 403 $client --user frank@example.com --password Frank-1 "send MESSAGE sip:x@contoso.example -b x"
says "that he may not write to partners" '^ms-diagnostics: 1002;'
answers "frank writes to a public provider's user, where only the edge is missing" 504 $client --user frank@example.com \
    --password Frank-1 "send MESSAGE sip:x@im.example -b x"
answers "bob to the same" 403 $client --user bob@example.com --password Bob-1 "send MESSAGE sip:x@im.example -b x"
says "that he may not use public IM" '^ms-diagnostics: 1001;'
answers "the pool speaks for carol" 403 $as_pool --user carol@example.com "send MESSAGE sip:x@contoso.example -b x"
reason outside-not-enabled
answers "the pool speaks for a service that is no user" 504 $as_pool --user service@example.com "send MESSAGE sip:x@contoso.example -b x"
answers "an address that two entries have" 404 $edge $partner "$(write_to twin)"
ok "  is logged" lab_saw director 'event=ldap-ambiguous .*about="twin@example.com"'
answers "proxyAddresses do not count unless that is said" 404 $edge $partner "$(write_to robert)"

# --- what is asked twice
before=$(ldap_asked ldap1 'sip:bob@example.com')
answers "bob again" 480 $edge $partner "$(write_to bob)"
answers "BOB, too" 480 $edge $partner "$(write_to BOB)"
ok "  were not asked for again" [ "$before" = "$(ldap_asked ldap1 'sip:bob@example.com')" ]
ok "HUP forgets what was answered" reload
answers "bob once more" 480 $edge $partner "$(write_to bob)"
ok "  was asked for" [ "$((before + 1))" = "$(ldap_asked ldap1 'sip:bob@example.com')" ]
answers "grace is not there yet" 404 $edge $partner "$(write_to grace)"
for address in "$first" "$second"; do
	ldap_change "$address" <<-LDIF
	dn: cn=grace,ou=people,dc=example,dc=com
	changetype: add
	objectClass: sipUser
	cn: grace
	msRTCSIP-PrimaryUserAddress: sip:grace@example.com
	msRTCSIP-UserEnabled: TRUE
	msRTCSIP-FederationEnabled: TRUE
	msRTCSIP-PrimaryHomeServer: pool.int.example.com
	LDIF
done
ok "grace is found once it is forgotten that she was not there" lab_wait 10 "grace" status_is 480 grace

# --- filters that are none
for user in '*' 'b*' 'bob)(cn=*' '*)(objectClass=*' 'x)(%7c(cn=bob)' '%5c2a' 'bob%00' '%28' '%c3%a4' 'bob%5c' '!bob' 'a&b'; do
	answers "$user is nobody" 404 $edge $partner "send MESSAGE sip:$user@example.com -H '$partner_mark' -b x"
done
no "  and no server found fault with a filter" lab_saw director 'event=ldap-down'
ok "the servers were never asked for a pattern" [ "$(grep -a -c 'filter=.*[=*]\*' "$LAB/ldap1.log" || :)" = "$(grep -a -c 'filter="(objectClass=\*)"' "$LAB/ldap1.log" || :)" ]

# --- servers fail
lab_stop ldap1
answers "the first server ends: the second knows carol's gate" 403 $edge $partner "$(write_to carol "$provider_mark")"
ok "  the failure is logged" lab_wait_line director "event=ldap-down server=.*$first" 5
reload
answers "  also when nothing is remembered" 480 $edge $partner "$(write_to bob)"
ok "  the second was asked" [ "$(ldap_asked ldap2 'sip:bob@example.com')" -gt 0 ]
ldap_run ldap1 "$first"
ask_anew() {
	status_is 404 "nobody$(date +%s%N)" && lab_saw director "event=ldap-up .*$first"
}
ok "the first is used again when it is back" lab_wait 20 "the first server" ask_anew

lab_kill STOP "$(lab_pid ldap1)"
reload
answers "the first hangs: the second answers in time" 480 $edge $partner "$(write_to bob)"
lab_kill STOP "$(lab_pid ldap2)"
answers "both hang: what is remembered holds" 480 $edge $partner "$(write_to bob)"
lab_forget director
lab_sipsend_start waiting $edge $partner "$(write_to stranger)"
answers "a wrong password does not wait for them" 401 $client --user bob@example.com --password wrong "$(register bob)"
ok "who is not remembered gets 504" lab_wait_line waiting '^SIP/2.0 504 ' 10
ok "  for a reason" lab_wait_line director 'event=refused reason=directory-unavailable' 5
ok "  and later than the wrong password" sh -c 'sed -n "/event=bad-credentials/,\$p" "$1" | grep -q reason=directory-unavailable' sh "$LAB/director.log"
expected_end waiting
lab_kill CONT "$(lab_pid ldap1)"
lab_kill CONT "$(lab_pid ldap2)"
ok "all is well again when they go on" lab_wait 20 "the directory" status_is 404 stranger

# --- servers fail under load: each request has its answer, and who is remembered is served
lab_start load /usr/bin/python3 -B "$LAB_TOP/tests/system/ldapload.py" "$director:5061" "$pki" "$LAB/load.counts"
counted() {	# WHAT: how many there are now
	sed -n "s/.*\\<$1 \\([0-9]*\\).*/\\1/p" "$LAB/load.counts" 2>/dev/null
}
grows() {	# WHAT BY: is it so many more than it was when this was last marked?
	lab_now=$(counted "$1")
	[ "${lab_now:-0}" -ge "$(($(sed -n "s/.*\\<$1 \\([0-9]*\\).*/\\1/p" "$LAB/load.mark") + $2))" ]
}
mark() {
	cp "$LAB/load.counts" "$LAB/load.mark"
}
lab_wait 10 "the load" test -s "$LAB/load.counts"
mark
ok "partners write to users who are there and who are not" lab_wait 20 "answers" grows unknown 20
for how in STOP KILL; do
	for server in ldap1 ldap2; do
		lab_kill "$how" "$(lab_pid $server)"
	done
	mark
	ok "$how to both servers under load: who is not remembered is told that nobody can say" lab_wait 30 "504" grows late 6
	mark
	ok "  who is remembered is served all the while" lab_wait 20 "answers" grows known 6
	if [ "$how" = STOP ]; then
		lab_kill CONT "$(lab_pid ldap1)"
		lab_kill CONT "$(lab_pid ldap2)"
	else
		ldap_run ldap1 "$first"
		ldap_run ldap2 "$second"
	fi
	mark
	ok "  when they are there again, they are asked again" lab_wait 30 "answers" grows unknown 20
done
lab_load=$(lab_pid load)
lab_kill TERM "$lab_load"
load_ended() {
	! kill -0 "$lab_load" 2>/dev/null
}
ok "the load ends" lab_wait 60 "the last answers" load_ended
expected_end load
echo "# $(cat "$LAB/load.counts")"
ok "none was lost, and no connection was closed" [ "$(counted lost) $(counted closed) $(counted other)" = "0 0 0" ]
ok "  and each has been answered" [ "$(counted asked)" = "$(($(counted known) + $(counted unknown) + $(counted late)))" ]

# --- what a reload changes, without a restart
configure() {	# SERVERS [LINE]...
	world_director_extra=$(directory "$@")
	world_director_conf
	reload
}
configure "\"ldaps://$third\""
answers "another server, which is not trusted" 504 $edge $partner "$(write_to bob)"
ok "  it was asked" lab_saw director "event=ldap-down .*$third"
configure "$both" 'filter = "(cn=nobody-at-all)";'
soon "the first two again, with a filter that nobody matches" 404 bob
configure "$both"
soon "  and without it" 480 bob
sed -i 's/bases = \[ /bases = [ "cn=sallyport,dc=example,dc=com", /' "$LAB/director.conf"
reload
soon "several bases: who is below the second is found" 480 bob
soon "  and who is below neither is not" 404 bertha
configure "$both"
(umask 077 && echo Ask-Me-2 >"$LAB/ldap.password")
reload
answers "the password in the file is another, and wrong" 504 $edge $partner "$(write_to bob)"
ok "  as is said" lab_wait_line director 'event=ldap-down .*bind: Invalid credentials' 5
echo Ask-Me-1 >"$LAB/ldap.password"
reload
soon "  right again" 480 bob
chmod 644 "$LAB/ldap.password"
sed -i 's/pause = 2;/pause = 3;/' "$LAB/director.conf"
lab_forget director
lab_kill HUP "$(lab_pid director)"
ok "a password that others may read" lab_wait_line director 'event=reload-refused .*authd' 5
answers "  leaves the old configuration in force" 480 $edge $partner "$(write_to bob)"
chmod 600 "$LAB/ldap.password"
sed -i 's/homes = "ldap"/homes = "file"/; s/servers = \[.*\];$/servers = [ ];/' "$LAB/director.conf"
reload
answers "the file says where homes are, from now on" 404 $edge $partner "$(write_to bob)"
ok "  which names a pool that is not there" lab_saw director 'event=pool-unknown .*nowhere\.example'
configure "$both"
soon "and the directory again" 480 bob

# --- its process
keeper() {	# below authd
	ps -o pid= --ppid "$(ps -o pid=,comm= --ppid "$(lab_pid director)" | sed -n 's/^ *\([0-9]*\) authd$/\1/p')" | tr -d ' '
}
asker() {	# the newest of the Director's family
	ps -o pid= --ppid "$(keeper)" | tr -d ' '
}
was=$(asker)
ok "it runs as $world_user or who authd is" test -n "$was"
ok "  in a sandbox" grep -q '^Seccomp:.*2$' "/proc/$was/status"
no "  and does not have the user file" sh -c 'ls -l /proc/"$1"/fd | grep -q users' sh "$was"
lab_kill KILL "$was"
ok "another takes its place" lab_wait_line director 'event=ldap-ended' 5
reload
ok "  and answers" lab_wait 10 "the directory" status_is 480 bob
was=$(asker)
lab_kill KILL "$(keeper)"
ok "when the one that starts it dies, authd begins anew with both" lab_wait_line director 'event=authd-started .*the workers' 10
ok "  which ended, and says why" lab_saw director 'event=authd-anew'
ok "  and answers" lab_wait 10 "the directory" status_is 480 bob
another_asks() {
	[ -n "$(asker)" ] && [ "$(asker)" != "$was" ]
}
ok "  with another process" another_asks

# --- TLS
restart_with "\"ldap://$first\"" 'proxy_addresses = true;'
soon "StartTLS" 480 bob
ok "  was used" lab_saw ldap1 'STARTTLS|TLS established'
soon "proxyAddresses count if that is said" 480 robert
restart_with "\"ldap://$third\""
answers "StartTLS with a stranger's certificate is refused" 504 $edge $partner "$(write_to bob)"
ok "  and the failure named" lab_wait_line director 'event=ldap-down .*StartTLS' 5
restart_with "\"ldaps://$third\""
answers "so is TLS from the beginning" 504 $edge $partner "$(write_to bob)"
no "the password was not told" lab_saw ldap3 'BIND dn="cn=sallyport'
restart_with "\"ldaps://localhost\""
answers "a server that is not there" 504 $edge $partner "$(write_to bob)"
(umask 077 && echo Ask-Me-2 >"$LAB/ldap.password")
restart_with "$both"
answers "a wrong password of ours" 504 $edge $partner "$(write_to bob)"
ok "  is named" lab_wait_line director 'event=ldap-down .*bind: Invalid credentials' 5
ok "  for both" lab_wait_line director "event=ldap-down server=.*$second" 5

# --- both
echo Ask-Me-1 >"$LAB/ldap.password"
"$LAB_BUILD/sallyportctl" user set bob@example.com --users "$LAB/users" --pool pool.int.example.com --no-federation
restart_with "$both"
soon "in the directory bob may be reached" 480 bob
lab_stop director
sed -i 's/homes = "ldap"/homes = "both"/' "$LAB/director.conf"
world_director_run
answers "in the file he may not, and the file is first" 403 $edge $partner "$(write_to bob)"
soon "who is not in the file is in the directory" 480 grace
lab_stop director

# --- Kerberos
if [ -n "$kerberos" ]; then
	KRB5_CONFIG=$LAB/kdc/krb5.conf
	export KRB5_CONFIG
	for servers in "$both" "\"ldap://$first\""; do
		restart_with "$servers" "keytab = \"$LAB/sallyport.keytab\"; default_pool = \"pool.int.example.com\";"
		lab_stop director
		sed -i -e 's/bind = "simple"/bind = "gssapi"/' -e '/bind_dn = /d' -e '/password_file = /d' "$LAB/director.conf"
		world_director_run
		soon "with a ticket instead of a password ($servers)" 480 bob
	done
	ok "  as whom the server knows us" lab_wait_line ldap1 'BIND dn="uid=sallyport,cn=gssapi,cn=auth"' 5
	lab_stop kdc
	world_director_run
	answers "without a KDC there is no ticket" 504 $edge $partner "$(write_to bob)"
	ok "  which is named" lab_wait_line director 'event=ldap-down .*bind: .*GSS' 5
	lab_stop director
	restart_with "$both"
	lab_stop director
else
	echo "skip the part with Kerberos: there is no KDC, or no GSSAPI for SASL"
fi

# --- mistakes
lab_d=0
chmod 644 "$LAB/ldap.password"
"$LAB_BUILD/sallyport-director" -f "$LAB/director.conf" >"$LAB/mistake.log" 2>&1 || lab_d=$?
ok "a password that others may read stops the start" [ "$lab_d" = 78 ]
ok "  and is named" lab_saw mistake 'event=ldap-password .*mode 0600'
}

finish
