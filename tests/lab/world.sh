# world.sh - the example world of the quickstart and the system tests: our
# organisation example.com behind an edge and a Director, the partner
# contoso.example behind an edge of its own, and fabrikam.example, which is
# blocked. Sourced after lab.sh.

world_pki() {
	"$LAB_TOP/certs-example/make-pki" "$LAB/pki" >/dev/null
	"$LAB_TOP/certs-example/make-pki" "$LAB/pki" cert blocked-edge \
	    --dns sip.fabrikam.example --dns fabrikam.example >/dev/null
}
