# lab.sh - real SIP servers and clients on loopback addresses, for the
# quickstart and the system tests. Sourced by POSIX shell scripts:
#
#	. "$top/tests/lab/lab.sh"
#	lab_begin /some/run/directory
#	...
#	lab_end
#
# Every process that runs here is ours: started by lab_start, with a log
# NAME.log, a command pipe NAME.in and a pid file NAME.pid in the run
# directory, and ended by lab_end, which also runs when the script fails.
# Nothing outside the run directory is written.
#
# Waiting is always for a condition, with a deadline: lab_wait and what is
# built on it. A deadline that passes shows the log of the process concerned.
#
# Set before lab_begin, if the defaults do not suit:
#	LAB_TOP		source tree (default: found from the script's own path)
#	LAB_BUILD	build tree (default: LAB_TOP)
#	LAB_NET		first half of all addresses (default: 127.61)

LAB_NET=${LAB_NET:-127.61}

# Where everybody lives. Each machine of a real installation has an address
# of its own here.
lab_addresses() {
	dns_addr=$LAB_NET.0.53
	edge_outer=$LAB_NET.1.1 edge_inner=$LAB_NET.1.2
	director=$LAB_NET.2.1
	pool=$LAB_NET.3.1
	partner_outer=$LAB_NET.4.1 partner_inner=$LAB_NET.4.2
	partner_pool=$LAB_NET.5.1
	blocked_outer=$LAB_NET.6.1
	clients=$LAB_NET.9
}

lab_begin() {	# RUN-DIRECTORY
	: "${LAB_TOP:=$(cd "$(dirname "$0")/../.." && pwd)}"
	: "${LAB_BUILD:=$LAB_TOP}"
	LAB=$1
	mkdir -p "$LAB"
	LAB=$(cd "$LAB" && pwd)
	: >"$LAB/processes"
	for lab_place in $lab_places; do
		echo "$lab_place $(lab_mounts_over "$lab_place")"
	done >"$LAB/mounts"
	# A view of the mounts of its own. In a chroot whose root is no mount point
	# it can't be cut off from the one outside: what is mounted there is
	# perhaps seen here as well, until lab_end.
	lab_unshare='unshare -m'
	unshare -m true 2>/dev/null || lab_unshare='unshare -m --propagation unchanged'
	lab_client_count=0
	lab_addresses
	trap 'lab_end' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# Stop everything, last started first. The run directory stays.
lab_end() {
	trap - EXIT
	trap '' HUP INT TERM	# not to be interrupted half way
	for lab_p in $(lab_processes); do
		lab_stop "$lab_p"
	done
	lab_restore_mounts
}

# Over what a process of ours may have something of its own, which others may see in a chroot.
lab_places='/etc/resolv.conf /run/samba/winbindd'

# How often something is mounted there.
lab_mounts_over() {	# PLACE
	awk -v place="$1" '$5 == place { n++ } END { print n + 0 }' /proc/self/mountinfo
}

lab_restore_mounts() {
	[ -s "$LAB/mounts" ] || return 0
	while read -r lab_place lab_before; do
		while [ "$(lab_mounts_over "$lab_place")" -gt "$lab_before" ]; do
			umount "$lab_place" || break
		done
	done <"$LAB/mounts"
}

lab_processes() {
	sed '1!G;h;$!d' "$LAB/processes"
}

# Leave everything running when the script ends; lab_stop_all ends it later.
lab_leave() {
	trap - EXIT
}

lab_stop_all() {	# RUN-DIRECTORY
	LAB=$1
	[ ! -e "$LAB/processes" ] || lab_end
}

# --- processes ---------------------------------------------------------------

# lab_start NAME COMMAND [ARGUMENT]...
# What the command prints goes to NAME.log; lines written to NAME.in are its input.
lab_start() {
	lab_n=$1
	shift
	lab_stop "$lab_n"	# one that runs under this name already
	rm -f "$LAB/$lab_n.in" "$LAB/$lab_n.first"
	: >"$LAB/$lab_n.log"
	mkfifo "$LAB/$lab_n.in"
	# A session of its own, so that nothing it starts can outlive it. The pipe
	# is opened for both directions: writers never block, readers see no end.
	setsid "$@" <>"$LAB/$lab_n.in" >>"$LAB/$lab_n.log" 2>&1 &
	echo "$! $(lab_birth $!)" >"$LAB/$lab_n.pid"
	grep -q -x -e "$lab_n" "$LAB/processes" || echo "$lab_n" >>"$LAB/processes"
}

# When a process was born, in the kernel's count: tells it from a later one
# that was given the same number.
lab_birth() {	# PID
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

lab_pid() {	# NAME: its number, if it is alive
	read -r lab_number lab_born 2>/dev/null <"$LAB/$1.pid" || return 1
	[ "$lab_born" = "$(lab_birth "$lab_number")" ] || return 1
	# a child that has ended but was not waited for is not alive
	case $(sed 's/.*) //' "/proc/$lab_number/stat" 2>/dev/null) in
	Z*)	return 1 ;;
	esac
	echo "$lab_number"
}

lab_alive() {	# NAME
	lab_pid "$1" >/dev/null
}

lab_gone() {	# NAME
	! lab_alive "$1"
}

# lab_stop NAME [SIGNAL]: ask it to end (TERM), insist after five seconds
lab_stop() {
	lab_s=$(lab_pid "$1") || { rm -f "$LAB/$1.pid" "$LAB/$1.in"; return 0; }
	if [ -e "$LAB/$1.goodbye" ]; then
		lab_tell "$1" "$(cat "$LAB/$1.goodbye")"
		rm -f "$LAB/$1.goodbye"
		lab_wait_quietly 2 lab_gone "$1" || :
	fi
	lab_kill "${2:-TERM}" "$lab_s"
	lab_wait_quietly 5 lab_gone "$1" || lab_kill KILL "$lab_s"
	# whatever is left of its session
	lab_kill KILL "-$lab_s"
	wait "$lab_s" 2>/dev/null || :
	rm -f "$LAB/$1.pid" "$LAB/$1.in"
}

lab_kill() {	# SIGNAL PID
	kill -s "$1" -- "$2" 2>/dev/null || :
}

# lab_tell NAME LINE...: type a line for the process
lab_tell() {
	lab_n=$1
	shift
	printf '%s\n' "$*" >"$LAB/$lab_n.in"
}

# --- waiting -----------------------------------------------------------------

lab_wait_quietly() {	# SECONDS COMMAND [ARGUMENT]...
	lab_until=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -le "$lab_until" ] || return 1
		sleep 0.05
	done
}

