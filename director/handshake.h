/*
 * director/handshake.h - NTLM handshakes, on the side that has the hashes.
 *
 * authd draws each challenge itself and takes an answer to it once: whoever
 * has broken into the network process cannot have old answers verified. The
 * open challenges are in a ring; the oldest gives way to the newest.
 */
#ifndef SALLYPORT_DIRECTOR_HANDSHAKE_H
#define SALLYPORT_DIRECTOR_HANDSHAKE_H

#include "director/authd.h"
#include "director/ntlm.h"

struct handshakes;

/* n: challenges that may be open at once. */
struct handshakes *handshakes_new(uint32_t n, const struct ntlm_target *);
void	 handshakes_free(struct handshakes *);	/* wipes; NULL: nothing */

/*
 * An answer counts in guesses (NULL: nobody counts). One step: a challenge for an empty token, a verdict for an answer. Fills all
 * of *a; a->token points into storage of h until the next call.
 */
void	 handshakes_step(struct handshakes *, const struct users *, struct guesses *, const struct authd_step *,
	    struct authd_answer *a);

#endif
