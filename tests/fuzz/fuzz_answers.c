/*
 * tests/fuzz/fuzz_answers.c - a file of DNS answers for "sallyportctl explain". Either each line that is none is told, in
 * order, or every record that is read has what a resolver could have said, is found by its name in whatever case, and all
 * of them written down and read again are the same.
 */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/answers.h"
#include "net/dns_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct told {
	unsigned	 n, line, lines;
};

static void
tell(void *arg, unsigned line)
{
	struct told *t = arg;

	assert(line > t->line && line <= t->lines);
	t->line = line;
	t->n++;
}

static void
is_name(const char *s, bool service)
{
	char again[NET_DNS_NAME_MAX];

	assert(net_dns_name(again, span_str(s), service) && strcmp(again, s) == 0);
}

static void
write_one(FILE *f, const struct answers *a, size_t i)
{
	const char *name = answers_name(a, i);
	char loud[NET_DNS_NAME_MAX] = "";
	const struct net_dns_answer *d = answers_get(a, name);

	is_name(name, true);
	for (size_t k = 0; name[k] != '\0'; k++)
		loud[k] = (char)toupper((unsigned char)name[k]);
	assert(answers_get(a, loud) == d && d->nsrv <= NET_DNS_SRV_MAX);
	assert((d->status == NET_DNS_FOUND) == (d->nsrv != 0));
	assert(d->status == NET_DNS_FOUND || d->status == NET_DNS_NONE || d->status == NET_DNS_FAILED);
	if (d->nsrv == 0)
		fprintf(f, "%s %s\n", name, d->status == NET_DNS_NONE ? "none" : "failed");
	for (size_t k = 0; k < d->nsrv; k++) {
		const struct net_srv *s = &d->srv[k];

		if (s->target[0] != '\0')
			is_name(s->target, false);
		fprintf(f, "%s %u %u %u %s\n", name, s->priority, s->weight, s->port, s->target[0] != '\0' ? s->target : ".");
	}
}

static char *
written(const struct answers *a, size_t *n)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, n);

	assert(f != NULL && answers_count(a) <= ANSWERS_MAX);
	for (size_t i = 0; i < answers_count(a); i++)
		write_one(f, a, i);
	fclose(f);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct told told = { .lines = 1 };
	struct answers *a, *again;
	char *copy, *one, *two;
	size_t n, m;

	/* a copy of the exact size, so that a read past the end is seen */
	copy = malloc(len != 0 ? len : 1);
	assert(copy != NULL);
	memcpy(copy, len != 0 ? (const void *)data : "", len);
	for (size_t i = 0; i < len; i++)
		told.lines += copy[i] == '\n';
	a = answers_read(span_of(copy, len), tell, &told);
	free(copy);
	assert((a == NULL) == (told.n != 0));
	if (a == NULL)
		return 0;
	assert(answers_get(a, "a.record.that.nobody has")->status == NET_DNS_NONE);
	one = written(a, &n);
	again = answers_read(span_of(one, n), tell, &told);
	assert(again != NULL && answers_count(again) == answers_count(a));
	two = written(again, &m);
	assert(n == m && memcmp(one, two, n) == 0);
	free(one);
	free(two);
	answers_free(a);
	answers_free(again);
	return 0;
}