# lab_wait SECONDS WHAT COMMAND [ARGUMENT]...: fails, saying WHAT did not happen
lab_wait() {
	lab_seconds=$1 lab_what=$2
	shift 2
	lab_wait_quietly "$lab_seconds" "$@" && return 0
	echo "waited $lab_seconds seconds in vain: $lab_what" >&2
	return 1
}

# lab_saw NAME PATTERN: has the process printed a line like that (extended regexp)
# since the last lab_forget?
lab_saw() {
	lab_first=$(cat "$LAB/$1.first" 2>/dev/null) || lab_first=1
	tail -n "+$lab_first" "$LAB/$1.log" | grep -a -q -E -e "$2"
}

# lab_forget NAME: from here on, lab_saw and lab_wait_line look at new lines only
lab_forget() {
	echo $(($(wc -l <"$LAB/$1.log") + 1)) >"$LAB/$1.first"
}

# lab_wait_line NAME PATTERN [SECONDS]
lab_wait_line() {
	lab_wait "${3:-10}" "a line like \"$2\" from $1" lab_saw_or_died "$1" "$2" &&
	    lab_saw "$1" "$2" && return 0
	echo "last lines of $1:" >&2
	tail -n 15 "$LAB/$1.log" | sed 's/^/    /' >&2
	return 1
}

lab_saw_or_died() {
	lab_saw "$1" "$2" || lab_gone "$1"
}

lab_listens() {	# ADDRESS PORT: does anybody listen there?
	ss -Hltn "src $1:$2" | grep -q .
}

