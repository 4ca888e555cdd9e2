/*
 * admin/ctl_daemon.c - sallyportctl: questions to a running edge or Director.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_ask.h"
#include "admin/ctl_store.h"
#include "admin/metrics.h"
#include "common/err.h"
#include "common/mem.h"

/* Which version of the store on this machine the edge obeys, and whether that is still the file. */
static void
add_version(const struct record *r, struct record_writer *w)
{
	struct span file = record_get_text(r, "policy"), sha256 = record_get_text(r, "policy_sha256");
	struct conf_errors *errs;
	struct policystore *store = NULL;
	struct policy_change c;
	struct record_field told;
	char *path, hash[POLICY_HASH_TEXT], text[256];

	if (!span_is(r->kind, "daemon") || file.n == 0 || file.p[0] != '/' || sha256.n != sizeof(hash) - 1)
		return;
	errs = conf_errors_new();
	path = xmemdup(file.p, file.n);
	snprintf(hash, sizeof(hash), "%.*s", SPAN_FMT(sha256));
	if (policystore_open(&store, NULL, path, errs) == SP_OK) {
		if (!record_find(r, "policy_version", &told) && policystore_which(store, hash, &c) == SP_OK) {
			record_int(w, "policy_version", (int64_t)c.version);
			record_str(w, "policy_author", c.author);
			record_time(w, "policy_made", c.time);
		} else if (policystore_which(store, hash, &c) == SP_OK) {
			record_time(w, "policy_made", c.time);
		}
		if (policytell_differs(store, hash, text, sizeof(text)))
			record_str(w, "policy_stale", text);
	}
	policystore_close(store);
	free(path);
	conf_errors_free(errs);
}

