# The Director on a machine that has joined the domain, as it would at a real site:
# its own winbindd, and not the domain controller's, carries the questions there, over
# the secure channel of the machine's account. Either of the two fails and comes back.
. "$(dirname "$0")/system.sh"
. "$LAB_TOP/tests/lab/samba.sh"

samba_is_here || { echo "skip Samba's domain controller is not installed"; exit 0; }
samba_clients || { echo "skip libpurple-dev is not installed"; exit 0; }

dc=$LAB_NET.7.1
world_pki
# shellcheck disable=SC2034 # for samba_make: a member joins by SMB
samba_services='s3fs, rpc, ldap, cldap, kdc, winbindd'
ok "a domain is made" samba_make "$dc" director.int.example.com
ok "its controller runs" samba_run
lab_example_zones
samba_zone
lab_dns_start
ok "a machine joins it" samba_join
ok "and runs winbindd" samba_member_run
ok "whose channel to the controller is good" samba_in wbinfo -t
# shellcheck disable=SC2034 # for lab_pool_start
lab_ms_clients=yes
world_pool_start
(umask 077 && echo Ask-Me-1pass >"$LAB/ldap.password" && : >"$LAB/users")
over_tls="servers = [ \"ldaps://$dc\" ]; trust = \"$LAB/pki/ca.pem\"; bind = \"simple\";
	    bind_dn = \"sallyport@corp.example.com\"; password_file = \"$LAB/ldap.password\";"
director_with "$over_tls"
world_edge_start

refuses alice alice@example.com 'CORP\a.smith' Alice-1pass ntlm \
    'event=winbind-name .*joined-as="DIR1" computer="DIRECTOR" .*set ntlm.computer' "a name that is not the machine's in the domain"
samba_computer='computer = "DIR1";'
director_with "$over_tls"

lab_purple alice alice@example.com 'CORP\a.smith' Alice-1pass ntlm
ok "NTLM: an account that is not called as its address" lab_wait_line alice '^connected'
ok "  is known by its address" lab_wait_line director 'event=signed-in .*scheme=NTLM .*alice@example\.com'
lab_purple dora dora@example.com 'dora.jones@corp.example.com' Dora-1pass ntlm
ok "NTLM: by the principal name" lab_wait_line dora '^connected'
lab_tell alice 'say sip:dora@example.com one from alice'
ok "a message from one to the other, signed with the keys that the domain told" \
    lab_wait_line dora '^received sip:alice@example\.com: one from alice'
refuses mallory alice@example.com 'CORP\a.smith' wrong ntlm 'event=bad-credentials why=wrong-password scheme=NTLM' \
    "a wrong password"
refuses mallory nobody@example.com 'CORP\nobody' wrong ntlm 'event=bad-credentials why=unknown-user' "no such account"
refuses gone gone@example.com 'CORP\gone' Gone-1pass ntlm 'event=bad-credentials why=disabled' "a disabled account"
refuses eve alice@example.com 'CORP\dora' Dora-1pass ntlm 'reason=not-your-name' "another user's address"

lab_forget director
lab_stop winbindd
unavailable domain-unavailable "winbindd is gone: nobody new gets in"
lab_tell alice 'say sip:dora@example.com two from alice'
ok "  who is in goes on" lab_wait_line dora '^received sip:alice@example\.com: two from alice'
ok "it comes back" samba_member_run
ok "  and with it they do" signs_in 30
lab_stop late

lab_stop dc
unavailable domain-unavailable "the controller is gone: nobody new gets in"
lab_tell alice 'say sip:dora@example.com three from alice'
ok "  who is in goes on" lab_wait_line dora '^received sip:alice@example\.com: three from alice'
samba_winbind=ad/winbindd
ok "it comes back" samba_run
samba_winbind=member/winbindd
ok "  and with it they do, in time" signs_in 90
finish
