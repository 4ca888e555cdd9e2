/*
 * tests/bench/request.h - the requests that the load generator sends: built
 * once, then only a few digits are written over for each one sent.
 */
#ifndef SALLYPORT_TESTS_BENCH_REQUEST_H
#define SALLYPORT_TESTS_BENCH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_MAX	70000	/* bytes of the longest one */
#define REQUEST_SPOTS	8	/* places of one kind in a text */

/* Who sends, as which of its transactions, for the how-manieth time. */
struct request_id {
	uint32_t	 user;
	uint32_t	 slot;		/* below 65536 */
	uint32_t	 turn;
};

struct request {
	char		 text[REQUEST_MAX];
	size_t		 len;
	size_t		 id_at[REQUEST_SPOTS];
	size_t		 user_at[REQUEST_SPOTS];
	size_t		 cseq_at[REQUEST_SPOTS];
	size_t		 partner_at[REQUEST_SPOTS];
	int		 ids;
	int		 users;
	int		 cseqs;
	int		 partners;
	unsigned	 partners_of;	/* users are spread over so many partners */
};

/*
 * Prepare a request by its name between users of domain: "MESSAGE", "REGISTER",
 * "OPTIONS", "INVITE"; "FEDERATED", a MESSAGE from a partner's user; "TELL", a
 * MESSAGE that has the far end tell everybody. body: bytes of it, for a MESSAGE.
 * Returns 0, or -1: no such request, or too long.
 */
int	request_prepare(struct request *, const char *method,
	    const char *domain, size_t body);

/*
 * The same with a text of one's own: %I id, %U user, %C CSeq number, %P four
 * digits of the partner, %D domain, %L length of the body, %% a percent sign.
 */
int	request_prepare_text(struct request *, const char *text,
	    const char *domain, size_t body);

/* Write who, which and when over the text: request->text is then to be sent. */
void	request_stamp(struct request *, const struct request_id *);

/*
 * The status of the response at p and the request it answers. Returns the
 * status, 0 for a request, -1 when it answers nothing that we sent.
 */
int	request_answered(const char *p, size_t head, struct request_id *);

/* Does the response at p answer an INVITE? */
bool	request_was_invite(const char *p, size_t head);

/*
 * The ACK and the BYE that follow the 200 at p to an INVITE, along the route
 * that it names, written to out. Returns the end of them, or NULL when the 200
 * lacks what a dialog needs or room is too small.
 */
char	*request_follow(const char *p, size_t head, const struct request_id *,
	    char *out, size_t room);

#endif
