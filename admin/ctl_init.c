/*
 * admin/ctl_init.c - sallyportctl init: the first configuration of a machine, from options or asked for.
 *
 * What was never configured has nothing to lose, so nothing that is there is written over unless --force says
 * so, and then the old file stays beside the new one. Files appear whole or not at all.
 */
#include "admin/ctl_init.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_step.h"
#include "admin/secretfile.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"
#include "net/nics.h"
#include "policy/domain.h"

#define ANSWER_MAX	1024	/* bytes of a line that somebody types */

enum init_kind { AS_DOMAIN, AS_HOST, AS_ADDRESS, AS_FILE, AS_HOST_AT, AS_PARTNER };

/* What can be answered: the option --NAME, and the question at a terminal. */
static const struct question {
	enum init_kind	 kind;
	unsigned	 roles;
	bool		 required, many;
	const char	*option, *ask;
} questions[INIT_NANSWERS] = {
	[INIT_DOMAIN] = { AS_DOMAIN, INIT_EDGE | INIT_DIRECTOR, true, true, "domain", "Your SIP domains, with blanks between" },
	[INIT_NEXT_HOP] = { AS_HOST_AT, INIT_EDGE, true, false, "director", "The Director, or the SIP server inside, as NAME or NAME=ADDRESS" },
	[INIT_NAME] = { AS_HOST, INIT_DIRECTOR, true, false, "name", "Host name of this Director" },
	[INIT_LISTEN] = { AS_ADDRESS, INIT_DIRECTOR, true, false, "listen", "Address of this machine" },
	[INIT_OUTSIDE] = { AS_ADDRESS, INIT_EDGE, true, false, "outside", "Address that faces the Internet" },
	[INIT_INSIDE] = { AS_ADDRESS, INIT_EDGE, true, false, "inside", "Address that faces the inside" },
	[INIT_CERTIFICATE] = { AS_FILE, INIT_EDGE | INIT_DIRECTOR, true, false, "certificate", "File with the certificate and its chain" },
	[INIT_KEY] = { AS_FILE, INIT_EDGE | INIT_DIRECTOR, false, false, "key", "File with its private key (empty: the same)" },
	[INIT_TRUST] = { AS_FILE, INIT_EDGE, false, false, "trust", "File with the authorities of partners (empty: those of the system)" },
	[INIT_INSIDE_TRUST] = { AS_FILE, INIT_EDGE | INIT_DIRECTOR, false, false, "inside-trust",
	    "File with the authorities of servers inside (empty: as above, or those of the system)" },
	[INIT_EDGES] = { AS_HOST_AT, INIT_DIRECTOR, true, true, "edge", "The edges, as NAME or NAME=ADDRESS" },
	[INIT_POOLS] = { AS_HOST_AT, INIT_DIRECTOR, true, true, "pool", "The home pools, as NAME or NAME=ADDRESS" },
	[INIT_PARTNERS] = { AS_PARTNER, INIT_EDGE, false, true, "partner", "Partners, as DOMAIN=SERVER (empty: none)" },
};

enum { OPT_ROLE = INIT_NANSWERS, OPT_DIR, OPT_DRY, OPT_FORCE, OPT_JSON, OPT_HELP };

static int
usage(FILE *out)
{
	fputs("Usage: sallyportctl init [OPTION]...\n"
	    "Write the first configuration of this machine. What no option says is asked for,\n"
	    "if standard input is a terminal.\n\n"
	    "      --role edge|director   what it is to be (edge)\n"
	    "      --domain DOMAIN        your SIP domain; may be repeated, as --edge, --pool and\n"
	    "                             --partner may\n"
	    "      --certificate FILE     certificate and its chain\n"
	    "      --key FILE             its private key (in the same file)\n"
	    "      --inside-trust FILE    authorities of servers inside (those of --trust)\n"
	    "      --dir DIR              where to write (" SYSCONFDIR ")\n"
	    "      --dry-run              print what would be written\n"
	    "      --force                replace what is there; the old file becomes FILE.old\n"
	    "      --json                 print JSON\n"
	    "  -h, --help                 print this\n\n"
	    "Of an edge:\n"
	    "      --director NAME[=ADDRESS]   the Director, or the SIP server inside\n"
	    "      --outside ADDRESS      that faces the Internet (that of the default route)\n"
	    "      --inside ADDRESS       that faces the inside (that of the only other interface)\n"
	    "      --trust FILE           authorities of partners (those of the system)\n"
	    "      --partner DOMAIN=SERVER   an organisation that may write to us, and its edge\n\n"
	    "Of a Director:\n"
	    "      --name NAME            its host name\n"
	    "      --listen ADDRESS       of this machine (that of the default route)\n"
	    "      --edge NAME[=ADDRESS]  an edge, by the name it has inside\n"
	    "      --pool NAME[=ADDRESS]  a home pool\n\n"
	    "Exit status: 0 done, 64 misused, 65 wrong data, 73 a file is there already, 74 cannot be\n"
	    "written, 78 written, but something that it names is not there yet.\n", out);
	return out == stdout ? ctl_finish(EX_OK) : EX_USAGE;
}

