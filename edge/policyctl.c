/*
 * edge/policyctl.c - a policy that comes over the control socket: to be obeyed, or to be tried.
 *
 * The text comes as a descriptor and is read whole in the control thread; the main
 * thread, who alone changes what all workers share, makes rules of it and hands
 * them over. Until every line of it is good nothing has changed.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/policychange.h"
#include "admin/policyfile.h"
#include "admin/policystore.h"
#include "admin/view.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/edge.h"
#include "edge/sharedin.h"

/* A policy on its way from the control thread to the main thread. */
struct coming {
	char	*text;
	size_t	 n;
	bool	 shadow;	/* only to be tried */
	char	*claim;		/* not to be obeyed yet: may it become the next version of all nodes? The change's line; NULL: not asked */
	char	 parent[POLICY_HASH_TEXT];
	int64_t	 version;	/* shadow: that it is based on */
	char	 author[POLICY_CHANGE_AUTHOR + 1], name[POLICYSTORE_NAME_MAX + 1], sha256[POLICY_HASH_TEXT];
};

static void
free_coming(void *p)
{
	struct coming *c = p;

	free(c->text);
	free(c->claim);
	free(c);
}

/* ---- the main thread ---- */

/* The directory of the policy file, where included files are; the caller's to free. */
static char *
directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? NULL : xmemdup(path, slash == path ? 1 : (size_t)(slash - path));
}

static struct policy_rules *
rules_of(const struct edge *e, struct span text, struct conf_errors *errs)
{
	char *dir = directory_of(e->config->policy);
	struct policy_rules *rules = policyfile_load_text(e->config->policy, text, dir, errs);

	free(dir);
	return rules;
}

void
edge_obey(struct edge *e, const char *sha256, uint64_t version, const char *author)
{
	struct edge_obeyed *o = &e->obeyed;
	bool same = strcmp(o->sha256, sha256) == 0;

	pthread_mutex_lock(&o->lock);
	o->since = clock_wall();
	if (version != 0 || !same) {
		o->version = version;
		snprintf(o->author, sizeof(o->author), "%s", author != NULL ? author : "");
	}
	if (!same)
		snprintf(o->sha256, sizeof(o->sha256), "%s", sha256);
	pthread_mutex_unlock(&o->lock);
}

static bool
obeys(struct edge *e, const char *sha256)
{
	bool same;

	pthread_mutex_lock(&e->obeyed.lock);
	same = strcmp(e->obeyed.sha256, sha256) == 0;
	pthread_mutex_unlock(&e->obeyed.lock);
	return same;
}

void
edge_put_obeyed(struct edge *e, struct record_writer *w, const char *prefix)
{
	char name[4][RECORD_NAME_MAX];
	static const char *const fields[] = { "sha256", "version", "author", "since" };

	for (size_t i = 0; i < 4; i++)
		snprintf(name[i], sizeof(name[i]), "%s%s", prefix, fields[i]);
	pthread_mutex_lock(&e->obeyed.lock);
	if (e->obeyed.sha256[0] != '\0')
		record_str(w, name[0], e->obeyed.sha256);
	if (e->obeyed.version != 0) {
		record_int(w, name[1], (int64_t)e->obeyed.version);
		record_str(w, name[2], e->obeyed.author);
	}
	record_time(w, name[3], e->obeyed.since);
	pthread_mutex_unlock(&e->obeyed.lock);
}

bool
edge_take_policy(struct edge *e, struct span text, struct conf_errors *errs)
{
	struct net_tls_material *none[EDGE_IDENTITIES] = { NULL };
	struct policy_rules *rules;

	/* it is in its place by now, and is read there, with the others, by whoever may read files */
	if (conf_includes(text))
		return edge_reload(e, errs);
	rules = rules_of(e, text, errs);
	if (rules == NULL)
		return false;
	edge_workers_update(e, rules, none, false);
	policy_rules_unref(rules);
	return true;
}

/* ---- trying a policy ---- */

struct trying {
	struct net_mail		 mail;
	struct edge_shadow	*shadow;
};

static void
deliver(struct net_worker *worker, struct net_mail *mail)
{
	struct trying *t = (struct trying *)mail;
	struct edge_worker *w = worker->owner;

	if (w != NULL) {
		edge_shadow_unref(w->shadow);
		w->shadow = t->shadow;
	} else {
		edge_shadow_unref(t->shadow);
	}
	free(t);
}

void
edge_workers_try(struct edge *e, struct edge_shadow *s)
{
	for (unsigned id = 0; id < net_crew_count(e->crew); id++) {
		struct trying *t = xcalloc(1, sizeof(*t));

		t->mail.deliver = deliver;
		t->shadow = s != NULL ? edge_shadow_ref(s) : NULL;
		net_worker_post(net_crew_worker(e->crew, id), &t->mail);
	}
	if (s != NULL)
		edge_shadow_ref(s);
	edge_shadow_unref(e->shadow);
	e->shadow = s;
}

