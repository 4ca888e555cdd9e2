# world.sh - the example world of the quickstart and the system tests. Sourced
# after lab.sh.
#
#	example.com        our organisation: edge, Director, home pool
#	contoso.example    a direct partner: an edge in front of its own home pool
#	fabrikam.example   an organisation that example.com has blocked
#
#	alice@example.com  a remote user; the Director has her password
#	bob@example.com    in the office; signs in at the home pool itself
#	carol@contoso.example  inside the partner's organisation

world_pki() {
	"$LAB_TOP/certs-example/make-pki" "$LAB/pki" >/dev/null
	"$LAB_TOP/certs-example/make-pki" "$LAB/pki" cert blocked-edge \
	    --dns sip.fabrikam.example --dns fabrikam.example >/dev/null
}

# --- configuration -------------------------------------------------------------

# world_edge_conf NAME OUTER-ADDRESS INNER-ADDRESS DOMAIN CERTIFICATE-PREFIX NEXT-HOP
# A test may add lines of its own: world_edge_extra (whole options).
world_edge_extra=
# The same of the group inner.
world_inner_extra=
world_edge_conf() {
	cat >"$LAB/$1.conf" <<-CONF
	# This edge stands between the Internet ($2) and the inside ($3).
	user = "$world_user";
	workers = 2;
	policy = "$LAB/$1-policy.conf";
	control = { socket = "$LAB/$1.sock"; };

	outer = (
	    {   # our own users, anywhere in the world
	        listen = "$2:443";
	        name = "sip.$4";
	        certificate = "$LAB/pki/$5edge-outer.pem";
	        key = "$LAB/pki/$5edge-outer.key";
	        users = true;
	    },
	    {   # partners
	        listen = "$2:5061";
	        name = "sip.$4";
	        certificate = "$LAB/pki/$5edge-outer.pem";
	        key = "$LAB/pki/$5edge-outer.key";
	        trust = "$LAB/pki/ca.pem";
	        client_certificate = "required";
	        partners = true;
	    }
	);
	inner = { $world_inner_extra
	    listen = "$3:5061";
	    name = "edge.int.$4";
	    certificate = "$LAB/pki/$5edge-inner.pem";
	    key = "$LAB/pki/$5edge-inner.key";
	    trust = "$LAB/pki/ca.pem";
	};
	directors = ( { name = "$6"; } );
	dns = { servers = [ "$dns_addr" ]; };
	$world_edge_extra
	CONF
}

# world_policy NAME DOMAIN INTERNAL-SERVER PARTNER-DOMAIN BLOCKED-DOMAIN
world_policy() {
	cat >"$LAB/$1-policy.conf" <<-CONF
	internal_domains = [ "$2" ];
	internal_servers = [ "$3" ];
	remote_users = true;
	federation = true;
	partners = ( {
	    name = "$4";
	    server = "sip.$4";
	    domains = [ "$4" ];
	} );
	blocked = [ "$5" ];
	CONF
}

# world_director_conf: further options may stand in world_director_extra, those
# of the group auth in world_auth_extra
world_director_extra=
world_auth_extra=
world_director_conf() {
	cat >"$LAB/director.conf" <<-CONF
	# The Director: who is it, and where is their home pool.
	name = "director.int.example.com";
	domains = [ "example.com" ];
	user = "$world_user";
	control = { socket = "$LAB/director.sock"; };
	tls = {
	    certificate = "$LAB/pki/director.pem";
	    key = "$LAB/pki/director.key";
	    trust = "$LAB/pki/ca.pem";
	};
	doors = (
	    { listen = "$director:5061"; admits = "servers"; },
	    { listen = "$director:5063"; admits = "clients"; }
	);
	edges = ( { name = "edge.int.example.com"; address = "$edge_inner"; } );
	pools = ( { name = "pool.int.example.com"; address = "$pool"; } );
	auth = { users = "$LAB/users"; $world_auth_extra };
	$world_director_extra
	CONF
}

