/*
 * tests/fuzz/fuzz_differential.c - two grammars, one message. Whatever our
 * framer and checks let through, Sofia's parser reads the same way: the same
 * start line, the same addresses and tags, as many of each header, and no mark
 * that we do not see.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Sofia has a function of that name; so have we. */
#define sip_header_name sofia_sip_header_name
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_header.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#undef sip_header_name

#include "common/err.h"
#include "sip/framer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct sip_message msg;

/*
 * Debian's Sofia cannot read some methods that it does not know, such as
 * SERVICE. It gets the message with Xs for their letters.
 */
static bool
is_known(struct span method)
{
	static const char *const known[] = { "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK",
	    "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_is(method, known[i]))
			return true;
	return false;
}

static void
avoid_unknown(char *copy, struct span method)
{
	if (method.n > 0 && !is_known(method))
		memset(copy + (method.p - msg.bytes), 'X', method.n);
}

static bool
same_method(struct span ours, const char *theirs)
{
	return is_known(ours) ? span_is(ours, theirs) : *theirs == 'X' && ours.n == strlen(theirs);
}

static bool
same(struct span ours, const char *theirs)
{
	return span_eq(ours, span_str(theirs));
}

/* Values of a list header as we count them. */
static unsigned
values(enum sip_header_id id)
{
	unsigned n = 0;

	for (int i = msg.first[id]; i >= 0; i = sip_message_next(&msg, id, i)) {
		struct span rest = sip_header_value(&msg, i), value;

		while (sip_list_next(&rest, &value))
			n++;
	}
	return n;
}

static unsigned
headers(enum sip_header_id id)
{
	unsigned n = 0;

	for (int i = msg.first[id]; i >= 0; i = sip_message_next(&msg, id, i))
		n++;
	return n;
}

#define COUNT(type, list, next) ({ unsigned k_ = 0; for (const type *h_ = (list); h_ != NULL; h_ = h_->next) k_++; k_; })

/* Two forms of old clients that Sofia does not read; we do (MS 2, 4.1). */
static bool
is_old_form(const struct sip_addr *a)
{
	if (a->display.n == 0)
		return false;
	if (a->uri_text.p[-1] != '<')
		return true;
	for (size_t i = 0; i < a->display.n; i++)
		if ((unsigned char)a->display.p[i] >= 0x80 && a->display.p[0] != '"')
			return true;
	return false;
}

static void
assert_addr(const struct sip_addr *ours, const sip_addr_t *theirs)
{
	if (is_old_form(ours))
		return;
	assert(theirs != NULL);
	if (ours->uri.scheme == SIP_SCHEME_SIP || ours->uri.scheme == SIP_SCHEME_SIPS) {
		assert(theirs->a_url->url_host != NULL && span_ieq(ours->uri.host, span_str(theirs->a_url->url_host)));
		assert((ours->uri.user.n != 0) == (theirs->a_url->url_user != NULL));
	}
	assert(same(ours->tag, theirs->a_tag != NULL ? theirs->a_tag : ""));
}

/* Headers that both name, and of those that Sofia does not know how many have a mark's name. */
static void
assert_headers(const sip_t *sip)
{
	unsigned marks = 0, theirs = 0;

	for (const sip_unknown_t *u = sip->sip_unknown; u != NULL; u = u->un_next)
		if (u->un_name != NULL && strcasecmp(u->un_name, "ms-edge-proxy-message-trust") == 0)
			theirs++;
	for (const sip_error_t *e = sip->sip_error; e != NULL; e = e->er_next)
		assert(e->er_name == NULL || strcasecmp(e->er_name, "ms-edge-proxy-message-trust") != 0);
	marks = headers(SIP_H_MS_TRUST);
	assert(marks == theirs);

	assert(COUNT(sip_via_t, sip->sip_via, v_next) == values(SIP_H_VIA));
	assert(COUNT(sip_route_t, sip->sip_route, r_next) == values(SIP_H_ROUTE));
	assert(COUNT(sip_record_route_t, sip->sip_record_route, r_next) == values(SIP_H_RECORD_ROUTE));
	assert((sip->sip_max_forwards != NULL) == (msg.max_forwards >= 0));
	if (sip->sip_max_forwards != NULL)
		assert(sip->sip_max_forwards->mf_count == (unsigned long)msg.max_forwards);
	assert(sip->sip_content_length != NULL && sip->sip_content_length->l_length == msg.body.n);
	assert((sip->sip_payload != NULL ? sip->sip_payload->pl_len : 0) == msg.body.n);
}

static void
compare(const sip_t *sip)
{
	if (msg.is_request) {
		assert(sip->sip_request != NULL && sip->sip_status == NULL);
		assert(same_method(msg.method, sip->sip_request->rq_method_name));
		if (msg.ruri.scheme == SIP_SCHEME_SIP || msg.ruri.scheme == SIP_SCHEME_SIPS)
			assert(sip->sip_request->rq_url->url_host != NULL &&
			    span_ieq(msg.ruri.host, span_str(sip->sip_request->rq_url->url_host)));
	} else
		assert(sip->sip_status != NULL && (unsigned)sip->sip_status->st_status == msg.status);
	assert(sip->sip_call_id != NULL && same(msg.call_id, sip->sip_call_id->i_id));
	assert(sip->sip_cseq != NULL && sip->sip_cseq->cs_seq == msg.cseq);
	assert(same_method(msg.cseq_method, sip->sip_cseq->cs_method_name));
	assert(sip->sip_via != NULL && span_ieq(msg.via.host, span_str(sip->sip_via->v_host)));
	assert(same(msg.via.branch, sip->sip_via->v_branch != NULL ? sip->sip_via->v_branch : ""));
	assert_addr(&msg.from, sip->sip_from);
	assert_addr(&msg.to, sip->sip_to);
	assert_headers(sip);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct sip_frame_limits limits = SIP_FRAME_LIMITS_DEFAULT;
	struct sip_framer f;
	size_t used;
	char *copy;
	msg_t *theirs;

	sip_framer_init(&f);
	if (sip_framer_next(&f, &limits, (const char *)data, len, &used, &msg) != SIP_FRAME_MESSAGE ||
	    sip_check_message(&msg) != SIP_CHECK_OK)
		return 0;
	copy = malloc(used);
	assert(copy != NULL);
	memcpy(copy, data, used);
	avoid_unknown(copy, msg.method);
	avoid_unknown(copy, msg.cseq_method);
	theirs = msg_make(sip_default_mclass(), 0, copy, (ssize_t)used);
	assert(theirs != NULL && sip_object(theirs) != NULL);
	compare(sip_object(theirs));
	msg_destroy(theirs);
	free(copy);
	return 0;
}
