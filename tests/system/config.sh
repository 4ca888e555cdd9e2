# What somebody who sets up an edge for the first time is told: configurations
# with every kind of mistake, and starts that cannot work.
. "$(dirname "$0")/system.sh"

edge=$LAB_BUILD/sallyport-edge
outer=$LAB_NET.8.1
inner=$LAB_NET.8.2
world_pki

policy() {
	cat >"$LAB/policy.conf" <<-CONF
	internal_domains = [ "example.com" ];
	internal_servers = [ "director.int.example.com" ];
	CONF
}

# good EXTRA-LINE...: an edge.conf that is right, with further lines
good() {
	cat >"$LAB/edge.conf" <<-CONF
	policy = "$LAB/policy.conf";
	outer = (
	  { listen = "$outer:4430"; name = "sip.example.com"; users = true;
	    certificate = "$LAB/pki/edge-outer.pem"; key = "$LAB/pki/edge-outer.key"; }
	);
	inner = { listen = "$inner:5061"; name = "edge.int.example.com";
	    certificate = "$LAB/pki/edge-inner.pem"; key = "$LAB/pki/edge-inner.key"; trust = "$LAB/pki/ca.pem"; };
	directors = ( { name = "director.int.example.com"; address = "$LAB_NET.8.3"; } );
	CONF
	for line; do
		echo "$line" >>"$LAB/edge.conf"
	done
}

# change SED-EXPRESSION: in edge.conf
change() {
	sed -i "$1" "$LAB/edge.conf"
}

# run STATUS ARGUMENT...: the edge ends by itself, within ten seconds, with that status
run() {
	want=$1
	shift
	got=0
	timeout 10 "$edge" "$@" >"$LAB/said" 2>&1 || got=$?
	[ "$got" -eq "$want" ] || { echo "    status $got instead of $want"; sed 's/^/    /' "$LAB/said"; false; }
}

# says TEXT: it did, on a line of its own or within one
says() {
	grep -qF -e "$1" "$LAB/said" || { sed 's/^/    /' "$LAB/said"; false; }
}

# says_only N: N lines
says_only() {
	[ "$(wc -l <"$LAB/said")" -eq "$1" ] || { sed 's/^/    /' "$LAB/said"; false; }
}

policy
good "user = \"$world_user\";"
ok "a configuration that is right is good" run 0 -n -f "$LAB/edge.conf"
ok "and it says so" says "edge.conf: good"

# --- everything wrong at once -------------------------------------------------
cat >"$LAB/policy.conf" <<-CONF
	internal_domain = [ "example.com" ];
	internal_servers = "director.int.example.com";
	remote_users = 1;
	blocked = [ "spam.example", "not a name" ];
	partners = (
	  { server = "sip.contoso.example"; domains = [ "contoso.example", "spam.example" ]; },
	  { domains = [ "contoso.example" ]; }
	);
CONF
cat >"$LAB/edge.conf" <<-CONF
	polcy = "policy.conf";
	workers = "four";
	policy = "$LAB/policy.conf";
	outer = (
	  { listen = "0.0.0.0:4430"; name = "sip.example.com"; user = true;
	    certificate = "$LAB/pki/nobody.pem"; key = "$LAB/pki/edge-outer.key"; },
	  { listen = "sip.example.com:5061"; name = "sip.example.com"; partners = true; client_certificate = "maybe";
	    certficate = "$LAB/pki/edge-outer.pem"; key = "$LAB/pki/edge-outer.key"; }
	);
	inner = { listen = "$inner:5061"; certificate = "$LAB/pki/edge-inner.pem"; key = "$LAB/pki/pool.key"; trust = "$LAB/pki/ca.pem"; };
	directors = ( { name = "director.int.example.com"; address = "director"; port = 70000; } );
	limits = { conections = 5; };
	user = "nobody-of-that-name";
CONF
ok "with many mistakes nothing starts" run 78 -n -f "$LAB/edge.conf"
while read -r text; do
	ok "it says: $text" says "$text"