/* Who did it, in the log: the audit log's line has a witness then. */
static void
log_policy(const char *event, const struct coming *c)
{
	struct logrec r = log_begin(SP_LOG_NOTICE, event);

	log_int(&r, "version", c->version);
	log_outside(&r, "author", span_str(c->author));
	if (c->shadow)
		log_outside(&r, "candidate", span_str(c->name));
	log_word(&r, "sha256", c->sha256);
	log_end(&r);
}

/* A claim's answer takes the array its time. Nobody waits for it but the request: the main thread is asked now and then. */
#define CLAIM_EVERY_MS	20

struct claim {
	struct net_timer	 timer;
	struct control_request	*request;
	uint64_t		 number;	/* as the master knows it */
};

static void
put_claim(struct control_answer *a, bool good, uint64_t version, uint64_t claim, const struct conf_errors *errs)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	*(uint64_t *)a->slot = claim;
	if (!good) {
		control_answer_fail(a, EX_TEMPFAIL, "%s", conf_errors_count(errs) != 0 ? conf_errors_get(errs, 0) : "not now");
	} else if (claim == 0) {
		record_begin(&w, room, sizeof(room), "claimed");
		if (version != 0)
			record_int(&w, "version", (int64_t)version);
		(void)control_answer_put(a, &w);
	}
}

static void
take_claim(void *who, struct control_answer *a)
{
	struct edge *e = who;
	const struct coming *c = a->question;
	struct conf_errors *errs = conf_errors_new();
	uint64_t version, claim;
	bool good = edge_shared_claim(e, span_str(c->claim), span_str(c->parent), span_of(c->text, c->n), &version, &claim, errs);

	put_claim(a, good, version, claim, errs);
	conf_errors_free(errs);
}

static void
look_at_claim(void *who, struct control_answer *a)
{
	struct edge *e = who;
	struct conf_errors *errs = conf_errors_new();
	uint64_t claim = *(const uint64_t *)a->question, version;
	bool good = edge_shared_claimed(e, &claim, &version, errs);

	put_claim(a, good, version, claim, errs);
	conf_errors_free(errs);
}

static void
take(void *who, struct control_answer *a)
{
	struct edge *e = who;
	const struct coming *c = a->question;
	struct conf_errors *errs = conf_errors_new();
	struct policy_rules *rules;
	struct edge_shadow *s;

	if (!c->shadow) {
		if (edge_take_policy(e, span_of(c->text, c->n), errs)) {
			/* what the master has read is known by its own hash: somebody may have changed a file meanwhile */
			if (!conf_includes(span_of(c->text, c->n)) || obeys(e, c->sha256))
				edge_obey(e, c->sha256, (uint64_t)c->version, c->author);
			log_policy("policy-loaded", c);
			if (e->shadow != NULL)
				log_say(SP_LOG_NOTICE, "shadow-ended", "there is another policy in force");
			edge_workers_try(e, NULL);
		}
	} else if ((rules = rules_of(e, span_of(c->text, c->n), errs)) != NULL) {
		s = edge_shadow_new(rules, c->name, c->author, (uint64_t)c->version, c->sha256, net_crew_count(e->crew));
		edge_workers_try(e, s);
		edge_shadow_unref(s);
		policy_rules_unref(rules);
		log_policy("shadow-began", c);
	}
	if (conf_errors_count(errs) != 0) {
		view_put_errors(a, errs);
		control_answer_fail(a, EX_CONFIG, "the policy has mistakes; the old one stays in force");
		log_say(SP_LOG_ERROR, "policy-refused", "a policy that came over the control socket has mistakes");
	}
	conf_errors_free(errs);
}

static void
end_shadow(void *who, struct control_answer *a)
{
	struct edge *e = who;

	if (e->shadow == NULL) {
		control_answer_fail(a, EX_NOINPUT, "no policy is tried");
		return;
	}
	edge_workers_try(e, NULL);
	log_say(SP_LOG_NOTICE, "shadow-ended", "by the administrator");
}

static const char *
outcome(enum shadow_what what, enum policy_reason reason)
{
	return what == SHADOW_DNS && reason == POLICY_REASON_UNDECIDED ? "would-ask-dns" : policy_reason_name(reason);
}

