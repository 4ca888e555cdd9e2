/*
 * admin/policyedit.c - small changes of a policy's text; see policyedit.h.
 *
 * The text is read as tokens of libconfig's grammar, only far enough to know where
 * a setting and its values stand. What comes of an edit is compared with what was
 * there by meaning, so that a mistake here can refuse an edit, and never make a wrong one.
 */
#include "admin/policyedit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin/conftokens.h"
#include "admin/policydiff.h"
#include "admin/policyfile.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "policy/domain.h"

/* The text that stands in the token; false: with escapes, or none. */
static bool
text_of(const struct conftokens *s, struct span *out)
{
	if (s->now.kind != TOKEN_STRING || s->now.end - s->now.at < 2)
		return false;
	*out = span_of(s->text.p + s->now.at + 1, s->now.end - s->now.at - 2);
	return span_find(*out, '\\') == out->n;
}

/* ---- cutting and pasting ---- */

/* text with what stands from at to end replaced; the caller's to free. */
static char *
splice(struct span text, size_t at, size_t end, const char *with, size_t *n)
{
	size_t k = strlen(with);
	char *p = xmalloc(text.n - (end - at) + k + 1);

	memcpy(p, text.p, at);
	memcpy(p + at, with, k);
	memcpy(p + at + k, text.p + end, text.n - end);
	*n = text.n - (end - at) + k;
	p[*n] = '\0';
	return p;
}

static size_t
line_begin(struct span text, size_t at)
{
	while (at > 0 && text.p[at - 1] != '\n')
		at--;
	return at;
}

/* Where the line ends: at its newline, or at the end of the text. */
static size_t
line_end(struct span text, size_t at)
{
	while (at < text.n && text.p[at] != '\n')
		at++;
	return at;
}

static bool
is_blank(struct span text, size_t from, size_t to)
{
	for (; from < to; from++)
		if (text.p[from] != ' ' && text.p[from] != '\t' && text.p[from] != '\r')
			return false;
	return true;
}

/* What stands before at in its line, if that is nothing but space. */
static struct span
indent_of(struct span text, size_t at)
{
	size_t from = line_begin(text, at);

	return is_blank(text, from, at) ? span_of(text.p + from, at - from) : SPAN_NONE;
}

/* ---- proving ---- */

static bool
domain_is(const char *text, const char *canon)
{
	char storage[DOMAIN_MAX];
	struct span d;
	bool is_ip;

	return policy_domain_canon(span_str(text), storage, &d, &is_ip) == SP_OK && span_is(d, canon);
}

struct wanted {
	enum policydiff_kind	 kind;
	const char		*option;
	const char		*domain;	/* canonical; NULL: not about one */
	const char		*group;		/* NULL: at the top */
	const char		*now;		/* of POLICYDIFF_CHANGED */
};

/* Is that the one difference? Errors of the new text are said by who looks at it as a whole. */
static bool
proves(const struct policyedit *e, const char *p, size_t n, const struct wanted *w)
{
	struct conf_errors *quiet = conf_errors_new();
	struct policydiff *d = policydiff_new(e->name, e->text, e->name, span_of(p, n), e->dir, quiet);
	bool good = false;

	if (d != NULL && policydiff_count(d) == 1) {
		const struct policydiff_entry *one = policydiff_get(d, 0);
		const char *value = w->kind == POLICYDIFF_REMOVED ? one->was : one->now;

		good = one->kind == w->kind && one->option != NULL && strcmp(one->option, w->option) == 0 &&
		    (one->group == NULL) == (w->group == NULL) && (w->group == NULL || strcmp(one->group, w->group) == 0) &&
		    (w->domain == NULL || domain_is(value, w->domain)) && (w->now == NULL || strcmp(value, w->now) == 0);
	}
	policydiff_free(d);
	conf_errors_free(quiet);
	return good;
}

static int
unsafe(const struct policyedit *e, const char *what, struct conf_errors *errs)
{
	conf_error(errs, e->name, 0, "%s cannot be changed safely here: it is written in a way, or in an included file, "
	    "that only a person should edit", what);
	return SP_EINVAL;
}

