/*
 * sip/rtf.c - RTF as two readers see it: main is the text that a reader of
 * Unicode shows; other is what one of before shows, together with what is
 * hidden, fields' instructions among it.
 */
#include "sip/textview_int.h"

/* Groups that are no text. A group that begins with \* is one too. */
static const char *const asides[] = {
	"fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "footer", "fldinst", "filetbl", "listtable",
	"generator", "xmlnstbl", "themedata", NULL
};
/* Words that keep apart what stands on both sides of them. */
static const char *const separators[] = {
	"par", "line", "tab", "cell", "row", "page", "sect", "column", "nestcell", "nestrow", "emspace", "enspace", "qmspace", NULL
};

static unsigned
level(const struct view *v)
{
	return v->depth < SIP_RTF_GROUPS_MAX ? v->depth : SIP_RTF_GROUPS_MAX - 1;
}

static bool
is_one_of(const struct view *v, const char *const *words)
{
	for (; *words != NULL; words++)
		if ((*words)[0] == v->name[0] && span_is(span_of(v->name, v->nname), *words))
			return true;
	return false;
}

/* A character that both readers have. */
static void
shown(struct view *v, struct sip_char ch)
{
	sip_urls_char(&v->other, ch);
	if (v->skip > 0) {
		v->skip--;
		return;
	}
	if (v->aside[level(v)])
		return;
	if (!v->text->has_start && v->depth > 0 && ch.c > ' ') {
		v->text->has_start = true;
		v->text->start = ch.at;
	}
	sip_urls_char(&v->main, ch);
}

/* An escape ended that is no character; in front of what it stands for it may be skipped as one. */
static void
word_done(struct view *v, uint32_t end)
{
	struct sip_char ch = { 0, v->escape_at, end, true };
	unsigned at = level(v);

	v->rtf = RTF_TEXT;
	if (span_is(span_of(v->name, v->nname), "u") && v->has_number) {
		ch.c = v->negative ? 0x10000 - (v->number & 0xffff) : v->number;
		if (!v->aside[at])
			sip_urls_char(&v->main, ch);
		else
			sip_urls_char(&v->other, ch);
		if (!v->text->has_start && v->depth > 0 && !v->aside[at]) {
			v->text->has_start = true;
			v->text->start = v->escape_at;
		}
		v->skip = v->uc[at];
	} else if (span_is(span_of(v->name, v->nname), "bin") && v->has_number && !v->negative && v->number > 0) {
		v->rtf = RTF_BINARY;
	} else if (v->skip > 0) {
		v->skip--;
	} else if (span_is(span_of(v->name, v->nname), "uc")) {
		v->uc[at] = v->has_number && v->number < 256 ? (unsigned char)v->number : 1;
	} else if (is_one_of(v, separators)) {
		sip_urls_char(&v->main, VIEW_APART);
		sip_urls_char(&v->other, VIEW_APART);
	} else if (span_is(span_of(v->name, v->nname), "v")) {
		v->aside[at] = !(v->has_number && v->number == 0);
	} else if (is_one_of(v, asides)) {
		v->aside[at] = true;
	}
}

static void
escape(struct view *v, struct sip_char ch)
{
	struct sip_char made = { ch.c, v->escape_at, ch.end, true };

	v->rtf = RTF_TEXT;
	if ((ch.c >= 'a' && ch.c <= 'z') || (ch.c >= 'A' && ch.c <= 'Z')) {
		v->rtf = RTF_WORD;
		v->name[0] = (char)ch.c;
		v->nname = 1;
		v->negative = v->has_number = false;
		v->number = 0;
		return;
	}
	switch (ch.c) {
	case '\'':
		v->rtf = RTF_HEX;
		v->number = 0;
		v->nhex = 0;
		return;
	case '*':
		v->aside[level(v)] |= v->group_new;
		return;
	case '~':
		made.c = 0xa0;
		break;
	case '_':
		made.c = '-';
		break;
	case '-':	/* where a line may break: not shown */
		made.c = 0xad;
		break;
	case '\r': case '\n':
		shown(v, VIEW_APART);
		return;
	default:
		break;
	}
	shown(v, made);
}

static void
group(struct view *v, bool opens)
{
	unsigned was = level(v);

	v->skip = 0;
	if (opens) {
		v->depth++;
		v->text->strange |= v->depth >= SIP_RTF_GROUPS_MAX;
		v->uc[level(v)] = v->uc[was];
		v->aside[level(v)] = v->aside[was];
	} else if (v->depth > 0) {
		v->depth--;
	}
	v->group_new = opens;
}

/* Digits of a control word's number. False: the word is over, and this character is not its. */
static bool
in_number(struct view *v, struct sip_char ch)
{
	if (ch.c >= '0' && ch.c <= '9') {
		v->has_number = true;
		if (v->number < 100000000)
			v->number = v->number * 10 + (ch.c - '0');
		return true;
	}
	word_done(v, ch.at);
	return ch.c == ' ';	/* the space that ends a word is part of it */
}

static int
hex(uint32_t c)
{
	if (c >= '0' && c <= '9')
		return (int)c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (int)c - 'a' + 10 : -1;
}

/* Two digits. What is none is taken as itself. */
static bool
in_hex(struct view *v, struct sip_char ch)
{
	int d = hex(ch.c);

	if (d < 0) {
		v->rtf = RTF_TEXT;
		return false;
	}
	v->number = v->number * 16 + (uint32_t)d;
	if (++v->nhex == 2) {
		v->rtf = RTF_TEXT;
		shown(v, (struct sip_char){ v->number, v->escape_at, ch.end, true });
	}
	return true;
}

/* In the middle of an escape. False: it is over, and this character is not its. */
static bool
in_escape(struct view *v, struct sip_char ch)
{
	switch (v->rtf) {
	case RTF_ESCAPE:
		escape(v, ch);
		return true;
	case RTF_WORD:
		if ((ch.c >= 'a' && ch.c <= 'z') || (ch.c >= 'A' && ch.c <= 'Z')) {
			if (v->nname < NAME_MAX_)
				v->name[v->nname++] = (char)ch.c;
			return true;
		}
		v->rtf = RTF_NUMBER;
		if (ch.c == '-') {
			v->negative = true;
			return true;
		}
		return in_number(v, ch);
	case RTF_NUMBER:
		return in_number(v, ch);
	case RTF_HEX:
		return in_hex(v, ch);
	case RTF_BINARY:
		/* nobody shows it; who does not know the word shows all of it, and nothing can be put into it */
		v->text->strange = true;
		sip_urls_char(&v->other, ch);
		if (v->number-- <= 1)
			v->rtf = RTF_TEXT;
		return true;
	default:
		return false;
	}
}

void
view_rtf(struct view *v, struct sip_char ch)
{
	if (v->rtf != RTF_TEXT && in_escape(v, ch))
		return;
	if (v->rtf == RTF_BINARY) {	/* the word's end was not a space: this is its first byte */
		in_escape(v, ch);
		return;
	}
	switch (ch.c) {
	case '\\':
		v->rtf = RTF_ESCAPE;
		v->escape_at = ch.at;
		break;
	case '{':
	case '}':
		group(v, ch.c == '{');
		return;
	case '\r':
	case '\n':
		return;
	default:
		shown(v, ch);
		break;
	}
	v->group_new = v->group_new && ch.c == '\\';
}
