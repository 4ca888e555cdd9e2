/*
 * admin/http/ask.c - see ask.h.
 */
#include "admin/http/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctlclient.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

const char *
ask_name(enum ask_daemon d)
{
	return d == ASK_EDGE ? "edge" : "Director";
}

static enum ask_result
result_of(int err)
{
	switch (err) {
	case SP_ETIME:
		return ASK_SLOW;
	case SP_ECLOSED:
		return ASK_DENIED;
	case SP_EIO:
		return errno == EACCES || errno == EPERM ? ASK_DENIED : ASK_DOWN;
	default:
		return ASK_NONSENSE;
	}
}

bool
answer_add(struct answer *a, const struct record *r)
{
	size_t n = r->kind.n + r->len;
	char *copy;

	if (a->n == ASK_RECORDS_MAX || n > ASK_BYTES_MAX - a->bytes) {
		a->cut = true;
		return false;
	}
	if (a->n == a->room) {
		a->room = a->room == 0 ? 64 : a->room * 2;
		a->v = xreallocarray(a->v, a->room, sizeof(*a->v));
		a->store = xreallocarray(a->store, a->room, sizeof(*a->store));
	}
	copy = xmalloc(n + 1);
	memcpy(copy, r->kind.p, r->kind.n);
	if (r->len != 0)
		memcpy(copy + r->kind.n, r->fields, r->len);
	a->store[a->n] = copy;
	a->v[a->n++] = (struct record){ .kind = span_of(copy, r->kind.n), .n = r->n,
	    .fields = (unsigned char *)copy + r->kind.n, .len = r->len };
	a->bytes += n;
	return true;
}

static void
receive(struct ctlclient *c, struct answer *a, uint64_t until)
{
	struct record r;
	int got = 1;

	for (;;) {
		uint64_t now = clock_ms();

		if (now >= until) {
			a->result = ASK_SLOW;
			return;
		}
		ctlclient_set_wait(c, (unsigned)(until - now));
		if ((got = ctlclient_next(c, &r)) != 1)
			break;
		if (!answer_add(a, &r))
			return;
	}
	if (got < 0) {
		a->result = result_of(got);
		return;
	}
	a->status = ctlclient_status(c);
	a->cut |= ctlclient_was_cut(c);
	snprintf(a->why, sizeof(a->why), "%s", ctlclient_why(c));
	/* what is there is shown, also when a worker did not answer in time */
	a->result = a->status == EX_OK || (a->status == EX_TEMPFAIL && a->n != 0) ? ASK_OK : ASK_REFUSED;
}

void
ask_with(struct site *s, enum ask_daemon d, const char *verb, const struct ask_arg *args, int fd, struct answer *a)
{
	const char *path = d == ASK_EDGE ? s->conf->edge_socket : s->conf->director_socket;
	uint64_t until = clock_ms() + (uint64_t)s->conf->limits.control;
	struct ctlclient *c;
	int err;

	memset(a, 0, sizeof(*a));
	if (path[0] == '\0') {
		a->result = ASK_NONE;
		return;
	}
	c = ctlclient_new();
	ctlclient_set_wait(c, (unsigned)s->conf->limits.control);
	if ((err = ctlclient_open(c, path)) == SP_OK) {
		ctlclient_begin(c, verb);
		for (; args != NULL && args->name != NULL; args++) {
			if (args->is_number)
				record_int(ctlclient_args(c), args->name, args->number);
			else
				record_text(ctlclient_args(c), args->name, args->text);
		}
		err = ctlclient_send(c, fd);
	}
	if (err == SP_OK)
		receive(c, a, until);
	else
		a->result = result_of(err);
	ctlclient_free(c);
}

void
ask(struct site *s, enum ask_daemon d, const char *verb, const struct ask_arg *args, struct answer *a)
{
	ask_with(s, d, verb, args, -1, a);
}

void
answer_fini(struct answer *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->store[i]);
	free(a->store);
	free(a->v);
	memset(a, 0, sizeof(*a));
}

const struct record *
answer_first(const struct answer *a, const char *kind)
{
	for (size_t i = 0; i < a->n; i++)
		if (span_is(a->v[i].kind, kind))
			return &a->v[i];
	return NULL;
}

size_t
answer_count(const struct answer *a, const char *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += span_is(a->v[i].kind, kind);
	return n;
}

void
answer_say(const struct answer *a, enum ask_daemon d, char out[640])
{
	const char *name = ask_name(d);

	switch (a->result) {
	case ASK_OK:
		out[0] = '\0';
		break;
	case ASK_NONE:
		snprintf(out, 640, "There is no %s on this machine, as admin.conf says.", name);
		break;
	case ASK_DOWN:
		snprintf(out, 640, "The %s does not answer: it does not run, or its control socket is another one.", name);
		break;
	case ASK_DENIED:
		snprintf(out, 640, "The %s does not talk to this page: the account of the page is not in the group that its "
		    "control socket is for.", name);
		break;
	case ASK_SLOW:
		snprintf(out, 640, "The %s did not answer in time. It may be overloaded; SIP goes first.", name);
		break;
	case ASK_NONSENSE:
		snprintf(out, 640, "The %s answered with something that is no answer. Are both of the same release?", name);
		break;
	case ASK_REFUSED:
		snprintf(out, 640, "The %s says: %s", name, a->why[0] != '\0' ? a->why : "no, without a reason");
		break;
	}
}
