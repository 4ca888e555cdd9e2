# A client that gives up when it sees an algorithm that it does not know (baresip
# 1.0 and SHA-256) comes from outside, to a Director that offers MD5 alone: it
# signs in, writes and calls.
. "$(dirname "$0")/system.sh"

world_pki
world_auth_extra='digest = "md5";'
world_start

world_inside_bob
lab_baresip alice alice@example.com Alice-1 'sip:sip.example.com:443;transport=tls' sip:bob@example.com
ok "bob signs in at the pool" lab_signed_in bob
ok "alice signs in from outside" lab_signed_in alice
no "  and was not offered SHA-256" lab_saw alice 'algorithm=SHA-256'
lab_baresip_say alice 'with md5'
ok "her message arrives" lab_received bob alice@example.com 'with md5'
lab_tell alice '/dial sip:bob@example.com'
ok "she calls" lab_wait_line bob '^INVITE '
lab_tell bob /accept
ok "  it is answered, and ACK arrives" lab_wait_line bob '^ACK '
lab_tell alice /hangup
ok "  it ends, and BYE arrives" lab_wait_line bob '^BYE '

finish