static void
ignore(void *arg, const char *list, const char *group, const char *option, bool element, const char *value)
{
	(void)arg, (void)list, (void)group, (void)option, (void)element, (void)value;
}

/* The text must be one that can be read before anything is put into it. */
static int
readable(const struct policyedit *e, struct conf_errors *errs)
{
	return policyfile_walk(e->name, e->text, e->dir, ignore, NULL, errs);
}

/* ---- block and unblock ---- */

/* The elements of a list of texts, and what stands around them. */
struct list {
	bool		 there, lone;		/* lone: one text without brackets */
	size_t		 open, close;		/* of the brackets: behind the one, at the other; lone: around the value */
	struct element {
		size_t	 at, end;
		struct span text;		/* SPAN_NONE: with escapes, or in several pieces */
		size_t	 comma;			/* at the comma behind it; 0: there is none */
	} *v;
	size_t		 n;
};

static void
read_list(struct span text, const char *name, struct list *l)
{
	struct conftokens s = conftoken_begin(text);
	size_t room = 0;

	*l = (struct list){ .there = conftoken_find(&s, name) };
	if (!l->there)
		return;
	l->lone = s.now.kind == TOKEN_STRING;
	l->open = l->lone ? s.now.at : s.now.end;
	if (!l->lone)
		conftoken_next(&s);
	while (s.now.kind == TOKEN_STRING) {
		struct element e = { s.now.at, s.now.end, SPAN_NONE, 0 };

		if (!text_of(&s, &e.text))
			e.text = SPAN_NONE;
		for (conftoken_next(&s); s.now.kind == TOKEN_STRING; conftoken_next(&s)) {
			e.end = s.now.end;
			e.text = SPAN_NONE;
		}
		if (conftoken_is(&s, ',') && !l->lone) {
			e.comma = s.now.at;
			conftoken_next(&s);
		}
		if (l->n == room) {
			room = room != 0 ? room * 2 : 64;
			l->v = xreallocarray(l->v, room, sizeof(*l->v));
		}
		l->v[l->n++] = e;
		if (l->lone)
			break;
	}
	l->close = l->lone ? l->v[0].end : s.now.at;
}

/* The domain as it is compared, or SP_EINVAL and said. */
static int
canon(const char *domain, char out[DOMAIN_MAX], struct conf_errors *errs)
{
	struct span d;
	bool is_ip;
	char storage[DOMAIN_MAX];

	if (policy_domain_canon(span_str(domain), storage, &d, &is_ip) != SP_OK || is_ip) {
		char shown[400];
		struct strbuf sb;

		strbuf_init(&sb, shown, sizeof(shown));
		strbuf_quoted(&sb, span_str(domain), 100);
		conf_error(errs, NULL, 0, "%s is not a domain", shown);
		return SP_EINVAL;
	}
	memcpy(out, d.p, d.n);
	out[d.n] = '\0';
	return SP_OK;
}

struct looking {
	const char	*domain;	/* canonical */
	bool		 itself;
	char		 above[DOMAIN_MAX];
};

/* What the policy says of a domain's being blocked, included files and all. */
static void
look(struct looking *k, const struct policydiff *d)
{
	for (size_t i = 0; i < policydiff_count(d); i++) {
		const struct policydiff_entry *e = policydiff_get(d, i);
		char storage[DOMAIN_MAX];
		struct span one;
		bool is_ip;

		if (e->group != NULL || e->option == NULL || strcmp(e->option, "blocked") != 0 || e->now == NULL ||
		    policy_domain_canon(span_str(e->now), storage, &one, &is_ip) != SP_OK)
			continue;
		if (span_is(one, k->domain))
			k->itself = true;
		else if (policy_domain_within(span_str(k->domain), one))
			snprintf(k->above, sizeof(k->above), "%.*s", SPAN_FMT(one));
	}
}

static int
look_for(const struct policyedit *e, struct looking *k, struct conf_errors *errs)
{
	static const char least[] = "internal_domains = \"x\"; internal_servers = \"x\";";
	struct policydiff *d = policydiff_new("", span_str(least), e->name, e->text, e->dir, errs);

	if (d == NULL)
		return SP_EINVAL;
	look(k, d);
	policydiff_free(d);
	return SP_OK;
}

