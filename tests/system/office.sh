# A branch office whole: a user there signs in through the branch's edge, the
# head office's edge and the Director at the home pool, and is reached on the
# same way back. Real programs all of them; the branch is configured as in
# packaging/examples/branch.
. "$(dirname "$0")/system.sh"

branch_lan=$LAB_NET.7.1
branch_uplink=$LAB_NET.7.2

world_pki
for pair in lan:sip.branch1.example.com uplink:branch1.example.com; do
	"$LAB_TOP/certs-example/make-pki" "$LAB/pki" cert "${pair%%:*}" --dns "${pair#*:}" >/dev/null
done
world_give lan uplink
cp "$LAB/pki/ca.pem" "$LAB/pki/head-office-ca.pem"
world_start

# the head office has a branch, and its routes outlive its edge
head_office() {
	lab_start edge "$LAB_BUILD/sallyport-edge" -f "$LAB/edge.conf"
	lab_wait_port edge "$edge_inner" 5061
}
lab_stop edge
echo 'branches = [ "branch1.example.com" ];' >>"$LAB/edge-policy.conf"
echo "flow_keys = \"$LAB/edge-flow.keys\";" >>"$LAB/edge.conf"
head_office

example=$LAB_TOP/packaging/examples/branch
sed -e "s,/etc/sallyport/policy.conf,$example/policy.conf,;s,/var/lib/sallyport/edge.keys,$LAB/branch-flow.keys," \
    -e "s,/etc/sallyport/,$LAB/pki/,;s/10\.9\.0\.1:/$branch_lan:/;s/192\.0\.2\.80:/$branch_uplink:/" \
    "$example/edge.conf" >"$LAB/branch.conf"
echo "user = \"$world_user\"; workers = 2; dns = { servers = [ \"$dns_addr\" ]; };" >>"$LAB/branch.conf"
lab_start branch "$LAB_BUILD/sallyport-edge" -f "$LAB/branch.conf"
lab_wait_port branch "$branch_lan" 5061
ok "the branch has its link" lab_wait_line edge 'event=connected.*class=branch'

at_branch="--connect $branch_lan:5061 --name sip.branch1.example.com --ca $LAB/pki/ca.pem"
# Options hold no blanks, so they may fall apart into words.
# shellcheck disable=SC2086
{
answers "a wrong password is refused through both edges" 401 $at_branch --user alice@example.com --password wrong register
lab_sipsend_start alice $at_branch --user alice@example.com --password Alice-1 register stay
ok "alice signs in from the branch" lab_wait_line alice '^SIP/2.0 200 '

world_inside_bob
ok "bob signs in inside" lab_signed_in bob
lab_baresip_say bob 'one from bob'
ok "bob's message reaches her on her connection" lab_wait_line alice '^one from bob'
lab_tell alice "send MESSAGE sip:bob@example.com -b 'two from alice'"
ok "hers reaches bob" lab_received bob alice@example.com 'two from alice'
world_partner_carol
ok "a partner's user signs in there" lab_signed_in carol
lab_tell alice "send MESSAGE sip:carol@contoso.example -b 'three from alice'"
ok "hers reaches the partner" lab_received carol alice@example.com 'three from alice'
lab_linphone_say carol sip:alice@example.com 'four from carol'
ok "a partner's message reaches her" lab_wait_line alice '^four from carol'
answers "nobody in the branch is somebody else's user" 403 $at_branch --user eve@contoso.example \
    "send MESSAGE sip:bob@example.com -b 'five from eve'"
}

# the link is cut: nobody in the branch notices, and nobody signs in again
lab_stop edge
ok "the branch sees its link go" lab_wait_line branch 'event=disconnected.*side=inner'
head_office
ok "the branch has a link again" lab_wait_line edge 'event=connected.*class=branch'
lab_baresip_say bob 'six from bob'
ok "and she is reached as before" lab_wait_line alice '^six from bob'
finish