done <<-SAID
	edge.conf: inner.name: is missing and has no default
	edge.conf:1: polcy: there is no such option; did you mean policy?
	edge.conf:2: workers: expects a number from 0 to 64
	edge.conf:5: outer[0].listen: expects the address of one interface
	edge.conf:5: outer[0].user: there is no such option; did you mean outer[0].users?
	edge.conf:5: outer[0]: admits nobody; set users or partners to true
	edge.conf:5: outer[0]: $LAB/pki/nobody.pem: No such file or directory
	edge.conf:7: outer[1].listen: expects an IP address and a port
	edge.conf:7: outer[1].client_certificate: expects one of "none", "optional", "required"
	edge.conf:7: outer[1].trust: expects the authorities of the partners' certificates
	edge.conf:8: outer[1].certficate: there is no such option; did you mean outer[1].certificate?
	edge.conf:10: inner: $LAB/pki/pool.key: the key does not belong to the certificate in $LAB/pki/edge-inner.pem
	edge.conf:11: directors[0].port: expects a number from 1 to 65535
	edge.conf:11: directors[0].address: expects an IP address
	edge.conf:12: limits.conections: there is no such option; did you mean limits.connections?
	policy.conf:1: internal_domain: there is no such option; did you mean internal_domains?
	policy.conf:3: remote_users: expects true or false
	policy.conf:4: blocked: expects a domain name, not "not a name"
	policy.conf:6: partners[].domains: spam.example is blocked
	policy.conf:7: partners: partners[1] has no server
	policy.conf:7: partners[].domains: contoso.example belongs to partner sip.contoso.example already
SAID
if [ "$(id -u)" -eq 0 ]; then
	ok "it says that the account is missing" says \
	    'edge.conf:13: user: this machine has no account "nobody-of-that-name"'
fi
ok "without -n it ends in the same way" run 78 -f "$LAB/edge.conf"

# --- one at a time: the message is the whole answer ----------------------------
policy
good
change 's/users = true/users = yes/'
ok "yes is not true" run 78 -n -f "$LAB/edge.conf"
ok "the line, and what is expected" says "edge.conf:3: syntax error: expects a number, true or false, or a text in double quotes"
ok "and nothing that would follow from it" says_only 1

good "dns.servers = [ \"127.0.0.1\" ];"
ok "a dotted name" run 78 -n -f "$LAB/edge.conf"
ok "is shown as a group" says "dns is a group; expects  dns = { servers = ...; };"

ok "a file that is not there" run 78 -n -f "$LAB/nothing.conf"
ok "is said to be missing" says "nothing.conf: cannot be read: No such file or directory"
ok "and nothing else" says_only 1
ok "a directory" run 78 -n -f "$LAB"
ok "is not a file" says "cannot be read: it is not a file"

good "user = \"$world_user\";"
change "s,$LAB/policy.conf,$LAB/nothing.conf,"
ok "a policy that is not there" run 78 -n -f "$LAB/edge.conf"
ok "is named" says "nothing.conf: cannot be read: No such file or directory"
ok "once" says_only 1

good "user = \"$world_user\";"
change 's/sip.example.com/sip.example.net/'
ok "a certificate with another name is a warning" run 0 -n -f "$LAB/edge.conf"
ok "that says which" says "outer[0]: warning: $LAB/pki/edge-outer.pem does not hold the name sip.example.net"

"$LAB_TOP/certs-example/make-pki" "$LAB/pki" cert over --dns sip.example.com --expired >/dev/null
good "user = \"$world_user\";"
change 's/edge-outer/over/g'
ok "an expired certificate is a warning" run 0 -n -f "$LAB/edge.conf"
ok "that names the file" says "warning: $LAB/pki/over.pem"

good "user = \"$world_user\";"
: >"$LAB/empty.pem"
change "s,$LAB/pki/edge-outer.pem,$LAB/empty.pem,"
ok "an empty certificate" run 78 -n -f "$LAB/edge.conf"
ok "is named" says "outer[0]: $LAB/empty.pem"

ok "an unknown argument" run 64 --colour
ok "leads to --help" says "Try 'sallyport-edge --help'."
ok "--help" run 0 --help
ok "says how it is used" says "usage: sallyport-edge [-n] [-f FILE]"

