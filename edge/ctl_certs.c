/*
 * edge/ctl_certs.c - for sallyportctl certs: the identities of an edge.conf, and what its peers have shown, from files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/ctl_certs.h"
#include "admin/view.h"
#include "common/mem.h"
#include "edge/edge.h"
#include "edge/short.h"

#define SHOWN_LINE_MAX	8192	/* of the list of certificates that peers have shown; longer ones are passed over */

/* "2026-11-20T12:00:00Z"; 0 if it is none. */
static time_t
time_of(struct span text)
{
	char copy[32];
	struct tm tm = { 0 };

	if (text.n == 0 || text.n >= sizeof(copy))
		return 0;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &tm) != NULL ? timegm(&tm) : 0;
}

/* The partner of the policy that one of these names is the server of. */
static const struct policy_partner *
partner_of(const struct policy_rules *rules, struct span names)
{
	while (names.n != 0) {
		struct span one = span_head(names, span_find(names, ' '));

		for (size_t i = 0; i < policy_partner_count(rules); i++)
			if (span_iis(one, policy_partner_get(rules, i)->server))
				return policy_partner_get(rules, i);
		names = span_tail(names, one.n + 1);
	}
	return NULL;
}

static void
tell_shown(struct ctl_certs *c, const struct policy_rules *rules, const struct seen_line *s)
{
	const struct policy_partner *p = partner_of(rules, seen_line_get(s, "names"));
	struct span usage = seen_line_get(s, "usage"), reason = seen_line_get(s, "reason");
	time_t not_after = time_of(seen_line_get(s, "not_after"));
	unsigned char room[4 * RECORD_SMALL];
	unsigned bits = 0;
	struct record_writer w;

	if (p == NULL && !c->all)
		return;
	if (usage.n != 0 && memmem(usage.p, usage.n, "server", 6) != NULL)
		bits |= NET_USAGE_SERVER;
	if (usage.n != 0 && memmem(usage.p, usage.n, "client", 6) != NULL)
		bits |= NET_USAGE_CLIENT;
	record_begin(&w, room, sizeof(room), p != NULL ? "partner" : "seen");
	record_str(&w, "name", p != NULL ? p->name : "-");
	record_text(&w, "names", seen_line_get(s, "names"));
	record_text(&w, "verdict", span_is_empty(reason) ? seen_line_get(s, "verdict") : reason);
	record_int(&w, "days_left", view_days_left(not_after));
	record_time(&w, "not_after", not_after);
	record_time(&w, "seen", time_of(seen_line_get(s, "last")));
	record_text(&w, "issuer", seen_line_get(s, "issuer"));
	view_usage(&w, bits);
	view_forecast(&w, not_after, bits);
	record_text(&w, "fingerprint", seen_line_get(s, "fingerprint"));
	ctl_certs_other(c, &w);
}

static void
tell_peers(struct ctl_certs *c, const struct edge_config *config, struct conf_errors *errs)
{
	struct policy_rules *rules = edge_short_policy(config, errs, NULL, NULL);
	FILE *f = config->peer_certificates != NULL ? fopen(config->peer_certificates, "re") : NULL;
	char *line = xmalloc(SHOWN_LINE_MAX);
	bool whole = true;

	if (f == NULL && config->peer_certificates != NULL && errno != ENOENT)
		conf_error(errs, config->peer_certificates, 0, "%s", strerror(errno));
	while (f != NULL && rules != NULL && fgets(line, SHOWN_LINE_MAX, f) != NULL) {
		bool begins = whole;
		struct seen_line s;

		whole = strchr(line, '\n') != NULL;
		if (begins && whole && seen_line_parse(&s, span_str(line)))
			tell_shown(c, rules, &s);
	}
	if (f != NULL)
		fclose(f);
	free(line);
	policy_rules_unref(rules);
}

bool
ctl_certs_edge(struct ctl_certs *c, const char *file, struct conf_errors *errs)
{
	struct edge_config *config = edge_config_load(file, errs);

	for (size_t i = 0; config != NULL && i < EDGE_IDENTITIES; i++) {
		struct net_tls_files files;
		char label[48];
		size_t door = i % EDGE_DIAL(0);

		if (!edge_identity_files(config, i, &files, label))
			continue;
		label[strcspn(label, " ")] = '\0';	/* whether it dials, "use" says */
		ctl_certs_own(c, label, i >= EDGE_DIAL(0), i >= EDGE_DIAL(0) ? NULL : door == EDGE_INNER(config) ? config->inner.name :
		    edge_outer(config, door)->name, files.certificate);
	}
	if (config != NULL && config->policy != NULL)
		tell_peers(c, config, errs);
	edge_config_free(config);
	return conf_errors_count(errs) == 0;
}
