/*
 * admin/ctl.h - what the subcommands of sallyportctl share.
 *
 * A subcommand gets its own name as argv[0] and returns the exit status
 * (sysexits). It has printed to standard error why, if that is not EX_OK.
 */
#ifndef SALLYPORT_ADMIN_CTL_H
#define SALLYPORT_ADMIN_CTL_H

struct ctl_command {
	const char	*name;		/* NULL ends a table */
	int		(*run)(int argc, char **argv);
	const char	*help;
};

/* Run the command of the table that argv[0] names; what: the complaint if there is none. */
int	ctl_run(const struct ctl_command *table, const char *what, int argc, char **argv);
/* Print "sallyportctl: what 'arg'" (arg may be NULL); EX_USAGE. */
int	ctl_misused(const char *what, const char *arg);
/* status, or EX_IOERR when standard output could not be written. */
int	ctl_finish(int status);

int	ctl_admin_user(int argc, char **argv);
/* A command of commands: prints its help, or runs the one that argv[1] names. about: a sentence. */
int	ctl_group(const char *name, const char *about, const struct ctl_command *table, int argc, char **argv);

int	ctl_certs(int argc, char **argv);
int	ctl_check(int argc, char **argv);
int	ctl_connections(int argc, char **argv);
int	ctl_discovered(int argc, char **argv);
int	ctl_dns(int argc, char **argv);	/* likewise edge/ctl_dns.c */
int	ctl_doctor(int argc, char **argv);	/* edge/ctl_doctor.c: it reads edge.conf */
int	ctl_drain(int argc, char **argv);
int	ctl_partner(int argc, char **argv);
int	ctl_pools(int argc, char **argv);
int	ctl_init(int argc, char **argv);
int	ctl_export(int argc, char **argv);
int	ctl_import(int argc, char **argv);
int	ctl_import_lync(int argc, char **argv);
int	ctl_metrics(int argc, char **argv);
int	ctl_reload(int argc, char **argv);
int	ctl_reopen_logs(int argc, char **argv);
int	ctl_signed_in(int argc, char **argv);
int	ctl_status(int argc, char **argv);
int	ctl_trace(int argc, char **argv);
int	ctl_user(int argc, char **argv);
int	ctl_policy(int argc, char **argv);
int	ctl_explain(int argc, char **argv);

#endif