# --- starts that cannot work ------------------------------------------------------
good "user = \"$world_user\";"
change "s/$outer:4430/192.0.2.1:4430/"
ok "an address that is not ours" run 71 -f "$LAB/edge.conf"
ok "is explained" says "192.0.2.1:4430: Cannot assign requested address; no interface of this machine has that address"

good "user = \"$world_user\";" "log = { file = \"$LAB/nowhere/edge.log\"; };"
ok "a log file that cannot be made" run 73 -f "$LAB/edge.conf"
ok "is named" says "$LAB/nowhere/edge.log: No such file or directory"

echo 'not a key' >"$LAB/flow.keys"
chmod 600 "$LAB/flow.keys"
good "user = \"$world_user\";" "flow_keys = \"$LAB/flow.keys\";"
ok "a file of flow keys that has none" run 78 -f "$LAB/edge.conf"
ok "is named with the line" says "flow.keys:1: expects 64 hex digits"
chmod 644 "$LAB/flow.keys"
ok "one that others may read" run 78 -f "$LAB/edge.conf"
ok "is refused too" says "flow.keys: others may read it; expects mode 0600"

good "user = \"$world_user\";"
cp "$LAB/edge.conf" "$LAB/first.conf"
lab_start first "$edge" -f "$LAB/first.conf"
lab_wait_quietly 10 grep -q event=ready "$LAB/first.log"
ok "a port that is in use" run 71 -f "$LAB/edge.conf"
ok "is explained" says "$outer:4430: Address already in use; another program listens there"

if [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$LAB" "$LAB/pki"
	good
	change "s/:4430/:430/"
	cp "$LAB/pki/edge-outer.key" "$LAB/pki/edge-inner.key" "$LAB"
	change "s,$LAB/pki/\(edge-[a-z]*.key\),$LAB/\1,"
	chmod 600 "$LAB"/edge-*.key
	as_nobody() {
		want=$1
		shift
		got=0
		timeout 10 setpriv --reuid=nobody --regid=nogroup --clear-groups "$edge" "$@" >"$LAB/said" 2>&1 || got=$?
		[ "$got" -eq "$want" ] || { echo "    status $got instead of $want"; sed 's/^/    /' "$LAB/said"; false; }
	}
	ok "a key that is not for this account" as_nobody 78 -n -f "$LAB/edge.conf"
	ok "is named" says "outer[0]: $LAB/edge-outer.key: Permission denied"
	chown nobody "$LAB"/edge-*.key
	unprivileged=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)
	if [ "$unprivileged" -gt 430 ]; then
		ok "a low port without root" as_nobody 71 -f "$LAB/edge.conf"
		ok "is explained" says "$outer:430: Permission denied; a port below 1024 can be opened by root only"
	fi
fi

# --- a reload that cannot be, one that is bad, and one that is good ------------------
pid=$(lab_pid first)
if [ "$(id -u)" -eq 0 ]; then
	ok "the keys are root's alone" test -z "$(find "$LAB/pki" -name 'edge-*.key' \( ! -user 0 -o -perm /077 \))"
	kill -HUP "$pid"
	ok "a reload reads them all the same" lab_wait_quietly 10 grep -q event=reloaded "$LAB/first.log"
	chown "$world_user" "$LAB/pki"/edge-*.key
	: >"$LAB/first.log"
fi
echo 'federation = maybe;' >>"$LAB/policy.conf"
kill -HUP "$pid"
ok "a bad policy is refused at a reload" lab_wait_quietly 10 grep -q event=reload-refused "$LAB/first.log"
ok "the log names file and line" grep -q 'event=reload text=".*policy.conf:3: syntax error' "$LAB/first.log"
policy
kill -HUP "$pid"
ok "a good one is taken over" lab_wait_quietly 10 grep -q event=reloaded "$LAB/first.log"
kill -TERM "$pid"
ok "it ends when it is told to" lab_wait_quietly 10 grep -q event=stopped "$LAB/first.log"
expected_end first

finish
