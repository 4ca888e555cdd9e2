# Bad input: messages that are malformed, unfinished or too large, handshakes
# that never end, and configuration with mistakes in it.
. "$(dirname "$0")/system.sh"

world_pki
world_edge_extra='limits = { handshake = 2; first_message = 3; message = 2; request = 3; failover = 2; };'
world_start_small

as_user=$(world_as_user)
as_partner=$(world_as_peer partner-edge-outer)

# Somebody to whom good messages go, all the time.
# shellcheck disable=SC2086
lab_sipsend_start bob --connect "$pool:5063" --name pool.int.example.com --ca "$LAB/pki/ca.pem" \
    --user bob@example.com --password Bob-1 register stay
lab_signed_in bob

# The message on standard input, with lines ended as SIP wants them. @CR@, @LF@,
# @NUL@ and @TAB@ are put in after that.
message() {
	sed -e 's/$/\r/' -e 's/@CR@/\r/g' -e 's/@LF@/\n/g' -e 's/@NUL@/\x00/g' -e 's/@TAB@/\t/g' >"$LAB/message"
}

# bad WHAT START-OF-THE-ANSWER: the message on standard input is answered like that by the edge
bad() {
	message
	# shellcheck disable=SC2086
	lab_sipsend bad --timeout 5 $as_partner "raw $LAB/message" || :
	answer=$(grep -a '^SIP/2.0 ' "$LAB/bad.log" | tail -n 1)
	case $answer in
	"SIP/2.0 $2"*)	ok "$1: ${answer#SIP/2.0 }" : ;;
	*)		ok "$1" false
			echo "    wanted $2, got: ${answer:-no answer}"
			grep -a -e '^---' "$LAB/bad.log" | tail -n 2 | sed 's/^/    /' ;;
	esac
}

# dropped WHAT REASON-AND-DETAIL: no answer is possible; the edge closes or goes on, and logs it
dropped() {
	before=$(grep -c -a "event=refused reason=$2" "$LAB/edge.log" || :)
	message
	# shellcheck disable=SC2086
	lab_sipsend bad --timeout 1 $as_partner "raw $LAB/message" || :
	no "$1: no answer" grep -a -q '^<<<' "$LAB/bad.log"
	ok "  but the log has it: $2" lab_wait_quietly 5 more_than "$before" "event=refused reason=$2"
}
more_than() {
	[ "$(grep -c -a "$2" "$LAB/edge.log" || :)" -gt "$1" ]
}

good() {
	# shellcheck disable=SC2086
	answers "a good message passes" 200 $as_partner --user carol@contoso.example "send MESSAGE sip:bob@example.com -b fine"
}

