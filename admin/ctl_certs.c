/*
 * admin/ctl_certs.c - sallyportctl certs: asked of a daemon, or read from files when none runs.
 */
#include "admin/ctl_certs.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_ask.h"
#include "admin/ctl_width.h"
#include "admin/view.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/hash.h"

#define NAMES_TEXT	4096

static int
usage(FILE *out)
{
	fputs("Usage: sallyportctl [--edge|--director|--socket PATH] certs [OPTION]...\n\n"
	    "Lists our own certificates and those that partners of the policy have shown: days\n"
	    "left, issuer, what they may be used for, and what will go wrong. It asks the daemon,\n"
	    "or reads the files of its configuration if none runs.\n\n"
	    "  --all                also every certificate that anybody has shown\n"
	    "  --config FILE        read this edge.conf (with --director: director.conf), and ask nobody\n"
	    "  --next FILE          what would change if this certificate took the place of ours;\n"
	    "                       reads files\n"
	    "  --json               print JSON\n"
	    "  --edge, --director   which daemon to ask\n"
	    "  --socket PATH        ask on this socket\n"
	    "  --help               print this\n", out);
	return out == stdout ? ctl_finish(EX_OK) : EX_USAGE;
}

/* ---- from files ---- */

static void
complain(void *arg, bool fatal, const char *text)
{
	struct ctl_certs *c = arg;

	if (!fatal)
		return;
	fprintf(stderr, "sallyportctl: certs: %s\n", text);
	c->status = EX_NOINPUT;
}

static void
names_text(const struct net_peer *p, char out[NAMES_TEXT])
{
	struct strbuf sb;

	strbuf_init(&sb, out, NAMES_TEXT);
	for (unsigned i = 0; i < p->nnames && sb.len + p->names[i].n + 2 < NAMES_TEXT; i++) {
		strbuf_puts(&sb, i > 0 ? " " : "");
		strbuf_span(&sb, p->names[i]);
	}
}

static bool
proves(const struct net_peer *p, struct span name)
{
	for (unsigned i = 0; i < p->nnames; i++)
		if (span_ieq(p->names[i], name))
			return true;
	return false;
}

/* Could the new one be meant to replace this one? They have a name in common. */
static bool
is_kin(const struct net_peer *a, const struct net_peer *b)
{
	for (unsigned i = 0; i < a->nnames; i++)
		if (proves(b, a->names[i]))
			return true;
	return false;
}

static void
put(struct ctl_certs *c, struct record_table *table, const struct record_writer *w)
{
	struct record r;

	if (!record_ok(w) || !record_parse(&r, record_written(w)))
		return;
	if (c->json) {
		fputs(c->n == 0 ? "\n" : ",\n", stdout);
		record_print_json(stdout, &r, true);
	} else {
		record_table_add(table, &r);
	}
	c->n++;
}

void
ctl_certs_own(struct ctl_certs *c, const char *door, bool dials, const char *name, const char *certificate)
{
	struct net_tls_files files = { .certificate = certificate };
	unsigned char room[4 * RECORD_SMALL];
	char was[NAMES_TEXT], now[NAMES_TEXT], text[512];
	struct record_writer w;
	struct net_peer leaf;

	if (net_tls_examine(&leaf, &files, NULL, false, NULL, complain, c) == SP_OK) {
		view_own_leaf(&w, room, sizeof(room), door, dials, &leaf);
		if (name != NULL && !proves(&leaf, span_str(name))) {
			snprintf(text, sizeof(text), "does not hold the name %.400s", name);
			record_item(&w, "forecast", span_str(text));
		}
		if (c->next_file != NULL && is_kin(&leaf, &c->next)) {
			c->compared++;
			names_text(&leaf, was);
			names_text(&c->next, now);
			view_change(&w, &(struct view_certificate){ leaf.issuer, was, leaf.usage },
			    &(struct view_certificate){ c->next.issuer, now, c->next.usage }, true);
			if (memcmp(leaf.spki, c->next.spki, sizeof(leaf.spki)) != 0)
				record_item(&w, "forecast", SPAN_LIT("the key changes: who has pinned the old one refuses it"));
			if (c->next.not_after < leaf.not_after)
				record_item(&w, "forecast", SPAN_LIT("will end sooner than the one in use"));
		}
		put(c, c->own, &w);
	}
	net_tls_examined(&leaf);
}

void
ctl_certs_other(struct ctl_certs *c, const struct record_writer *w)
{
	put(c, c->others, w);
}

/* ---- of director.conf, what is about certificates; the rest is the Director's ---- */

struct director_part {
	char			*name, *certificate;
	struct conf_groups	 doors;
};
struct door_part {
	char	*listen, *certificate;
};

static const struct conf_item door_items[] = {
	{ .path = "listen", .type = CONF_STR, .at = offsetof(struct door_part, listen), .flags = CONF_OPTIONAL },
	{ .path = "certificate", .type = CONF_STR, .at = offsetof(struct door_part, certificate), .flags = CONF_OPTIONAL },
	{ .path = NULL }
};
static const struct conf_item director_items[] = {
	{ .path = "name", .type = CONF_STR, .at = offsetof(struct director_part, name), .flags = CONF_OPTIONAL },
	{ .path = "tls.certificate", .type = CONF_STR, .at = offsetof(struct director_part, certificate), .flags = CONF_OPTIONAL },
	{ .path = "doors", .type = CONF_GROUPS, .at = offsetof(struct director_part, doors), .sub = door_items,
	    .size = sizeof(struct door_part) },
	{ .path = NULL }
};

