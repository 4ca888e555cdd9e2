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
#include "director/winbind.h"

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

/* --- the same where a Windows domain has the accounts ------------------------------------- */

/* An answer that the domain has to judge. */
struct handshake_asked;

/*
 * One step. If it has to be asked for, *asked is set and *a is empty; else *asked
 * is NULL, and *a filled as above. asked is given to one of the functions below, once.
 */
void	 handshakes_step_asking(struct handshakes *, struct guesses *, const struct authd_step *, struct authd_answer *a,
	    struct handshake_asked **asked);
/* The question. Borrowed from asked. */
void	 handshake_question(const struct handshake_asked *, struct winbind_question *);
/*
 * What the domain says. Fills all of *a but who: for AUTHD_OK the account of *w is proved, and
 * whose address that is the caller has to find.
 */
void	 handshake_judged(struct handshakes *, struct guesses *, struct handshake_asked *, const struct winbind_answer *w,
	    struct authd_answer *a);

#endif
