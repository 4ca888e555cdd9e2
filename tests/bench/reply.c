#define _GNU_SOURCE 1
#include "tests/bench/reply.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Header lines that a response repeats; compact forms included. */
static bool
is_echoed(const char *line, size_t len)
{
	static const char *const names[] = { "Via:", "From:", "Call-ID:",
	    "CSeq:", "Record-Route:", "v:", "f:", "i:" };
	size_t i, n;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		n = strlen(names[i]);
		if (len > n && (line[0] | 32) == (names[i][0] | 32) &&
		    strncasecmp(line, names[i], n) == 0)
			return true;
	}
	return false;
}

int
reply_is_to(const char *line, size_t len)
{
	return len > 3 && (strncasecmp(line, "To:", 3) == 0 ||
	    strncasecmp(line, "t:", 2) == 0);
}

static char *
put(char *out, const char *p, size_t len)
{
	memcpy(out, p, len);
	return out + len;
}

#define PUT(out, text)	put((out), (text), strlen(text))

char *
reply_write(const char *p, size_t head, const char *status, const char *tag,
    const char *more, char *out)
{
	const char *line = memchr(p, '\n', head), *end = p + head - 2, *next;
	size_t len;

	out = PUT(out, "SIP/2.0 ");
	out = PUT(out, status);
	out = PUT(out, "\r\n");
	for (line++; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next == NULL ? end : next + 1;
		len = (size_t)(next - line);
		if (is_echoed(line, len)) {
			out = put(out, line, len);
		} else if (reply_is_to(line, len)) {
			out = put(out, line, len - 2);
			if (tag != NULL &&
			    memmem(line, len, ";tag=", 5) == NULL) {
				out = PUT(out, ";tag=");
				out = PUT(out, tag);
			}
			out = PUT(out, "\r\n");
		}
	}
	out = PUT(out, more);
	return PUT(out, "Content-Length: 0\r\n\r\n");
}
