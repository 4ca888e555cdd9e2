#!/bin/sh
# kdc.sh DIRECTORY ADDRESS PORT HOST [PORT2] - everything a Kerberos KDC of our own
# needs, wholly inside DIRECTORY: the realm EXAMPLE.COM with alice, bob, stranger, and
# the services sip/HOST (sip.keytab), sip/old.HOST with RC4 alone (old.keytab)
# and host/HOST (also in sip.keytab: a ticket for that is not one for us). With
# PORT2 there are two realms more, at that port and the next one, whose users
# EXAMPLE.COM trusts: EXAMPLE.ORG with olga and alice, and EXAMPLE.NET with alice.
#
# To use it:   KRB5_CONFIG=DIRECTORY/krb5.conf
# To start it: KRB5_KDC_PROFILE=DIRECTORY/kdc.conf krb5kdc -n [-r EXAMPLE.COM -r EXAMPLE.ORG -r EXAMPLE.NET]
# in the foreground; whoever starts it ends it.
set -eu
umask 077
mkdir -p "$1"
chmod 755 "$1"
d=$(cd "$1" && pwd) addr=$2 port=$3 host=$4
others=
[ -z "${5:-}" ] || others="EXAMPLE.ORG:$5 EXAMPLE.NET:$(($5 + 1))"
PATH=$PATH:/usr/sbin:/sbin

cat >"$d/krb5.conf" <<CONF
[libdefaults]
	default_realm = EXAMPLE.COM
	dns_lookup_kdc = false
	dns_lookup_realm = false
	dns_canonicalize_hostname = false
	rdns = false
	udp_preference_limit = 1
	allow_rc4 = true
	default_ccache_name = FILE:$d/tickets
[realms]
	EXAMPLE.COM = {
		kdc = $addr:$port
	}
$(for other in $others; do
	printf '\t%s = {\n\t\tkdc = %s\n\t}\n' "${other%:*}" "$addr:${other#*:}"
done)
[domain_realm]
	.example.com = EXAMPLE.COM
	example.com = EXAMPLE.COM
CONF
chmod 644 "$d/krb5.conf"
cat >"$d/kdc.conf" <<CONF
[kdcdefaults]
	kdc_listen = ""
	kdc_tcp_listen = $addr:$port
[realms]
	EXAMPLE.COM = {
		database_name = $d/principal
		key_stash_file = $d/stash
		acl_file = $d/acl
		max_life = 10h
		supported_enctypes = aes256-cts:normal aes128-cts:normal
	}
$(for other in $others; do
	cat <<REALM
	${other%:*} = {
		database_name = $d/${other%:*}
		key_stash_file = $d/${other%:*}.stash
		acl_file = $d/acl
		kdc_listen = ""
		kdc_tcp_listen = $addr:${other#*:}
		supported_enctypes = aes256-cts:normal
	}
REALM
done)
[logging]
	kdc = FILE:$d/kdc.log
	admin_server = FILE:$d/kdc.log
	default = FILE:$d/kdc.log
CONF
: >"$d/acl"
KRB5_CONFIG=$d/krb5.conf KRB5_KDC_PROFILE=$d/kdc.conf
export KRB5_CONFIG KRB5_KDC_PROFILE
rm -f "$d"/principal* "$d/stash" "$d"/*.keytab
kdb5_util -r EXAMPLE.COM -P "not-a-secret" create -s >/dev/null
kadmin.local -r EXAMPLE.COM >"$d/kadmin.log" 2>&1 <<COMMANDS
addprinc -pw Alice-1 alice
addprinc -pw Bob-1 bob
addprinc -pw Stranger-1 stranger
addprinc -pw Admin-1 alice/admin
addprinc -randkey sip/$host
addprinc -randkey host/$host
addprinc -randkey -e arcfour-hmac:normal sip/old.$host
setstr sip/old.$host session_enctypes arcfour-hmac
ktadd -k $d/sip.keytab -norandkey sip/$host host/$host
ktadd -k $d/old.keytab -norandkey sip/old.$host
ktadd -k $d/other.keytab -norandkey host/$host
COMMANDS
for other in $others; do
	realm=${other%:*}
	rm -f "$d/$realm"*
	kdb5_util -r "$realm" -P "not-a-secret" create -s >/dev/null
	printf 'addprinc -pw Trust-1 -e aes256-cts:normal krbtgt/EXAMPLE.COM@%s\n' "$realm" >"$d/trust"
	kadmin.local -r EXAMPLE.COM <"$d/trust" >>"$d/kadmin.log" 2>&1
	printf 'addprinc -pw Olga-1 olga\naddprinc -pw Other-1 alice\n' >>"$d/trust"
	kadmin.local -r "$realm" <"$d/trust" >>"$d/kadmin.log" 2>&1
done
[ -s "$d/sip.keytab" ] && [ -s "$d/old.keytab" ]
