/*
 * admin/policyfile.c - policy.conf into policy rules.
 *
 * One row per option here, one key per rule there; lists[], switches[] and the
 * members of each kind of group say which is which. What a value must look like
 * is the policy room's business: this file only brings texts and places.
 */
#include "admin/policyfile.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/policystore.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/span.h"
#include "common/strbuf.h"
#include "policy/rules.h"

#define KEY_MAX		160	/* "partners[123456].domains[123456]" with room */

/* A server, a domain or a route: every kind of group, each with its own options. */
struct entry_conf {
	char		*name, *server, *domain, *record, *match;
	int		 port;
	struct conf_strs domains, reaches, pins;
	int		 verification, certificate;
	bool		 accept_cn, trusted, member, enabled, paused, public_network, replace_host;
	char		*warning;
	struct conf_strs classes, schemes, extensions;
	int		 links, files, sealed, bare_domains, own_links, direction;
};

struct policy_conf {
	struct conf_strs	internal_domains, blocked, internal_servers, refuse_methods, refused_certificates;
	struct conf_strs	allowed_domains, branches;
	struct conf_strs	refuse_users, refuse_branches, refuse_direct, refuse_discovered, refuse_providers,
				refuse_clearinghouse;
	bool			remote_users, federation, ip_literals, mark_verifiable, archiving_notice;
	bool			discovery, open_federation, clearinghouse, strict_providers, assert_identity;
	bool			diagnostics_partners, diagnostics_users;
	int			discovered_verification;
	struct conf_groups	partners, providers, branch_offices, discovered, routes, content;
	struct entry_conf	default_route;
};

static const char *const verifications[] = {
	"use-source-verification", "always-verifiable", "always-unverifiable", NULL
};

/* A provider's own default depends on what it is. */
static const char *const provider_verifications[] = {
	"by-network", "use-source-verification", "always-verifiable", "always-unverifiable", NULL
};

/* As policy's "partner.certificate" has them. */
static const char *const certificate_rules[] = { "server-only", "strict", "pinned", NULL };

static const char *const link_words[] = { "allow", "warn", "block", NULL };
static const char *const file_words[] = { "allow", "block-listed", "block", NULL };
static const char *const sealed_words[] = { "block", "pass", NULL };
static const char *const bare_words[] = { "with-path", "none", "all", NULL };
static const char *const own_words[] = { "allow", "filter", NULL };
static const char *const direction_words[] = { "both", "in", "out", NULL };

/* ---- the options of each kind of group ---- */

#define AT(field)	offsetof(struct entry_conf, field)
#define PORT_OF(whom)	{ .path = "port", .type = CONF_INT, .at = AT(port), .flags = CONF_RELOADS, .dflt = 5061, \
	    .min = 1, .max = 65535, .help = "Port of " whom " server." }
#define CERTIFICATE_OF(whose) \
	{ .path = "certificate", .type = CONF_CHOICE, .at = AT(certificate), .flags = CONF_RELOADS, \
	    .choices = certificate_rules, .help = "What " whose " certificate must be: made for servers, for servers and " \
	    "clients, or pinned by its key." }, \
	{ .path = "pins", .type = CONF_STRS, .at = AT(pins), .flags = CONF_RELOADS, \
	    .help = "SHA-256 of the public keys that count if certificate is \"pinned\"; several for a change of keys." }
