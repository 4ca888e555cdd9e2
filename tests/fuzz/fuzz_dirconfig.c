/*
 * tests/fuzz/fuzz_dirconfig.c - director.conf, and on its way from the master to the proxy. What arrives whole is
 * what was sent; whatever else arrives is refused, or means something that arrives as the same.
 *
 * The input is a director.conf and what is changed of its bytes on the way (patch.h).
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "director/config.h"
#include "tests/fuzz/patch.h"
#include "tests/fuzz/textfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
TEXTFILE_LIBCONFIG_LEAKS

static struct span
pack(const struct director_config *c, char **bytes)
{
	size_t n = 0;
	FILE *f = open_memstream(bytes, &n);

	assert(f != NULL);
	director_config_pack(c, f);
	fclose(f);
	return span_of(*bytes, n);
}

/* How much of bytes is a configuration, and what it is packed to again; 0: it is none. */
static size_t
repack(struct span bytes, char **again, struct span *out)
{
	struct span rest = bytes;
	struct director_config *c = director_config_unpack(&rest);

	if (c == NULL)
		return 0;
	*out = pack(c, again);
	director_config_unref(c);
	return bytes.n - rest.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf_errors *errs = conf_errors_new();
	struct span text, patches, bytes, one, two;
	struct director_config *c;
	char name[64], *packed = NULL, *once = NULL, *twice = NULL;
	int fd;

	patch_split(data, len, &text, &patches);
	/* Files of this machine are not to be read. */
	if (memmem(data, len, "@include", 8) != NULL)
		text = SPAN_NONE;
	fd = textfile_make(text, name);
	c = director_config_load(name, errs);
	assert((c != NULL) == (conf_errors_count(errs) == 0));
	if (c != NULL) {
		bytes = pack(c, &packed);
		assert(repack(bytes, &once, &one) == bytes.n && span_eq(one, bytes));
		free(once);
		assert(repack(span_head(bytes, bytes.n - 1), &once, &one) == 0);
		/* names come as they are compared: in lower case, so once more than here for the same bytes */
		if (patch_all(patches, packed, bytes.n) && repack(bytes, &once, &one) != 0) {
			assert(repack(one, &twice, &two) == one.n && span_eq(one, two));
			free(once);
			free(twice);
		}
		free(packed);
	}
	director_config_unref(c);
	close(fd);
	conf_errors_free(errs);
	return 0;
}
