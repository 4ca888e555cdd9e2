/*
 * sip/files.c - see files.h.
 */
#include "sip/files.h"

#include <string.h>

/* MSN Messenger's file transfer (MS 14.3); some write it without braces. */
#define FILE_GUID	"5d3e02ab-6190-11d3-bbbb-00c04f795683"

static bool
contains(struct span s, const char *word)
{
	struct span w = span_str(word);

	for (; s.n >= w.n; s = span_of(s.p + 1, s.n - 1))
		if (span_lower((unsigned char)s.p[0]) == (unsigned char)w.p[0] && span_istarts(s, w))
			return true;
	return false;
}

/* A CR alone ends a line to some readers. */
static struct span
next_line(struct span *rest)
{
	size_t n = 0;
	struct span line;

	while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r')
		n++;
	line = span_trim(span_head(*rest, n));
	*rest = span_tail(*rest, n + 1);
	return line;
}

/* RFC 5547 6: a=file-selector:name:"x.exe" type:... Whoever says two names has two of them looked at. */
static void
find_selected(struct span line, void (*found)(void *, struct span), void *arg)
{
	bool any = false;

	while (line.n >= 6) {
		if (span_istarts(line, SPAN_LIT("name:\""))) {
			line = span_tail(line, 6);
			any = true;
			found(arg, span_head(line, span_find(line, '"')));
		}
		line = span_tail(line, 1);
	}
	if (!any)
		found(arg, SPAN_NONE);
}

/* RFC 4975 8.6: may what is sent over MSRP be only what people read? "*" says nothing of files. */
static bool
is_talk(struct span types)
{
	while (!span_is_empty(types = span_trim(types))) {
		size_t n = span_find(types, ' ');
		struct span one = span_trim(span_head(types, n));

		types = span_tail(types, n + 1);
		one = span_head(one, span_find(one, ';'));
		if (!span_is(one, "*") && !span_istarts(one, SPAN_LIT("text/")) && !span_istarts(one, SPAN_LIT("message/")) &&
		    !span_istarts(one, SPAN_LIT("multipart/")) && !span_iis(one, "application/im-iscomposing+xml"))
			return false;
	}
	return true;
}

/* One attribute of a medium: does it offer a file, whose name comes with a selector or not at all? */
static bool
offers_file(struct span attribute)
{
	size_t colon = span_find(attribute, ':');
	struct span name = span_trim(span_head(attribute, colon));

	if (span_iis(name, "accept-types") || span_iis(name, "accept-wrapped-types"))
		return !is_talk(span_tail(attribute, colon + 1));
	return span_istarts(name, SPAN_LIT("file-"));	/* file-transfer-id, file-disposition, ... */
}

static void
find_in_sdp(struct span sdp, void (*found)(void *, struct span), void *arg)
{
	bool open = false, named = false;

	while (!span_is_empty(sdp)) {
		struct span line = next_line(&sdp), key, value;
		size_t eq = span_find(line, '=');

		key = span_trim(span_head(line, eq));
		value = span_trim(span_tail(line, eq + 1));
		if (span_iis(key, "m")) {
			if (open && !named)
				found(arg, SPAN_NONE);
			named = false;
			open = contains(value, "filetransfer");
		} else if (span_iis(key, "a") && span_istarts(value, SPAN_LIT("file-selector"))) {
			named = true;
			find_selected(value, found, arg);
		} else if (span_iis(key, "a")) {
			open |= offers_file(value);
		}
	}
	if (open && !named)
		found(arg, SPAN_NONE);
}

static void
find_in_invite(struct span text, void (*found)(void *, struct span), void *arg)
{
	bool is_file = false, named = false;

	while (!span_is_empty(text)) {
		struct span line = next_line(&text);
		size_t colon = span_find(line, ':');
		struct span key = span_trim(span_head(line, colon)), value = span_trim(span_tail(line, colon + 1));

		if (span_iis(key, "Application-GUID")) {
			is_file |= contains(value, FILE_GUID);
		} else if (span_iis(key, "Application-File")) {
			named = true;
			found(arg, value);
		} else if (span_iis(key, "Application-FileSize") || (span_iis(key, "Application-Name") &&
		    span_iis(value, "File Transfer"))) {
			is_file = true;
		}
	}
	if (is_file && !named)
		found(arg, SPAN_NONE);
}

/* <name>x.exe</name>, with whatever prefix; RCS says file-name. Each of them: a comment may have a decoy. */
static void
find_in_xml(struct span xml, void (*found)(void *, struct span), void *arg)
{
	bool any = false;

	for (;;) {
		struct span tag;
		size_t n = span_find(xml, '<'), colon;

		xml = span_tail(xml, n + 1);
		if (span_is_empty(xml))
			break;
		for (n = 0; n < xml.n && strchr(" \t\r\n/><", xml.p[n]) == NULL; n++)
			continue;
		tag = span_head(xml, n);
		if ((colon = span_find(tag, ':')) < tag.n)
			tag = span_tail(tag, colon + 1);
		if (!span_iis(tag, "name") && !span_iis(tag, "file-name"))
			continue;
		xml = span_tail(xml, span_find(xml, '>') + 1);
		any = true;
		found(arg, span_head(xml, span_find(xml, '<')));
	}
	if (!any)
		found(arg, SPAN_NONE);
}

/* Types that are files, whether or not anybody says so: nobody talks in them. */
static bool
is_file_type(const struct sip_part *p)
{
	static const char *const types[] = {
		"application/octet-stream", "application/x-octet-stream", "application/binary", "application/x-binary",
		"application/x-msdownload", "application/x-msdos-program", "application/x-dosexec", "application/exe",
		"application/x-exe", "application/zip", "application/x-zip-compressed", "application/x-rar-compressed",
		"application/x-7z-compressed", "application/gzip", "application/x-tar", "application/java-archive",
		"application/pdf", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
		"application/hta", "application/x-sh", "image/", "audio/", "video/"
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (sip_part_is(p, types[i]))
			return true;
	return false;
}

bool
sip_files_hidden(const struct sip_part *p)
{
	return p->transfer != SIP_TRANSFER_NONE && (sip_part_is(p, "application/sdp") || sip_part_is(p, "text/x-msmsgsinvite") ||
	    contains(p->type, "filetransfer") || contains(p->type, "rcs-ft-http"));
}

void
sip_files_find(const struct sip_part *p, void (*found)(void *, struct span), void *arg)
{
	/* an INVITE's body that does not say what it is is taken for SDP by some */
	if (sip_part_is(p, "application/sdp") || (span_is_empty(p->type) && span_istarts(p->body, SPAN_LIT("v=0"))))
		find_in_sdp(p->body, found, arg);
	else if (sip_part_is(p, "text/x-msmsgsinvite"))
		find_in_invite(p->body, found, arg);
	else if (contains(p->type, "filetransfer") || contains(p->type, "rcs-ft-http"))
		find_in_xml(p->body, found, arg);
	else if (p->attached || !span_is_empty(p->file_name) || is_file_type(p))
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
