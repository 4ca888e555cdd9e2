/*
 * admin/ctl_lync.c - sallyportctl import-lync: federation settings of Lync and Skype for Business; see lync.h.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_portable.h"
#include "admin/lync.h"
#include "admin/policyfile.h"
#include "admin/portable.h"
#include "admin/record.h"
#include "common/err.h"
#include "common/mem.h"

#define FILES_MAX	64

/* What the command line and the policy in force say of our own. */
struct own {
	char	**domains, **servers;
	size_t	 ndomains, nservers;
	bool	 domains_given, servers_given;
};

static void
own_add(char ***v, size_t *n, const char *s)
{
	/* room doubles: a power of two, or none, is full */
	if ((*n & (*n - 1)) == 0)
		*v = xreallocarray(*v, *n == 0 ? 1 : *n * 2, sizeof(**v));
	(*v)[(*n)++] = xstrdup(s);
}

static void
own_fini(struct own *own)
{
	while (own->ndomains > 0)
		free(own->domains[--own->ndomains]);
	while (own->nservers > 0)
		free(own->servers[--own->nservers]);
	free(own->domains);
	free(own->servers);
}

static void
from_policy(void *arg, const char *list, const char *group, const char *option, bool element, const char *value)
{
	struct own *own = arg;

	(void)group;
	(void)element;
	if (list != NULL)
		return;
	if (strcmp(option, "internal_servers") == 0 && !own->servers_given)
		own_add(&own->servers, &own->nservers, value);
	if (strcmp(option, "internal_domains") == 0 && !own->domains_given)
		own_add(&own->domains, &own->ndomains, value);
}

static bool
has_sip_domains(const struct lync_objects *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].kind == LYNC_SIP_DOMAIN)
			return true;
	return false;
}

/* What is not named, the policy in force says; it need not be there, nor be good. */
static void
complete(const struct ctl_store *s, const struct lync_objects *all, struct own *own)
{
	struct conf_errors *quiet = conf_errors_new();
	char *text, *dir = ctl_dir_of(s->policy);
	size_t n;

	own->servers_given = own->nservers != 0;
	own->domains_given = own->ndomains != 0 || has_sip_domains(all);
	if ((!own->servers_given || !own->domains_given) &&
	    ctl_read_file(s->policy, POLICYSTORE_TEXT_MAX, &text, &n, quiet) == SP_OK) {
		(void)policyfile_walk(s->policy, span_of(text, n), dir, from_policy, own, quiet);
		free(text);
	}
	free(dir);
	conf_errors_free(quiet);
}

/* ---- telling ---- */

static void
print_notes(const struct lync_result *r)
{
	static const char *const heads[] = {
		[LYNC_KEPT] = "Kept:", [LYNC_CHANGED] = "Changed:", [LYNC_LOST] = "Could not be kept:"
	};

	for (enum lync_fate f = LYNC_KEPT; f <= LYNC_LOST; f++) {
		size_t n = 0;

		for (size_t i = 0; i < r->n; i++)
			if (r->notes[i].fate == f) {
				if (n++ == 0)
					puts(heads[f]);
				fputs("  ", stdout);
				record_print_escaped(stdout, span_str(r->notes[i].what));
				fputs(": ", stdout);
				record_print_escaped(stdout, span_str(r->notes[i].why));
				putchar('\n');
			}
	}
	putchar('\n');
}

static void
print_notes_json(void *arg)
{
	const struct lync_result *r = arg;

	fputs("\"notes\": [", stdout);
	for (size_t i = 0; i < r->n; i++) {
		printf("%s\n  {\"fate\": \"%s\", \"what\": ", i != 0 ? "," : "", lync_fate_name(r->notes[i].fate));
		record_print_json_text(stdout, span_str(r->notes[i].what));
		fputs(", \"why\": ", stdout);
		record_print_json_text(stdout, span_str(r->notes[i].why));
		putchar('}');
	}
	fputs("\n], ", stdout);
}

