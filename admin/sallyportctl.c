/*
 * admin/sallyportctl.c - the command line: a table of subcommands and a loop.
 *
 * Exit status is sysexits' everywhere, but that explain ends with 1 for what is refused: 0 done, 64 misused, 65 wrong data,
 * 66 no such file, 67 no such user, 69 refused by the daemon, 73 cannot be created, 74 I/O error,
 * 75 try again later, 77 no permission, 78 bad configuration.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_ask.h"
#include "admin/ctl_store.h"

static const struct ctl_command commands[] = {
	{ "init", ctl_init, "write the first configuration of this machine" },
	{ "admin-user", ctl_admin_user, "manage who may use the admin page" },
	{ "user", ctl_user, "manage the accounts of the embedded user file" },
	{ "check", ctl_check, "say what is wrong with configuration files" },
	{ "policy", ctl_policy, "look at the policy, change it, and take a change back" },
	{ "doctor", ctl_doctor, "find out why messages to and from a domain do not pass" },
	{ "dns", ctl_dns, "print the DNS records by which others find us" },
	{ "explain", ctl_explain, "tell what would become of a message, and why" },
	{ "block", ctl_block, "block a domain" },
	{ "unblock", ctl_unblock, "take a domain off the block list" },
	{ "status", ctl_status, "how a daemon is" },
	{ "connections", ctl_connections, "list connections" },
	{ "export", ctl_export, "write the configuration as one file, without what belongs to this machine" },
	{ "import", ctl_import, "take such a file over: check it, show what changes, make it the candidate" },
	{ "import-lync", ctl_import_lync, "make a policy of the federation settings of Lync or Skype for Business" },
	{ "reload", ctl_reload, "have a daemon read its files again, and hear what is wrong with them" },
	{ "drain", ctl_drain, "stop a daemon in good order" },
	{ "reopen-logs", ctl_reopen_logs, "have a daemon open its log files again" },
	{ "partner", ctl_partner, "servers of others: how they are reached, what they have shown" },
	{ "certs", ctl_certs, "certificates, and what will go wrong with them" },
	{ "discovered", ctl_discovered, "partners that nobody has listed, and their limits" },
	{ "metrics", ctl_metrics, "what a daemon has counted, for Prometheus" },
	{ "trace", ctl_trace, "show messages as they pass" },
	{ "signed-in", ctl_signed_in, "who is signed in at a Director" },
	{ "pools", ctl_pools, "which servers a Director reaches" },
	{ NULL, NULL, NULL }
};

static int
usage(FILE *out)
{
	fputs("Usage: sallyportctl [--help] [--version] [--edge|--director|--socket PATH] COMMAND [ARGUMENT]...\n"
	    "Manage sallyport, the SIP federation edge and Director.\n\nCommands:\n", out);
	for (const struct ctl_command *c = commands; c->name != NULL; c++)
		fprintf(out, "  %-12s %s\n", c->name, c->help);
	fputs("\n\"sallyportctl COMMAND --help\" tells more. See sallyportctl(8).\n", out);
	return out == stdout ? ctl_finish(EX_OK) : EX_USAGE;
}

int
ctl_misused(const char *what, const char *arg)
{
	fprintf(stderr, "sallyportctl: %s%s%s%s\n", what, arg != NULL ? " '" : "", arg != NULL ? arg : "",
	    arg != NULL ? "'" : "");
	return EX_USAGE;
}

int
ctl_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "sallyportctl: standard output: %s\n", strerror(errno));
	return EX_IOERR;
}

int
ctl_group(const char *name, const char *about, const struct ctl_command *table, int argc, char **argv)
{
	bool asked = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
	FILE *out = asked ? stdout : stderr;

	if (argc > 1 && !asked) {
		for (const struct ctl_command *c = table; c->name != NULL; c++)
			if (strcmp(c->name, argv[1]) == 0)
				return c->run(argc - 1, argv + 1);
		fprintf(stderr, "sallyportctl: %s has no command '%s'; 'sallyportctl %s --help' lists them\n", name, argv[1], name);
		return EX_USAGE;
	}
	fprintf(out, "Usage: sallyportctl %s COMMAND [ARGUMENT]...\n%s\n\n", name, about);
	for (const struct ctl_command *c = table; c->name != NULL; c++)
		fprintf(out, "  %-12s %s\n", c->name, c->help);
	return asked ? ctl_finish(EX_OK) : EX_USAGE;
}

int
ctl_run(const struct ctl_command *table, const char *what, int argc, char **argv)
{
	for (const struct ctl_command *c = table; c->name != NULL; c++)
		if (strcmp(c->name, argv[0]) == 0)
			return c->run(argc, argv);
	return ctl_misused(what, argv[0]);
}

int
main(int argc, char **argv)
{
	int used;

	if (argc < 2)
		return usage(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return usage(stdout);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("sallyportctl (" PACKAGE_NAME ") " PACKAGE_VERSION);
		return ctl_finish(EX_OK);
	}
	for (argc--, argv++; argc > 0 && ctl_take_target(argc, argv, &used); argc -= used, argv += used)
		;
	if (argc == 0)
		return usage(stderr);
	if (argv[0][0] == '-') {
		bool known = strcmp(argv[0], "--socket") == 0;

		fprintf(stderr, known ? "sallyportctl: %s expects the PATH of a daemon's control socket\n" :
		    "sallyportctl: there is no option '%s' before a command; 'sallyportctl --help' lists them\n", argv[0]);
		return EX_USAGE;
	}
	for (const struct ctl_command *c = commands; c->name != NULL; c++)
		if (strcmp(c->name, argv[0]) == 0)
			return c->run(argc, argv);
	fprintf(stderr, "sallyportctl: there is no command '%s'; 'sallyportctl --help' lists them\n", argv[0]);
	return EX_USAGE;
}
