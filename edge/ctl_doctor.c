/*
 * edge/ctl_doctor.c - sallyportctl doctor: why messages to and from a domain do not pass, and what to do about it.
 *
 * The way of a message is gone step by step, with the edge's own resolver, guard,
 * certificates and policy, but in a process of its own: nothing of the daemon is
 * touched, and it need not run.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_step.h"
#include "admin/explain.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"
#include "edge/doctorfix.h"
#include "edge/doctorshared.h"
#include "edge/edge.h"
#include "edge/reach.h"
#include "net/dns.h"
#include "net/guard.h"
#include "net/srv.h"
#include "net/stream.h"
#include "policy/domain.h"

#define TARGETS_MAX	4	/* servers of a domain that are called */
#define ADDRESSES_MAX	4	/* of each */
#define ALL_MS		120000	/* after so long no further server is called */
#define WAIT_S		5
#define SOON_DAYS	30

struct target {
	char		 server[NET_DNS_NAME_MAX];
	uint16_t	 port;
	bool		 accept_cn;
	bool		 guarded;	/* its name is a stranger's: not every address will do */
};

struct doctor {
	struct ctl_steps	 steps;
	const char		*file;
	unsigned		 wait_ms;
	uint64_t		 until;
	char			 domain[DOMAIN_MAX], ours[DOMAIN_MAX];	/* ours "": we have none */
	struct edge		 edge;
	struct edge_loaded	 l;
	struct doctor_case	 c;
	struct net_loop		*loop;
	struct net_dns		*dns;
	struct net_guard	*guard;
	struct net_tls_lib	*lib;
	struct net_tls_ctx	*ctx;
	struct net_tls_lists	*lists;
	struct net_streams	*streams;
	struct net_peer		 own;		/* what we show */
	/* what DNS said of a record … */
	char			 record[NET_DNS_NAME_MAX * 2];
	struct net_dns_answer	 answer;
	struct net_srv		 srv[NET_DNS_SRV_MAX];
	struct net_dns_answer	 found;		/* … and about addresses */
	struct net_addr		 addrs[NET_DNS_ADDRS_MAX];
	/* what explain decided last */
	struct {
		enum policy_reason	 reason;
		char			 name[64], hop[32], server[NET_DNS_NAME_MAX + 8], sentence[1024];
	} decision;
	struct target		 targets[TARGETS_MAX];
	unsigned		 ntargets;
	/* whom the last call reached, for policy */
	struct doctor_answer	 call;
	char			 called[NET_DNS_NAME_MAX];
	char			 fix[DOCTOR_FIX_MAX];
};

static int
usage(FILE *out)
{
	fputs("Usage: sallyportctl doctor [OPTION]... DOMAIN\n"
	    "Find out why messages to and from a domain do not pass, and what to do about it:\n"
	    "its record in DNS, its server's addresses, connection, TLS with the edge's own\n"
	    "certificate, an OPTIONS, and what the policy decides. The edge need not run.\n\n"
	    "      --config FILE        the edge's configuration (" SYSCONFDIR "/edge.conf)\n"
	    "      --wait SECONDS       for each step, 1 to 60 (5)\n"
	    "      --json               print JSON\n"
	    "  -h, --help               print this\n\n"
	    "Exit status: 0 nothing failed, 1 something did, 64 misused, 78 bad configuration.\n", out);
	return out == stdout ? ctl_finish(EX_OK) : EX_USAGE;
}

/* ---- DNS ---- */

static void
answered(void *arg, const struct net_dns_answer *a)
{
	struct doctor *o = arg;

	o->answer = *a;
	if (a->nsrv != 0)
		memcpy(o->srv, a->srv, a->nsrv * sizeof(a->srv[0]));
	o->answer.srv = o->srv;
	net_loop_stop(o->loop);
}

