/*
 * tests/fuzz/fuzz_material.c - an identity as the master sends it to the proxy. What is taken is packed to the same
 * bytes again, and cut anywhere it is none; what its certificate says can be asked, whatever stands there.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* a copy of the exact size, so that a read past the end is seen */
	char *bytes = malloc(len != 0 ? len : 1), *again = NULL;
	struct span all, rest;
	struct net_tls_material *m;
	struct net_peer leaf;
	size_t n = 0, used;
	FILE *f;

	assert(bytes != NULL);
	memcpy(bytes, data, len);
	all = rest = span_of(bytes, len);
	if ((m = net_tls_material_unpack(&rest)) == NULL) {
		free(bytes);
		return 0;
	}
	used = len - rest.n;
	f = open_memstream(&again, &n);
	net_tls_material_pack(m, f);
	fclose(f);
	assert(n == used && memcmp(again, bytes, n) == 0);
	free(again);
	assert(net_tls_material_key(m) != 0);	/* the key itself never comes along */
	if (net_tls_material_leaf(m, &leaf)) {
		for (unsigned i = 0; i < leaf.nnames; i++) {
			char name[256];

			assert(leaf.names[i].n < sizeof(name));
			memcpy(name, leaf.names[i].p, leaf.names[i].n);
			name[leaf.names[i].n] = '\0';
			/* a name that only its subject has is none for peers who go by RFC 5922 */
			assert(net_tls_material_proves(m, name) != (strcmp(name, leaf.common_name) == 0));
		}
		net_peer_fini(&leaf);
	}
	net_tls_material_unref(m);
	for (size_t cut = used > 64 ? used - 64 : 0; cut < used; cut++) {
		rest = span_head(all, cut);
		assert(net_tls_material_unpack(&rest) == NULL);
	}
	free(bytes);
	return 0;
}
