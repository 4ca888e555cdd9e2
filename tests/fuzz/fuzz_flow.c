/*
 * tests/fuzz/fuzz_flow.c - flow tokens, signed routes and branches.
 *
 * The first 16 bytes say what is signed, the Call-ID of whose dialog, and what is then
 * changed in it: what was written is read again as it was, and nothing of it with another
 * Call-ID, another host or a byte changed that means something. The rest is a URI as a
 * stranger writes it, which is never ours, and a branch, which is ours only as we write it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "sip/flow.h"
#include "sip/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HOST	"ap-int.example.com"
#define CHOICES	16

static struct sip_flow_signer *signer;

static bool
same(const struct sip_flow *a, const struct sip_flow *b)
{
	return a->kind == b->kind && a->path == b->path && a->paired == b->paired && a->link == b->link &&
	    a->extra == b->extra && a->who == b->who;
}

/* The URI between "<" and ">", read with that Call-ID. */
static bool
reads(const char *text, size_t n, struct span call_id, struct sip_flow *f)
{
	struct sip_uri uri;

	return n > 2 && sip_uri_parse(&uri, span_of(text + 1, n - 2)) == SP_OK && sip_flow_read(signer, &uri, call_id, f);
}

static void
branch(struct span text)
{
	char again[SIP_BRANCH_TEXT];
	struct sip_branch b;

	if (!sip_branch_parse(text, &b))
		return;
	sip_branch_format(&b, again);
	assert(text.n == SIP_BRANCH_LEN && memcmp(again, text.p, text.n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const unsigned char keys[2 * SIP_FLOW_KEY_SIZE] = { 1, 2, 3, 4 };
	struct sip_flow f = { 0 }, got;
	char text[512], call_id[64];
	struct strbuf sb;
	struct sip_uri uri;
	struct span rest, id, token;
	size_t n, at;

	if (signer == NULL) {
		struct sip_flow_keys *k = sip_flow_keys_from(keys, 2);

		signer = sip_flow_signer_new(k);
		sip_flow_keys_unref(k);
	}
	if (len < CHOICES)
		return 0;
	rest = span_of((const char *)data + CHOICES, len - CHOICES);
	branch(rest);
	if (sip_uri_parse(&uri, rest) == SP_OK)
		assert(!sip_flow_read(signer, &uri, SPAN_LIT("one@example.com"), &got));

	f.kind = (enum sip_flow_kind)(1 + data[0] % 3);
	f.path = (data[1] & 1) != 0;
	f.paired = !f.path && (data[1] & 2) != 0;
	memcpy(&f.link, data + 2, sizeof(f.link));
	if (data[1] & 4)
		f.link >>= data[1] >> 3;
	f.extra = data[1] & 8 ? data[10] : 0;
	f.who = data[1] & 16 ? (uint32_t)data[11] << 24 | data[12] : 0;
	n = rest.n < sizeof(call_id) - 1 ? rest.n : sizeof(call_id) - 1;
	memcpy(call_id, rest.p, n);
	call_id[n] = 'x';
	id = span_of(call_id, n);

	strbuf_init(&sb, text, sizeof(text));
	sip_flow_write(signer, &f, HOST, (uint16_t)(data[13] != 0 ? 5000 + data[13] : 5061), id, &sb);
	assert(strbuf_ok(&sb));
	token = strbuf_span_of(&sb);
	assert(token.p[0] == '<' && token.p[token.n - 1] == '>');
	assert(reads(token.p, token.n, id, &got) && same(&f, &got));
	/* bound to its dialog, but for a Path */
	assert(reads(token.p, token.n, span_of(call_id, n + 1), &got) == f.path);

	/* one byte of it changed */
	at = 1 + (data[14] | (data[15] & 1u) << 8) % (token.n - 2);
	if (text[at] == (char)rest.n || rest.n == 0)
		return 0;
	text[at] = rest.p[rest.n - 1];
	if (text[at] != '\0' && reads(text, token.n, id, &got))
		assert(same(&f, &got));
	return 0;
}