/* Put a text behind the last element: in a line of its own if that has one (own_line), else beside it. */
static char *
put_behind(struct span text, const struct list *l, const char *quoted, bool own_line, size_t *n)
{
	const struct element *last = &l->v[l->n - 1];
	struct span indent = indent_of(text, last->at);
	size_t end = line_end(text, last->end), size = strlen(quoted) + indent.n + 8, stop;
	char *piece = xmalloc(size), *half, *p;
	bool alone = is_blank(text, line_begin(text, last->at), last->at) && end < text.n;

	if (!own_line || !alone) {
		snprintf(piece, size, ", %s", quoted);
		p = splice(text, last->end, last->end, piece, n);
	} else {
		/* before the bracket if that closes in the same line; else behind a comment of the last element's */
		stop = l->close < end ? last->end : end;
		snprintf(piece, size, "%s\n%.*s%s", l->close < end ? "," : "", SPAN_FMT(indent), quoted);
		half = splice(text, stop, stop, piece, n);
		p = half;
		if (l->close >= end && last->comma == 0) {
			p = splice(span_of(half, *n), last->end, last->end, ",", n);
			free(half);
		}
	}
	free(piece);
	return p;
}

static char *
put_in(struct span text, const struct list *l, const char *name, const char *quoted, bool own_line, size_t *n)
{
	size_t size = strlen(quoted) + strlen(name) + 32;
	char *piece, *p;

	if (l->there && !l->lone && l->n > 0)
		return put_behind(text, l, quoted, own_line, n);
	piece = xmalloc(size + (l->lone ? l->close - l->open : 0));
	if (!l->there) {
		snprintf(piece, size, "%s%s = [ %s ];\n", text.n != 0 && text.p[text.n - 1] != '\n' ? "\n" : "", name, quoted);
		p = splice(text, text.n, text.n, piece, n);
	} else if (l->lone) {
		sprintf(piece, "[ %.*s, %s ]", (int)(l->close - l->open), text.p + l->open, quoted);
		p = splice(text, l->open, l->close, piece, n);
	} else {
		snprintf(piece, size, " %s%s", quoted, l->open == l->close ? " " : "");
		p = splice(text, l->open, l->open, piece, n);
	}
	free(piece);
	return p;
}

int
policyedit_block(const struct policyedit *e, const char *domain, char **out, size_t *n, struct conf_errors *errs)
{
	char name[DOMAIN_MAX], quoted[DOMAIN_MAX + 2];
	struct looking k = { .domain = name };
	struct wanted w = { .kind = POLICYDIFF_ADDED, .option = "blocked", .domain = name };
	struct list l;
	int err;

	*out = NULL;
	if ((err = canon(domain, name, errs)) != SP_OK || (err = readable(e, errs)) != SP_OK ||
	    (err = look_for(e, &k, errs)) != SP_OK)
		return err;
	if (k.itself) {
		conf_error(errs, NULL, 0, "%s is blocked already", name);
		return SP_EEXIST;
	}
	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	read_list(e->text, "blocked", &l);
	for (int way = 0; way < 2 && *out == NULL; way++) {
		char *p = put_in(e->text, &l, "blocked", quoted, way == 0, n);

		if (proves(e, p, *n, &w))
			*out = p;
		else
			free(p);
	}
	free(l.v);
	return *out != NULL ? SP_OK : unsafe(e, "blocked", errs);
}