static void
found(void *arg, const struct net_dns_answer *a)
{
	struct doctor *o = arg;

	o->found = *a;
	if (a->naddrs != 0)
		memcpy(o->addrs, a->addrs, a->naddrs * sizeof(a->addrs[0]));
	net_loop_stop(o->loop);
}

/* For explain(); each record is asked for once. */
static const struct net_dns_answer *
ask(void *arg, const char *record)
{
	struct doctor *o = arg;

	if (strcmp(o->record, record) != 0) {
		snprintf(o->record, sizeof(o->record), "%s", record);
		(void)net_dns_srv(o->dns, record, answered, o);
		net_loop_run(o->loop);
	}
	return &o->answer;
}

/* ---- policy ---- */

static void
keep(void *arg, struct span bytes)
{
	struct doctor *o = arg;
	struct span sentence;
	struct record r;

	if (!record_parse(&r, bytes) || !span_is(r.kind, "decision"))
		return;
	sentence = record_get_text(&r, "sentence");
	if (span_is_empty(sentence))
		sentence = record_get_text(&r, "because");
	snprintf(o->decision.name, sizeof(o->decision.name), "%.*s", SPAN_FMT(record_get_text(&r, "reason")));
	snprintf(o->decision.hop, sizeof(o->decision.hop), "%.*s", SPAN_FMT(record_get_text(&r, "next-hop")));
	snprintf(o->decision.server, sizeof(o->decision.server), "%.*s", SPAN_FMT(record_get_text(&r, "server")));
	snprintf(o->decision.sentence, sizeof(o->decision.sentence), "%.*s", SPAN_FMT(span_head(sentence, 1000)));
	for (int i = 0; i < POLICY_NREASONS; i++)
		if (strcmp(policy_reason_name((enum policy_reason)i), o->decision.name) == 0)
			o->decision.reason = (enum policy_reason)i;
}

static const struct net_peer *
called(void *arg, const char *name)
{
	struct doctor *o = arg;

	return strcmp(o->called, name) == 0 && o->call.secured ? &o->call.peer : NULL;
}

/* A message from us to the domain, or from it to us. */
static void
decide(struct doctor *o, bool outward)
{
	char from[DOMAIN_MAX + 16], to[DOMAIN_MAX + 16], supposed[DOMAIN_MAX + 16];
	struct explain_question q = {
		.rules = o->l.rules, .side = outward ? POLICY_SIDE_INNER : POLICY_SIDE_OUTER, .from = from, .to = to,
		.method = "MESSAGE", .inner_name = "edge.invalid", .door_partners = true,
		.dns = ask, .dns_arg = o, .called = called, .called_arg = o
	};
	const char *why = NULL;

	snprintf(from, sizeof(from), "sip:somebody@%s", outward ? o->ours : o->domain);
	snprintf(to, sizeof(to), "sip:somebody@%s", outward ? o->domain : o->ours);
	if (!outward && o->call.secured) {
		q.peer = &o->call.peer;
	} else if (!outward) {	/* then one that it would have */
		snprintf(supposed, sizeof(supposed), "sip.%s", o->domain);
		q.names[0] = span_str(o->c.server[0] != '\0' ? o->c.server : supposed);
		q.nnames = 1;
	}
	memset(&o->decision, 0, sizeof(o->decision));
	o->decision.reason = POLICY_REASON_UNDECIDED;
	if (explain(&q, keep, o, &why) == EXPLAIN_NO_MESSAGE && why != NULL)
		snprintf(o->decision.sentence, sizeof(o->decision.sentence), "%s", why);
}

static void
tell_policy(struct doctor *o, bool outward)
{
	const char *step = outward ? "policy-out" : "policy-in";

	if (o->ours[0] == '\0') {
		ctl_step(&o->steps, CTL_WARN, step, "See sallyportctl explain for what passes between two domains.",
		    "not judged: this edge has no domain of its own");
		return;
	}
	decide(o, outward);
	if (o->decision.reason == POLICY_REASON_ALLOWED)
		ctl_step(&o->steps, CTL_OK, step, NULL, "a message %s %s passes%s", outward ? "to" : "from", o->domain,
		    !outward && !o->call.secured ? ", if its server proves its name" : "");
	else
		ctl_step(&o->steps, CTL_FAIL, step, doctor_fix_policy(&o->c, o->decision.reason, outward, o->fix),
		    "a message %s %s is refused (%s): %s", outward ? "to" : "from", o->domain, o->decision.name, o->decision.sentence);
}