static bool
put_row(struct control_answer *a, const struct shadow_row *row)
{
	unsigned char room[RECORD_SMALL * 2];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "difference");
	record_int(&w, "count", (int64_t)row->count);
	record_str(&w, "what", shadow_what_name(row->what));
	record_text(&w, "who", span_str(row->who));
	record_bool(&w, "partner", row->named);
	record_str(&w, "direction", row->outward ? "outward" : "inward");
	record_str(&w, "live", outcome(row->what, row->live));
	record_str(&w, "candidate", outcome(row->what, row->candidate));
	for (unsigned i = 0; i < row->nexamples && row->what != SHADOW_CONNECTION; i++) {
		const struct shadow_example *e = &row->example[i];
		char text[4 * SHADOW_TEXT + 64], when[32];
		struct strbuf sb;

		policy_time_format(e->when, when);
		strbuf_init(&sb, text, sizeof(text));
		strbuf_printf(&sb, "%s %s from %s to %s call-id %s", when, e->method, e->from, e->to, e->call_id);
		record_item(&w, "examples", strbuf_span_of(&sb));
	}
	return control_answer_put(a, &w);
}

static void
tell_shadow(void *who, struct control_answer *a)
{
	const struct edge *e = who;
	struct shadow_about about;
	struct shadow_totals totals;
	struct shadow_row *rows;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	size_t n;

	if (e->shadow == NULL) {
		control_answer_fail(a, EX_NOINPUT, "no policy is tried");
		return;
	}
	about = edge_shadow_about(e->shadow);
	edge_shadow_sum(e->shadow, &totals, &rows, &n);
	record_begin(&w, room, sizeof(room), "shadow");
	record_text(&w, "name", span_str(about.name));
	record_text(&w, "author", span_str(about.author));
	record_int(&w, "base", (int64_t)about.base);
	record_str(&w, "sha256", about.sha256);
	record_time(&w, "since", about.since);
	record_int(&w, "decisions", (int64_t)totals.decisions);
	record_int(&w, "same", (int64_t)totals.same);
	record_int(&w, "different", (int64_t)totals.different);
	record_int(&w, "unlisted", (int64_t)totals.unlisted);
	(void)control_answer_put(a, &w);
	for (size_t i = 0; i < n && put_row(a, &rows[i]); i++)
		;
	free(rows);
}

/* ---- the control thread ---- */

/* All that the descriptor has; NULL with the request ended. */
static char *
read_text(struct control_request *r, int fd, size_t *n)
{
	size_t room = 65536, got = 0;
	char *text = xmalloc(room + 1);
	ssize_t k;

	if (lseek(fd, 0, SEEK_SET) == -1) {
		/* a pipe could keep us waiting */
		control_end(r, EX_USAGE, "expects a file's descriptor");
		free(text);
		return NULL;
	}
	while ((k = pread(fd, text + got, room - got, (off_t)got)) != 0) {
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 || got + (size_t)k > POLICYSTORE_TEXT_MAX) {
			control_end(r, k < 0 ? EX_IOERR : EX_DATAERR, k < 0 ? "the policy cannot be read" : "the policy is too long");
			free(text);
			return NULL;
		}
		got += (size_t)k;
		if (got == room)
			text = xrealloc(text, (room *= 2) + 1);
	}
	text[got] = '\0';
	*n = got;
	return text;
}

/* Does whoever asks mean the policy file that we read? A store of another would put the wrong policy in force. */
static bool
is_ours(const struct edge *e, struct span named, struct span real)
{
	char mine[PATH_MAX];

	if (span_is(named, e->config->policy) || span_is(real, e->config->policy))
		return true;
	return realpath(e->config->policy, mine) != NULL && span_is(real, mine);
}

static void
put_text(char *out, size_t size, struct span s)
{
	snprintf(out, size, "%.*s", (int)(s.n < size ? s.n : size - 1), s.n != 0 ? s.p : "");
}

static void	claim_told(struct control_request *, const void *question, struct control_answer *const *, unsigned n);

static void
claim_again(struct net_timer *t)
{
	struct claim *k = (struct claim *)((char *)t - offsetof(struct claim, timer));
	struct control_request *r = k->request;
	void *number = xmemdup(&k->number, sizeof(k->number));

	control_on_gone(r, NULL, NULL);
	free(k);
	/* that may be its end */
	control_ask_main(r, &(struct control_asked){ .fn = look_at_claim, .slot_size = sizeof(uint64_t), .question = number,
	    .done = claim_told });
}

static void
claim_gone(struct control_request *r, void *arg)
{
	struct claim *k = arg;

	net_timer_cancel(control_loop(control_of(r)), &k->timer);
	free(k);
}

/* The request ends with the answer, or waits on. */
static void
claim_told(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	const struct control_answer *a = answer[0];
	uint64_t number = a != NULL ? *(const uint64_t *)a->slot : 0;
	struct claim *k;

	(void)question;
	(void)n;
	if (number == 0) {
		control_end_with(r, a);
		return;
	}
	k = xcalloc(1, sizeof(*k));
	k->request = r;
	k->number = number;
	k->timer.fire = claim_again;
	control_on_gone(r, claim_gone, k);
	net_timer_set(control_loop(control_of(r)), &k->timer, CLAIM_EVERY_MS);
}

