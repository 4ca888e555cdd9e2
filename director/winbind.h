/*
 * director/winbind.h - authd's side of a Windows domain: who has an account
 * there, a domain controller says, and winbind (of Samba) asks it.
 *
 * authd draws the challenge and keeps it; what goes to the domain is the challenge
 * and the client's NTLMv2 response to it, what comes back is the session key.
 * No password and no hash is ever here.
 *
 * Winbind's library waits, for half a minute if need be. So a process of its
 * own calls it (wbd.h), and nothing here waits: when the time of a question is
 * up, or the far end is gone, the answer is that nobody decided.
 */
#ifndef SALLYPORT_DIRECTOR_WINBIND_H
#define SALLYPORT_DIRECTOR_WINBIND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/proc.h"
#include "common/span.h"
#include "director/ntlm.h"

#define WINBIND_WAITING_MAX	4096	/* questions without an answer */
#define WINBIND_PACKET_MAX	(FRAME_HEAD + NTLM_TOKEN_MAX + 4 * NTLM_NAME_MAX)

struct winbind_conf {
	int	 connections;	/* questions under way at once */
	int	 timeout;	/* milliseconds */
	char	*user;		/* account of the process that asks; NULL: authd's */
};

/* --- frames between authd and that process: bodies as plain values; pure ---------------- */

/* WINBIND_BEAT is the keeper's, unasked: it is well. */
enum winbind_type { WINBIND_QUESTION = 1, WINBIND_REOPEN, WINBIND_ANSWER = 101, WINBIND_BEAT };

struct winbind_question {
	unsigned char	 nonce[NTLM_NONCE_SIZE];
	struct span	 nt;		/* the NTLMv2 response */
	struct span	 user, domain, workstation; /* UTF-8; the last two may be empty */
	uint64_t	 until_ms;	/* after that nobody waits for the answer (clock_ms()) */
};

enum winbind_verdict {
	WINBIND_REFUSED = 0,	/* a domain controller says no */
	WINBIND_PROVED,
	WINBIND_UNREACHED,	/* none was asked, or none decided */
	WINBIND_NVERDICTS
};

struct winbind_answer {
	enum winbind_verdict verdict;
	uint32_t	 status;	/* of REFUSED: the NT status */
	unsigned char	 key[NTLM_KEY_SIZE]; /* of PROVED: the session base key; the reader's to wipe */
	struct span	 domain, account; /* of PROVED: as the domain spells them; borrowed */
};

void	 winbind_put_question(struct frame_writer *, const struct winbind_question *);
bool	 winbind_get_question(const struct frame *, struct winbind_question *); /* spans into it */
void	 winbind_put_answer(struct frame_writer *, const struct winbind_answer *);
/* False if the body is none; *a is empty and UNREACHED then. */
bool	 winbind_get_answer(const struct frame *, struct winbind_answer *a);

/* What an NT status says about a user; NULL: it is not about one, so nobody decided. */
const char *winbind_refusal(uint32_t status);
/*
 * The address of record of an account, by the list of "DOMAIN=sip-domain": false if its domain
 * is not in there, or it cannot be the user of an address.
 */
bool	 winbind_aor(const struct conf_strs *domains, struct span domain, struct span account, char *out, size_t size);

/* --- asking ------------------------------------------------------------------------------ */

struct winbind;

/* The answer is borrowed. Called once for each question, never before winbind_ask() has returned. */
typedef void (*winbind_fn)(void *arg, const struct winbind_answer *);

/* The far end is fd (a SOCK_SEQPACKET socket), which is taken over. Cannot fail. */
struct winbind *winbind_new(const struct winbind_conf *, int fd, winbind_fn);
void	 winbind_free(struct winbind *);	/* those who wait hear nothing; NULL: nothing */
/* until_ms of the question is set here. False: it cannot be asked now, and nothing will be called. */
bool	 winbind_ask(struct winbind *, struct winbind_question *, uint64_t now_ms, void *arg);
void	 winbind_reopen_log(struct winbind *);
/* As directory_look_after(). */
void	 winbind_look_after(struct winbind *, unsigned hung_ms, uint64_t now_ms);

/* As in directory.h. */
int	 winbind_fd(const struct winbind *);
void	 winbind_ready(struct winbind *, uint64_t now_ms);
void	 winbind_tick(struct winbind *, uint64_t now_ms);

/*
 * Fork the process that asks: *fd is for winbind_new(). computer: as challenges name this machine (see wbd.h).
 * log_dir: where it opens its log again. hung_ms: as in authd_setup. SP_OK, SP_EINVAL (logged), SP_EIO.
 */
int	 winbind_start(const struct winbind_conf *, const char *computer, const char *run_as, const char *log_dir,
	    unsigned hung_ms, const int *close_these, unsigned n, int *fd);

#endif