# world_account USER@DOMAIN PASSWORD [OPTION]...: an account at the Director
world_account() {
	lab_u=$1 lab_w=$2
	shift 2
	echo "$lab_w" | "$LAB_BUILD/sallyportctl" user add "$lab_u" --users "$LAB/users" \
	    --pool pool.int.example.com --password-file - "$@"
}

# world_give KEY...: to the account that the daemons become, so that they can read
# it again when a certificate is renewed
world_give() {
	for lab_k; do
		chown "$world_user" "$LAB/pki/$lab_k.key"
	done
}

# --- starting ------------------------------------------------------------------

# The unprivileged user that the daemons become.
world_user=nobody

world_director_start() {
	rm -f "$LAB/users"
	world_account alice@example.com Alice-1
	world_account bob@example.com Bob-1
	world_director_conf
	world_director_run
}

world_director_run() {
	lab_start director "$LAB_BUILD/sallyport-director" -f "$LAB/director.conf"
	lab_wait_port director "$director" 5061 && lab_wait_port director "$director" 5063
}

# world_edge_start [NEXT-HOP]: the Director, unless another server inside is named
world_edge_start() {
	world_policy edge example.com "${1:-director.int.example.com}" contoso.example fabrikam.example
	world_edge_conf edge "$edge_outer" "$edge_inner" example.com '' "${1:-director.int.example.com}"
	world_give edge-outer edge-inner
	lab_start edge "$LAB_BUILD/sallyport-edge" -f "$LAB/edge.conf"
	lab_wait_port edge "$edge_outer" 443 && lab_wait_port edge "$edge_outer" 5061 && lab_wait_port edge "$edge_inner" 5061
}

world_partner_edge_start() {
	world_policy partner-edge contoso.example pool.int.contoso.example example.com spam.example
	world_edge_conf partner-edge "$partner_outer" "$partner_inner" contoso.example partner- pool.int.contoso.example
	world_give partner-edge-outer partner-edge-inner
	lab_start partner-edge "$LAB_BUILD/sallyport-edge" -f "$LAB/partner-edge.conf"
	lab_wait_port partner-edge "$partner_outer" 5061 && lab_wait_port partner-edge "$partner_inner" 5061
}

world_pool_start() {
	lab_pool_start pool example.com "$pool" pool director.int.example.com "$director" bob:Bob-1
}

world_pools_start() {
	world_pool_start && lab_pool_start partner-pool contoso.example "$partner_pool" partner-pool \
	    edge.int.contoso.example "$partner_inner" carol:Carol-1
}

# The whole world; world_pki comes before.
world_start() {
	world_give director &&
	    lab_example_zones &&
	    lab_dns_start &&
	    world_pools_start &&
	    world_director_start &&
	    world_edge_start &&
	    world_partner_edge_start
}

# The same without a Director: edges in front of pools that challenge users themselves.
world_start_small() {
	lab_example_zones
	lab_dns_start
	lab_pool_start pool example.com "$pool" pool edge.int.example.com "$edge_inner" alice:Alice-1 bob:Bob-1
	lab_pool_start partner-pool contoso.example "$partner_pool" partner-pool \
	    edge.int.contoso.example "$partner_inner" carol:Carol-1
	world_edge_start pool.int.example.com
	world_partner_edge_start
}

# --- people --------------------------------------------------------------------

world_remote_alice() {
	lab_linphone alice alice@example.com Alice-1 'sip:example.com;transport=tls'
}

world_inside_bob() {
	lab_baresip bob bob@example.com Bob-1 'sip:pool.int.example.com:5063;transport=tls' \
	    sip:alice@example.com sip:carol@contoso.example sip:eve@fabrikam.example
}

world_partner_carol() {
	lab_linphone carol carol@contoso.example Carol-1 'sip:pool.int.contoso.example:5063;transport=tls'
}

world_alice_calls_bob() {
	lab_tell alice 'soundcard use files'	# there is no sound card
	lab_tell alice 'call sip:bob@example.com'
}

