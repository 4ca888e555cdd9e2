/*
 * tests/fuzz/fuzz_conf.c - configuration files. Whatever the file says, values
 * stay in their ranges, refusing and complaining go together, every complaint
 * names the file, and unloading leaves nothing.
 */
#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* libconfig 1.5 loses a token when its grammar gives up; a configuration is read once or by hand. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

struct inner {
	char			*name;
	int			 port;
	struct conf_strs	 list;
};

struct settings {
	bool			 on;
	int			 users;
	int			 level;
	char			*title;
	char			*note;
	struct conf_strs	 domains;
	struct conf_groups	 doors;
};

static const char *const levels[] = { "low", "middle", "high", NULL };

static const struct conf_item inner_items[] = {
	{ .path = "name", .type = CONF_STR, .at = offsetof(struct inner, name), .flags = CONF_REQUIRED },
	{ .path = "tls.port", .type = CONF_INT, .at = offsetof(struct inner, port), .dflt = 1, .min = 1, .max = 9 },
	{ .path = "list", .type = CONF_STRS, .at = offsetof(struct inner, list) },
	{ .path = NULL }
};

static const struct conf_item items[] = {
	{ .path = "on", .type = CONF_BOOL, .at = offsetof(struct settings, on) },
	{ .path = "limits.users", .type = CONF_INT, .at = offsetof(struct settings, users), .dflt = 5, .min = -5,
	    .max = 100 },
	{ .path = "level", .type = CONF_CHOICE, .at = offsetof(struct settings, level), .choices = levels },
	{ .path = "title", .type = CONF_STR, .at = offsetof(struct settings, title), .flags = CONF_NONEMPTY },
	{ .path = "note", .type = CONF_STR, .at = offsetof(struct settings, note), .flags = CONF_OPTIONAL },
	{ .path = "domains", .type = CONF_STRS, .at = offsetof(struct settings, domains),
	    .flags = CONF_NONEMPTY },
	{ .path = "door", .type = CONF_GROUPS, .at = offsetof(struct settings, doors), .sub = inner_items,
	    .size = sizeof(struct inner) },
	{ .path = NULL }
};

static void
check_values(const struct settings *s)
{
	const struct inner *door = s->doors.v;

	assert(s->users >= -5 && s->users <= 100);
	assert(s->level >= 0 && s->level <= 2);
	assert(s->title != NULL);
	for (size_t i = 0; i < s->domains.n; i++)
		assert(s->domains.v[i].s != NULL && s->domains.v[i].line > 0);
	for (size_t i = 0; i < s->doors.n; i++)
		assert(door[i].name != NULL && door[i].port >= 1 && door[i].port <= 9 && s->doors.line[i] > 0);
}

/* A text that includes nothing comes out as it is; one that does, where there are no files, not at all. */
static void
one_text(struct span text)
{
	struct conf_errors *errs = conf_errors_new();
	char *out;
	size_t n;
	int err = conf_flatten("text", text, "/nonexistent", 1 << 20, &out, &n, errs);

	assert((err == SP_OK) == (conf_errors_count(errs) == 0));
	assert((err == SP_OK) == !conf_includes(text) || text.n > 1 << 20);
	assert(err != SP_OK || (n == text.n && (n == 0 || memcmp(out, text.p, n) == 0)));
	free(out);
	conf_errors_free(errs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct settings nothing;
	struct conf_errors *errs;
	struct settings s;
	char file[64];
	int fd, err;

	one_text(span_of((const char *)data, len));
	/* Files of this machine are not to be read. */
	if (memmem(data, len, "@include", 8) != NULL)
		return 0;
	fd = memfd_create("conf", MFD_CLOEXEC);
	assert(fd != -1 && write(fd, data, len) == (ssize_t)len);
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	errs = conf_errors_new();
	memset(&s, 0, sizeof(s));
	err = conf_load(file, items, &s, errs);
	assert((err == SP_OK) == (conf_errors_count(errs) == 0));
	assert(err == SP_OK || err == SP_EINVAL || err == SP_EIO);
	for (size_t i = 0; i < conf_errors_count(errs); i++)
		assert(strncmp(conf_errors_get(errs, i), file, strlen(file)) == 0);
	check_values(&s);
	conf_unload(items, &s);
	/* Numbers stay; what was allocated is gone. */
	assert(s.title == nothing.title && s.note == NULL && s.domains.v == NULL && s.doors.v == NULL);
	conf_errors_free(errs);
	close(fd);
	return 0;
}
