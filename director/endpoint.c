/*
 * director/endpoint.c - which device of a user it is: epid and +sip.instance (MS 7.5). Pure.
 */
#include "director/endpoint.h"

#include <stdio.h>

#include "common/err.h"
#include "net/digest.h"

/* fcacfb03-8a73-46ef-91b1-e5ebeeaba4fe, its first three parts little endian */
static const unsigned char name_space[16] = {
	0x03, 0xfb, 0xac, 0xfc, 0x73, 0x8a, 0xef, 0x46, 0x91, 0xb1, 0xe5, 0xeb, 0xee, 0xab, 0xa4, 0xfe
};

struct span
endpoint_epid(const struct sip_addr *a)
{
	struct span epid;

	if (!sip_param(a->params, "epid", &epid) || epid.n > ENDPOINT_EPID_MAX)
		return SPAN_NONE;
	return epid;
}

void
endpoint_uuid(struct span epid, char out[ENDPOINT_UUID_TEXT])
{
	struct span parts[2] = { { (const char *)name_space, sizeof(name_space) }, epid };
	unsigned char h[NET_DIGEST_MAX];

	net_digest(NET_DIGEST_SHA1, parts, 2, h);
	/* version 5, variant of RFC 4122; fields are little endian */
	snprintf(out, ENDPOINT_UUID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
	    h[3], h[2], h[1], h[0], h[5], h[4], (h[7] & 0x0f) | 0x50, h[6], (h[8] & 0x3f) | 0x80, h[9], h[10], h[11], h[12],
	    h[13], h[14], h[15]);
}

bool
endpoint_is_instance(const struct sip_addr *contact, const char uuid[ENDPOINT_UUID_TEXT])
{
	static const struct span open = { "\"<urn:uuid:", 11 }, close = { ">\"", 2 };
	struct span v;

	return sip_param(contact->params, "+sip.instance", &v) && span_istarts(v, open) &&
	    v.n == open.n + ENDPOINT_UUID_TEXT - 1 + close.n && span_eq(span_tail(v, v.n - close.n), close) &&
	    span_iis(span_of(v.p + open.n, ENDPOINT_UUID_TEXT - 1), uuid);
}

/* The next Contact value of all; *i starts at the first header, *rest at its value. */
static bool
next_contact(const struct sip_message *m, int *i, struct span *rest, struct sip_addr *a)
{
	struct span one;

	while (*i >= 0) {
		while (sip_list_next(rest, &one))
			if (sip_addr_parse(a, one) == SP_OK)
				return true;
		*i = sip_message_next(m, SIP_H_CONTACT, *i);
		*rest = sip_header_value(m, *i);
	}
	return false;
}

bool
endpoint_agrees(const struct sip_message *m)
{
	struct span epid = endpoint_epid(&m->from), rest = sip_message_value(m, SIP_H_CONTACT);
	int i = m->first[SIP_H_CONTACT];
	char uuid[ENDPOINT_UUID_TEXT];
	struct sip_addr a;

	if (span_is_empty(epid))
		return true;
	endpoint_uuid(epid, uuid);
	while (next_contact(m, &i, &rest, &a))
		if (sip_param(a.params, "+sip.instance", NULL) && !endpoint_is_instance(&a, uuid))
			return false;
	return true;
}

uint32_t
endpoint_expires(const struct sip_message *m, struct span epid)
{
	struct span rest = sip_message_value(m, SIP_H_CONTACT), v;
	int i = m->first[SIP_H_CONTACT];
	uint64_t seconds, longest = 0;
	char uuid[ENDPOINT_UUID_TEXT];
	struct sip_addr a;

	endpoint_uuid(epid, uuid);
	while (next_contact(m, &i, &rest, &a)) {
		if (!sip_param(a.params, "expires", &v) || !span_uint(v, UINT32_MAX, &seconds))
			continue;
		if (endpoint_is_instance(&a, uuid))
			return (uint32_t)seconds;
		if (seconds > longest)
			longest = seconds;
	}
	return (uint32_t)longest;
}