lab_wait_port() {	# NAME ADDRESS PORT: until that process, and no other, listens there
	lab_wait 10 "$1 listening on $2:$3" lab_owns_or_died "$1" "$2" "$3" &&
	    lab_alive "$1" && return 0
	echo "last lines of $1:" >&2
	tail -n 15 "$LAB/$1.log" | sed 's/^/    /' >&2
	return 1
}

lab_owns() {	# NAME ADDRESS PORT
	lab_o=$(lab_pid "$1") || return 1
	for lab_listener in $(ss -Hltnp "src $2:$3" | grep -o 'pid=[0-9]*' | cut -c 5-); do
		# the process itself, or one of its session
		[ "$(ps -o sid= -p "$lab_listener" | tr -d ' ')" != "$lab_o" ] || return 0
	done
	return 1
}

lab_owns_or_died() {
	lab_owns "$1" "$2" "$3" || lab_gone "$1"
}

# --- DNS: Knot -----------------------------------------------------------------

# lab_zone DOMAIN: records from standard input. Reload the server if it runs.
lab_zone() {
	mkdir -p "$LAB/zones"
	{
		printf '$ORIGIN %s.\n$TTL 60\n' "$1"
		printf '@ SOA ns hostmaster %s 3600 600 86400 60\n@ NS ns\nns A %s\n' "$(date +%s)" "$dns_addr"
		cat
	} >"$LAB/zones/$1.zone"
}

# The zones of the example organisations, as an administrator would publish
# them: discovery for clients (two names, since clients disagree), discovery
# for partners, addresses.
lab_example_zones() {
	# linphonec asks for the domain's own address as well, and waits for
	# seconds when there is none.
	lab_zone example.com <<-ZONE
	@                    A $edge_outer
	_sip._tls            SRV 0 0 443 sip
	_sips._tcp           SRV 0 0 443 sip
	_sipfederationtls._tcp SRV 0 0 5061 sip
	sip                  A $edge_outer
	edge.int             A $edge_inner
	director.int         A $director
	pool.int             A $pool
	_sipinternaltls._tcp SRV 0 0 5061 director.int
	ZONE
	lab_zone contoso.example <<-ZONE
	_sipfederationtls._tcp SRV 0 0 5061 sip
	sip                  A $partner_outer
	edge.int             A $partner_inner
	pool.int             A $partner_pool
	ZONE
	lab_zone fabrikam.example <<-ZONE
	_sipfederationtls._tcp SRV 0 0 5061 sip
	sip                  A $blocked_outer
	ZONE
}

lab_dns_start() {
	echo "nameserver $dns_addr" >"$LAB/resolv.conf"
	mkdir -p "$LAB/knot"
	{
		cat <<-CONF
		server:
		    rundir: "$LAB/knot"
		    listen: $dns_addr@53
		    udp-workers: 1
		    tcp-workers: 1
		    background-workers: 1
		log:
		  - target: stdout
		    any: info
		database:
		    storage: "$LAB/knot"
		    timer-db-max-size: 1M
		template:
		  - id: default
		    storage: "$LAB/zones"
		    file: "%s.zone"
		    zonefile-sync: -1
		    zonefile-load: whole
		    journal-content: none
		zone:
		CONF
		for lab_z in "$LAB"/zones/*.zone; do
			lab_z=${lab_z##*/}
			echo "  - domain: ${lab_z%.zone}"
		done
	} >"$LAB/knot/knot.conf"
	lab_start dns knotd -m 16 -c "$LAB/knot/knot.conf"
	lab_wait_line dns 'server started'
}

# --- home pool: Kamailio -------------------------------------------------------

