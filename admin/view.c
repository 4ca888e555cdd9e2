/*
 * admin/view.c - see view.h.
 */
#include "admin/view.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/daemon.h"
#include "common/clock.h"
#include "common/lives.h"
#include "common/mem.h"
#include "policy/reason.h"

#include "config.h"

#define NAMES_SHOWN	8	/* of one certificate */
#define DAY		86400
#define SOON_DAYS	30	/* what expires within them is in the forecast */

/* ---- in the worker ---- */

struct taking {
	struct view_worker	*v;
	const char		*(*what)(const struct sip_hop_state *, void *);
	void			*arg;
};

static void
take_hop(struct sip_hop *h, void *arg)
{
	const struct taking *t = arg;
	struct sip_hop_state s;
	const char *what = NULL;
	struct view_hop *out;

	sip_hop_state_of(h, &s);
	if (t->what != NULL ? (what = t->what(&s, t->arg)) == NULL : !s.kept)
		return;
	if (t->v->nhops == VIEW_HOPS) {
		t->v->more_hops = true;
		return;
	}
	out = &t->v->hop[t->v->nhops++];
	*out = (struct view_hop){ .what = what, .port = s.port, .state = s.state, .up = s.up, .by_inbound = s.by_inbound,
	    .waiting = s.waiting, .retry_ms = s.retry_ms, .up_at = s.up_at, .failed_at = s.failed_at, .failure = s.failure,
	    .detail = s.detail };
	snprintf(out->name, sizeof(out->name), "%s", s.name);
}

void
view_take(struct view_worker *v, struct sip_relay *r, const char *(*what)(const struct sip_hop_state *, void *),
    void *arg)
{
	const struct sip_counters *c = sip_relay_counters(r);
	struct taking t = { v, what, arg };

	v->links = sip_relay_links(r);
	v->transactions = sip_relay_transactions(r);
#define TAKE(m)	v->m = atomic_load_explicit(&c->m, memory_order_relaxed)
	TAKE(requests_in);
	TAKE(responses_in);
	TAKE(forwarded);
	TAKE(answered);
	TAKE(dropped);
	TAKE(malformed);
	TAKE(links_in);
	TAKE(links_out);
	TAKE(links_closed);
#undef TAKE
	sip_relay_each_hop(r, take_hop, &t);
}

bool
view_put_link(struct control_answer *a, struct sip_link *l, const char *class)
{
	unsigned char room[RECORD_SMALL];
	char addr[NET_ADDR_TEXT], id[20];
	struct record_writer w;
	struct sip_link_state s;

	sip_link_state_of(l, &s);
	snprintf(id, sizeof(id), "%llx", (unsigned long long)s.id);
	record_begin(&w, room, sizeof(room), "connection");
	record_str(&w, "id", id);
	record_str(&w, "class", class);
	record_str(&w, "side", policy_side_name(s.face->side));
	record_str(&w, "direction", s.inbound ? "in" : "out");
	record_str(&w, "peer", net_addr_format(s.remote, addr));
	record_str(&w, "called", s.called);
	if (s.peer != NULL && s.peer->has_certificate)
		for (unsigned i = 0; i < s.peer->nnames && i < NAMES_SHOWN; i++)
			record_item(&w, "names", s.peer->names[i]);
	record_str(&w, "state", s.closing ? "closing" : s.open ? "open" : "handshake");
	record_time(&w, "since", s.since);
	record_int(&w, "silent", (int64_t)(s.silent_ms / 1000));
	record_int(&w, "queued", (int64_t)s.queued);
	record_int(&w, "unanswered", s.unanswered);
	record_bool(&w, "congested", s.congested);
	record_int(&w, "worker", a->worker);
	return control_answer_put(a, &w);
}

void
view_put_errors(struct control_answer *a, const struct conf_errors *errs)
{
	for (size_t i = 0; i < conf_errors_count(errs); i++) {
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		record_begin(&w, room, sizeof(room), "error");
		record_text(&w, "text", span_head(span_str(conf_errors_get(errs, i)), RECORD_SMALL - 64));
		control_answer_put(a, &w);
	}
}

