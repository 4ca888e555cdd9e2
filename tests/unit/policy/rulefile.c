/*
 * rulefile.c - see rulefile.h.
 */
#include "tests/unit/policy/rulefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
rule_errors_add(void *arg, const char *file, int line, const char *text)
{
	struct rule_errors *e = arg;
	int n;

	(void)file;
	e->count++;
	n = snprintf(e->text + e->len, sizeof(e->text) - e->len, "%d: %s\n", line, text);
	if (n > 0 && (size_t)n < sizeof(e->text) - e->len)
		e->len += (size_t)n;
}

static void
add_line(struct policy_builder *b, const char *name, int number, char *line)
{
	char *value;

	line += strspn(line, " \t");
	if (line[0] == '\0' || line[0] == '#')
		return;
	value = line + strcspn(line, " \t");
	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, " \t");
	policy_builder_add(b, name, number, line, value);
}

struct policy_rules *
rules_from_text(const char *name, const char *text, struct rule_errors *errors)
{
	struct policy_builder *b = policy_builder_new();
	struct policy_rules *rules;
	char *copy = strdup(text), *line = copy;

	for (int number = 1; line != NULL; number++) {
		char *next = strchr(line, '\n');

		if (next != NULL)
			*next++ = '\0';
		add_line(b, name, number, line);
		line = next;
	}
	free(copy);
	*errors = (struct rule_errors){ .len = 0 };
	rules = policy_builder_finish(b, rule_errors_add, errors);
	policy_builder_free(b);
	return rules;
}

char *
test_data(const char *name)
{
	const char *dir = getenv("srcdir");
	char path[4096];
	char *text;
	FILE *f;
	long n;

	snprintf(path, sizeof(path), "%s/tests/policy/%s", dir != NULL ? dir : ".", name);
	if ((f = fopen(path, "rb")) == NULL || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0) {
		perror(path);
		exit(1);
	}
	rewind(f);
	text = calloc(1, (size_t)n + 1);
	if (text == NULL || fread(text, 1, (size_t)n, f) != (size_t)n) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return text;
}

struct policy_rules *
rules_from_file(const char *name)
{
	static struct rule_errors errors;
	char *text = test_data(name);
	struct policy_rules *rules = rules_from_text(name, text, &errors);

	free(text);
	if (rules == NULL) {
		fprintf(stderr, "%s:\n%s", name, errors.text);
		exit(1);
	}
	return rules;
}
