/*
 * admin/policytell.c - see policytell.h.
 */
#include "admin/policytell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "admin/ctlclient.h"
#include "admin/policystore.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"

#define OBEYED_MS	5000	/* it only has to say a name */

/* The text as a descriptor that can be read from its beginning; -1 with errno. */
static int
descriptor(struct span text)
{
	int fd = memfd_create("policy", MFD_CLOEXEC);

	while (fd >= 0 && text.n > 0) {
		ssize_t done = write(fd, text.p, text.n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			int keep = errno;

			close(fd);
			errno = keep;
			return -1;
		}
		text = span_tail(text, (size_t)done);
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

/* What the edge answers: its records of mistakes, then how it ended. */
static int
hear(struct ctlclient *c, uint64_t *version, struct conf_errors *errs)
{
	struct record r;
	int got;

	while ((got = ctlclient_next(c, &r)) == 1) {
		struct span text = record_get_text(&r, "text");
		char shown[1024];
		struct strbuf sb;
		int64_t number;

		if (span_is(r.kind, "claimed") && version != NULL && (number = record_get_int(&r, "version", 0)) > 0)
			*version = (uint64_t)number;
		strbuf_init(&sb, shown, sizeof(shown));
		for (size_t i = 0; i < text.n; i++) {
			if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
				strbuf_printf(&sb, "\\x%02X", (unsigned)(unsigned char)text.p[i]);
			else
				strbuf_putc(&sb, text.p[i]);
		}
		if (text.n != 0)
			conf_error(errs, NULL, 0, "the edge says: %s", shown);
	}
	if (got == 0 && ctlclient_status(c) == 0)
		return SP_OK;
	if (got == 0)
		conf_error(errs, NULL, 0, "the running edge refuses: %s", ctlclient_why(c));
	else if (got == SP_ETIME)
		conf_error(errs, NULL, 0, "the running edge does not answer");
	else
		conf_error(errs, NULL, 0, "the running edge did not answer as expected: %s", sp_err_name(got));
	return SP_ECLOSED;
}

/* SP_ENOENT: nobody listens there. */
static int
ask(const struct policytell *t, const char *verb, const char *name, const struct policy_change *change, const char *parent,
    struct span text, uint64_t *version, struct conf_errors *errs)
{
	struct ctlclient *c = ctlclient_new();
	char *policy = realpath(t->policy, NULL);
	int fd = -1, err = ctlclient_open(c, t->socket != NULL ? t->socket : POLICYTELL_SOCKET);

	if (err == SP_EIO && (errno == ENOENT || errno == ECONNREFUSED)) {
		err = SP_ENOENT;
	} else if (err != SP_OK || (fd = descriptor(text)) < 0) {
		conf_error(errs, NULL, 0, "%s: the edge cannot be told: %s", t->socket != NULL ? t->socket : POLICYTELL_SOCKET,
		    err == SP_EINVAL ? "not the path of a socket" : strerror(errno));
		err = SP_ECLOSED;
	} else {
		ctlclient_begin(c, verb);
		/* by both of its names, if it is a link: the edge may not look where one leads */
		record_str(ctlclient_args(c), "policy", t->policy);
		record_str(ctlclient_args(c), "real", policy);
		record_str(ctlclient_args(c), "author", change->author);
		record_str(ctlclient_args(c), "sha256", change->sha256);
		record_int(ctlclient_args(c), "version", (int64_t)(change->version != 0 ? change->version : change->parent));
		record_str(ctlclient_args(c), "name", name);
		if (parent != NULL) {
			char line[POLICY_CHANGE_LINE];
			struct strbuf sb;

			strbuf_init(&sb, line, sizeof(line));
			policy_change_format(change, &sb);
			record_text(ctlclient_args(c), "change", strbuf_span_of(&sb));
			record_str(ctlclient_args(c), "parent", parent);
		}
		if ((err = ctlclient_send(c, fd)) == SP_OK)
			err = hear(c, version, errs);
		else
			conf_error(errs, NULL, 0, "the edge cannot be told: %s", sp_err_name(err));
		if (err != SP_OK)
			err = parent != NULL && ctlclient_status(c) == EX_TEMPFAIL ? SP_EAGAIN : SP_ECLOSED;
	}
	if (fd >= 0)
		close(fd);
	free(policy);
	ctlclient_free(c);
	return err;
}

int
policytell_apply(void *tell, const struct policy_change *change, struct span text, struct conf_errors *errs)
{
	struct policytell *t = tell;
	int err = ask(t, "policy-load", NULL, change, NULL, text, NULL, errs);

	t->told = err == SP_OK;
	return err == SP_ENOENT ? SP_OK : err;
}

int
policytell_claim(void *tell, struct policy_change *change, const char *parent, struct span text, struct conf_errors *errs)
{
	struct conf_errors *said = conf_errors_new();
	int err = ask(tell, "policy-claim", NULL, change, parent, text, &change->version, said);

	/* whatever else it has against it, it says when it is to obey, and then nothing of it remains */
	for (size_t i = 0; err == SP_EAGAIN && i < conf_errors_count(said); i++)
		conf_error(errs, NULL, 0, "%s", conf_errors_get(said, i));
	conf_errors_free(said);
	return err == SP_EAGAIN ? SP_EAGAIN : SP_OK;
}

int
policytell_shadow(struct policytell *t, const char *name, const struct policy_change *change, struct span text,
    struct conf_errors *errs)
{
	const char *slash = strrchr(t->policy, '/');
	char *dir = slash != NULL ? xmemdup(t->policy, slash == t->policy ? 1 : (size_t)(slash - t->policy)) : NULL, *whole;
	struct policy_change c = *change;
	size_t n;
	/* the edge reads no files for the sake of a trial */
	int err = conf_flatten("candidate", text, dir, POLICYSTORE_TEXT_MAX, &whole, &n, errs);

	free(dir);
	if (err != SP_OK)
		return SP_ECLOSED;
	policy_hash(span_of(whole, n), c.sha256);
	err = ask(t, "policy-shadow", name, &c, NULL, span_of(whole, n), NULL, errs);
	free(whole);
	t->told = err == SP_OK;
	if (err == SP_ENOENT)
		conf_error(errs, NULL, 0, "no edge is running that could try it");
	return err;
}

/* ---- what it obeys ---- */

static bool
is_same_file(struct span theirs, const char *ours)
{
	char *real = realpath(ours, NULL), *other = span_is(theirs, ours) ? NULL : xmemdup(theirs.p, theirs.n);
	char *other_real = other != NULL ? realpath(other, NULL) : NULL;
	bool same = other == NULL || (real != NULL && (strcmp(other, real) == 0 ||
	    (other_real != NULL && strcmp(other_real, real) == 0)));

	free(other_real);
	free(other);
	free(real);
	return same;
}

int
policytell_ask(const struct policytell *t, struct policytell_obeyed *out)
{
	struct ctlclient *c = ctlclient_new();
	struct record r;
	bool heard = false, ours = false;
	int err;

	memset(out, 0, sizeof(*out));
	ctlclient_set_wait(c, OBEYED_MS);
	err = ctlclient_open(c, t->socket != NULL ? t->socket : POLICYTELL_SOCKET);
	if (err == SP_EIO && (errno == ENOENT || errno == ECONNREFUSED)) {
		err = SP_ENOENT;
	} else if (err == SP_OK) {
		ctlclient_begin(c, "policy-obeyed");
		err = ctlclient_send(c, -1);
		while (err == SP_OK && ctlclient_next(c, &r) == 1) {
			struct span sha256 = record_get_text(&r, "sha256");
			int64_t version = record_get_int(&r, "version", 0);

			if (!span_is(r.kind, "policy"))
				continue;
			heard = true;
			ours = is_same_file(record_get_text(&r, "file"), t->policy);
			snprintf(out->sha256, sizeof(out->sha256), "%.*s", SPAN_FMT(sha256));
			out->version = version > 0 ? (uint64_t)version : 0;
		}
		err = !heard ? SP_ECLOSED : ours ? SP_OK : SP_EINVAL;
	} else {
		err = SP_ECLOSED;
	}
	ctlclient_free(c);
	return err;
}

/* "version 7", or by its hash. */
static void
name_text(struct policystore *ps, const char *sha256, char *out, size_t size)
{
	struct policy_change c;

	if (policystore_which(ps, sha256, &c) == SP_OK)
		snprintf(out, size, "version %" PRIu64, c.version);
	else
		snprintf(out, size, "a text that is no version (SHA-256 %.12s...)", sha256);
}

bool
policytell_differs(struct policystore *ps, const char *sha256, char *out, size_t size)
{
	char hash[POLICY_HASH_TEXT], theirs[96], ours[96];

	if (sha256[0] == '\0' || policystore_hash_file(ps, hash) != SP_OK || strcmp(hash, sha256) == 0)
		return false;
	name_text(ps, sha256, theirs, sizeof(theirs));
	name_text(ps, hash, ours, sizeof(ours));
	snprintf(out, size, "the edge obeys %s, the file says %s: sallyportctl reload", theirs, ours);
	return true;
}
