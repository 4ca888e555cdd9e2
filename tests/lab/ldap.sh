# ldap.sh - LDAP servers of their own for tests. Sourced after lab.sh.
#
# OpenLDAP's slapd with the attributes of Live Communications Server, wholly in
# the run directory, on an address of its own: ldap and ldaps on their ports.

# ldap_start NAME ADDRESS CERTIFICATE: with the people of tests/lab/ldap
ldap_start() {
	lab_d=$LAB/$1
	rm -rf "$lab_d"
	mkdir -p "$lab_d/config" "$lab_d/data"
	cat >"$lab_d/config.ldif" <<-LDIF
	dn: cn=config
	objectClass: olcGlobal
	cn: config
	olcTLSCACertificateFile: $LAB/pki/ca.pem
	olcTLSCertificateFile: $LAB/pki/$3.pem
	olcTLSCertificateKeyFile: $LAB/pki/$3.key
	olcLogLevel: stats
	olcSaslHost: $2

	dn: cn=module,cn=config
	objectClass: olcModuleList
	cn: module
	olcModulePath: /usr/lib/ldap
	olcModuleLoad: back_mdb

	dn: cn=schema,cn=config
	objectClass: olcSchemaConfig
	cn: schema

	include: file:///etc/ldap/schema/core.ldif

	include: file:///etc/ldap/schema/cosine.ldif

	include: file://$LAB_TOP/tests/lab/ldap/msrtcsip.ldif

	dn: olcDatabase={1}mdb,cn=config
	objectClass: olcDatabaseConfig
	objectClass: olcMdbConfig
	olcDatabase: {1}mdb
	olcDbDirectory: $lab_d/data
	olcDbMaxSize: 10485760
	olcSuffix: dc=example,dc=com
	olcRootDN: cn=admin,dc=example,dc=com
	olcRootPW: Admin-1
	olcDbIndex: objectClass eq
	olcDbIndex: msRTCSIP-PrimaryUserAddress eq
	olcAccess: to attrs=userPassword by anonymous auth
	olcAccess: to * by dn.exact="cn=sallyport,dc=example,dc=com" read by dn.exact="uid=sallyport,cn=gssapi,cn=auth" read
	LDIF
	slapadd -n 0 -F "$lab_d/config" -l "$lab_d/config.ldif" >"$lab_d/made" 2>&1 &&
	    slapadd -n 1 -F "$lab_d/config" -l "$LAB_TOP/tests/lab/ldap/people.ldif" >>"$lab_d/made" 2>&1 || {
		cat "$lab_d/made" >&2
		return 1
	}
	ldap_run "$1" "$2"
}

# ldap_run NAME ADDRESS: what was started before, again
ldap_run() {
	lab_start "$1" env KRB5_KTNAME="$LAB/ldap.keytab" KRB5_CONFIG="$LAB/kdc/krb5.conf" slapd -d stats -F "$LAB/$1/config" -h "ldap://$2 ldaps://$2"
	lab_wait_port "$1" "$2" 389 && lab_wait_port "$1" "$2" 636
}

# ldap_kdc_start ADDRESS SERVER...: a KDC that knows the servers and, in sallyport.keytab, us
ldap_kdc_start() {
	sh "$LAB_TOP/tests/lab/kdc.sh" "$LAB/kdc" "$1" 88 director.int.example.com || return 1
	lab_kdc=$1
	shift
	for lab_z in sallyport $(printf 'ldap/%s ' "$@"); do
		lab_d=$LAB/ldap.keytab
		[ "$lab_z" != sallyport ] || lab_d=$LAB/sallyport.keytab
		KRB5_CONFIG=$LAB/kdc/krb5.conf KRB5_KDC_PROFILE=$LAB/kdc/kdc.conf kadmin.local -r EXAMPLE.COM \
		    -q "addprinc -randkey $lab_z" >>"$LAB/kdc/kadmin.log" 2>&1
		KRB5_CONFIG=$LAB/kdc/krb5.conf KRB5_KDC_PROFILE=$LAB/kdc/kdc.conf kadmin.local -r EXAMPLE.COM \
		    -q "ktadd -k $lab_d -norandkey $lab_z" >>"$LAB/kdc/kadmin.log" 2>&1
	done
	lab_start kdc env KRB5_CONFIG="$LAB/kdc/krb5.conf" KRB5_KDC_PROFILE="$LAB/kdc/kdc.conf" krb5kdc -n
	lab_wait_port kdc "$lab_kdc" 88
}

# ldap_change ADDRESS: LDIF from standard input
ldap_change() {
	LDAPNOINIT=1 ldapmodify -x -H "ldap://$1" -D cn=admin,dc=example,dc=com -w Admin-1 >/dev/null 2>&1
}

# ldap_asked NAME PATTERN: how often was it asked for that?
ldap_asked() {
	grep -a -c "SRCH base=.*filter=.*$2" "$LAB/$1.log" || :
}
