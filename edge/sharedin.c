/*
 * edge/sharedin.c - see sharedin.h.
 */
#include "edge/sharedin.h"

#include <sys/stat.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/policystore.h"
#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/master.h"
#include "edge/shared.h"
#include "net/stats.h"

#define PASSWORD_MAX	512	/* bytes of the file */

#define WAITING		"?"	/* begins the answer to a claim that has none yet; its number follows */

/* ---- the master ---- */

#define UNFIT_MS	30000	/* then a shared policy that does not do here is looked at once more */
#define TELL_MS		5000	/* what is in force here is told again at most so often */

/* What is in force here, remembered for as long as the file is the same. */
struct shared_here {
	struct stat	 seen;
	bool		 known;			/* else it is looked at again */
	char		 sha256[POLICY_HASH_TEXT];
	char		 said[POLICY_HASH_TEXT];	/* a version that could not be taken, which is said once */
	char		 unfit[POLICY_HASH_TEXT];	/* … and which is not to come again for a while; "": none */
	uint64_t	 unfit_at;
	/* what was made here while nobody could be told, and is told now */
	uint64_t	 telling, told_at;	/* the claim; 0: none is under way */
	bool		 reload;		/* the proxy goes by another policy than was put here, and has not asked for it yet */
	bool		 quiet;			/* nobody has to hear of it */
};

static bool
is_given(const char *text)
{
	return text != NULL && *text != '\0';
}

/* The first line of the file, which nobody else may read. The caller's to wipe and free; NULL with errno. */
static char *
read_password(const char *path)
{
	char line[PASSWORD_MAX], *password = NULL;
	FILE *f = fopen(path, "re");
	struct stat st;

	if (f == NULL)
		return NULL;
	if (fstat(fileno(f), &st) == 0 && (st.st_mode & 077) != 0) {
		errno = EPERM;
	} else if (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		password = xstrdup(line);
	} else {
		errno = ENODATA;
	}
	mem_wipe(line, sizeof(line));
	fclose(f);
	return password;
}

bool
edge_shared_start(struct edge *e)
{
	const struct edge_shared_conf *c = &e->config->shared;
	struct shared_setup setup = { .name = c->name, .trust = c->trust, .certificate = c->certificate, .key = c->key,
	    .user = c->user, .prefix = c->prefix, .node = e->config->inner.name, .run_as = e->config->user,
	    .sandbox = e->config->sandbox };
	char *password = NULL;

	if (!is_given(c->server))
		return true;
	(void)net_addr_parse(&setup.server, span_str(c->server), 0);	/* edge_config_load() has seen that it does */
	if (is_given(c->password) && (password = read_password(c->password)) == NULL) {
		log_say(SP_LOG_ERROR, "shared", "%s: %s", c->password, errno == EPERM ? "others may read it; expects mode 0600" :
		    errno == ENODATA ? "has no password" : strerror(errno));
		return false;
	}
	setup.password = password;
	e->shared = shared_new(&setup);
	e->shared_here = xcalloc(1, sizeof(*e->shared_here));
	if (password != NULL)
		mem_wipe_free(password, strlen(password));
	return true;
}

void
edge_shared_stop(struct edge *e)
{
	shared_free(e->shared);
	free(e->shared_here);
	e->shared = NULL;
	e->shared_here = NULL;
}

static struct policystore *
open_store(const struct edge *e, struct conf_errors *errs)
{
	struct policystore *ps = NULL;

	/* whoever has the lock may be a change that waits for us: so we do not */
	if (policystore_open(&ps, e->config->shared.store, e->config->policy, errs) == SP_OK)
		policystore_wait(ps, 0);
	return ps;
}

static void
look_here(struct edge *e)
{
	struct shared_here *h = e->shared_here;
	struct conf_errors *errs;
	struct policystore *ps;
	struct stat st;

	if (stat(e->config->policy, &st) != 0 || (h->known && st.st_ino == h->seen.st_ino &&
	    st.st_size == h->seen.st_size && st.st_mtim.tv_sec == h->seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == h->seen.st_mtim.tv_nsec))
		return;
	errs = conf_errors_new();
	if ((ps = open_store(e, errs)) != NULL && policystore_hash_file(ps, h->sha256) == SP_OK) {
		h->known = true;
		h->seen = st;
	}
	policystore_close(ps);
	conf_errors_free(errs);
}

