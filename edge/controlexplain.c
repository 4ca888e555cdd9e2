/*
 * edge/controlexplain.c - what "sallyportctl explain" cannot know by itself: whether a Route is one of ours and
 * leads to a living connection, and which limits are in force. Nothing is sent, nothing is counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/view.h"
#include "common/err.h"
#include "common/mem.h"
#include "edge/controls.h"
#include "policy/facts.h"
#include "sip/message.h"

#define HEAD_MAX	16384	/* bytes of a message that is made of a Route */

struct routes {
	bool	outer;
	size_t	n;
	char	head[HEAD_MAX];
};

struct looked {
	bool			 done;
	enum policy_route	 route;
	enum policy_flow	 flow;
};

static void
look(void *who, struct control_answer *a)
{
	struct edge_worker *w = ((struct net_worker *)who)->owner;
	const struct routes *q = a->question;
	struct looked *l = a->slot;
	struct sip_message *m = xcalloc(1, sizeof(*m));

	if (sip_message_index(m, q->head, q->n) == SP_OK && sip_message_parse(m) == SIP_CHECK_OK) {
		edge_look_at_routes(w, m, q->outer, &l->route, &l->flow);
		l->done = true;
	}
	free(m);
}

/* A connection is one worker's: who has it knows that it lives. */
static void
tell_routes(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	enum policy_flow flow = POLICY_FLOW_NONE;
	const struct looked *any = NULL;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	(void)question;
	for (unsigned i = 0; i < n; i++) {
		const struct looked *l = answer[i] != NULL ? answer[i]->slot : NULL;

		if (l == NULL || !l->done)
			continue;
		any = l;
		if (flow == POLICY_FLOW_NONE || flow == POLICY_FLOW_USER_GONE)
			flow = l->flow;
	}
	if (any == NULL) {
		control_end(r, EX_DATAERR, "these are no Route headers");
		return;
	}
	record_begin(&w, room, sizeof(room), "routes");
	record_str(&w, "route", policy_route_name(any->route));
	record_str(&w, "flow", policy_flow_name(flow));
	control_put(r, &w);
	control_end(r, EX_OK, NULL);
}

/* A line of a header has none of these, and what comes here becomes one. */
static bool
is_line(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

static void
run_routes(struct control_request *r)
{
	struct span call_id = control_text(r, "call_id"), routes = control_text(r, "routes");
	struct routes *q;
	struct strbuf sb;

	if (!is_line(call_id) || !is_line(routes)) {
		control_end(r, EX_DATAERR, "these are no Route headers");
		return;
	}
	q = xcalloc(1, sizeof(*q));
	q->outer = control_int(r, "outer", 0) != 0;
	strbuf_init(&sb, q->head, sizeof(q->head));
	strbuf_printf(&sb, "INFO sip:u@explain.invalid SIP/2.0\r\nVia: SIP/2.0/TLS explain.invalid;branch=z9hG4bKexplain\r\n"
	    "Max-Forwards: 70\r\nFrom: <sip:u@explain.invalid>;tag=1\r\nTo: <sip:u@explain.invalid>%s\r\nCall-ID: %.*s\r\n"
	    "CSeq: 1 INFO\r\nRoute: %.*s\r\nContent-Length: 0\r\n\r\n", control_int(r, "in_dialog", 0) != 0 ? ";tag=2" : "",
	    SPAN_FMT(call_id), SPAN_FMT(routes));
	q->n = sb.len;
	if (!strbuf_ok(&sb)) {
		free(q);
		control_end(r, EX_DATAERR, "these Route headers are too long");
		return;
	}
	control_ask_workers(r, &(struct control_asked){ .fn = look, .question = q, .slot_size = sizeof(struct looked),
	    .done = tell_routes });
}

static void
run_limits(struct control_request *r)
{
	const struct edge *e = control_owner(r);
	struct edge_discovered_limits l = edge_discovered_limits(e->config);
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "limits");
	record_int(&w, "rate", l.rate);
	record_int(&w, "suspicious_rate", l.suspicious_rate);
	record_int(&w, "addressees", l.addressees);
	control_put(r, &w);
	control_end(r, EX_OK, NULL);
}

static const struct control_arg route_args[] = {
	{ "call_id", RECORD_TEXT, true }, { "routes", RECORD_TEXT, true }, { "in_dialog", RECORD_BOOL, false },
	{ "outer", RECORD_BOOL, false }, { NULL, 0, false }
};

const struct control_verb edge_explain_verbs[] = {
	{ .name = "explain-routes", .right = CONTROL_READ, .args = route_args, .run = run_routes },
	{ .name = "explain-limits", .right = CONTROL_READ, .run = run_limits },
	{ .name = NULL }
};
