/*
 * director/master.h - the Director's master and its proxy: who asks what of whom (admin/master.h).
 *
 * authd, and by it those who ask LDAP and winbind, are children of the master beside keyd and the proxy. A new proxy
 * gets a new one, for what the old one may have left half said nobody can go on with. When authd ends by itself, another
 * takes its place at once and the proxy stays: it answers those who wait (auth-unavailable), and who is signed in stays so.
 * So it is while the proxy drains. Only the authd of a program that was replaced (USR2) is not: that proxy drains without.
 */
#ifndef SALLYPORT_DIRECTOR_MASTER_H
#define SALLYPORT_DIRECTOR_MASTER_H

#include "admin/master.h"
#include "director/director.h"

/* What the proxy asks of the master. */
enum {
	/*
	 * Read configuration, certificates and users again. Yes: the configuration (director_config_pack()), the
	 * identities of all doors, those that stay left out (stage_pack()), and what was wrong with the others. No: what
	 * is wrong. That is sentences which end in NUL.
	 */
	DIRECTOR_ASK_LOAD = MASTER_OWN,
	DIRECTOR_ASK_KEYS	/* the flow keys in force: stage_put_flow_keys() */
};

/* Start the others, open the doors, and be the master until the end. What the daemon exits with. */
int	director_master(struct director *);
/* Be the proxy, in its process; d->stage leads to the master (director/main.c). */
int	director_proxy(struct director *);
void	director_unload(struct director *);

/* ---- director/load.c: everything that comes out of files ---- */

/* -n: everything that a start would look at, in one go. A start leaves the users to authd. */
void	director_check(struct director *, struct conf_errors *);
/*
 * What authd would look at before it begins: the directory's password, keytab, users. As it would: this process becomes
 * its account for good.
 */
void	director_check_secrets(const struct director_config *, struct conf_errors *);
/* Started as root, the processes become somebody else: are those there? */
void	director_check_accounts(const struct director_config *, const char *file, struct conf_errors *);
/* The identity of every door of c; what is wrong goes to errs. A door that has none is left out. check: -n. */
void	director_load_material(const struct director *, const struct director_config *c, struct net_tls_material **out,
	    struct conf_errors *errs, bool check);
/* From now on changes of the files are noticed, and the keys of no others are kept. */
void	director_watch(struct director *);
/* The keys of routes. 0, or what to exit with (logged). */
int	director_load_flow_keys(struct director *);
void	director_log_errors(const struct conf_errors *, const char *event);

#endif
