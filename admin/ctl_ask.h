/*
 * admin/ctl_ask.h - subcommands of sallyportctl that are one question to a daemon.
 *
 * A question is a row: the verb, its options, and how the answer looks. Everything
 * else (--help, --json, --socket, --edge, --director, exit status) is the same for all.
 */
#ifndef SALLYPORT_ADMIN_CTL_ASK_H
#define SALLYPORT_ADMIN_CTL_ASK_H

#include <stdbool.h>

#include "admin/ctlclient.h"

struct ctl_option {
	const char	*name;		/* "--name VALUE", and the argument of the request; NULL ends the list */
	const char	*value;		/* what the value is called; NULL: a switch */
	enum record_type type;		/* TEXT, INT, BOOL (a switch) */
	const char	*help;
};

struct ctl_question {
	const char	*command;	/* "partner show", as in messages and help */
	const char	*verb;
	const char	*operand;	/* the request's argument that the one operand is; NULL: no operand */
	const char	*operand_name;	/* "NAME" in help */
	const struct ctl_option *options; /* NULL: none of its own */
	const char	*card;		/* the kind that is shown as a card, not as a table; NULL: none */
	const char	*none;		/* printed when there is no record and all is well; NULL: nothing */
	const char	*help;		/* sentences */
	bool		 stream;	/* it goes on until it is interrupted: a line each, JSON too */
	/* Adds what this machine knows of it to a record, which is copied into w already. NULL: nothing. */
	void		(*enrich)(const struct record *, struct record_writer *w);
	/* Whatever else is needed before sending: a file to pass, say. EX_OK, or it has complained. NULL: nothing. */
	int		(*prepare)(struct ctlclient *, int *fd);
};

/* Ask it, as argv says. argv[0] is the command's last word. Exit status. */
int	ctl_ask(const struct ctl_question *, int argc, char **argv);

/* Which daemon: "--socket PATH", "--edge", "--director" before the subcommand. False: it is none of these. */
bool	ctl_take_target(int argc, char **argv, int *used);
/* The socket to be asked, by these options, else the edge's, or the Director's where only that is there. */
const char *ctl_socket(void);
/* Is that one named by --socket? Is it the Director's? Does anybody listen there? */
bool	ctl_socket_is_given(void);
bool	ctl_is_director(void);
bool	ctl_is_answered(void);
/* Connect; 0, or an exit status after a complaint. */
int	ctl_connect(struct ctlclient *);
/* The exit status for what ctlclient_next() or ctlclient_send() returned; complained about. */
int	ctl_broken(int err);

#endif
