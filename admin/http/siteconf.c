/*
 * admin/http/siteconf.c - see siteconf.h. Every option is one row here.
 */
#include "admin/http/siteconf.h"

#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include "admin/accounts.h"
#include "admin/policystore.h"
#include "common/err.h"
#include "common/mem.h"

static const char *const level_words[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const access_words[] = { "nobody", "loopback", "login", "everybody", NULL };

#define AT(m)	offsetof(struct siteconf, m)

static const struct conf_item items[] = {
	{ .path = "listen", .type = CONF_STR, .at = AT(listen), .text = "127.0.0.1:8060",
	    .help = "Address and port of the page; without certificate and key it must be a loopback address." },
	{ .path = "names", .type = CONF_STRS, .at = AT(names), .flags = CONF_RELOADS,
	    .help = "Host names by which browsers may ask for the page, besides localhost and the address." },
	{ .path = "certificate", .type = CONF_STR, .at = AT(certificate), .flags = CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the page's certificate and its chain, leaf first; with it the page speaks TLS." },
	{ .path = "key", .type = CONF_STR, .at = AT(key), .flags = CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the private key of that certificate." },
	{ .path = "user", .type = CONF_STR, .at = AT(user), .text = "sallyport-admin",
	    .help = "Account that the process runs as when it was started by root." },
	{ .path = "log.file", .type = CONF_STR, .at = AT(log_file), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "Where the log goes; standard error if it is not given." },
	{ .path = "log.level", .type = CONF_CHOICE, .at = AT(log_level), .flags = CONF_RELOADS, .dflt = 2, .choices = level_words,
	    .help = "The least important records that are logged." },
	{ .path = "accounts", .type = CONF_STR, .at = AT(accounts), .flags = CONF_NONEMPTY, .text = ACCOUNTS_DEFAULT_FILE,
	    .help = "File of the accounts, as sallyportctl admin-user makes them." },
	{ .path = "control.edge", .type = CONF_STR, .at = AT(edge_socket), .text = RUNDIR "/edge.sock",
	    .help = "Control socket of the edge; empty: there is no edge on this machine." },
	{ .path = "control.director", .type = CONF_STR, .at = AT(director_socket), .text = "",
	    .help = "Control socket of the Director; empty: there is none on this machine." },
	{ .path = "policy.file", .type = CONF_STR, .at = AT(policy), .flags = CONF_NONEMPTY, .text = SYSCONFDIR "/policy.conf",
	    .help = "The policy in force; the file that the edge's configuration names." },
	{ .path = "policy.store", .type = CONF_STR, .at = AT(store), .flags = CONF_NONEMPTY, .text = POLICYSTORE_DEFAULT_DIR,
	    .help = "Directory of the policy's versions, candidates and log of changes." },
	{ .path = "charts.file", .type = CONF_STR, .at = AT(charts), .text = STATEDIR "/admin/charts",
	    .help = "File of the samples that the charts show; empty: they are lost with each restart." },
	{ .path = "charts.sample", .type = CONF_INT, .at = AT(sample), .dflt = 10, .min = 1, .max = 60,
	    .help = "Seconds between two looks at the edge's counters." },
	{ .path = "metrics", .type = CONF_CHOICE, .at = AT(metrics), .flags = CONF_RELOADS, .dflt = METRICS_LOOPBACK,
	    .choices = access_words,
	    .help = "Who may read /metrics: nobody, who asks from this machine, who has logged in or has a token, or everybody." },
	{ .path = "session.idle", .type = CONF_INT, .at = AT(session.idle), .dflt = 900, .min = 1, .max = 86400,
	    .help = "Seconds without a request after which a session ends." },
	{ .path = "session.absolute", .type = CONF_INT, .at = AT(session.absolute), .dflt = 28800, .min = 1, .max = 604800,
	    .help = "Seconds after which a session ends in any case." },
	{ .path = "session.max", .type = CONF_INT, .at = AT(session.sessions), .dflt = 64, .min = 1, .max = 4096,
	    .help = "Sessions at once; when there are more, the one that was idle for longest ends." },
	{ .path = "session.per_account", .type = CONF_INT, .at = AT(session.per_account), .dflt = 8, .min = 1, .max = 64,
	    .help = "Sessions of one account at once." },
	{ .path = "login.tries", .type = CONF_INT, .at = AT(login.tries), .dflt = 10, .min = 1, .max = 1000,
	    .help = "Failed log-ins from one address before it must wait." },
	{ .path = "login.every", .type = CONF_INT, .at = AT(login.every), .dflt = 30, .min = 1, .max = 3600,
	    .help = "Seconds after which an address gets back one failed log-in." },
	{ .path = "login.account_tries", .type = CONF_INT, .at = AT(login.account_tries), .dflt = 20, .min = 1, .max = 1000,
	    .help = "Failed log-ins to one account, from addresses that were never logged in to it, before those must wait." },
	{ .path = "login.account_every", .type = CONF_INT, .at = AT(login.account_every), .dflt = 15, .min = 1, .max = 3600,
	    .help = "Seconds after which an account gets back one failed log-in." },
	{ .path = "limits.connections", .type = CONF_INT, .at = AT(limits.connections), .dflt = 128, .min = 4, .max = 4096,
	    .help = "Connections of browsers and programs at once." },
	{ .path = "limits.connections_per_address", .type = CONF_INT, .at = AT(limits.per_address), .dflt = 32, .min = 2, .max = 4096,
	    .help = "Connections from one address at once." },
	{ .path = "limits.request", .type = CONF_INT, .at = AT(limits.request), .dflt = 20, .min = 1, .max = 600,
	    .help = "Seconds in which a request must be whole, counted from the connection or the last answer." },
	{ .path = "limits.response", .type = CONF_INT, .at = AT(limits.response), .dflt = 60, .min = 1, .max = 600,
	    .help = "Seconds in which an answer must be taken." },
	{ .path = "limits.head", .type = CONF_INT, .at = AT(limits.head), .dflt = 32, .min = 8, .max = 256,
	    .help = "KiB of memory for the head of a request." },
	{ .path = "limits.body", .type = CONF_INT, .at = AT(limits.body), .dflt = 64, .min = 1, .max = 1024,
	    .help = "KiB of the body of a request that carries no policy." },
	{ .path = "limits.policy", .type = CONF_INT, .at = AT(limits.policy), .dflt = 2048, .min = 64, .max = 16384,
	    .help = "KiB of the body of a request that carries a policy." },
	{ .path = "limits.control", .type = CONF_INT, .at = AT(limits.control), .dflt = 2500, .min = 100, .max = 60000,
	    .help = "Milliseconds that the page waits for an answer of a daemon before it says that there is none." },
	{ .path = "limits.threads", .type = CONF_INT, .at = AT(limits.threads), .dflt = 4, .min = 2, .max = 32,
	    .help = "Threads that answer requests." },
	{ .path = "limits.proofs", .type = CONF_INT, .at = AT(limits.proofs), .dflt = 2, .min = 1, .max = 16,
	    .help = "Passwords that are proven at once; each takes 32 MiB for about a tenth of a second." },
	{ .path = NULL }
};

bool
siteconf_is_loopback(const struct net_addr *a)
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)(const void *)&a->ss;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)(const void *)&a->ss;

	if (a->len == 0)
		return false;
	if (a->ss.ss_family == AF_INET)
		return ntohl(sin->sin_addr.s_addr) >> 24 == 127;
	if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr))
		return sin6->sin6_addr.s6_addr[12] == 127;
	return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
}