static bool
certs_director(struct ctl_certs *c, const char *file, struct conf_errors *errs)
{
	struct director_part d = { .name = NULL };
	struct conf_errors *ignored = conf_errors_new();
	bool good = access(file, R_OK) == 0;

	/* its other options are unknown here: that is no mistake */
	(void)conf_load(file, director_items, &d, ignored);
	if (!good || d.doors.n == 0)
		conf_error(errs, file, 0, "%s", good ? "is no director.conf with doors" : "cannot be read");
	for (size_t i = 0; i < d.doors.n; i++) {
		const struct door_part *door = (const struct door_part *)d.doors.v + i;
		const char *certificate = door->certificate != NULL ? door->certificate : d.certificate;

		if (certificate != NULL)
			ctl_certs_own(c, door->listen != NULL ? door->listen : "?", false, d.name, certificate);
	}
	conf_unload(director_items, &d);
	conf_errors_free(ignored);
	return good;
}

static void
print_tables(const struct ctl_certs *c)
{
	if (record_table_count(c->own) != 0)
		record_table_print_in(c->own, stdout, ctl_width());
	if (record_table_count(c->own) != 0 && record_table_count(c->others) != 0)
		putchar('\n');
	if (record_table_count(c->others) != 0)
		record_table_print_in(c->others, stdout, ctl_width());
}

static int
from_files(struct ctl_certs *c, const char *config, bool director)
{
	const char *file = config != NULL ? config : director ? SYSCONFDIR "/director.conf" : SYSCONFDIR "/edge.conf";
	struct conf_errors *errs = conf_errors_new();
	struct net_tls_files files = { .certificate = c->next_file };

	c->own = record_table_new();
	c->others = record_table_new();
	hash_seed();
	if (c->next_file != NULL && net_tls_examine(&c->next, &files, NULL, false, NULL, complain, c) != SP_OK)
		goto out;
	if (c->json)
		fputs("{\"records\":[", stdout);
	(void)(director ? certs_director : ctl_certs_edge)(c, file, errs);
	conf_errors_print(errs, stderr);
	if (conf_errors_count(errs) != 0)
		c->status = EX_CONFIG;
	if (c->next_file != NULL && c->compared == 0 && c->status == EX_OK) {
		fprintf(stderr, "sallyportctl: certs: %s has no name in common with any certificate in use\n", c->next_file);
		c->status = EX_DATAERR;
	}
	if (c->json)
		printf("%s],\"cut\":false,\"status\":%d,\"message\":null}\n", c->n != 0 ? "\n" : "", c->status);
	else
		print_tables(c);
 out:
	if (c->next_file != NULL)
		net_tls_examined(&c->next);
	record_table_free(c->own);
	record_table_free(c->others);
	conf_errors_free(errs);
	return ctl_finish(c->status);
}

/* ---- which ---- */

static int
from_daemon(bool all, bool json)
{
	static const struct ctl_option options[] = {
		{ "all", NULL, RECORD_BOOL, "also every certificate that anybody has shown" },
		{ NULL, NULL, 0, NULL }
	};
	static const struct ctl_question q = { .command = "certs", .verb = "certs", .options = options, .help = "" };
	char command[] = "certs", all_word[] = "--all", json_word[] = "--json";
	char *argv[] = { command, NULL, NULL, NULL };
	int argc = 1;

	if (all)
		argv[argc++] = all_word;
	if (json)
		argv[argc++] = json_word;
	return ctl_ask(&q, argc, argv);
}

int
ctl_certs(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' }, { "config", required_argument, NULL, 'c' }, { "next", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' }, { "socket", required_argument, NULL, 's' }, { "edge", no_argument, NULL, 'e' },
		{ "director", no_argument, NULL, 'd' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	struct ctl_certs c = { .status = EX_OK };
	const char *config = NULL;
	int opt, used;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		switch (opt) {
		case 'h':
			return usage(stdout);
		case 'a':
			c.all = true;
			break;
		case 'j':
			c.json = true;
			break;
		case 'c':
			config = optarg;
			break;
		case 'n':
			c.next_file = optarg;
			break;
		case 's': {
			char word[] = "--socket";
			char *pair[] = { word, optarg };

			(void)ctl_take_target(2, pair, &used);
			break;
		}
		case 'e':
		case 'd': {
			char edge[] = "--edge", director[] = "--director";
			char *one[] = { opt == 'e' ? edge : director };

			(void)ctl_take_target(1, one, &used);
			break;
		}
		default:
			return ctl_misused(opt == ':' ? "certs: a value is missing for" : "certs does not know", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return ctl_misused("certs takes nothing more, not", argv[optind]);
	if (config == NULL && c.next_file == NULL && (ctl_is_answered() || ctl_socket_is_given()))
		return from_daemon(c.all, c.json);
	if (config == NULL && c.next_file == NULL)
		fprintf(stderr, "sallyportctl: certs: no daemon listens on %s; this is what the files say\n", ctl_socket());
	return from_files(&c, config, ctl_is_director());
}
