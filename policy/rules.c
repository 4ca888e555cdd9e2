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
#include "policy/domain.h"
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
static bool
read_domain(struct build *b, struct place at, const char *key, const char *value, char buf[DOMAIN_MAX],
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
	if (!read_domain(b, at, key, value, buf, &name, &reach))
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
	if (!read_domain(b, at, key, value, buf, &name, &reach))
		return;
	if (reach != REACH_EXACT) {
		build_error(b, at, "%s: a block covers the sub-domains by itself: write %s", key, buf);
		return;
	}
	names_add(b->rules->names, NAME_BLOCKED, REACH_ALL, name, 0, at.file, at.line);
}

/* A host name, or one with '*' in any label but the last. */
static bool
read_server_pattern(const char *value, char buf[DOMAIN_MAX], struct span *name, enum name_reach *reach)
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
	if (!read_server_pattern(value, buf, &name, &reach)) {
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
read_refuse_method(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct policy_rules *r = b->rules;
	enum policy_method m = policy_method_of(span_str(value));
	char text[SHOWN_MAX];

	(void)unused;
	if (!is_token(value)) {
		build_error(b, at, "%s: expects the name of a method, not %s", key, build_shown(value, text));
	} else if (m == POLICY_METHOD_ACK || m == POLICY_METHOD_CANCEL) {
		build_error(b, at, "%s: %s goes with its INVITE: refuse INVITE instead", key, value);
	} else if (m != POLICY_METHOD_OTHER) {
		if (r->refused[m].file == NULL)
			r->refused[m] = at;
	} else if (r->nothers == REFUSE_OTHERS_MAX) {
		build_error(b, at, "%s: more than %d methods that SIP does not know", key, REFUSE_OTHERS_MAX);
	} else {
		r->others = xreallocarray(r->others, r->nothers + 1, sizeof(*r->others));
		r->others[r->nothers++] =
		    (struct other_method){ span_of(xstrdup(value), strlen(value)), at };
	}
}

/* What a partner lacks is known when the next one opens, or at the end. */
static void
close_partner(struct build *b)
{
	struct partner *p;

	if (b->rules->npartners == 0)
		return;
	p = &b->rules->partners[b->rules->npartners - 1];
	if (!b->partner_server_seen)
		build_error(b, p->at, "partner: %s has no server", p->shown.name);
	if (!b->partner_domain_seen)
		build_error(b, p->at, "partner: %s has no domain", p->shown.name);
}

static bool
is_display_name(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return n > 0 && n <= PARTNER_NAME_MAX;
}

static void
read_partner(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct policy_rules *r = b->rules;
	char text[SHOWN_MAX];
	struct partner *p;

	(void)unused;
	close_partner(b);
	b->partner_server_seen = b->partner_domain_seen = false;
	b->partner_port_at = b->partner_cn_at = (struct place){ NULL, 0 };
	r->partners = xreallocarray(r->partners, r->npartners + 1, sizeof(*r->partners));
	p = &r->partners[r->npartners++];
	*p = (struct partner){ .at = at };
	p->shown.port = 5061;
	p->shown.server = xstrdup("");
	/* A good name goes into logs and status pages as it stands; a bad one only into messages, escaped. */
	if (is_display_name(value)) {
		p->shown.name = xstrdup(value);
		return;
	}
	p->shown.name = xstrdup(build_shown(value, text));
	build_error(b, at, "%s: expects a display name of 1 to %d printable characters, not %s", key,
	    PARTNER_NAME_MAX, p->shown.name);
}

struct partner *
build_current_partner(struct build *b, struct place at, const char *key)
{
	if (b->rules->npartners != 0)
		return &b->rules->partners[b->rules->npartners - 1];
	build_error(b, at, "%s: stands before any partner", key);
	return NULL;
}

static void
read_partner_server(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct partner *p = build_current_partner(b, at, key);
	char buf[DOMAIN_MAX], text[SHOWN_MAX];
	const struct name_rule *was;
	struct span name;
	bool is_ip;

	(void)unused;
	if (p == NULL)
		return;
	if (b->partner_server_seen) {
		build_error(b, at, "%s: partner %s has a server already: %s", key, p->shown.name, p->shown.server);
		return;
	}
	b->partner_server_seen = true;
	if (policy_domain_canon(span_str(value), buf, &name, &is_ip) != SP_OK || is_ip) {
		build_error(b, at, "%s: expects the server's full name, not %s", key, build_shown(value, text));
		return;
	}
	was = names_add(b->rules->names, NAME_PARTNER_SERVER, REACH_EXACT, name,
	    (uint32_t)b->rules->npartners - 1, at.file, at.line);
	if (was != NULL) {
		build_error(b, at, "%s: %s is the server of partner %s already (%s:%d): list all domains there",
		    key, buf, b->rules->partners[was->value].shown.name, was->file, was->line);
		return;
	}
	free((char *)(uintptr_t)p->shown.server);
	p->shown.server = xmemdup(name.p, name.n);
	p->server_len = name.n;
}

static void
read_partner_domain(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct partner *p = build_current_partner(b, at, key);
	char buf[DOMAIN_MAX];
	struct span name;
	enum name_reach reach;
	const struct name_rule *was;

	(void)unused;
	if (p == NULL)
		return;
	b->partner_domain_seen = true;
	if (!read_domain(b, at, key, value, buf, &name, &reach))
		return;
	was = names_add(b->rules->names, NAME_PARTNER, reach, name, (uint32_t)b->rules->npartners - 1, at.file,
	    at.line);
	if (was != NULL)
		build_error(b, at, "%s: %s%s belongs to partner %s already (%s:%d)", key,
		    reach == REACH_BELOW ? "." : "", buf, b->rules->partners[was->value].shown.name, was->file, was->line);
}

static void
read_partner_port(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct partner *p = build_current_partner(b, at, key);
	char text[SHOWN_MAX];
	uint64_t port;

	(void)unused;
	if (p == NULL)
		return;
	if (b->partner_port_at.file != NULL)
		build_error(b, at, "%s: is set already (%s:%d)", key, b->partner_port_at.file,
		    b->partner_port_at.line);
	else if (!span_uint(span_str(value), 65535, &port) || port == 0)
		build_error(b, at, "%s: expects a number from 1 to 65535, not %s", key, build_shown(value, text));
	else
		p->shown.port = (uint16_t)port;
	b->partner_port_at = at;
}

static void
read_partner_word(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	static const char *const words[] = {
		[WORD_USE_SOURCE] = "use-source-verification",
		[WORD_ALWAYS_VERIFIABLE] = "always-verifiable",
		[WORD_ALWAYS_UNVERIFIABLE] = "always-unverifiable",
	};
	struct partner *p = build_current_partner(b, at, key);
	char text[SHOWN_MAX];

	(void)unused;
	if (p == NULL)
		return;
	if (p->word_at.file != NULL) {
		build_error(b, at, "%s: is set already (%s:%d)", key, p->word_at.file, p->word_at.line);
		return;
	}
	p->word_at = at;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(value, words[i]) == 0) {
			p->word = (enum partner_word)i;
			return;
		}
	}
	build_error(b, at, "%s: expects always-verifiable, always-unverifiable or use-source-verification, not %s",
	    key, build_shown(value, text));
}

