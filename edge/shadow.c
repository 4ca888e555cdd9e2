/*
 * edge/shadow.c - see shadow.h.
 */
#include "edge/shadow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "edge/discovery.h"
#include "policy/content.h"
#include "policy/rules.h"
#include "sip/content.h"

/* One worker's. */
struct slot {
	pthread_mutex_t		 lock;
	struct shadow_totals	 totals;
	struct shadow_row	*rows;
	size_t			 n, unnamed;
};

struct edge_shadow {
	_Atomic unsigned	 references;
	struct policy_rules	*rules;
	char			*name, *author, *sha256;
	uint64_t		 base;
	time_t			 since;
	unsigned		 nslots;
	struct slot		*slots;
};

const char *
shadow_what_name(enum shadow_what w)
{
	static const char *const names[SHADOW_NWHATS] = {
		[SHADOW_REASON] = "reason", [SHADOW_HOP] = "next-hop", [SHADOW_VERIFICATION] = "verification",
		[SHADOW_MARKS] = "marks", [SHADOW_LIMITS] = "limits", [SHADOW_CONTENT] = "content", [SHADOW_DNS] = "dns",
		[SHADOW_CONNECTION] = "connection"
	};

	return names[w];
}

struct edge_shadow *
edge_shadow_new(struct policy_rules *rules, const char *name, const char *author, uint64_t base, const char *sha256,
    unsigned nworkers)
{
	struct edge_shadow *s = xcalloc(1, sizeof(*s));

	s->references = 1;
	s->rules = policy_rules_ref(rules);
	s->name = xstrdup(name);
	s->author = xstrdup(author);
	s->sha256 = xstrdup(sha256);
	s->base = base;
	s->since = clock_wall();
	s->nslots = nworkers;
	s->slots = xcalloc(nworkers, sizeof(*s->slots));
	for (unsigned i = 0; i < nworkers; i++) {
		pthread_mutex_init(&s->slots[i].lock, NULL);
		s->slots[i].rows = xcalloc(SHADOW_ROWS, sizeof(*s->slots[i].rows));
	}
	return s;
}

struct edge_shadow *
edge_shadow_ref(struct edge_shadow *s)
{
	atomic_fetch_add(&s->references, 1);
	return s;
}

void
edge_shadow_unref(struct edge_shadow *s)
{
	if (s == NULL || atomic_fetch_sub(&s->references, 1) != 1)
		return;
	for (unsigned i = 0; i < s->nslots; i++) {
		pthread_mutex_destroy(&s->slots[i].lock);
		free(s->slots[i].rows);
	}
	free(s->slots);
	policy_rules_unref(s->rules);
	free(s->name);
	free(s->author);
	free(s->sha256);
	free(s);
}

struct shadow_about
edge_shadow_about(const struct edge_shadow *s)
{
	return (struct shadow_about){ s->name, s->author, s->sha256, s->base, s->since };
}

/* ---- comparing ---- */

/* The server that the decision chose, by each one's own rules. */
static bool
same_server(const struct policy_rules *a, uint32_t i, const struct policy_rules *b, uint32_t j)
{
	const struct policy_partner *x, *y;

	if (i >= policy_partner_count(a) || j >= policy_partner_count(b))
		return i >= policy_partner_count(a) && j >= policy_partner_count(b);
	x = policy_partner_get(a, i);
	y = policy_partner_get(b, j);
	return strcmp(x->server, y->server) == 0 && x->port == y->port && x->accept_cn == y->accept_cn;
}

static bool
same_marks(const struct policy_decision *a, const struct policy_decision *b)
{
	return a->mark_inward == b->mark_inward && a->mark_outward == b->mark_outward &&
	    a->mark_verifiable == b->mark_verifiable && a->mark_archiving == b->mark_archiving &&
	    a->pass_archiving == b->pass_archiving && a->public_network == b->public_network &&
	    a->mark_identity == b->mark_identity && a->trust_identity == b->trust_identity &&
	    a->show_diagnostics == b->show_diagnostics && a->class == b->class;
}

static bool
same_list(const struct span *a, size_t na, const struct span *b, size_t nb)
{
	for (size_t i = 0; na == nb && i < na; i++)
		if (!span_eq(a[i], b[i]))
			return false;
	return na == nb;
}

static bool
same_content(const struct policy_content *a, const struct policy_content *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->links == b->links && a->files == b->files && a->pass_sealed == b->pass_sealed &&
	    a->pass_own == b->pass_own && a->bare == b->bare && span_eq(a->warning, b->warning) && same_list(a->schemes, a->nschemes, b->schemes, b->nschemes) &&
	    same_list(a->extensions, a->nextensions, b->extensions, b->nextensions);
}

