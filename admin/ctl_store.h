/*
 * admin/ctl_store.h - what the subcommands about policy share: their options, the store, and how they end.
 */
#ifndef SALLYPORT_ADMIN_CTL_STORE_H
#define SALLYPORT_ADMIN_CTL_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/policystore.h"
#include "admin/policytell.h"
#include "common/conf.h"

struct ctl_store {
	const char		*dir, *policy, *socket;
	const char		*author, *note, *candidate, *known;
	uint64_t		 base, max;
	const char		*edge_conf, *director_conf, *output;	/* of export and import; NULL: not given */
	bool			 json, lines, no_edge, help, dry_run, commit;
	bool			 stuck;			/* something is half-done: status EX_OSERR */
	char			 login[POLICYSTORE_NAME_MAX + 1];	/* default author; a name for a candidate too */
	struct conf_errors	*errs;
	struct policystore	*store;
	struct policytell	 tell;
	struct policystore_who	 who;
};

/*
 * Read options and open the store; what is left of argv begins at optind, at most
 * args of it (more is an error). EX_OK, or a status with the complaint made; help: nothing was
 * opened, and the caller prints its text. In every case ctl_store_end() comes last.
 */
int	ctl_store_begin(struct ctl_store *, const char *command, int argc, char **argv, int args);
/*
 * The same, and its help (usage, then the options) if that is wanted. False: that was all, it is ended, and *status is
 * what to exit with.
 */
bool	ctl_store_open(struct ctl_store *, const char *command, const char *usage, int argc, char **argv, int args,
	    int *status);
/* Mistakes of a candidate, as a person should see them now, go to errs: SP_OK or SP_EINVAL. */
int	ctl_store_judge(struct ctl_store *, struct span text);
/*
 * Say what there is to say (errs to standard error, the store's news), and the status for err.
 * mistakes: what SP_EINVAL stands for, EX_CONFIG or EX_DATAERR.
 */
int	ctl_store_end(struct ctl_store *, int err, int mistakes);
/* The options, for help texts. */
extern const char ctl_store_help[];

/* One line of the history, or an object. */
void	ctl_print_change(const struct policy_change *, bool json);
/* What a change of the policy in force has led to. */
void	ctl_print_done(const struct ctl_store *, enum policy_action, uint64_t version);

struct policydiff;	/* admin/policydiff.h */
/* What the newer of two texts says other than the older, as people or, an object and a newline, as programs read it. */
void	ctl_print_diff(const struct policydiff *, struct span was, struct span now, bool json, bool lines);

int	ctl_block(int argc, char **argv);
int	ctl_unblock(int argc, char **argv);
/* "partner pause" and "partner resume": argv[0] is the one or the other. */
int	ctl_partner_pause(int argc, char **argv);
int	ctl_policy_show(int argc, char **argv);
int	ctl_policy_history(int argc, char **argv);
int	ctl_policy_diff(int argc, char **argv);
int	ctl_policy_candidate(int argc, char **argv);
int	ctl_policy_commit(int argc, char **argv);
int	ctl_policy_discard(int argc, char **argv);
int	ctl_policy_rollback(int argc, char **argv);
int	ctl_policy_audit(int argc, char **argv);
int	ctl_policy_shadow(int argc, char **argv);

#endif