static void
say_not_taken(struct edge *e, const struct policy_change *c, const char *why)
{
	struct shared_here *h = e->shared_here;
	struct logrec r;

	memcpy(h->unfit, c->sha256, sizeof(c->sha256));
	h->unfit_at = clock_ms();
	if (strcmp(h->said, c->sha256) == 0)
		return;
	memcpy(h->said, c->sha256, sizeof(c->sha256));
	r = log_begin(SP_LOG_ERROR, "shared-policy-refused");
	log_uint(&r, "version", c->version);
	log_outside(&r, "author", span_str(c->author));
	log_outside(&r, "why", span_str(why));
	log_end(&r);
}

static const char *
why_of(int err, const struct conf_errors *errs)
{
	return conf_errors_count(errs) != 0 ? conf_errors_get(errs, 0) : sp_err_name(err);
}

void
edge_shared_loaded(struct edge *e, bool good)
{
	struct shared_here *h = e->shared_here;

	if (h == NULL)
		return;
	h->reload = false;
	if (good)
		h->unfit[0] = h->said[0] = '\0';
}

static void
tell(struct edge *e, const struct policy_change *c, const char *parent, struct span text, bool quiet)
{
	struct shared_here *h = e->shared_here;

	h->told_at = clock_ms();
	h->telling = shared_claim(e->shared, c, parent, text);
	h->quiet = quiet;
}

/* What is in force here was made while nobody could be told. */
static void
tell_ahead(struct edge *e, const char *parent, const struct policystore_text *t)
{
	struct shared_here *h = e->shared_here;

	if (h->told_at != 0 && clock_ms() - h->told_at < TELL_MS)
		return;
	if (memmem(t->text, t->n, "@include", 8) == NULL) {
		tell(e, &t->change, parent, policystore_span(t), false);
		return;
	}
	say_not_taken(e, &t->change, "what is in force here includes files, and cannot be shared");
	snprintf(h->unfit, sizeof(h->unfit), "%s", parent);
}

/* Has what was told become the others'? */
static void
hear_told(struct edge *e)
{
	struct shared_here *h = e->shared_here;
	struct shared_claimed c;

	if (h->telling == 0 || !shared_claim_look(e->shared, h->telling, &c))
		return;
	h->telling = 0;
	h->known = false;
	if (c.verdict != SHARED_CLAIM_DONE)
		return;
	h->told_at = 0;
	if (!h->quiet)
		log_say(SP_LOG_NOTICE, "shared-policy-told", "version %" PRIu64 ", by %s, is the other nodes', too", c.instead.version,
		    c.instead.author);
}

/* A version of another node. */
static void
take_policy(struct edge *e, const struct shared_policy *p)
{
	struct conf_errors *errs = conf_errors_new();
	struct policystore *ps = open_store(e, errs);
	struct policystore_text ahead = { .text = NULL };
	uint64_t version = 0;
	int err = ps != NULL ? policystore_receive(ps, &p->change, span_of(p->text, p->n), &version, &ahead, errs) : SP_EIO;

	if (err == SP_OK) {
		e->shared_here->reload = true;
		log_say(SP_LOG_NOTICE, "shared-policy", "version %" PRIu64 " of another node, by %s, is version %" PRIu64 " here",
		    p->change.version, p->change.author, version);
	}
	if (err == SP_OK && version != p->change.version) {
		/* its number was given here to another: the next one of any node is above both */
		struct policy_change again = p->change;

		again.version = version;
		tell(e, &again, p->change.sha256, span_of(p->text, p->n), true);
	}
	if (err == SP_EAGAIN)
		tell_ahead(e, p->change.sha256, &ahead);
	else if (err != SP_OK && err != SP_EEXIST && err != SP_ETIME)	/* locked: it comes again */
		say_not_taken(e, &p->change, why_of(err, errs));
	policystore_text_fini(&ahead);
	policystore_close(ps);
	conf_errors_free(errs);
	e->shared_here->known = false;
}

