# Kerberos: tickets of a real KDC, shown by Pidgin-SIPE and by a raw client,
# through the edge and the Director.
. "$(dirname "$0")/system.sh"

for program in krb5kdc kadmin.local kinit; do
	if ! PATH=$PATH:/usr/sbin command -v "$program" >/dev/null; then
		echo "skip $program is not installed"
		exit 0
	fi
done
# shellcheck disable=SC2046 # several words
"${CC:-cc}" -O1 -g -w -o "$LAB/kerberos" "$LAB_TOP/tests/lab/kerberos.c" $(pkg-config --cflags --libs krb5-gssapi)

kdc=$LAB_NET.7.1
"$LAB_TOP/tests/lab/kdc.sh" "$LAB/kdc" "$kdc" 10088 director.int.example.com 10089
KRB5_CONFIG=$LAB/kdc/krb5.conf KRB5RCACHEDIR=$LAB/kdc
export KRB5_CONFIG KRB5RCACHEDIR
lab_start kdc env PATH="$PATH:/usr/sbin" KRB5_KDC_PROFILE="$LAB/kdc/kdc.conf" krb5kdc -n \
    -r EXAMPLE.COM -r EXAMPLE.ORG -r EXAMPLE.NET
lab_wait_port kdc "$kdc" 10088

world_pki
lab_example_zones
lab_dns_start
lab_ms_clients=yes
world_pool_start
world_auth_extra="keytab = \"$LAB/kdc/sip.keytab\"; kerberos_realms = [ \"EXAMPLE.COM=example.com\", \"EXAMPLE.ORG=example.com\" ];"
world_director_start
world_account dora@example.com Dora-1
world_account olga@example.com Olga-1
world_edge_start

# Long-term secrets are authd's alone.
network_process() {
	for p in $(lab_pid director) $(pgrep -P "$(lab_pid director)"); do
		[ "$(stat -c %U "/proc/$p")" != "$world_user" ] || echo "$p"
	done
}
cannot_read() {	# FILE
	! setpriv --reuid="$world_user" --clear-groups test -r "$1"
}
keeps_closed() {	# FILE
	[ -n "$(network_process)" ] && for p in $(network_process); do
		! find "/proc/$p/fd" -lname "$1" | grep -q . || return 1
	done
}
ok "the network process may not read the keytab" cannot_read "$LAB/kdc/sip.keytab"
ok "nor the user file" cannot_read "$LAB/users"
ok "and has neither open" keeps_closed "$LAB/*keytab"

# Mistakes are found before anybody signs in.
sed "s,kdc/sip.keytab,kdc/other.keytab," "$LAB/director.conf" >"$LAB/other.conf"
complains() {	# FILE WORDS
	! "$LAB_BUILD/sallyport-director" -n -f "$1" >"$LAB/complaint" 2>&1 && grep -q "$2" "$LAB/complaint"
}
ok "the configuration is right" "$LAB_BUILD/sallyport-director" -n -f "$LAB/director.conf"
ok "a keytab without our key is found" complains "$LAB/other.conf" 'other.keytab.*no key of sip/director.int.example.com'
chmod 644 "$LAB/kdc/other.keytab"
ok "one that others may read, too" complains "$LAB/other.conf" 'other.keytab.*0600'
lab_start other "$LAB_BUILD/sallyport-director" -f "$LAB/other.conf"
ok "nothing starts with it" expected_end other
ok "and it says why" lab_saw other 'event=keytab-bad .*other\.keytab'

printf 'Alice-1\n' | kinit -c "FILE:$LAB/kdc/alice" alice >/dev/null
printf 'Stranger-1\n' | kinit -c "FILE:$LAB/kdc/stranger" stranger >/dev/null
printf 'Olga-1\n' | kinit -c "FILE:$LAB/kdc/olga" olga@EXAMPLE.ORG >/dev/null
printf 'Other-1\n' | kinit -c "FILE:$LAB/kdc/other" alice@EXAMPLE.NET >/dev/null
LAB=$LAB EDGE=$edge_outer:443 python3 -B "$(dirname "$0")/kerberos.py" || failures=$((failures + 1))

ok "the log says which part failed" lab_wait_line director 'event=ticket-unchecked .*sip\.keytab'
ok "whose clock is wrong" lab_saw director 'event=bad-credentials why=clock-skew scheme=Kerberos'
ok "  is told so" lab_saw director 'event=refused reason=clock-skew '
ok "of which realm nobody is known" lab_saw director 'event=bad-credentials why=[a-z-]* scheme=Kerberos principal="?alice@EXAMPLE\.NET'
ok "and why tickets were refused" lab_wait_line director 'event=bad-credentials why=replayed scheme=Kerberos'

if ! pkg-config --exists purple libxml-2.0 2>/dev/null; then
	echo "skip libpurple-dev is not installed"
	finish
fi
# shellcheck disable=SC2046
"${CC:-cc}" -O1 -g -w -rdynamic -o "$LAB/purple" "$LAB_TOP/tests/lab/purple.c" \
    $(pkg-config --cflags --libs purple libxml-2.0) -ldl

lab_purple() {	# NAME USER@DOMAIN LOGIN PASSWORD SCHEME
	rm -rf "$LAB/$1.home"
	mkdir -p "$LAB/$1.home" "$LAB/roots"
	cp "$LAB/pki/ca.pem" "$LAB/roots/ca.pem"
	lab_start "$1" env HOME="$LAB/$1.home" KRB5CCNAME="FILE:$LAB/$1.home/tickets" "$LAB/purple" "$LAB/$1.home" "$2" "$3" \
	    "$4" sip.example.com:443 "$edge_outer" "$LAB/roots" "$5"
	echo quit >"$LAB/$1.goodbye"
}
validated() {	# NAME AT-LEAST
	[ "$(grep -a -c 'signature of incoming message validated' "$LAB/$1.home/debug.log")" -ge "$2" ]
}
never_invalid() {	# NAME
	! grep -a -q -i 'invalid message signature\|signature of incoming message is invalid' "$LAB/$1.home/debug.log"
}

lab_forget director
lab_purple alice alice@example.com alice@example.com Alice-1 krb5
ok "Pidgin signs in with Kerberos through the edge" lab_wait_line alice '^connected'
ok "the Director knows how" lab_wait_line director 'event=signed-in .*scheme=Kerberos .*alice@example\.com'
lab_purple dora dora@example.com dora@example.com Dora-1 ntlm
ok "somebody else does with NTLM" lab_wait_line dora '^connected'
lab_tell alice 'say sip:dora@example.com one from alice'
ok "a message from Kerberos to NTLM" lab_wait_line dora '^received sip:alice@example\.com: one from alice'
lab_tell dora 'say sip:alice@example.com two from dora'
ok "and back" lab_wait_line alice '^received sip:dora@example\.com: two from dora'
ok "every answer and request was signed" lab_wait 5 "four signatures" validated alice 4
ok "none of them was wrong" never_invalid alice
ok "nor was one of hers" world_not_received director 'reason=bad-signature|reason=replayed'
finish
