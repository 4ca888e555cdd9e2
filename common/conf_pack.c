/*
 * common/conf_pack.c - what conf_load() has filled, as bytes for another process of ours, and back.
 *
 * Both sides are one program, so bytes are in the machine's order and rows go by their place in the table.
 */
#include "common/conf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_report.h"
#include "common/mem.h"

static void
put_number(uint32_t n, FILE *f)
{
	fwrite(&n, sizeof(n), 1, f);
}

/* Its length and one more, so that 0 is none. */
static void
put_text(const char *s, FILE *f)
{
	put_number(s != NULL ? (uint32_t)strlen(s) + 1 : 0, f);
	if (s != NULL)
		fputs(s, f);
}

void
conf_pack(const struct conf_item *items, const void *in, FILE *f)
{
	for (const struct conf_item *it = items; it->path != NULL; it++) {
		const void *at = (const char *)in + it->at;
		const struct conf_strs *strs = at;
		const struct conf_groups *groups = at;

		switch (it->type) {
		case CONF_BOOL:
			put_number(*(const bool *)at, f);
			break;
		case CONF_INT:
		case CONF_CHOICE:
			put_number((uint32_t)*(const int *)at, f);
			break;
		case CONF_STR:
			put_text(*(char *const *)at, f);
			break;
		case CONF_STRS:
			put_number((uint32_t)strs->n, f);
			for (size_t i = 0; i < strs->n; i++)
				put_text(strs->v[i].s, f);
			break;
		case CONF_GROUPS:
			put_number((uint32_t)groups->n, f);
			for (size_t i = 0; i < groups->n; i++)
				conf_pack(it->sub, (const char *)groups->v + i * it->size, f);
			break;
		}
	}
}

static bool
get_number(struct span *rest, uint32_t *n)
{
	if (rest->n < sizeof(*n))
		return false;
	memcpy(n, rest->p, sizeof(*n));
	*rest = span_tail(*rest, sizeof(*n));
	return true;
}

static bool
get_text(struct span *rest, char **out)
{
	uint32_t n;

	if (!get_number(rest, &n) || (n > 1 && (rest->p == NULL || n - 1 > rest->n || memchr(rest->p, '\0', n - 1) != NULL)))
		return false;
	if (n == 0)
		return true;
	*out = xmalloc(n);
	if (n > 1)
		memcpy(*out, rest->p, n - 1);
	(*out)[n - 1] = '\0';
	*rest = span_tail(*rest, n - 1);
	return true;
}

/* Each takes a byte at least, so what is there bounds how many there can be. */
static bool
get_count(struct span *rest, uint32_t *n)
{
	return get_number(rest, n) && *n <= rest->n;
}

static bool
get_strs(struct span *rest, struct conf_strs *out)
{
	uint32_t n;

	if (!get_count(rest, &n))
		return false;
	out->v = n != 0 ? xcalloc(n, sizeof(*out->v)) : NULL;
	for (; out->n < n; out->n++)
		if (!get_text(rest, &out->v[out->n].s) || out->v[out->n].s == NULL)
			return false;
	return true;
}

static bool
get_groups(struct span *rest, const struct conf_item *it, struct conf_groups *out)
{
	uint32_t n;

	if (!get_count(rest, &n))
		return false;
	out->v = n != 0 ? xcalloc(n, it->size) : NULL;
	out->line = n != 0 ? xcalloc(n, sizeof(*out->line)) : NULL;
	while (out->n < n)
		/* counted first: what there is of it is conf_unload()'s */
		if (!conf_unpack(it->sub, rest, (char *)out->v + out->n++ * it->size))
			return false;
	return true;
}

/* Is it a number that conf_load() could have put there? */
static bool
is_possible(const struct conf_item *it, int v)
{
	long min, max;
	int n = 0;

	if (it->type == CONF_CHOICE) {
		while (it->choices[n] != NULL)
			n++;
		return v >= 0 && v < n;
	}
	conf_range_of(it, &min, &max);
	return v == (int)it->dflt || (v >= min && v <= max);
}

bool
conf_unpack(const struct conf_item *items, struct span *rest, void *out)
{
	bool good = true;
	uint32_t n = 0;

	for (const struct conf_item *it = items; good && it->path != NULL; it++) {
		void *at = (char *)out + it->at;

		switch (it->type) {
		case CONF_BOOL:
			good = get_number(rest, &n) && n <= 1;
			*(bool *)at = n == 1;
			break;
		case CONF_INT:
		case CONF_CHOICE:
			good = get_number(rest, &n) && is_possible(it, (int)n);
			*(int *)at = good ? (int)n : (int)it->dflt;
			break;
		case CONF_STR:
			good = get_text(rest, at) && (*(char **)at != NULL || (it->flags & CONF_OPTIONAL));
			break;
		case CONF_STRS:
			good = get_strs(rest, at);
			break;
		case CONF_GROUPS:
			good = get_groups(rest, it, at);
			break;
		}
	}
	return good;
}
