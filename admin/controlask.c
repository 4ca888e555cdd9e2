/*
 * admin/controlask.c - the control thread asks workers, or the main thread, and gathers what they say.
 *
 * An errand goes out as mail and comes back as mail; in between it is the other
 * thread's alone, so nothing here needs a lock. Who is late finds that nobody
 * waits any more, and the last errand to come home frees all.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/control_int.h"
#include "admin/daemon.h"
#include "common/log.h"
#include "common/mem.h"

#define LENGTH_SIZE	4	/* before each record of an answer */

struct errand {
	struct net_mail		 mail;		/* there and back; first */
	struct gather		*g;
	struct control_answer	 answer;
	size_t			 room, max;	/* of answer.bytes: as they are, and as they may become */
	bool			 home;
};

struct gather {
	struct control		*c;
	struct control_request	*request;	/* NULL: nobody waits */
	struct control_asked	 asked;
	struct net_timer	 timer;
	bool			 main;
	unsigned		 n, out;	/* errands; of these, those not home yet */
	struct errand		 errand[];
};

/* ---- in the thread that is asked ---- */

bool
control_answer_put(struct control_answer *a, const struct record_writer *w)
{
	struct errand *e = (struct errand *)((char *)a - offsetof(struct errand, answer));
	size_t n = w->w.len, want = a->len + LENGTH_SIZE + n;
	uint32_t len = (uint32_t)n;

	if (a->cut || !record_ok(w) || want > e->max) {
		a->cut = true;
		return false;
	}
	if (want > e->room) {
		e->room = want * 2 < e->max ? want * 2 : e->max;
		a->bytes = xrealloc(a->bytes, e->room);
	}
	memcpy(a->bytes + a->len, &len, sizeof(len));
	memcpy(a->bytes + a->len + LENGTH_SIZE, w->w.p, n);
	a->len = want;
	return true;
}

void
control_answer_fail(struct control_answer *a, int status, const char *fmt, ...)
{
	va_list ap;

	a->status = status;
	va_start(ap, fmt);
	vsnprintf(a->why, sizeof(a->why), fmt, ap);
	va_end(ap);
}

static void come_home(struct net_worker *, struct net_mail *);

static void
go_home(struct errand *e)
{
	e->mail.deliver = come_home;
	net_worker_post(e->g->c->worker, &e->mail);
}

static void
run_errand(struct net_worker *w, struct net_mail *m)
{
	struct errand *e = (struct errand *)m;

	/* A worker that never started has nothing to say. */
	if (w->owner != NULL)
		e->g->asked.fn(w, &e->answer);
	go_home(e);
}

/* ---- in the control thread ---- */

static void
gather_free(struct gather *g)
{
	g->c->ngathers--;
	for (unsigned i = 0; i < g->n; i++) {
		free(g->errand[i].answer.bytes);
		if (g->asked.fini_slot != NULL && g->errand[i].answer.slot != NULL)
			g->asked.fini_slot(g->errand[i].answer.slot);
		free(g->errand[i].answer.slot);
	}
	if (g->asked.question != NULL) {
		if (g->asked.free_question != NULL)
			g->asked.free_question(g->asked.question);
		else
			free(g->asked.question);
	}
	free(g);
}

/* The records as they are. */
static void
finish_plainly(struct control_request *r, struct control_answer *const *answer, unsigned n)
{
	unsigned missing = 0, first = 0;
	int status = EX_OK;
	char why[sizeof(answer[0]->why)] = "";

	if (n == 1) {
		control_end_with(r, answer[0]);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if (answer[i] == NULL) {
			first = missing++ == 0 ? i : first;
			continue;
		}
		(void)control_put_answer(r, answer[i]);
		if (answer[i]->status != EX_OK && status == EX_OK) {
			status = answer[i]->status;
			memcpy(why, answer[i]->why, sizeof(why));
		}
	}
	if (missing == 0)
		control_end(r, status, why[0] != '\0' ? "%s" : NULL, why);
	else
		control_end(r, EX_TEMPFAIL, "%u of %u workers did not answer in time (worker %u)", missing, n, first);
}

void
control_end_with(struct control_request *r, const struct control_answer *a)
{
	char why[sizeof(a->why)];

	if (a == NULL) {
		control_end(r, EX_TEMPFAIL, "the daemon did not get to it in time; what was asked may still be done");
		return;
	}
	(void)control_put_answer(r, a);
	memcpy(why, a->why, sizeof(why));
	control_end(r, a->status, why[0] != '\0' ? "%s" : NULL, why);
}

