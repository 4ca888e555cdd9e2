/*
 * policy/rules.c - from (key, value, place) to rules, or to the list of all errors.
 *
 * Adding only keeps the pairs. Finishing reads them in order, one handler for
 * each key, then looks for rules that contradict each other (policy/conflict.c).
 */
#include "policy/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/mem.h"
#include "policy/build.h"
#include "policy/keys.h"

struct pair {
	char	*key, *value;
	size_t	 file;		/* index into files */
	int	 line;
};

struct policy_builder {
	struct pair	*pairs;
	size_t		 npairs, maxpairs;
	char		**files;
	size_t		 nfiles;
	bool		 overfull;
};

struct policy_builder *
policy_builder_new(void)
{
	return xcalloc(1, sizeof(struct policy_builder));
}

static void
builder_clear(struct policy_builder *b)
{
	for (size_t i = 0; i < b->npairs; i++) {
		free(b->pairs[i].key);
		free(b->pairs[i].value);
	}
	for (size_t i = 0; i < b->nfiles; i++)
		free(b->files[i]);
	free(b->pairs);
	free(b->files);
	*b = (struct policy_builder){ 0 };
}

void
policy_builder_free(struct policy_builder *b)
{
	if (b == NULL)
		return;
	builder_clear(b);
	free(b);
}

/* Pairs of one file come together, so the last file is nearly always the one. */
static size_t
file_index(struct policy_builder *b, const char *file)
{
	for (size_t i = b->nfiles; i-- > 0; )
		if (strcmp(b->files[i], file) == 0)
			return i;
	b->files = xreallocarray(b->files, b->nfiles + 1, sizeof(*b->files));
	b->files[b->nfiles] = xstrdup(file);
	return b->nfiles++;
}

void
policy_builder_add(struct policy_builder *b, const char *file, int line, const char *key, const char *value)
{
	if (b->npairs == POLICY_RULES_MAX) {
		b->overfull = true;
		return;
	}
	if (b->npairs == b->maxpairs) {
		b->maxpairs = b->maxpairs != 0 ? b->maxpairs * 2 : 64;
		b->pairs = xreallocarray(b->pairs, b->maxpairs, sizeof(*b->pairs));
	}
	b->pairs[b->npairs++] = (struct pair){ xstrdup(key), xstrdup(value), file_index(b, file), line };
}

void
build_error(struct build *b, struct place at, const char *fmt, ...)
{
	struct build_error *e;
	char text[BUILD_ERROR_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (b->nerrors == b->maxerrors) {
		b->maxerrors = b->maxerrors != 0 ? b->maxerrors * 2 : 16;
		b->errors = xreallocarray(b->errors, b->maxerrors, sizeof(*b->errors));
	}
	e = &b->errors[b->nerrors];
	*e = (struct build_error){ at, b->nerrors, xstrdup(n < 0 ? fmt : text), 0 };
	b->nerrors++;
}

/* What an administrator wrote, as it may stand in a message: short and printable. */
const char *
build_shown(const char *value, char out[SHOWN_MAX])
{
	struct strbuf sb;

	strbuf_init(&sb, out, SHOWN_MAX);
	strbuf_quoted(&sb, span_str(value), 60);
	return out;
}

static void
read_switch(struct build *b, struct place at, const char *key, const char *value, int which)
{
	struct policy_rules *r = b->rules;
	char text[SHOWN_MAX];

	if (r->switch_at[which].file != NULL) {
		build_error(b, at, "%s: is set already (%s:%d)", key, r->switch_at[which].file,
		    r->switch_at[which].line);
		return;
	}
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
		build_error(b, at, "%s: expects on or off, not %s", key, build_shown(value, text));
		return;
	}
	r->on[which] = strcmp(value, "on") == 0;
	r->switch_at[which] = at;
}

/*
 * A domain with its reach into canonical form in buf. IP literals are domains
 * only where their switch is on, which may stand further down: they are
 * remembered and asked about at the end.
 */
bool
build_read_domain(struct build *b, struct place at, const char *key, const char *value, char buf[DOMAIN_MAX],
    struct span *name, enum name_reach *reach)
{
	struct span in = span_str(value);
	char text[SHOWN_MAX];
	bool is_ip;

