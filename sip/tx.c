/*
 * sip/tx.c - see tx.h.
 */
#include "sip/tx.h"

#include <endian.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"

/*
 * "z9hG4bK" "sp" worker(2) record(14) attempt(2) loop(8): 35 characters, all
 * but the first nine in lower-case hex.
 */
#define COOKIE	"z9hG4bKsp"

/* Each of eight bytes that are below 16, as a lower-case digit. */
static uint64_t
digits_of(uint64_t nibbles)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t letters = (nibbles + ones * 6) >> 4 & ones;

	return nibbles + ones * '0' + letters * ('a' - '0' - 10);
}

/* Eight digits, the first the highest. */
static void
put_eight(char *p, uint32_t v)
{
	uint64_t x = v;

	x = (x << 16 | x) & UINT64_C(0x0000ffff0000ffff);
	x = (x << 8 | x) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x << 4 | x) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	x = htobe64(digits_of(x));
	memcpy(p, &x, sizeof(x));
}

/* That many digits, an even number. */
static char *
put_hex(char *p, uint64_t v, unsigned digits)
{
	char text[16];

	put_eight(text, (uint32_t)(v >> 32));
	put_eight(text + 8, (uint32_t)v);
	memcpy(p, text + sizeof(text) - digits, digits);
	return p + digits;
}

void
sip_branch_format(const struct sip_branch *b, char out[SIP_BRANCH_TEXT])
{
	char *p = out;

	memcpy(p, COOKIE, sizeof(COOKIE) - 1);
	p = put_hex(p + sizeof(COOKIE) - 1, b->worker, 2);
	p = put_hex(p, b->tx, 14);
	p = put_hex(p, b->attempt, 2);
	p = put_hex(p, b->loop, 8);
	*p = '\0';
}

#define ATTEMPT_AT	(sizeof(COOKIE) - 1 + 2 + 14)

void
sip_branch_set_attempt(char branch[SIP_BRANCH_LEN], unsigned attempt)
{
	put_hex(branch + ATTEMPT_AT, attempt, 2);
}

char *
sip_branch_find(char *p, size_t n, const char *branch)
{
	for (char *at = p; n >= SIP_BRANCH_LEN && (at = memchr(p, COOKIE[0], n - SIP_BRANCH_LEN + 1)) != NULL;
	    n -= (size_t)(at + 1 - p), p = at + 1)
		if (memcmp(at, branch, SIP_BRANCH_LEN) == 0)
			return at;
	return NULL;
}

static bool
get_hex(const char **p, unsigned digits, uint64_t *v)
{
	*v = 0;
	while (digits-- > 0) {
		unsigned digit = (unsigned char)*(*p)++ - (unsigned)'0';

		if (digit > 9) {
			digit -= 'a' - '0' - 10;
			if (digit < 10 || digit > 15)
				return false;
		}
		*v = *v << 4 | digit;
	}
	return true;
}

bool
sip_branch_parse(struct span text, struct sip_branch *b)
{
	const char *p = text.p;
	uint64_t worker, tx, attempt, loop;

	if (text.n != SIP_BRANCH_LEN || memcmp(p, COOKIE, sizeof(COOKIE) - 1) != 0)
		return false;
	p += sizeof(COOKIE) - 1;
	if (!get_hex(&p, 2, &worker) || !get_hex(&p, 14, &tx) || !get_hex(&p, 2, &attempt) || !get_hex(&p, 8, &loop))
		return false;
	*b = (struct sip_branch){ (unsigned)worker, tx, (unsigned)attempt, (uint32_t)loop };
	return true;
}

uint64_t
sip_tx_key(uint64_t link, struct sip_message *m)
{
	struct span branch = m->via.branch;
	struct hash h;

	if (m->tx_key != 0)
		return m->tx_key;
	hash_begin(&h);
	hash_add(&h, link);
	hash_add(&h, m->cseq);
	/* ACK and CANCEL carry the method INVITE's number; other methods are told apart by their name */
	if (m->method_id != POLICY_METHOD_ACK && m->method_id != POLICY_METHOD_CANCEL &&
	    m->method_id != POLICY_METHOD_INVITE)
		hash_add_span(&h, m->method);
	if (branch.n > 7 && memcmp(branch.p, "z9hG4bK", 7) == 0) {
		hash_add_span(&h, branch);
		hash_add_span(&h, m->via.host);
		hash_add(&h, m->via.port);
	} else {
		/* RFC 3261 17.2.3, last part; the To tag is left out because an ACK brings the response's */
		hash_add_span(&h, m->uri);
		hash_add_span(&h, m->from.tag);
		hash_add_span(&h, m->call_id);
		hash_add_span(&h, m->via.whole);
	}
	m->tx_key = hash_end(&h);
	if (m->tx_key == 0)
		m->tx_key = 1;
	return m->tx_key;
}

static uint32_t
half_of(uint64_t h)
{
	return (uint32_t)(h ^ h >> 32);
}

uint32_t
sip_tx_loop_hash(enum policy_side side, struct sip_message *m)
{
	struct hash h;

	if (m->loop_hash != 0)
		return m->loop_hash;
	hash_begin(&h);
	hash_add(&h, (uint64_t)side << 32 | m->cseq);
	hash_add_span(&h, m->uri);
	hash_add_span(&h, m->call_id);
	hash_add_span(&h, m->from.tag);
	hash_add_span(&h, m->to.tag);
	hash_add_span(&h, m->method);
	for (int i = sip_message_next(m, SIP_H_ROUTE, -1); i >= 0; i = sip_message_next(m, SIP_H_ROUTE, i))
		hash_add_span(&h, sip_header_value(m, i));
	return m->loop_hash = half_of(hash_end(&h)) | 1;
}

/* Names of hosts and branches are alike in any letter case. */
static void
add_via(struct hash *h, const struct sip_via *via)
{
	hash_add_nocase(h, via->host);
	hash_add_nocase(h, via->branch);
	hash_add(h, via->port);
}

uint32_t
sip_tx_echo(const struct sip_message *m, unsigned skip, bool with_to)
{
	struct hash h;
	unsigned n = 0;	/* Vias so far */

	hash_begin(&h);
	hash_add_span(&h, m->call_id);
	hash_add_span(&h, m->from.tag);
	if (with_to)
		hash_add_span(&h, m->to.tag);
	for (int i = sip_message_next(m, SIP_H_VIA, -1); i >= 0; i = sip_message_next(m, SIP_H_VIA, i)) {
		struct span rest = sip_header_value(m, i), one;

		for (; sip_header_next(m, i, &rest, &one); n++) {
			const struct sip_via *known = sip_message_via(m, n, one);
			struct sip_via via;

			if (n < skip)
				continue;
			if (known == NULL && sip_via_parse(&via, one) != SP_OK)
				return 0;
			add_via(&h, known != NULL ? known : &via);
		}
	}
	return half_of(hash_end(&h));
}