world_both_are_through() {
	lab_wait_line bob 'Call established: sip:alice@example.com' &&
	    lab_wait_line alice 'Call [0-9]+ with sip:bob@example.com connected'
}

# --- outsiders, by our raw sender ----------------------------------------------

# Options of sipsend for somebody outside. They hold no blanks.
world_as_user() {
	echo "--connect $edge_outer:443 --name sip.example.com --ca $LAB/pki/ca.pem"
}
world_as_peer() {	# CERTIFICATE
	echo "--connect $edge_outer:5061 --name sip.example.com --ca $LAB/pki/ca.pem" \
	    "--cert $LAB/pki/$1.pem --key $LAB/pki/$1.key"
}

forged_mark='ms-edge-proxy-message-trust: ms-source-type=AuthorizedServer;ms-ep-fqdn=forged.example.com;ms-source-verified-user=verified;ms-source-network=federation'

world_forge_from_partner() {	# TEXT
	lab_sipsend forger --connect "$edge_outer:5061" --name sip.example.com --ca "$LAB/pki/ca.pem" \
	    --cert "$LAB/pki/partner-edge-outer.pem" --key "$LAB/pki/partner-edge-outer.key" \
	    --user carol@contoso.example "send MESSAGE sip:bob@example.com -b '$1' -H '$forged_mark'"
}

world_forge_from_user() {	# TEXT
	lab_sipsend forger --connect "$edge_outer:443" --name sip.example.com --ca "$LAB/pki/ca.pem" \
	    --user alice@example.com --password Alice-1 register \
	    "send MESSAGE sip:bob@example.com -b '$1' -H '$forged_mark'"
}

# Bob's client has printed the message as it came: nothing of the forgery is in it.
world_mark_is_gone() {	# NAME TEXT
	lab_saw "$1" "$2" && ! lab_saw "$1" 'forged\.example\.com'
}

# world_mark_of NAME TEXT: the mark that came with that message
world_mark_of() {
	tr -d '\r' <"$LAB/$1.log" | awk -v text="$2" '
		/^MESSAGE /	{ mark = "none" }
		tolower($0) ~ /^ms-edge-proxy-message-trust:/ { mark = $0 }
		index($0, text) == 1 { print mark; exit }'
}

world_blocked_message() {	# TEXT
	lab_sipsend blocked --connect "$edge_outer:5061" --name sip.example.com --ca "$LAB/pki/ca.pem" \
	    --cert "$LAB/pki/blocked-edge.pem" --key "$LAB/pki/blocked-edge.key" \
	    --user eve@fabrikam.example "send MESSAGE sip:bob@example.com -b '$1'" || :
	lab_saw blocked '^SIP/2.0 403 '
}

world_blocked_line() {
	grep -a 'reason=from-domain-blocked' "$LAB/edge.log" | tail -n 1
}

world_blocked_was_logged() {
	lab_wait_line edge 'reason=from-domain-blocked.*fabrikam\.example|fabrikam\.example.*reason=from-domain-blocked'
}

# The trail of that decision, as the administrator may ask for it; into LAB/explained. 1: refused, as it should be.
world_blocked_is_explained() {
	"$LAB_BUILD/sallyportctl" explain --policy "$LAB/edge-policy.conf" --peer-cert "$LAB/pki/blocked-edge.pem" \
	    --trust "$LAB/pki/ca.pem" --from eve@fabrikam.example --to bob@example.com >"$LAB/explained" 2>&1
	[ $? -eq 1 ] && grep -q 'from-domain-blocked' "$LAB/explained"
}

world_status() {
	"$LAB_BUILD/sallyportctl" --socket "$LAB/edge.sock" status >"$LAB/status" && grep -q '^LISTEN' "$LAB/status"
}

world_not_received() {	# NAME TEXT
	! lab_saw "$1" "$2"
}

world_bob_was_refused() {
	lab_wait_line bob '^SIP/2.0 403 ' && lab_wait_line edge 'reason=to-domain-blocked'
}
