/*
 * admin/ctl_policy.c - sallyportctl policy: what a policy file says, before anybody obeys it.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_store.h"
#include "admin/policyfile.h"
#include "common/conf.h"
#include "common/hash.h"
#include "common/strbuf.h"
#include "policy/decision.h"
#include "policy/rules.h"

#define ORDER_ROOM	8192

static const struct ctl_command commands[];

static int
usage(FILE *out)
{
	fputs("Usage: sallyportctl policy COMMAND [OPTION]... [ARGUMENT]...\n"
	    "The policy in force is the file that edge.conf names; a commit replaces it and\n"
	    "keeps every version.\n\nCommands:\n", out);
	for (const struct ctl_command *c = commands; c->name != NULL; c++)
		fprintf(out, "  %-10s %s\n", c->name, c->help);
	fputs("\nOptions:\n", out);
	fputs(ctl_store_help, out);
	return out == stdout ? ctl_finish(EX_OK) : EX_USAGE;
}

static bool
asks_for_help(int argc, char **argv)
{
	return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

static int
order(int argc, char **argv)
{
	char text[ORDER_ROOM];
	struct strbuf sb;

	if (asks_for_help(argc, argv))
		return usage(stdout);
	if (argc > 1)
		return ctl_misused("policy order does not know", argv[1]);
	strbuf_init(&sb, text, sizeof(text));
	policy_print_order(&sb);
	fputs(text, stdout);
	return ctl_finish(strbuf_ok(&sb) ? EX_OK : EX_SOFTWARE);
}

/* How many of each the rules have, so that a file that says less than was meant is noticed. */
static void
print_summary(const char *file, const struct policy_rules *rules)
{
	printf("%s: good, %zu servers of others\n", file, policy_partner_count(rules));
}

static int
check(int argc, char **argv)
{
	const char *file = argc > 1 ? argv[1] : SYSCONFDIR "/policy.conf";
	struct conf_errors *errs;
	struct policy_rules *rules;
	bool good;

	if (asks_for_help(argc, argv))
		return usage(stdout);
	if (argc > 1 && argv[1][0] == '-')
		return ctl_misused("policy check does not know", argv[1]);
	if (argc > 2)
		return ctl_misused("policy check takes one file, not also", argv[2]);
	hash_seed();
	errs = conf_errors_new();
	rules = policyfile_load(file, errs);
	good = rules != NULL;
	conf_errors_print(errs, stderr);
	if (good)
		print_summary(file, rules);
	policy_rules_unref(rules);
	conf_errors_free(errs);
	return good ? ctl_finish(EX_OK) : EX_CONFIG;
}

static const struct ctl_command commands[] = {
	{ "show", ctl_policy_show, "[VERSION]: print the policy in force, or that version" },
	{ "order", order, "print the order in which rules are asked" },
	{ "check", check, "[FILE]: look for mistakes in a policy file and print all of them" },
	{ "candidate", ctl_policy_candidate, "show|set FILE|edit|check|rebase|list: what may become the next policy" },
	{ "diff", ctl_policy_diff, "[FROM [TO]]: differences, of the candidate if nothing is given" },
	{ "shadow", ctl_policy_shadow, "start|status|stop: let the edge decide by the candidate too, and count" },
	{ "commit", ctl_policy_commit, "make the candidate the policy in force" },
	{ "discard", ctl_policy_discard, "throw the candidate away" },
	{ "rollback", ctl_policy_rollback, "VERSION: make that version the policy in force again" },
	{ "history", ctl_policy_history, "list the versions, the newest first" },
	{ "audit", ctl_policy_audit, "verify|head|log: the log of all changes" },
	{ NULL, NULL, NULL }
};

int
ctl_policy(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr);
	if (asks_for_help(argc, argv))
		return usage(stdout);
	return ctl_run(commands, "policy has no command", argc - 1, argv + 1);
}
