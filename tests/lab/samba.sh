# samba.sh - an Active Directory domain of their own for tests. Sourced after lab.sh.
#
# Samba's domain controller of the domain CORP (realm CORP.EXAMPLE.COM), wholly in
# the run directory and on an address of its own, with the people of
# tests/lab/samba/people.py.
#
# libwbclient looks for winbind in one place, which is compiled in. So who asks it
# is started by samba_in, and sees our winbind there.

samba_place=/run/samba/winbindd
samba_winbind=ad/winbindd
samba_services='rpc, ldap, cldap, kdc, winbindd'

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
	  # nobody will want this domain again
	  ldb:nosync = true
	  ntlm auth = ntlmv2-only
	  vfs objects = dfs_samba4 acl_xattr xattr_tdb
	  server services = $samba_services
	  tls certfile = $LAB/pki/dc.pem
	  tls keyfile = $LAB/pki/dc.key
	  tls cafile = $LAB/pki/ca.pem
	CONF
	samba_conf=$lab_d/etc/smb.conf
	KRB5_CONFIG=$lab_d/krb5.conf KRB5RCACHEDIR=$lab_d
	export KRB5_CONFIG KRB5RCACHEDIR
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
	$lab_unshare sh -c "$samba_script" sh "$LAB/$samba_winbind" "$samba_place" "$@"
}

# samba_start NAME COMMAND [ARGUMENT]...: as lab_start, but there
samba_start() {
	lab_s=$1
	shift
	# shellcheck disable=SC2086 # several words
	lab_start "$lab_s" $lab_unshare sh -c "$samba_script" sh "$LAB/$samba_winbind" "$samba_place" "$@"
}

# Winbind vouches for a user, which it does when all the rest of it runs.
samba_answers() {
	samba_in wbinfo -a 'CORP\dora%Dora-1pass' >/dev/null 2>&1
}

samba_run() {
	PATH=$PATH:/usr/sbin samba_start dc samba -F --no-process-group -M prefork --configfile="$samba_conf" --debug-stdout
	# Winbind tells session keys to a group; the one that nobody is in stands for it.
	lab_wait_port dc "$samba_addr" 636 && lab_wait_port dc "$samba_addr" 88 &&
	    lab_wait 30 "winbind's answer" samba_answers && chgrp nogroup "$LAB/ad/state/winbindd_privileged"
}

samba_tool() {
	samba-tool "$@" --configfile="$samba_conf" -H "$LAB/ad/private/sam.ldb" >>"$LAB/ad/made" 2>&1
}

# --- those who sign in ---------------------------------------------------------

# The client: Pidgin-SIPE. False: what it is made with is not here.
samba_clients() {
	pkg-config --exists purple libxml-2.0 2>/dev/null || return 1
	# shellcheck disable=SC2046
	"${CC:-cc}" -O1 -g -w -rdynamic -o "$LAB/purple" "$LAB_TOP/tests/lab/purple.c" \
	    $(pkg-config --cflags --libs purple libxml-2.0) -ldl
}

