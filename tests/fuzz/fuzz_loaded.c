/*
 * tests/fuzz/fuzz_loaded.c - policy on its way from the master to the proxy. The rules that arrive decide as those
 * that were sent; cut anywhere they are none; whatever else arrives makes rules or none.
 *
 * The input is a policy.conf and what is changed of its bytes on the way (patch.h).
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/policyfile.h"
#include "common/conf.h"
#include "policy/decision.h"
#include "policy/domain.h"
#include "policy/rules.h"
#include "tests/fuzz/patch.h"
#include "tests/fuzz/textfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
TEXTFILE_LIBCONFIG_LEAKS

static struct policy_decision
ask(const struct policy_rules *rules, struct span domain, unsigned i)
{
	struct span ours = SPAN_LIT("contoso.example");
	struct policy_facts f = {
		.side = i & 1 ? POLICY_SIDE_OUTER : POLICY_SIDE_INNER,
		.door_users = true, .door_partners = true, .has_certificate = i & 2,
		.names = &domain, .nnames = i & 2 ? 1 : 0, .method = POLICY_METHOD_MESSAGE,
		.from_domain = i & 4 ? domain : ours, .to_domain = i & 8 ? domain : ours,
		.ruri_domain = i & 8 ? domain : ours
	};

	return policy_decide(rules, &f);
}

static void
decide_alike(const struct policy_rules *a, const struct policy_rules *b, struct span text)
{
	assert(policy_partner_count(a) == policy_partner_count(b));
	for (size_t i = 0; i < policy_partner_count(a); i++)
		assert(strcmp(policy_partner_get(a, i)->server, policy_partner_get(b, i)->server) == 0);
	/* every string of the file */
	for (size_t at = span_find(text, '"'); at < text.n; at = span_find(text, '"')) {
		struct span word = span_tail(text, at + 1), domain;
		char buf[DOMAIN_MAX];
		bool is_ip;

		text = span_tail(word, span_find(word, '"') + 1);
		word = span_head(word, span_find(word, '"'));
		if (policy_domain_canon(word, buf, &domain, &is_ip) != 0)
			continue;
		for (unsigned i = 0; i < 16; i++) {
			struct policy_decision x = ask(a, domain, i), y = ask(b, domain, i);

			assert(x.verdict == y.verdict && x.reason == y.reason && x.class == y.class && x.hop == y.hop);
			assert(x.partner == y.partner && x.peer == y.peer && x.mark_inward == y.mark_inward);
			assert(x.ntrail == y.ntrail && x.verification == y.verification);
		}
	}
}

static struct policy_rules *
unpack(struct span *bytes)
{
	struct span was = *bytes;
	struct policy_rules *rules = policyfile_unpack(bytes);

	assert(bytes->n <= was.n && (bytes->n == 0 || bytes->p + bytes->n == was.p + was.n));
	return rules;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf_errors *errs = conf_errors_new();
	struct span text, patches, rest;
	char name[64], sha256[POLICY_HASH_TEXT], *rows = NULL;
	struct policy_rules *sent, *come;
	size_t n = 0;
	FILE *f;
	int fd;

	patch_split(data, len, &text, &patches);
	/* Files of this machine are not to be read. */
	if (memmem(data, len, "@include", 8) != NULL)
		text = SPAN_NONE;
	fd = textfile_make(text, name);
	f = open_memstream(&rows, &n);
	assert(f != NULL);
	sent = policyfile_pack(name, errs, f, sha256);
	fclose(f);
	assert((sent != NULL) == (conf_errors_count(errs) == 0));
	if (sent != NULL) {
		rest = span_of(rows, n);
		come = unpack(&rest);
		assert(come != NULL && rest.n == 0 && strlen(sha256) == POLICY_HASH_TEXT - 1);
		decide_alike(sent, come, text);
		policy_rules_unref(come);
		/* without the last byte, and without as many as the input says */
		for (size_t cut = 1; cut <= n && cut <= 1 + patches.n; cut += 1 + patches.n) {
			rest = span_of(rows, n - cut);
			assert(unpack(&rest) == NULL);
		}
		patch_all(patches, rows, n);
		rest = span_of(rows, n);
		if ((come = unpack(&rest)) != NULL) {
			for (unsigned i = 0; i < 16; i++)
				(void)ask(come, SPAN_LIT("fabrikam.example"), i);
			policy_rules_unref(come);
		}
	}
	policy_rules_unref(sent);
	free(rows);
	close(fd);
	conf_errors_free(errs);
	return 0;
}