/* Nothing is shared yet: what is in force here is the beginning. */
static void
begin_sharing(struct edge *e)
{
	struct conf_errors *errs = conf_errors_new();
	struct policystore *ps = open_store(e, errs);
	struct policystore_text t = { .text = NULL };
	struct policy_change here = { .version = 0 };
	int err = ps != NULL ? policystore_current(ps, &t, errs) : SP_EIO;

	memcpy(here.sha256, e->shared_here->sha256, sizeof(here.sha256));
	if (err == SP_OK)
		tell_ahead(e, "", &t);
	else if (err != SP_ETIME)	/* locked: it comes again */
		say_not_taken(e, &here, why_of(err, errs));
	policystore_text_fini(&t);
	policystore_close(ps);
	conf_errors_free(errs);
	e->shared_here->known = false;
}

void
edge_answer_shared(void *edge, int fd, struct master_answer *a)
{
	struct edge *e = edge;
	struct edge_discovered_spent *spent;
	struct shared_here *h = e->shared_here;
	struct edge_shared_told told;
	struct shared_news news;
	char *bytes;
	size_t n = 0;

	if (e->shared == NULL)
		return;
	bytes = chan_file_read(fd, SHARED_PARTNERS_MAX * sizeof(*spent), &n);
	look_here(e);
	if (h->unfit[0] != '\0' && clock_ms() - h->unfit_at >= UNFIT_MS)
		h->unfit[0] = '\0';
	shared_exchange(e->shared, &(struct shared_here_now){ h->sha256, h->unfit }, (void *)bytes,
	    bytes != NULL ? n / sizeof(*spent) : 0, &news);
	hear_told(e);
	memset(&told, 0, sizeof(told));
	if (h->telling != 0)
		;	/* what the others have will soon be that */
	else if (news.policy.text != NULL)
		take_policy(e, &news.policy);
	else if (news.empty)
		begin_sharing(e);
	/* told until it asks: an answer may be lost, as when the proxy has no descriptor left for it */
	told.reload = h->reload;
	told.status = shared_status(e->shared);
	told.nothers = (uint32_t)news.nothers;
	told.nuntold = (uint32_t)news.nuntold;
	a->ok = true;
	fwrite(&told, sizeof(told), 1, a->file);
	if (news.nothers != 0)
		fwrite(news.others, sizeof(*news.others), news.nothers, a->file);
	if (news.nuntold != 0)
		fwrite(news.untold, sizeof(*news.untold), news.nuntold, a->file);
	free(news.policy.text);
	free(news.others);
	free(news.untold);
	free(bytes);
}

/* Up to the newline, which is taken, too. */
static struct span
take_line(struct span *rest)
{
	struct span line = span_head(*rest, span_find(*rest, '\n'));

	*rest = span_tail(*rest, line.n + 1);
	return line;
}

/* How it has ended, for whoever has asked. */
static void
put_claimed(const struct shared_claimed *c, struct master_answer *a)
{
	char when[32];

	a->ok = c->verdict != SHARED_CLAIM_LOST;
	switch (c->verdict) {
	case SHARED_CLAIM_LOST:
		policy_time_format(c->instead.time, when);
		if (c->instead.version != 0)
			fprintf(a->file, "another node of the array was faster: version %" PRIu64 " (%s by %s, %s) comes here in a "
			    "moment; look at it and try again", c->instead.version, policy_action_name(c->instead.action),
			    c->instead.author, when);
		else
			fprintf(a->file, "another node of the array was faster; look at what it has changed and try again");
		break;
	case SHARED_CLAIM_ALONE:
		log_say(SP_LOG_WARNING, "shared-policy-untold", "version %" PRIu64 ", by %s, is in force on this node alone until Redis "
		    "is to be had again", c->change.version, c->change.author);
		break;
	case SHARED_CLAIM_DONE:
		fprintf(a->file, "%" PRIu64, c->instead.version);
		break;
	}
}

