/*
 * policy/content.c - see content.h: the keys that begin with "content".
 */
#include "policy/content.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "policy/build.h"

/* One rule as it was written. */
struct content {
	struct policy_content	 shown;
	struct span		*words[2];	/* schemes, extensions; what shown has as const */
	bool			 inward, outward;
	bool			 has_class;
	struct place		 at;
	struct place		 said[CONTENT_NKEYS];
};

struct contents {
	struct content	**rule;
	size_t		 n;
	/* by class; NULL: none */
	struct content	*of[POLICY_NCLASSES];
	struct place	 class_at[POLICY_NCLASSES];
};

/* What a client makes a link of, unless the rule has a list of its own. */
static const char *const default_schemes[] = {
	"http", "https", "ftp", "file", "callto", "gopher", "ldap", "mailto", "nntp", "telnet", "javascript", "vbscript",
	"www.", "ftp.", NULL
};

/* What Windows runs when it is opened. */
static const char *const default_extensions[] = {
	"ade", "adp", "app", "asp", "bas", "bat", "chm", "cmd", "com", "cpl", "crt", "csh", "exe", "fxp", "hlp", "hta",
	"inf", "ins", "isp", "its", "js", "jse", "ksh", "lnk", "mad", "maf", "mag", "mam", "maq", "mar", "mas", "mat",
	"mau", "mav", "maw", "mda", "mdb", "mde", "msi", "msp", "mst", "pif", "prg", "ps1", "reg", "scf", "scr", "sct",
	"shb", "shs", "url", "vb", "vbe", "vbs", "vsw", "ws", "wsc", "wsf", "wsh", NULL
};

static void
add_word(struct content *c, int list, const char *s, size_t n)
{
	size_t *count = list == 0 ? &c->shown.nschemes : &c->shown.nextensions;
	char *copy = xmemdup(s, n);

	for (size_t i = 0; i < n; i++)
		copy[i] = (char)span_lower((unsigned char)copy[i]);
	c->words[list] = xreallocarray(c->words[list], *count + 1, sizeof(struct span));
	c->words[list][(*count)++] = span_of(copy, n);
	c->shown.schemes = c->words[0];
	c->shown.extensions = c->words[1];
}

static void
add_words(struct content *c, int list, const char *const *words)
{
	for (; *words != NULL; words++)
		add_word(c, list, *words, strlen(*words));
}

void
build_read_content(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct contents *all = b->rules->contents;
	struct content *c = xcalloc(1, sizeof(*c));

	(void)key;
	(void)value;
	(void)unused;
	if (all == NULL)
		all = b->rules->contents = xcalloc(1, sizeof(*all));
	all->rule = xreallocarray(all->rule, all->n + 1, sizeof(*all->rule));
	all->rule[all->n++] = c;
	c->at = at;
	c->shown.file = at.file;
	c->shown.line = at.line;
	c->inward = c->outward = true;
	c->shown.bare = POLICY_BARE_WITH_PATH;
}

/* The rule that is open; NULL after an error. */
static struct content *
current(struct build *b, struct place at, const char *key)
{
	struct contents *all = b->rules->contents;

	if (all != NULL)
		return all->rule[all->n - 1];
	build_error(b, at, "%s: stands before the first content rule", key);
	return NULL;
}

void
build_read_content_class(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct content *c = current(b, at, key);
	char text[SHOWN_MAX];

	(void)unused;
	if (c == NULL)
		return;
	c->has_class = true;
	for (int class = POLICY_CLASS_REMOTE_USER; class < POLICY_CLASS_INTERNAL; class++) {
		struct contents *all = b->rules->contents;

		if (strcmp(value, policy_class_name((enum policy_class)class)) != 0)
			continue;
		if (all->of[class] != NULL) {
			build_error(b, at, "%s: %s has a content rule already (%s:%d)", key, value,
			    all->class_at[class].file, all->class_at[class].line);
			return;
		}
		all->of[class] = c;
		all->class_at[class] = at;
		return;
	}
	build_error(b, at, "%s: expects remote-user, branch, direct, enhanced, provider or clearinghouse, not %s", key,
	    build_shown(value, text));
}

/* The words of each key, the default first. */
static const char *const choices[CONTENT_NKEYS][4] = {
	[CONTENT_LINKS] = { "allow", "warn", "block", NULL },
	[CONTENT_FILES] = { "allow", "block-listed", "block", NULL },
	[CONTENT_SEALED] = { "block", "pass", NULL },
	[CONTENT_OWN] = { "allow", "filter", NULL },
	[CONTENT_BARE] = { "with-path", "none", "all", NULL },
	[CONTENT_DIRECTION] = { "both", "in", "out", NULL },
};

static void
set_word(struct content *c, int which, int word)
{
	static const enum policy_content_action links[] = { POLICY_CONTENT_ALLOW, POLICY_CONTENT_WARN, POLICY_CONTENT_BLOCK };
	static const enum policy_content_action files[] = { POLICY_CONTENT_ALLOW, POLICY_CONTENT_LISTED, POLICY_CONTENT_BLOCK };

	static const enum policy_content_bare bare[] = { POLICY_BARE_WITH_PATH, POLICY_BARE_NONE, POLICY_BARE_ALL };

	switch (which) {
	case CONTENT_LINKS:
		c->shown.links = links[word];
		break;
	case CONTENT_FILES:
		c->shown.files = files[word];
		break;
	case CONTENT_SEALED:
		c->shown.pass_sealed = word == 1;
		break;
	case CONTENT_BARE:
		c->shown.bare = bare[word];
		break;
	case CONTENT_OWN:
		c->shown.pass_own = word == 0;
		break;
	default:
		c->inward = word != 2;
		c->outward = word != 1;
		break;
	}
}

