# Several pools, each found in another way, and static routes: what the Director
# does with a request whose addressee is somewhere else.
# shellcheck shell=sh
. "$(dirname "$0")/system.sh"

pool2=$LAB_NET.3.2 gateway=$LAB_NET.3.3 nobody_there=$LAB_NET.3.9
world_pki
pki=$LAB/pki
"$LAB_TOP/certs-example/make-pki" "$pki" cert pool2 --dns pool2.int.example.com >/dev/null
"$LAB_TOP/certs-example/make-pki" "$pki" cert gateway --dns gw.int.example.com >/dev/null
lab_example_zones
cat >>"$LAB/zones/example.com.zone" <<-ZONE
_sips._tcp.pool2.int SRV 0 10 5061 fe1.pool2.int
_sips._tcp.pool2.int SRV 1 10 5061 fe2.pool2.int
fe1.pool2.int        A $nobody_there
fe2.pool2.int        A $pool2
_sips._tcp.pool4.int SRV 0 0 5061 fe2.pool2.int
ZONE
lab_dns_start
lab_pool_start pool example.com "$pool" pool director.int.example.com "$director" alice:Alice-1
lab_pool_start pool2 example.com "$pool2" pool2 director.int.example.com "$director" bob:Bob-1
lab_pool_start gateway example.com "$gateway" gateway director.int.example.com "$director" +12065550100:Phone-1 desk:Desk-1