static void
receive(struct control_request *r, bool shadow, bool claim)
{
	const struct edge *e = control_owner(r);
	struct coming *c;
	char hash[POLICY_HASH_TEXT], *text;
	size_t n;

	if (control_fd(r) < 0) {
		control_end(r, EX_USAGE, "expects a file's descriptor");
		return;
	}
	if (claim && !is_ours(e, control_text(r, "policy"), control_text(r, "real"))) {
		/* other nodes do not share that file either; who wants this edge to obey it hears so next */
		control_end(r, EX_OK, NULL);
		return;
	}
	if (!is_ours(e, control_text(r, "policy"), control_text(r, "real"))) {
		control_end(r, EX_CONFIG, "this edge's policy is %s, which is another file", e->config->policy);
		return;
	}
	if ((text = read_text(r, control_fd(r), &n)) == NULL)
		return;
	policy_hash(span_of(text, n), hash);
	/* of a text that includes others, the hash is that of the whole, which the master will read */
	if (control_text(r, "sha256").n != sizeof(hash) - 1 ||
	    ((shadow || claim || !conf_includes(span_of(text, n))) && !span_is(control_text(r, "sha256"), hash))) {
		control_end(r, EX_DATAERR, "the policy is not the one whose hash was given");
		free(text);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->text = text;
	c->n = n;
	c->shadow = shadow;
	c->version = control_int(r, "version", 0);
	put_text(c->author, sizeof(c->author), control_text(r, "author"));
	put_text(c->name, sizeof(c->name), control_text(r, "name"));
	snprintf(c->sha256, sizeof(c->sha256), "%.*s", SPAN_FMT(control_text(r, "sha256")));
	if (claim) {
		struct span line = control_text(r, "change");

		c->claim = xmemdup(line.p, line.n);
		put_text(c->parent, sizeof(c->parent), control_text(r, "parent"));
	}
	control_ask_main(r, &(struct control_asked){ .fn = claim ? take_claim : take, .question = c, .free_question = free_coming,
	    .slot_size = claim ? sizeof(uint64_t) : 0, .done = claim ? claim_told : NULL });
}

static void
run_load(struct control_request *r)
{
	receive(r, false, false);
}

static void
run_claim(struct control_request *r)
{
	receive(r, false, true);
}

static void
run_shadow(struct control_request *r)
{
	receive(r, true, false);
}

static void
run_obeyed(struct control_request *r)
{
	struct edge *e = control_owner(r);
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "policy");
	record_str(&w, "file", e->config->policy);
	edge_put_obeyed(e, &w, "");
	control_put(r, &w);
	control_end(r, EX_OK, NULL);
}

static void
run_shadow_status(struct control_request *r)
{
	control_ask_main(r, &(struct control_asked){ .fn = tell_shadow });
}

static void
run_shadow_stop(struct control_request *r)
{
	control_ask_main(r, &(struct control_asked){ .fn = end_shadow });
}

static const struct control_arg load_args[] = {
	{ "policy", RECORD_TEXT, true }, { "sha256", RECORD_TEXT, true }, { "version", RECORD_INT, true },
	{ "author", RECORD_TEXT, true }, { "name", RECORD_TEXT, false }, { "real", RECORD_TEXT, false }, { NULL, 0, false }
};

static const struct control_arg claim_args[] = {
	{ "policy", RECORD_TEXT, true }, { "sha256", RECORD_TEXT, true }, { "version", RECORD_INT, true },
	{ "author", RECORD_TEXT, true }, { "name", RECORD_TEXT, false }, { "real", RECORD_TEXT, false },
	{ "change", RECORD_TEXT, true }, { "parent", RECORD_TEXT, true }, { NULL, 0, false }
};

const struct control_verb edge_policy_verbs[] = {
	{ .name = "policy-obeyed", .right = CONTROL_READ, .run = run_obeyed },
	{ .name = "policy-load", .right = CONTROL_CHANGE, .args = load_args, .takes_fd = true, .run = run_load },
	{ .name = "policy-claim", .right = CONTROL_CHANGE, .args = claim_args, .takes_fd = true, .run = run_claim },
	{ .name = "policy-shadow", .right = CONTROL_CHANGE, .args = load_args, .takes_fd = true, .run = run_shadow },
	{ .name = "policy-shadow-status", .right = CONTROL_READ, .run = run_shadow_status },
	{ .name = "policy-shadow-stop", .right = CONTROL_CHANGE, .run = run_shadow_stop },
	{ .name = NULL }
};
