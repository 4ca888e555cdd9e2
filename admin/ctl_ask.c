/*
 * admin/ctl_ask.c - see ctl_ask.h.
 */
#include "admin/ctl_ask.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_width.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/span.h"

#define OPTIONS_MAX	24
#define KINDS_MAX	16

enum { OPT_JSON = 256, OPT_SOCKET, OPT_EDGE, OPT_DIRECTOR, OPT_OWN };

static const char *target;	/* as chosen; NULL: nobody has said */

/* ---- which daemon ---- */

bool
ctl_take_target(int argc, char **argv, int *used)
{
	*used = 1;
	if (strcmp(argv[0], "--edge") == 0) {
		target = RUNDIR "/edge.sock";
	} else if (strcmp(argv[0], "--director") == 0) {
		target = RUNDIR "/director.sock";
	} else if (strcmp(argv[0], "--socket") == 0 && argc > 1) {
		target = argv[1];
		*used = 2;
	} else if (strncmp(argv[0], "--socket=", 9) == 0) {
		target = argv[0] + 9;
	} else {
		return false;
	}
	return true;
}

const char *
ctl_socket(void)
{
	if (target != NULL)
		return target;
	return access(RUNDIR "/edge.sock", F_OK) == -1 && access(RUNDIR "/director.sock", F_OK) == 0 ?
	    RUNDIR "/director.sock" : RUNDIR "/edge.sock";
}

bool
ctl_is_director(void)
{
	return strcmp(ctl_socket(), RUNDIR "/director.sock") == 0;
}

bool
ctl_socket_is_given(void)
{
	return target != NULL && strcmp(target, RUNDIR "/edge.sock") != 0 && strcmp(target, RUNDIR "/director.sock") != 0;
}

bool
ctl_is_answered(void)
{
	struct ctlclient *c = ctlclient_new();
	int err = ctlclient_open(c, ctl_socket());
	bool answered = err == SP_OK || (errno != ENOENT && errno != ECONNREFUSED);

	ctlclient_free(c);
	return answered;
}

int
ctl_connect(struct ctlclient *c)
{
	const char *path = ctl_socket();
	int err = ctlclient_open(c, path), error;

	if (err == SP_OK)
		return EX_OK;
	if (err == SP_EINVAL) {
		fprintf(stderr, "sallyportctl: '%s' is no path for a socket\n", path);
		return EX_USAGE;
	}
	if (err == SP_ETIME) {
		fprintf(stderr, "sallyportctl: %s: the daemon takes no connection; it hangs, and its log may say why\n", path);
		return EX_TEMPFAIL;
	}
	error = errno;
	fprintf(stderr, "sallyportctl: %s: %s\n", path, ctlclient_trouble(path, error));
	return error == EACCES || error == EPERM ? EX_NOPERM : EX_UNAVAILABLE;
}

int
ctl_broken(int err)
{
	switch (err) {
	case SP_ECLOSED:
		fputs("sallyportctl: the daemon closed the connection before it had answered: it is stopping, or has ended\n", stderr);
		return EX_UNAVAILABLE;
	case SP_ETIME:
		fputs("sallyportctl: the daemon did not answer in time; it is busy or hangs, and its log may say why\n", stderr);
		return EX_TEMPFAIL;
	case SP_ELIMIT:
		fputs("sallyportctl: that is too long for a request\n", stderr);
		return EX_USAGE;
	case SP_ESYNTAX:
		fputs("sallyportctl: the daemon answers in a way that this release does not understand\n", stderr);
		return EX_PROTOCOL;
	default:
		fprintf(stderr, "sallyportctl: %s: %s\n", ctl_socket(), strerror(errno));
		return EX_IOERR;
	}
}

/* ---- options ---- */

static int
help(const struct ctl_question *q)
{
	printf("Usage: sallyportctl [--edge|--director|--socket PATH] %s [OPTION]...%s%s\n\n%s\n\n", q->command,
	    q->operand_name != NULL ? " " : "", q->operand_name != NULL ? q->operand_name : "", q->help);
	for (const struct ctl_option *o = q->options; o != NULL && o->name != NULL; o++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		printf("  %-20s %s\n", left, o->help);
	}
	printf("  %-20s print JSON%s\n"
	    "  --edge, --director   which daemon to ask\n"
	    "  %-20s ask on this socket\n"
	    "  %-20s print this\n", "--json", q->stream ? ", an object a line" : "", "--socket PATH", "--help");
	return ctl_finish(EX_OK);
}