/* ---- who we are ---- */

static void
look_at_own(struct doctor *o)
{
	const struct edge_door_conf *d = edge_outer(o->l.config, o->c.door);
	const char *file = d->dial_certificate != NULL ? d->dial_certificate : d->certificate;
	long long days = (long long)((o->own.not_after - clock_wall()) / 86400);

	if (o->own.not_after <= clock_wall()) {
		ctl_step(&o->steps, CTL_FAIL, "own-certificate", "Renew it: put the new chain and key into the files that edge.conf names.",
		    "%s has expired; every partner refuses it", file);
	} else if ((o->own.usage & NET_USAGE_CLIENT) == 0) {
		ctl_step(&o->steps, CTL_WARN, "own-certificate", "If partners refuse it, get one whose extended key usage has clientAuth, too, and "
		    "name it as dial_certificate.", "%s is made for servers only; some partners want clientAuth of who calls them", file);
	} else if (days < SOON_DAYS) {
		ctl_step(&o->steps, CTL_WARN, "own-certificate", "Renew it soon.", "%s of %s ends in %lld days", file, d->name, days);
	} else {
		ctl_step(&o->steps, CTL_OK, "own-certificate", NULL, "we are %s, for %lld more days; issued by %s", d->name, days, o->own.issuer);
	}
}

/* ---- where to ---- */

static void
add_target(struct doctor *o, const char *server, uint16_t port, bool guarded)
{
	struct target *t = &o->targets[o->ntargets];

	if (o->ntargets == TARGETS_MAX)
		return;
	o->ntargets++;
	snprintf(t->server, sizeof(t->server), "%s", server);
	t->port = port;
	t->guarded = guarded;
	for (size_t i = 0; !guarded && i < policy_partner_count(o->l.rules); i++)
		if (strcmp(policy_partner_get(o->l.rules, i)->server, server) == 0)
			t->accept_cn = policy_partner_get(o->l.rules, i)->accept_cn;
}

/* Does policy name its server? What is paused or blocked is named all the same. */
static bool
take_configured(struct doctor *o)
{
	char *colon = strrchr(o->decision.server, ':');
	uint64_t port = 5061;

	if (strcmp(o->decision.hop, "partner") == 0 && colon != NULL) {
		(void)span_uint(span_str(colon + 1), 65535, &port);
		*colon = '\0';
		add_target(o, o->decision.server, (uint16_t)port, false);
	}
	for (size_t i = 0; o->ntargets == 0 && i < policy_partner_count(o->l.rules); i++) {
		const struct policy_partner *p = policy_partner_get(o->l.rules, i);

		if (policy_partner_class(o->l.rules, i) == POLICY_CLASS_DIRECT &&
		    policy_may_vouch_for(o->l.rules, i, o->domain, strlen(o->domain)))
			add_target(o, p->server, p->port, false);
	}
	if (o->ntargets != 0)
		ctl_step(&o->steps, CTL_OK, "dns-srv", NULL, "not needed: the policy names its server, %s port %u", o->targets[0].server,
		    o->targets[0].port);
	return o->ntargets != 0;
}

static uint32_t
draw(void *arg, uint32_t bound)
{
	(void)arg;
	(void)bound;
	return 0;
}