/* Element i goes, with a comma, and with its line if nothing else stands there. */
static char *
take_out(struct span text, const struct list *l, size_t i, size_t *n)
{
	const struct element *one = &l->v[i];
	size_t at = one->at, end = one->comma != 0 ? one->comma + 1 : one->end, from, to;
	char *half, *p;

	if (l->lone)
		return splice(text, one->at, one->end, "[ ]", n);
	from = line_begin(text, at);
	to = line_end(text, end);
	if (is_blank(text, from, at) && is_blank(text, end, to) && to < text.n && from > l->open) {
		at = from;
		end = to + 1;
	} else {
		/* the space that stood between it and the next, or the one before */
		while (end < text.n && text.p[end] == ' ' && one->comma != 0)
			end++;
		while (one->comma == 0 && i > 0 && at > l->v[i - 1].end && text.p[at - 1] == ' ')
			at--;
	}
	half = splice(text, at, end, "", n);
	p = half;
	if (one->comma == 0 && i > 0 && l->v[i - 1].comma != 0) {
		/* it was the last: the one before needs its comma no more */
		p = splice(span_of(half, *n), l->v[i - 1].comma, l->v[i - 1].comma + 1, "", n);
		free(half);
	}
	return p;
}

int
policyedit_unblock(const struct policyedit *e, const char *domain, char **out, size_t *n, struct conf_errors *errs)
{
	char name[DOMAIN_MAX];
	struct looking k = { .domain = name };
	struct wanted w = { .kind = POLICYDIFF_REMOVED, .option = "blocked", .domain = name };
	struct list l;
	int err;

	*out = NULL;
	if ((err = canon(domain, name, errs)) != SP_OK || (err = readable(e, errs)) != SP_OK ||
	    (err = look_for(e, &k, errs)) != SP_OK)
		return err;
	if (!k.itself) {
		conf_error(errs, NULL, 0, "%s is not in the list of blocked domains%s%s%s", name,
		    k.above[0] != '\0' ? "; but " : "", k.above, k.above[0] != '\0' ? ", above it, is, and blocks it too" : "");
		return SP_ENOENT;
	}
	read_list(e->text, "blocked", &l);
	for (size_t i = 0; i < l.n && *out == NULL; i++) {
		char text[DOMAIN_MAX + 1], *p;

		if (l.v[i].text.n == 0 || l.v[i].text.n > DOMAIN_MAX)
			continue;
		snprintf(text, sizeof(text), "%.*s", SPAN_FMT(l.v[i].text));
		if (!domain_is(text, name))
			continue;
		p = take_out(e->text, &l, i, n);
		if (proves(e, p, *n, &w))
			*out = p;
		else
			free(p);
	}
	free(l.v);
	return *out != NULL ? SP_OK : unsafe(e, "blocked", errs);
}

/* ---- pause and resume ---- */

/* A group of a list of groups: where it stands, what it is called, where it says that it is paused. */
struct group {
	size_t		 inside, close;		/* behind its brace, at the other */
	size_t		 last;			/* where its last setting begins */
	size_t		 paused, paused_end;	/* the value; equal: it is not there */
	struct span	 name, server;
};

/* s stands behind the opening brace; at the closing one afterwards. */
static void
read_group(struct conftokens *s, struct group *g)
{
	*g = (struct group){ .inside = s->now.end };
	conftoken_next(s);
	while (s->now.kind != TOKEN_END && !conftoken_is(s, '}')) {
		struct conftoken word = s->now;
		struct span option = span_of(s->text.p + word.at, word.end - word.at);

		conftoken_next(s);
		if (word.kind != TOKEN_WORD || !(conftoken_is(s, '=') || conftoken_is(s, ':')))
			continue;
		g->last = word.at;
		conftoken_next(s);
		if (span_iis(option, "name"))
			(void)text_of(s, &g->name);
		else if (span_iis(option, "server"))
			(void)text_of(s, &g->server);
		else if (span_iis(option, "paused")) {
			g->paused = s->now.at;
			g->paused_end = s->now.end;
		}
		conftoken_skip_value(s);
	}
	g->close = s->now.at;
}

/* A group's text with paused set so. */
static char *
set_paused(struct span text, const struct group *g, bool paused, size_t *n)
{
	const char *word = paused ? "true" : "false";
	struct span indent = indent_of(text, g->last);
	size_t size = indent.n + 64, from;
	char *piece, *p;

	if (g->paused_end > g->paused)
		return splice(text, g->paused, g->paused_end, word, n);
	piece = xmalloc(size);
	from = line_begin(text, g->close);
	if (from > g->inside && is_blank(text, from, g->close) && g->last != 0) {
		/* the brace has a line of its own, so this has too */
		snprintf(piece, size, "%.*spaused = %s;\n", SPAN_FMT(indent), word);
		p = splice(text, from, from, piece, n);
	} else {
		snprintf(piece, size, "%spaused = %s; ", g->close > 0 && text.p[g->close - 1] == ' ' ? "" : " ", word);
		p = splice(text, g->close, g->close, piece, n);
	}
	free(piece);
	return p;
}