/* ---- answers ---- */

static void
keep(struct init_answer *a, const char *text)
{
	a->v = xreallocarray(a->v, a->n + 1, sizeof(*a->v));
	a->v[a->n++] = xstrdup(text);
}

static bool
name_of(struct span text, char out[DOMAIN_MAX])
{
	char canon[DOMAIN_MAX];
	struct span name;
	bool is_ip;

	if (policy_domain_canon(text, canon, &name, &is_ip) != SP_OK || is_ip)
		return false;
	snprintf(out, DOMAIN_MAX, "%.*s", SPAN_FMT(name));
	return true;
}

static bool
address_of(struct span text, char out[NET_ADDR_TEXT])
{
	struct net_addr a;

	if (net_addr_parse(&a, text, 1) != SP_OK || net_addr_port(&a) != 1 || net_addr_is_any(&a))
		return false;
	net_addr_host(&a, out);
	return true;
}

/* A whole path that can stand between quotes. */
static bool
is_path(const char *text)
{
	bool good = text[0] == '/' && strlen(text) < PATH_MAX;

	for (; good && *text != '\0'; text++)
		good = (unsigned char)*text >= ' ' && *text != 0x7f && *text != '"' && *text != '\\';
	return good;
}

/* One value in the form that is written. NULL: it was kept; else what was expected. */
static const char *
take(struct init *t, size_t which, const char *text)
{
	const struct question *q = &questions[which];
	struct span all = span_str(text), left = span_head(all, span_find(all, '=')), right = SPAN_NONE;
	char name[DOMAIN_MAX], other[DOMAIN_MAX > NET_ADDR_TEXT ? DOMAIN_MAX : NET_ADDR_TEXT], both[2 * DOMAIN_MAX + 2];

	if (!q->many && t->answers[which].n != 0)
		return "one value only";
	if (left.n < all.n)
		right = span_tail(all, left.n + 1);
	switch (q->kind) {
	case AS_DOMAIN:
	case AS_HOST:
		if (!name_of(all, name))
			return q->kind == AS_DOMAIN ? "a domain, like example.com" : "a host name, like director.int.example.com";
		keep(&t->answers[which], name);
		return NULL;
	case AS_ADDRESS:
		if (!address_of(all, other))
			return "an IP address of one interface, without a port";
		keep(&t->answers[which], other);
		return NULL;
	case AS_FILE:
		if (!is_path(text))
			return "the whole path of a file, like /etc/sallyport/edge.pem";
		keep(&t->answers[which], text);
		return NULL;
	case AS_HOST_AT:
		if (!name_of(left, name) || (left.n < all.n && !address_of(right, other)))
			return "a host name, or NAME=ADDRESS, like pool.int.example.com=10.0.0.30";
		break;
	case AS_PARTNER:
		if (!name_of(left, name) || !name_of(right, other))
			return "DOMAIN=SERVER, like contoso.example=sip.contoso.example";
		break;
	}
	snprintf(both, sizeof(both), "%s%s%s", name, left.n < all.n ? "=" : "", left.n < all.n ? other : "");
	keep(&t->answers[which], both);
	return NULL;
}

/* What this machine tells by itself. */
static void
find_defaults(char dflt[INIT_NANSWERS][NET_ADDR_TEXT])
{
	struct net_addr outside, inside;
	char why[NET_NICS_WHY];

	(void)net_nics_find(&outside, &inside, why);
	if (outside.len != 0) {
		net_addr_host(&outside, dflt[INIT_OUTSIDE]);
		net_addr_host(&outside, dflt[INIT_LISTEN]);
	}
	if (inside.len != 0)
		net_addr_host(&inside, dflt[INIT_INSIDE]);
}

