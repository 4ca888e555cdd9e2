/*
 * policy/keys.c - pinned keys, refused certificates, and what a partner's
 * certificate must be made for.
 */
#include "policy/keys.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "policy/build.h"
#include "policy/decision.h"

/* ---- reading ---- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
policy_read_fingerprint(const char *s, unsigned char out[KEY_HASH])
{
	size_t step = strchr(s, ':') != NULL ? 3 : 2;

	if (strlen(s) != KEY_HASH * step - (step - 2))
		return false;
	for (size_t i = 0; i < KEY_HASH; i++) {
		const char *two = s + i * step;
		int high = hex_digit(two[0]), low = hex_digit(two[1]);

		if (high < 0 || low < 0 || (step == 3 && i + 1 < KEY_HASH && two[2] != ':'))
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* Base64 of 32 bytes: 43 digits and one '=', as in "sha256//…" of other tools. */
static bool
read_base64(const char *s, unsigned char out[KEY_HASH])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, nbits = 0;
	size_t n = 0;

	if (strncmp(s, "sha256//", 8) == 0)
		s += 8;
	if (strlen(s) != 44 || s[43] != '=')
		return false;
	for (size_t i = 0; i < 43; i++) {
		const char *at = s[i] != '\0' ? strchr(digits, s[i]) : NULL;

		if (at == NULL)
			return false;
		bits = (bits << 6 | (unsigned)(at - digits)) & 0xffff;
		nbits += 6;
		if (nbits >= 8) {
			nbits -= 8;
			out[n++] = (unsigned char)(bits >> nbits);
		}
	}
	return (bits & ((1u << nbits) - 1)) == 0;	/* no second way to write the same */
}

void
build_read_refused_certificate(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct policy_rules *r = b->rules;
	unsigned char hash[KEY_HASH];
	char text[SHOWN_MAX];

	(void)unused;
	if (!policy_read_fingerprint(value, hash)) {
		build_error(b, at, "%s: expects the SHA-256 fingerprint of a certificate in 64 hexadecimal digits, not %s",
		    key, build_shown(value, text));
		return;
	}
	r->refused_certificates = xreallocarray(r->refused_certificates, r->nrefused_certificates + 1,
	    sizeof(*r->refused_certificates));
	memcpy(r->refused_certificates[r->nrefused_certificates++], hash, KEY_HASH);
}

void
build_read_key_rule(struct build *b, struct place at, const char *key, const char *value, int group)
{
	static const char *const words[] = {
		[KEY_SERVER_ONLY] = "server-only", [KEY_STRICT] = "strict", [KEY_PINNED] = "pinned",
	};
	struct partner *p = build_current_entry(b, at, key, (enum group)group);
	char text[SHOWN_MAX];

	if (p == NULL)
		return;
	if (p->key_rule_at.file != NULL) {
		build_error(b, at, "%s: is set already (%s:%d)", key, p->key_rule_at.file, p->key_rule_at.line);
		return;
	}
	p->key_rule_at = at;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(value, words[i]) == 0) {
			p->key_rule = (enum key_rule)i;
			return;
		}
	}
	build_error(b, at, "%s: expects server-only, strict or pinned, not %s", key, build_shown(value, text));
}

void
build_read_pin(struct build *b, struct place at, const char *key, const char *value, int group)
{
	struct partner *p = build_current_entry(b, at, key, (enum group)group);
	struct policy_rules *r = b->rules;
	struct pin pin = { .partner = (uint32_t)r->npartners - 1, .at = at };
	char text[SHOWN_MAX];

	if (p == NULL)
		return;
	if (!policy_read_fingerprint(value, pin.spki) && !read_base64(value, pin.spki)) {
		build_error(b, at, "%s: expects the SHA-256 of a public key, in 64 hexadecimal digits or base64, not %s",
		    key, build_shown(value, text));
		return;
	}
	p->npins++;
	r->pins = xreallocarray(r->pins, r->npins + 1, sizeof(*r->pins));
	r->pins[r->npins++] = pin;
}

static int
by_spki(const void *a, const void *b)
{
	return memcmp(((const struct pin *)a)->spki, ((const struct pin *)b)->spki, KEY_HASH);
}

static int
by_spki_and_place(const void *a, const void *b)
{
	const struct pin *x = a, *y = b;
	int d = by_spki(a, b);

	return d != 0 ? d : x->at.line < y->at.line ? -1 : x->at.line > y->at.line;
}

void
build_finish_keys(struct build *b)
{
	struct policy_rules *r = b->rules;
	size_t kept = 0;

	for (size_t i = 0; i < r->npartners; i++) {
		const struct partner *p = &r->partners[i];

		if (p->key_rule == KEY_PINNED && p->npins == 0)
			build_error(b, p->key_rule_at, "%s: %s is pinned to no key", build_class_key(p->class),
			    p->shown.name);
		if (p->key_rule != KEY_PINNED && p->npins != 0)
			build_error(b, p->key_rule_at.file != NULL ? p->key_rule_at : p->at,
			    "%s: the keys of %s count only if its certificate rule is \"pinned\"",
			    build_class_key(p->class), p->shown.name);
	}
	if (r->npins > 1)
		qsort(r->pins, r->npins, sizeof(*r->pins), by_spki_and_place);
	for (size_t i = 0; i < r->npins; i++) {
		if (kept > 0 && by_spki(&r->pins[kept - 1], &r->pins[i]) == 0) {
			const struct pin *was = &r->pins[kept - 1];
			const struct partner *one = &r->partners[was->partner];

			if (was->partner != r->pins[i].partner)
				build_error(b, r->pins[i].at, "%s.pin: this key is %s %s's already (%s:%d)",
				    build_class_key(r->partners[r->pins[i].partner].class), build_class_key(one->class),
				    one->shown.name, was->at.file, was->at.line);
			continue;
		}
		r->pins[kept++] = r->pins[i];
	}
	r->npins = kept;
}