/* Do they differ, and if so, in what first? */
static bool
differ(const struct edge_shadow *s, const struct policy_rules *live, const struct policy_decision *a,
    const struct policy_decision *b, enum shadow_what *what)
{
	if (a->verdict != b->verdict || a->reason != b->reason)
		*what = SHADOW_REASON;
	else if (a->verdict != POLICY_ALLOW)
		return false;
	else if (a->hop != b->hop || (a->hop == POLICY_HOP_PARTNER && !same_server(live, a->partner, s->rules, b->partner)) ||
	    (a->hop == POLICY_HOP_DISCOVERED && a->targets != b->targets) || a->replace_host != b->replace_host)
		*what = SHADOW_HOP;
	else if (a->verification != b->verification)
		*what = SHADOW_VERIFICATION;
	else if (!same_marks(a, b))
		*what = SHADOW_MARKS;
	else if (a->limited != b->limited)
		*what = SHADOW_LIMITS;
	else
		return false;
	return true;
}

/* What a rule makes of the message's links and files, which stay as they are. */
static enum policy_reason
try_content(struct sip_message *m, const struct policy_content *rule, const struct policy_rules *rules, bool *changed)
{
	struct sip_content_found found = { 0 };
	unsigned nedits = m->nedits;
	uint32_t scratch = m->scratch_n;
	bool failed = m->edit_failed;
	enum policy_reason why = rule != NULL ? sip_content_filter(m, rule, rules, &found) : POLICY_REASON_ALLOWED;

	*changed = found.changed;
	m->nedits = nedits;
	m->scratch_n = scratch;
	m->edit_failed = failed;
	return why;
}

/* Both let it pass: do their rules about links and files as well? The reasons are those of what comes of it. */
static bool
content_differs(const struct edge_shadow *s, const struct policy_rules *live, const struct policy_decision *a,
    const struct policy_decision *b, struct sip_message *m, struct shadow_row *like)
{
	bool same = same_content(a->content, b->content), a_changed, b_changed;

	if (a->verdict != POLICY_ALLOW || b->verdict != POLICY_ALLOW)
		return false;
	like->what = SHADOW_CONTENT;
	if (m == NULL)
		return !same;
	/* whose domains are our own may be another matter of the two */
	if (same && (a->content == NULL || !a->content->pass_own))
		return false;
	like->live = try_content(m, a->content, live, &a_changed);
	like->candidate = try_content(m, b->content, s->rules, &b_changed);
	return like->live != like->candidate || a_changed != b_changed;
}

/* ---- counting ---- */

static void
copy(char *out, size_t size, struct span s)
{
	size_t n = s.n < size ? s.n : size - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = s.p[i] != '\0' ? s.p[i] : '?';
	out[n] = '\0';
}

/* Whom it is about: a partner that one of the policies names, or else the other side's domain. */
static struct span
who(const struct edge_shadow *s, const struct policy_rules *live, const struct policy_facts *f,
    const struct policy_decision *a, const struct policy_decision *b, bool *named)
{
	*named = true;
	if (f->side == POLICY_SIDE_OUTER) {
		/* the peer itself, whatever comes of what it sends */
		if (a->peer < policy_partner_count(live))
			return span_str(policy_partner_get(live, a->peer)->name);
		if (b->peer < policy_partner_count(s->rules))
			return span_str(policy_partner_get(s->rules, b->peer)->name);
	} else if (a->hop == POLICY_HOP_PARTNER && a->partner < policy_partner_count(live)) {
		return span_str(policy_partner_get(live, a->partner)->name);
	} else if (b->hop == POLICY_HOP_PARTNER && b->partner < policy_partner_count(s->rules)) {
		return span_str(policy_partner_get(s->rules, b->partner)->name);
	}
	*named = false;
	if (f->side == POLICY_SIDE_OUTER)
		return f->is_response ? f->to_domain : f->from_domain;
	return f->ruri_domain.n != 0 ? f->ruri_domain : f->to_domain;
}

static struct shadow_row *
find_row(struct slot *t, const struct shadow_row *like)
{
	for (size_t i = 0; i < t->n; i++) {
		struct shadow_row *r = &t->rows[i];

		if (r->what == like->what && r->live == like->live && r->candidate == like->candidate &&
		    r->outward == like->outward && strcmp(r->who, like->who) == 0)
			return r;
	}
	/* strangers, who can have any number of domains, leave room for partners */
	if (t->n == SHADOW_ROWS || (!like->named && t->unnamed == SHADOW_UNNAMED))
		return NULL;
	t->unnamed += !like->named;
	t->rows[t->n] = (struct shadow_row){ .what = like->what, .live = like->live, .candidate = like->candidate,
		.outward = like->outward, .named = like->named };
	memcpy(t->rows[t->n].who, like->who, sizeof(like->who));
	return &t->rows[t->n++];
}

static void
note(struct slot *t, const struct shadow_row *like, const struct shadow_words *words)
{
	struct shadow_row *r;
	struct shadow_example *e;

	pthread_mutex_lock(&t->lock);
	t->totals.decisions++;
	t->totals.different++;
	if ((r = find_row(t, like)) == NULL) {
		t->totals.unlisted++;
	} else {
		e = &r->example[r->count++ % SHADOW_EXAMPLES];
		r->nexamples += r->nexamples < SHADOW_EXAMPLES;
		e->when = clock_wall();
		copy(e->method, sizeof(e->method), words->method);
		copy(e->from, sizeof(e->from), words->from);
		copy(e->to, sizeof(e->to), words->to);
		copy(e->call_id, sizeof(e->call_id), words->call_id);
	}
	pthread_mutex_unlock(&t->lock);
}