/* In the list of that name; SP_ENOENT: it has no such group. */
static int
pause_in(const struct policyedit *e, const char *list, const char *partner, bool paused, char **out, size_t *n)
{
	struct conftokens s = conftoken_begin(e->text);
	struct wanted w = { .kind = POLICYDIFF_CHANGED, .option = "paused", .group = partner, .now = paused ? "true" : "false" };
	char shown[512];

	if (!conftoken_find(&s, list))
		return SP_ENOENT;
	if (conftoken_is(&s, '('))
		conftoken_next(&s);
	for (; conftoken_is(&s, '{') || conftoken_is(&s, ','); conftoken_next(&s)) {
		struct group g;
		struct span title;

		if (conftoken_is(&s, ','))
			continue;
		read_group(&s, &g);
		title = g.name.n != 0 ? g.name : g.server;
		if (!span_is(g.name, partner) && !span_iis(g.server, partner))
			continue;
		snprintf(shown, sizeof(shown), "%.*s", (int)(title.n < 500 ? title.n : 500), title.p);
		w.group = shown;
		*out = set_paused(e->text, &g, paused, n);
		if (proves(e, *out, *n, &w))
			return SP_OK;
		free(*out);
		*out = NULL;
		return SP_EINVAL;
	}
	return SP_ENOENT;
}

struct partner_found {
	const char	*partner;
	char		 group[512];	/* whose values come now */
	bool		 fits;		/* … is it the one? */
	bool		 there, paused;
};

static void
match_partner(void *arg, const char *list, const char *group, const char *option, bool element, const char *value)
{
	struct partner_found *f = arg;
	bool fits;

	(void)element;
	if (list == NULL || (strcmp(list, "partners") != 0 && strcmp(list, "providers") != 0))
		return;
	if (strcmp(f->group, group) != 0) {
		snprintf(f->group, sizeof(f->group), "%s", group);
		f->fits = strcmp(group, f->partner) == 0;
	}
	fits = strcmp(option, "server") == 0 && strcasecmp(value, f->partner) == 0;
	f->fits |= fits;
	f->there |= f->fits;
	if (f->fits && strcmp(option, "paused") == 0)
		f->paused = strcmp(value, "true") == 0;
}

/* Is there one, and is it so already? Out of what the policy says, included files and all. */
static int
find_partner(const struct policyedit *e, const char *partner, bool paused, struct conf_errors *errs)
{
	struct partner_found f = { .partner = partner };
	char shown[400];
	struct strbuf sb;

	if (policyfile_walk(e->name, e->text, e->dir, match_partner, &f, errs) != SP_OK)
		return SP_EINVAL;
	strbuf_init(&sb, shown, sizeof(shown));
	strbuf_quoted(&sb, span_str(partner), 100);
	if (!f.there) {
		conf_error(errs, NULL, 0, "there is no partner or provider %s", shown);
		return SP_ENOENT;
	}
	if (f.paused == paused) {
		conf_error(errs, NULL, 0, "%s is %s already", shown, paused ? "paused" : "not paused");
		return SP_EEXIST;
	}
	return SP_OK;
}

int
policyedit_pause(const struct policyedit *e, const char *partner, bool paused, char **out, size_t *n,
    struct conf_errors *errs)
{
	int err;

	*out = NULL;
	if ((err = readable(e, errs)) != SP_OK || (err = find_partner(e, partner, paused, errs)) != SP_OK)
		return err;
	if ((err = pause_in(e, "partners", partner, paused, out, n)) == SP_ENOENT)
		err = pause_in(e, "providers", partner, paused, out, n);
	return err == SP_OK ? SP_OK : unsafe(e, "paused", errs);
}
