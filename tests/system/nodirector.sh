# Two edges in front of two home pools, and no Director: the pools challenge
# remote users themselves. Real clients.
. "$(dirname "$0")/system.sh"

world_pki
world_start_small

world_inside_bob
world_partner_carol
ok "bob signs in inside" lab_signed_in bob
ok "carol signs in at the partner's pool" lab_signed_in carol
world_remote_alice
ok "alice signs in through the edge; the pool has challenged her" lab_signed_in alice

lab_linphone_say alice sip:bob@example.com 'one from alice'
ok "remote user to inside user" lab_received bob alice@example.com 'one from alice'
lab_baresip_say bob 'two from bob'
ok "inside user to remote user" lab_received alice bob@example.com 'two from bob'
lab_linphone_say carol sip:bob@example.com 'three from carol'
ok "partner to inside user" lab_received bob carol@contoso.example 'three from carol'
lab_baresip_next bob
lab_baresip_say bob 'four from bob'
ok "inside user to partner" lab_received carol bob@example.com 'four from bob'
lab_linphone_say carol sip:alice@example.com 'five from carol'
ok "partner to remote user" lab_received alice carol@contoso.example 'five from carol'
lab_linphone_say alice sip:carol@contoso.example 'six from alice'
ok "remote user to partner" lab_received carol alice@example.com 'six from alice'

ok "a partner's message with a forged mark is let in" world_forge_from_partner 'seven forged'
ok "it arrives" lab_received bob carol@contoso.example 'seven forged'
ok "without the forged mark" world_mark_is_gone bob 'seven forged'
ok "a blocked domain is refused with 403" world_blocked_message 'nine blocked'
ok "the log names the reason" world_blocked_was_logged
ok "nobody saw it" world_not_received bob 'nine blocked'

finish
