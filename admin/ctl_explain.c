/*
 * admin/ctl_explain.c - sallyportctl explain: what would become of a message, and why.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/answers.h"
#include "admin/confset.h"
#include "admin/ctl.h"
#include "admin/ctl_ask.h"
#include "admin/ctl_portable.h"
#include "admin/ctlclient.h"
#include "admin/explain.h"
#include "admin/policyfile.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"
#include "net/loop.h"
#include "policy/domain.h"
#include "policy/rules.h"

#define MESSAGE_MAX	65536	/* bytes of a captured message, as limits.message_size has it */
#define SERVERS_MAX	8
#define DNS_TIMEOUT_MS	2000

enum { EXIT_REFUSED = 1 };

enum dns_mode { DNS_NONE = 0, DNS_LIVE, DNS_ANSWERS };

/* What a resolver has said. */
struct heard {
	struct net_dns_answer	 answer;
	struct net_srv		 srv[NET_DNS_SRV_MAX];
};

/* A record, kept. */
struct told {
	char	*bytes;
	size_t	 n;
};

struct options {
	struct explain_question	 q;
	const char		*policy, *message, *peer_cert, *hop_cert, *trust, *crl, *answers;
	const char		*servers[SERVERS_MAX + 1];
	unsigned		 nservers;
	char			 names[EXPLAIN_NAMES_MAX][DOMAIN_MAX];
	enum dns_mode		 dns;
	const char		*socket, *edge_conf;
	bool			 json, direction_given, door_given, no_edge;
	struct ctlclient	*client;	/* NULL: no edge is asked */
	/* on the way */
	struct net_tls_lists	*lists;
	struct net_peer		 peer, hop;
	struct answers		*canned;
	struct net_loop		*loop;
	struct net_dns		*resolver;
	struct heard		 live;
	bool			 answered;
	char			*bytes;
	int			 status;	/* of what went wrong within a callback */
	struct told		*told;
	size_t			 ntold;
};

static int
usage(FILE *out)
{
	fputs("Usage: sallyportctl explain [OPTION]... --from WHO --to WHO\n"
	    "       sallyportctl explain [OPTION]... --message FILE\n"
	    "Tell what would become of a message, and why, without sending any.\n\n"
	    "      --policy FILE        policy (" SYSCONFDIR "/policy.conf)\n"
	    "      --message FILE       a captured message, as it came; - is standard input\n"
	    "      --from, --to WHO     domain, address or URI of sender and addressee\n"
	    "      --request-uri WHO    where it is addressed to, if not to --to\n"
	    "      --method METHOD      MESSAGE if left out\n"
	    "      --in-dialog          it has a To tag\n"
	    "      --direction in|out   by the outer door (in) or the inner one\n"
	    "      --door WHOM          the outer door admits users, partners or both\n"
	    "      --peer-name NAME     who sends it proves this name; may be repeated\n"
	    "      --peer-cert FILE     … or shows this certificate (PEM, with its chain)\n"
	    "      --hop-cert FILE      the server that would be called shows this one\n"
	    "      --trust FILE         authorities, as a door's trust\n"
	    "      --crl PATH           revocation lists, as a door's crl\n"
	    "      --asserted LEVEL     what the peer says of its user: verified or unverified\n"
	    "      --route WHAT         none, ours, forged or foreign\n"
	    "      --flow WHAT          our Route leads to a user, branch, user-gone\n"
	    "      --discovered         of a response: its request went where DNS said\n"
	    "      --asker CLASS        of a response from inside: who had asked\n"
	    "      --dns none           DNS is not asked (default)\n"
	    "      --dns live           DNS is asked\n"
	    "      --dns answers FILE   its answers stand in a file\n"
	    "      --dns-server ADDRESS resolver to ask, if not the system's\n"
	    "      --edge-name NAME     our name on the inside, as marks have it\n"
	    "      --socket PATH        of the running edge, which is asked what only it knows\n"
	    "      --no-edge            it is not asked\n"
	    "      --edge-conf FILE     its configuration, if it does not run\n"
	    "      --json               one JSON object\n"
	    "  -h, --help               this help\n\n"
	    "Exit status: 0 allowed, 1 refused, 64 misused, 65 wrong data, 66 no such file, 78 bad policy.\n", out);
	return out == stdout ? ctl_finish(EX_OK) : EX_USAGE;
}