	*reach = REACH_EXACT;
	if (in.n > 1 && in.p[0] == '.') {
		*reach = REACH_BELOW;
		in = span_tail(in, 1);
	}
	if (policy_domain_canon(in, buf, name, &is_ip) != SP_OK || (is_ip && *reach != REACH_EXACT)) {
		build_error(b, at, "%s: expects a domain name, not %s", key, build_shown(value, text));
		return false;
	}
	if (is_ip && b->first_ip.file == NULL) {
		b->first_ip = at;
		b->first_ip_key = key;
	}
	return true;
}

static void
read_internal(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	char buf[DOMAIN_MAX];
	struct span name;
	enum name_reach reach;
	const struct name_rule *was;

	(void)unused;
	if (!build_read_domain(b, at, key, value, buf, &name, &reach))
		return;
	if ((was = names_add(b->rules->names, NAME_INTERNAL, reach, name, 0, at.file, at.line)) != NULL)
		build_error(b, at, "%s: %s%s is given already (%s:%d)", key, reach == REACH_BELOW ? "." : "", buf,
		    was->file, was->line);
}

/* The same block twice is no contradiction: lists are often put together from several. */
static void
read_blocked(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	char buf[DOMAIN_MAX];
	struct span name;
	enum name_reach reach;

	(void)unused;
	if (!build_read_domain(b, at, key, value, buf, &name, &reach))
		return;
	if (reach != REACH_EXACT) {
		build_error(b, at, "%s: a block covers the sub-domains by itself: write %s", key, buf);
		return;
	}
	names_add(b->rules->names, NAME_BLOCKED, REACH_ALL, name, 0, at.file, at.line);
}

/* A host name, or one with '*' in any label but the last. */
bool
build_read_pattern(const char *value, char buf[DOMAIN_MAX], struct span *name, enum name_reach *reach)
{
	char probe[DOMAIN_MAX], again[DOMAIN_MAX];
	struct span in = span_str(value), host;
	const char *star = strrchr(value, '*');
	bool is_ip;

	*reach = REACH_EXACT;
	if (star == NULL)
		return policy_domain_canon(in, buf, name, &is_ip) == SP_OK && !is_ip;
	if (in.n >= DOMAIN_MAX || strchr(star, '.') == NULL)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		if ((unsigned char)in.p[i] >= 0x80)
			return false;	/* part of a label has no A-label form */
		buf[i] = (char)span_lower((unsigned char)in.p[i]);
		probe[i] = buf[i] == '*' ? 'x' : buf[i];
	}
	buf[in.n] = '\0';
	*name = span_of(buf, in.n);
	*reach = REACH_PATTERN;
	return policy_domain_canon(span_of(probe, in.n), again, &host, &is_ip) == SP_OK && !is_ip &&
	    host.n == in.n;
}

static void
read_internal_server(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	char buf[DOMAIN_MAX], text[SHOWN_MAX];
	struct span name;
	enum name_reach reach;
	const struct name_rule *was;

	(void)unused;
	if (!build_read_pattern(value, buf, &name, &reach)) {
		build_error(b, at, "%s: expects a server name (\"*\" within a label, not the last), not %s", key,
		    build_shown(value, text));
		return;
	}
	was = names_add(b->rules->names, NAME_INTERNAL_SERVER, reach, name, 0, at.file, at.line);
	if (was != NULL)
		build_error(b, at, "%s: %s is given already (%s:%d)", key, buf, was->file, was->line);
}

/* RFC 3261 25.1, token. */
static bool
is_token(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~");

	return n > 0 && s[n] == '\0';
}

static void
read_refuse_method(struct build *b, struct place at, const char *key, const char *value, int class)
{
	struct policy_rules *r = b->rules;
	enum policy_method m = policy_method_of(span_str(value));
	char text[SHOWN_MAX];

	if (!is_token(value)) {
		build_error(b, at, "%s: expects the name of a method, not %s", key, build_shown(value, text));
	} else if (m == POLICY_METHOD_ACK || m == POLICY_METHOD_CANCEL) {
		build_error(b, at, "%s: %s goes with its INVITE: refuse INVITE instead", key, value);
	} else if (m != POLICY_METHOD_OTHER) {
		if (r->refused[class][m].file == NULL)
			r->refused[class][m] = at;
	} else if (r->nothers == REFUSE_OTHERS_MAX) {
		build_error(b, at, "%s: more than %d methods that SIP does not know", key, REFUSE_OTHERS_MAX);
	} else {
		r->others = xreallocarray(r->others, r->nothers + 1, sizeof(*r->others));
		r->others[r->nothers++] =
		    (struct other_method){ span_of(xstrdup(value), strlen(value)), (enum policy_class)class, at };
	}
}