static void
read_partner_cn(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct partner *p = build_current_partner(b, at, key);
	char text[SHOWN_MAX];

	(void)unused;
	if (p == NULL)
		return;
	if (b->partner_cn_at.file != NULL)
		build_error(b, at, "%s: is set already (%s:%d)", key, b->partner_cn_at.file, b->partner_cn_at.line);
	else if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		build_error(b, at, "%s: expects on or off, not %s", key, build_shown(value, text));
	else
		p->shown.accept_cn = strcmp(value, "on") == 0;
	b->partner_cn_at = at;
}

static const struct {
	const char	*key;
	void		(*read)(struct build *, struct place, const char *key, const char *value, int which);
	int		 which;
} keys[] = {
	{ "domain", read_internal, 0 },
	{ "blocked", read_blocked, 0 },
	{ "remote-users", read_switch, SWITCH_REMOTE_USERS },
	{ "federation", read_switch, SWITCH_FEDERATION },
	{ "ip-literals", read_switch, SWITCH_IP_LITERALS },
	{ "mark-verifiable", read_switch, SWITCH_MARK_VERIFIABLE },
	{ "archiving-notice", read_switch, SWITCH_ARCHIVING_NOTICE },
	{ "internal-server", read_internal_server, 0 },
	{ "refuse-method", read_refuse_method, 0 },
	{ "partner", read_partner, 0 },
	{ "partner.server", read_partner_server, 0 },
	{ "partner.port", read_partner_port, 0 },
	{ "partner.domain", read_partner_domain, 0 },
	{ "partner.verification", read_partner_word, 0 },
	{ "partner.cn", read_partner_cn, 0 },
	{ "partner.certificate", build_read_key_rule, 0 },
	{ "partner.pin", build_read_pin, 0 },
	{ "refused-certificate", build_read_refused_certificate, 0 },
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
	close_partner(&b);
	if (pb->overfull)
		build_error(&b, (struct place){ b.rules->files[b.rules->nfiles - 1], 0 },
		    "more than %d rules", POLICY_RULES_MAX);
	if (b.first_ip.file != NULL && !b.rules->on[SWITCH_IP_LITERALS])
		build_error(&b, b.first_ip, "%s: an IP address is a domain only with ip-literals on",
		    b.first_ip_key);
	build_finish_keys(&b);
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
	}
	for (size_t i = 0; i < r->nothers; i++)
		free((char *)(uintptr_t)r->others[i].name.p);
	for (size_t i = 0; i < r->nfiles; i++)
		free(r->files[i]);
	names_free(r->names);
	keys_free(r);
	free(r->partners);
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

bool
policy_is_internal_domain(const struct policy_rules *r, const char *p, size_t n)
{
	struct name_match m;

	names_match(r->names, span_of(p, n), &m);
	return m.rule[NAME_INTERNAL] != NULL && m.rule[NAME_BLOCKED] == NULL;
}