/* All are home, or the time is over. */
static void
finish(struct gather *g)
{
	struct control_answer *answer[NET_WORKERS_MAX];
	struct control_request *r = g->request;

	net_timer_cancel(g->c->worker->loop, &g->timer);
	if (r == NULL)
		return;
	g->request = NULL;
	r->gather = NULL;
	for (unsigned i = 0; i < g->n; i++)
		answer[i] = g->errand[i].home ? &g->errand[i].answer : NULL;
	if (g->asked.done != NULL)
		g->asked.done(r, g->asked.question, answer, g->n);
	else
		finish_plainly(r, answer, g->n);
}

static void
come_home(struct net_worker *w, struct net_mail *m)
{
	struct errand *e = (struct errand *)m;
	struct gather *g = e->g;

	(void)w;
	e->home = true;
	if (--g->out != 0)
		return;
	finish(g);
	gather_free(g);
}

static void
too_late(struct net_timer *t)
{
	struct gather *g = (struct gather *)((char *)t - offsetof(struct gather, timer));

	log_say(SP_LOG_WARNING, "control-late", "%u of %u %s did not answer the control socket in time", g->out, g->n,
	    g->main ? "main thread" : "workers");
	finish(g);
}

void
control_gather_abandon(struct gather *g)
{
	net_timer_cancel(g->c->worker->loop, &g->timer);
	g->request = NULL;
}

static struct gather *
gather_new(struct control_request *r, const struct control_asked *asked, unsigned n, unsigned ms)
{
	struct control *c = control_of(r);
	struct gather *g = xcalloc(1, sizeof(*g) + n * sizeof(g->errand[0]));
	size_t fair = CONTROL_QUEUE_MAX / n;

	g->c = c;
	g->asked = *asked;
	g->n = g->out = n;
	c->ngathers++;
	for (unsigned i = 0; i < n; i++) {
		struct errand *e = &g->errand[i];

		e->g = g;
		e->max = fair < CONTROL_GATHER_MAX ? fair : CONTROL_GATHER_MAX;
		e->answer.question = asked->question;
		e->answer.worker = i;
		e->answer.slot = asked->slot_size != 0 ? xcalloc(1, asked->slot_size) : NULL;
	}
	if (c->ngathers > CONTROL_GATHERS) {
		gather_free(g);
		control_end(r, EX_TEMPFAIL, "too many questions are under way; try again");
		return NULL;
	}
	g->request = r;
	r->gather = g;
	g->timer.fire = too_late;
	net_timer_set(c->worker->loop, &g->timer, ms);
	return g;
}

void
control_ask_workers(struct control_request *r, const struct control_asked *asked)
{
	struct control *c = control_of(r);
	unsigned n = net_crew_count(c->crew);
	struct gather *g = gather_new(r, asked, n, c->answer_ms);

	for (unsigned i = 0; g != NULL && i < n; i++) {
		g->errand[i].mail.deliver = run_errand;
		net_worker_post(net_crew_worker(c->crew, i), &g->errand[i].mail);
	}
}

void
control_ask_main(struct control_request *r, const struct control_asked *asked)
{
	struct control *c = control_of(r);
	struct gather *g = gather_new(r, asked, 1, CONTROL_MAIN_MS);

	if (g == NULL)
		return;
	g->main = true;
	g->errand[0].mail.next = NULL;
	pthread_mutex_lock(&c->lock);
	*c->main_last = &g->errand[0].mail;
	c->main_last = &g->errand[0].mail.next;
	pthread_mutex_unlock(&c->lock);
	daemon_ask(c->main_thread);
}

bool
control_put_answer(struct control_request *r, const struct control_answer *a)
{
	bool all = !a->cut;
	uint32_t len;

	for (size_t at = 0; at < a->len; at += LENGTH_SIZE + len) {
		memcpy(&len, a->bytes + at, sizeof(len));
		all = control_put_bytes(r, span_of((const char *)a->bytes + at + LENGTH_SIZE, len)) && all;
	}
	if (!all)
		control_cut(r);
	return all;
}

/* ---- in the main thread ---- */

static struct errand *
next_for_main(struct control *c)
{
	struct net_mail *m;

	pthread_mutex_lock(&c->lock);
	if ((m = c->main_first) != NULL && (c->main_first = m->next) == NULL)
		c->main_last = &c->main_first;
	pthread_mutex_unlock(&c->lock);
	return (struct errand *)m;
}

void
control_run_main(struct control *c)
{
	struct errand *e;

	while (c != NULL && (e = next_for_main(c)) != NULL) {
		e->g->asked.fn(c->owner, &e->answer);
		go_home(e);
	}
}

void
control_gather_drop_main(struct control *c)
{
	struct errand *e;

	while ((e = next_for_main(c)) != NULL)
		go_home(e);
}
