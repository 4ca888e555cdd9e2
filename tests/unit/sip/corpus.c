#include "tests/unit/sip/corpus.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"

static int
visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

struct corpus_file *
corpus_load(size_t *count)
{
	const char *top = getenv("srcdir") != NULL ? getenv("srcdir") : ".";
	char dir[1024];
	struct dirent **names;
	struct corpus_file *files;
	int n;

	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/message", top);
	n = scandir(dir, &names, visible, alphasort);
	ck_assert_msg(n > 0, "no messages in %s", dir);
	files = xcalloc((size_t)n, sizeof(*files));
	for (int i = 0; i < n; i++) {
		char path[2048], text[65536];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		f = fopen(path, "rb");
		ck_assert_msg(f != NULL, "%s", path);
		files[i].n = fread(text, 1, sizeof(text), f);
		files[i].p = xmemdup(text, files[i].n);
		files[i].name = xstrdup(names[i]->d_name);
		fclose(f);
		free(names[i]);
	}
	free(names);
	*count = (size_t)n;
	return files;
}

void
corpus_free(struct corpus_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(files[i].name);
		free(files[i].p);
	}
	free(files);
}

uint32_t
corpus_random(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % below;
}