# lab_pool_start NAME DOMAIN ADDRESS CERTIFICATE GATEWAY-NAME GATEWAY-ADDRESS USER:PASSWORD...
# Servers reach it on port 5061, clients inside on 5063. A gateway whose name
# begins with "director" is believed to have authenticated its users. With
# lab_ms_clients=yes it knows the ways of clients of the Communicator family.
# lab_pool_expires: for how many seconds a registration holds at most.
lab_pool_start() {
	lab_n=$1 lab_domain=$2 lab_addr=$3 lab_cert=$4 lab_gname=$5 lab_gaddr=$6
	shift 6
	lab_d=$LAB/$lab_n
	lab_from=$LAB_TOP/packaging/examples/kamailio-home
	mkdir -p "$lab_d"
	sed "s/\"max_expires\", 3600/\"max_expires\", ${lab_pool_expires:-3600}/" "$lab_from/kamailio.cfg" >"$lab_d/kamailio.cfg"
	case $lab_gname in
	director*)	lab_keep= ;;
	*)		lab_keep='/^#!define GATEWAY_IS_DIRECTOR/d' ;;
	esac
	[ -z "${lab_ms_clients:-}" ] || lab_keep="$lab_keep
s/^##!define MS_CLIENTS/#!define MS_CLIENTS/"
	sed -e "$lab_keep" -e "s/!MY_DOMAIN!example\\.com!/!MY_DOMAIN!$lab_domain!/" -e "s/director\\.int\\.example\\.com!g/$lab_gname!g/" \
	    -e "s/sip:director\\.int\\.example\\.com:/sip:$lab_gaddr:/" -e "s/192\\.0\\.2\\.30/$lab_addr/" \
	    -e "/^alias/s/pool\\.int\\.example\\.com/pool.int.$lab_domain/" "$lab_from/site.cfg" >"$lab_d/site.cfg"
	sed -e "s,/etc/kamailio/pool\\.,$LAB/pki/$lab_cert.," -e "s,/etc/kamailio/ca\\.,$LAB/pki/ca.," \
	    -e "s/192\\.0\\.2\\.30/$lab_addr/" "$lab_from/tls.cfg" >"$lab_d/tls.cfg"
	{
		echo 'event_route[htable:mod-init] {'
		for lab_u; do
			printf '\t$sht(password=>%s) = "%s";\n' "${lab_u%%:*}" "${lab_u#*:}"
		done
		echo '}'
	} >"$lab_d/users.cfg"
	# Kamailio looks for included files where it is started, and asks the
	# system's resolver only.
	# shellcheck disable=SC2086 # several words
	lab_start "$lab_n" $lab_unshare sh -c 'mount --bind "$1" /etc/resolv.conf && cd "$2" && shift 2 && exec "$@"' sh \
	    "$LAB/resolv.conf" "$lab_d" \
	    kamailio -f "$lab_d/kamailio.cfg" -DD -E -m 32 -M 4 -w "$lab_d" -Y "$lab_d" -P "$lab_d/kamailio.pid"
	lab_wait_port "$lab_n" "$lab_addr" 5061
	lab_wait_port "$lab_n" "$lab_addr" 5063
}

# --- clients -------------------------------------------------------------------
#
# Both clients find servers by DNS as they would anywhere. linphonec insists on
# the system's resolver configuration, so it runs with a view of /etc of its own.