static const struct {
	const char	*key;
	build_read	*read;
	int		 which;
} keys[] = {
	{ "domain", read_internal, 0 },
	{ "blocked", read_blocked, 0 },
	{ "remote-users", read_switch, SWITCH_REMOTE_USERS },
	{ "federation", read_switch, SWITCH_FEDERATION },
	{ "ip-literals", read_switch, SWITCH_IP_LITERALS },
	{ "mark-verifiable", read_switch, SWITCH_MARK_VERIFIABLE },
	{ "archiving-notice", read_switch, SWITCH_ARCHIVING_NOTICE },
	{ "discovery", read_switch, SWITCH_DISCOVERY },
	{ "open-federation", read_switch, SWITCH_OPEN_FEDERATION },
	{ "clearinghouse", read_switch, SWITCH_CLEARINGHOUSE },
	{ "strict-provider-domains", read_switch, SWITCH_STRICT_PROVIDERS },
	{ "assert-identity", read_switch, SWITCH_ASSERT_IDENTITY },
	{ "diagnostics-partners", read_switch, SWITCH_DIAGNOSTICS_PARTNERS },
	{ "diagnostics-users", read_switch, SWITCH_DIAGNOSTICS_USERS },
	{ "discovered-verification", build_read_discovered_word, 0 },
	{ "internal-server", read_internal_server, 0 },
	{ "refuse-method", read_refuse_method, POLICY_CLASS_UNKNOWN },
	{ "refuse-method.remote-user", read_refuse_method, POLICY_CLASS_REMOTE_USER },
	{ "refuse-method.branch", read_refuse_method, POLICY_CLASS_BRANCH },
	{ "refuse-method.direct", read_refuse_method, POLICY_CLASS_DIRECT },
	{ "refuse-method.enhanced", read_refuse_method, POLICY_CLASS_ENHANCED },
	{ "refuse-method.provider", read_refuse_method, POLICY_CLASS_PROVIDER },
	{ "refuse-method.clearinghouse", read_refuse_method, POLICY_CLASS_CLEARINGHOUSE },
	{ "partner", build_read_partner, GROUP_PARTNER },
	{ "partner.server", build_read_server, GROUP_PARTNER },
	{ "partner.port", build_read_port, GROUP_KEY(GROUP_PARTNER, KEY_PORT) },
	{ "partner.domain", build_read_partner_domain, GROUP_PARTNER },
	{ "partner.verification", build_read_word, GROUP_KEY(GROUP_PARTNER, KEY_VERIFICATION) },
	{ "partner.cn", build_read_flag, GROUP_KEY(GROUP_PARTNER, KEY_CN) },
	{ "partner.certificate", build_read_key_rule, GROUP_PARTNER },
	{ "partner.pin", build_read_pin, GROUP_PARTNER },
	{ "refused-certificate", build_read_refused_certificate, 0 },
	{ "partner.trusted", build_read_flag, GROUP_KEY(GROUP_PARTNER, KEY_TRUSTED) },
	{ "partner.paused", build_read_flag, GROUP_KEY(GROUP_PARTNER, KEY_PAUSED) },
	{ "partner.member", build_read_flag, GROUP_KEY(GROUP_PARTNER, KEY_MEMBER) },
	{ "partner.reach", build_read_reach, GROUP_PARTNER },
	{ "provider", build_read_provider, GROUP_PROVIDER },
	{ "provider.server", build_read_server, GROUP_PROVIDER },
	{ "provider.port", build_read_port, GROUP_KEY(GROUP_PROVIDER, KEY_PORT) },
	{ "provider.enabled", build_read_flag, GROUP_KEY(GROUP_PROVIDER, KEY_ENABLED) },
	{ "provider.paused", build_read_flag, GROUP_KEY(GROUP_PROVIDER, KEY_PAUSED) },
	{ "provider.public", build_read_flag, GROUP_KEY(GROUP_PROVIDER, KEY_PUBLIC) },
	{ "provider.verification", build_read_word, GROUP_KEY(GROUP_PROVIDER, KEY_VERIFICATION) },
	{ "provider.cn", build_read_flag, GROUP_KEY(GROUP_PROVIDER, KEY_CN) },
	{ "provider.certificate", build_read_key_rule, GROUP_PROVIDER },
	{ "provider.pin", build_read_pin, GROUP_PROVIDER },
	{ "branch", build_read_branch, GROUP_BRANCH },
	{ "branch.cn", build_read_flag, GROUP_KEY(GROUP_BRANCH, KEY_CN) },
	{ "branch.certificate", build_read_key_rule, GROUP_BRANCH },
	{ "branch.pin", build_read_pin, GROUP_BRANCH },
	{ "default-route", build_read_default_route, GROUP_DEFAULT_ROUTE },
	{ "default-route.port", build_read_port, GROUP_KEY(GROUP_DEFAULT_ROUTE, KEY_PORT) },
	{ "default-route.verification", build_read_word, GROUP_KEY(GROUP_DEFAULT_ROUTE, KEY_VERIFICATION) },
	{ "default-route.public", build_read_flag, GROUP_KEY(GROUP_DEFAULT_ROUTE, KEY_PUBLIC) },
	{ "default-route.trusted", build_read_flag, GROUP_KEY(GROUP_DEFAULT_ROUTE, KEY_TRUSTED) },
	{ "default-route.cn", build_read_flag, GROUP_KEY(GROUP_DEFAULT_ROUTE, KEY_CN) },
	{ "default-route.certificate", build_read_key_rule, GROUP_DEFAULT_ROUTE },
	{ "default-route.pin", build_read_pin, GROUP_DEFAULT_ROUTE },
	{ "route", build_read_route, GROUP_ROUTE },
	{ "route.server", build_read_server, GROUP_ROUTE },
	{ "route.port", build_read_port, GROUP_KEY(GROUP_ROUTE, KEY_PORT) },
	{ "route.replace-host", build_read_flag, GROUP_KEY(GROUP_ROUTE, KEY_REPLACE_HOST) },
	{ "allowed", build_read_allowed, GROUP_ALLOWED },
	{ "allowed.verification", build_read_word, GROUP_KEY(GROUP_ALLOWED, KEY_VERIFICATION) },
	{ "allowed.record", build_read_record, GROUP_KEY(GROUP_ALLOWED, KEY_RECORD) },
	{ "content", build_read_content, 0 },
	{ "content.class", build_read_content_class, 0 },
	{ "content.links", build_read_content_choice, CONTENT_LINKS },
	{ "content.files", build_read_content_choice, CONTENT_FILES },
	{ "content.sealed", build_read_content_choice, CONTENT_SEALED },
	{ "content.own-links", build_read_content_choice, CONTENT_OWN },
	{ "content.bare-domains", build_read_content_choice, CONTENT_BARE },
	{ "content.direction", build_read_content_choice, CONTENT_DIRECTION },
	{ "content.scheme", build_read_content_scheme, 0 },
	{ "content.extension", build_read_content_extension, 0 },
	{ "content.warning", build_read_content_warning, 0 },
};

