/*
 * admin/policydiff.c - what two policies say differently; see policydiff.h.
 */
#include "admin/policydiff.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin/policyfile.h"
#include "common/err.h"
#include "common/mem.h"

#define SUMMARY_MAX	1024	/* bytes of what is said of a whole partner */

const char *
policydiff_kind_name(enum policydiff_kind k)
{
	static const char *const names[] = { "added", "removed", "changed" };

	return names[k];
}

/* One value of a policy. */
struct item {
	char	*list, *group, *option, *value;		/* list and group: NULL at the top */
	bool	 element;
};

struct items {
	struct item	*v;
	size_t		 n, room;
};

struct policydiff {
	struct items		 was, now;	/* what the entries point into */
	struct policydiff_entry	*v;
	size_t			 n, room;
	char			**summary;	/* texts of our own */
	size_t			 nsummaries, summary_room;
};

static void
collect(void *arg, const char *list, const char *group, const char *option, bool element, const char *value)
{
	struct items *is = arg;

	if (is->n == is->room) {
		is->room = is->room != 0 ? is->room * 2 : 256;
		is->v = xreallocarray(is->v, is->room, sizeof(*is->v));
	}
	is->v[is->n++] = (struct item){ list != NULL ? xstrdup(list) : NULL, group != NULL ? xstrdup(group) : NULL,
		xstrdup(option), xstrdup(value), element };
}

static void
items_fini(struct items *is)
{
	for (size_t i = 0; i < is->n; i++) {
		free(is->v[i].list);
		free(is->v[i].group);
		free(is->v[i].option);
		free(is->v[i].value);
	}
	free(is->v);
}

static int
compare_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? (a != NULL) - (b != NULL) : strcmp(a, b);
}

static int
compare_group(const struct item *a, const struct item *b)
{
	int order = compare_text(a->list, b->list);

	return order != 0 ? order : compare_text(a->group, b->group);
}

/* Which value it is: elements of lists are known by themselves, in any letter case. */
static int
compare(const struct item *a, const struct item *b)
{
	int order = compare_group(a, b);

	if (order == 0)
		order = strcmp(a->option, b->option);
	if (order == 0 && a->element && b->element)
		order = strcasecmp(a->value, b->value);
	return order;
}

static int
compare_void(const void *a, const void *b)
{
	return compare(a, b);
}

static void
add(struct policydiff *d, enum policydiff_kind kind, const struct item *it, const char *option, const char *was,
    const char *now)
{
	if (d->n == d->room) {
		d->room = d->room != 0 ? d->room * 2 : 32;
		d->v = xreallocarray(d->v, d->room, sizeof(*d->v));
	}
	d->v[d->n++] = (struct policydiff_entry){ kind, it->list, it->group, option, was, now };
}

/* The n items of one group in one text. */
static const char *
summarize(struct policydiff *d, const struct item *v, size_t n)
{
	char text[SUMMARY_MAX];
	struct strbuf sb;
	const char *last = "";

	strbuf_init(&sb, text, sizeof(text));
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].value, "false") == 0 || strcmp(v[i].option, "name") == 0)
			continue;
		if (v[i].element && strcmp(last, v[i].option) == 0)
			strbuf_printf(&sb, ", %s", v[i].value);
		else
			strbuf_printf(&sb, "%s%s %s", sb.len != 0 ? "; " : "", v[i].option, v[i].value);
		last = v[i].option;
	}
	if (d->nsummaries == d->summary_room) {
		d->summary_room = d->summary_room != 0 ? d->summary_room * 2 : 16;
		d->summary = xreallocarray(d->summary, d->summary_room, sizeof(*d->summary));
	}
	return d->summary[d->nsummaries++] = xstrdup(text);
}

static size_t
group_size(const struct item *v, size_t n)
{
	size_t k = 1;

	while (k < n && compare_group(&v[0], &v[k]) == 0)
		k++;
	return k;
}

