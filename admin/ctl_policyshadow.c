/*
 * admin/ctl_policyshadow.c - sallyportctl policy shadow: what the candidate would decide, while the policy in force does.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_store.h"
#include "admin/ctlclient.h"
#include "admin/policyfile.h"
#include "common/err.h"
#include "common/mem.h"
#include "policy/rules.h"

static const char usage[] =
    "Usage: sallyportctl policy shadow start [OPTION]...\n"
    "       sallyportctl policy shadow status [OPTION]...\n"
    "       sallyportctl policy shadow stop [OPTION]...\n"
    "After start, the running edge decides about everything a second time, by the\n"
    "candidate, and counts where that would have come out otherwise. What happens is\n"
    "decided by the policy in force alone. A commit ends it, as stop does.\n\n";

static int
start(int argc, char **argv)
{
	struct policystore_text t = { .text = NULL };
	struct ctl_store s;
	int status, err;

	if (!ctl_store_open(&s, "policy shadow start", usage, argc, argv, 0, &status))
		return status;
	if ((err = policystore_candidate(s.store, s.candidate, &t, s.errs)) == SP_OK &&
	    (err = ctl_store_judge(&s, policystore_span(&t))) == SP_OK &&
	    (err = policytell_shadow(&s.tell, s.candidate, &t.change, policystore_span(&t), s.errs)) == SP_ENOENT)
		err = SP_ECLOSED;	/* no edge, not: no candidate */
	if (err == SP_OK && s.json)
		printf("{\"shadow\": \"%s\"}\n", s.candidate);
	else if (err == SP_OK)
		printf("the edge tries candidate %s from now on\n", s.candidate);
	policystore_text_fini(&t);
	return ctl_store_end(&s, err, EX_CONFIG);
}

/* ---- status and stop: the edge is asked, the store is not ---- */

static void
print_record(const struct record *r, bool json, size_t n)
{
	if (json) {
		fputs(n != 0 ? ",\n  " : "\n  ", stdout);
		record_print_json(stdout, r, true);
	} else if (span_is(r->kind, "shadow")) {
		record_print_card(stdout, r);
	} else {
		record_print_line(stdout, r);
		putchar('\n');
	}
}

static int
ask(struct ctl_store *s, const char *verb, bool prints)
{
	struct ctlclient *c = ctlclient_new();
	struct record r;
	size_t n = 0;
	int got = ctlclient_open(c, s->socket), err = SP_ECLOSED;

	if (got == SP_OK) {
		ctlclient_begin(c, verb);
		got = ctlclient_send(c, -1);
	}
	if (got != SP_OK) {
		conf_error(s->errs, NULL, 0, "%s: %s", s->socket, got == SP_EIO ? ctlclient_trouble(s->socket, errno) :
		    sp_err_name(got));
		ctlclient_free(c);
		return SP_ECLOSED;
	}
	if (prints && s->json)
		fputs("{\"records\": [", stdout);
	while ((got = ctlclient_next(c, &r)) == 1)
		if (prints)
			print_record(&r, s->json, n++);
	if (prints && s->json)
		printf("\n], \"complete\": %s}\n", got == 0 && !ctlclient_was_cut(c) ? "true" : "false");
	if (got == 0 && ctlclient_status(c) == 0)
		err = SP_OK;
	else
		conf_error(s->errs, NULL, 0, "the edge: %s", got == 0 ? ctlclient_why(c) : sp_err_name(got));
	ctlclient_free(c);
	return err;
}

static int
status_of_it(int argc, char **argv)
{
	struct ctl_store s;
	int status;

	if (!ctl_store_open(&s, "policy shadow status", usage, argc, argv, 0, &status))
		return status;
	return ctl_store_end(&s, ask(&s, "policy-shadow-status", true), EX_DATAERR);
}

static int
stop(int argc, char **argv)
{
	struct ctl_store s;
	int status;

	if (!ctl_store_open(&s, "policy shadow stop", usage, argc, argv, 0, &status))
		return status;
	return ctl_store_end(&s, ask(&s, "policy-shadow-stop", false), EX_DATAERR);
}

static const struct ctl_command commands[] = {
	{ "start", start, NULL },
	{ "status", status_of_it, NULL },
	{ "stop", stop, NULL },
	{ NULL, NULL, NULL }
};

int
ctl_policy_shadow(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(usage, argc < 2 ? stderr : stdout);
		fputs(ctl_store_help, argc < 2 ? stderr : stdout);
		return argc < 2 ? EX_USAGE : ctl_finish(EX_OK);
	}
	return ctl_run(commands, "policy shadow has no command", argc - 1, argv + 1);
}
