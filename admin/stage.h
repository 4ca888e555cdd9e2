/*
 * admin/stage.h - what the masters of all daemons do, and their proxies: identities, session log, doors, fences.
 */
#ifndef SALLYPORT_ADMIN_STAGE_H
#define SALLYPORT_ADMIN_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "admin/master.h"
#include "common/sandbox.h"
#include "common/span.h"
#include "net/addr.h"
#include "net/tls.h"
#include "net/worker.h"
#include "sip/flow.h"
#include "sip/sessions.h"

/* ---- identities: m[0..n), NULL where there is none ---- */

/* For each a byte whether it is there, and it. */
void	 stage_pack(struct net_tls_material *const *m, size_t n, FILE *);
/* The same from bytes, which are taken from rest. False: they are cut; what is in out is to be let go all the same. */
bool	 stage_unpack(struct span *rest, struct net_tls_material **out, size_t n);
/* Let go of all, and set them to NULL. */
void	 stage_unref(struct net_tls_material **m, size_t n);
/* Their keys are in use, and no others. */
void	 stage_keep_keys(struct net_keyd *, struct net_tls_material *const *m, size_t n);
/* Those in fresh[] take their places in m[]; both have references of their own. */
void	 stage_replace(struct net_tls_material **m, struct net_tls_material *const *fresh, size_t n);

struct conf_errors;

/* ---- the master ---- */

/* What every master answers: MASTER_RENEW and MASTER_SESSIONS; the owner is the spec. */
extern const struct master_question stage_questions[];

/*
 * A door for each of n workers: of the sockets held[0..nheld) that we were started with, or a new one. SP_OK or
 * SP_EIO (logged).
 */
int	 stage_open_door(const struct net_addr *, const char *listen, unsigned n, int *fds, int *held, size_t nheld);
/* No door has taken them. */
void	 stage_close_held(const int *held, size_t nheld);
/* Close the sockets fds[0..n) of doors, and set them to -1. */
void	 stage_close_doors(int *fds, size_t n);

/*
 * Read the file of flow keys for a reload; the caller's. NULL for path NULL or "", and with a mistake in errs: then what is in force
 * has to stay.
 */
struct sip_flow_keys *stage_read_flow_keys(const char *path, struct conf_errors *errs);
/* They are in force from now on, in *ring, if they are others than *last (sip_flow_keys_turn()); that is logged. now NULL: nothing. */
void	 stage_turn_flow_keys(struct sip_flow_keys **ring, struct sip_flow_keys **last, struct sip_flow_keys *now);
/* An answer: the ring. */
void	 stage_put_flow_keys(const struct sip_flow_keys *, struct master_answer *);

/* ---- the proxy ---- */

/* Become user, for good, and follow the master. False (logged): it cannot be. */
bool	 stage_drop(const struct backstage *, const char *user);
/*
 * The files, while there is one thread: all that is left are those by which the C library and c-ares find
 * name servers, and with SANDBOX_PROXY_KRB5 the Kerberos library's. sandbox false: nothing is done, and that is logged. False: the fence is not there (logged).
 */
bool	 stage_fence(enum sandbox_role, bool sandbox);
/* Has a certificate changed? Those are in out[0..n), the caller's. */
bool	 stage_renewed(struct backstage *, struct net_tls_material **out, size_t n);
/*
 * Ask that question of the master, which answers by stage_put_flow_keys(). If it is another ring, it takes *ring's place, and every
 * worker, whose owner has that signer, goes by it from then on (by mail).
 */
void	 stage_renew_flow_keys(struct backstage *, unsigned question, struct sip_flow_keys **ring, struct net_crew *,
	    struct sip_flow_signer *(*signer)(const void *owner));
/* The session log, whose file the master opens. path NULL or "": *s is NULL. False (logged): it cannot be opened. */
bool	 stage_sessions(struct backstage *, const char *path, unsigned nworkers, unsigned mib, struct sip_sessions **s);

#endif
