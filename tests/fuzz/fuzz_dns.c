/*
 * tests/fuzz/fuzz_dns.c - DNS answers. Whatever comes, what is read is within
 * its bounds, every name in it is one that we would ask for ourselves, and a
 * message that is cut short is never an answer.
 *
 * The first byte chooses the type; the name is taken from the message's own
 * question, so that the fuzzer does not have to guess it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/dns_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The plain name at offset 12, or one that is not there. */
static void
question_name(char name[NET_DNS_NAME_MAX], const uint8_t *msg, size_t n)
{
	char text[NET_DNS_NAME_MAX];
	size_t out = 0;

	for (size_t at = 12; at < n && msg[at] != 0 && msg[at] < 64; at += 1 + msg[at]) {
		if (n - at - 1 < msg[at] || out + msg[at] + 1 > sizeof(text))
			break;
		memcpy(text + out, msg + at + 1, msg[at]);
		out += msg[at];
		text[out++] = '.';
	}
	if (!net_dns_name(name, span_of(text, out), true))
		strcpy(name, "a.example");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint16_t types[] = { NET_DNS_A, NET_DNS_AAAA, NET_DNS_SRV };
	static struct net_dns_reply r, cut;
	char name[NET_DNS_NAME_MAX], again[NET_DNS_NAME_MAX];
	uint16_t type;

	if (len < 1)
		return 0;
	type = types[data[0] % 3];
	data++;
	len--;
	question_name(name, data, len);
	net_dns_reply_parse(&r, data, len, name, type);

	assert(r.naddrs <= NET_DNS_ADDRS_MAX && r.nsrv <= NET_DNS_SRV_MAX && r.aliases <= NET_DNS_CNAME_MAX);
	assert((r.status == NET_DNS_FOUND) == (r.naddrs + r.nsrv > 0));
	assert(r.status != NET_DNS_FAILED || (r.next[0] == '\0' && r.ttl == 0 && !r.authentic));
	assert(r.status != NET_DNS_FOUND || (r.next[0] == '\0' && r.ttl <= INT32_MAX));
	assert(type == NET_DNS_SRV ? r.naddrs == 0 : r.nsrv == 0);
	if (r.next[0] != '\0')
		assert(net_dns_name(again, span_str(r.next), true) && strcmp(again, r.next) == 0 && r.aliases > 0);
	for (unsigned i = 0; i < r.nsrv; i++)
		assert(r.srv[i].target[0] == '\0' || (net_dns_name(again, span_str(r.srv[i].target), false) &&
		    strcmp(again, r.srv[i].target) == 0));
	for (unsigned i = 0; i < r.naddrs; i++) {
		assert(r.addrs[i].ss.ss_family == (type == NET_DNS_A ? AF_INET : AF_INET6));
		assert(!net_addr_is_any(&r.addrs[i]) && net_addr_port(&r.addrs[i]) == 0);
	}
	if (r.status != NET_DNS_FAILED) {
		net_dns_reply_parse(&cut, data, len - 1, name, type);
		assert(cut.status == NET_DNS_FAILED);
	}
	return 0;
}