# lab_linphone NAME USER@DOMAIN PASSWORD PROXY
# PROXY is a SIP URI such as "sip:example.com;transport=tls" (found by SRV).
lab_linphone() {
	lab_n=$1
	lab_client_count=$((lab_client_count + 1))
	lab_d=$LAB/$lab_n
	rm -rf "$lab_d"
	# it crashes at the first message without this directory
	mkdir -p "$lab_d/.local/share/linphone"
	cat >"$lab_d/rc" <<-RC
	[sip]
	bind_address=$clients.$lab_client_count
	sip_port=-1
	sip_tcp_port=-1
	sip_tls_port=5061
	use_ipv6=0
	ipv6_migration_done=1
	verify_server_certs=1
	verify_server_cn=1
	root_ca=$LAB/pki/ca.pem
	register_only_when_network_is_up=0
	default_proxy=0
	guess_hostname=0
	[net]
	dns_srv_enabled=1
	dns_search_enabled=0
	[proxy_0]
	reg_proxy=<$4>
	reg_route=<$4;lr>
	reg_identity=sip:$2
	reg_expires=300
	reg_sendregister=1
	publish=0
	[auth_info_0]
	username=${2%%@*}
	passwd=$3
	realm=${2#*@}
	[sound]
	playback_dev_id=none
	RC
	# shellcheck disable=SC2086
	lab_start "$lab_n" env HOME="$lab_d" $lab_unshare sh -c \
	    'mount --bind "$1" /etc/resolv.conf && exec linphonec -d 6 -c "$2" -l "$3"' sh \
	    "$LAB/resolv.conf" "$lab_d/rc" "$lab_d/trace"
}

# lab_linphone_say NAME URI TEXT
lab_linphone_say() {
	lab_tell "$1" "chat $2 $3"
}

# lab_baresip NAME USER@DOMAIN PASSWORD PROXY PEER-URI...: those in its address book
lab_baresip() {
	lab_n=$1
	lab_client_count=$((lab_client_count + 1))
	lab_d=$LAB/$lab_n
	rm -rf "$lab_d"
	mkdir -p "$lab_d"
	cat >"$lab_d/config" <<-CONF
	sip_listen		$clients.$lab_client_count:0
	sip_cafile		$LAB/pki/ca.pem
	sip_verify_server	yes
	net_interface		$clients.$lab_client_count
	dns_server		$dns_addr:53
	audio_source		aufile,$lab_d/silence.wav
	audio_player		aufile,$lab_d/heard.wav
	audio_alert		aufile,$lab_d/alert.wav
	module_path		/usr/lib/baresip/modules
	module			stdio.so
	module			g711.so
	module			aufile.so
	module_tmp		account.so
	module_app		contact.so
	module_app		menu.so
	CONF
	# half a minute of it, for calls: there is no microphone
	/usr/bin/python3 -c 'import sys, wave
with wave.open(sys.argv[1], "wb") as w:
	w.setparams((1, 2, 8000, 0, "NONE", ""))
	w.writeframes(bytes(480000))' "$lab_d/silence.wav"
	printf '<sip:%s;transport=tls>;auth_user=%s;auth_pass=%s;outbound="%s";regint=300\n' \
	    "$2" "${2%%@*}" "$3" "$4" >"$lab_d/accounts"
	shift 4
	printf '"peer" <%s>\n' "$@" >"$lab_d/contacts"
	# It shows what it receives on a terminal only, so it gets one. -s: every
	# SIP message as it came and went.
	lab_start "$lab_n" script -q -f -c "exec baresip -4 -s -f '$lab_d'" /dev/null
	echo /quit >"$LAB/$lab_n.goodbye"	# script answers a signal only after seconds
}

lab_baresip_say() {	# NAME TEXT: to the entry of the address book that it is at
	lab_tell "$1" "/message $2"
}

lab_baresip_next() {	# NAME: go to the next entry
	lab_tell "$1" /contact_next
}

# lab_sipsend NAME ARGUMENT...: one run of our raw sender, its output in NAME.log
lab_sipsend() {
	lab_n=$1
	shift
	/usr/bin/python3 "$LAB_TOP/tests/lab/sipsend" "$@" >"$LAB/$lab_n.log" 2>&1
}

# The same as a process that stays; end the arguments with the command "stay".
lab_sipsend_start() {
	lab_n=$1
	shift
	lab_start "$lab_n" /usr/bin/python3 "$LAB_TOP/tests/lab/sipsend" "$@"
}

# lab_signed_in NAME: wait until the client, whichever it is, has signed in
lab_signed_in() {
	lab_wait 10 "$1 signed in" lab_is_signed_in "$1" && return 0
	echo "last lines of $1:" >&2
	tail -n 15 "$LAB/$1.log" | sed 's/^/    /' >&2
	return 1
}

lab_is_signed_in() {
	# linphonec tells only when asked
	[ ! -e "$LAB/$1/rc" ] || lab_tell "$1" 'status register'
	lab_saw "$1" '^registered, identity=|useragents? registered successfully|REGISTER: 200'
}

# lab_received NAME SENDER TEXT [SECONDS]: wait until the client shows the message to its user
lab_received() {
	lab_wait_line "$1" "^.{0,20}Message received from .*$2.*: $3|^.{0,12}sip:$2[^:]*: \"$3\"" "${4:-10}"
}
