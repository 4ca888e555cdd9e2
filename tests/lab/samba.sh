# samba.sh - an Active Directory domain of their own for tests. Sourced after lab.sh.
#
# Samba's domain controller of the domain CORP (realm CORP.EXAMPLE.COM), wholly in
# the run directory and on an address of its own, with the people of
# tests/lab/samba/people.py.
#
# libwbclient looks for winbind in one place, which is compiled in. So who asks it
# is started by samba_in, and sees our winbind there.

samba_place=/run/samba/winbindd

samba_is_here() {
	PATH=$PATH:/usr/sbin command -v samba >/dev/null && command -v samba-tool >/dev/null &&
	    command -v ldbadd >/dev/null && command -v wbinfo >/dev/null && [ -d /usr/share/samba/setup ]
}

# samba_make ADDRESS SERVER-NAME: the domain; sip.keytab has the key of sip/SERVER-NAME
samba_make() {
	samba_addr=$1
	lab_d=$LAB/ad
	rm -rf "$lab_d"
	mkdir -p "$lab_d/run" "$lab_d/winbindd" "$lab_d/ncalrpc" "$lab_d/ntp_signd"
	chmod 750 "$lab_d/ntp_signd"
	"$LAB_TOP/certs-example/make-pki" "$LAB/pki" cert dc --dns dc1.corp.example.com --ip "$1" >/dev/null
	chmod 600 "$LAB/pki/dc.key"
	cat >"$lab_d/seed.conf" <<-CONF
	[global]
	  netbios name = DC1
	  interfaces = $1/8
	  bind interfaces only = yes
	  log file = $lab_d/log.%m
	  pid directory = $lab_d/run
	  ncalrpc dir = $lab_d/ncalrpc
	  winbindd socket directory = $lab_d/winbindd
	  ntp signd socket directory = $lab_d/ntp_signd
	  disable netbios = yes
	  dns update command = /bin/true
	  prefork children = 1
	  ntlm auth = ntlmv2-only
	  vfs objects = dfs_samba4 acl_xattr xattr_tdb
	  server services = rpc, ldap, cldap, kdc, winbindd
	  tls certfile = $LAB/pki/dc.pem
	  tls keyfile = $LAB/pki/dc.key
	  tls cafile = $LAB/pki/ca.pem
	CONF
	samba_conf=$lab_d/etc/smb.conf
	{
		samba-tool domain provision --configfile="$lab_d/seed.conf" --realm=CORP.EXAMPLE.COM --domain=CORP \
		    --server-role=dc --dns-backend=NONE --adminpass=Admin-1pass --targetdir="$lab_d" \
		    --host-name=dc1 --host-ip="$1" &&
		    sed 's/@DN@/DC=corp,DC=example,DC=com/' "$LAB_TOP/tests/lab/samba/schema.ldif" >"$lab_d/schema.ldif" &&
		    ldbadd -H "$lab_d/private/sam.ldb" --configfile="$samba_conf" \
		    --option='dsdb:schema update allowed=true' "$lab_d/schema.ldif" &&
		    sed -n 's/^lDAPDisplayName/mayContain/p' "$lab_d/schema.ldif" | {
			printf 'dn: CN=User,CN=Schema,CN=Configuration,DC=corp,DC=example,DC=com\n'
			printf 'changetype: modify\nadd: mayContain\n'
			cat
		    } | ldbmodify -H "$lab_d/private/sam.ldb" --configfile="$samba_conf" \
		    --option='dsdb:schema update allowed=true' &&
		    /usr/bin/python3 "$LAB_TOP/tests/lab/samba/people.py" "$lab_d/private/sam.ldb" "$samba_conf" "$1" "$2" &&
		    samba-tool domain exportkeytab "$lab_d/sip.keytab" --principal="sip/$2" --configfile="$samba_conf" &&
		    samba-tool domain exportkeytab "$lab_d/ldap.keytab" --principal=sallyport --configfile="$samba_conf"
	} >"$lab_d/made" 2>&1 || {
		tail -n 20 "$lab_d/made" >&2
		return 1
	}
	cat >"$lab_d/krb5.conf" <<-CONF
	[libdefaults]
	  default_realm = CORP.EXAMPLE.COM
	  dns_lookup_kdc = false
	  dns_lookup_realm = false
	  dns_canonicalize_hostname = false
	  rdns = false
	  udp_preference_limit = 1
	  default_ccache_name = FILE:$lab_d/tickets
	[realms]
	  CORP.EXAMPLE.COM = {
	    kdc = $1
	  }
	[domain_realm]
	  .example.com = CORP.EXAMPLE.COM
	  $1 = CORP.EXAMPLE.COM
	CONF
}

# As arguments: a shell that makes our winbind be in its place, and becomes the command that follows.
# shellcheck disable=SC2016 # the inner shell's
samba_script='mkdir -p "$2" && mount --bind "$1" "$2" && shift 2 && exec "$@"'

# samba_in COMMAND [ARGUMENT]...: where winbind is ours
samba_in() {
	# shellcheck disable=SC2086 # several words
	$lab_unshare sh -c "$samba_script" sh "$LAB/ad/winbindd" "$samba_place" "$@"
}

# samba_start NAME COMMAND [ARGUMENT]...: as lab_start, but there
samba_start() {
	lab_s=$1
	shift
	# shellcheck disable=SC2086 # several words
	lab_start "$lab_s" $lab_unshare sh -c "$samba_script" sh "$LAB/ad/winbindd" "$samba_place" "$@"
}

# Winbind vouches for a user, which it does when all the rest of it runs.
samba_answers() {
	samba_in wbinfo -a 'CORP\dora%Dora-1pass' >/dev/null 2>&1
}

samba_run() {
	PATH=$PATH:/usr/sbin lab_start dc samba -F --no-process-group -M prefork --configfile="$samba_conf" --debug-stdout
	lab_wait_port dc "$samba_addr" 636 && lab_wait_port dc "$samba_addr" 88 &&
	    lab_wait 30 "winbind's answer" samba_answers
}

samba_tool() {
	samba-tool "$@" --configfile="$samba_conf" -H "$LAB/ad/private/sam.ldb" >>"$LAB/ad/made" 2>&1
}
