/*
 * admin/renew.c - see renew.h.
 *
 * Files are looked at by stat() and not by inotify: what is renewed is often a
 * symbolic link that leads elsewhere then, in a directory that was replaced.
 */
#include "admin/renew.h"

#include <sys/stat.h>

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"

#define LABEL_MAX	48

struct identity {
	char			 label[LABEL_MAX];
	char			*path[4];	/* certificate, key, trust, crl */
	bool			 dials;
	struct net_keyd		*keyd;
	struct net_tls_material	*material;	/* NULL: no such identity */
	uint64_t		 loaded;	/* the files' stamp when they were loaded last, good or bad; 0: not known */
	uint64_t		 seen;		/* at the last look */
};

struct renew {
	size_t		 n;
	struct identity	 v[];
};

struct renew *
renew_new(size_t n)
{
	struct renew *r = xcalloc(1, sizeof(*r) + n * sizeof(r->v[0]));

	r->n = n;
	return r;
}

static void
forget(struct identity *id)
{
	for (size_t k = 0; k < 4; k++)
		free(id->path[k]);
	net_tls_material_unref(id->material);
	*id = (struct identity){ .material = NULL };
}

void
renew_free(struct renew *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++)
		forget(&r->v[i]);
	free(r);
}

static char *
copy(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

static uint64_t
stamp_of(uint64_t h, const struct stat *st)
{
	h = hash_mix(h, (uint64_t)st->st_dev ^ (uint64_t)st->st_ino << 16);
	h = hash_mix(h, (uint64_t)st->st_size);
	h = hash_mix(h, (uint64_t)st->st_mtim.tv_sec << 30 ^ (uint64_t)st->st_mtim.tv_nsec);
	return hash_mix(h, (uint64_t)st->st_ctim.tv_sec << 30 ^ (uint64_t)st->st_ctim.tv_nsec);
}

/* A directory's entries come in no order, so theirs are added up. */
static uint64_t
stamp_directory(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	struct stat st;
	uint64_t sum = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			sum += stamp_of(hash_stable(span_str(e->d_name)), &st);
	if (d != NULL)
		closedir(d);
	return sum;
}

/* Never 0. A file that is not there has a stamp, too. */
static uint64_t
stamp(const struct identity *id)
{
	uint64_t h = 1;
	struct stat st;

	for (size_t k = 0; k < 4; k++) {
		if (id->path[k] == NULL || stat(id->path[k], &st) != 0)
			h = hash_mix(h, k);
		else if (S_ISDIR(st.st_mode))
			h = hash_mix(stamp_of(h, &st), stamp_directory(id->path[k]));
		else
			h = stamp_of(h, &st);
	}
	return h | 1;
}

void
renew_watch(struct renew *r, size_t i, const char *label, const struct net_tls_files *files, struct net_tls_material *m)
{
	struct identity *id = &r->v[i];
	struct net_tls_material *keep = m != NULL && files != NULL ? net_tls_material_ref(m) : NULL;

	forget(id);
	if (keep == NULL)
		return;
	id->material = keep;
	strncpy(id->label, label, sizeof(id->label) - 1);
	id->path[0] = copy(files->certificate);
	id->path[1] = copy(files->key);
	id->path[2] = copy(files->trust);
	id->path[3] = copy(files->crl);
	id->dials = files->dials;
	id->keyd = files->keyd;
	/* not looked at yet: the account that we are by now may not be able to read what has not changed */
	id->loaded = id->seen = stamp(id);
}

static void
report(void *arg, bool fatal, const char *text)
{
	const struct identity *id = arg;

	log_say(fatal ? SP_LOG_ERROR : SP_LOG_WARNING, "certificate", "%s: %s", id->label, text);
}

/* The new material, if there is any. */
static struct net_tls_material *
load(struct identity *id)
{
	struct net_tls_files files = { id->path[0], id->path[1], id->path[2], id->path[3], id->dials, id->keyd };
	unsigned char was[32], now[32];
	struct net_tls_material *m;

	if (net_tls_material_load(&m, &files, report, id) != SP_OK) {
		log_say(SP_LOG_ERROR, "certificate-kept", "%s: its files have changed and do not do; "
		    "what was loaded before stays in force", id->label);
		stats_count(RENEWALS, STATS_FAILED, 0);
		return NULL;
	}
	net_tls_material_digest(id->material, was);
	net_tls_material_digest(m, now);
	if (memcmp(was, now, sizeof(was)) == 0) {
		net_tls_material_unref(m);
		return NULL;
	}
	stats_count(RENEWALS, STATS_OK, 0);
	log_say(SP_LOG_NOTICE, "certificate-renewed", "%s: its files have changed and were loaded", id->label);
	return m;
}

unsigned
renew_look(struct renew *r, struct net_tls_material **out)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct identity *id = &r->v[i];
		uint64_t now;

		out[i] = NULL;
		if (id->material == NULL)
			continue;
		now = stamp(id);
		if (now != id->loaded && now == id->seen) {
			id->loaded = now;
			if ((out[i] = load(id)) != NULL) {
				net_tls_material_unref(id->material);
				id->material = net_tls_material_ref(out[i]);
				n++;
			}
		}
		id->seen = now;
	}
	return n;
}
