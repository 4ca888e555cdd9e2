/*
 * sip/files.c - see files.h.
 */
#include "sip/files.h"

#include <string.h>

/* MSN Messenger's file transfer (MS 14.3). */
#define FILE_GUID	"{5d3e02ab-6190-11d3-bbbb-00c04f795683}"

static bool
contains(struct span s, const char *word)
{
	struct span w = span_str(word);

	for (; s.n >= w.n; s = span_of(s.p + 1, s.n - 1))
		if (span_lower((unsigned char)s.p[0]) == (unsigned char)w.p[0] && span_istarts(s, w))
			return true;
	return false;
}

static struct span
next_line(struct span *rest)
{
	size_t n = span_find(*rest, '\n');
	struct span line = span_trim(span_head(*rest, n));

	*rest = span_tail(*rest, n + 1);
	return line;
}

/* RFC 5547 6: a=file-selector:name:"x.exe" type:… */
static struct span
selected(struct span line)
{
	for (; line.n >= 6; line = span_of(line.p + 1, line.n - 1)) {
		if (span_istarts(line, SPAN_LIT("name:\""))) {
			line = span_tail(line, 6);
			return span_head(line, span_find(line, '"'));
		}
	}
	return SPAN_NONE;
}

static void
find_in_sdp(struct span sdp, void (*found)(void *, struct span), void *arg)
{
	bool open = false;

	while (!span_is_empty(sdp)) {
		struct span line = next_line(&sdp);

		if (span_istarts(line, SPAN_LIT("m="))) {
			if (open)
				found(arg, SPAN_NONE);
			open = contains(line, "filetransfer");
		} else if (span_istarts(line, SPAN_LIT("a=file-selector"))) {
			open = false;
			found(arg, selected(line));
		}
	}
	if (open)
		found(arg, SPAN_NONE);
}

static void
find_in_invite(struct span text, void (*found)(void *, struct span), void *arg)
{
	struct span name = SPAN_NONE;
	bool is_file = false;

	while (!span_is_empty(text)) {
		struct span line = next_line(&text);
		size_t colon = span_find(line, ':');
		struct span key = span_trim(span_head(line, colon)), value = span_trim(span_tail(line, colon + 1));

		if (span_iis(key, "Application-GUID"))
			is_file |= span_iis(value, FILE_GUID);
		else if (span_iis(key, "Application-File"))
			name = value;
		else if (span_iis(key, "Application-FileSize"))
			is_file = true;
	}
	if (is_file || !span_is_empty(name))
		found(arg, name);
}

/* <name>x.exe</name> */
static struct span
name_in_xml(struct span xml)
{
	const char *at = xml.n > 6 ? memmem(xml.p, xml.n, "<name>", 6) : NULL;

	if (at == NULL)
		return SPAN_NONE;
	xml = span_tail(xml, (size_t)(at - xml.p) + 6);
	return span_head(xml, span_find(xml, '<'));
}

void
sip_files_find(const struct sip_part *p, void (*found)(void *, struct span), void *arg)
{
	if (sip_part_is(p, "application/sdp"))
		find_in_sdp(p->body, found, arg);
	else if (sip_part_is(p, "text/x-msmsgsinvite"))
		find_in_invite(p->body, found, arg);
	else if (contains(p->type, "filetransfer") || contains(p->type, "rcs-ft-http"))
		found(arg, name_in_xml(p->body));
	else if (p->attached || !span_is_empty(p->file_name))
		found(arg, p->file_name);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a name, percent escapes decoded, lower-case. */
static unsigned char
name_byte(struct span *s)
{
	unsigned char c = (unsigned char)s->p[0];
	size_t n = 1;

	if (c == '%' && s->n >= 3 && hex(s->p[1]) >= 0 && hex(s->p[2]) >= 0) {
		c = (unsigned char)(hex(s->p[1]) * 16 + hex(s->p[2]));
		n = 3;
	}
	*s = span_tail(*s, n);
	return span_lower(c);
}

bool
sip_files_listed(struct span name, const struct span *extensions, size_t n)
{
	char ext[POLICY_CONTENT_WORD_MAX + 1];
	size_t len = 0;
	bool dot = false, plain = true, too_long = false;

	/* no file system has longer ones */
	if (name.n > 3 * 255 || span_is_empty(span_trim(name)) || contains(name, "=?") || span_find(name, '&') != name.n)
		return true;
	while (!span_is_empty(name)) {
		unsigned char c = name_byte(&name);

		if (c == '.') {
			/* dots and spaces at the end are none to Windows */
			struct span rest = name;
			bool more = false;

			while (!span_is_empty(rest) && !more) {
				unsigned char r = name_byte(&rest);

				more = r != '.' && r != ' ';
			}
			if (!more)
				break;
			dot = true;
			len = 0;
			too_long = false;
			continue;
		}
		if (c >= 0x80 || c < ' ' || c == 0x7f)
			plain = false;
		if (dot && len < sizeof(ext))
			ext[len++] = (char)c;
		else
			too_long = dot;
	}
	while (len > 0 && ext[len - 1] == ' ')
		len--;
	if (!dot)
		return !plain;	/* some dots are not ASCII */
	for (size_t i = 0; i < len && !too_long; i++) {
		unsigned char c = (unsigned char)ext[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '~')
			return true;
	}
	for (size_t i = 0; i < n; i++)
		if (span_eq(span_of(ext, len), extensions[i]))
			return true;
	return false;
}