/* Words of the line, each a value. False: one is wrong, which was said, and nothing was kept. */
static bool
take_line(struct init *t, size_t which, char *line)
{
	struct init_answer *a = &t->answers[which];
	const char *wrong = NULL;
	char *rest = line, *word;

	while (wrong == NULL && (word = strtok_r(rest, " \t\r\n", &rest)) != NULL)
		wrong = take(t, which, word);
	if (wrong == NULL)
		return true;
	fprintf(stderr, "That is not it: expected is %s.\n", wrong);
	while (a->n > 0)
		free(a->v[--a->n]);
	return false;
}

/* False: standard input ended. */
static bool
ask(struct init *t, size_t which, const char *dflt)
{
	const struct question *q = &questions[which];
	char line[ANSWER_MAX];

	for (;;) {
		printf("%s%s%s%s: ", q->ask, dflt[0] != '\0' ? " [" : "", dflt, dflt[0] != '\0' ? "]" : "");
		fflush(stdout);
		if (fgets(line, sizeof(line), stdin) == NULL)
			return false;
		if (line[strspn(line, " \t\r\n")] == '\0')
			snprintf(line, sizeof(line), "%s", dflt);
		if (take_line(t, which, line) && (t->answers[which].n != 0 || !q->required))
			return true;
	}
}

static int
complete(struct init *t)
{
	char dflt[INIT_NANSWERS][NET_ADDR_TEXT];
	bool asking = isatty(STDIN_FILENO) && !t->json;
	int status = EX_OK;

	memset(dflt, 0, sizeof(dflt));
	find_defaults(dflt);
	for (size_t i = 0; i < INIT_NANSWERS; i++) {
		if ((questions[i].roles & t->role) == 0) {
			if (t->answers[i].n != 0)
				return ctl_misused("init: an option of the other role:", questions[i].option);
			continue;
		}
		if (t->answers[i].n != 0)
			continue;
		if (asking && !ask(t, i, dflt[i])) {
			fputs("\nsallyportctl: init: nothing was written\n", stderr);
			return EX_USAGE;
		}
		if (asking)
			continue;
		if (dflt[i][0] != '\0') {
			(void)take(t, i, dflt[i]);
		} else if (questions[i].required) {
			fprintf(stderr, "sallyportctl: init: --%s is missing: %s\n", questions[i].option, questions[i].ask);
			status = EX_USAGE;
		}
	}
	return status;
}

/* ---- files ---- */

struct init_file {
	char		 path[PATH_MAX];
	mode_t		 mode;
	char		*text;
	size_t		 n;
	const char	*to;		/* a link that leads there, and no text; NULL: a file */
};

/* Where the policy is when there is a directory for it, and the link that leads there. */
#define POLICY_PLACE	"policy/policy.conf"

static void
compose(struct init *t, struct init_file *f, const char *name, mode_t mode, void (*write)(const struct init *, FILE *))
{
	FILE *out = open_memstream(&f->text, &f->n);

	if (out == NULL)
		abort();		/* only when out of memory */
	snprintf(f->path, sizeof(f->path), "%s/%s", t->dir, name);
	f->mode = mode;
	write(t, out);
	fclose(out);
}

/* A new file beside the old one takes its place, or, without force, a place where nothing is. 0, or errno. */
static int
put(const struct init_file *f, bool force)
{
	char temporary[4 * PATH_MAX], old[4 * PATH_MAX];	/* gcc does not know how short a path is */
	int fd, error = 0;

	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", f->path);
	snprintf(old, sizeof(old), "%s.old", f->path);
	if ((fd = mkostemp(temporary, O_CLOEXEC)) == -1)
		return errno;
	if (secretfile_write(fd, f->text, f->n) != SP_OK || fchmod(fd, f->mode) == -1 || fsync(fd) == -1)
		error = errno;
	close(fd);
	if (error == 0 && !force) {
		error = link(temporary, f->path) == 0 ? 0 : errno;
	} else if (error == 0) {
		/* whoever reads it meanwhile sees the old one or the new one */
		if ((unlink(old) == -1 && errno != ENOENT) || (link(f->path, old) == -1 && errno != ENOENT) ||
		    rename(temporary, f->path) == -1)
			error = errno;
	}
	(void)unlink(temporary);
	return error;
}