# director_with SERVER-LINES: what says how LDAP is asked. There is one server, which is given
# longer for a step than by default: who signs in while it is slow is refused.
director_with() {
	lab_stop director
	world_auth_extra="keytab = \"$LAB/ad/sip.keytab\"; timeout = 8000;"
	world_director_extra="directory = { homes = \"ldap\"; ttl = 1; timeout = 5000; };
	ntlm = { accounts = \"winbind\"; domain = \"CORP\"; ${samba_computer:-} };
	winbind = { user = \"nobody\"; timeout = 2000; connections = 1; };
	sipae = { refresh = 1; };
	ldap = {
	    server_timeout = 4000;
	    bases = [ \"dc=corp,dc=example,dc=com\" ];
	    logins = [ \"CORP=dc=corp,dc=example,dc=com\", \"CORP.EXAMPLE.COM=dc=corp,dc=example,dc=com\" ];
	    filter = \"(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))\";
	    $1
	};"
	world_director_conf
	samba_start director "$LAB_BUILD/sallyport-director" -f "$LAB/director.conf"
	lab_wait_port director "$director" 5061 && lab_wait_port director "$director" 5063
}

lab_purple() {	# NAME USER@DOMAIN LOGIN PASSWORD SCHEME
	rm -rf "$LAB/$1.home"
	mkdir -p "$LAB/$1.home" "$LAB/roots"
	cp "$LAB/pki/ca.pem" "$LAB/roots/ca.pem"
	lab_start "$1" env HOME="$LAB/$1.home" KRB5CCNAME="FILE:$LAB/$1.home/tickets" "$LAB/purple" "$LAB/$1.home" "$2" "$3" \
	    "$4" sip.example.com:443 "$edge_outer" "$LAB/roots" "$5"
	echo quit >"$LAB/$1.goodbye"
}

# refuses NAME USER@DOMAIN LOGIN PASSWORD SCHEME EVENT WHAT
refuses() {
	lab_forget director
	lab_purple "$1" "$2" "$3" "$4" "$5"
	ok "$7" lab_wait_line "$1" '^error [0-9]+ '
	ok "  and the log says why" lab_wait_line director "$6"
	lab_stop "$1"
}

# signs_in SECONDS: somebody tries to sign in, and again, as a person would
signs_in() {
	until=$(($(date +%s) + $1))
	while [ "$(date +%s)" -le "$until" ]; do
		lab_purple late erin@example.com 'CORP\erin' Erin-1pass ntlm
		lab_wait_quietly 4 lab_saw late '^connected|^error' || :
		! lab_saw late '^connected' || return 0
	done
	return 1
}

# unavailable REASON WHAT: somebody tries to sign in, and the reason names who does not answer
unavailable() {
	lab_forget director
	lab_purple late erin@example.com 'CORP\erin' Erin-1pass ntlm
	ok "$2" lab_wait_line director "event=refused reason=$1"
	no "  who tried is not in" lab_saw late '^connected'
}

# --- a member of the domain ----------------------------------------------------

# Where the domain is, as a member asks for it. Before lab_dns_start.
samba_zone() {
	lab_zone corp.example.com <<-ZONE
	dc1                      A $samba_addr
	_ldap._tcp               SRV 0 100 389 dc1
	_ldap._tcp.dc._msdcs     SRV 0 100 389 dc1
	_ldap._tcp.pdc._msdcs    SRV 0 100 389 dc1
	_kerberos._tcp           SRV 0 100 88 dc1
	_kerberos._tcp.dc._msdcs SRV 0 100 88 dc1
	_kpasswd._tcp            SRV 0 100 464 dc1
	ZONE
}

# samba_member COMMAND...: on another machine, which asks our name server
samba_member() {
	# shellcheck disable=SC2086 # several words
	$lab_unshare sh -c "$samba_member_script" sh "$LAB/resolv.conf" "$@"
}

# shellcheck disable=SC2016 # the inner shell's
samba_member_script='mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'

# samba_join: the machine dir1 becomes a member of the domain. From here on, samba_in and
# samba_start see its winbind and not the controller's. The controller offers s3fs.
samba_join() {
	lab_d=$LAB/member
	rm -rf "$lab_d"
	mkdir -p "$lab_d/winbindd" "$lab_d/ncalrpc"
	cat >"$lab_d/smb.conf" <<-CONF
	[global]
	  security = ads
	  realm = CORP.EXAMPLE.COM
	  workgroup = CORP
	  netbios name = DIR1
	  interfaces = lo
	  bind interfaces only = yes
	  disable netbios = yes
	  private dir = $lab_d
	  lock directory = $lab_d
	  state directory = $lab_d
	  cache directory = $lab_d
	  pid directory = $lab_d
	  ncalrpc dir = $lab_d/ncalrpc
	  winbindd socket directory = $lab_d/winbindd
	  log file = $lab_d/log.%m
	  # its helpers would outlive it
	  rpc start on demand helpers = no
	  idmap config * : backend = tdb
	  idmap config * : range = 100000-199999
	CONF
	samba_member net ads join --configfile="$lab_d/smb.conf" -U 'Administrator%Admin-1pass' --no-dns-updates \
	    >"$lab_d/joined" 2>&1 || {
		tail -n 20 "$lab_d/joined" >&2
		return 1
	}
	samba_winbind=member/winbindd
}

# samba_member_run: its winbind, as process "winbindd"
samba_member_run() {
	# shellcheck disable=SC2086 # several words
	PATH=$PATH:/usr/sbin lab_start winbindd $lab_unshare sh -c "$samba_member_script" sh "$LAB/resolv.conf" \
	    winbindd -F --no-process-group --configfile="$LAB/member/smb.conf" --debug-stdout
	lab_wait 30 "winbind's answer" samba_answers && chgrp nogroup "$LAB/member/winbindd_privileged"
}