static void
take_srv(struct doctor *o)
{
	unsigned n = o->answer.nsrv;

	net_srv_order(o->srv, n, draw, NULL);
	for (unsigned i = 0; i < n; i++) {
		const struct net_srv *s = &o->srv[i];

		if (s->target[0] == '\0') {
			ctl_step(&o->steps, CTL_FAIL, "dns-srv", doctor_fix_policy(&o->c, POLICY_REASON_SRV_MISSING, true, o->fix),
			    "%s says that the domain has no such service", o->record);
		} else if (!policy_domain_within(span_str(s->target), span_str(o->domain))) {
			ctl_step(&o->steps, CTL_FAIL, "dns-srv", doctor_fix_policy(&o->c, POLICY_REASON_SRV_OUTSIDE_DOMAIN, true, o->fix),
			    "%s names %s, which is not in %s: it is not called", o->record, s->target, o->domain);
		} else if (s->port < 1024 && s->port != 443) {
			ctl_step(&o->steps, CTL_FAIL, "dns-srv", doctor_fix_policy(&o->c, POLICY_REASON_SRV_PORT, true, o->fix),
			    "%s names port %u of %s, which no partner's server has: it is not called", o->record, s->port, s->target);
		} else if (o->ntargets < TARGETS_MAX) {
			ctl_step(&o->steps, CTL_OK, "dns-srv", NULL, "%s names %s port %u (priority %u, weight %u)", o->record, s->target,
			    s->port, s->priority, s->weight);
			add_target(o, s->target, s->port, true);
		} else {
			ctl_step(&o->steps, CTL_WARN, "dns-srv", NULL, "%s names %s port %u, too; it is not looked at, since there are so many",
			    o->record, s->target, s->port);
		}
	}
}

static void
find_targets(struct doctor *o)
{
	char usual[sizeof(o->record)];

	if (o->ours[0] != '\0')
		decide(o, true);
	if (take_configured(o))
		return;
	snprintf(usual, sizeof(usual), "_sipfederationtls._tcp.%s", o->domain);
	if (o->record[0] == '\0')	/* policy did not want to know */
		(void)ask(o, usual);
	if (o->answer.status == NET_DNS_FAILED)
		ctl_step(&o->steps, CTL_FAIL, "dns-srv", doctor_fix_policy(&o->c, POLICY_REASON_SRV_FAILED, true, o->fix),
		    "no usable answer about %s", o->record);
	else if (o->answer.status == NET_DNS_NONE || o->answer.nsrv == 0)
		ctl_step(&o->steps, CTL_FAIL, "dns-srv", doctor_fix_policy(&o->c, POLICY_REASON_SRV_MISSING, true, o->fix),
		    "there is no record %s", o->record);
	else
		take_srv(o);
}

/* ---- one server ---- */

/* Those addresses of the target that may be connected to. */
static unsigned
find_addresses(struct doctor *o, const struct target *t, struct net_addr out[ADDRESSES_MAX])
{
	unsigned n = 0;

	(void)net_dns_addresses(o->dns, t->server, found, o);
	net_loop_run(o->loop);
	if (o->found.status != NET_DNS_FOUND || o->found.naddrs == 0) {
		snprintf(o->fix, sizeof(o->fix), o->found.status == NET_DNS_FAILED ?
		    "Look whether the resolvers (dns.servers of %s) answer, and whether the name servers of %s do." :
		    "Ask for an A or AAAA record of that name (this machine asks the resolvers of %s); its domain is %s.", o->file, o->domain);
		ctl_step(&o->steps, CTL_FAIL, "address", o->fix, "%s %s", t->server, o->found.status == NET_DNS_FAILED ?
		    "could not be looked up" : "has no address");
		return 0;
	}
	for (unsigned i = 0; i < o->found.naddrs && n < ADDRESSES_MAX; i++) {
		const char *why = t->guarded ? net_guard_why(o->guard, &o->addrs[i]) : NULL;
		char text[NET_ADDR_TEXT];

		net_addr_host(&o->addrs[i], text);
		if (why != NULL) {
			snprintf(o->fix, sizeof(o->fix), "Ask the administrator of %s to correct the address; if it is right, as in a private network, list "
			    "that network in discovery.networks of %s or name the server under partners.", o->domain, o->file);
			ctl_step(&o->steps, CTL_FAIL, "address", o->fix, "%s has the address %s, where a stranger's name must not lead: %s",
			    t->server, text, why);
			continue;
		}
		ctl_step(&o->steps, CTL_OK, "address", NULL, "%s has the address %s", t->server, text);
		out[n] = o->addrs[i];
		net_addr_set_port(&out[n++], t->port);
	}
	return n;
}

