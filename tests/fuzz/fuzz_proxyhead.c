/*
 * tests/fuzz/fuzz_proxyhead.c - what a load balancer writes in front of a connection. Bytes that come one
 * after the other say the same as all at once, nothing beyond the header is asked for, and a whole
 * header names somebody or nobody.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"
#include "net/proxyhead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct net_proxyhead whole, part;
	const char *fault, *part_fault;
	int err, part_err = SP_EAGAIN;
	size_t n = 0;

	err = net_proxyhead_parse(span_of((const char *)data, len), &whole, &fault);
	assert((err == SP_ESYNTAX) == (fault != NULL));
	assert(err == SP_OK || err == SP_EAGAIN || err == SP_ESYNTAX);
	while (part_err == SP_EAGAIN) {
		part_err = net_proxyhead_parse(span_of((const char *)data, n), &part, &part_fault);
		if (part_err != SP_EAGAIN || n == len)
			break;
		assert(part.n > n && part.n <= NET_PROXYHEAD_MAX);
		n = part.n < len ? part.n : len;
	}
	assert(part_err == err);
	if (err != SP_OK)
		return 0;
	assert(whole.n == part.n && n == whole.n && whole.n <= len && whole.n >= NET_PROXYHEAD_FIXED);
	assert(whole.local == part.local && whole.local == (whole.from.len == 0));
	assert(whole.local || (net_addr_same_host(&whole.from, &part.from) && !net_addr_is_any(&whole.from)));
	return 0;
}
