/*
 * director/ask.h - a worker's questions to authd, without waiting.
 *
 * A question is answered by its callback exactly once: with what authd said,
 * or with "no answer" when its time is up or authd is gone. Never before the
 * asking function has returned.
 */
#ifndef SALLYPORT_DIRECTOR_ASK_H
#define SALLYPORT_DIRECTOR_ASK_H

#include "director/authd.h"
#include "net/loop.h"

struct ask;

/* answered false: the verdict is AUTHD_BAD and all else empty. The answer is borrowed during the call, then wiped. */
typedef void (*ask_fn)(void *arg, bool answered, const struct authd_answer *);

/* fd (non-blocking) stays the caller's and open until ask_free(). At most max questions at once. */
struct ask *ask_new(struct net_loop *, int fd, uint32_t max);
/*
 * From now on authd is another one, at the far end of fd, as in ask_new(); what is open gets no answer. The descriptor
 * before it, the caller's to close.
 */
int	 ask_take(struct ask *, int fd);
/* Questions that are open get no answer any more: fn is called with arg for each, so that the caller can free it. */
void	 ask_free(struct ask *, void (*fn)(void *arg));
/* False (and nothing will be called) if there are too many questions, one is too long, or authd is gone. */
bool	 ask_digest(struct ask *, const struct authd_question *, unsigned timeout_ms, ask_fn, void *arg);
bool	 ask_lookup(struct ask *, struct span aor, unsigned timeout_ms, ask_fn, void *arg);
bool	 ask_step(struct ask *, const struct authd_step *, unsigned timeout_ms, ask_fn, void *arg);
uint32_t ask_open(const struct ask *);	/* questions without an answer yet */

#endif