/* The first address that takes connections. */
static const struct net_addr *
connect_to(struct doctor *o, const struct net_addr *addrs, unsigned n)
{
	const struct net_addr *good = NULL;

	for (unsigned i = 0; i < n; i++) {
		char text[NET_ADDR_TEXT];
		int error = doctor_connect(&addrs[i], o->wait_ms);

		net_addr_format(&addrs[i], text);
		if (error == 0)
			ctl_step(&o->steps, CTL_OK, "connect", NULL, "%s takes connections", text);
		else
			ctl_step(&o->steps, CTL_FAIL, "connect", doctor_fix_connect(&o->c, text, error, o->fix), "%s: %s", text,
			    error == ETIMEDOUT ? "no answer" : strerror(error));
		good = good == NULL && error == 0 ? &addrs[i] : good;
	}
	return good;
}

static void
tell_tls(struct doctor *o, const struct doctor_answer *a)
{
	long long days = (long long)((a->peer.not_after - clock_wall()) / 86400);

	if (a->peer.unverified)
		ctl_step(&o->steps, CTL_WARN, "tls", "Whether that key counts, policy decides below.",
		    "%s, and of its certificate only the key is known: it is pinned", a->peer.protocol);
	else if (days < SOON_DAYS)
		ctl_step(&o->steps, CTL_WARN, "tls", "Tell its administrator, if it does not renew by itself.",
		    "%s; its certificate ends in %lld days, issued by %s", a->peer.protocol, days, a->peer.issuer);
	else
		ctl_step(&o->steps, CTL_OK, "tls", NULL, "%s; its certificate proves %s for %lld more days, issued by %s", a->peer.protocol,
		    o->called, days, a->peer.issuer);
}

static void
tell_answer(struct doctor *o, const struct doctor_answer *a)
{
	const char *fix = doctor_fix_status(&o->c, a, o->fix);

	if (a->nonsense != NULL)
		ctl_step(&o->steps, CTL_FAIL, "options", "What listens there is no SIP server, or a broken one: ask its administrator which "
		    "host and port the edge for partners has.", "what it sends is not SIP: %s", a->nonsense);
	else if (a->late)
		ctl_step(&o->steps, CTL_FAIL, "options", "Ask its administrator whether the edge is overloaded or drops what it does not know; "
		    "messages to it would time out.", "%s did not answer within %u seconds", o->called, o->wait_ms / 1000);
	else if (a->status == 0)
		ctl_step(&o->steps, CTL_FAIL, strstr(a->detail != NULL ? a->detail : "", "certificate") != NULL ? "tls-ours" : "options",
		    doctor_fix_tls(&o->c, a, o->fix), "%s hung up without an answer%s%s", o->called, a->detail != NULL ? ": " : "",
		    a->detail != NULL ? a->detail : "");
	else
		ctl_step(&o->steps, fix == NULL ? CTL_OK : a->status == 403 || a->status == 401 || a->status == 407 ? CTL_FAIL : CTL_WARN, "options",
		    fix, "%s answers after %u ms: %u %s%s%s%s%s", o->called, a->ms, a->status, a->phrase, a->server[0] != '\0' ? "; it is " : "",
		    a->server, a->diagnostics[0] != '\0' ? "; it says " : "", a->diagnostics);
}

