/*
 * tests/lint/man_reasons.c - every reason is in the manual page, with its
 * sentence, and the page has no other. The page is made by awk from the text
 * of policy/reason.h; this reads the table as the compiler does.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/reason.h"

static const struct {
	const char	*name;
	const char	*sentence;
} reasons[] = {
#define X(e, name, status, diag, pub, text) { name, text },
	POLICY_REASONS(X)
#undef X
};
#define NREASONS	(sizeof(reasons) / sizeof(reasons[0]))

static size_t
find(const char *name)
{
	for (size_t i = 0; i < NREASONS; i++)
		if (strcmp(reasons[i].name, name) == 0)
			return i;
	return NREASONS;
}

int
main(void)
{
	const char *builddir = getenv("builddir");
	size_t seen[NREASONS] = { 0 };
	char path[4096], line[1024];
	int bad = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/man/sallyport-reasons.7", builddir != NULL ? builddir : ".");
	if ((f = fopen(path, "r")) == NULL) {
		fprintf(stderr, "%s is missing\n", path);
		return 1;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		size_t i;

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, ".It Cm ", 7) != 0)
			continue;
		if ((i = find(line + 7)) == NREASONS) {
			fprintf(stderr, "%s is no reason\n", line + 7);
			bad = 1;
			continue;
		}
		seen[i]++;
		if (fgets(line, sizeof(line), f) == NULL ||
		    strncmp(line, reasons[i].sentence, strlen(reasons[i].sentence)) != 0) {
			fprintf(stderr, "%s: its sentence is not in the page\n", reasons[i].name);
			bad = 1;
		}
	}
	fclose(f);
	for (size_t i = 0; i < NREASONS; i++)
		if (seen[i] != 1) {
			fprintf(stderr, "%s is in the page %zu times\n", reasons[i].name, seen[i]);
			bad = 1;
		}
	printf("%zu reasons\n", NREASONS);
	return bad;
}
