/*
 * admin/daemonverbs.c - see daemonverbs.h.
 */
#include "admin/daemonverbs.h"

#include <stdlib.h>
#include <sysexits.h>

#include "admin/master.h"
#include "admin/view.h"
#include "common/mem.h"
#include "sip/relay.h"

/* ---- connections ---- */

struct connections {
	const struct daemon_acts *acts;
	struct view_filter	*filter;
};

static void
list_link(struct sip_link *l, void *arg)
{
	struct control_answer *a = arg;
	const struct connections *q = a->question;
	const char *class = q->acts->link_class(l);

	if (!a->cut && view_wants_link(q->filter, l, class))
		view_put_link(a, l, class);
}

static void
list_links(void *who, struct control_answer *a)
{
	const struct connections *q = a->question;

	sip_relay_each_link(q->acts->relay(((struct net_worker *)who)->owner), list_link, a);
}

static void
free_connections(void *question)
{
	struct connections *q = question;

	free(q->filter);
	free(q);
}

static void
run_connections(struct control_request *r)
{
	struct connections *q = xcalloc(1, sizeof(*q));

	q->acts = control_acts(r);
	q->filter = view_filter_new(r);
	control_ask_workers(r, &(struct control_asked){ .fn = list_links, .question = q, .free_question = free_connections });
}

/* ---- what the main thread does ---- */

/* The question is the daemon's table, which stays. */
static void
keep(void *question)
{
	(void)question;
}

static void
ask_main(struct control_request *r, void (*fn)(void *owner, struct control_answer *))
{
	control_ask_main(r, &(struct control_asked){ .fn = fn, .question = (void *)(uintptr_t)control_acts(r),
	    .free_question = keep });
}

static void
do_reload(void *owner, struct control_answer *a)
{
	const struct daemon_acts *acts = a->question;
	struct conf_errors *errs = conf_errors_new();

	if (!acts->reload(owner, errs)) {
		view_put_errors(a, errs);
		control_answer_fail(a, EX_CONFIG, "%s", acts->refused);
	}
	conf_errors_free(errs);
}

static void
run_reload(struct control_request *r)
{
	ask_main(r, do_reload);
}

/* The same as SIGTERM: the main thread finds it when it waits next. */
static void
do_drain(void *owner, struct control_answer *a)
{
	const struct daemon_acts *acts = a->question;

	backstage_stop(acts->stage(owner));
}

static void
run_drain(struct control_request *r)
{
	ask_main(r, do_drain);
}

static void
do_reopen(void *owner, struct control_answer *a)
{
	const struct daemon_acts *acts = a->question;

	if (!acts->reopen(owner))
		control_answer_fail(a, EX_CANTCREAT, "a log file cannot be opened again");
}

static void
run_reopen(struct control_request *r)
{
	ask_main(r, do_reopen);
}

/* ---- the table ---- */

static const struct control_arg filter_args[] = { VIEW_FILTER_ARGS, { NULL, 0, false } };

const struct control_verb daemon_verbs[] = {
	{ .name = "connections", .right = CONTROL_READ, .args = filter_args, .run = run_connections },
	{ .name = "reload", .right = CONTROL_CHANGE, .run = run_reload },
	{ .name = "drain", .right = CONTROL_CHANGE, .run = run_drain },
	{ .name = "reopen-logs", .right = CONTROL_CHANGE, .run = run_reopen },
	{ .name = NULL }
};
