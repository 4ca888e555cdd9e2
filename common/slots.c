/*
 * common/slots.c - a table of things named by number.
 */
#include "common/slots.h"

#include <stdlib.h>

#include "common/mem.h"

#define NO_SLOT	UINT32_MAX

struct slot {
	void	*item;		/* NULL: free */
	uint32_t generation;	/* of the item, or of the next one if free; 0: worn out */
	uint32_t next;		/* free: the next free slot */
};

struct slots {
	struct slot	*v;
	uint32_t	 size;	/* slots allocated */
	uint32_t	 used;	/* slots ever used */
	uint32_t	 count;
	uint32_t	 max;
	uint32_t	 free;	/* first of the free ones below used */
	uint32_t	 first;	/* generation of a slot that was never used */
};

struct slots *
slots_new(uint32_t max)
{
	struct slots *t = xcalloc(1, sizeof(*t));

	t->max = max <= SLOTS_MAX ? max : SLOTS_MAX;
	t->free = NO_SLOT;
	t->first = 1;
	return t;
}

void
slots_begin_at(struct slots *t, uint32_t generation)
{
	t->first = generation != 0 ? generation : 1;
}

void
slots_free(struct slots *t)
{
	if (t == NULL)
		return;
	free(t->v);
	free(t);
}

static void
grow(struct slots *t)
{
	uint32_t size = t->size != 0 ? t->size * 2 : 16;

	t->size = size < t->max ? size : t->max;
	t->v = xreallocarray(t->v, t->size, sizeof(*t->v));
}

uint64_t
slots_add(struct slots *t, void *item)
{
	struct slot *s;
	uint32_t i;

	if (t->free != NO_SLOT) {
		i = t->free;
		t->free = t->v[i].next;
	} else if (t->used < t->max) {
		if (t->used == t->size)
			grow(t);
		i = t->used++;
		t->v[i].generation = t->first;
	} else {
		return 0;
	}
	s = &t->v[i];
	s->item = item;
	s->next = NO_SLOT;
	t->count++;
	return (uint64_t)s->generation << 24 | i;
}

static struct slot *
find(const struct slots *t, uint64_t id)
{
	uint32_t i = SLOT_OF(id);
	struct slot *s;

	if (i >= t->used)
		return NULL;
	s = &t->v[i];
	/* The whole of what stands above the slot number: an id is compared, not masked. */
	return s->item != NULL && s->generation == id >> 24 ? s : NULL;
}

void *
slots_get(const struct slots *t, uint64_t id)
{
	const struct slot *s = find(t, id);

	return s != NULL ? s->item : NULL;
}

void
slots_remove(struct slots *t, uint64_t id)
{
	struct slot *s = find(t, id);

	if (s == NULL)
		return;
	s->item = NULL;
	t->count--;
	/* After its last generation a slot is never used again, so that no id comes back. */
	if (++s->generation == 0)
		return;
	s->next = t->free;
	t->free = SLOT_OF(id);
}

uint32_t
slots_count(const struct slots *t)
{
	return t->count;
}

void
slots_each(struct slots *t, void (*fn)(void *item, void *arg), void *arg)
{
	for (uint32_t i = 0; i < t->used; i++)
		if (t->v[i].item != NULL)
			fn(t->v[i].item, arg);
}