static void
note_same(struct slot *t)
{
	pthread_mutex_lock(&t->lock);
	t->totals.decisions++;
	t->totals.same++;
	pthread_mutex_unlock(&t->lock);
}

void
edge_shadow_decided(struct edge_shadow *s, unsigned worker, struct edge_discovery *discovery,
    const struct policy_rules *live, const struct policy_facts *facts, const struct policy_decision *a,
    const struct shadow_words *words)
{
	struct policy_decision b = policy_decide(s->rules, facts);
	struct policy_facts asked = *facts;
	struct edge_answer answer;
	struct shadow_row like = { .outward = facts->side == POLICY_SIDE_INNER, .live = a->reason };

	/* what DNS has said lately counts; nobody is asked for the sake of this */
	if (b.verdict == POLICY_ASK_DNS && discovery != NULL &&
	    edge_discovery_look(discovery, b.dns_domain, b.dns_name, &answer)) {
		asked.dns = answer.dns;
		b = policy_decide(s->rules, &asked);
	}
	like.candidate = b.reason;
	if (b.verdict == POLICY_ASK_DNS) {
		like.what = SHADOW_DNS;
		like.candidate = POLICY_REASON_UNDECIDED;
		copy(like.who, sizeof(like.who), b.dns_domain);
	} else if (differ(s, live, a, &b, &like.what) ||
	    content_differs(s, live, a, &b, words->message, &like)) {
		copy(like.who, sizeof(like.who), who(s, live, facts, a, &b, &like.named));
	} else {
		note_same(&s->slots[worker]);
		return;
	}
	note(&s->slots[worker], &like, words);
}

void
edge_shadow_admitted(struct edge_shadow *s, unsigned worker, const struct policy_facts *facts, struct span called,
    const unsigned char *fingerprint, enum policy_reason live)
{
	struct shadow_row like = { .what = SHADOW_CONNECTION, .live = live,
		.outward = called.n != 0, .candidate = policy_admit(s->rules, facts, called) };
	size_t n;
	const unsigned char (*refused)[32] = policy_refused_certificates(s->rules, &n);

	for (size_t i = 0; fingerprint != NULL && i < n; i++)
		if (memcmp(refused[i], fingerprint, 32) == 0)
			like.candidate = POLICY_REASON_CERTIFICATE_REFUSED;
	if (like.candidate == live) {
		note_same(&s->slots[worker]);
		return;
	}
	copy(like.who, sizeof(like.who), called.n != 0 ? called : facts->nnames > 0 ? facts->names[0] : facts->common_name);
	note(&s->slots[worker], &like, &(struct shadow_words){ .method = SPAN_NONE });
}

/* ---- adding up ---- */

/* The newest examples of both. */
static void
merge_examples(struct shadow_row *into, const struct shadow_row *from)
{
	for (unsigned i = 0; i < from->nexamples; i++) {
		unsigned at = into->nexamples;

		if (at == SHADOW_EXAMPLES) {
			at = 0;
			for (unsigned j = 1; j < SHADOW_EXAMPLES; j++)
				if (into->example[j].when < into->example[at].when)
					at = j;
			if (into->example[at].when >= from->example[i].when)
				continue;
		} else {
			into->nexamples++;
		}
		into->example[at] = from->example[i];
	}
}

static int
by_count(const void *a, const void *b)
{
	const struct shadow_row *x = a, *y = b;

	return x->count > y->count ? -1 : x->count < y->count ? 1 : strcmp(x->who, y->who);
}

void
edge_shadow_sum(struct edge_shadow *s, struct shadow_totals *totals, struct shadow_row **rows, size_t *n)
{
	struct slot all = { .rows = xcalloc((size_t)SHADOW_ROWS, sizeof(struct shadow_row)) };

	*totals = (struct shadow_totals){ .decisions = 0 };
	for (unsigned i = 0; i < s->nslots; i++) {
		struct slot *t = &s->slots[i];

		pthread_mutex_lock(&t->lock);
		totals->decisions += t->totals.decisions;
		totals->same += t->totals.same;
		totals->different += t->totals.different;
		totals->unlisted += t->totals.unlisted;
		for (size_t j = 0; j < t->n; j++) {
			struct shadow_row *r = find_row(&all, &t->rows[j]);

			if (r == NULL) {
				totals->unlisted += t->rows[j].count;
			} else {
				r->count += t->rows[j].count;
				merge_examples(r, &t->rows[j]);
			}
		}
		pthread_mutex_unlock(&t->lock);
	}
	if (all.n > 1)
		qsort(all.rows, all.n, sizeof(*all.rows), by_count);
	*rows = all.rows;
	*n = all.n;
}
