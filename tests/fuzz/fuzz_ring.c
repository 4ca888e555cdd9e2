/*
 * tests/fuzz/fuzz_ring.c - the file behind the charts, damaged. Either it is begun anew, and the damaged one is kept
 * beside it, or every sample whose bytes are untouched is there as it was, and no other without the right check; and what is put in afterwards is there
 * after the next start, which has nothing more to say.
 *
 * An input is changes of the file (patch.h); one more byte cuts it at that part of 256.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/http/ring.h"
#include "common/hash.h"
#include "tests/fuzz/patch.h"
#include "tests/fuzz/playground.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FIRST	29000000	/* a minute of 2025 */
#define SAMPLES	200

static char dir[64], path[96], bad[104];
static unsigned char *whole;
static size_t size, place[SAMPLES];	/* of the file; of the samples in it */

static void
fill(struct ring_sample *s, uint64_t i)
{
	memset(s, 0, sizeof(*s));
	s->minute = FIRST + i;
	s->seconds = 60;
	s->requests = i * i;
	s->refused = i;
	s->p99_us = 1000 + (uint32_t)i;
	s->reasons[i % RING_REASONS] = (uint32_t)i;
}

static void
end(void)
{
	playground_remove(dir);
	free(whole);
}

static void
begin(void)
{
	const char *news;
	struct ring *r;
	struct stat st;
	FILE *f;

	playground_make(dir, "fuzz_ring");
	snprintf(path, sizeof(path), "%s/ring", dir);
	snprintf(bad, sizeof(bad), "%s.bad", path);
	r = ring_open(path, &news);
	assert(news == NULL);
	for (uint64_t i = 0; i < SAMPLES; i++) {
		struct ring_sample s;

		fill(&s, i);
		assert(ring_put(r, &s));
	}
	ring_close(r);
	assert(stat(path, &st) == 0);
	size = (size_t)st.st_size;
	whole = malloc(size);
	f = fopen(path, "re");
	assert(whole != NULL && f != NULL && fread(whole, 1, size, f) == size);
	fclose(f);
	/* their bytes stand there as they are in memory */
	for (uint64_t i = 0; i < SAMPLES; i++) {
		struct ring_sample s;
		const unsigned char *at;

		fill(&s, i);
		at = memmem(whole, size, &s, sizeof(s));
		assert(at != NULL);
		place[i] = (size_t)(at - whole);
	}
	atexit(end);
}

/* What stands in the place of a sample now: it and its check. */
struct slot {
	struct ring_sample	sample;
	uint64_t		check;
};

/* False: its bytes are as they were. */
static bool
read_slot(struct span patches, size_t from, struct slot *out)
{
	unsigned char byte;
	size_t at;

	memcpy(out, whole + from, sizeof(*out));
	while (patch_next(&patches, size, &at, &byte))
		if (at >= from && at < from + sizeof(*out))
			((unsigned char *)out)[at - from] = byte;
	return memcmp(out, whole + from, sizeof(*out)) != 0;
}

static void
damage(struct span patches)
{
	struct span rest = patches;
	unsigned char byte;
	size_t at;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert(fd != -1 && write(fd, whole, size) == (ssize_t)size);
	while (patch_next(&rest, size, &at, &byte))
		assert(pwrite(fd, &byte, 1, (off_t)at) == 1);
	if (rest.n == 1)
		assert(ftruncate(fd, (off_t)(size * (unsigned char)rest.p[0] / 256)) == 0);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span patches = span_of((const char *)data, len < 100 * PATCH_SIZE ? len : 100 * PATCH_SIZE);
	struct ring_sample fresh, s;
	const struct ring_sample *got;
	const char *news;
	bool anew;
	struct ring *r;

	if (whole == NULL)
		begin();
	damage(patches);
	unlink(bad);
	r = ring_open(path, &news);
	anew = access(bad, F_OK) == 0;
	assert(!anew || news != NULL);
	for (uint64_t i = 0; i < SAMPLES; i++) {
		struct slot there;

		fill(&s, i);
		got = ring_get(r, s.minute);
		assert(got == NULL || (!anew && got->minute == s.minute));
		if (!anew && !read_slot(patches, place[i], &there))
			assert(got != NULL && memcmp(got, &s, sizeof(s)) == 0);
		else if (got != NULL)
			assert(there.check == hash_stable(span_of((const char *)&there.sample, sizeof(there.sample))));
	}
	fill(&fresh, SAMPLES + 1);
	assert(ring_put(r, &fresh));
	ring_close(r);
	r = ring_open(path, &news);
	/* a damaged sample stays in the file until its minute comes again */
	assert(!anew || news == NULL);
	got = ring_get(r, fresh.minute);
	assert(got != NULL && memcmp(got, &fresh, sizeof(fresh)) == 0);
	ring_close(r);
	return 0;
}