static void
check(struct siteconf *c, struct conf_errors *errs)
{
	int line = conf_line_of(errs, "listen");

	if (net_addr_parse(&c->addr, span_str(c->listen), 0) != SP_OK)
		conf_error(errs, c->file, line, "listen: expects an IP address and a port, like 127.0.0.1:8060");
	if ((c->certificate != NULL) != (c->key != NULL))
		conf_error(errs, c->file, conf_line_of(errs, c->key != NULL ? "key" : "certificate"),
		    "certificate and key are given together or not at all");
	else if (c->addr.len != 0 && c->certificate == NULL && !siteconf_is_loopback(&c->addr))
		conf_error(errs, c->file, line, "listen: %s can be reached from other machines, so certificate and key are "
		    "needed; passwords do not go over a network in the clear", c->listen);
	if (c->session.idle > c->session.absolute)
		conf_error(errs, c->file, conf_line_of(errs, "session.idle"), "session.idle: is more than session.absolute (%d)",
		    c->session.absolute);
	if (c->limits.per_address > c->limits.connections)
		conf_error(errs, c->file, conf_line_of(errs, "limits.connections_per_address"),
		    "limits.connections_per_address: is more than limits.connections (%d)", c->limits.connections);
	if (c->limits.body > c->limits.policy)
		conf_error(errs, c->file, conf_line_of(errs, "limits.body"), "limits.body: is more than limits.policy (%d)",
		    c->limits.policy);
}

struct siteconf *
siteconf_load(const char *file, struct conf_errors *errs)
{
	struct siteconf *c = xcalloc(1, sizeof(*c));
	size_t before = conf_errors_count(errs);

	c->file = xstrdup(file);
	if (conf_load(file, items, c, errs) == SP_EIO) {
		siteconf_free(c);
		return NULL;
	}
	check(c, errs);
	conf_errors_sort(errs, before, file);
	return c;
}

void
siteconf_free(struct siteconf *c)
{
	if (c == NULL)
		return;
	conf_unload(items, c);
	free(c->file);
	free(c);
}

void
siteconf_print_options(FILE *f)
{
	conf_print_options(items, f);
}