static int
wrong(int status, const char *what, const char *arg)
{
	fprintf(stderr, "sallyportctl: explain: %s%s%s\n", arg != NULL ? arg : "", arg != NULL ? ": " : "", what);
	return status;
}

/* ---- options ---- */

enum {
	OPT_POLICY = 256, OPT_MESSAGE, OPT_FROM, OPT_TO, OPT_RURI, OPT_METHOD, OPT_DIALOG, OPT_DIRECTION, OPT_DOOR,
	OPT_PEER_NAME, OPT_PEER_CERT, OPT_HOP_CERT, OPT_TRUST, OPT_CRL, OPT_ASSERTED, OPT_ROUTE, OPT_FLOW, OPT_DISCOVERED,
	OPT_ASKER, OPT_SOCKET, OPT_NO_EDGE, OPT_EDGE_CONF, OPT_DNS, OPT_DNS_SERVER, OPT_EDGE_NAME, OPT_JSON
};

static const struct option longs[] = {
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "message", required_argument, NULL, OPT_MESSAGE },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "to", required_argument, NULL, OPT_TO },
	{ "request-uri", required_argument, NULL, OPT_RURI },
	{ "method", required_argument, NULL, OPT_METHOD },
	{ "in-dialog", no_argument, NULL, OPT_DIALOG },
	{ "direction", required_argument, NULL, OPT_DIRECTION },
	{ "door", required_argument, NULL, OPT_DOOR },
	{ "peer-name", required_argument, NULL, OPT_PEER_NAME },
	{ "peer-cert", required_argument, NULL, OPT_PEER_CERT },
	{ "hop-cert", required_argument, NULL, OPT_HOP_CERT },
	{ "trust", required_argument, NULL, OPT_TRUST },
	{ "crl", required_argument, NULL, OPT_CRL },
	{ "asserted", required_argument, NULL, OPT_ASSERTED },
	{ "route", required_argument, NULL, OPT_ROUTE },
	{ "flow", required_argument, NULL, OPT_FLOW },
	{ "discovered", no_argument, NULL, OPT_DISCOVERED },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "no-edge", no_argument, NULL, OPT_NO_EDGE },
	{ "edge-conf", required_argument, NULL, OPT_EDGE_CONF },
	{ "asker", required_argument, NULL, OPT_ASKER },
	{ "dns", required_argument, NULL, OPT_DNS },
	{ "dns-server", required_argument, NULL, OPT_DNS_SERVER },
	{ "edge-name", required_argument, NULL, OPT_EDGE_NAME },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

/* The number of a word in a list that ends in NULL; -1: it is none of them. */
static int
word_of(const char *s, const char *const *words)
{
	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(s, words[i]) == 0)
			return i;
	return -1;
}

static bool
take_name(struct options *o, const char *s)
{
	struct span name;
	bool is_ip;

	if (o->q.nnames == EXPLAIN_NAMES_MAX ||
	    policy_domain_canon(span_str(s), o->names[o->q.nnames], &name, &is_ip) != SP_OK || is_ip)
		return false;
	o->q.names[o->q.nnames++] = name;
	return true;
}

static bool
take_door(struct options *o, const char *s)
{
	static const char *const doors[] = { "users", "partners", "both", NULL };
	int i = word_of(s, doors);

	o->q.door_users = i != 1;
	o->q.door_partners = i != 0;
	o->door_given = true;
	return i >= 0;
}

static bool
take_direction(struct options *o, const char *s)
{
	static const char *const directions[] = { "in", "out", NULL };
	int i = word_of(s, directions);

	o->q.side = i == 1 ? POLICY_SIDE_INNER : POLICY_SIDE_OUTER;
	o->direction_given = true;
	return i >= 0;
}