/* Is the name that one, or below it? */
static bool
is_within(struct span name, struct span domain)
{
	return span_ieq(name, domain) || (name.n > domain.n && name.p[name.n - domain.n - 1] == '.' &&
	    span_ieq(span_tail(name, name.n - domain.n), domain));
}

bool
view_wants_link(const struct view_filter *f, struct sip_link *l, const char *class)
{
	struct sip_link_state s;
	char addr[NET_ADDR_TEXT];
	bool named = f->name[0] == '\0';

	if (f->class[0] != '\0' && strcmp(f->class, class) != 0)
		return false;
	sip_link_state_of(l, &s);
	if (f->peer[0] != '\0' && strcmp(net_addr_host(s.remote, addr), f->peer) != 0)
		return false;
	if (!named && s.called != NULL)
		named = is_within(span_str(s.called), span_str(f->name));
	for (unsigned i = 0; !named && s.peer != NULL && s.peer->has_certificate && i < s.peer->nnames; i++)
		named = is_within(s.peer->names[i], span_str(f->name));
	return named;
}

/* ---- in the control thread ---- */

static void
copy_arg(const struct control_request *r, const char *name, char *out, size_t size)
{
	struct span s = control_text(r, name);

	snprintf(out, size, "%.*s", SPAN_FMT(s));
}

struct view_filter *
view_filter_new(const struct control_request *r)
{
	struct view_filter *f = xcalloc(1, sizeof(*f));

	copy_arg(r, "class", f->class, sizeof(f->class));
	copy_arg(r, "name", f->name, sizeof(f->name));
	copy_arg(r, "peer", f->peer, sizeof(f->peer));
	return f;
}

void
view_begin_daemon(struct record_writer *w, unsigned char *storage, size_t size, const char *program, time_t since)
{
	record_begin(w, storage, size, "daemon");
	record_str(w, "program", program);
	record_str(w, "version", PACKAGE_VERSION);
	record_int(w, "pid", daemon_pid());
	record_time(w, "since", since);
}

void
view_put_processes(struct control_request *r, unsigned n)
{
	for (unsigned i = 0; i < LIVES_N; i++) {
		uint64_t again = lives_again_count((enum lives_of)i);
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		if (i >= n && again == 0)
			continue;
		record_begin(&w, room, sizeof(room), "process");
		record_str(&w, "name", lives_name((enum lives_of)i));
		record_int(&w, "restarts", (int64_t)again);
		control_put(r, &w);
	}
}

void
view_put_workers(struct control_request *r, struct control_answer *const *answer, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct view_worker *v = answer[i] != NULL ? answer[i]->slot : NULL;
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		record_begin(&w, room, sizeof(room), "worker");
		record_int(&w, "id", i);
		record_bool(&w, "answers", v != NULL);
		if (v != NULL) {
			record_int(&w, "connections", v->links);
			record_int(&w, "transactions", v->transactions);
			record_int(&w, "requests", (int64_t)v->requests_in);
			record_int(&w, "responses", (int64_t)v->responses_in);
			record_int(&w, "forwarded", (int64_t)v->forwarded);
			record_int(&w, "answered", (int64_t)v->answered);
			record_int(&w, "dropped", (int64_t)v->dropped);
			record_int(&w, "malformed", (int64_t)v->malformed);
		}
		control_put(r, &w);
	}
}

/* The same hop of all workers. */
struct sum {
	const struct view_hop	*hop;		/* the first that was met */
	unsigned		 up, workers, waiting;
	bool			 by_inbound;
	const struct view_hop	*worst;		/* a breaker that is open */
	const struct view_hop	*failed;	/* the last failure of all */
	time_t			 up_at;
};

static struct sum *
sum_of(struct sum *sums, size_t *n, const struct view_hop *h)
{
	for (size_t i = 0; i < *n; i++)
		if (sums[i].hop->port == h->port && strcmp(sums[i].hop->name, h->name) == 0)
			return &sums[i];
	sums[*n] = (struct sum){ .hop = h };
	return &sums[(*n)++];
}

