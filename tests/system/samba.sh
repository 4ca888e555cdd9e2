# Active Directory, played by a Samba domain controller of our own: Pidgin-SIPE
# signs in through the edge with NTLM, which the domain judges, and with Kerberos;
# whose address an account has, LDAP says. The controller fails and comes back.
. "$(dirname "$0")/system.sh"
. "$LAB_TOP/tests/lab/samba.sh"

samba_is_here || { echo "skip Samba's domain controller is not installed"; exit 0; }
samba_clients || { echo "skip libpurple-dev is not installed"; exit 0; }

dc=$LAB_NET.7.1
world_pki
ok "a domain is made" samba_make "$dc" director.int.example.com
ok "its controller runs" samba_run
lab_example_zones
lab_dns_start
# shellcheck disable=SC2034 # for lab_pool_start
lab_ms_clients=yes
world_pool_start

(umask 077 && echo Ask-Me-1pass >"$LAB/ldap.password")
over_tls="servers = [ \"ldaps://$dc\" ]; trust = \"$LAB/pki/ca.pem\"; bind = \"simple\";
	    bind_dn = \"sallyport@corp.example.com\"; password_file = \"$LAB/ldap.password\";"
(umask 077 && : >"$LAB/users")
director_with "$over_tls"
world_edge_start

validated() {	# NAME AT-LEAST
	[ "$(grep -a -c 'signature of incoming message validated' "$LAB/$1.home/debug.log")" -ge "$2" ]
}
never_invalid() {	# NAME
	! grep -a -q -i 'invalid message signature\|signature of incoming message is invalid' "$LAB/$1.home/debug.log"
}
# --- who signs in
lab_purple alice alice@example.com 'CORP\a.smith' Alice-1pass ntlm
ok "NTLM: an account that is not called as its address" lab_wait_line alice '^connected'
ok "  is known by its address" lab_wait_line director 'event=signed-in .*scheme=NTLM .*alice@example\.com'
lab_purple dora dora@example.com 'dora.jones@corp.example.com' Dora-1pass ntlm
ok "NTLM: by the principal name" lab_wait_line dora '^connected'
lab_purple busy busy@example.com 'busy@corp.example.com' Busy-1pass krb5
ok "Kerberos: a user in 700 groups" lab_wait_line busy '^connected'
ok "  is known by the address" lab_wait_line director 'event=signed-in .*scheme=Kerberos .*busy@example\.com'
longest() {
	grep -a -o 'gssapi-data="[^"]*"' "$LAB/$1.home/debug.log" | wc -L
}
ok "  whose ticket was longer than another header may be" [ "$(longest busy)" -gt 8192 ]
lab_tell alice 'say sip:dora@example.com one from alice'
ok "a message from one to the other" lab_wait_line dora '^received sip:alice@example\.com: one from alice'
lab_tell dora 'say sip:busy@example.com two from dora'
ok "and on, from NTLM to Kerberos" lab_wait_line busy '^received sip:dora@example\.com: two from dora'
for name in alice dora busy; do
	ok "everything that $name got was signed" lab_wait 5 "signatures" validated $name 3
	ok "  and well" never_invalid $name
done
ok "nor was a signature of theirs wrong" world_not_received director 'reason=bad-signature|reason=replayed'
lab_stop busy
lab_purple erin erin@example.com 'erin.fox@corp.example.com' Erin-1pass krb5
ok "Kerberos: a principal name that is not the account's" lab_wait_line erin '^connected'
lab_stop erin

# --- who does not
refuses mallory alice@example.com 'CORP\a.smith' wrong ntlm 'event=bad-credentials why=wrong-password scheme=NTLM' \
    "a wrong password"
refuses mallory nobody@example.com 'CORP\nobody' wrong ntlm 'event=bad-credentials why=unknown-user' "no such account"
refuses gone gone@example.com 'CORP\gone' Gone-1pass ntlm 'event=bad-credentials why=disabled' "a disabled account"
refuses plain plain@example.com 'CORP\plain' Plain-1pass ntlm 'event=bad-credentials why=no-address' \
    "an account without an address"
refuses plain plain@example.com 'plain@corp.example.com' Plain-1pass krb5 'event=bad-credentials why=no-address' \
    "the same with a ticket"