static int
add_own(struct ctlclient *c, const struct ctl_option *o, const char *value)
{
	uint64_t n;

	switch (o->type) {
	case RECORD_BOOL:
		record_bool(ctlclient_args(c), o->name, true);
		break;
	case RECORD_INT:
		if (!span_uint(span_str(value), INT64_MAX, &n)) {
			fprintf(stderr, "sallyportctl: --%s expects a number\n", o->name);
			return EX_USAGE;
		}
		record_int(ctlclient_args(c), o->name, (int64_t)n);
		break;
	default:
		if (strlen(value) > RECORD_TEXT_MAX)
			return ctl_broken(SP_ELIMIT);
		record_str(ctlclient_args(c), o->name, value);
	}
	return EX_OK;
}

static size_t
make_longs(const struct ctl_question *q, struct option longs[OPTIONS_MAX + 6])
{
	size_t n = 0;

	longs[n++] = (struct option){ "json", no_argument, NULL, OPT_JSON };
	longs[n++] = (struct option){ "socket", required_argument, NULL, OPT_SOCKET };
	longs[n++] = (struct option){ "edge", no_argument, NULL, OPT_EDGE };
	longs[n++] = (struct option){ "director", no_argument, NULL, OPT_DIRECTOR };
	longs[n++] = (struct option){ "help", no_argument, NULL, 'h' };
	for (size_t i = 0; q->options != NULL && q->options[i].name != NULL && i < OPTIONS_MAX; i++)
		longs[n++] = (struct option){ q->options[i].name, q->options[i].value != NULL ? required_argument : no_argument,
		    NULL, OPT_OWN + (int)i };
	longs[n] = (struct option){ NULL, 0, NULL, 0 };
	return n;
}

/* -1: go on; otherwise the exit status. */
static int
read_options(const struct ctl_question *q, struct ctlclient *c, int argc, char **argv, bool *json)
{
	struct option longs[OPTIONS_MAX + 6];
	int opt, rc;

	make_longs(q, longs);
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
		switch (opt) {
		case OPT_JSON:
			*json = true;
			break;
		case OPT_SOCKET:
			target = optarg;
			break;
		case OPT_EDGE:
			target = RUNDIR "/edge.sock";
			break;
		case OPT_DIRECTOR:
			target = RUNDIR "/director.sock";
			break;
		case 'h':
			return help(q);
		case ':':
			fprintf(stderr, "sallyportctl: %s: %s expects a value\n", q->command, argv[optind - 1]);
			return EX_USAGE;
		case '?':
			fprintf(stderr, "sallyportctl: %s does not know '%s'; 'sallyportctl %s --help' tells its options\n",
			    q->command, argv[optind - 1], q->command);
			return EX_USAGE;
		default:
			if ((rc = add_own(c, &q->options[opt - OPT_OWN], optarg)) != EX_OK)
				return rc;
		}
	}
	if (q->operand != NULL && optind < argc && strlen(argv[optind]) > RECORD_TEXT_MAX)
		return ctl_broken(SP_ELIMIT);
	if (q->operand != NULL && optind < argc) {
		/* options may stand behind the operand, too */
		char *operand = argv[optind];

		record_str(ctlclient_args(c), q->operand, operand);
		if (optind + 1 < argc && argv[optind + 1][0] == '-') {
			struct ctl_question rest = *q;

			rest.operand = NULL;
			return read_options(&rest, c, argc - optind, argv + optind, json);
		}
		optind++;
	} else if (q->operand != NULL) {
		fprintf(stderr, "sallyportctl: %s expects %s; 'sallyportctl %s --help' tells more\n", q->command,
		    q->operand_name, q->command);
		return EX_USAGE;
	}
	if (optind < argc) {
		fprintf(stderr, "sallyportctl: %s takes nothing more, not '%s'\n", q->command, argv[optind]);
		return EX_USAGE;
	}
	return -1;
}

/* ---- the answer ---- */

/* The records of one kind, in the order in which the kinds came first. */
struct group {
	char			 kind[RECORD_NAME_MAX + 1];
	struct record_table	*table;
};

struct printer {
	const struct ctl_question *q;
	bool			 json;
	size_t			 n;		/* records */
	size_t			 ngroups;
	struct group		 group[KINDS_MAX];
};

static bool
is_card(const struct printer *p, const char *kind)
{
	return p->q->card != NULL && strcmp(p->q->card, kind) == 0;
}

/* A line; and a message that is among the fields stands below it, line by line. */
static void
print_streamed(const struct record *r)
{
	struct span text = record_get_text(r, "message");

	record_print_line_but(stdout, r, "message");
	while (text.n != 0) {
		struct span line = span_head(text, span_find(text, '\n'));

		fputs("    ", stdout);
		record_print_escaped(stdout, line);
		putc('\n', stdout);
		text = span_tail(text, line.n + 1);
	}
}

