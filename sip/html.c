/*
 * sip/html.c - HTML as its readers see it: main is the text without tags;
 * other is each attribute's value and each comment by itself.
 *
 * The states are those of the HTML standard's tokenizer as far as they decide
 * what is text. Where readers differ (how a comment ends, what a declaration
 * is) nothing is left out that one of them may show.
 */
#include "sip/textview_int.h"

/* Tags that keep apart what stands on both sides of them. */
static const char *const separators[] = {
	"p", "br", "div", "li", "ul", "ol", "tr", "td", "th", "table", "hr", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5",
	"h6", "dd", "dt", "title", "body", "html", "head", "style", "script", NULL
};
/* Attributes whose value is an address, even where it begins with two slashes. */
static const char *const addresses[] = {
	"href", "src", "action", "formaction", "background", "cite", "data", "longdesc", "poster", "xlink:href", "srcset", NULL
};

static const struct {
	const char	*name;
	uint32_t	 c;
} entities[] = {
	{ "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' }, { "nbsp", 0xa0 }, { "colon", ':' },
	{ "sol", '/' }, { "bsol", '\\' }, { "period", '.' }, { "lowbar", '_' }, { "commat", '@' }, { "num", '#' },
	{ "percnt", '%' }, { "quest", '?' }, { "hyphen", '-' }, { "dash", '-' }, { "tab", '\t' }, { "newline", '\n' },
	{ "shy", 0xad }, { "zwnj", 0x200c }, { "zwj", 0x200d }, { "lrm", 0x200e }, { "rlm", 0x200f },
	{ "zerowidthspace", 0x200b }, { "negativethinspace", 0x200b }, { "negativemediumspace", 0x200b },
	{ "negativethickspace", 0x200b }, { "negativeverythinspace", 0x200b }, { "nobreak", 0x2060 }, { "applyfunction", 0x2061 },
	{ "invisibletimes", 0x2062 }, { "invisiblecomma", 0x2063 }, { "ensp", 0x2002 }, { "emsp", 0x2003 }, { "thinsp", 0x2009 },
};

static bool
is_space(uint32_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool
is_one_of(const struct view *v, const char *const *words)
{
	for (; *words != NULL; words++)
		if (span_is(span_of(v->name, v->nname), *words))
			return true;
	return false;
}

static void
name_begin(struct view *v)
{
	v->nname = 0;
}

static void
name_add(struct view *v, uint32_t c)
{
	if (v->nname < NAME_MAX_)
		v->name[v->nname++] = c < 0x80 ? (char)span_lower((unsigned char)c) : '?';
}

/* ---- text and values, entities decoded ---- */

static void
value_char(struct view *v, struct sip_char ch)
{
	/* browsers leave these out of an address */
	if (ch.c == '\t' || ch.c == '\n' || ch.c == '\r' || v->is_namespace)
		return;
	if (v->is_address && v->nslashes < 2 && sip_urls_plain(ch.c) != 0 && !(ch.c == ' ' && v->nslashes == 0)) {
		if (ch.c != '/' && ch.c != '\\') {
			v->is_address = false;
		} else {
			if (v->nslashes == 0)
				v->slash_at = ch.at;
			if (++v->nslashes == 2)
				v->other.found(v->other.arg, v->slash_at);
		}
	}
	sip_urls_char(&v->other, ch);
}

static void
decoded(struct view *v, struct sip_char ch)
{
	if (v->html == HTML_VALUE)
		value_char(v, ch);
	else
		sip_urls_char(&v->main, ch);
}

/* &#104; &#x68; with or without the semicolon: the character, or 0. */
static uint32_t
numeric(const struct view *v, unsigned n)
{
	uint32_t value = 0;
	unsigned i = 2, base = 10;

	if (n > 2 && (v->entity[2].c | 0x20) == 'x') {
		base = 16;
		i = 3;
	}
	if (i == n)
		return 0;
	for (; i < n; i++) {
		uint32_t c = v->entity[i].c | 0x20, d = c >= 'a' && c <= 'f' ? c - 'a' + 10 : v->entity[i].c - '0';

		if (d >= base)
			return 0;
		if (value < 0x110000)
			value = value * base + d;
	}
	return value < 0x110000 ? value : 0xfffd;
}

static uint32_t
named(const struct view *v, unsigned n)
{
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		const char *name = entities[i].name;
		unsigned k = 1;

		while (k < n && name[k - 1] != '\0' && v->entity[k].c < 0x80 &&
		    span_lower((unsigned char)v->entity[k].c) == (unsigned char)name[k - 1])
			k++;
		if (k == n && name[k - 1] == '\0')
			return entities[i].c;
	}
	return 0;
}

/* What was gathered is over; end is where. False: it was no entity, and is shown as it stands. */
static bool
entity_done(struct view *v, uint32_t end)
{
	unsigned n = v->nentity;
	uint32_t c = n > 2 && v->entity[1].c == '#' ? numeric(v, n) : n > 1 ? named(v, n) : 0;

	v->nentity = 0;
	if (c != 0) {
		decoded(v, (struct sip_char){ c, v->entity[0].at, end, true });
		return true;
	}
	for (unsigned i = 0; i < n; i++)
		decoded(v, v->entity[i]);
	return false;
}

/* May c, in plain ASCII, go on an entity that is open? */
static bool
goes_on(const struct view *v, uint32_t c)
{
	uint32_t l = c | 0x20;

	if (v->nentity == 1 && c == '#')
		return true;
	if (v->nentity > 1 && v->entity[1].c == '#') {
		bool is_hex = v->nentity > 2 && (v->entity[2].c | 0x20) == 'x';

		return (c >= '0' && c <= '9') || (v->nentity == 2 && l == 'x') || (is_hex && l >= 'a' && l <= 'f');
	}
	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

/* Text or a value. False: the character ended an entity and is still to be looked at. */
static bool
in_entity(struct view *v, struct sip_char ch)
{
	if (ch.c == ';')
		return entity_done(v, ch.end);
	if (v->nentity < ENTITY_MAX && ch.c < 0x80 && goes_on(v, ch.c)) {
		v->entity[v->nentity++] = ch;
		return true;
	}
	/* leading zeros make a number as long as one likes: the places stay, the zeros go */
	if (v->nentity == ENTITY_MAX && goes_on(v, ch.c) && v->entity[1].c == '#') {
		unsigned i = (v->entity[2].c | 0x20) == 'x' ? 3 : 2;

		if (v->entity[i].c == '0') {
			for (; i + 1 < ENTITY_MAX; i++)
				v->entity[i] = v->entity[i + 1];
			v->entity[ENTITY_MAX - 1] = ch;
			return true;
		}
	}
	entity_done(v, ch.at);
	return false;
}

/* ---- tags ---- */

static void
tag_done(struct view *v, struct sip_char ch)
{
	v->html = HTML_TEXT;
	sip_urls_end(&v->other);
	/* a warning stands in the body, if there is one */
	if (v->closing)
		return;
	if (v->is_body) {
		v->text->start = ch.end;
		v->is_body = false;
	}
}

static void
tag_named(struct view *v)
{
	if (is_one_of(v, separators))
		sip_urls_char(&v->main, VIEW_APART);
	v->is_body = span_is(span_of(v->name, v->nname), "body");
}

static void
attribute_named(struct view *v)
{
	v->is_address = is_one_of(v, addresses);
	v->is_namespace = v->nname >= 5 && memcmp(v->name, "xmlns", 5) == 0;
	v->nslashes = 0;
}

static void
value_done(struct view *v)
{
	if (v->nentity > 0)
		entity_done(v, v->entity[v->nentity - 1].end);
	v->html = HTML_IN_TAG;
	v->is_namespace = false;
	sip_urls_end(&v->other);
}

static void
in_value(struct view *v, struct sip_char ch)
{
	if (v->nentity > 0 && in_entity(v, ch))
		return;
	if (v->quote != 0 ? ch.c == v->quote : is_space(ch.c)) {
		value_done(v);
	} else if (v->quote == 0 && ch.c == '>') {
		value_done(v);
		tag_done(v, ch);
	} else if (ch.c == '&') {
		v->entity[v->nentity++] = ch;
	} else {
		value_char(v, ch);
	}
}

static void
in_tag(struct view *v, struct sip_char ch)
{
	if (ch.c == '>') {
		tag_done(v, ch);
	} else if (ch.c == '/') {
		sip_urls_char(&v->other, ch);
	} else if (!is_space(ch.c)) {
		name_begin(v);
		name_add(v, ch.c);
		v->html = HTML_ATTR_NAME;
		/* what is no attribute to us may be one, or text, to others */
		sip_urls_char(&v->other, ch);
	}
}

static void
in_attribute_name(struct view *v, struct sip_char ch)
{
	if (ch.c == '=') {
		attribute_named(v);
		sip_urls_end(&v->other);
		v->html = HTML_BEFORE_VALUE;
	} else if (ch.c == '>') {
		tag_done(v, ch);
	} else if (is_space(ch.c)) {
		sip_urls_end(&v->other);
		v->html = HTML_AFTER_NAME;
	} else {
		name_add(v, ch.c);
		sip_urls_char(&v->other, ch);
	}
}

static void
before_value(struct view *v, struct sip_char ch)
{
	if (is_space(ch.c))
		return;
	if (ch.c == '>') {
		tag_done(v, ch);
		return;
	}
	v->html = HTML_VALUE;
	v->quote = ch.c == '"' || ch.c == '\'' ? ch.c : 0;
	if (v->quote == 0)
		in_value(v, ch);
}

static void
in_comment(struct view *v, struct sip_char ch)
{
	bool dashed = v->ndashes >= 2;

	/* <!--> and <!---> are whole; --!> ends one too */
	if (ch.c == '>' && (dashed || !v->comment_any)) {
		v->html = HTML_TEXT;
		sip_urls_end(&v->other);
		return;
	}
	if (ch.c == '-')
		v->ndashes++;
	else if (!(ch.c == '!' && dashed))
		v->ndashes = 0;
	v->comment_any |= ch.c != '-';
	sip_urls_char(&v->other, ch);
}

static void
after_less_than(struct view *v, struct sip_char ch)
{
	bool letter = (ch.c | 0x20) >= 'a' && (ch.c | 0x20) <= 'z';

	v->closing = ch.c == '/';
	if (ch.c == '!') {
		v->html = HTML_BANG;
	} else if (letter || ch.c == '/') {
		name_begin(v);
		v->tag_at = ch.at;
		if (letter) {
			name_add(v, ch.c);
			sip_urls_char(&v->other, ch);
		}
		v->html = HTML_TAG_NAME;
	} else if (ch.c == '?') {
		v->html = HTML_DECLARATION;
		name_begin(v);
	} else {
		/* no tag at all: the sign is text */
		v->html = HTML_TEXT;
		sip_urls_char(&v->main, (struct sip_char){ '<', ch.at, ch.at, true });
		view_html(v, ch);
	}
}

static void
in_text(struct view *v, struct sip_char ch)
{
	if (v->nentity > 0 && in_entity(v, ch))
		return;
	if (ch.c == '<')
		v->html = HTML_LT;
	else if (ch.c == '&')
		v->entity[v->nentity++] = ch;
	else
		sip_urls_char(&v->main, ch);
}

static void
in_tag_name(struct view *v, struct sip_char ch)
{
	if (ch.c == '>' || is_space(ch.c) || ch.c == '/') {
		tag_named(v);
		v->html = HTML_IN_TAG;
		if (ch.c == '/')
			sip_urls_char(&v->other, ch);
		else
			sip_urls_end(&v->other);
		if (ch.c == '>')
			tag_done(v, ch);
	} else {
		name_add(v, ch.c);
		sip_urls_char(&v->other, ch);
	}
}

/* The addresses in a DOCTYPE are names that nobody follows. */
static void
in_declaration(struct view *v, struct sip_char ch)
{
	if (ch.c == '>') {
		v->html = HTML_TEXT;
		sip_urls_end(&v->other);
		return;
	}
	name_add(v, ch.c);
	if (v->nname < 7 || memcmp(v->name, "doctype", 7) != 0)
		sip_urls_char(&v->other, ch);
}

static void
after_bang(struct view *v, struct sip_char ch)
{
	if (ch.c == '-' && v->html == HTML_BANG) {
		v->html = HTML_BANG_DASH;
	} else if (ch.c == '-') {
		v->html = HTML_COMMENT;
		v->ndashes = 0;
		v->comment_any = false;
	} else {
		v->html = HTML_DECLARATION;
		name_begin(v);
		in_declaration(v, ch);
	}
}

void
view_html(struct view *v, struct sip_char ch)
{
	switch (v->html) {
	case HTML_TEXT:
		in_text(v, ch);
		break;
	case HTML_LT:
		after_less_than(v, ch);
		break;
	case HTML_TAG_NAME:
		in_tag_name(v, ch);
		break;
	case HTML_IN_TAG:
		in_tag(v, ch);
		break;
	case HTML_ATTR_NAME:
		in_attribute_name(v, ch);
		break;
	case HTML_AFTER_NAME:
		if (ch.c == '=') {
			attribute_named(v);
			v->html = HTML_BEFORE_VALUE;
		} else if (!is_space(ch.c)) {
			v->html = HTML_IN_TAG;
			in_tag(v, ch);
		}
		break;
	case HTML_BEFORE_VALUE:
		before_value(v, ch);
		break;
	case HTML_VALUE:
		in_value(v, ch);
		break;
	case HTML_BANG:
	case HTML_BANG_DASH:
		after_bang(v, ch);
		break;
	case HTML_DECLARATION:
		in_declaration(v, ch);
		break;
	case HTML_COMMENT:
		in_comment(v, ch);
		break;
	}
}

void
view_html_end(struct view *v)
{
	if (v->nentity > 0)
		entity_done(v, v->entity[v->nentity - 1].end);
}