/* As put(), a link. */
static int
put_link(const struct init_file *f, bool force)
{
	char temporary[4 * PATH_MAX], old[4 * PATH_MAX];
	struct stat st;

	if (!force)
		return symlink(f->to, f->path) == 0 ? 0 : errno;
	snprintf(temporary, sizeof(temporary), "%s.new", f->path);
	snprintf(old, sizeof(old), "%s.old", f->path);
	/* a policy that was a file here is kept; a link has nothing to keep */
	if (lstat(f->path, &st) == 0 && S_ISREG(st.st_mode) && ((unlink(old) == -1 && errno != ENOENT) || link(f->path, old) == -1))
		return errno;
	if ((unlink(temporary) == -1 && errno != ENOENT) || symlink(f->to, temporary) == -1 || rename(temporary, f->path) == -1)
		return errno;
	return 0;
}

/*
 * The package makes a directory for the policy, which is all of /etc/sallyport that the edge's unit may write: for the nodes of
 * an array, and for the admin page once it is that account's. One that is not ours alone has its own file by now.
 */
static bool
has_place_for_policy(const struct init *t)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/policy", t->dir);
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

/* Is anything there? Then nothing at all is written. */
static bool
anything_there(struct init *t, const struct init_file *files, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n && !t->force; i++) {
		struct stat st;

		if (lstat(files[i].path, &st) == 0) {
			ctl_step(&t->steps, CTL_FAIL, "file", "Look at it; --force writes a new one and keeps the old one as FILE.old.",
			    "%s is there already, and nothing was written", files[i].path);
			any = true;
		}
	}
	return any;
}

static int
make_directories(struct init *t)
{
	const char *dirs[] = { t->dir, STATEDIR };

	/* files that are tried elsewhere change nothing of this machine */
	for (size_t i = 0; i < (strcmp(t->dir, SYSCONFDIR) == 0 ? 2 : 1); i++) {
		if (mkdir(dirs[i], 0755) == 0 || errno == EEXIST)
			continue;
		/* where keys are kept matters later; without the first there is no place for files */
		ctl_step(&t->steps, i == 0 ? CTL_FAIL : CTL_WARN, "directory", "Make it, and say init again.", "%s: %s", dirs[i], strerror(errno));
		if (i == 0)
			return EX_CANTCREAT;
	}
	return EX_OK;
}

static int
put_all(struct init *t, const struct init_file *files, size_t n)
{
	int status;

	if (anything_there(t, files, n))
		return EX_CANTCREAT;
	if ((status = make_directories(t)) != EX_OK)
		return status;
	for (size_t i = 0; i < n; i++) {
		int error = files[i].to != NULL ? put_link(&files[i], t->force) : put(&files[i], t->force);

		if (error != 0) {
			ctl_step(&t->steps, CTL_FAIL, "file", NULL, "%s: %s", files[i].path, strerror(error));
			return error == EEXIST ? EX_CANTCREAT : error == EACCES || error == EPERM ? EX_NOPERM : EX_IOERR;
		}
		ctl_step(&t->steps, CTL_OK, "file", NULL, "%s%s%s", files[i].path, files[i].to != NULL ? " -> " : "",
		    files[i].to != NULL ? files[i].to : "");
	}
	return EX_OK;
}

/* ---- what comes next ---- */

static void
tell_next(struct init *t)
{
	static const struct {
		unsigned	 roles;
		const char	*command, *why;
	} next[] = {
		{ INIT_EDGE | INIT_DIRECTOR, "sallyportctl check", "says what is missing yet" },
		{ INIT_EDGE, "sallyportctl dns", "prints the records to publish" },
		{ INIT_DIRECTOR, "sallyportctl user add USER@DOMAIN --pool POOL", "makes an account" },
		{ INIT_EDGE, "systemctl enable --now sallyport-edge", "starts it" },
		{ INIT_DIRECTOR, "systemctl enable --now sallyport-director", "starts it" },
	};

	for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++)
		if (next[i].roles & t->role)
			ctl_step(&t->steps, CTL_OK, "next", NULL, "%s   %s", next[i].command, next[i].why);
}

/* What is written is looked at at once, by whom it is for. */
static int
check(struct init *t, const char *path)
{
	char word[] = "check", kind[16], file[PATH_MAX];
	char *args[] = { word, kind, file, NULL };
	int status;

	if (t->json)
		return EX_OK;
	snprintf(kind, sizeof(kind), "--%s", t->role == INIT_EDGE ? "edge" : "director");
	snprintf(file, sizeof(file), "%s", path);
	fflush(stdout);
	status = ctl_check(3, args);
	if (status == EX_CONFIG)
		fputs("This is missing yet; \"sallyportctl check\" looks again.\n", stdout);
	return status == EX_UNAVAILABLE ? EX_OK : status;
}