/* An OPTIONS to the domain itself (RFC 3261 11); its Call-ID is in it. */
static struct span
make_request(const struct doctor *o, struct strbuf *sb, struct span *call_id)
{
	const struct edge_door_conf *d = edge_outer(o->l.config, o->c.door);
	const char *us = o->ours[0] != '\0' ? o->ours : d->name;
	unsigned char random[24];
	size_t at;

	mem_random(random, sizeof(random));
	strbuf_printf(sb, "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/TLS %s:%u;branch=z9hG4bK", o->domain, d->name, net_addr_port(&d->addr));
	strbuf_hex(sb, random, 8, false);
	strbuf_printf(sb, "\r\nMax-Forwards: 70\r\nFrom: <sip:sallyport-doctor@%s>;tag=", us);
	strbuf_hex(sb, random + 8, 6, false);
	strbuf_printf(sb, "\r\nTo: <sip:%s>\r\nCall-ID: ", o->domain);
	at = sb->len;
	strbuf_hex(sb, random + 14, 10, false);
	strbuf_printf(sb, "@%s", d->name);
	*call_id = span_of(sb->p + at, sb->len - at);
	strbuf_puts(sb, "\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n");
	return strbuf_span_of(sb);
}

static void
look_at_server(struct doctor *o, const struct target *t)
{
	struct net_addr addrs[ADDRESSES_MAX];
	char request[2048];
	struct doctor_question q = { .name = t->server, .accept_cn = t->accept_cn, .handshake_ms = o->wait_ms, .answer_ms = o->wait_ms };
	const struct net_addr *to;
	struct strbuf sb;
	bool first = !o->call.secured;

	if (clock_ms() > o->until) {
		ctl_step(&o->steps, CTL_WARN, "address", "Ask again, with a shorter --wait.", "%s is not looked at: there is no time left", t->server);
		return;
	}
	if ((to = connect_to(o, addrs, find_addresses(o, t, addrs))) == NULL)
		return;
	strbuf_init(&sb, request, sizeof(request));
	q.to = *to;
	q.request = make_request(o, &sb, &q.call_id);
	if (first) {
		doctor_answer_fini(&o->call);
		snprintf(o->called, sizeof(o->called), "%s", t->server);
	}
	o->c.server = t->server;
	{
		struct doctor_answer a;

		doctor_call(o->loop, o->streams, o->ctx, &q, &a);
		if (a.secured) {
			snprintf(o->called, sizeof(o->called), "%s", t->server);
			tell_tls(o, &a);
			tell_answer(o, &a);
		} else {
			ctl_step(&o->steps, CTL_FAIL, "tls", doctor_fix_tls(&o->c, &a, o->fix), "%s: %s%s%s", t->server, policy_reason_name(a.why),
			    a.detail != NULL ? ": " : "", a.detail != NULL ? a.detail : "");
		}
		if (first)
			o->call = a;
		else
			doctor_answer_fini(&a);
	}
}

/* ---- all of it ---- */

static bool
load(struct doctor *o)
{
	struct conf_errors *errs = conf_errors_new();
	bool good = edge_load(&o->edge, o->file, &o->l, errs, true), below;
	struct span domain;
	size_t at = 0;

	if (!good) {
		conf_errors_print(errs, stderr);
		fprintf(stderr, "sallyportctl: doctor: %s has to be in order first%s\n", o->file,
		    geteuid() != 0 ? "; whoever asks must be able to read the edge's key" : "");
	}
	while (good && policy_next_internal_domain(o->l.rules, &at, &domain, &below))
		if (!below && (o->ours[0] == '\0' || strcmp(domain.p, o->ours) < 0))
			snprintf(o->ours, sizeof(o->ours), "%.*s", SPAN_FMT(domain));
	conf_errors_free(errs);
	return good;
}