static void
print_record(struct printer *p, const struct record *r)
{
	struct group *g = p->group;

	if (p->json) {
		fputs(p->q->stream ? "" : p->n == 0 ? "\n" : ",\n", stdout);
		record_print_json(stdout, r, true);
		if (p->q->stream)
			putc('\n', stdout);
	} else if (p->q->stream) {
		print_streamed(r);
	} else {
		while (g < p->group + p->ngroups && !span_is(r->kind, g->kind))
			g++;
		if (g == p->group + KINDS_MAX)
			return;
		if (g == p->group + p->ngroups) {
			p->ngroups++;
			snprintf(g->kind, sizeof(g->kind), "%.*s", SPAN_FMT(r->kind));
			g->table = record_table_new();
		}
		record_table_add(g->table, r);
	}
	p->n++;
	if (p->q->stream)
		fflush(stdout);
}

/* As it came; or with what this machine has to add. */
static void
print_enriched(struct printer *p, const struct record *r)
{
	unsigned char *room;
	struct record_writer w;
	struct record_field f;
	struct record more;
	char kind[RECORD_NAME_MAX + 1];
	size_t at = 0;

	if (p->q->enrich == NULL) {
		print_record(p, r);
		return;
	}
	room = xmalloc(RECORD_MAX);
	snprintf(kind, sizeof(kind), "%.*s", SPAN_FMT(r->kind));
	record_begin(&w, room, RECORD_MAX, kind);
	while (record_next(r, &at, &f))
		record_field(&w, &f);
	p->q->enrich(r, &w);
	print_record(p, record_ok(&w) && record_parse(&more, record_written(&w)) ? &more : r);
	free(room);
}

static void
print_errors(const struct record *r)
{
	fputs("sallyportctl: ", stderr);
	record_print_escaped(stderr, record_get_text(r, "text"));
	putc('\n', stderr);
}

static void
print_groups(struct printer *p)
{
	for (size_t i = 0; i < p->ngroups; i++) {
		if (i > 0)
			putc('\n', stdout);
		if (is_card(p, p->group[i].kind))
			record_table_print_cards_in(p->group[i].table, stdout, ctl_width());
		else
			record_table_print_in(p->group[i].table, stdout, ctl_width());
		record_table_free(p->group[i].table);
	}
}

static void
finish_json(const struct printer *p, const struct ctlclient *c, int status)
{
	if (p->q->stream)
		return;
	printf("%s],\"cut\":%s,\"status\":%d,\"message\":", p->n != 0 ? "\n" : "", ctlclient_was_cut(c) ? "true" : "false",
	    status);
	if (ctlclient_why(c)[0] == '\0')
		fputs("null", stdout);
	else
		record_print_json_text(stdout, span_str(ctlclient_why(c)));
	puts("}");
}

static int
print_answer(struct printer *p, struct ctlclient *c)
{
	struct record r;
	int rc, status;

	if (p->json && !p->q->stream)
		fputs("{\"records\":[", stdout);
	while ((rc = ctlclient_next(c, &r)) == 1)
		if (!p->json && span_is(r.kind, "error"))
			print_errors(&r);
		else
			print_enriched(p, &r);
	status = rc == 0 ? ctlclient_status(c) : EX_PROTOCOL;
	print_groups(p);
	if (rc < 0)
		status = ctl_broken(rc);
	if (p->json)
		finish_json(p, c, status);
	if (rc == 0 && ctlclient_why(c)[0] != '\0' && (!p->json || status != EX_OK)) {
		FILE *out = status == EX_OK ? stdout : stderr;

		fputs(status == EX_OK ? "" : "sallyportctl: ", out);
		record_print_escaped(out, span_str(ctlclient_why(c)));
		putc('\n', out);
	} else if (rc == 0 && status == EX_OK && p->n == 0 && !p->json && p->q->none != NULL) {
		puts(p->q->none);
	}
	if (rc == 0 && ctlclient_was_cut(c))
		fputs("sallyportctl: there is more than could be shown; ask for less\n", stderr);
	return ctl_finish(status);
}

int
ctl_ask(const struct ctl_question *q, int argc, char **argv)
{
	struct printer p = { .q = q };
	struct ctlclient *c = ctlclient_new();
	int rc, fd = -1;

	ctlclient_begin(c, q->verb);
	if ((rc = read_options(q, c, argc, argv, &p.json)) == -1 &&
	    (q->prepare == NULL || (rc = q->prepare(c, &fd)) == EX_OK) && (rc = ctl_connect(c)) == EX_OK) {
		if ((rc = ctlclient_send(c, fd)) != SP_OK) {
			rc = ctl_broken(rc);
		} else {
			ctlclient_set_wait(c, q->stream ? 0 : CTLCLIENT_WAIT_MS);
			rc = print_answer(&p, c);
		}
	}
	if (fd != -1)
		close(fd);
	ctlclient_free(c);
	return rc;
}