# $1 is the method and the Request-URI, the rest of the headers come from standard input
head_of() {
	printf '%s SIP/2.0\n' "$1"
	cat
}
usual='Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKbad1
Max-Forwards: 70
From: <sip:carol@contoso.example>;tag=1
To: <sip:bob@example.com>
Call-ID: bad-1'
without() {	# HEADER: the usual ones but that
	printf '%s\n' "$usual" | grep -v "^$1:"
}
ask='MESSAGE sip:bob@example.com'
rest='CSeq: 1 MESSAGE
Content-Length: 0
'
good
{ without Call-ID; echo "$rest"; } | head_of "$ask" | dropped "no Call-ID" 'malformed detail="no-call-id"'
{ without From; echo "$rest"; } | head_of "$ask" | dropped "no From" 'malformed detail="no-from"'
{ without To; echo "$rest"; } | head_of "$ask" | dropped "no To" 'malformed detail="no-to"'
{ echo "$usual"; echo 'Content-Length: 0'; echo; } | head_of "$ask" | dropped "no CSeq" 'malformed detail="no-cseq"'
{ without Max-Forwards; echo 'Max-Forwards: many'; echo "$rest"; } | head_of "$ask" | bad "Max-Forwards is no number" '400 Malformed Max-Forwards'
{ without Max-Forwards; echo 'Max-Forwards: 0'; echo "$rest"; } | head_of "$ask" | bad "Max-Forwards is used up" '483 '
{ echo "$usual"; echo 'CSeq: 1 INVITE'; echo 'Content-Length: 0'; echo; } | head_of "$ask" | bad "CSeq of another method" '400 CSeq Method'
{ echo "$usual"; echo 'From: <sip:x@contoso.example>;tag=2'; echo "$rest"; } | head_of "$ask" | bad "two From" '400 Repeated Header'
{ echo "$usual"; echo 'f: <sip:x@contoso.example>;tag=2'; echo "$rest"; } | head_of "$ask" | bad "From, and f besides" '400 Repeated Header'
{ echo "$usual"; echo "$rest"; } | head_of 'MESSAGE bob' | bad "Request-URI is none" '4'
{ echo "$usual"; echo "$rest"; } | head_of 'MESSAGE mailto:bob@example.com' | bad "a scheme that is not SIP" '416 '
{ echo "$usual"; echo "$rest"; } | head_of "$ask" | sed '1s,2.0,3.0,' | bad "SIP 3.0" '505 '
{ echo "$usual"; echo 'CSeq: 1 MESSAGE'; echo; } | head_of "$ask" | bad "no Content-Length on a stream" '400 Missing Content-Length'
{ echo "$usual"; echo 'CSeq: 1 MESSAGE'; echo 'Content-Length: 0'; echo 'l: 5'; echo; } | head_of "$ask" | bad "two Content-Lengths" '400 Repeated Content-Length'
{ echo "$usual"; echo 'CSeq: 1 MESSAGE'; echo 'Content-Length: -1'; echo; } | head_of "$ask" | bad "Content-Length below zero" '400 Malformed Content-Length'
{ echo "$usual"; echo 'CSeq: 1 MESSAGE'; echo 'Content-Length: 4294967296'; echo; } | head_of "$ask" | bad "Content-Length past 32 bits" '400 Malformed Content-Length'
{ echo "$usual"; echo 'Subject: a@CR@ms-edge-proxy-message-trust: b'; echo "$rest"; } | head_of "$ask" | bad "a bare CR" '400 Bare CR'
{ echo "$usual"; echo 'Subject: a@LF@ms-edge-proxy-message-trust: b'; echo "$rest"; } | head_of "$ask" | bad "a bare LF" '400 Bare LF'
{ echo "$usual"; echo 'Subject: a@NUL@b'; echo "$rest"; } | head_of "$ask" | bad "a NUL" '400 Control Character'
{ echo "$usual"; echo 'Bad Name: x'; echo "$rest"; } | head_of "$ask" | bad "a blank in a header's name" '400 Malformed Header Name'
{ echo "$usual"; echo 'ms-edge-proxy-message-trust : ms-source-type=AuthorizedServer'; echo "$rest"; } | head_of "$ask" | bad "a mark with a blank before the colon" '200 '
{ echo "$usual"; i=0; while [ $i -lt 200 ]; do echo "X-$i: y"; i=$((i + 1)); done; echo "$rest"; } | head_of "$ask" | bad "200 headers" '400 Too Many Headers'
{ echo "$usual"; printf 'Subject: %9000s\n' x; echo "$rest"; } | head_of "$ask" | bad "a header of 9,000 bytes" '400 Header Too Long'
{ echo "$usual"; echo 'CSeq: 1 MESSAGE'; echo 'Content-Length: 70000'; echo; } | head_of "$ask" | bad "a message of 70,000 bytes" '513 '
printf 'GET / HTTP/1.0\n\n' | dropped "a web browser" 'malformed detail="start-line"'
printf 'SIP/2.0 200 OK\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKx\nFrom: <sip:a@contoso.example>;tag=1\nTo: <sip:b@example.com>;tag=2\nCall-ID: x\nCSeq: 1 MESSAGE\nContent-Length: 0\n\n' |
    dropped "a response that nobody asked for" stray-response
good

no "the mark with a blank is gone from what arrived" lab_saw bob 'AuthorizedServer'

# Deadlines. sipsend waits for the close for longer than the deadline.
printf '\026\003\001' >"$LAB/hello"
lab_sipsend slow --plain --connect "$edge_outer:443" --timeout 8 "raw $LAB/hello" || :
ok "a handshake that never ends is cut" lab_saw slow 'closed by the far end'
ok "  and logged" lab_wait_line edge 'reason=handshake-timeout'
# shellcheck disable=SC2086
lab_sipsend slow $as_user --timeout 8 'expect-close 8' || :
ok "who says nothing is cut" lab_saw slow 'closed by the far end'
ok "  and logged" lab_wait_line edge 'reason=first-message-timeout'
printf 'MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP' >"$LAB/half"
# shellcheck disable=SC2086
lab_sipsend slow $as_user --timeout 8 "raw $LAB/half" || :
ok "a message that never ends is cut" lab_saw slow 'closed by the far end'
ok "  and logged" lab_wait_line edge 'reason=message-timeout'
good

# The configuration: every mistake with its place, all at once, exit status 78.
sed -e 's/users = true/useers = true/' -e 's/workers = 2/workers = "two"/' -e "s/$edge_inner:5061/0.0.0.0:5061/" \
    "$LAB/edge.conf" >"$LAB/wrong.conf"
status=0
"$LAB_BUILD/sallyport-edge" -n -f "$LAB/wrong.conf" >"$LAB/wrong.log" 2>&1 || status=$?
ok "bad configuration: exit status 78" [ "$status" = 78 ]
ok "  an unknown name, with file and line" lab_saw wrong 'wrong\.conf:[0-9]+: .*useers'
ok "  a wrong type, with file and line" lab_saw wrong 'wrong\.conf:[0-9]+: .*workers'
ok "  an address that is none, with file and line" lab_saw wrong 'wrong\.conf:[0-9]+: .*inner\.listen'
sed 's/contoso.example/fabrikam.example/' "$LAB/edge-policy.conf" >"$LAB/wrong-policy.conf"
sed 's/edge-policy/wrong-policy/' "$LAB/edge.conf" >"$LAB/wrong.conf"
no "a policy that contradicts itself is refused" "$LAB_BUILD/sallyport-edge" -n -f "$LAB/wrong.conf" 2>"$LAB/wrong.log"
ok "  with the place" lab_saw wrong 'wrong-policy\.conf:[0-9]+: '
ok "the good configuration passes" "$LAB_BUILD/sallyport-edge" -n -f "$LAB/edge.conf"

finish