int
ctl_status(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "status", .verb = "status", .card = "daemon",
	    .enrich = add_version,
	    .help = "Shows how the daemon is: since when it runs, its doors, the servers inside and\n"
	    "whether they are reached, how long its certificates last, and its workers. Of an\n"
	    "edge also which policy it obeys, and whether that is still what the file says." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_connections(int argc, char **argv)
{
	static const struct ctl_option options[] = {
		{ "class", "CLASS", RECORD_TEXT, "only those whose far end is of this class" },
		{ "name", "NAME", RECORD_TEXT, "only those that prove this name, or one below it" },
		{ "peer", "ADDRESS", RECORD_TEXT, "only those from or to this IP address" },
		{ NULL, NULL, 0, NULL }
	};
	static const struct ctl_question q = { .command = "connections", .verb = "connections", .options = options,
	    .none = "no connections", .help = "Lists connections: what the far end is, the names that it has proved, since\n"
	    "when, how long it has been silent (seconds), bytes that it has not taken yet." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_reload(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "reload", .verb = "reload", .none = "reloaded",
	    .help = "Has the daemon read its configuration, policy and certificates again. If anything\n"
	    "is wrong with them, says what, and exits with 78; the old ones stay in force." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_drain(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "drain", .verb = "drain",
	    .none = "it takes nothing new, and ends when what is in flight is answered",
	    .help = "Stops the daemon in good order: it takes no new requests, gives those in flight\n"
	    "their time (timers.drain), and ends." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_reopen_logs(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "reopen-logs", .verb = "reopen-logs",
	    .help = "Has the daemon open its log files again, after they were moved away." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_metrics(int argc, char **argv)
{
	struct ctlclient *c;
	int got, used;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		puts("Usage: sallyportctl [--edge|--director|--socket PATH] metrics\n\n"
		    "Prints what the daemon has counted, in the text format of Prometheus. See\n"
		    "sallyport-metrics(7).");
		return ctl_finish(EX_OK);
	}
	for (argc--, argv++; argc > 0 && ctl_take_target(argc, argv, &used); argc -= used, argv += used)
		;
	if (argc > 0)
		return ctl_misused("metrics takes nothing more, not", argv[0]);
	c = ctlclient_new();
	if ((got = ctl_connect(c)) == EX_OK) {
		got = metrics_fetch(c, stdout);
		if (got < 0)
			got = ctl_broken(got);
		else if (got != EX_OK)
			fputs("sallyportctl: this daemon does not tell its metrics\n", stderr);
		else if (ctlclient_was_cut(c)) {
			fputs("sallyportctl: the daemon has more to tell than it may send\n", stderr);
			got = EX_TEMPFAIL;
		}
	}
	ctlclient_free(c);
	return ctl_finish(got);
}

int
ctl_pools(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "pools", .verb = "pools",
	    .help = "Lists the pools, edges and other servers of a Director: whether they are reached,\n"
	    "and when and why not." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_signed_in(int argc, char **argv)
{
	static const struct ctl_option options[] = {
		{ "user", "USER@DOMAIN", RECORD_TEXT, "only those of this user" },
		{ "count", NULL, RECORD_BOOL, "only how many there are" },
		{ NULL, NULL, 0, NULL }
	};
	static const struct ctl_question q = { .command = "signed-in", .verb = "signed-in", .options = options,
	    .card = "count", .none = "nobody is signed in",
	    .help = "Lists the security associations of a Director: which users are signed in, with\n"
	    "which devices. Users of Digest sign each request by itself, and are not among them." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_trace(int argc, char **argv)
{
	static const struct ctl_option options[] = {
		{ "domain", "DOMAIN", RECORD_TEXT, "only messages from or to this domain, or below it" },
		{ "user", "USER@DOMAIN", RECORD_TEXT, "only messages from or to this user" },
		{ "partner", "NAME", RECORD_TEXT, "only connections with this partner: name, server or domain" },
		{ "count", "N", RECORD_INT, "end after so many messages" },
		{ "heads", NULL, RECORD_BOOL, "only the first line of each message" },
		{ NULL, NULL, 0, NULL }
	};
	static const struct ctl_question q = { .command = "trace", .verb = "trace", .options = options, .stream = true,
	    .help = "Shows messages as they come and go, until it is interrupted. Credentials are\n"
	    "masked and bodies left out. What cannot be shown in time is dropped, and that is said." };

	return ctl_ask(&q, argc, argv);
}

/* ---- partner ---- */

static int
partner_list(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "partner list", .verb = "partner-list",
	    .none = "the policy names no partners", .help = "Lists the servers of others that the policy names, and how they are reached." };

	return ctl_ask(&q, argc, argv);
}

static int
partner_show(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "partner show", .verb = "partner-show", .operand = "name",
	    .operand_name = "NAME", .card = "partner", .help = "Shows one of them: state, last success and last failure with its reason, the\n"
	    "certificate that it has shown, what the policy says of it, and what was counted.\n"
	    "NAME is the partner's, its server's, or one of its domains." };

	return ctl_ask(&q, argc, argv);
}

static int
partner_test(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "partner test", .verb = "partner-test", .operand = "name",
	    .operand_name = "NAME", .card = "test", .help = "Connects to its server now, if it is not connected, and says what came of it." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_partner(int argc, char **argv)
{
	static const struct ctl_command commands[] = {
		{ "list", partner_list, "show all of them" },
		{ "show", partner_show, "show one: state, failures, certificate" },
		{ "test", partner_test, "connect to one now" },
		{ "pause", ctl_partner_pause, "let nothing pass to and from one" },
		{ "resume", ctl_partner_pause, "let it pass again" },
		{ NULL, NULL, NULL }
	};

	return ctl_group("partner", "Partners, providers and other servers that the policy names.", commands, argc, argv);
}

/* ---- discovered ---- */

static int
discovered_list(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "discovered list", .verb = "discovered-list",
	    .none = "no discovered partners", .help = "Lists the partners that nobody has listed and open federation lets in, with what\n"
	    "they have used of their limits." };

	return ctl_ask(&q, argc, argv);
}

static int
discovered_reset(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "discovered reset", .verb = "discovered-reset",
	    .operand = "key", .operand_name = "KEY|all", .help = "Forgets what such a partner has used of its limits. KEY is what \"discovered list\"\n"
	    "shows: the SHA-256 of its certificate." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_discovered(int argc, char **argv)
{
	static const struct ctl_command commands[] = {
		{ "list", discovered_list, "show them and what they have used of their limits" },
		{ "reset", discovered_reset, "forget what one of them has used" },
		{ NULL, NULL, NULL }
	};

	return ctl_group("discovered", "Partners that nobody has listed.", commands, argc, argv);
}
