/*
 * director/authd.h - the process that holds the secrets, and how it is asked.
 *
 * authd has the user file and sees no SIP and no network: a directory is asked by
 * a process of its own (director/ldapd.h). It is forked before
 * keys are loaded, doors are bound and threads start, and then answers typed frames (common/proc.h)
 * over one socketpair for each worker and one for the master (director/master.h). A table
 * says who may ask what; a frame that is not in it ends the process, and so
 * does, on the other side, an answer that cannot be.
 *
 * It reads the user file again by itself when that has changed. A file that is
 * wrong leaves the earlier users in force and says so. With AUTHD_CONFIGURE it
 * reads the configuration anew: where the users, the directory and the keytab are, and the limits of guessing.
 *
 * Once it has what it needs, a sandbox leaves it the files that it reads and no
 * network: common/sandbox.h. Files that move to other directories take a restart.
 */
#ifndef SALLYPORT_DIRECTOR_AUTHD_H
#define SALLYPORT_DIRECTOR_AUTHD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "admin/users.h"
#include "common/proc.h"
#include "director/auth.h"
#include "director/ntlm.h"
#include "director/dirconf.h"
#include "director/guesses.h"

/* Types of frames. Questions are answered by exactly one frame with the same tag. */
enum authd_type {
	AUTHD_DIGEST = 1,	/* does this response prove that user? -> AUTHD_VERDICT */
	AUTHD_LOOKUP,		/* who is this address? -> AUTHD_USER */
	AUTHD_STEP,		/* one step of a handshake -> AUTHD_STEPPED */
	AUTHD_RELOAD,		/* control: read the user file now -> AUTHD_DONE */
	AUTHD_REOPEN,		/* control: open the log file again -> AUTHD_DONE */
	AUTHD_CONFIGURE,	/* control: read the configuration file, and all that it names, now -> AUTHD_DONE */
	AUTHD_LOGIN,		/* of authd to the process that asks the directory: who signs in as this? -> AUTHD_USER */
	AUTHD_BEAT,		/* control: is it well? -> AUTHD_DONE; and of the directory's keeper to authd, unasked: it is well */
	AUTHD_VERDICT = 101,
	AUTHD_USER,
	AUTHD_DONE,
	AUTHD_STEPPED
};

/* Who may send a type: bits of the sender's channel. */
enum { AUTHD_BY_WORKER = 1 << 0, AUTHD_BY_CONTROL = 1 << 1 };

#define AUTHD_QUESTION_MAX	16384	/* longest body of a question */
#define AUTHD_ANSWER_MAX	20480
#define AUTHD_KEY_MAX		64	/* bytes of a session key */
#define AUTHD_TOKEN_MAX		12288	/* bytes of a client's token */
#define AUTHD_SESSION_MAX	16384	/* bytes of a Kerberos context; what a ticket says of its user's groups is in it */

/* What the directory says about a user. pool and aor are empty when !found. */
struct authd_user {
	bool	 found, enabled;
	bool	 homed;		/* all of it is what a look-up said. The asker's own; not in frames */
	bool	 asked;		/* the directory was, just now: nothing fresh was remembered */
	bool	 unavailable;	/* nobody knows: the directory did not answer. Never with found */
	bool	 remote, federation, public_im, archive;
	char	 aor[USER_AOR_MAX];
	char	 pool[USER_NAME_MAX];
};

enum authd_verdict {
	AUTHD_BAD = 0,		/* user or password wrong; which of them only the log of authd tells */
	AUTHD_STALE,		/* right, but the nonce is too old, or none of ours */
	AUTHD_REPLAYED,		/* right, but used before */
	AUTHD_OK,
	AUTHD_CONTINUE,		/* a handshake goes on: the token is for the client */
	AUTHD_SKEWED,		/* the client's clock and ours, or the KDC's, differ too much */
	AUTHD_THROTTLED,	/* too many wrong ones of this user from there were tried; this one was not looked at */
	AUTHD_THROTTLED_SOURCE,	/* the same from there, of whomever; in the order of enum guesses_verdict */
	AUTHD_THROTTLED_USER,	/* the same of this user, from wherever */
	AUTHD_NO_DOMAIN,	/* nothing was decided: no domain controller said whether it is right */
	AUTHD_NO_DIRECTORY,	/* right, but no LDAP server said whose address the account has */
	AUTHD_FAILED,		/* nothing was decided: the fault is on our side, and the log of authd tells it */
	AUTHD_NVERDICTS
};

/* --- frames: bodies as plain values; pure ------------------------------------------ */

struct authd_question {
	struct auth_credentials	 credentials;
	struct span		 domain;	/* of a user name without one */
	struct span		 method;
	struct span		 source;	/* from where it comes, as guesses are counted */
	bool			 nonce_good;	/* made by us and in its lifetime */
};
void	 authd_put_digest(struct frame_writer *, const struct authd_question *);
/* False if the body is not one. Spans point into it. */
bool	 authd_get_digest(const struct frame *, struct authd_question *);
void	 authd_put_lookup(struct frame_writer *, struct span aor);
bool	 authd_get_lookup(const struct frame *, struct span *aor);
/* verdict is AUTHD_BAD for AUTHD_USER, which has none. */
void	 authd_put_answer(struct frame_writer *, enum authd_verdict, const struct authd_user *);
bool	 authd_get_answer(const struct frame *, enum authd_verdict *, struct authd_user *);