# shellcheck disable=SC2034 # world.sh takes it
world_director_extra="
routes = (
    { match = \"sip:+*@example.com\"; server = \"gw.int.example.com\"; address = [ \"$nobody_there\", \"$gateway\" ]; },
    { match = \"sip:+4*@example.com\"; server = \"gw.int.example.com\"; address = \"$gateway\"; replace_host = true; },
    { match = \"tel:*\"; server = \"gw.int.example.com\"; address = \"$gateway\"; replace_host = true; },
    { match = \"sip:desk@services.example\"; server = \"gw.int.example.com\"; address = \"$gateway\"; },
    { match = \"sip:open@example.com\"; server = \"gw.int.example.com\"; address = \"$gateway\"; partners = true; }
);
timers = { drain = 1; };"
rm -f "$LAB/users"
world_account alice@example.com Alice-1
world_account bob@example.com Bob-1 --pool pool2.int.example.com
world_account dave@example.com Dave-1 --pool pool3.int.example.com
world_account erin@example.com Erin-1 --pool pool4.int.example.com
world_director_conf
sed -i -e "s/^pools = .*/pools = (\\n    { name = \"pool.int.example.com\"; address = [ \"$nobody_there\", \"$pool\" ]; },\\n\
    { name = \"pool2.int.example.com\"; srv = \"_sips._tcp.pool2.int.example.com\"; },\\n\
    { name = \"pool3.int.example.com\"; address = \"$nobody_there\"; },\\n\
    { name = \"pool4.int.example.com\"; srv = \"_sips._tcp.pool4.int.example.com\"; } );/" "$LAB/director.conf"
grep -q '^dns = ' "$LAB/director.conf" || echo "dns = { servers = [ \"$dns_addr\" ]; };" >>"$LAB/director.conf"
world_director_run

to="--ca $pki/ca.pem --name director.int.example.com"
edge="$to --connect $director:5061 --cert $pki/edge-inner.pem --key $pki/edge-inner.key"
as_pool="$to --connect $director:5061 --cert $pki/pool.pem --key $pki/pool.key"
as_gateway="$to --connect $director:5061 --cert $pki/gateway.pem --key $pki/gateway.key"
client="$to --connect $director:5063"
user_mark='ms-edge-proxy-message-trust: ms-source-type=InternetUser;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified'
partner_mark='ms-edge-proxy-message-trust: ms-source-type=DirectPartner;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified;ms-source-network=federation'
alice="$edge --user alice@example.com --password Alice-1"

register() {	# USER
	echo "send REGISTER sip:example.com -T sip:$1@example.com -H 'Contact: <sip:$1@127.0.0.1:5999;transport=tls>' -H 'Expires: 60' -H '$user_mark'"
}
says() {
	ok "  $1" lab_saw sipsend "$2"
}

# Options hold no blanks, so they may fall apart into words.
# shellcheck disable=SC2086
{
# --- people at their pools
lab_sipsend_start alice-in --ca $pki/ca.pem --name pool.int.example.com --connect $pool:5063 --user alice@example.com --password Alice-1 register stay
lab_sipsend_start bob-in --ca $pki/ca.pem --name pool2.int.example.com --connect $pool2:5063 --user bob@example.com --password Bob-1 register stay
lab_sipsend_start phone --ca $pki/ca.pem --name gw.int.example.com --connect $gateway:5063 --user +12065550100@example.com --password Phone-1 register stay
lab_signed_in alice-in
lab_signed_in bob-in
lab_signed_in phone

# --- pools
answers "a pool whose first address is dead" 200 $edge --user alice@example.com --password Alice-1 "$(register alice)"
ok "  which was tried" lab_wait_line director 'event=hop-down .*hop="pool.int.example.com"' 5
answers "a pool by SRV, whose first server is dead" 200 $edge --user bob@example.com --password Bob-1 "$(register bob)"
ok "  found in DNS" lab_saw director 'event=srv-found name="_sips._tcp.pool2.int.example.com" targets=2'
answers "alice, in one pool, writes to bob, in another" 200 $alice "send MESSAGE sip:bob@example.com -H '$user_mark' -b across"
ok "  who gets it" lab_wait_line bob-in '^across' 5
answers "her pool does so for her" 200 $as_pool --user alice@example.com "send MESSAGE sip:bob@example.com -b by-pool"
ok "  too" lab_wait_line bob-in '^by-pool' 5
answers "a pool that is down" 504 $edge --user dave@example.com --password Dave-1 "$(register dave)"
ok "  is the reason" lab_wait_line director 'event=refused reason=hop-unreachable .*dave@example.com' 5
answers "a message to who lives there" 504 $client --user bob@example.com --password Bob-1 "send MESSAGE sip:dave@example.com -b x"
says "with diagnostics" '^ms-diagnostics: 1007;'
answers "clients are redirected by name, wherever that is" 301 $client --user bob@example.com --password Bob-1 "send REGISTER sip:example.com -T sip:bob@example.com -H 'Contact: <sip:bob@127.0.0.1:5999;transport=tls>'"
answers "a server that DNS names, but that does not prove to be the pool" 504 $edge --user erin@example.com --password Erin-1 "$(register erin)"
ok "  for a reason of its own" lab_wait_line director 'event=refused reason=hop-certificate .*erin@example.com' 5

# --- static routes
answers "alice calls a number" 200 $alice "send MESSAGE sip:+12065550100@example.com -H '$user_mark' -b to-phone"
ok "  and gets the gateway, by its second address" lab_wait_line phone '^to-phone' 5
answers "escaped, it is the same number" 200 $alice "send MESSAGE sip:%2B12065550100@example.com;user=phone -H '$user_mark' -b escaped"
answers "a number in the gateway's own domain, which is more specific" 404 $alice "send MESSAGE sip:+442079@example.com -H '$user_mark' -b x"
no "  was not looked for here" lab_saw director 'reason=unknown-user'
answers "a foreign domain that a route matches does not go to the edge" 404 $alice "send MESSAGE sip:desk@services.example -H '$user_mark' -b x"
answers "a number that is no address" 404 $alice "send MESSAGE tel:+1-206-555 -H '$user_mark' -b x"
answers "a number that nobody there has" 480 $alice "send MESSAGE sip:+1999@example.com -H '$user_mark' -b x"
answers "partners have no use of the gateway" 404 $edge --user x@contoso.example "send MESSAGE sip:+12065550100@example.com -H '$partner_mark' -b x"
ok "  since they are asked for a user" lab_wait_line director 'event=refused reason=unknown-user .*x@contoso.example' 5
answers "unless that is said" 480 $edge --user x@contoso.example "send MESSAGE sip:open@example.com -H '$partner_mark' -b x"
answers "who has not proved who it is, has none either" 401 $edge --user alice@example.com "send MESSAGE sip:+12065550100@example.com -H '$user_mark' -b x"
answers "the gateway itself reaches users" 200 $as_gateway --user +12065550100@example.com "send MESSAGE sip:bob@example.com -b from-gateway"
answers "  but not itself" 404 $as_gateway --user +12065550100@example.com "send MESSAGE sip:+12065550100@example.com -b x"

# --- a pool changes its address while all runs
sed -i "s/\"pool3.int.example.com\"; address = \"$nobody_there\"/\"pool3.int.example.com\"; srv = \"_sips._tcp.pool3.int.example.com\"/" "$LAB/director.conf"
lab_forget director
kill -HUP "$(lab_pid director)"
ok "a pool that DNS does not know" lab_wait_line director 'event=srv-failed name="_sips._tcp.pool3.int.example.com"' 10
answers "  is a pool that is down" 504 $edge --user dave@example.com --password Dave-1 "$(register dave)"
}

finish