refuses off off@example.com 'CORP\off' Off-1pass ntlm 'reason=user-not-enabled' "an account that is not enabled for us"
refuses inside inside@example.com 'CORP\inside' Inside-1pass ntlm 'reason=remote-access-off' \
    "somebody who may not come from outside"
refuses eve alice@example.com 'CORP\dora' Dora-1pass ntlm 'reason=not-your-name' "another user's address"
refuses eve alice@example.com 'CORP\*' Alice-1pass ntlm 'event=bad-credentials why=unknown-user' "a pattern is a name"

# --- the controller fails
dc_signal() {	# SIGNAL: to all of its processes
	for p in $(lab_pid dc) $(below "$(lab_pid dc)"); do
		lab_kill "$1" "$p"
	done
}
below() {	# PID: all that it has started, and those have
	for child in $(pgrep -P "$1"); do
		echo "$child"
		below "$child"
	done
}
dc_signal STOP
unavailable domain-unavailable "the controller hangs: nobody new gets in"
ok "  it is called slow" lab_saw director 'event=winbind-slow'
ok "  who waits for it is given up" lab_wait_line director 'event=winbind-stuck' 5
lab_tell alice 'say sip:dora@example.com three from alice'
ok "  who is in goes on" lab_wait_line dora '^received sip:alice@example\.com: three from alice'
dc_signal CONT
lab_try() {	# TIMES COMMAND...
	times=$1
	shift
	while [ "$times" -gt 0 ]; do
		! "$@" || return 0
		times=$((times - 1))
	done
	return 1
}
ok "it goes on: so do they" signs_in 20
lab_stop late

lab_stop dc
unavailable domain-unavailable "the controller is gone: nobody new gets in"
ok "  which is said once" lab_saw director 'event=domain-down'
lab_tell alice 'say sip:dora@example.com four from alice'
ok "  who is in goes on" lab_wait_line dora '^received sip:alice@example\.com: four from alice'
ok "the controller comes back" samba_run
ok "  and with it they do" signs_in 30
ok "  which is said, too" lab_wait_line director 'event=domain-up' 5
lab_stop late

# --- its process
asker() {
	for p in $(pgrep -P "$(lab_pid director)") $(pgrep -P "$(pgrep -P "$(lab_pid director)" | tr '\n' ',' | sed 's/,$//')"); do
		[ "$(cat "/proc/$p/comm")" != winbind ] || pgrep -P "$p"
	done
}
was=$(asker)
ok "who asks winbind is nobody" [ "$(stat -c %U "/proc/${was:-0}")" = nobody ]
ok "  in a sandbox" grep -q "^Seccomp:.2" "/proc/${was:-0}/status"
no "  and has neither the user file nor the keytab" sh -c 'ls -l /proc/"$1"/fd | grep -q "users\|keytab"' sh "$was"
lab_kill KILL "${was:-0}"
ok "  when it dies another takes its place" lab_wait_line director 'event=winbind-ended' 5
ok "  and answers" signs_in 20
lab_stop late

# --- an account is disabled in mid-session
lab_forget director
samba_tool user disable a.smith
is_refused() {
	lab_tell alice 'say sip:dora@example.com five from alice'
	lab_wait_quietly 1 lab_saw director 'event=refused reason=sign-in-again .*alice@example\.com'
}
ok "who is disabled is no longer signed in" lab_try 10 is_refused
lab_stop alice
refuses alice alice@example.com 'CORP\a.smith' Alice-1pass ntlm 'event=bad-credentials why=disabled' \
    "  and does not get in again"
samba_tool user enable a.smith

# --- asking with a ticket
director_with "servers = [ \"ldap://$dc\" ]; starttls = false; bind = \"gssapi\"; keytab = \"$LAB/ad/ldap.keytab\";"
ok "LDAP is asked with a ticket of our own, sealed by it" signs_in 20
lab_stop late
director_with "servers = [ \"ldap://$dc\" ]; trust = \"$LAB/pki/ca.pem\"; bind = \"simple\";
	    bind_dn = \"sallyport@corp.example.com\"; password_file = \"$LAB/ldap.password\";"
ok "and over StartTLS" signs_in 20
finish