static bool
take_asserted(struct options *o, const char *s)
{
	static const char *const levels[] = { "nothing", "verified", "unverified", NULL };
	int i = word_of(s, levels);

	o->q.assertion = (enum policy_assertion)(i > 0 ? i : 0);
	return i >= 0;
}

static bool
take_route(struct options *o, const char *s)
{
	for (int i = POLICY_ROUTE_NONE; i <= POLICY_ROUTE_FOREIGN; i++) {
		if (strcmp(s, policy_route_name((enum policy_route)i)) == 0) {
			o->q.route = (enum policy_route)i;
			o->q.has_route = true;
			return true;
		}
	}
	return false;
}

static bool
take_flow(struct options *o, const char *s)
{
	for (int i = POLICY_FLOW_NONE; i <= POLICY_FLOW_PEER_GONE; i++) {
		if (strcmp(s, policy_flow_name((enum policy_flow)i)) == 0) {
			o->q.flow = (enum policy_flow)i;
			return true;
		}
	}
	return false;
}

static bool
take_asker(struct options *o, const char *s)
{
	for (int i = POLICY_CLASS_REMOTE_USER; i < POLICY_NCLASSES; i++) {
		if (strcmp(s, policy_class_name((enum policy_class)i)) == 0) {
			o->q.asker = (enum policy_class)i;
			return true;
		}
	}
	return false;
}

/* "answers" takes the next word of the line as well. */
static bool
take_dns(struct options *o, const char *s, int argc, char **argv)
{
	static const char *const modes[] = { "none", "live", "answers", NULL };
	int i = word_of(s, modes);

	if (i < 0)
		return false;
	o->dns = (enum dns_mode)i;
	if (o->dns != DNS_ANSWERS)
		return true;
	if (optind >= argc)
		return false;
	o->answers = argv[optind++];
	return true;
}

