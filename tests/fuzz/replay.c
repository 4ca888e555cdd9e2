/*
 * tests/fuzz/replay.c - main() of a fuzz target without a fuzzer: every file
 * of the directories named, one after the other. An empty or missing corpus
 * fails, so that a wrong name can't pass for a good test.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Exactly as many bytes as the file has, so that a sanitizer sees a read past the end. */
static int
replay_file(const char *path)
{
	struct stat st;
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	size_t n;

	if (f == NULL || fstat(fileno(f), &st) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	if (!S_ISREG(st.st_mode)) {
		fclose(f);
		return 0;
	}
	n = (size_t)st.st_size;
	data = malloc(n != 0 ? n : 1);
	if (data == NULL || fread(data, 1, n, f) != n) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	fclose(f);
	/* Left in the test's log: the last one named is the one that failed. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 1;
}

static int
replay_directory(const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	int done = 0;

	if (n < 0) {
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		char path[4096];

		if (names[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
			done += replay_file(path);
		}
		free(names[i]);
	}
	free(names);
	return done;
}

int
main(int argc, char **argv)
{
	int done = 0;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-')	/* the fuzzer's options */
			done += replay_directory(argv[i]);
	printf("%d inputs\n", done);
	return done > 0 ? 0 : 1;
}
