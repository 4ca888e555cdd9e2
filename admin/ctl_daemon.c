/*
 * admin/ctl_daemon.c - sallyportctl: questions to a running edge or Director.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_ask.h"

int
ctl_status(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "status", .verb = "status", .card = "daemon",
	    .help = "Shows how the daemon is: since when it runs, its doors, the servers inside and\n"
	    "whether they are reached, how long its certificates last, and its workers." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_connections(int argc, char **argv)
{
	static const struct ctl_option options[] = {
		{ "class", "CLASS", RECORD_TEXT, "only those whose far end is of this class" },
		{ "name", "NAME", RECORD_TEXT, "only those that prove this name, or one below it" },
		{ "peer", "ADDRESS", RECORD_TEXT, "only those from or to this IP address" },
		{ NULL, NULL, 0, NULL }
	};
	static const struct ctl_question q = { .command = "connections", .verb = "connections", .options = options,
	    .none = "no connections", .help = "Lists connections: what the far end is, the names that it has proved, since\n"
	    "when, how long it has been silent (seconds), bytes that it has not taken yet." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_reload(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "reload", .verb = "reload", .none = "reloaded",
	    .help = "Has the daemon read its configuration, policy and certificates again. If anything\n"
	    "is wrong with them, says what, and exits with 78; the old ones stay in force." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_reopen_logs(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "reopen-logs", .verb = "reopen-logs",
	    .help = "Has the daemon open its log files again, after they were moved away." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_pools(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "pools", .verb = "pools",
	    .help = "Lists the pools, edges and other servers of a Director: whether they are reached,\n"
	    "and when and why not." };

	return ctl_ask(&q, argc, argv);
}

/* ---- discovered ---- */

static int
discovered_list(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "discovered list", .verb = "discovered-list",
	    .none = "no discovered partners", .help = "Lists the partners that nobody has listed and open federation lets in, with what\n"
	    "they have used of their limits." };

	return ctl_ask(&q, argc, argv);
}

static int
discovered_reset(int argc, char **argv)
{
	static const struct ctl_question q = { .command = "discovered reset", .verb = "discovered-reset",
	    .operand = "key", .operand_name = "KEY|all", .help = "Forgets what such a partner has used of its limits. KEY is what \"discovered list\"\n"
	    "shows: the SHA-256 of its certificate." };

	return ctl_ask(&q, argc, argv);
}

int
ctl_discovered(int argc, char **argv)
{
	static const struct ctl_command commands[] = {
		{ "list", discovered_list, "show them and what they have used of their limits" },
		{ "reset", discovered_reset, "forget what one of them has used" },
		{ NULL, NULL, NULL }
	};

	return ctl_group("discovered", "Partners that nobody has listed.", commands, argc, argv);
}
