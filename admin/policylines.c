/*
 * admin/policylines.c - differences by lines, and merging by them; see policydiff.h.
 *
 * The shortest edit script by Myers ("An O(ND) Difference Algorithm and Its
 * Variations", 1986), between what both texts begin and end with alike.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/policydiff.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"

#define CONTEXT	3
#define NONE	SIZE_MAX

struct lines {
	struct span	*v;	/* without their newlines */
	uint64_t	*hash;
	size_t		 n;
	bool		 open;	/* the last has no newline */
};

static void
cut(struct lines *l, struct span text)
{
	size_t room = 64;

	*l = (struct lines){ .v = xcalloc(room, sizeof(*l->v)), .open = text.n != 0 && text.p[text.n - 1] != '\n' };
	while (text.n > 0) {
		size_t n = span_find(text, '\n');

		if (l->n == room) {
			room *= 2;
			l->v = xreallocarray(l->v, room, sizeof(*l->v));
		}
		l->v[l->n++] = span_head(text, n);
		text = span_tail(text, n + 1);
	}
	l->hash = xcalloc(l->n + 1, sizeof(*l->hash));
	for (size_t i = 0; i < l->n; i++)
		l->hash[i] = hash_bytes(l->v[i].p, l->v[i].n);
}

static void
lines_fini(struct lines *l)
{
	free(l->v);
	free(l->hash);
}

static bool
same(const struct lines *a, size_t i, const struct lines *b, size_t j)
{
	return a->hash[i] == b->hash[j] && span_eq(a->v[i], b->v[j]);
}

/*
 * The furthest points reached with d edits, for each d: kept to walk back. Row d has
 * the diagonals -d .. d.
 */
struct rows {
	int32_t	**v;
	size_t	 n;
};

/* Fill rows until the end is reached; false: more edits than we look for. */
static bool
reach(struct rows *r, const struct lines *a, size_t a0, size_t na, const struct lines *b, size_t b0, size_t nb)
{
	for (size_t d = 0; d <= POLICYDIFF_EDITS_MAX && d <= na + nb; d++) {
		int32_t *row = xcalloc(2 * d + 1, sizeof(*row)), *last = d > 0 ? r->v[d - 1] : NULL;
		int32_t di = (int32_t)d;

		r->v[r->n++] = row;
		for (int32_t k = -di; k <= di; k += 2) {
			int32_t x;

			/* row d - 1 has its diagonal k at k + d - 1 */
			if (d == 0)
				x = 0;
			else if (k == -di || (k != di && last[k - 1 + di - 1] < last[k + 1 + di - 1]))
				x = last[k + 1 + di - 1];
			else
				x = last[k - 1 + di - 1] + 1;
			while (x >= 0 && (size_t)x < na && x - k >= 0 && (size_t)(x - k) < nb &&
			    same(a, a0 + (size_t)x, b, b0 + (size_t)(x - k)))
				x++;
			row[k + di] = x;
			if ((size_t)x >= na && x - k >= 0 && (size_t)(x - k) >= nb)
				return true;
		}
	}
	return false;
}

/* From the end back to the beginning: which lines are the same. */
static void
walk_back(const struct rows *r, size_t a0, size_t na, size_t b0, size_t nb, size_t *match)
{
	int32_t x = (int32_t)na, y = (int32_t)nb;

	for (size_t d = r->n - 1;; d--) {
		int32_t di = (int32_t)d, k = x - y, from;
		const int32_t *last = d > 0 ? r->v[d - 1] : NULL;

		if (d == 0)
			from = 0;
		else if (k == -di || (k != di && last[k - 1 + di - 1] < last[k + 1 + di - 1]))
			from = last[k + 1 + di - 1];		/* a line of b was put in */
		else
			from = last[k - 1 + di - 1] + 1;	/* a line of a was taken out */
		while (x > from) {
			x--;
			y--;
			match[a0 + (size_t)x] = b0 + (size_t)y;
		}
		if (d == 0)
			return;
		if (k == -di || (k != di && last[k - 1 + di - 1] < last[k + 1 + di - 1]))
			y--;
		else
			x--;
	}
}

/* For each line of a, the line of b that it is, or NONE. */
static size_t *
match_lines(const struct lines *a, const struct lines *b)
{
	size_t *match = xcalloc(a->n + 1, sizeof(*match)), head = 0, na = a->n, nb = b->n;
	struct rows r = { .v = NULL };

	for (size_t i = 0; i <= a->n; i++)
		match[i] = NONE;
	while (head < na && head < nb && same(a, head, b, head)) {
		match[head] = head;
		head++;
	}
	while (na > head && nb > head && same(a, na - 1, b, nb - 1))
		match[--na] = --nb;
	if (na == head || nb == head)
		return match;
	r.v = xcalloc(POLICYDIFF_EDITS_MAX + 2, sizeof(*r.v));
	if (na < INT32_MAX / 2 && nb < INT32_MAX / 2 && reach(&r, a, head, na - head, b, head, nb - head))
		walk_back(&r, head, na - head, head, nb - head, match);
	for (size_t i = 0; i < r.n; i++)
		free(r.v[i]);
	free(r.v);
	return match;
}

/* ---- as a unified diff ---- */

struct writing {
	const struct lines	*a, *b;
	const size_t		*match;
	void	(*each)(void *arg, char mark, size_t line, struct span text);
	void	*arg;
	size_t	 changed;
};

