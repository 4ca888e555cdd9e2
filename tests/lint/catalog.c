/*
 * packaging/sallyport.catalog: each entry's id is that of the event in the comment above it, and none is there twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/journal.h"

int
main(void)
{
	char path[4096], line[1024], event[64] = "", id[JOURNAL_ID], seen[128][JOURNAL_ID];
	const char *top = getenv("srcdir");
	unsigned n = 0, bad = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/packaging/sallyport.catalog", top != NULL ? top : ".");
	if ((f = fopen(path, "r")) == NULL) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "# %63[a-z-]", event) == 1 || strncmp(line, "-- ", 3) != 0)
			continue;
		journal_id(span_str(event), id);
		if (strcmp(line + 3, id) != 0) {
			printf("%s: the id of %s is %s\n", path, event, id);
			bad++;
		}
		for (unsigned i = 0; i < n; i++)
			if (strcmp(seen[i], id) == 0) {
				printf("%s: %s is there twice\n", path, event);
				bad++;
			}
		if (n < 128)
			strcpy(seen[n++], id);
	}
	fclose(f);
	if (n == 0)
		printf("%s: there is no entry\n", path);
	return bad != 0 || n == 0;
}