static void
read_pair(struct build *b, struct place at, const struct pair *pair)
{
	char text[SHOWN_MAX];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(pair->key, keys[i].key) == 0) {
			keys[i].read(b, at, keys[i].key, pair->value, keys[i].which);
			return;
		}
	}
	build_error(b, at, "%s: there is no such key", build_shown(pair->key, text));
}

static size_t
file_rank(const struct policy_rules *r, const char *file)
{
	size_t i = 0;

	while (i < r->nfiles && r->files[i] != file)
		i++;
	return i;
}

static int
by_place(const void *va, const void *vb)
{
	const struct build_error *a = va, *b = vb;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static void
report_errors(struct build *b, void (*report)(void *, const char *, int, const char *), void *arg)
{
	for (size_t i = 0; i < b->nerrors; i++)
		b->errors[i].rank = file_rank(b->rules, b->errors[i].at.file);
	if (b->nerrors > 1)
		qsort(b->errors, b->nerrors, sizeof(*b->errors), by_place);
	for (size_t i = 0; i < b->nerrors; i++) {
		if (report != NULL)
			report(arg, b->errors[i].at.file, b->errors[i].at.line, b->errors[i].text);
		free(b->errors[i].text);
	}
	free(b->errors);
}

static struct policy_rules *
rules_new(void)
{
	struct policy_rules *r = xcalloc(1, sizeof(*r));

	atomic_init(&r->refs, 1);
	r->names = names_new();
	r->default_route = NO_PARTNER;
	r->on[SWITCH_REMOTE_USERS] = true;
	r->on[SWITCH_MARK_VERIFIABLE] = true;
	return r;
}

struct policy_rules *
policy_builder_finish(struct policy_builder *pb, void (*report)(void *, const char *, int, const char *),
    void *arg)
{
	struct build b = { .rules = rules_new() };

	/* The rules' places borrow the file names: they move over. */
	b.rules->files = pb->files;
	b.rules->nfiles = pb->nfiles;
	pb->files = NULL;
	pb->nfiles = 0;
	for (size_t i = 0; i < pb->npairs; i++)
		read_pair(&b, (struct place){ b.rules->files[pb->pairs[i].file], pb->pairs[i].line },
		    &pb->pairs[i]);
	build_finish_servers(&b);
	if (pb->overfull)
		build_error(&b, (struct place){ b.rules->files[b.rules->nfiles - 1], 0 },
		    "more than %d rules", POLICY_RULES_MAX);
	if (b.first_ip.file != NULL && !b.rules->on[SWITCH_IP_LITERALS])
		build_error(&b, b.first_ip, "%s: an IP address is a domain only with ip-literals on",
		    b.first_ip_key);
	build_finish_keys(&b);
	build_finish_content(&b);
	build_find_conflicts(&b);
	if (b.nerrors != 0) {
		report_errors(&b, report, arg);
		policy_rules_unref(b.rules);
		b.rules = NULL;
	}
	builder_clear(pb);
	return b.rules;
}

struct policy_rules *
policy_rules_ref(struct policy_rules *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void
policy_rules_unref(struct policy_rules *r)
{
	/* The last one out sees everything that the others did before they let go. */
	if (r == NULL || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < r->npartners; i++) {
		free((char *)(uintptr_t)r->partners[i].shown.name);
		free((char *)(uintptr_t)r->partners[i].shown.server);
		free(r->partners[i].reach);
	}
	for (size_t i = 0; i < r->nallowed; i++)
		free((char *)(uintptr_t)r->allowed[i].record.p);
	for (size_t i = 0; i < r->nroutes; i++) {
		free((char *)(uintptr_t)r->routes[i].user.p);
		free((char *)(uintptr_t)r->routes[i].host.p);
	}
	for (size_t i = 0; i < r->nothers; i++)
		free((char *)(uintptr_t)r->others[i].name.p);
	for (size_t i = 0; i < r->nfiles; i++)
		free(r->files[i]);
	names_free(r->names);
	keys_free(r);
	contents_free(r->contents);
	free(r->partners);
	free(r->allowed);
	free(r->routes);
	free(r->others);
	free(r->files);
	free(r);
}

size_t
policy_partner_count(const struct policy_rules *r)
{
	return r->npartners;
}

const struct policy_partner *
policy_partner_get(const struct policy_rules *r, size_t i)
{
	return &r->partners[i].shown;
}

enum policy_class
policy_partner_class(const struct policy_rules *r, size_t i)
{
	return r->partners[i].class;
}

void
policy_partner_terms_of(const struct policy_rules *r, size_t i, struct policy_partner_terms *out)
{
	static const char *const certificates[] = {
		[KEY_SERVER_ONLY] = "server-only", [KEY_STRICT] = "strict", [KEY_PINNED] = "pinned"
	};
	static const char *const words[] = {
		[WORD_USE_SOURCE] = "use-source-verification", [WORD_ALWAYS_VERIFIABLE] = "always-verifiable",
		[WORD_ALWAYS_UNVERIFIABLE] = "always-unverifiable"
	};
	const struct partner *p = &r->partners[i];

	*out = (struct policy_partner_terms){ .certificate = certificates[p->key_rule], .paused = p->paused,
	    .trusted = p->trusted, .member = p->member, .public_network = p->public_network,
	    .enabled = p->class != POLICY_CLASS_PROVIDER || p->enabled };
	if (p->class != POLICY_CLASS_BRANCH && p->class != POLICY_CLASS_UNKNOWN)
		out->verification = words[p->word];
}

void
policy_partner_each_domain(const struct policy_rules *r, size_t i, void (*each)(void *arg, struct span domain, bool below),
    void *arg)
{
	size_t n;
	const struct name_rule *all = names_all(r->names, &n);

	for (size_t k = 0; k < n; k++)
		if (all[k].kind == NAME_PARTNER && all[k].value == i)
			each(arg, all[k].name, all[k].reach == REACH_BELOW);
}

size_t
policy_partner_pins(const struct policy_rules *r, size_t i, const unsigned char **out, size_t max)
{
	size_t n = 0;

	for (size_t k = 0; k < r->npins; k++) {
		if (r->pins[k].partner != i)
			continue;
		if (n < max)
			out[n] = r->pins[k].spki;
		n++;
	}
	return n;
}

size_t
policy_partner_of_server(const struct policy_rules *r, struct span server)
{
	const struct name_rule *rule = names_exact(r->names, NAME_SERVER, server);

	return rule != NULL ? rule->value : SIZE_MAX;
}

size_t
policy_partner_of_domain(const struct policy_rules *r, struct span domain)
{
	struct name_match m;

	names_match(r->names, domain, &m);
	return m.rule[NAME_PARTNER] != NULL ? m.rule[NAME_PARTNER]->value : SIZE_MAX;
}

bool
policy_shows_diagnostics(const struct policy_rules *r, bool to_partner)
{
	return r->on[to_partner ? SWITCH_DIAGNOSTICS_PARTNERS : SWITCH_DIAGNOSTICS_USERS];
}

bool
policy_only_relays(const struct policy_rules *r)
{
	size_t n;
	const struct name_rule *all = names_all(r->names, &n);

	for (size_t i = 0; i < n; i++)
		if (all[i].kind == NAME_INTERNAL)
			return false;
	return r->on[SWITCH_CLEARINGHOUSE] && r->nbranches == 0;
}

bool
policy_internal_server(const struct policy_rules *r, char out[256])
{
	size_t n;
	const struct name_rule *all = names_all(r->names, &n);

	for (size_t i = 0; i < n; i++) {
		if (all[i].kind != NAME_INTERNAL_SERVER)
			continue;
		for (size_t k = 0; k < all[i].name.n; k++)
			out[k] = all[i].name.p[k] == '*' ? 'x' : all[i].name.p[k];
		out[all[i].name.n] = '\0';
		return true;
	}
	return false;
}

bool
policy_next_internal_domain(const struct policy_rules *r, size_t *i, struct span *domain, bool *below)
{
	size_t n;
	const struct name_rule *all = names_all(r->names, &n);

	while (*i < n) {
		const struct name_rule *rule = &all[(*i)++];

		if (rule->kind != NAME_INTERNAL)
			continue;
		*domain = rule->name;
		*below = rule->reach == REACH_BELOW;
		return true;
	}
	return false;
}

bool
policy_is_internal_domain(const struct policy_rules *r, const char *p, size_t n)
{
	struct name_match m;

	names_match(r->names, span_of(p, n), &m);
	return m.rule[NAME_INTERNAL] != NULL && m.rule[NAME_BLOCKED] == NULL;
}

bool
policy_may_vouch_for(const struct policy_rules *r, size_t i, const char *p, size_t n)
{
	const struct name_rule *theirs;
	struct name_match m;

	names_match(r->names, span_of(p, n), &m);
	theirs = m.rule[NAME_PARTNER];
	if (m.rule[NAME_INTERNAL] != NULL || m.rule[NAME_BLOCKED] != NULL)
		return false;
	if (r->partners[i].class == POLICY_CLASS_DIRECT)
		return theirs != NULL && theirs->value == i;
	return theirs == NULL;
}