/* Said once of each rule; false after an error. */
static bool
say_once(struct build *b, struct content *c, struct place at, const char *key, int which)
{
	if (c->said[which].file != NULL) {
		build_error(b, at, "%s: is set already (%s:%d)", key, c->said[which].file, c->said[which].line);
		return false;
	}
	c->said[which] = at;
	return true;
}

void
build_read_content_choice(struct build *b, struct place at, const char *key, const char *value, int which)
{
	struct content *c = current(b, at, key);
	const char *const *words = choices[which];
	char text[SHOWN_MAX];

	if (c == NULL || !say_once(b, c, at, key, which))
		return;
	for (int i = 0; i < 4 && words[i] != NULL; i++) {
		if (strcmp(value, words[i]) == 0) {
			set_word(c, which, i);
			return;
		}
	}
	build_error(b, at, "%s: expects %s%s%s or %s, not %s", key, words[0], words[2] != NULL ? ", " : "",
	    words[2] != NULL ? words[1] : "", words[2] != NULL ? words[2] : words[1], build_shown(value, text));
}

/* RFC 3986 3.1, scheme; or one label and a dot, how a host begins. A letter first, so that no number is a link. */
static bool
is_scheme(struct span s)
{
	if (s.n == 0 || s.n > POLICY_CONTENT_WORD_MAX || span_lower((unsigned char)s.p[0]) < 'a' ||
	    span_lower((unsigned char)s.p[0]) > 'z')
		return false;
	for (size_t i = 1; i < s.n; i++) {
		unsigned char c = span_lower((unsigned char)s.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '+' && c != '-' &&
		    !(c == '.' && i + 1 == s.n))
			return false;
	}
	return s.n > 1 || s.p[0] != '.';
}

static bool
is_extension(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f || s.p[i] == '.')
			return false;
	return s.n > 0 && s.n <= POLICY_CONTENT_WORD_MAX;
}

void
build_read_content_scheme(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct content *c = current(b, at, key);
	struct span s = span_str(value);
	char text[SHOWN_MAX];

	(void)unused;
	if (c == NULL)
		return;
	if (!is_scheme(s))
		build_error(b, at, "%s: expects a scheme like http, or how a host begins, like www., not %s", key,
		    build_shown(value, text));
	else if (c->shown.nschemes == POLICY_CONTENT_WORDS_MAX)
		build_error(b, at, "%s: more than %d", key, POLICY_CONTENT_WORDS_MAX);
	else
		add_word(c, 0, s.p, s.n);
}

void
build_read_content_extension(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct content *c = current(b, at, key);
	struct span s = span_str(value);
	char text[SHOWN_MAX];

	(void)unused;
	if (c == NULL)
		return;
	if (s.n > 1 && s.p[0] == '.')
		s = span_tail(s, 1);
	if (!is_extension(s))
		build_error(b, at, "%s: expects an extension like exe, not %s", key, build_shown(value, text));
	else if (c->shown.nextensions == POLICY_CONTENT_WORDS_MAX)
		build_error(b, at, "%s: more than %d", key, POLICY_CONTENT_WORDS_MAX);
	else
		add_word(c, 1, s.p, s.n);
}

void
build_read_content_warning(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct content *c = current(b, at, key);
	struct span s = span_str(value);
	bool plain = s.n <= POLICY_CONTENT_WARNING_MAX;

	(void)unused;
	if (c == NULL || !say_once(b, c, at, key, CONTENT_WARNING))
		return;
	for (size_t i = 0; i < s.n; i++)
		plain &= (unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f;
	if (!plain)
		build_error(b, at, "%s: expects one line of at most %d bytes", key, POLICY_CONTENT_WARNING_MAX);
	else
		c->shown.warning = span_of(xmemdup(s.p, s.n), s.n);
}

void
build_finish_content(struct build *b)
{
	static const char warning[] = "[Links in this message were made inert.]";
	struct contents *all = b->rules->contents;

	for (size_t i = 0; all != NULL && i < all->n; i++) {
		struct content *c = all->rule[i];

		if (!c->has_class)
			build_error(b, c->at, "content: has no class that it is about");
		if (c->said[CONTENT_OWN].file == NULL)
			c->shown.pass_own = true;
		if (c->shown.nschemes == 0)
			add_words(c, 0, default_schemes);
		if (c->shown.nextensions == 0)
			add_words(c, 1, default_extensions);
		if (c->said[CONTENT_WARNING].file == NULL)
			c->shown.warning = span_of(xmemdup(warning, sizeof(warning) - 1), sizeof(warning) - 1);
	}
}

void
contents_free(struct contents *all)
{
	for (size_t i = 0; all != NULL && i < all->n; i++) {
		struct content *c = all->rule[i];

		for (size_t k = 0; k < c->shown.nschemes; k++)
			free((char *)(uintptr_t)c->words[0][k].p);
		for (size_t k = 0; k < c->shown.nextensions; k++)
			free((char *)(uintptr_t)c->words[1][k].p);
		free((char *)(uintptr_t)c->shown.warning.p);
		free(c->words[0]);
		free(c->words[1]);
		free(c);
	}
	if (all != NULL)
		free(all->rule);
	free(all);
}

const struct policy_content *
policy_content_of(const struct policy_rules *r, enum policy_class class, bool outward)
{
	const struct content *c = r->contents != NULL && class < POLICY_NCLASSES ? r->contents->of[class] : NULL;

	return c != NULL && (outward ? c->outward : c->inward) ? &c->shown : NULL;
}
