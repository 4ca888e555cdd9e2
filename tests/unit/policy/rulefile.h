/*
 * rulefile.h - policy written as text, for tests: one "key value" a line, '#'
 * at the beginning of a line for a comment. See tests/policy/README.
 */
#ifndef SALLYPORT_TESTS_RULEFILE_H
#define SALLYPORT_TESTS_RULEFILE_H

#include <stddef.h>

#include "policy/rules.h"

/* Errors as "line: text\n", as far as they fit. */
struct rule_errors {
	char	text[16384];
	size_t	len;
	size_t	count;
};

/* Collects into a struct rule_errors; fits policy_builder_finish(). */
void	rule_errors_add(void *, const char *file, int line, const char *text);
/* Rules from text; name is what places are called. NULL with errors. */
struct policy_rules *rules_from_text(const char *name, const char *text, struct rule_errors *);
/* The whole of tests/policy/NAME, to be freed; ends the test program when it is not there. */
char	*test_data(const char *name);
/* Rules from tests/policy/NAME; ends the test program with the errors when there are any. */
struct policy_rules *rules_from_file(const char *name);

#endif