void
edge_answer_claim(void *edge, int fd, struct master_answer *a)
{
	struct edge *e = edge;
	struct shared_claimed alone = { .verdict = SHARED_CLAIM_ALONE };
	struct span rest, line, parent;
	char hash[POLICY_HASH_TEXT], was[POLICY_HASH_TEXT] = "", *bytes;
	uint64_t claim;
	size_t n;

	a->ok = true;
	if (e->shared == NULL)
		return;
	bytes = chan_file_read(fd, POLICYSTORE_TEXT_MAX + POLICY_CHANGE_LINE + sizeof(hash) + 2, &n);
	rest = span_of(bytes, bytes != NULL ? n : 0);
	line = take_line(&rest);
	parent = take_line(&rest);
	policy_hash(rest, hash);
	a->ok = false;
	if (policy_change_parse(line, &alone.change) != SP_OK || alone.change.version == 0 ||
	    alone.change.version > SHARED_VERSION_MAX || strcmp(alone.change.sha256, hash) != 0 || parent.n != sizeof(was) - 1) {
		fprintf(a->file, "that is no change of policy");
	} else if (rest.n != 0 && memmem(rest.p, rest.n, "@include", 8) != NULL) {
		fprintf(a->file, "this edge shares its policy with other nodes, and such a one cannot include files");
	} else {
		memcpy(was, parent.p, parent.n);
		if ((claim = shared_claim(e->shared, &alone.change, was, rest)) == 0) {
			put_claimed(&alone, a);
		} else {
			a->ok = true;
			fprintf(a->file, WAITING "%" PRIu64, claim);
		}
	}
	free(bytes);
}

void
edge_answer_claimed(void *edge, int fd, struct master_answer *a)
{
	struct edge *e = edge;
	struct shared_claimed c;
	uint64_t claim = 0;
	size_t n = 0;
	char *bytes = chan_file_read(fd, 32, &n);

	a->ok = true;
	if (e->shared != NULL && bytes != NULL && span_uint(span_of(bytes, n), UINT64_MAX, &claim)) {
		if (shared_claim_look(e->shared, claim, &c))
			put_claimed(&c, a);
		else
			fprintf(a->file, WAITING "%" PRIu64, claim);
	}
	free(bytes);
}

/* ---- the proxy ---- */

static bool
is_other(const struct shared_status *a, const struct shared_status *b)
{
	return a->state != b->state || a->reason != b->reason;
}

static void
take_status(struct edge *e, const struct shared_status *now)
{
	if (now->state == SHARED_ALONE && is_other(&e->shared_status, now))
		stats_count(SHARED_LOST, now->reason, 0);
	pthread_mutex_lock(&e->obeyed.lock);
	e->shared_status = *now;
	pthread_mutex_unlock(&e->obeyed.lock);
	stats_set(SHARED, 0, 0, now->state == SHARED_UP);
}

/* The master, who knows how things are, does not say: then nobody does. */
static void
not_answered(struct edge *e)
{
	struct shared_status now = { .state = SHARED_ALONE, .reason = STATS_SHARED_HUNG, .since = clock_wall(),
	    .detail = "the master does not answer" };

	if (is_other(&e->shared_status, &now)) {
		shared_log(&now);
		take_status(e, &now);
	}
}

/* What came with the answer: told, and then others' and ours. False: it does not fit. */
static bool
take_told(struct edge *e, const char *bytes, size_t n, struct edge_shared_told *told)
{
	const size_t one = sizeof(struct edge_discovered_spent);
	struct edge_discovered_spent *list;
	size_t count;

	if (n < sizeof(*told))
		return false;
	memcpy(told, bytes, sizeof(*told));
	count = (size_t)told->nothers + told->nuntold;
	if (told->nothers > SHARED_PARTNERS_MAX || told->nuntold > (SHARED_TICKS_MAX + 1) * SHARED_PARTNERS_MAX ||
	    n != sizeof(*told) + count * one)
		return false;
	/* the master, whose state is an old one, has not noticed that it did not answer */
	if (is_other(&e->shared_status, &told->status) && told->status.since <= e->shared_status.since)
		shared_log(&told->status);
	take_status(e, &told->status);
	if (count != 0) {
		list = xcalloc(count, one);
		memcpy(list, bytes + sizeof(*told), count * one);
		edge_discovered_elsewhere(e->discovered, list, told->nothers);
		edge_discovered_untold(e->discovered, list + told->nothers, told->nuntold);
		free(list);
	}
	return true;
}