void
keys_free(struct policy_rules *r)
{
	free(r->pins);
	free(r->refused_certificates);
}

size_t
policy_pin_count(const struct policy_rules *r)
{
	return r->npins;
}

const unsigned char *
policy_pin_get(const struct policy_rules *r, size_t i)
{
	return r->pins[i].spki;
}

const unsigned char (*
policy_refused_certificates(const struct policy_rules *r, size_t *n))[KEY_HASH]
{
	*n = r->nrefused_certificates;
	return (const unsigned char (*)[KEY_HASH])r->refused_certificates;
}

/* ---- asking ---- */

const struct pin *
keys_find(const struct policy_rules *r, const unsigned char *spki)
{
	struct pin wanted;

	if (spki == NULL || r->npins == 0)
		return NULL;
	memcpy(wanted.spki, spki, KEY_HASH);
	return bsearch(&wanted, r->pins, r->npins, sizeof(*r->pins), by_spki);
}

enum policy_reason
keys_judge(const struct policy_rules *r, uint32_t i, const struct policy_facts *f)
{
	const struct pin *pin;

	switch (r->partners[i].key_rule) {
	case KEY_PINNED:
		pin = keys_find(r, f->spki);
		return pin != NULL && pin->partner == i ? POLICY_REASON_UNDECIDED : POLICY_REASON_CERTIFICATE_PIN;
	case KEY_STRICT:
		if (!f->has_certificate)
			return POLICY_REASON_CERTIFICATE_UNTRUSTED;
		return (f->usage & POLICY_USAGE_BOTH) == POLICY_USAGE_BOTH ? POLICY_REASON_UNDECIDED :
		    POLICY_REASON_CERTIFICATE_USAGE;
	default:
		return f->has_certificate ? POLICY_REASON_UNDECIDED : POLICY_REASON_CERTIFICATE_UNTRUSTED;
	}
}

bool
policy_name_suffices(const struct policy_rules *r, struct span server)
{
	const struct name_rule *rule = names_exact(r->names, NAME_SERVER, server);

	return rule == NULL || r->partners[rule->value].key_rule == KEY_SERVER_ONLY;
}

static enum policy_reason
chain_fault(const struct policy_facts *f)
{
	return policy_reason_is_certificate(f->chain_fault) ? f->chain_fault : POLICY_REASON_CERTIFICATE_UNTRUSTED;
}

/* We called a server by that name: is it the one whom the rules mean? */
static enum policy_reason
admit_called(const struct policy_rules *r, const struct policy_facts *f, struct span called)
{
	const struct name_rule *server;
	enum policy_reason reason;

	server = names_exact(r->names, NAME_SERVER, called);
	if (server == NULL)
		return f->has_certificate ? POLICY_REASON_ALLOWED : chain_fault(f);
	reason = keys_judge(r, server->value, f);
	if (reason == POLICY_REASON_CERTIFICATE_UNTRUSTED)
		return chain_fault(f);
	return reason == POLICY_REASON_UNDECIDED ? POLICY_REASON_ALLOWED : reason;
}

/* Whoever connects: one partner whom it could be is enough; who could be none is looked at with its messages. */
static enum policy_reason
admit_caller(const struct policy_rules *r, const struct policy_facts *f)
{
	enum policy_reason worst = POLICY_REASON_ALLOWED;

	if (keys_find(r, f->spki) != NULL)
		return POLICY_REASON_ALLOWED;
	if (f->unverified)
		return chain_fault(f);
	for (unsigned i = 0; f->has_certificate && i <= f->nnames; i++) {
		const struct name_rule *server;
		enum policy_reason reason;

		/* the subject's name stands behind the others, for those who take it */
		server = names_exact(r->names, NAME_SERVER, i < f->nnames ? f->names[i] : f->common_name);
		if (server == NULL || (i == f->nnames && !r->partners[server->value].shown.accept_cn))
			continue;
		if ((reason = keys_judge(r, server->value, f)) == POLICY_REASON_UNDECIDED)
			return POLICY_REASON_ALLOWED;
		worst = reason;
	}
	return worst;
}

enum policy_reason
policy_admit(const struct policy_rules *r, const struct policy_facts *f, struct span called)
{
	if (f->side == POLICY_SIDE_OUTER)
		return span_is_empty(called) ? admit_caller(r, f) : admit_called(r, f, called);
	/* Inside there are no pins: the chain counts. */
	return f->unverified ? chain_fault(f) : POLICY_REASON_ALLOWED;
}