static bool
prepare(struct doctor *o)
{
	size_t door = edge_partner_door(o->l.config);
	struct net_tls_material *m = o->l.material[EDGE_DIAL(door)] != NULL ? o->l.material[EDGE_DIAL(door)] : o->l.material[door];

	o->c = (struct doctor_case){ o->l.config, door, o->domain, "", o->own.issuer };
	if ((o->loop = net_loop_new()) == NULL || (o->dns = edge_dns_new(o->loop, o->l.config)) == NULL)
		return false;
	o->guard = edge_guard_new(o->l.config);
	o->lib = net_tls_lib_new();
	o->streams = net_streams_new(o->loop);
	o->ctx = net_tls_client(o->lib, m);
	o->lists = edge_lists_new(o->l.rules, true);
	(void)net_tls_material_leaf(m, &o->own);
	if (o->ctx != NULL)
		net_tls_ctx_lists(o->ctx, o->lists);
	return o->ctx != NULL;
}

static void
clean_up(struct doctor *o)
{
	doctor_answer_fini(&o->call);
	net_peer_fini(&o->own);
	net_dns_free(o->dns);
	net_guard_free(o->guard);
	if (o->streams != NULL)
		net_streams_free(o->streams);
	net_tls_ctx_unref(o->ctx);
	net_tls_lists_unref(o->lists);
	if (o->lib != NULL)
		net_tls_lib_free(o->lib);
	net_loop_free(o->loop);
	edge_loaded_fini(&o->l);
	free(o);
}

static int
examine(struct doctor *o)
{
	o->until = clock_ms() + ALL_MS;
	if (policy_is_internal_domain(o->l.rules, o->domain, strlen(o->domain))) {
		ctl_step(&o->steps, CTL_FAIL, "domain", doctor_fix_policy(&o->c, POLICY_REASON_LOOPS_BACK, true, o->fix),
		    "%s is one of our own domains", o->domain);
		return ctl_steps_end(&o->steps);
	}
	doctor_shared(&o->steps, o->l.config);
	look_at_own(o);
	find_targets(o);
	for (unsigned i = 0; i < o->ntargets; i++) {
		if (i == 0)
			o->c.server = o->targets[0].server;
		look_at_server(o, &o->targets[i]);
	}
	o->c.server = o->call.secured ? o->called : o->ntargets != 0 ? o->targets[0].server : "";
	tell_policy(o, true);
	tell_policy(o, false);
	return ctl_steps_end(&o->steps);
}

/* -1: go on. */
static int
read_options(struct doctor *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' }, { "wait", required_argument, NULL, 'w' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	struct span domain;
	uint64_t seconds;
	bool is_ip = false;
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'j')
			o->steps.json = true;
		else if (c == 'c')
			o->file = optarg;
		else if (c == 'w' && span_uint(span_str(optarg), 60, &seconds) && seconds != 0)
			o->wait_ms = (unsigned)seconds * 1000;
		else if (c == 'w')
			return ctl_misused("doctor: --wait expects 1 to 60 seconds, not", optarg);
		else
			return ctl_misused(c == ':' ? "doctor: a value is missing for" : "doctor does not know", argv[optind - 1]);
	}
	if (optind == argc)
		return ctl_misused("doctor expects a DOMAIN", NULL);
	if (optind + 1 < argc)
		return ctl_misused("doctor takes one domain, not also", argv[optind + 1]);
	if (policy_domain_canon(span_str(argv[optind]), o->domain, &domain, &is_ip) != SP_OK || is_ip) {
		fputs("sallyportctl: doctor: that is no domain\n", stderr);
		return EX_USAGE;
	}
	o->domain[domain.n] = '\0';
	return -1;
}

int
ctl_doctor(int argc, char **argv)
{
	struct doctor *o = xcalloc(1, sizeof(*o));
	int status;

	o->file = SYSCONFDIR "/edge.conf";
	o->wait_ms = WAIT_S * 1000;
	hash_seed();
	if ((status = read_options(o, argc, argv)) == -1) {
		if (!load(o))
			status = EX_CONFIG;
		else if (!prepare(o))
			status = EX_OSERR;
		else
			status = examine(o);
	}
	clean_up(o);
	return status;
}
