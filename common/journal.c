/*
 * common/journal.c - see journal.h.
 */
#include "common/journal.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/strbuf.h"

/* The upper half of all our ids; drawn once. */
#define FAMILY	UINT64_C(0x8f1d5c0e7ab34926)

bool
journal_is_stderr(void)
{
	const char *said = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return said != NULL && sscanf(said, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	    (unsigned long long)st.st_dev == dev && (unsigned long long)st.st_ino == ino;
}

int
journal_connect(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd, saved;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(to.sun_path, path);
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void
journal_id(struct span event, char out[JOURNAL_ID])
{
	snprintf(out, JOURNAL_ID, "%016llx%016llx", (unsigned long long)FAMILY, (unsigned long long)hash_stable(event));
}

/* One "key=value" off the front; values in quotes hold no quote. False: there is no more. */
static bool
next_pair(struct span *rest, struct span *key, struct span *value)
{
	size_t eq, end;

	while (rest->n > 0 && rest->p[0] == ' ')
		*rest = span_tail(*rest, 1);
	if ((eq = span_find(*rest, '=')) >= rest->n)
		return false;
	*key = span_head(*rest, eq);
	*rest = span_tail(*rest, eq + 1);
	if (rest->n > 0 && rest->p[0] == '"') {
		*rest = span_tail(*rest, 1);
		end = span_find(*rest, '"');
	} else {
		end = span_find(*rest, ' ');
	}
	*value = span_head(*rest, end);
	*rest = span_tail(*rest, end < rest->n ? end + 1 : rest->n);
	/* three dots behind the closing quote say that a value was cut */
	while (rest->n > 0 && rest->p[0] == '.')
		*rest = span_tail(*rest, 1);
	return true;
}

static void
put_field(struct strbuf *sb, struct span key, struct span value)
{
	strbuf_puts(sb, "SALLYPORT_");
	for (size_t i = 0; i < key.n && i < 48; i++) {
		char c = key.p[i];

		strbuf_putc(sb, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') :
		    (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_');
	}
	strbuf_putc(sb, '=');
	strbuf_span(sb, value);
	strbuf_putc(sb, '\n');
}

size_t
journal_format(char out[JOURNAL_MAX], int priority, const char *program, struct span text)
{
	struct span rest = text, key, value;
	char id[JOURNAL_ID];
	struct strbuf sb;

	if (span_find(text, '\n') < text.n)
		return 0;
	strbuf_init(&sb, out, JOURNAL_MAX);
	strbuf_printf(&sb, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=", priority, program);
	strbuf_span(&sb, text);
	strbuf_putc(&sb, '\n');
	while (next_pair(&rest, &key, &value)) {
		if (span_is(key, "event")) {
			journal_id(value, id);
			strbuf_printf(&sb, "MESSAGE_ID=%s\n", id);
		}
		put_field(&sb, key, value);
	}
	return strbuf_ok(&sb) ? sb.len : 0;
}

bool
journal_send(int fd, int priority, const char *program, struct span text)
{
	char out[JOURNAL_MAX];
	size_t n = journal_format(out, priority, program, text);

	return n != 0 && send(fd, out, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}
