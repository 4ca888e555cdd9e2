/*
 * common/slots.h - a table of things named by number, whose numbers never
 * name a later thing by mistake.
 *
 * An id is slot (24 bits) and generation (32 bits). Taking a slot again raises
 * its generation, so an id kept too long finds nothing. One thread only.
 */
#ifndef SALLYPORT_COMMON_SLOTS_H
#define SALLYPORT_COMMON_SLOTS_H

#include <stdint.h>

#define SLOTS_MAX	((1u << 24) - 1)

struct slots;

/* At most max items at once (max <= SLOTS_MAX). Grows as needed, never shrinks. */
struct slots *slots_new(uint32_t max);
/*
 * Before the first slots_add(): where generations begin (1 without this). For ids that somebody may
 * keep beyond the process: from another beginning they name nothing there.
 */
void	 slots_begin_at(struct slots *, uint32_t generation);
void	 slots_free(struct slots *);	/* the items are the caller's */
/* An id for item (not NULL), never 0; 0 when the table is full. */
uint64_t slots_add(struct slots *, void *item);
/* The item, or NULL if that id is no longer or never was in use. */
void	*slots_get(const struct slots *, uint64_t id);
void	 slots_remove(struct slots *, uint64_t id);
uint32_t slots_count(const struct slots *);
/* Call fn for every item; fn may remove the item it is called for. */
void	 slots_each(struct slots *, void (*fn)(void *item, void *arg), void *arg);

#define SLOT_OF(id)		((uint32_t)((id) & 0xffffffu))
#define SLOT_GENERATION_OF(id)	((uint32_t)((id) >> 24))

#endif
