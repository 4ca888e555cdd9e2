/*
 * admin/ctl_portable.c - sallyportctl export: a configuration as one file; see portable.h for its form.
 */
#include "admin/ctl_portable.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_putfiles.h"
#include "admin/policyfile.h"
#include "admin/portable.h"
#include "common/err.h"
#include "common/mem.h"
#include "policy/rules.h"

static const char *const defaults[PORTABLE_NDAEMONS] = { SYSCONFDIR "/edge.conf", SYSCONFDIR "/director.conf" };

/* ---- files ---- */

int
ctl_read_file(const char *file, size_t max, char **out, size_t *n, struct conf_errors *errs)
{
	bool own = strcmp(file, "-") != 0;
	FILE *f = own ? fopen(file, "re") : stdin;
	struct stat st;
	size_t room = 65536, got;
	int err = SP_OK;

	*out = NULL;
	*n = 0;
	if (f == NULL || (own && fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode) && (errno = EISDIR) != 0)) {
		err = errno == ENOENT ? SP_ENOENT : SP_EIO;
		conf_error(errs, file, 0, "cannot be read: %s", strerror(errno));
		if (f != NULL)
			fclose(f);
		return err;
	}
	*out = xmalloc(room + 1);
	while ((got = fread(*out + *n, 1, room - *n, f)) > 0)
		if ((*n += got) == room && room <= max)
			*out = xrealloc(*out, (room *= 2) + 1);
	(*out)[*n] = '\0';
	if (ferror(f)) {
		conf_error(errs, file, 0, "cannot be read: %s", strerror(errno));
		err = SP_EIO;
	} else if (*n > max) {
		conf_error(errs, file, 0, "has more than %zu bytes", max);
		err = SP_ELIMIT;
	}
	if (own)
		fclose(f);
	if (err != SP_OK) {
		free(*out);
		*out = NULL;
	}
	return err;
}

char *
ctl_dir_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash != NULL ? xmemdup(file, slash == file ? 1 : (size_t)(slash - file)) : xstrdup(".");
}

int
ctl_read_flat(const char *file, char **out, size_t *n, struct conf_errors *errs)
{
	char *text, *dir;
	size_t k;
	int err = ctl_read_file(file, POLICYSTORE_TEXT_MAX, &text, &k, errs);

	*out = NULL;
	if (err != SP_OK)
		return err;
	dir = ctl_dir_of(file);
	err = conf_flatten(file, span_of(text, k), dir, POLICYSTORE_TEXT_MAX, out, n, errs);
	free(dir);
	mem_wipe_free(text, k);
	return err;
}

const char *
ctl_conf_of(const struct ctl_store *s, enum portable_daemon d)
{
	const char *given = d == PORTABLE_EDGE ? s->edge_conf : s->director_conf;

	return given != NULL ? given : access(defaults[d], F_OK) == 0 ? defaults[d] : NULL;
}

/* What is no file, such as a pipe or /dev/stdout, cannot be replaced by one. */
static int
write_into(const char *path, struct span text, struct conf_errors *errs)
{
	FILE *f = fopen(path, "we");
	bool good = f != NULL && fwrite(text.p, 1, text.n, f) == text.n;

	if (f != NULL && fclose(f) != 0)
		good = false;
	return good ? SP_OK : ctl_failed(errs, path, "cannot be written");
}

int
ctl_write_output(const char *path, struct span text, struct conf_errors *errs)
{
	struct stat st;
	char *file, *tmp;
	int err;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return write_into(path, text, errs);
	if ((file = realpath(path, NULL)) == NULL)
		file = xstrdup(path);	/* it will be there */
	if ((err = ctl_write_beside(file, text, &tmp, errs)) == SP_OK) {
		if (rename(tmp, file) != 0) {
			err = ctl_failed(errs, path, "cannot be written");
			unlink(tmp);
		}
		free(tmp);
	}
	free(file);
	return err;
}