/* From (i, j) on, the next line that differs: in which both stand there. False: none does. */
static bool
next_change(const struct writing *w, size_t *i, size_t *j)
{
	while (*i < w->a->n && *j < w->b->n && w->match[*i] == *j) {
		(*i)++;
		(*j)++;
	}
	return *i < w->a->n || *j < w->b->n;
}

static void
skip_change(const struct writing *w, size_t *i, size_t *j)
{
	while (*i < w->a->n && w->match[*i] == NONE)
		(*i)++;
	*j = *i < w->a->n ? w->match[*i] : w->b->n;
}

static void
write_hunk(struct writing *w, size_t i, size_t j, size_t i_end, size_t j_end)
{
	char head[96];

	snprintf(head, sizeof(head), "-%zu,%zu +%zu,%zu", i_end > i ? i + 1 : i, i_end - i, j_end > j ? j + 1 : j, j_end - j);
	w->each(w->arg, '@', j + 1, span_str(head));
	while (i < i_end || j < j_end) {
		if (i < i_end && w->match[i] == NONE) {
			w->each(w->arg, '-', i + 1, w->a->v[i]);
			i++;
			w->changed++;
		} else if (j < j_end && (i == i_end || w->match[i] != j)) {
			w->each(w->arg, '+', j + 1, w->b->v[j]);
			j++;
			w->changed++;
		} else {
			w->each(w->arg, ' ', j + 1, w->b->v[j]);
			i++;
			j++;
		}
	}
}

size_t
policydiff_lines(struct span was, struct span now, void (*each)(void *arg, char mark, size_t line, struct span text),
    void *arg)
{
	struct lines a, b;
	struct writing w = { .a = &a, .b = &b, .each = each, .arg = arg };
	size_t i = 0, j = 0, *match;

	cut(&a, was);
	cut(&b, now);
	w.match = match = match_lines(&a, &b);
	while (next_change(&w, &i, &j)) {
		size_t before = i < CONTEXT ? i : CONTEXT, i0, j0, i1, j1;

		if (before > j)
			before = j;
		i0 = i - before;
		j0 = j - before;
		/* changes whose surroundings touch are one */
		do {
			skip_change(&w, &i, &j);
			i1 = i;
			j1 = j;
		} while (next_change(&w, &i, &j) && i - i1 <= 2 * CONTEXT);
		for (size_t k = 0; k < CONTEXT && i1 < a.n && j1 < b.n; k++) {
			i1++;
			j1++;
		}
		write_hunk(&w, i0, j0, i1, j1);
		if (i < i1) {
			i = i1;
			j = j1;
		}
	}
	free(match);
	lines_fini(&a);
	lines_fini(&b);
	return w.changed;
}

/* ---- merging ---- */

struct merged {
	char	*p;
	size_t	 n;
};

static void
take(struct merged *m, const struct lines *l, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (l->v[i].n != 0)
			memcpy(m->p + m->n, l->v[i].p, l->v[i].n);
		m->n += l->v[i].n;
		m->p[m->n++] = '\n';
	}
}

static bool
same_run(const struct lines *a, size_t a0, size_t a1, const struct lines *b, size_t b0, size_t b1)
{
	if (a1 - a0 != b1 - b0)
		return false;
	for (size_t i = 0; i < a1 - a0; i++)
		if (!same(a, a0 + i, b, b0 + i))
			return false;
	return true;
}

int
policydiff_merge(struct span base, struct span ours, struct span theirs, char **out, size_t *n, size_t *line)
{
	struct lines o, a, b;
	struct merged m = { xmalloc(base.n + ours.n + theirs.n + 8), 0 };
	size_t *ma, *mb, io = 0, ia = 0, ib = 0;
	int err = SP_OK;

	cut(&o, base);
	cut(&a, ours);
	cut(&b, theirs);
	ma = match_lines(&o, &a);
	mb = match_lines(&o, &b);
	*out = NULL;
	*n = 0;
	while (err == SP_OK && (io < o.n || ia < a.n || ib < b.n)) {
		size_t to = io, ta, tb;

		/* the next line of the base that both have kept */
		while (to < o.n && (ma[to] == NONE || mb[to] == NONE))
			to++;
		ta = to < o.n ? ma[to] : a.n;
		tb = to < o.n ? mb[to] : b.n;
		if (same_run(&o, io, to, &a, ia, ta) || same_run(&a, ia, ta, &b, ib, tb))
			take(&m, &b, ib, tb);
		else if (same_run(&o, io, to, &b, ib, tb))
			take(&m, &a, ia, ta);
		else {
			*line = ia + 1;
			err = SP_EAGAIN;
		}
		if (to < o.n)
			take(&m, &o, to, to + 1);
		io = to + (to < o.n);
		ia = ta + (to < o.n);
		ib = tb + (to < o.n);
	}
	if (err == SP_OK) {
		/* a last line without its newline stays so only if it is everybody's */
		if (m.n > 0 && o.open && a.open && b.open)
			m.n--;
		m.p[m.n] = '\0';
		*out = m.p;
		*n = m.n;
		m.p = NULL;	/* handed over */
	}
	free(m.p);
	free(ma);
	free(mb);
	lines_fini(&o);
	lines_fini(&a);
	lines_fini(&b);
	return err;
}
