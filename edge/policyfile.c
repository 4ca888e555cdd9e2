/*
 * edge/policyfile.c - policy.conf into policy rules.
 *
 * One row per option here, one key per rule there; lists[] and switches[] say
 * which is which. What a value must look like is the policy room's business: this
 * file only brings texts and places.
 */
#include "edge/policyfile.h"

#include <stddef.h>
#include <string.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/span.h"
#include "common/strbuf.h"
#include "policy/rules.h"

#define KEY_MAX		160	/* "partners[123456].domains[123456]" with room */

struct partner_conf {
	char		*name, *server;
	int		 port;
	struct conf_strs domains;
	int		 verification;
	bool		 accept_cn;
	int		 certificate;
	struct conf_strs pins;
};

struct policy_conf {
	struct conf_strs	internal_domains, blocked, internal_servers, refuse_methods, refused_certificates;
	bool			remote_users, federation, ip_literals, mark_verifiable, archiving_notice;
	struct conf_groups	partners;
};

static const char *const verifications[] = {
	"use-source-verification", "always-verifiable", "always-unverifiable", NULL
};

/* As policy's "partner.certificate" has them. */
static const char *const certificate_rules[] = { "server-only", "strict", "pinned", NULL };

#define AT(field)	offsetof(struct partner_conf, field)
static const struct conf_item partner_items[] = {
	{ .path = "name", .type = CONF_STR, .at = AT(name), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Name to show in logs and on the status page; the server's name if left out." },
	{ .path = "server", .type = CONF_STR, .at = AT(server), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Full name of the partner's edge server, which its certificate must prove; must be set." },
	{ .path = "port", .type = CONF_INT, .at = AT(port), .flags = CONF_RELOADS, .dflt = 5061, .min = 1,
	    .max = 65535, .help = "Port of the partner's edge server." },
	{ .path = "domains", .type = CONF_STRS, .at = AT(domains), .flags = CONF_RELOADS | CONF_NONEMPTY,
	    .help = "SIP domains that the partner speaks for; \".d\" is every domain below d; at least one." },
	{ .path = "verification", .type = CONF_CHOICE, .at = AT(verification), .flags = CONF_RELOADS,
	    .choices = verifications,
	    .help = "Whether the partner's users count as verified: by its own word, always, or never." },
	{ .path = "accept_cn", .type = CONF_BOOL, .at = AT(accept_cn), .flags = CONF_RELOADS,
	    .help = "Take the subject CN of the partner's certificate for a name, as old servers need." },
	{ .path = "certificate", .type = CONF_CHOICE, .at = AT(certificate), .flags = CONF_RELOADS,
	    .choices = certificate_rules,
	    .help = "What its certificate must be: made for servers, for servers and clients, or pinned by its key." },
	{ .path = "pins", .type = CONF_STRS, .at = AT(pins), .flags = CONF_RELOADS,
	    .help = "SHA-256 of the public keys that count if certificate is \"pinned\"; several for a change of keys." },
	{ .path = NULL }
};
#undef AT

#define AT(field)	offsetof(struct policy_conf, field)
static const struct conf_item policy_items[] = {
	{ .path = "internal_domains", .type = CONF_STRS, .at = AT(internal_domains),
	    .flags = CONF_REQUIRED | CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Our own SIP domains; \".d\" is every domain below d." },
	{ .path = "internal_servers", .type = CONF_STRS, .at = AT(internal_servers),
	    .flags = CONF_REQUIRED | CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Names of the servers that may come in by the inner door; \"*\" stands for any characters "
	    "of one label." },
	{ .path = "blocked", .type = CONF_STRS, .at = AT(blocked), .flags = CONF_RELOADS,
	    .help = "Blocked domains, both ways, each with every domain below it." },
	{ .path = "remote_users", .type = CONF_BOOL, .at = AT(remote_users), .flags = CONF_RELOADS, .dflt = 1,
	    .help = "Whether our own users may sign in from outside." },
	{ .path = "federation", .type = CONF_BOOL, .at = AT(federation), .flags = CONF_RELOADS,
	    .help = "Whether anything passes to and from other organisations." },
	{ .path = "ip_literals", .type = CONF_BOOL, .at = AT(ip_literals), .flags = CONF_RELOADS,
	    .help = "Whether an IP address may stand where a domain belongs." },
	{ .path = "mark_verifiable", .type = CONF_BOOL, .at = AT(mark_verifiable), .flags = CONF_RELOADS,
	    .dflt = 1, .help = "Whether we tell partners that our users are verified." },
	{ .path = "archiving_notice", .type = CONF_BOOL, .at = AT(archiving_notice), .flags = CONF_RELOADS,
	    .help = "Whether we tell partners that we archive messages." },
	{ .path = "refuse_methods", .type = CONF_STRS, .at = AT(refuse_methods), .flags = CONF_RELOADS,
	    .help = "Methods that no partner may send, besides REGISTER and SERVICE." },
	{ .path = "refused_certificates", .type = CONF_STRS, .at = AT(refused_certificates), .flags = CONF_RELOADS,
	    .help = "SHA-256 fingerprints of certificates that nobody may show, at no door and in no direction." },
	{ .path = "partners", .type = CONF_GROUPS, .at = AT(partners), .flags = CONF_RELOADS,
	    .sub = partner_items, .size = sizeof(struct partner_conf),
	    .help = "Direct partners: each a server and the domains that it speaks for." },
	{ .path = NULL }
};

/* One load on its way. */
struct loading {
	const char		*file;
	struct conf_errors	*errs;
	struct policy_builder	*builder;
};

static const struct {
	const char	*path, *key;
	size_t		 at;
} switches[] = {
	{ "remote_users", "remote-users", AT(remote_users) },
	{ "federation", "federation", AT(federation) },
	{ "ip_literals", "ip-literals", AT(ip_literals) },
	{ "mark_verifiable", "mark-verifiable", AT(mark_verifiable) },
	{ "archiving_notice", "archiving-notice", AT(archiving_notice) },
}, lists[] = {
	{ "internal_domains", "domain", AT(internal_domains) },
	{ "internal_servers", "internal-server", AT(internal_servers) },
	{ "blocked", "blocked", AT(blocked) },
	{ "refuse_methods", "refuse-method", AT(refuse_methods) },
	{ "refused_certificates", "refused-certificate", AT(refused_certificates) },
};
#undef AT

/* The path of an option of one partner. */
static const char *
partner_path(char out[KEY_MAX], size_t i, const char *option)
{
	struct strbuf sb;

	strbuf_init(&sb, out, KEY_MAX);
	strbuf_printf(&sb, "partners[%zu]%s%s", i, option[0] != '\0' ? "." : "", option);
	return out;
}

static void
add(struct loading *l, const char *path, int line, const char *key, const char *value)
{
	const char *file = conf_file_of(l->errs, path);

	policy_builder_add(l->builder, file != NULL ? file : l->file, line, key, value);
}

/* Only what the file says: an absent switch has the policy's own default and no place. */
static void
add_switch(struct loading *l, const char *path, const char *key, bool on)
{
	int line = conf_line_of(l->errs, path);

	if (line != 0)
		add(l, path, line, key, on ? "on" : "off");
}

static void
add_strs(struct loading *l, const char *path, const char *key, const struct conf_strs *strs)
{
	for (size_t i = 0; i < strs->n; i++) {
		char element[KEY_MAX];
		struct strbuf sb;
		const char *file;

		strbuf_init(&sb, element, sizeof(element));
		strbuf_printf(&sb, "%s[%zu]", path, i);
		file = conf_file_of(l->errs, element);
		add(l, file != NULL ? element : path, strs->v[i].line, key, strs->v[i].s);
	}
}

/* A value that stands in the file; left out, it is the policy's own default. */
static void
add_of_partner(struct loading *l, size_t i, const char *option, const char *key, const char *value)
{
	char path[KEY_MAX];
	int line = conf_line_of(l->errs, partner_path(path, i, option));

	if (line != 0)
		add(l, path, line, key, value);
}

static void
add_partner(struct loading *l, size_t i, const struct partner_conf *p, int line)
{
	char path[KEY_MAX], port[16];
	const char *nameless = partner_path(path, i, "");
	struct strbuf sb;

	add(l, path, line, "partner", p->name != NULL ? p->name : p->server != NULL ? p->server : nameless);
	if (p->server != NULL)
		add_of_partner(l, i, "server", "partner.server", p->server);
	strbuf_init(&sb, port, sizeof(port));
	strbuf_printf(&sb, "%d", p->port);
	add_of_partner(l, i, "port", "partner.port", port);
	add_strs(l, partner_path(path, i, "domains"), "partner.domain", &p->domains);
	add_of_partner(l, i, "verification", "partner.verification", verifications[p->verification]);
	add_of_partner(l, i, "certificate", "partner.certificate", certificate_rules[p->certificate]);
	add_strs(l, partner_path(path, i, "pins"), "partner.pin", &p->pins);
	add_of_partner(l, i, "accept_cn", "partner.cn", p->accept_cn ? "on" : "off");
}

/* What an option of the file is called where the policy room calls it key; key itself, if they don't differ. */
static struct span
option_of(struct span key)
{
	static const struct {
		const char	*key, *option;
	} of_partner[] = {
		{ "partner", "partners" }, { "partner.server", "partners[].server" },
		{ "partner.port", "partners[].port" }, { "partner.domain", "partners[].domains" },
		{ "partner.verification", "partners[].verification" }, { "partner.cn", "partners[].accept_cn" },
		{ "partner.certificate", "partners[].certificate" }, { "partner.pin", "partners[].pins" },
	};

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		if (span_eq(key, span_str(switches[i].key)))
			return span_str(switches[i].path);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (span_eq(key, span_str(lists[i].key)))
			return span_str(lists[i].path);
	for (size_t i = 0; i < sizeof(of_partner) / sizeof(of_partner[0]); i++)
		if (span_eq(key, span_str(of_partner[i].key)))
			return span_str(of_partner[i].option);
	return key;
}

/* The policy room's texts begin with its name of the option, which is not what the file has. */
static void
report(void *arg, const char *file, int line, const char *text)
{
	struct loading *l = arg;
	size_t n = strcspn(text, ": ");
	struct span option = option_of((struct span){ text, n });

	conf_error(l->errs, file, line, "%.*s%s", (int)option.n, option.p, text + n);
}

struct policy_rules *
policyfile_load(const char *file, struct conf_errors *errs)
{
	struct policy_conf c = { .remote_users = false };
	struct loading l = { file, errs, policy_builder_new() };
	size_t before = conf_errors_count(errs);
	int err = conf_load(file, policy_items, &c, errs);
	const char *base = (const char *)&c;
	const struct partner_conf *partners = c.partners.v;
	struct policy_rules *rules;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		add_strs(&l, lists[i].path, lists[i].key, (const void *)(base + lists[i].at));
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		add_switch(&l, switches[i].path, switches[i].key, *(const bool *)(base + switches[i].at));
	for (size_t i = 0; i < c.partners.n; i++)
		add_partner(&l, i, &partners[i], c.partners.line[i]);
	rules = policy_builder_finish(l.builder, report, &l);
	policy_builder_free(l.builder);
	conf_unload(policy_items, &c);
	conf_errors_sort(errs, before, file);
	if (err != SP_OK) {
		/* What the file means is not known until its form is right. */
		policy_rules_unref(rules);
		rules = NULL;
	}
	return rules;
}

void
policyfile_print_options(FILE *f)
{
	conf_print_options(policy_items, f);
}