/* How a handshake is made. */
enum authd_mechanism { AUTHD_NTLM = 1, AUTHD_KERBEROS, AUTHD_NMECHANISMS };

struct authd_step {
	enum authd_mechanism	 mechanism;
	uint64_t		 context;	/* 0: the first step; else as the answer before said */
	struct span		 token;		/* the client's; empty: it wants ours (NTLM) */
	struct span		 domain;	/* of a user name without one */
	struct span		 source;	/* from where it comes, as guesses are counted */
};
/* Any answer as plain values. Only a step's has more than verdict and who. */
struct authd_answer {
	enum authd_verdict	 verdict;
	struct authd_user	 who;		/* AUTHD_OK */
	const char		*login;		/* authd's own, not in frames: AUTHD_OK, and the directory has to say who;
						   borrowed. NULL: who is known */
	uint64_t		 context;	/* AUTHD_CONTINUE: for the next step */
	struct span		 token;		/* AUTHD_CONTINUE: for the client; borrowed */
	unsigned char		 key[AUTHD_KEY_MAX]; /* AUTHD_OK by NTLM: what the session signs with */
	size_t			 key_n;
	struct span		 session;	/* AUTHD_OK by Kerberos: the same, for gss_session_import(); borrowed */
	uint32_t		 flags;		/* the mechanism's */
	uint32_t		 lifetime;	/* seconds; 0: the mechanism sets no end */
};
void	 authd_put_step(struct frame_writer *, const struct authd_step *);
bool	 authd_get_step(const struct frame *, struct authd_step *);
void	 authd_put_stepped(struct frame_writer *, const struct authd_answer *);
/* False if the body is none; *a is empty and bad then. The key is the caller's to wipe. */
bool	 authd_get_stepped(const struct frame *, struct authd_answer *a);
void	 authd_put_done(struct frame_writer *, bool ok);
bool	 authd_get_done(const struct frame *, bool *ok);

/* --- the answering side; pure but for the log ------------------------------------------ */

struct replay_table;
/*
 * The verdict. Unknown users and wrong passwords take the same way through this function.
 * Fills *who for AUTHD_OK, else leaves it empty. Every attempt counts in guesses (NULL: nobody counts).
 */
enum authd_verdict authd_decide(const struct users *, struct replay_table *, struct guesses *,
	    const struct authd_question *, struct authd_user *who);
/* The event "guessing", of an attempt that was refused unseen. */
void	 authd_log_throttled(const char *scheme, enum guesses_verdict, struct span user, struct span source);
void	 authd_look_up(const struct users *, struct span aor, struct authd_user *who);

/* --- the process --------------------------------------------------------------------------- */

struct conf_strs;	/* common/conf.h */

struct authd_setup {
	const char	*file;		/* the configuration, for AUTHD_CONFIGURE; NULL: it is never read again */
	const char	*log_file;	/* NULL: standard error */
	const char	*users;		/* path of the user file */
	const char	*run_as;	/* account; NULL: stay */
	uint32_t	 replay_entries;
	uint32_t	 handshakes;	/* open at once */
	const struct winbind_conf *winbind; /* NULL: NTLM is for the accounts of the user file */
	const struct conf_strs *ntlm_domains; /* each "DOMAIN=sip-domain" */
	struct guesses_limits guesses;
	struct ntlm_target ntlm;	/* who we are in NTLM */
	const struct dirconf *directory; /* NULL: the user file alone */
	const char	*keytab;	/* NULL: no Kerberos */
	const char	*host;		/* who we are in Kerberos */
	const struct conf_strs *realms;	/* see director/ticket.h */
	unsigned	 nworkers;
	unsigned	 hung_ms;	/* who asks the directory or winbind and does not answer for so long hangs; 0: never */
};

struct authd {
	pid_t		 pid;
	int		 control;	/* blocking */
	uint64_t	 asked;		/* the tag of the last question there */
	uint64_t	 beat;		/* that of the question whether it is well; 0: none is open */
	unsigned char	 in[FRAME_HEAD + 1];	/* of what it answers there, and how much of that has come */
	size_t		 in_n;
	int		*worker;	/* one of each worker, non-blocking */
	unsigned	 nworkers;
};

/*
 * Fork it, and wait until it has read the user file and the keytab. SP_OK; SP_EINVAL if one of
 * them or the account does not do (it has logged why); SP_EIO. No file is no users.
 * It closes what else is open in this process; nothing secret may be in its memory. Call it while there is one thread.
 */
int	 authd_start(struct authd *, const struct authd_setup *);
/* Ask over the control channel and wait (at most 10 s): AUTHD_RELOAD, AUTHD_REOPEN, AUTHD_CONFIGURE. SP_OK, SP_EINVAL (refused), SP_ECLOSED, SP_ETIME. */
int	 authd_command(struct authd *, enum authd_type);
/*
 * Ask it whether it is well, unless it has been asked and has not said so yet. Does not wait: when the control channel can
 * be read, authd_hear() takes what came. True: it is well.
 */
void	 authd_beat(struct authd *);
bool	 authd_hear(struct authd *);
/* In a child of who has started it: forget it, without ending it. The channels are not closed. */
void	 authd_leave(struct authd *);
/* Close the channels, which ends it, and wait for it; it is killed if it hangs, and what it has started if that is left. */
void	 authd_stop(struct authd *);

#endif
