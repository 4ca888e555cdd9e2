/*
 * tests/fuzz/fuzz_pack.c - a configuration on its way from one of our processes to another. What was loaded arrives
 * as it was; whatever else arrives is refused, or is what could have been loaded and is packed to the same bytes again.
 *
 * The input is the text of a configuration and what is changed of its bytes on the way (patch.h).
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/err.h"
#include "tests/fuzz/patch.h"
#include "tests/fuzz/textfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
TEXTFILE_LIBCONFIG_LEAKS

struct inner {
	char			*name;
	int			 port;
	struct conf_strs	 list;
};

struct settings {
	bool			 on;
	int			 users, unset, level;
	char			*title, *note;
	struct conf_strs	 domains;
	struct conf_groups	 doors;
};

static const char *const levels[] = { "low", "middle", "high", NULL };

static const struct conf_item inner_items[] = {
	{ .path = "name", .type = CONF_STR, .at = offsetof(struct inner, name) },
	{ .path = "port", .type = CONF_INT, .at = offsetof(struct inner, port), .dflt = 1, .min = 1, .max = 9 },
	{ .path = "list", .type = CONF_STRS, .at = offsetof(struct inner, list) },
	{ .path = NULL }
};

static const struct conf_item items[] = {
	{ .path = "on", .type = CONF_BOOL, .at = offsetof(struct settings, on) },
	{ .path = "users", .type = CONF_INT, .at = offsetof(struct settings, users), .dflt = 5, .min = -5, .max = 100 },
	{ .path = "unset", .type = CONF_INT, .at = offsetof(struct settings, unset), .dflt = -1, .min = 10, .max = 20 },
	{ .path = "level", .type = CONF_CHOICE, .at = offsetof(struct settings, level), .choices = levels },
	{ .path = "title", .type = CONF_STR, .at = offsetof(struct settings, title) },
	{ .path = "note", .type = CONF_STR, .at = offsetof(struct settings, note), .flags = CONF_OPTIONAL },
	{ .path = "domains", .type = CONF_STRS, .at = offsetof(struct settings, domains) },
	{ .path = "doors", .type = CONF_GROUPS, .at = offsetof(struct settings, doors), .sub = inner_items,
	    .size = sizeof(struct inner) },
	{ .path = NULL }
};

static struct span
pack(const struct settings *s, char **bytes)
{
	size_t n = 0;
	FILE *f = open_memstream(bytes, &n);

	assert(f != NULL);
	conf_pack(items, s, f);
	fclose(f);
	return span_of(*bytes, n);
}

static void
is_possible(const struct settings *s)
{
	const struct inner *door = s->doors.v;

	assert(s->users >= -5 && s->users <= 100 && s->level >= 0 && s->level <= 2);
	assert(s->unset == -1 || (s->unset >= 10 && s->unset <= 20));
	assert(s->title != NULL);
	for (size_t i = 0; i < s->domains.n; i++)
		assert(s->domains.v[i].s != NULL);
	for (size_t i = 0; i < s->doors.n; i++)
		assert(door[i].name != NULL && door[i].port >= 1 && door[i].port <= 9);
}

/* bytes begin with what was packed, if unpacking says so. How much that is; 0: it is refused. */
static size_t
unpack(struct span bytes)
{
	struct settings s;
	struct span rest = bytes, again;
	char *copy = NULL;
	size_t used = 0;

	memset(&s, 0, sizeof(s));
	if (conf_unpack(items, &rest, &s)) {
		is_possible(&s);
		used = bytes.n - rest.n;
		again = pack(&s, &copy);
		assert(span_eq(again, span_head(bytes, used)));
		free(copy);
	}
	conf_unload(items, &s);
	assert(s.title == NULL && s.domains.v == NULL && s.doors.v == NULL);
	return used;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf_errors *errs = conf_errors_new();
	struct span text, patches, bytes;
	struct settings s;
	char *packed = NULL;

	/* as bytes that come from anywhere */
	(void)unpack(span_of((const char *)data, len));
	patch_split(data, len, &text, &patches);
	memset(&s, 0, sizeof(s));
	/* Files of this machine are not to be read. */
	if (memmem(data, len, "@include", 8) == NULL && conf_load_text("fuzz", text, NULL, items, &s, errs) == SP_OK) {
		bytes = pack(&s, &packed);
		assert(unpack(bytes) == bytes.n);
		for (size_t cut = bytes.n > 64 ? bytes.n - 64 : 0; cut < bytes.n; cut++)
			assert(unpack(span_head(bytes, cut)) == 0);
		patch_all(patches, packed, bytes.n);
		(void)unpack(bytes);
		free(packed);
	}
	conf_unload(items, &s);
	conf_errors_free(errs);
	return 0;
}