static void
add_up(struct sum *s, const struct view_hop *h)
{
	s->workers++;
	s->up += h->up;
	s->by_inbound |= h->by_inbound;
	s->waiting += h->waiting;
	if (strcmp(h->state, "down") == 0 && (s->worst == NULL || h->retry_ms > s->worst->retry_ms))
		s->worst = h;
	if (h->failed_at != 0 && (s->failed == NULL || h->failed_at > s->failed->failed_at))
		s->failed = h;
	s->up_at = h->up_at > s->up_at ? h->up_at : s->up_at;
}

static void
put_sum(struct control_request *r, const struct sum *s, const char *kind)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), kind);
	record_str(&w, "what", s->hop->what);
	record_str(&w, "name", s->hop->name);
	record_int(&w, "port", s->hop->port);
	record_str(&w, "state", s->up == s->workers ? "up" : s->up != 0 ? "partly up" : s->worst != NULL ? "down" : s->hop->state);
	record_int(&w, "up", s->up);
	record_int(&w, "workers", s->workers);
	record_bool(&w, "by_inbound", s->by_inbound);
	record_int(&w, "waiting", s->waiting);
	record_int(&w, "retry_ms", s->worst != NULL ? (int64_t)s->worst->retry_ms : 0);
	record_time(&w, "last_success", s->up_at);
	record_time(&w, "last_failure", s->failed != NULL ? s->failed->failed_at : 0);
	if (s->failed != NULL) {
		record_str(&w, "reason", policy_reason_name(s->failed->failure));
		record_str(&w, "detail", s->failed->detail);
	}
	control_put(r, &w);
}

void
view_put_hops(struct control_request *r, struct control_answer *const *answer, unsigned n, const char *kind)
{
	struct sum *sums = xcalloc((size_t)n * VIEW_HOPS, sizeof(*sums));
	size_t nsums = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct view_worker *v = answer[i] != NULL ? answer[i]->slot : NULL;

		for (unsigned k = 0; v != NULL && k < v->nhops; k++)
			add_up(sum_of(sums, &nsums, &v->hop[k]), &v->hop[k]);
		if (v != NULL && v->more_hops)
			control_cut(r);
	}
	for (size_t i = 0; i < nsums; i++)
		put_sum(r, &sums[i], kind);
	free(sums);
}

unsigned
view_missing(struct control_answer *const *answer, unsigned n)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < n; i++)
		missing += answer[i] == NULL;
	return missing;
}

void
view_end(struct control_request *r, struct control_answer *const *answer, unsigned n)
{
	unsigned missing = view_missing(answer, n);

	if (missing == 0)
		control_end(r, EX_OK, NULL);
	else
		control_end(r, EX_TEMPFAIL, "%u of %u workers did not answer in time", missing, n);
}

/* ---- certificates, in any thread ---- */

int64_t
view_days_left(time_t not_after)
{
	return (int64_t)((not_after - clock_wall()) / DAY);
}

void
view_usage(struct record_writer *w, unsigned usage)
{
	if ((usage & NET_USAGE_SERVER) != 0)
		record_item(w, "usage", SPAN_LIT("server"));
	if ((usage & NET_USAGE_CLIENT) != 0)
		record_item(w, "usage", SPAN_LIT("client"));
}

/* What will change, or has: an item of "forecast" for each. */
void
view_forecast(struct record_writer *w, time_t not_after, unsigned usage)
{
	int64_t days = view_days_left(not_after);
	char text[64];

	if (not_after <= clock_wall()) {
		record_item(w, "forecast", SPAN_LIT("has expired"));
	} else if (days < SOON_DAYS) {
		snprintf(text, sizeof(text), "expires in %lld days", (long long)days);
		record_item(w, "forecast", span_str(text));
	}
	if ((usage & NET_USAGE_CLIENT) == 0)
		record_item(w, "forecast", SPAN_LIT("not for clients: servers that insist on that usage refuse it"));
	if ((usage & NET_USAGE_SERVER) == 0)
		record_item(w, "forecast", SPAN_LIT("not for servers: whoever connects to it refuses it"));
}

