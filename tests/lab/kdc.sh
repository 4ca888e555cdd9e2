#!/bin/sh
# kdc.sh DIRECTORY ADDRESS PORT HOST - everything a Kerberos KDC of our own
# needs, wholly inside DIRECTORY: the realm EXAMPLE.COM with alice, bob, stranger, and
# the services sip/HOST (sip.keytab), sip/old.HOST with RC4 alone (old.keytab)
# and host/HOST (also in sip.keytab: a ticket for that is not one for us).
#
# To use it:   KRB5_CONFIG=DIRECTORY/krb5.conf
# To start it: KRB5_KDC_PROFILE=DIRECTORY/kdc.conf krb5kdc -n
# in the foreground; whoever starts it ends it.
set -eu
umask 077
mkdir -p "$1"
chmod 755 "$1"
d=$(cd "$1" && pwd) addr=$2 port=$3 host=$4
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
[ -s "$d/sip.keytab" ] && [ -s "$d/old.keytab" ]