static bool
take_option(struct options *o, int c, int argc, char **argv)
{
	switch (c) {
	case OPT_POLICY:
		o->policy = optarg;
		return true;
	case OPT_MESSAGE:
		o->message = optarg;
		return true;
	case OPT_FROM:
		o->q.from = optarg;
		return true;
	case OPT_TO:
		o->q.to = optarg;
		return true;
	case OPT_RURI:
		o->q.ruri = optarg;
		return true;
	case OPT_METHOD:
		o->q.method = optarg;
		return optarg[strspn(optarg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~")] == '\0' &&
		    optarg[0] != '\0' && strlen(optarg) < 64;
	case OPT_DIALOG:
		o->q.in_dialog = true;
		return true;
	case OPT_DIRECTION:
		return take_direction(o, optarg);
	case OPT_DOOR:
		return take_door(o, optarg);
	case OPT_PEER_NAME:
		return take_name(o, optarg);
	case OPT_PEER_CERT:
		o->peer_cert = optarg;
		return true;
	case OPT_HOP_CERT:
		o->hop_cert = optarg;
		return true;
	case OPT_TRUST:
		o->trust = optarg;
		return true;
	case OPT_CRL:
		o->crl = optarg;
		return true;
	case OPT_ASSERTED:
		return take_asserted(o, optarg);
	case OPT_ROUTE:
		return take_route(o, optarg);
	case OPT_FLOW:
		return take_flow(o, optarg);
	case OPT_DISCOVERED:
		o->q.discovered = true;
		return true;
	case OPT_ASKER:
		return take_asker(o, optarg);
	case OPT_SOCKET:
		o->socket = optarg;
		return true;
	case OPT_NO_EDGE:
		o->no_edge = true;
		return true;
	case OPT_EDGE_CONF:
		o->edge_conf = optarg;
		return true;
	case OPT_DNS:
		return take_dns(o, optarg, argc, argv);
	case OPT_DNS_SERVER:
		if (o->nservers == SERVERS_MAX)
			return false;
		o->servers[o->nservers++] = optarg;
		return true;
	case OPT_EDGE_NAME:
		o->q.inner_name = optarg;
		return strlen(optarg) < DOMAIN_MAX;
	default:
		o->json = true;
		return true;
	}
}

static const char *
option_name(int c)
{
	for (size_t i = 0; longs[i].name != NULL; i++)
		if (longs[i].val == c)
			return longs[i].name;
	return "?";
}

/* EX_OK: go on; -1: help was given. */
static int
read_options(struct options *o, int argc, char **argv)
{
	int c;

	optind = 1;
	argv[0] = (char *)(uintptr_t)"sallyportctl explain";	/* getopt_long() begins its complaints with it */
	while ((c = getopt_long(argc, argv, "+h", longs, NULL)) != -1) {
		if (c == 'h')
			return -1;
		if (c == '?')
			return EX_USAGE;	/* getopt has said it */
		if (!take_option(o, c, argc, argv)) {
			fprintf(stderr, "sallyportctl: explain: --%s does not take '%s'\n", option_name(c), optarg);
			return EX_USAGE;
		}
	}
	if (optind < argc)
		return ctl_misused("explain does not know", argv[optind]);
	if (o->message == NULL && (o->q.from == NULL || o->q.to == NULL))
		return ctl_misused("explain needs --from and --to, or --message", NULL);
	if (o->message != NULL && (o->q.from != NULL || o->q.to != NULL || o->q.ruri != NULL || o->q.in_dialog))
		return ctl_misused("explain: what a captured message says is not said by options too", NULL);
	if (o->peer_cert != NULL && o->q.nnames != 0)
		return ctl_misused("explain: --peer-cert and --peer-name are two ways to say the same", NULL);
	if (o->door_given && o->q.side == POLICY_SIDE_INNER)
		return ctl_misused("explain: --door is about the outer door", NULL);
	if (o->nservers != 0 && o->dns != DNS_LIVE)
		return ctl_misused("explain: --dns-server goes with --dns live", NULL);
	return EX_OK;
}

/* ---- files ---- */

/* The whole file, the caller's to free whatever is returned; "-" is standard input. */
static int
read_file(const char *path, size_t max, char **bytes, size_t *n)
{
	bool piped = strcmp(path, "-") == 0;
	FILE *f = piped ? stdin : fopen(path, "rb");
	char text[48];
	int status = EX_OK;

	*bytes = NULL;
	*n = 0;
	if (f == NULL)
		return wrong(EX_NOINPUT, strerror(errno), path);
	*bytes = xmalloc(max + 1);
	*n = fread(*bytes, 1, max + 1, f);
	snprintf(text, sizeof(text), "is larger than %zu bytes", max);
	if (ferror(f))
		status = wrong(EX_IOERR, strerror(errno), path);
	else if (*n > max)
		status = wrong(EX_DATAERR, text, path);
	if (!piped)
		fclose(f);
	return status;
}

static int
read_message(struct options *o)
{
	size_t n;
	int status = read_file(o->message, MESSAGE_MAX, &o->bytes, &n);

	if (status == EX_OK && n == 0)
		status = wrong(EX_DATAERR, "is empty", o->message);
	o->q.message = span_of(o->bytes, n);
	return status;
}

static void
wrong_line(void *arg, unsigned line)
{
	const struct options *o = arg;

	fprintf(stderr, "%s:%u: expects \"RECORD none\", \"RECORD failed\" or \"RECORD PRIORITY WEIGHT PORT TARGET\"\n",
	    o->answers, line);
}

static int
read_answers(struct options *o)
{
	char *bytes;
	size_t n;
	int status = read_file(o->answers, ANSWERS_BYTES, &bytes, &n);

	if (status == EX_OK && (o->canned = answers_read(span_of(bytes, n), wrong_line, o)) == NULL)
		status = EX_DATAERR;
	free(bytes);
	return status;
}

/* ---- DNS ---- */

static void
answered(void *arg, const struct net_dns_answer *a)
{
	struct options *o = arg;

	o->live.answer = *a;
	if (a->nsrv != 0)
		memcpy(o->live.srv, a->srv, a->nsrv * sizeof(a->srv[0]));
	o->live.answer.srv = o->live.srv;
	o->answered = true;
	net_loop_stop(o->loop);
}

static const struct net_dns_answer *
ask(void *arg, const char *record)
{
	struct options *o = arg;

	if (o->dns == DNS_ANSWERS)
		return answers_get(o->canned, record);
	o->answered = false;
	(void)net_dns_srv(o->resolver, record, answered, o);
	net_loop_run(o->loop);
	return &o->live.answer;
}

static int
prepare_dns(struct options *o)
{
	struct net_dns_config c = { .servers = o->nservers != 0 ? o->servers : NULL, .timeout_ms = DNS_TIMEOUT_MS };

	if (o->dns == DNS_NONE)
		return EX_OK;
	o->q.dns = ask;
	o->q.dns_arg = o;
	if (o->dns == DNS_ANSWERS)
		return read_answers(o);
	o->loop = net_loop_new();
	if ((o->resolver = net_dns_new(o->loop, &c)) == NULL)
		return wrong(EX_USAGE, "is no list of resolvers: an IP address, or address and port", o->servers[0]);
	return EX_OK;
}

/* ---- certificates ---- */

static void
report(void *arg, bool fatal, const char *text)
{
	(void)arg;
	fprintf(stderr, "sallyportctl: explain: %s%s\n", fatal ? "" : "warning: ", text);
}

static int
examine(struct options *o, struct net_peer *peer, const char *file, const char *called, bool cn)
{
	struct net_tls_files files = { .certificate = file, .trust = o->trust, .crl = o->crl };

	switch (net_tls_examine(peer, &files, called, cn, o->lists, report, NULL)) {
	case SP_OK:
		return EX_OK;
	case SP_EIO:
		return EX_NOINPUT;
	default:
		return EX_DATAERR;
	}
}

static const struct net_peer *
called(void *arg, const char *name)
{
	struct options *o = arg;
	bool cn = false;

	for (size_t i = 0; i < policy_partner_count(o->q.rules); i++)
		if (strcmp(policy_partner_get(o->q.rules, i)->server, name) == 0)
			cn = policy_partner_get(o->q.rules, i)->accept_cn;
	net_tls_examined(&o->hop);
	o->status = examine(o, &o->hop, o->hop_cert, name, cn);
	return o->status == EX_OK ? &o->hop : NULL;
}

/* Refused certificates and pinned keys, as the edge's doors and ways out have them. */
static void
make_lists(struct options *o)
{
	size_t npins = o->q.side == POLICY_SIDE_OUTER || o->hop_cert != NULL ? policy_pin_count(o->q.rules) : 0, nrefused;
	const unsigned char (*refused)[32] = policy_refused_certificates(o->q.rules, &nrefused);
	unsigned char (*pins)[32] = npins != 0 ? xreallocarray(NULL, npins, sizeof(*pins)) : NULL;

	for (size_t i = 0; i < npins; i++)
		memcpy(pins[i], policy_pin_get(o->q.rules, i), sizeof(pins[i]));
	o->lists = net_tls_lists_new((const unsigned char (*)[32])pins, npins, refused, nrefused);
	free(pins);
}

static int
prepare_certificates(struct options *o)
{
	int status = EX_OK;

	make_lists(o);
	if (o->peer_cert != NULL && (status = examine(o, &o->peer, o->peer_cert, NULL, false)) == EX_OK)
		o->q.peer = &o->peer;
	if (o->hop_cert != NULL) {
		o->q.called = called;
		o->q.called_arg = o;
	}
	return status;
}

/* ---- what only the edge knows ---- */

/* The first record of its answer; false: there is none. */
static bool
ask_daemon(struct options *o, struct record *r)
{
	return ctlclient_send(o->client, -1) == SP_OK && ctlclient_next(o->client, r) == 1;
}

static void
hear_out(struct options *o)
{
	struct record r;

	while (ctlclient_is_open(o->client) && ctlclient_next(o->client, &r) == 1)
		;
}

static bool
routes(void *arg, struct span call_id, struct span text, bool in_dialog, bool outer, enum policy_route *route,
    enum policy_flow *flow)
{
	struct options *o = arg;
	struct record_writer *w;
	struct record r;
	bool known = false;

	if (!ctlclient_is_open(o->client))
		return false;
	ctlclient_begin(o->client, "explain-routes");
	w = ctlclient_args(o->client);
	record_text(w, "call_id", call_id);
	record_text(w, "routes", text);
	record_bool(w, "in_dialog", in_dialog);
	record_bool(w, "outer", outer);
	if (!ask_daemon(o, &r))
		return false;
	for (int i = 0; i <= POLICY_ROUTE_FOREIGN; i++)
		if (span_is(record_get_text(&r, "route"), policy_route_name((enum policy_route)i))) {
			*route = (enum policy_route)i;
			known = true;
		}
	for (int i = 0; i <= POLICY_FLOW_USER_GONE; i++)
		if (span_is(record_get_text(&r, "flow"), policy_flow_name((enum policy_flow)i)))
			*flow = (enum policy_flow)i;
	hear_out(o);
	return known;
}

static long
limit_in(struct span text, const char *path, long usual)
{
	uint64_t n;

	return span_uint(confset_get(text, path), INT32_MAX, &n) ? (long)n : usual;
}

/* The limits that are configured, where no edge runs that could say which are in force. */
static int
read_limits(struct options *o)
{
	const char *file = o->edge_conf != NULL ? o->edge_conf : SYSCONFDIR "/edge.conf";
	struct conf_errors *errs = conf_errors_new();
	char *text;
	size_t n;
	int err = ctl_read_flat(file, &text, &n, errs);

	if (err == SP_OK) {
		o->q.limits = (struct explain_limits){ file, limit_in(span_of(text, n), "discovered.rate", 20),
			limit_in(span_of(text, n), "discovered.suspicious_rate", 1), limit_in(span_of(text, n), "discovered.addressees", 1000) };
		mem_wipe_free(text, n);
	} else if (o->edge_conf != NULL) {
		conf_errors_print(errs, stderr);
	}
	conf_errors_free(errs);
	return err == SP_OK || o->edge_conf == NULL ? EX_OK : EX_NOINPUT;
}

static int
ask_edge(struct options *o)
{
	const char *socket = o->socket != NULL ? o->socket : ctl_is_director() ? RUNDIR "/edge.sock" : ctl_socket();
	struct record r;

	o->client = ctlclient_new();
	if (!o->no_edge && ctlclient_open(o->client, socket) == SP_OK) {
		o->q.routes = routes;
		o->q.routes_arg = o;
		ctlclient_begin(o->client, "explain-limits");
		if (ask_daemon(o, &r)) {
			o->q.limits = (struct explain_limits){ "the running edge", (long)record_get_int(&r, "rate", 0),
				(long)record_get_int(&r, "suspicious_rate", 0), (long)record_get_int(&r, "addressees", 0) };
			hear_out(o);
		}
	}
	return o->q.limits.where == NULL ? read_limits(o) : EX_OK;
}

/* ---- telling ---- */

static void
keep(void *arg, struct span record)
{
	struct options *o = arg;

	o->told = xreallocarray(o->told, o->ntold + 1, sizeof(*o->told));
	o->told[o->ntold++] = (struct told){ xmemdup(record.p, record.n), record.n };
}

/* In the order in which they are shown; a list of them, or one. */
static const struct {
	const char	*kind, *title;
	bool		 is_list;
} kinds[] = {
	{ "message", "Message", false }, { "certificate", "Certificate", true }, { "dns", "DNS", true },
	{ "target", "Servers by DNS", true }, { "step", "Rules", true }, { "mark", "Headers", true },
	{ "limits", "Limits", false }, { "content", "Links and files", false }, { "decision", "Decision", false },
};
#define NKINDS	(sizeof(kinds) / sizeof(kinds[0]))

static bool
next_told(const struct options *o, const char *kind, size_t *at, struct record *r)
{
	while (*at < o->ntold) {
		const struct told *t = &o->told[(*at)++];

		if (record_parse(r, span_of(t->bytes, t->n)) && span_is(r->kind, kind))
			return true;
	}
	return false;
}

static void
print_json(const struct options *o)
{
	bool first = true;

	putchar('{');
	for (size_t k = 0; k < NKINDS; k++) {
		struct record r;
		size_t at = 0;
		bool any = false;

		while (next_told(o, kinds[k].kind, &at, &r)) {
			if (!any)
				printf("%s\"%s\": %s", first ? "" : ", ", kinds[k].kind, kinds[k].is_list ? "[" : "");
			else
				fputs(", ", stdout);
			record_print_json(stdout, &r, false);
			any = true;
			first = false;
		}
		if (any && kinds[k].is_list)
			putchar(']');
	}
	puts("}");
}

static void
print_text(const struct options *o)
{
	bool first = true;

	for (size_t k = 0; k < NKINDS; k++) {
		bool table = kinds[k].is_list && strcmp(kinds[k].kind, "certificate") != 0;
		struct record_table *t = table ? record_table_new() : NULL;
		struct record r;
		size_t at = 0;
		bool any = false;

		while (next_told(o, kinds[k].kind, &at, &r)) {
			if (!any)
				printf("%s%s\n", first ? "" : "\n", kinds[k].title);
			any = true;
			first = false;
			if (table)
				record_table_add(t, &r);
			else
				record_print_card(stdout, &r);
		}
		if (any && table)
			record_table_print(t, stdout);
		record_table_free(t);
	}
}

static void
clean_up(struct options *o)
{
	for (size_t i = 0; i < o->ntold; i++)
		free(o->told[i].bytes);
	free(o->told);
	free(o->bytes);
	answers_free(o->canned);
	ctlclient_free(o->client);
	net_dns_free(o->resolver);
	net_loop_free(o->loop);
	net_tls_examined(&o->peer);
	net_tls_examined(&o->hop);
	net_tls_lists_unref(o->lists);
	policy_rules_unref((struct policy_rules *)(uintptr_t)o->q.rules);
	free(o);
}

static int
run(struct options *o)
{
	const char *why = NULL;
	enum explain_verdict v = explain(&o->q, keep, o, &why);

	if (v == EXPLAIN_NO_MESSAGE)
		return o->message != NULL ? wrong(EX_DATAERR, why, o->message) : wrong(EX_USAGE, why, NULL);
	if (o->status != EX_OK)
		return o->status;
	if (o->json)
		print_json(o);
	else
		print_text(o);
	return ctl_finish(v == EXPLAIN_ALLOWED ? EX_OK : EXIT_REFUSED);
}

int
ctl_explain(int argc, char **argv)
{
	struct options *o = xcalloc(1, sizeof(*o));
	struct conf_errors *errs = NULL;
	int status;

	o->policy = SYSCONFDIR "/policy.conf";
	o->q.side = POLICY_SIDE_OUTER;
	o->q.door_users = o->q.door_partners = true;
	o->q.method = "MESSAGE";
	o->q.inner_name = "edge.invalid";
	hash_seed();
	if ((status = read_options(o, argc, argv)) != EX_OK) {
		status = status == -1 ? usage(stdout) : status;
		goto out;
	}
	errs = conf_errors_new();
	if ((o->q.rules = policyfile_load(o->policy, errs)) == NULL) {
		conf_errors_print(errs, stderr);
		status = EX_CONFIG;
		goto out;
	}
	if ((o->message != NULL && (status = read_message(o)) != EX_OK) || (status = prepare_dns(o)) != EX_OK ||
	    (status = prepare_certificates(o)) != EX_OK || (status = ask_edge(o)) != EX_OK)
		goto out;
	status = run(o);
 out:
	conf_errors_free(errs);
	clean_up(o);
	return status;
}
