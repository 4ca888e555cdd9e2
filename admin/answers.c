/*
 * admin/answers.c - see answers.h.
 */
#include "admin/answers.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "net/dns_reply.h"

#define WORDS_MAX	5

struct one {
	char			 name[NET_DNS_NAME_MAX];
	struct net_dns_answer	 answer;
	struct net_srv		 srv[NET_DNS_SRV_MAX];
};

struct answers {
	struct one	*v;
	size_t		 n;
};

static bool
read_number(struct span s, uint16_t *out)
{
	uint64_t v;

	if (!span_uint(s, UINT16_MAX, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

static bool
read_srv(const struct span word[4], struct net_srv *s)
{
	if (!read_number(word[0], &s->priority) || !read_number(word[1], &s->weight) || !read_number(word[2], &s->port))
		return false;
	s->target[0] = '\0';
	return span_is(word[3], ".") || net_dns_name(s->target, word[3], false);
}

static struct one *
find(const struct answers *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcasecmp(a->v[i].name, name) == 0)
			return &a->v[i];
	return NULL;
}

static size_t
words_of(struct span line, struct span word[WORDS_MAX + 1])
{
	size_t n = 0, at = 0;

	while (at < line.n && n <= WORDS_MAX) {
		size_t from;

		while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t' || line.p[at] == '\r'))
			at++;
		for (from = at; at < line.n && line.p[at] != ' ' && line.p[at] != '\t' && line.p[at] != '\r'; at++)
			;
		if (at != from)
			word[n++] = span_of(line.p + from, at - from);
	}
	return n;
}

static bool
read_line(struct answers *a, const struct span *word, size_t n)
{
	bool none = n == 2 && span_is(word[1], "none"), failed = n == 2 && span_is(word[1], "failed");
	char name[NET_DNS_NAME_MAX];
	struct net_srv srv;
	struct one *o;

	if (!net_dns_name(name, word[0], true) || (!none && !failed && (n != WORDS_MAX || !read_srv(word + 1, &srv))))
		return false;
	if ((o = find(a, name)) == NULL) {
		if (a->n == ANSWERS_MAX)
			return false;
		a->v = xreallocarray(a->v, a->n + 1, sizeof(*a->v));
		o = &a->v[a->n++];
		*o = (struct one){ .answer = { .status = failed ? NET_DNS_FAILED : NET_DNS_NONE } };
		memcpy(o->name, name, sizeof(o->name));
	} else if (none || failed || o->answer.nsrv == 0) {
		return false;	/* it has said something else */
	}
	if (none || failed)
		return true;
	if (o->answer.nsrv == NET_DNS_SRV_MAX)
		return false;
	o->srv[o->answer.nsrv++] = srv;
	o->answer.status = NET_DNS_FOUND;
	return true;
}

struct answers *
answers_read(struct span text, void (*tell)(void *arg, unsigned line), void *arg)
{
	struct answers *a = xcalloc(1, sizeof(*a));
	struct span word[WORDS_MAX + 1];
	bool good = true;

	for (unsigned line = 1; text.n != 0; line++) {
		struct span s = span_head(text, span_find(text, '\n'));
		size_t n = words_of(s, word);

		text = span_tail(text, s.n + 1);
		if (n == 0 || word[0].p[0] == '#' || read_line(a, word, n))
			continue;
		tell(arg, line);
		good = false;
	}
	if (!good) {
		answers_free(a);
		return NULL;
	}
	for (size_t i = 0; i < a->n; i++)
		a->v[i].answer.srv = a->v[i].srv;
	return a;
}

void
answers_free(struct answers *a)
{
	if (a == NULL)
		return;
	free(a->v);
	free(a);
}

const struct net_dns_answer *
answers_get(const struct answers *a, const char *record)
{
	static const struct net_dns_answer nothing = { .status = NET_DNS_NONE };
	const struct one *o = find(a, record);

	return o != NULL ? &o->answer : &nothing;
}

size_t
answers_count(const struct answers *a)
{
	return a->n;
}

const char *
answers_name(const struct answers *a, size_t i)
{
	return a->v[i].name;
}