/* Is it a word of the list, which has a space between? */
static bool
has_name(const char *names, struct span name)
{
	for (struct span rest = span_str(names); rest.n != 0;) {
		struct span one = span_head(rest, span_find(rest, ' '));

		if (span_ieq(one, name))
			return true;
		rest = span_tail(rest, one.n + 1);
	}
	return false;
}

void
view_change(struct record_writer *w, const struct view_certificate *was, const struct view_certificate *now, bool to_come)
{
	unsigned lost = was->usage & ~now->usage, told = 0;
	char text[600];

	if (strcmp(was->issuer, now->issuer) != 0) {
		snprintf(text, sizeof(text), "the issuer %s, from %.230s to %.230s: who knows only the old one refuses it",
		    to_come ? "changes" : "has changed", was->issuer, now->issuer);
		record_item(w, "forecast", span_str(text));
	}
	if ((lost & NET_USAGE_CLIENT) != 0)
		record_item(w, "forecast", to_come ? SPAN_LIT("will no longer be for clients") : SPAN_LIT("is no longer for clients, as it was"));
	if ((lost & NET_USAGE_SERVER) != 0)
		record_item(w, "forecast", to_come ? SPAN_LIT("will no longer be for servers") : SPAN_LIT("is no longer for servers, as it was"));
	for (struct span rest = span_str(was->names); rest.n != 0 && told < 8;) {
		struct span one = span_head(rest, span_find(rest, ' '));

		rest = span_tail(rest, one.n + 1);
		if (one.n == 0 || has_name(now->names, one))
			continue;
		snprintf(text, sizeof(text), "%s the name %.*s", to_come ? "will no longer hold" : "no longer holds", SPAN_FMT(span_head(one, 255)));
		record_item(w, "forecast", span_str(text));
		told++;
	}
}

void
view_own_leaf(struct record_writer *w, unsigned char *storage, size_t size, const char *door, bool dials, const struct net_peer *leaf)
{
	record_begin(w, storage, size, "own");
	record_str(w, "door", door);
	record_str(w, "use", dials ? "dial" : "door");
	record_int(w, "days_left", view_days_left(leaf->not_after));
	record_time(w, "not_after", leaf->not_after);
	record_str(w, "subject", leaf->subject);
	record_str(w, "issuer", leaf->issuer);
	for (unsigned k = 0; k < leaf->nnames && k < 16; k++)
		record_item(w, "names", leaf->names[k]);
	view_usage(w, leaf->usage);
	view_forecast(w, leaf->not_after, leaf->usage);
}

bool
view_own(struct record_writer *w, unsigned char *storage, size_t size, const char *door, bool dials, const char *name,
    const struct net_tls_material *m)
{
	struct net_peer leaf;
	char text[512];

	if (!net_tls_material_leaf(m, &leaf))
		return false;
	view_own_leaf(w, storage, size, door, dials, &leaf);
	if (name != NULL && !net_tls_material_proves(m, name)) {
		snprintf(text, sizeof(text), "does not hold the name %s", name);
		record_item(w, "forecast", span_str(text));
	}
	net_peer_fini(&leaf);
	return true;
}

void
view_put_seen(void *arg, const struct seen_state *s)
{
	struct control_request *r = arg;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	struct strbuf sb;
	char hex[65];

	strbuf_init(&sb, hex, sizeof(hex));
	strbuf_hex(&sb, s->fingerprint, 32, false);
	record_begin(&w, room, sizeof(room), "seen");
	record_str(&w, "verdict", s->why == POLICY_REASON_ALLOWED ? "accepted" : policy_reason_name(s->why));
	record_int(&w, "days_left", view_days_left(s->not_after));
	record_time(&w, "last", s->last);
	record_int(&w, "times", (int64_t)s->times);
	record_str(&w, "direction", s->inbound ? "in" : "out");
	record_str(&w, "peer", s->from);
	record_str(&w, "names", s->names);
	record_str(&w, "issuer", s->issuer);
	view_usage(&w, s->usage);
	record_str(&w, "fingerprint", hex);
	control_put(r, &w);
}