/* ---- export ---- */

static int
collect(struct ctl_store *s, struct portable *p)
{
	struct policy_rules *rules = NULL;
	size_t left_out;
	bool given = strcmp(s->policy, SYSCONFDIR "/policy.conf") != 0;
	int err = SP_OK;

	if (given || access(s->policy, F_OK) == 0)
		err = ctl_read_flat(s->policy, &p->policy, &p->n, s->errs);
	else
		fprintf(stderr, "sallyportctl: there is no %s; only settings are exported\n", s->policy);
	if (err == SP_OK && p->policy != NULL && (rules = policyfile_load_text(s->policy, span_of(p->policy, p->n), NULL, s->errs)) == NULL)
		err = SP_EINVAL;
	policy_rules_unref(rules);
	for (enum portable_daemon d = PORTABLE_EDGE; err == SP_OK && d < PORTABLE_NDAEMONS; d++) {
		const char *file = ctl_conf_of(s, d);
		char *text;
		size_t n;

		if (file == NULL)
			continue;
		if ((err = ctl_read_flat(file, &text, &n, s->errs)) == SP_OK) {
			if ((err = portable_collect(p, d, file, span_of(text, n), &left_out, s->errs)) == SP_OK)
				fprintf(stderr, "sallyportctl: %s: %zu settings belong to this machine and are left out\n", file,
				    left_out);
			mem_wipe_free(text, n);
		}
	}
	return err;
}

static int
write_out(struct ctl_store *s, const struct portable *p)
{
	char *text = NULL;
	size_t n = 0, line;
	FILE *f = open_memstream(&text, &n);
	int err = f != NULL ? portable_write(f, p, &line) : SP_EIO;

	if (f != NULL && fclose(f) != 0)
		err = SP_EIO;
	if (err == SP_ESYNTAX) {
		conf_error(s->errs, s->policy, (int)line, "is not UTF-8, or has a zero byte, and cannot be exported");
		err = SP_EINVAL;
	} else if (err == SP_ELIMIT) {
		conf_error(s->errs, s->output, 0, "would have more than %u bytes, which no import takes", PORTABLE_MAX);
	} else if (err != SP_OK) {
		err = ctl_failed(s->errs, s->output, "cannot be written");
	} else if (s->output == NULL || strcmp(s->output, "-") == 0) {
		fwrite(text, 1, n, stdout);
	} else {
		err = ctl_write_output(s->output, span_of(text, n), s->errs);
	}
	free(text);
	return err;
}

static const char export_usage[] =
    "Usage: sallyportctl export [--output FILE] [OPTION]...\n"
    "Write the policy in force and, of edge.conf and director.conf, what does not belong\n"
    "to this machine as one file, for \"sallyportctl import\". Addresses, host names,\n"
    "paths, users, keys and passwords are left out.\n\n"
    "  --output FILE     write there and not to standard output\n"
    "  --policy FILE     the policy (default " SYSCONFDIR "/policy.conf)\n"
    "  --edge-conf FILE  the edge's configuration\n"
    "                    (default " SYSCONFDIR "/edge.conf, if it is there)\n"
    "  --director-conf FILE\n"
    "                    the Director's (default " SYSCONFDIR "/director.conf,\n"
    "                    if it is there)\n"
    "  --help            this text\n";

int
ctl_export(int argc, char **argv)
{
	struct portable p = { .policy = NULL };
	struct ctl_store s;
	int status = ctl_store_begin(&s, "export", argc, argv, 0), err;

	if (status != EX_OK || s.help) {
		if (s.help)
			fputs(export_usage, stdout);
		err = ctl_store_end(&s, SP_OK, EX_OK);
		return status != EX_OK ? status : err;
	}
	if ((err = collect(&s, &p)) == SP_OK)
		err = write_out(&s, &p);
	portable_fini(&p);
	return ctl_store_end(&s, err, EX_CONFIG);
}