void
edge_shared_tick(struct edge *e)
{
	struct edge_discovered_spent *spent;
	struct edge_shared_told told;
	struct conf_errors *errs;
	char *bytes = NULL;
	size_t n = 0, count;
	int fd;

	if (!is_given(e->config->shared.server))
		return;
	spent = xcalloc(SHARED_PARTNERS_MAX, sizeof(*spent));
	count = edge_discovered_spent(e->discovered, spent, SHARED_PARTNERS_MAX);
	fd = chan_file("spent", span_of((const char *)spent, count * sizeof(*spent)));
	if (fd == -1 || backstage_ask(e->stage, EDGE_ASK_SHARED, fd, &bytes, &n) != SP_OK) {
		edge_discovered_untold(e->discovered, spent, count);
		not_answered(e);
	} else if (take_told(e, bytes, n, &told) && told.reload != 0) {
		errs = conf_errors_new();
		(void)edge_reload(e, errs);	/* it has logged what is wrong */
		conf_errors_free(errs);
	}
	if (fd != -1)
		close(fd);
	free(bytes);
	free(spent);
}

/* Ask the master, with that text; *claim: its answer is to be asked for later. */
static bool
ask_claim(struct edge *e, unsigned type, struct span text, uint64_t *version, uint64_t *claim, struct conf_errors *errs)
{
	char *said = NULL;
	size_t n = 0;
	int fd = chan_file("claim", text);
	bool good = fd != -1 && backstage_ask(e->stage, type, fd, &said, &n) == SP_OK;
	struct span s = span_of(said, said != NULL ? n : 0);

	*version = *claim = 0;
	if (!good)
		conf_error(errs, NULL, 0, "%s", said != NULL ? said : "the array cannot be asked");
	else if (s.n != 0 && s.p[0] == WAITING[0])
		(void)span_uint(span_tail(s, 1), UINT64_MAX, claim);
	else if (!span_uint(s, SHARED_VERSION_MAX, version))
		*version = 0;
	if (fd != -1)
		close(fd);
	free(said);
	return good;
}

bool
edge_shared_claim(struct edge *e, struct span change, struct span parent, struct span text, uint64_t *version, uint64_t *claim,
    struct conf_errors *errs)
{
	size_t n = change.n + parent.n + text.n + 2;
	char *all;
	bool good;

	*version = *claim = 0;
	if (!is_given(e->config->shared.server))
		return true;
	all = xmalloc(n + 1);
	n = (size_t)snprintf(all, n + 1, "%.*s\n%.*s\n", SPAN_FMT(change), SPAN_FMT(parent));
	if (text.n != 0)
		memcpy(all + n, text.p, text.n);
	good = ask_claim(e, EDGE_ASK_CLAIM, span_of(all, n + text.n), version, claim, errs);
	free(all);
	return good;
}

bool
edge_shared_claimed(struct edge *e, uint64_t *claim, uint64_t *version, struct conf_errors *errs)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, *claim);
	return ask_claim(e, EDGE_ASK_CLAIMED, span_str(text), version, claim, errs);
}

void
edge_shared_put(struct edge *e, struct control_request *r)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	struct shared_status s;

	if (!is_given(e->config->shared.server))
		return;
	pthread_mutex_lock(&e->obeyed.lock);
	s = e->shared_status;
	pthread_mutex_unlock(&e->obeyed.lock);
	record_begin(&w, room, sizeof(room), "shared");
	record_str(&w, "server", e->config->shared.server);
	record_str(&w, "state", shared_state_name(s.state));
	if (s.state == SHARED_ALONE) {
		record_str(&w, "reason", stats_shared_name(s.reason));
		record_text(&w, "detail", span_str(s.detail));
	}
	if (s.version != 0)
		record_int(&w, "version", (int64_t)s.version);
	if (s.since != 0)
		record_time(&w, "since", s.since);
	control_put(r, &w);
}
