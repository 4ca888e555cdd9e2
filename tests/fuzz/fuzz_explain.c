/*
 * tests/fuzz/fuzz_explain.c - a captured message for "sallyportctl explain". Whatever it is, either there is a reason
 * why it is none, or records that can be read, in their order, with one decision at the end, which says what explain()
 * returns; asked again it says the same.
 *
 * The first byte says from which side it comes, who sends it and what a Route is.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/explain.h"
#include "admin/policyfile.h"
#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char policy[] =
    "internal_domains = [ \"contoso.example\" ];\n"
    "internal_servers = [ \"director.contoso.example\" ];\n"
    "federation = true; remote_users = true; discovery = true; open_federation = true; archiving_notice = true;\n"
    "blocked = [ \"spam.example\" ];\n"
    "partners = ( { name = \"Fabrikam\"; server = \"sip.fabrikam.example\"; domains = [ \"fabrikam.example\" ]; },\n"
    "  { name = \"Old\"; server = \"sip.old.example\"; domains = [ \"old.example\" ]; port = 5071; trusted = true; } );\n"
    "static_routes = ( { match = \"tel:+44*\"; server = \"gw.example.net\"; replace_host = true; } );\n"
    "content = ( { classes = [ \"direct\" ]; links = \"block\"; files = \"block\"; },\n"
    "  { classes = [ \"remote-user\" ]; links = \"warn\"; } );\n";

static const char *const order[] = { "message", "certificate", "dns", "target", "step", "mark", "limits", "content",
    "decision" };
#define KINDS	(sizeof(order) / sizeof(order[0]))

struct told {
	size_t		 n, at;		/* records; the kind of the last one */
	bool		 decided;
	uint64_t	 hash;
};

static void
tell(void *arg, struct span record)
{
	struct told *t = arg;
	struct record r;
	struct record_field f;
	size_t at = 0, k = 0;

	assert(!t->decided && record_parse(&r, record));
	while (k < KINDS && !span_is(r.kind, order[k]))
		k++;
	assert(k < KINDS);
	/* what would be called is looked at behind the rest */
	assert(k >= t->at || k == 1);
	t->at = k > t->at ? k : t->at;
	while (record_next(&r, &at, &f))
		assert(f.name.n != 0);
	t->decided = k == KINDS - 1;
	t->n++;
	for (size_t i = 0; i < record.n; i++)
		t->hash = t->hash * 31 + (unsigned char)record.p[i];
}

static const struct net_dns_answer *
ask(void *arg, const char *record)
{
	static const struct net_srv srv = { .priority = 1, .weight = 1, .port = 5061, .target = "sip.other.example" };
	static const struct net_dns_answer found = { .status = NET_DNS_FOUND, .srv = &srv, .nsrv = 1 };

	(void)arg;
	assert(record[0] != '\0' && strlen(record) < NET_DNS_NAME_MAX);
	return &found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct policy_rules *rules;
	struct explain_question q = { .door_users = true, .door_partners = true, .inner_name = "edge.contoso.example" };
	struct told one = { 0 }, two = { 0 };
	const char *why = NULL, *again = NULL;
	enum explain_verdict verdict;
	char *copy;

	if (rules == NULL) {
		struct conf_errors *errs = conf_errors_new();

		rules = policyfile_load_text("fuzz", span_str(policy), NULL, errs);
		conf_errors_free(errs);
		assert(rules != NULL);
	}
	if (len < 2 || len > 65536)
		return 0;
	/* a copy of the exact size, so that a read past the end is seen */
	copy = malloc(len - 1);
	assert(copy != NULL);
	memcpy(copy, data + 1, len - 1);
	q.rules = rules;
	q.side = data[0] & 1 ? POLICY_SIDE_INNER : POLICY_SIDE_OUTER;
	q.names[0] = q.side == POLICY_SIDE_INNER ? span_str("director.contoso.example") :
	    data[0] & 4 ? span_str("sip.fabrikam.example") : span_str("sip.other.example");
	q.nnames = data[0] & 2 ? 1 : 0;
	q.message = span_of(copy, len - 1);
	q.has_route = data[0] & 8;
	q.route = data[0] & 16 ? POLICY_ROUTE_OURS : POLICY_ROUTE_NONE;
	q.dns = data[0] & 32 ? ask : NULL;
	verdict = explain(&q, tell, &one, &why);
	assert((verdict == EXPLAIN_NO_MESSAGE) == (why != NULL) && (verdict == EXPLAIN_NO_MESSAGE) != one.decided);
	assert(explain(&q, tell, &two, &again) == verdict && one.n == two.n && one.hash == two.hash);
	free(copy);
	return 0;
}