/* One group, or what stands at the top, in both texts. */
static void
compare_values(struct policydiff *d, const struct item *a, size_t na, const struct item *b, size_t nb)
{
	size_t i = 0, j = 0;

	while (i < na || j < nb) {
		int order = i == na ? 1 : j == nb ? -1 : compare(&a[i], &b[j]);

		if (order < 0) {
			add(d, POLICYDIFF_REMOVED, &a[i], a[i].option, a[i].value, NULL);
			i++;
		} else if (order > 0) {
			add(d, POLICYDIFF_ADDED, &b[j], b[j].option, NULL, b[j].value);
			j++;
		} else {
			if (!a[i].element && strcmp(a[i].value, b[j].value) != 0)
				add(d, POLICYDIFF_CHANGED, &b[j], b[j].option, a[i].value, b[j].value);
			i++;
			j++;
		}
	}
}

static void
compare_all(struct policydiff *d)
{
	const struct item *a = d->was.v, *b = d->now.v;
	size_t na = d->was.n, nb = d->now.n;

	while (na > 0 || nb > 0) {
		size_t ka = na > 0 ? group_size(a, na) : 0, kb = nb > 0 ? group_size(b, nb) : 0;
		int order = na == 0 ? 1 : nb == 0 ? -1 : compare_group(a, b);

		if (order < 0) {
			add(d, POLICYDIFF_REMOVED, a, NULL, summarize(d, a, ka), NULL);
			kb = 0;
		} else if (order > 0) {
			add(d, POLICYDIFF_ADDED, b, NULL, NULL, summarize(d, b, kb));
			ka = 0;
		} else {
			compare_values(d, a, ka, b, kb);
		}
		a += ka;
		na -= ka;
		b += kb;
		nb -= kb;
	}
}

struct policydiff *
policydiff_new(const char *was_name, struct span was, const char *now_name, struct span now, const char *dir,
    struct conf_errors *errs)
{
	struct policydiff *d = xcalloc(1, sizeof(*d));
	int err = policyfile_walk(was_name, was, dir, collect, &d->was, errs);
	int other = policyfile_walk(now_name, now, dir, collect, &d->now, errs);

	if (err != SP_OK || other != SP_OK) {
		policydiff_free(d);
		return NULL;
	}
	if (d->was.n > 1)
		qsort(d->was.v, d->was.n, sizeof(*d->was.v), compare_void);
	if (d->now.n > 1)
		qsort(d->now.v, d->now.n, sizeof(*d->now.v), compare_void);
	compare_all(d);
	return d;
}

void
policydiff_free(struct policydiff *d)
{
	if (d == NULL)
		return;
	items_fini(&d->was);
	items_fini(&d->now);
	for (size_t i = 0; i < d->nsummaries; i++)
		free(d->summary[i]);
	free(d->summary);
	free(d->v);
	free(d);
}

size_t
policydiff_count(const struct policydiff *d)
{
	return d->n;
}

const struct policydiff_entry *
policydiff_get(const struct policydiff *d, size_t i)
{
	return &d->v[i];
}

/* As it may stand in a line: controls are shown, the rest is UTF-8 of ours. */
static void
put(struct strbuf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			strbuf_printf(out, "\\x%02X", (unsigned)(unsigned char)*text);
		else
			strbuf_putc(out, *text);
	}
}

void
policydiff_say(const struct policydiff_entry *e, struct strbuf *out)
{
	if (e->list != NULL) {
		put(out, e->list);
		strbuf_puts(out, " ");
		put(out, e->group);
		strbuf_puts(out, ": ");
	}
	if (e->option != NULL) {
		put(out, e->option);
		strbuf_puts(out, ": ");
	}
	switch (e->kind) {
	case POLICYDIFF_ADDED:
		strbuf_puts(out, "added ");
		put(out, e->now);
		break;
	case POLICYDIFF_REMOVED:
		strbuf_puts(out, "removed ");
		put(out, e->was);
		break;
	case POLICYDIFF_CHANGED:
		put(out, e->was);
		strbuf_puts(out, " -> ");
		put(out, e->now);
		break;
	}
}