static int
write_files(struct init *t)
{
	struct init_file files[3];
	size_t n = 0;
	int status;

	memset(files, 0, sizeof(files));
	if (t->role == INIT_EDGE) {
		compose(t, &files[n++], "edge.conf", 0644, init_edge_conf);
		if (has_place_for_policy(t)) {
			compose(t, &files[n++], POLICY_PLACE, 0644, init_policy_conf);
			snprintf(files[n].path, sizeof(files[n].path), "%s/policy.conf", t->dir);
			files[n++].to = POLICY_PLACE;
		} else {
			compose(t, &files[n++], "policy.conf", 0644, init_policy_conf);
		}
	} else {
		compose(t, &files[n++], "director.conf", 0600, init_director_conf);
	}
	if (t->dry_run) {
		for (size_t i = 0; i < n; i++)
			printf("%s# %s%s%s\n%s", i != 0 ? "\n" : "", files[i].path, files[i].to != NULL ? " -> " : "",
			    files[i].to != NULL ? files[i].to : "", files[i].to != NULL ? "" : files[i].text);
		status = ctl_finish(EX_OK);
	} else {
		t->steps.json = t->json;
		if ((status = put_all(t, files, n)) == EX_OK) {
			tell_next(t);
			status = check(t, files[0].path);
		}
		if (t->json)
			printf("%s\n],\"cut\":false,\"status\":%d,\"message\":null}\n", t->steps.begun ? "" : "{\"records\":[", status);
		status = ctl_finish(status);
	}
	for (size_t i = 0; i < n; i++)
		free(files[i].text);
	return status;
}

/* -1: go on. */
static int
read_options(struct init *t, int argc, char **argv)
{
	static const struct option others[] = {
		{ "role", required_argument, NULL, OPT_ROLE }, { "dir", required_argument, NULL, OPT_DIR },
		{ "dry-run", no_argument, NULL, OPT_DRY }, { "force", no_argument, NULL, OPT_FORCE },
		{ "json", no_argument, NULL, OPT_JSON }, { "help", no_argument, NULL, OPT_HELP }
	};
	struct option longs[INIT_NANSWERS + sizeof(others) / sizeof(others[0]) + 1];
	const char *wrong;
	int c;

	memset(longs, 0, sizeof(longs));
	for (int i = 0; i < INIT_NANSWERS; i++)
		longs[i] = (struct option){ questions[i].option, required_argument, NULL, i };
	memcpy(longs + INIT_NANSWERS, others, sizeof(others));
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (c == OPT_HELP || c == 'h')
			return usage(stdout);
		if (c == OPT_ROLE && strcmp(optarg, "edge") == 0)
			t->role = INIT_EDGE;
		else if (c == OPT_ROLE && strcmp(optarg, "director") == 0)
			t->role = INIT_DIRECTOR;
		else if (c == OPT_ROLE)
			return ctl_misused("init: --role is edge or director, not", optarg);
		else if (c == OPT_DIR && is_path(optarg) && strlen(optarg) < PATH_MAX - 32)
			t->dir = optarg;
		else if (c == OPT_DIR)
			return ctl_misused("init: --dir expects a whole path, not", optarg);
		else if (c == OPT_DRY)
			t->dry_run = true;
		else if (c == OPT_FORCE)
			t->force = true;
		else if (c == OPT_JSON)
			t->json = true;
		else if (c < 0 || c >= INIT_NANSWERS)
			return ctl_misused(c == ':' ? "init: a value is missing for" : "init does not know", argv[optind - 1]);
		else if ((wrong = take(t, (size_t)c, optarg)) != NULL) {
			fprintf(stderr, "sallyportctl: init: --%s expects %s, not '%s'\n", questions[c].option, wrong, optarg);
			return EX_DATAERR;
		}
	}
	if (t->dry_run && t->json)
		return ctl_misused("init: --dry-run prints files, not JSON", NULL);
	return optind < argc ? ctl_misused("init takes no arguments, but got", argv[optind]) : -1;
}

int
ctl_init(int argc, char **argv)
{
	struct init t = { .role = INIT_EDGE, .dir = SYSCONFDIR };
	int status;

	hash_seed();
	if ((status = read_options(&t, argc, argv)) == -1 && (status = complete(&t)) == EX_OK)
		status = write_files(&t);
	for (size_t i = 0; i < INIT_NANSWERS; i++) {
		while (t.answers[i].n > 0)
			free(t.answers[i].v[--t.answers[i].n]);
		free(t.answers[i].v);
	}
	return status;
}
