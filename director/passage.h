/*
 * director/passage.h - one request on its way through the Director, for the files that handle it.
 *
 *	proxy.c		facts, decision, forwarding
 *	proof.c		who sends it: credentials, signatures, questions to authd
 *	replies.c	what goes back, and what comes from clients in answer
 */
#ifndef SALLYPORT_DIRECTOR_PASSAGE_H
#define SALLYPORT_DIRECTOR_PASSAGE_H

#include "director/director.h"
#include "director/homes.h"
#include "director/sipae.h"
#include "sip/forward.h"

/* Words of a note: what has to be known when the response comes. */
enum {
	NOTE_SOURCE = 0,	/* enum home_source of the request */
	NOTE_SA,		/* association of who sent it; 0: none */
	NOTE_TARGET,		/* association for which it was signed (lower half) and its endpoint (upper half); 0: it was not */
	NOTE_FLAGS
};
enum {
	NOTE_ENDS = 1 << 0,		/* the sender's association ends with the final response */
	NOTE_ENDS_IF_DONE = 1 << 1,	/* the same, if that is a success */
	NOTE_KEEP_ALIVE = 1 << 2,	/* the sender asks how to keep its connection alive */
	NOTE_BY_PATH = 1 << 3		/* it goes the way that its addressee has registered */
};

/* What is being asked of authd. */
enum asking {
	ASKING_NOTHING = 0,
	ASKING_DIGEST, ASKING_STEP,
	ASKING_USER,		/* is who signs still a user? */
	ASKING_HOME,		/* where is the home of who proved it? */
	ASKING_SENDER, ASKING_ADDRESSEE
};

/* What was said about somebody. */
struct passage_user {
	enum home_entry		 entry;
	struct authd_user	 user;
};

/* What is known about a request besides the request; lives while authd is asked. */
struct question {
	struct director_worker	*w;
	struct sip_held		*held;
	bool			 asked_again;	/* the next answer frees it */
	bool			 spent;		/* it counts among what its user has sent */
	bool			 waited;	/* all was decided, and only DNS was missing */
	enum home_proof		 proof;
	struct authd_user	 principal;
	enum home_entry		 home;		/* what became of ASKING_HOME; KNOWN: principal has it */
	struct passage_user	 sender, addressee;
	struct passage_user	*wanted;	/* which of the two the next answer is about */
	/* signed requests */
	uint32_t		 sa, endpoint;	/* under which it was verified; 0: not (yet) */
	bool			 settled;	/* sa_settle() */
	/* handshakes */
	uint64_t		 context;
	unsigned char		*token;		/* ours, for the client */
	size_t			 token_n;
	struct sa_keys		 keys;
	uint32_t		 lifetime;
	unsigned		 mechanism;	/* enum stats_mechanism */
};

struct passage {
	struct director_worker	*w;
	struct sip_link		*from;
	struct sip_message	*m;
	struct question		*asked;		/* NULL: nothing was asked yet */
	struct home_facts	 facts;
	bool			 is_branch;	/* HOME_FROM_USER: through a branch's edge */
	struct sip_routed	 routed;
	char			 from_aor[USER_AOR_MAX], to_aor[USER_AOR_MAX], ruri_aor[USER_AOR_MAX];
	char			 from_domain[USER_AOR_MAX], ruri_domain[USER_AOR_MAX];
	unsigned		 offer;		/* OFFER_... to this sender */
	enum asking		 asking;	/* what a proof takes, if it is HOME_PROOF_UNASKED */
	enum policy_reason	 trouble;	/* why credentials were not looked at; UNDECIDED: they were */
	const char		*trouble_detail;
	struct authd_user	 principal;	/* HOME_PROOF_OK: who proved it */
	/* Digest */
	struct span		 realm;
	struct auth_credentials	 credentials;
	bool			 nonce_good;
	/* MS-SIPAE */
	struct sipae_credentials sipae;
	uint32_t		 sa, endpoint;	/* HOME_PROOF_OK by signature; 0: by Digest */
	bool			 settled;	/* sa is its endpoint's, and not just one that was proved */
	uint64_t		 context;	/* of the handshake that goes on */
	bool			 spent;		/* … now, or when it was taken up before */
	struct sip_note		 note;
	const char		*unresolved;	/* SRV records without which the plan has no target */
};

static inline struct sipae_self
passage_self(const struct director_worker *w)
{
	return (struct sipae_self){ w->config->sipae_realm, w->name, (unsigned)w->config->sipae_version };
}

static inline void
passage_drop_all(struct sip_message *m, enum sip_header_id id)
{
	for (int i = sip_message_next(m, id, -1); i >= 0; i = sip_message_next(m, id, i))
		sip_edit_drop_header(m, i);
}

/* The request from its beginning, with what was asked. */
void	 passage_take_up(struct director_worker *, struct sip_link *, struct sip_message *, struct question *);
void	 passage_refuse(struct passage *, enum policy_reason, const char *detail);

/* Fills facts.proof, facts.principal and what belongs to them. Addresses and facts.source are there. */
void	 proof_facts(struct passage *);
/* Ask, and go on later. What cannot be asked is refused. */
void	 proof_ask(struct passage *, enum asking);
/* The same with DNS: true if the passage goes on when that has answered about the name; false if nothing is to be waited for. */
bool	 proof_wait(struct passage *, const char *srv);
void	 proof_challenge(struct passage *, enum policy_reason);
/* A number for the connection of a message's client, wherever in between it is looked at; behind a branch's edge? */
uint64_t proof_conn(const struct sip_link *, const struct sip_message *, bool is_branch);

/* The relay's calls about what goes back (sip_relay_ops). */
void	 reply_response(struct sip_relay *, const struct sip_note *, struct sip_link *from, struct sip_link *to,
	    struct sip_message *, enum policy_reason);
bool	 reply_believed(struct sip_relay *, const struct sip_note *, struct sip_link *from, struct sip_message *);
void	 reply_made(struct sip_relay *, const struct sip_note *, struct sip_link *to, struct sip_message *);

#endif