static const struct conf_item partner_items[] = {
	{ .path = "name", .type = CONF_STR, .at = AT(name), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Name to show in logs and on the status page; the server's name if left out." },
	{ .path = "server", .type = CONF_STR, .at = AT(server), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Full name of the partner's edge server, which its certificate must prove; must be set." },
	PORT_OF("the partner's edge"),
	{ .path = "domains", .type = CONF_STRS, .at = AT(domains), .flags = CONF_RELOADS | CONF_NONEMPTY,
	    .help = "SIP domains that the partner speaks for; \".d\" is every domain below d; at least one." },
	{ .path = "verification", .type = CONF_CHOICE, .at = AT(verification), .flags = CONF_RELOADS,
	    .choices = verifications,
	    .help = "Whether the partner's users count as verified: by its own word, always, or never." },
	{ .path = "accept_cn", .type = CONF_BOOL, .at = AT(accept_cn), .flags = CONF_RELOADS,
	    .help = "Take the subject CN of the partner's certificate for a name, as old servers need." },
	CERTIFICATE_OF("its"),
	{ .path = "trusted", .type = CONF_BOOL, .at = AT(trusted), .flags = CONF_RELOADS,
	    .help = "The partner is in our trust domain: P-Asserted-Identity passes in both directions (RFC 3325), and Diversion from it." },
	{ .path = "paused", .type = CONF_BOOL, .at = AT(paused), .flags = CONF_RELOADS,
	    .help = "Nothing passes to and from it for now; \"sallyportctl partner pause\" sets it." },
	{ .path = "member", .type = CONF_BOOL, .at = AT(member), .flags = CONF_RELOADS,
	    .help = "The partner is a member of the clearing house that we are." },
	{ .path = "reaches", .type = CONF_STRS, .at = AT(reaches), .flags = CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Names of the members that this member may reach; all of them if left out." },
	{ .path = NULL }
};

static const struct conf_item provider_items[] = {
	{ .path = "name", .type = CONF_STR, .at = AT(name), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Name to show in logs and on the status page; the server's name if left out." },
	{ .path = "server", .type = CONF_STR, .at = AT(server), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Full name of the provider's server, which its certificate must prove; must be set." },
	PORT_OF("the provider's"),
	{ .path = "enabled", .type = CONF_BOOL, .at = AT(enabled), .flags = CONF_RELOADS,
	    .help = "Whether anything passes to and from the provider." },
	{ .path = "paused", .type = CONF_BOOL, .at = AT(paused), .flags = CONF_RELOADS,
	    .help = "Nothing passes to and from it for now; \"sallyportctl partner pause\" sets it." },
	{ .path = "public_network", .type = CONF_BOOL, .at = AT(public_network), .flags = CONF_RELOADS,
	    .help = "It is a public IM network: marked so inside, and trusted with any sender's domain." },
	{ .path = "verification", .type = CONF_CHOICE, .at = AT(verification), .flags = CONF_RELOADS,
	    .choices = provider_verifications,
	    .help = "Whether its users count as verified; by-network: never of a public IM network, else always." },
	{ .path = "accept_cn", .type = CONF_BOOL, .at = AT(accept_cn), .flags = CONF_RELOADS,
	    .help = "Take the subject CN of the provider's certificate for a name." },
	CERTIFICATE_OF("its"),
	{ .path = NULL }
};

static const struct conf_item branch_items[] = {
	{ .path = "server", .type = CONF_STR, .at = AT(server), .flags = CONF_REQUIRED | CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Full name of the branch proxy, which its certificate must prove." },
	{ .path = "accept_cn", .type = CONF_BOOL, .at = AT(accept_cn), .flags = CONF_RELOADS,
	    .help = "Take the subject CN of the branch proxy's certificate for a name." },
	CERTIFICATE_OF("its"),
	{ .path = NULL }
};

static const struct conf_item discovered_items[] = {
	{ .path = "domain", .type = CONF_STR, .at = AT(domain), .flags = CONF_REQUIRED | CONF_RELOADS | CONF_NONEMPTY,
	    .help = "SIP domain whose server DNS may name; \".d\" is every domain below d." },
	{ .path = "verification", .type = CONF_CHOICE, .at = AT(verification), .flags = CONF_RELOADS,
	    .choices = verifications,
	    .help = "Whether its users count as verified: by its own word, always, or never." },
	{ .path = "record", .type = CONF_STR, .at = AT(record), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Full name of its SRV record, if that is not _sipfederationtls._tcp and the domain." },
	{ .path = NULL }
};

static const struct conf_item route_items[] = {
	{ .path = "match", .type = CONF_STR, .at = AT(match), .flags = CONF_REQUIRED | CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Which addresses take this route: [user@]domain or tel:number, with \"*\" for any characters." },
	{ .path = "server", .type = CONF_STR, .at = AT(server), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Full name of the server where they go, which its certificate must prove; must be set." },
	PORT_OF("that"),
	{ .path = "replace_host", .type = CONF_BOOL, .at = AT(replace_host), .flags = CONF_RELOADS,
	    .help = "Put the server's name in the place of the domain in the Request-URI." },
	{ .path = NULL }
};

#define WORD(name, field, words, text)	{ .path = name, .type = CONF_CHOICE, .at = AT(field), .flags = CONF_RELOADS, \
	    .choices = words, .help = text }
static const struct conf_item content_items[] = {
	{ .path = "classes", .type = CONF_STRS, .at = AT(classes), .flags = CONF_REQUIRED | CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Whom the rule is about: remote-user, branch, direct, enhanced, provider, clearinghouse; each class "
	    "has one rule at most." },
	WORD("links", links, link_words, "Links in messages pass, are made inert with a warning, or have the message refused."),
	WORD("files", files, file_words, "Offers of files pass, are refused by the name's extension, or all refused."),
	{ .path = "schemes", .type = CONF_STRS, .at = AT(schemes), .flags = CONF_RELOADS | CONF_NONEMPTY,
	    .help = "What makes a link: \"http\" is a scheme, \"www.\" how a host begins; a usual list if left out." },
	{ .path = "extensions", .type = CONF_STRS, .at = AT(extensions), .flags = CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Extensions that \"block-listed\" refuses; what Windows runs if left out." },
	{ .path = "warning", .type = CONF_STR, .at = AT(warning), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "What \"warn\" puts before the text; empty: nothing." },
	WORD("bare_domains", bare_domains, bare_words,
	    "Whether a domain without a scheme or \"www.\" is a link: with a path behind it, never, or always."),
	WORD("own_links", own_links, own_words, "Whether http links into our own domains pass in any case."),
	WORD("sealed", sealed, sealed_words,
	    "What becomes of bodies that cannot be looked into, or changed where they have to be: compressed, encrypted, signed."),
	WORD("direction", direction, direction_words, "What the peer sends us, what it is sent, or both."),
	{ .path = NULL }
};
#undef WORD
#undef AT

#define AT(field)	offsetof(struct policy_conf, field)
#define SWITCH(name, field, on, text)	{ .path = name, .type = CONF_BOOL, .at = AT(field), .flags = CONF_RELOADS, \
	    .dflt = on, .help = text }
#define LIST(name, field, text)		{ .path = name, .type = CONF_STRS, .at = AT(field), .flags = CONF_RELOADS, \
	    .help = text }
#define GROUPS(name, field, rows, text)	{ .path = name, .type = CONF_GROUPS, .at = AT(field), .flags = CONF_RELOADS, \
	    .sub = rows, .size = sizeof(struct entry_conf), .help = text }
static const struct conf_item policy_items[] = {
	{ .path = "internal_domains", .type = CONF_STRS, .at = AT(internal_domains), .flags = CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Our own SIP domains; \".d\" is every domain below d." },
	{ .path = "internal_servers", .type = CONF_STRS, .at = AT(internal_servers), .flags = CONF_RELOADS | CONF_NONEMPTY,
	    .help = "Names of the servers that may come in by the inner door; \"*\" stands for any characters "
	    "of one label." },
	LIST("blocked", blocked, "Blocked domains, both ways, each with every domain below it."),
	SWITCH("remote_users", remote_users, 1, "Whether our own users may sign in from outside."),
	LIST("branches", branches, "Servers of branch proxies, whose users are our own, as their certificates prove them."),
	GROUPS("branch_offices", branch_offices, branch_items, "The same, with more to say of each."),
	SWITCH("federation", federation, 0, "Whether anything passes to and from other organisations."),
	SWITCH("ip_literals", ip_literals, 0, "Whether an IP address may stand where a domain belongs."),
	SWITCH("mark_verifiable", mark_verifiable, 1, "Whether we tell partners that our users are verified."),
	SWITCH("archiving_notice", archiving_notice, 0, "Whether we tell partners that we archive messages."),
	SWITCH("assert_identity", assert_identity, 0,
	    "Whether the inside is told verified senders by P-Asserted-Identity too (RFC 3325)."),
	SWITCH("diagnostics_to_partners", diagnostics_partners, 0,
	    "Whether partners may see the inside's ms-diagnostics, which has names of our servers."),
	SWITCH("diagnostics_to_users", diagnostics_users, 0,
	    "Whether remote users may see the inside's ms-diagnostics, which has names of our servers."),
	LIST("refuse_methods", refuse_methods, "Methods that no partner may send, besides REGISTER and SERVICE."),
	LIST("refuse_methods_of.users", refuse_users, "Methods that no remote user may send."),
	LIST("refuse_methods_of.branches", refuse_branches, "Methods that no branch proxy may send."),
	LIST("refuse_methods_of.direct", refuse_direct, "Methods that no direct partner may send."),
	LIST("refuse_methods_of.discovered", refuse_discovered, "Methods that no partner found by DNS may send."),
	LIST("refuse_methods_of.providers", refuse_providers, "Methods that no provider may send."),
	LIST("refuse_methods_of.clearinghouse", refuse_clearinghouse,
	    "Methods that may not come by the default route."),
	LIST("refused_certificates", refused_certificates,
	    "SHA-256 fingerprints of certificates that nobody may show, at no door and in no direction."),
	GROUPS("partners", partners, partner_items, "Direct partners: each a server and the domains that it speaks for."),
	SWITCH("discovery", discovery, 0, "Whether DNS may name the servers of partners: those listed, or with "
	    "open_federation any."),
	LIST("allowed_domains", allowed_domains,
	    "Domains whose server DNS may name; \".d\" is every domain below d."),
	GROUPS("discovered", discovered, discovered_items, "The same, with more to say of each."),
	SWITCH("open_federation", open_federation, 0, "Whether DNS may name the server of every domain."),
	{ .path = "discovered_verification", .type = CONF_CHOICE, .at = AT(discovered_verification),
	    .flags = CONF_RELOADS, .choices = verifications,
	    .help = "Whether users of domains that only open_federation lets in count as verified." },
	GROUPS("providers", providers, provider_items, "Public IM and hosting providers, who speak for whom DNS leads to them."),
	SWITCH("strict_provider_domains", strict_providers, 0,
	    "Whether DNS must lead to a public IM network too before it may speak for a domain."),
	{ .path = "default_route.server", .type = CONF_STR, .at = AT(default_route.server),
	    .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "Server of the clearing house that we are a member of: it takes what no other rule does." },
	{ .path = "default_route.port", .type = CONF_INT, .at = AT(default_route.port), .flags = CONF_RELOADS,
	    .dflt = 5061, .min = 1, .max = 65535, .help = "Port of that server." },
	{ .path = "default_route.verification", .type = CONF_CHOICE, .at = AT(default_route.verification),
	    .flags = CONF_RELOADS, .choices = verifications,
	    .help = "Whether users behind it count as verified: by its own word, always, or never." },
	SWITCH("default_route.public_network", default_route.public_network, 0,
	    "What comes from it is marked as a public IM network's."),
	SWITCH("default_route.trusted", default_route.trusted, 0,
	    "It is in our trust domain: P-Asserted-Identity passes in both directions (RFC 3325), and Diversion from it."),
	SWITCH("default_route.accept_cn", default_route.accept_cn, 0,
	    "Take the subject CN of its certificate for a name."),
	{ .path = "default_route.certificate", .type = CONF_CHOICE, .at = AT(default_route.certificate),
	    .flags = CONF_RELOADS, .choices = certificate_rules,
	    .help = "What its certificate must be: made for servers, for servers and clients, or pinned by its key." },
	{ .path = "default_route.pins", .type = CONF_STRS, .at = AT(default_route.pins), .flags = CONF_RELOADS,
	    .help = "SHA-256 of the public keys that count if default_route.certificate is \"pinned\"." },
	SWITCH("clearinghouse", clearinghouse, 0, "Whether we are a clearing house: relay between members by their domains."),
	GROUPS("static_routes", routes, route_items, "Where some addresses go, whatever the rules about partners say."),
	GROUPS("content", content, content_items, "Links and files in messages, by class of peer."),
	{ .path = NULL }
};

/* ---- which option is which key ---- */

struct meaning {
	const char	*path, *key;
	size_t		 at;
};

static const struct meaning switches[] = {
	{ "remote_users", "remote-users", AT(remote_users) },
	{ "federation", "federation", AT(federation) },
	{ "ip_literals", "ip-literals", AT(ip_literals) },
	{ "mark_verifiable", "mark-verifiable", AT(mark_verifiable) },
	{ "archiving_notice", "archiving-notice", AT(archiving_notice) },
	{ "assert_identity", "assert-identity", AT(assert_identity) },
	{ "diagnostics_to_partners", "diagnostics-partners", AT(diagnostics_partners) },
	{ "diagnostics_to_users", "diagnostics-users", AT(diagnostics_users) },
	{ "discovery", "discovery", AT(discovery) },
	{ "open_federation", "open-federation", AT(open_federation) },
	{ "strict_provider_domains", "strict-provider-domains", AT(strict_providers) },
	{ "clearinghouse", "clearinghouse", AT(clearinghouse) },
};

static const struct meaning lists[] = {
	{ "internal_domains", "domain", AT(internal_domains) },
	{ "internal_servers", "internal-server", AT(internal_servers) },
	{ "blocked", "blocked", AT(blocked) },
	{ "branches", "branch", AT(branches) },
	{ "refuse_methods", "refuse-method", AT(refuse_methods) },
	{ "refuse_methods_of.users", "refuse-method.remote-user", AT(refuse_users) },
	{ "refuse_methods_of.branches", "refuse-method.branch", AT(refuse_branches) },
	{ "refuse_methods_of.direct", "refuse-method.direct", AT(refuse_direct) },
	{ "refuse_methods_of.discovered", "refuse-method.enhanced", AT(refuse_discovered) },
	{ "refuse_methods_of.providers", "refuse-method.provider", AT(refuse_providers) },
	{ "refuse_methods_of.clearinghouse", "refuse-method.clearinghouse", AT(refuse_clearinghouse) },
	{ "refused_certificates", "refused-certificate", AT(refused_certificates) },
	{ "allowed_domains", "allowed", AT(allowed_domains) },
};
#undef AT

enum how { AS_TEXT, AS_NUMBER, AS_SWITCH, AS_WORD, AS_LIST };

/* An option of a group. words: of AS_WORD; what begins with "by-" is not passed on: it is what holds of itself. */
struct member {
	const char		*option, *key;
	size_t			 at;
	enum how		 how;
	const char *const	*words;
};

#define AT(field)	offsetof(struct entry_conf, field)
static const struct member partner_members[] = {
	{ "server", "partner.server", AT(server), AS_TEXT, NULL },
	{ "port", "partner.port", AT(port), AS_NUMBER, NULL },
	{ "domains", "partner.domain", AT(domains), AS_LIST, NULL },
	{ "verification", "partner.verification", AT(verification), AS_WORD, verifications },
	{ "certificate", "partner.certificate", AT(certificate), AS_WORD, certificate_rules },
	{ "pins", "partner.pin", AT(pins), AS_LIST, NULL },
	{ "accept_cn", "partner.cn", AT(accept_cn), AS_SWITCH, NULL },
	{ "trusted", "partner.trusted", AT(trusted), AS_SWITCH, NULL },
	{ "paused", "partner.paused", AT(paused), AS_SWITCH, NULL },
	{ "member", "partner.member", AT(member), AS_SWITCH, NULL },
	{ "reaches", "partner.reach", AT(reaches), AS_LIST, NULL },
	{ NULL, NULL, 0, AS_TEXT, NULL }
};
static const struct member provider_members[] = {
	{ "server", "provider.server", AT(server), AS_TEXT, NULL },
	{ "port", "provider.port", AT(port), AS_NUMBER, NULL },
	{ "enabled", "provider.enabled", AT(enabled), AS_SWITCH, NULL },
	{ "paused", "provider.paused", AT(paused), AS_SWITCH, NULL },
	{ "public_network", "provider.public", AT(public_network), AS_SWITCH, NULL },
	{ "verification", "provider.verification", AT(verification), AS_WORD, provider_verifications },
	{ "accept_cn", "provider.cn", AT(accept_cn), AS_SWITCH, NULL },
	{ "certificate", "provider.certificate", AT(certificate), AS_WORD, certificate_rules },
	{ "pins", "provider.pin", AT(pins), AS_LIST, NULL },
	{ NULL, NULL, 0, AS_TEXT, NULL }
};
static const struct member branch_members[] = {
	{ "accept_cn", "branch.cn", AT(accept_cn), AS_SWITCH, NULL },
	{ "certificate", "branch.certificate", AT(certificate), AS_WORD, certificate_rules },
	{ "pins", "branch.pin", AT(pins), AS_LIST, NULL },
	{ NULL, NULL, 0, AS_TEXT, NULL }
};
static const struct member discovered_members[] = {
	{ "verification", "allowed.verification", AT(verification), AS_WORD, verifications },
	{ "record", "allowed.record", AT(record), AS_TEXT, NULL },
	{ NULL, NULL, 0, AS_TEXT, NULL }
};
static const struct member route_members[] = {
	{ "server", "route.server", AT(server), AS_TEXT, NULL },
	{ "port", "route.port", AT(port), AS_NUMBER, NULL },
	{ "replace_host", "route.replace-host", AT(replace_host), AS_SWITCH, NULL },
	{ NULL, NULL, 0, AS_TEXT, NULL }
};
static const struct member content_members[] = {
	{ "classes", "content.class", AT(classes), AS_LIST, NULL },
	{ "links", "content.links", AT(links), AS_WORD, link_words },
	{ "files", "content.files", AT(files), AS_WORD, file_words },
	{ "schemes", "content.scheme", AT(schemes), AS_LIST, NULL },
	{ "extensions", "content.extension", AT(extensions), AS_LIST, NULL },
	{ "warning", "content.warning", AT(warning), AS_TEXT, NULL },
	{ "bare_domains", "content.bare-domains", AT(bare_domains), AS_WORD, bare_words },
	{ "own_links", "content.own-links", AT(own_links), AS_WORD, own_words },
	{ "sealed", "content.sealed", AT(sealed), AS_WORD, sealed_words },
	{ "direction", "content.direction", AT(direction), AS_WORD, direction_words },
	{ NULL, NULL, 0, AS_TEXT, NULL }
};
static const struct member default_route_members[] = {
	{ "port", "default-route.port", AT(port), AS_NUMBER, NULL },
	{ "verification", "default-route.verification", AT(verification), AS_WORD, verifications },
	{ "public_network", "default-route.public", AT(public_network), AS_SWITCH, NULL },
	{ "trusted", "default-route.trusted", AT(trusted), AS_SWITCH, NULL },
	{ "accept_cn", "default-route.cn", AT(accept_cn), AS_SWITCH, NULL },
	{ "certificate", "default-route.certificate", AT(certificate), AS_WORD, certificate_rules },
	{ "pins", "default-route.pin", AT(pins), AS_LIST, NULL },
	{ NULL, NULL, 0, AS_TEXT, NULL }
};

/* A kind of group: its key opens one, with the text that is in title, or else in the server's name. */
static const struct kind {
	const char		*path, *key;
	size_t			 at;		/* of struct policy_conf */
	size_t			 title;		/* of struct entry_conf */
	const struct member	*members;
} kinds[] = {
	{ "partners", "partner", offsetof(struct policy_conf, partners), AT(name), partner_members },
	{ "providers", "provider", offsetof(struct policy_conf, providers), AT(name), provider_members },
	{ "branch_offices", "branch", offsetof(struct policy_conf, branch_offices), AT(server), branch_members },
	{ "discovered", "allowed", offsetof(struct policy_conf, discovered), AT(domain), discovered_members },
	{ "static_routes", "route", offsetof(struct policy_conf, routes), AT(match), route_members },
	{ "content", "content", offsetof(struct policy_conf, content), AT(name), content_members },
};
#undef AT
#define NKINDS	(sizeof(kinds) / sizeof(kinds[0]))

/* One load on its way. */
struct loading {
	const char		*file;
	struct conf_errors	*errs;
	struct policy_builder	*builder;
	FILE			*rows;		/* NULL: nobody wants them */
};

/* ---- what rules are made of, row by row: a mark, the line, and three texts with their NULs ---- */

static void
pack_text(FILE *f, const char *s)
{
	uint64_t n = strlen(s) + 1;

	fwrite(&n, sizeof(n), 1, f);
	fwrite(s, 1, n, f);
}

static void
pack_row(FILE *f, const char *file, int line, const char *key, const char *value)
{
	int32_t at = line;

	putc('+', f);
	fwrite(&at, sizeof(at), 1, f);
	pack_text(f, file);
	pack_text(f, key);
	pack_text(f, value);
}

/* NULL: it is cut. */
static const char *
unpack_text(struct span *rest)
{
	const char *s;
	uint64_t n;

	if (rest->n < sizeof(n))
		return NULL;
	memcpy(&n, rest->p, sizeof(n));
	*rest = span_tail(*rest, sizeof(n));
	if (n == 0 || n > rest->n || rest->p[n - 1] != '\0')
		return NULL;
	s = rest->p;
	*rest = span_of(s + n, rest->n - n);
	return s;
}

struct policy_rules *
policyfile_unpack(struct span *rest)
{
	struct policy_builder *b = policy_builder_new();
	struct policy_rules *rules = NULL;
	bool good = true;

	while (good && rest->n > 0 && rest->p[0] == '+') {
		const char *file, *key, *value;
		int32_t line;

		*rest = span_tail(*rest, 1);
		if ((good = rest->n >= sizeof(line))) {
			memcpy(&line, rest->p, sizeof(line));
			*rest = span_tail(*rest, sizeof(line));
			file = unpack_text(rest);
			key = file != NULL ? unpack_text(rest) : NULL;
			value = key != NULL ? unpack_text(rest) : NULL;
			if ((good = value != NULL))
				policy_builder_add(b, file, line, key, value);
		}
	}
	if (good && rest->n > 0 && rest->p[0] == '.') {
		*rest = span_of(rest->p + 1, rest->n - 1);
		rules = policy_builder_finish(b, NULL, NULL);
	}
	policy_builder_free(b);
	return rules;
}

static void
add(struct loading *l, const char *path, int line, const char *key, const char *value)
{
	const char *file = conf_file_of(l->errs, path);

	policy_builder_add(l->builder, file != NULL ? file : l->file, line, key, value);
	if (l->rows != NULL)
		pack_row(l->rows, file != NULL ? file : l->file, line, key, value);
}

/* Only what the file says: what is left out has the policy's own default and no place. */
static void
add_if_there(struct loading *l, const char *path, const char *key, const char *value)
{
	int line = conf_line_of(l->errs, path);

	if (line != 0)
		add(l, path, line, key, value);
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

static void
add_member(struct loading *l, const char *group, const struct member *m, const struct entry_conf *e)
{
	const void *at = (const char *)e + m->at;
	char path[KEY_MAX], number[16];
	struct strbuf sb;
	const char *text;

	strbuf_init(&sb, path, sizeof(path));
	strbuf_printf(&sb, "%s.%s", group, m->option);
	switch (m->how) {
	case AS_TEXT:
		if ((text = *(char *const *)at) != NULL)
			add_if_there(l, path, m->key, text);
		break;
	case AS_NUMBER:
		strbuf_init(&sb, number, sizeof(number));
		strbuf_printf(&sb, "%d", *(const int *)at);
		add_if_there(l, path, m->key, number);
		break;
	case AS_SWITCH:
		add_if_there(l, path, m->key, *(const bool *)at ? "on" : "off");
		break;
	case AS_WORD:
		text = m->words[*(const int *)at];
		if (strncmp(text, "by-", 3) != 0)
			add_if_there(l, path, m->key, text);
		break;
	case AS_LIST:
		add_strs(l, path, m->key, at);
		break;
	}
}

static void
add_entry(struct loading *l, const struct kind *k, size_t i, const struct entry_conf *e, int line)
{
	const char *title = *(char *const *)(const void *)((const char *)e + k->title);
	char group[KEY_MAX];
	struct strbuf sb;

	strbuf_init(&sb, group, sizeof(group));
	strbuf_printf(&sb, "%s[%zu]", k->path, i);
	add(l, group, line, k->key, title != NULL ? title : e->server != NULL ? e->server : group);
	for (const struct member *m = k->members; m->option != NULL; m++)
		add_member(l, group, m, e);
}

static void
add_default_route(struct loading *l, const struct entry_conf *e)
{
	const struct member *m = default_route_members;

	if (e->server != NULL)
		add(l, "default_route.server", conf_line_of(l->errs, "default_route.server"), "default-route", e->server);
	for (; m->option != NULL; m++)
		add_member(l, "default_route", m, e);
}

/* ---- the way back, for messages ---- */

static bool
member_of(struct span key, const struct member *m, const char *group, char out[KEY_MAX])
{
	for (; m->option != NULL; m++) {
		if (span_is(key, m->key)) {
			struct strbuf sb;

			strbuf_init(&sb, out, KEY_MAX);
			strbuf_printf(&sb, "%s.%s", group, m->option);
			return true;
		}
	}
	return false;
}

/* What an option of the file is called where the policy room calls it key; key itself, if they don't differ. */
static struct span
option_of(struct span key, char out[KEY_MAX])
{
	char group[KEY_MAX];

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		if (span_is(key, switches[i].key))
			return span_str(switches[i].path);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (span_is(key, lists[i].key))
			return span_str(lists[i].path);
	for (size_t i = 0; i < NKINDS; i++) {
		struct strbuf sb;

		if (span_is(key, kinds[i].key))
			return span_str(kinds[i].path);
		strbuf_init(&sb, group, sizeof(group));
		strbuf_printf(&sb, "%s[]", kinds[i].path);
		if (member_of(key, kinds[i].members, group, out))
			return span_str(out);
	}
	if (span_is(key, "default-route"))
		return SPAN_LIT("default_route.server");
	if (span_is(key, "discovered-verification"))
		return SPAN_LIT("discovered_verification");
	return member_of(key, default_route_members, "default_route", out) ? span_str(out) : key;
}

/* The policy room's texts begin with its name of the option, which is not what the file has. */
static void
report(void *arg, const char *file, int line, const char *text)
{
	struct loading *l = arg;
	size_t n = strcspn(text, ": ");
	char path[KEY_MAX];
	struct span option = option_of((struct span){ text, n }, path);

	conf_error(l->errs, file, line, "%.*s%s", (int)option.n, option.p, text + n);
}

/* Only a clearing house may have nothing of its own, and then it has no inside either. */
static void
need_inside(const struct loading *l, const struct policy_conf *c)
{
	bool domains = conf_line_of(l->errs, "internal_domains") != 0, servers = conf_line_of(l->errs, "internal_servers") != 0;

	if (c->clearinghouse && !domains && !servers)
		return;
	if (!domains)
		conf_error(l->errs, l->file, 0, "internal_domains: is missing and has no default: our own SIP domains");
	if (!servers)
		conf_error(l->errs, l->file, 0,
		    "internal_servers: is missing and has no default: names of the servers that may come in by the inner door");
}

/* What was read (err: how that went) as rules. */
static struct policy_rules *
judge(const char *file, struct policy_conf *c, int err, size_t before, struct conf_errors *errs, FILE *rows)
{
	struct loading l = { file, errs, policy_builder_new(), rows };
	const char *base = (const char *)c;
	size_t errors;
	struct policy_rules *rules;

	if (err != SP_EIO) {
		errors = conf_errors_count(errs);
		need_inside(&l, c);
		if (err == SP_OK && conf_errors_count(errs) != errors)
			err = SP_EINVAL;
	}
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		add_if_there(&l, switches[i].path, switches[i].key, *(const bool *)(base + switches[i].at) ? "on" : "off");
	add_if_there(&l, "discovered_verification", "discovered-verification", verifications[c->discovered_verification]);
	for (size_t k = 0; k < NKINDS; k++) {
		const struct conf_groups *groups = (const void *)(base + kinds[k].at);
		const struct entry_conf *entries = groups->v;

		for (size_t i = 0; i < groups->n; i++)
			add_entry(&l, &kinds[k], i, &entries[i], groups->line[i]);
	}
	add_default_route(&l, &c->default_route);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		add_strs(&l, lists[i].path, lists[i].key, (const void *)(base + lists[i].at));
	if (rows != NULL)
		putc('.', rows);
	rules = policy_builder_finish(l.builder, report, &l);
	policy_builder_free(l.builder);
	conf_unload(policy_items, c);
	conf_errors_sort(errs, before, file);
	if (err != SP_OK) {
		/* What the file means is not known until its form is right. */
		policy_rules_unref(rules);
		rules = NULL;
	}
	return rules;
}

struct policy_rules *
policyfile_load(const char *file, struct conf_errors *errs)
{
	struct policy_conf c = { .remote_users = false };
	size_t before = conf_errors_count(errs);

	return judge(file, &c, conf_load(file, policy_items, &c, errs), before, errs, NULL);
}

/* The whole of a plain file, the caller's to free; NULL: it is none, or too long, or cannot be read. */
static char *
read_plain(const char *file, size_t *n)
{
	FILE *f = fopen(file, "re");
	char *text = NULL;
	struct stat st;

	if (f != NULL && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= POLICYSTORE_TEXT_MAX) {
		/* one byte more: whether it has grown meanwhile */
		text = xmalloc((size_t)st.st_size + 1);
		*n = fread(text, 1, (size_t)st.st_size + 1, f);
		if (ferror(f) || *n > (size_t)st.st_size) {
			free(text);
			text = NULL;
		}
	}
	if (f != NULL)
		fclose(f);
	return text;
}

/* The hash of a text with what it includes, as the store has it; where that cannot be read, of the text alone. */
static void
hash_whole(const char *file, struct span text, const char *dir, char sha256[POLICY_HASH_TEXT])
{
	struct conf_errors *quiet = conf_errors_new();
	char *whole;
	size_t n;

	if (conf_flatten(file, text, dir, POLICYSTORE_TEXT_MAX, &whole, &n, quiet) == SP_OK)
		policy_hash(span_of(whole, n), sha256);
	else
		policy_hash(text, sha256);
	free(whole);
	conf_errors_free(quiet);
}

struct policy_rules *
policyfile_pack(const char *file, struct conf_errors *errs, FILE *rows, char sha256[POLICY_HASH_TEXT])
{
	const char *slash = strrchr(file, '/');
	struct policy_conf c = { .remote_users = false };
	size_t before = conf_errors_count(errs), n = 0;
	char *text = read_plain(file, &n), *dir = NULL;
	int err;

	sha256[0] = '\0';
	if (text != NULL) {
		/* hashed and obeyed are the same bytes, whoever writes the file meanwhile; what it includes is read twice */
		dir = slash != NULL ? xmemdup(file, slash == file ? 1 : (size_t)(slash - file)) : NULL;
		hash_whole(file, span_of(text, n), dir, sha256);
		err = conf_load_text(file, span_of(text, n), dir, policy_items, &c, errs);
	} else {
		/* says why */
		err = conf_load(file, policy_items, &c, errs);
	}
	free(dir);
	free(text);
	return judge(file, &c, err, before, errs, rows);
}

struct policy_rules *
policyfile_pack_text(const char *name, struct span text, struct conf_errors *errs, FILE *rows, char sha256[POLICY_HASH_TEXT])
{
	struct policy_conf c = { .remote_users = false };
	size_t before = conf_errors_count(errs);

	policy_hash(text, sha256);
	return judge(name, &c, conf_load_text(name, text, NULL, policy_items, &c, errs), before, errs, rows);
}

struct policy_rules *
policyfile_load_text(const char *name, struct span text, const char *dir, struct conf_errors *errs)
{
	struct policy_conf c = { .remote_users = false };
	size_t before = conf_errors_count(errs);

	return judge(name, &c, conf_load_text(name, text, dir, policy_items, &c, errs), before, errs, NULL);
}

/* ---- what it says, value by value ---- */

struct walking {
	void	(*each)(void *arg, const char *list, const char *group, const char *option, bool element, const char *value);
	void	*arg;
};

/* The value of a row that has one. */
static const char *
value_of(const struct conf_item *it, const void *at, char number[16])
{
	struct strbuf sb;

	switch (it->type) {
	case CONF_BOOL:
		return *(const bool *)at ? "true" : "false";
	case CONF_INT:
		strbuf_init(&sb, number, 16);
		strbuf_printf(&sb, "%d", *(const int *)at);
		return number;
	case CONF_CHOICE:
		return it->choices[*(const int *)at];
	case CONF_STR:
		return *(char *const *)at;
	default:
		return NULL;
	}
}

static void	walk_groups(const struct walking *, const struct conf_item *, const struct conf_groups *);

static void
walk_items(const struct walking *w, const struct conf_item *items, const void *base, const char *list, const char *group)
{
	for (const struct conf_item *it = items; it->path != NULL; it++) {
		const void *at = (const char *)base + it->at;
		char number[16];
		const char *value;

		if (it->type == CONF_STRS) {
			const struct conf_strs *strs = at;

			for (size_t i = 0; i < strs->n; i++)
				w->each(w->arg, list, group, it->path, true, strs->v[i].s);
		} else if (it->type == CONF_GROUPS)
			walk_groups(w, it, at);
		else if ((value = value_of(it, at, number)) != NULL)
			w->each(w->arg, list, group, it->path, false, value);
	}
}

/* What people call a group: its name, or what it is about. The caller's to free. */
static char *
name_of_group(const struct entry_conf *e)
{
	const char *name = e->name != NULL ? e->name : e->server != NULL && e->match == NULL ? e->server :
	    e->domain != NULL ? e->domain : e->match;
	char text[512];
	struct strbuf sb;

	if (name != NULL)
		return xstrdup(name);
	strbuf_init(&sb, text, sizeof(text));
	for (size_t i = 0; i < e->classes.n; i++)
		strbuf_printf(&sb, "%s%s", i != 0 ? ", " : "", e->classes.v[i].s);
	return xstrdup(text);
}

struct named {
	char	*name;
	size_t	 i;
	unsigned same;		/* from 1: which of those of this name */
};

static int
by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : x->i < y->i ? -1 : 1;
}

static int
by_place(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return x->i < y->i ? -1 : x->i > y->i;
}

static void
walk_groups(const struct walking *w, const struct conf_item *it, const struct conf_groups *groups)
{
	const struct entry_conf *entries = groups->v;
	struct named *v = xcalloc(groups->n + 1, sizeof(*v));

	for (size_t i = 0; i < groups->n; i++)
		v[i] = (struct named){ name_of_group(&entries[i]), i, 1 };
	qsort(v, groups->n, sizeof(*v), by_name);
	for (size_t i = 1; i < groups->n; i++)
		if (strcmp(v[i].name, v[i - 1].name) == 0)
			v[i].same = v[i - 1].same + 1;
	qsort(v, groups->n, sizeof(*v), by_place);
	for (size_t i = 0; i < groups->n; i++) {
		size_t n = strlen(v[i].name);

		if (v[i].same > 1) {
			v[i].name = xrealloc(v[i].name, n + 16);
			snprintf(v[i].name + n, 16, " (%u)", v[i].same);
		}
		walk_items(w, it->sub, &entries[i], it->path, v[i].name);
	}
	for (size_t i = 0; i < groups->n; i++)
		free(v[i].name);
	free(v);
}

int
policyfile_walk(const char *name, struct span text, const char *dir, void (*each)(void *arg, const char *list,
    const char *group, const char *option, bool element, const char *value), void *arg, struct conf_errors *errs)
{
	struct walking w = { each, arg };
	struct policy_conf c = { .remote_users = false };
	int err = conf_load_text(name, text, dir, policy_items, &c, errs);

	if (err == SP_OK)
		walk_items(&w, policy_items, &c, NULL, NULL);
	conf_unload(policy_items, &c);
	return err == SP_OK ? SP_OK : SP_EINVAL;
}

void
policyfile_print_options(FILE *f)
{
	conf_print_options(policy_items, f);
}