static const char usage[] =
    "Usage: sallyportctl import-lync FILE... [--dry-run] [--commit] [OPTION]...\n"
    "Make a policy of the federation settings of Lync Server or Skype for Business\n"
    "Server, as Export-Clixml or Export-Csv writes what these give:\n"
    "  Get-CsAllowedDomain, Get-CsBlockedDomain, Get-CsPublicProvider,\n"
    "  Get-CsHostingProvider, Get-CsAccessEdgeConfiguration, Get-CsSipDomain,\n"
    "  Get-CsStaticRoutingConfiguration | Select-Object -ExpandProperty Route\n"
    "Say what was kept, what is different here, what could not be kept, and why; then go\n"
    "on as \"sallyportctl import\" does. Our own domains and servers are taken from these\n"
    "options, from the files, or from the policy in force.\n\n"
    "  --internal-domain NAME\n"
    "                    a SIP domain of our own; may be repeated\n"
    "  --internal-server NAME\n"
    "                    a server that may come in by the inner door; may be repeated\n"
    "  --output FILE     write the policy there (- is standard output), and change nothing\n"
    "  --dry-run         change nothing, make no candidate\n"
    "  --commit          put it in force\n"
    "  --lines           show the changed lines of the policy, too\n"
    "  --edge-conf FILE  the edge's configuration here\n"
    "                    (default " SYSCONFDIR "/edge.conf, if it is there)\n";

/*
 * Our own options out of argv, before the others are looked at. Status.
 */
static int
take_own(int *argc, char **argv, struct own *own)
{
	static const char domain[] = "--internal-domain", server[] = "--internal-server";
	int to = 1;

	for (int i = 1; i < *argc; i++) {
		bool is_domain = strncmp(argv[i], domain, sizeof(domain) - 1) == 0;
		const char *value;
		char c;

		if (!is_domain && strncmp(argv[i], server, sizeof(server) - 1) != 0) {
			argv[to++] = argv[i];
			continue;
		}
		c = argv[i][sizeof(domain) - 1];	/* both are of one length */
		if ((c != '=' && c != '\0') || (c == '\0' && i + 1 == *argc))
			return ctl_misused(c == '\0' ? "import-lync: a NAME is missing after" : "import-lync: there is no option", argv[i]);
		value = c == '=' ? argv[i] + sizeof(domain) : argv[++i];
		own_add(is_domain ? &own->domains : &own->servers, is_domain ? &own->ndomains : &own->nservers, value);
	}
	*argc = to;
	argv[to] = NULL;
	return EX_OK;
}

static int
read_files(struct ctl_store *s, int argc, char **argv, struct lync_objects *all)
{
	int err = SP_OK;

	for (int i = optind; i < argc; i++) {
		char *text;
		size_t n;
		int e = ctl_read_file(argv[i], LYNC_FILE_MAX, &text, &n, s->errs);

		if (e == SP_OK) {
			e = lync_read(argv[i], span_of(text, n), all, s->errs);
			free(text);
		}
		err = err == SP_OK ? e : err;
	}
	return err;
}

static int
give(struct ctl_store *s, const struct portable *p, struct lync_result *r)
{
	if (s->output == NULL) {
		if (!s->json)
			print_notes(r);
		return ctl_take_over(s, p, print_notes_json, r);
	}
	if (strcmp(s->output, "-") != 0 && !s->json)
		print_notes(r);
	if (strcmp(s->output, "-") == 0) {
		fwrite(p->policy, 1, p->n, stdout);	/* ctl_store_end() looks whether that went well */
		return SP_OK;
	}
	return ctl_write_output(s->output, span_of(p->policy, p->n), s->errs);
}

int
ctl_import_lync(int argc, char **argv)
{
	struct portable p = { .policy = NULL };
	struct lync_objects all = { .v = NULL };
	struct lync_result r = { .notes = NULL };
	struct own *own = xcalloc(1, sizeof(*own));
	struct ctl_store s = { .help = false };
	int status = take_own(&argc, argv, own), err = SP_OK;

	if (status != EX_OK) {
		own_fini(own);
		free(own);
		return status;
	}
	status = ctl_store_begin(&s, "import-lync", argc, argv, FILES_MAX);
	if (status == EX_OK && !s.help && optind == argc)
		status = ctl_misused("import-lync expects FILE", NULL);
	if (s.help) {
		fputs(usage, stdout);
		fputs(ctl_store_help, stdout);
	} else if (status == EX_OK && (err = read_files(&s, argc, argv, &all)) == SP_OK) {
		complete(&s, &all, own);
		err = lync_map(&all, &(struct lync_given){ (const char *const *)own->domains, (const char *const *)own->servers,
		    own->ndomains, own->nservers }, &p, &r, s.errs);
		if (err == SP_OK)
			err = give(&s, &p, &r);
	}
	lync_result_fini(&r);
	lync_objects_fini(&all);
	portable_fini(&p);
	own_fini(own);
	free(own);
	err = ctl_store_end(&s, err, EX_DATAERR);
	return status != EX_OK ? status : err;
}
