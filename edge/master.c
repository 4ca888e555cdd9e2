/*
 * edge/master.c - what the edge's master does: it opens the doors, reads files, and answers the proxy.
 */
#include "edge/master.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/daemon.h"
#include "admin/stage.h"
#include "common/chan.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/sharedin.h"

#define LIST_MAX	(4u << 20)	/* bytes of the list of certificates that peers have shown */
#define STOP_MS		30000	/* longer than it may drain, and then it is killed */

/* ---- doors ---- */

static int
open_doors(struct edge *e)
{
	int held[EDGE_DOORS_MAX * NET_WORKERS_MAX];
	size_t nheld = daemon_sockets(held, sizeof(held) / sizeof(held[0]));

	for (size_t i = 0; i < EDGE_FACES(e->config); i++) {
		const struct edge_door_conf *d = i == EDGE_INNER(e->config) ? &e->config->inner : edge_outer(e->config, i);

		if (stage_open_door(&d->addr, d->listen, e->nworkers, e->fds[i], held, nheld) != SP_OK)
			return EX_OSERR;
		log_say(SP_LOG_NOTICE, "door", "%s is open as %s, %s", d->listen, d->name,
		    i == EDGE_INNER(e->config) ? "inner side" : d->users && d->partners ? "for users and partners" :
		    d->users ? "for users" : "for partners");
	}
	stage_close_held(held, nheld);
	return 0;
}

static void
close_doors(void *owner)
{
	struct edge *e = owner;

	stage_close_doors(&e->fds[0][0], sizeof(e->fds) / sizeof(int));
}

/* ---- what is in force ---- */

/* From now on changes of the files are noticed, and the keys of no others are kept. */
static void
watch(struct edge *e, const struct edge_config *c)
{
	for (size_t i = 0; i < EDGE_IDENTITIES; i++) {
		struct net_tls_files files;
		char label[48] = "";
		bool there = edge_identity_files(c, i, &files, label);

		files.keyd = e->keyd;
		renew_watch(e->renew, i, label, there ? &files : NULL, e->material[i]);
	}
	stage_keep_keys(e->keyd, e->material, EDGE_IDENTITIES);
}

/* What was loaded is in force from now on, here. */
static void
take(struct edge *e, struct edge_loaded *l)
{
	struct policy_rules *rules = e->rules;

	e->rules = l->rules;
	l->rules = rules;
	for (size_t i = 0; i < EDGE_IDENTITIES; i++) {
		struct net_tls_material *m = e->material[i];

		e->material[i] = l->material[i];
		l->material[i] = m;
	}
	memcpy(e->obeyed.sha256, l->sha256, sizeof(l->sha256));
	/* what a proxy that takes the place of one that crashed begins with */
	e->config->log_refusals = l->config->log_refusals;
	e->config->log_window = l->config->log_window;
	stage_turn_flow_keys(&e->keys, &e->keys_read, l->keys);
	watch(e, l->config);
	log_set_level((enum log_level)(l->config->log_level + SP_LOG_ERROR));
}

/* Read everything. False: errs says why, and what is in force stays. */
static bool
load(struct edge *e, struct edge_loaded *l, struct conf_errors *errs)
{
	size_t before = conf_errors_count(errs);
	bool good = edge_load(e, e->config->file, l, errs, false);
	const char *option;

	l->keys = stage_read_flow_keys(e->config->flow_keys, errs);
	good = good && conf_errors_count(errs) == before;

	if (good && l->config->outer.n != e->config->outer.n) {
		conf_error(errs, e->config->file, 0, "doors were added or taken away, which needs a restart");
		good = false;
	}
	if (good && (option = edge_config_differs(e->config, l->config)) != NULL)
		log_say(SP_LOG_WARNING, "needs-restart", "%s has changed, which has no effect until a restart", option);
	return good;
}

/* ---- answers ---- */

static void
put_head(const struct edge_loaded *l, FILE *f)
{
	struct edge_loaded_head head;

	memset(&head, 0, sizeof(head));
	head.log_level = l->config->log_level;
	head.log_refusals = l->config->log_refusals;
	head.log_window = l->config->log_window;
	memcpy(head.sha256, l->sha256, sizeof(head.sha256));
	fwrite(&head, sizeof(head), 1, f);
}

static void
answer_load(void *owner, int fd, struct master_answer *a)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge *e = owner;
	struct edge_loaded l;

	(void)fd;
	if ((a->ok = load(e, &l, errs))) {
		put_head(&l, a->file);
		fwrite(l.rows, 1, l.rows_n, a->file);
		stage_pack(l.material, EDGE_IDENTITIES, a->file);
		take(e, &l);
	} else {
		for (size_t i = 0; i < conf_errors_count(errs); i++)
			fprintf(a->file, "%s%c", conf_errors_get(errs, i), '\0');
	}
	edge_shared_loaded(e, a->ok);
	edge_loaded_fini(&l);
	conf_errors_free(errs);
}

static void
answer_keys(void *owner, int fd, struct master_answer *a)
{
	const struct edge *e = owner;

	(void)fd;
	stage_put_flow_keys(e->keys, a);
}

static void
answer_list(void *owner, int fd, struct master_answer *a)
{
	struct edge *e = owner;
	const char *path = e->config->peer_certificates, *user = e->config->user;
	const struct passwd *pw = geteuid() == 0 && user != NULL ? getpwnam(user) : NULL;
	size_t n = 0;
	char *list = path != NULL ? chan_file_read(fd, LIST_MAX, &n) : NULL;

	a->ok = list != NULL && seen_store(path, span_of(list, n), pw != NULL ? pw->pw_uid : (uid_t)-1,
	    pw != NULL ? pw->pw_gid : (gid_t)-1) == SP_OK;
	if (!a->ok)
		fprintf(a->file, "%s", list != NULL ? strerror(errno) : "there is no list");
	free(list);
}

/* After a crash: what the new proxy begins with. */
static bool
refresh(void *owner)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge *e = owner;
	struct edge_loaded l;

	if (load(e, &l, errs))
		take(e, &l);
	else
		log_say(SP_LOG_ERROR, "reload-refused", "%s; what was in force stays", conf_errors_count(errs) > 0 ?
		    conf_errors_get(errs, 0) : "the files cannot be read");
	edge_loaded_fini(&l);
	conf_errors_free(errs);
	return true;	/* with whatever is in force */
}

static const struct master_question questions[] = {
	{ EDGE_ASK_LOAD, false, answer_load },
	{ EDGE_ASK_LIST, true, answer_list },
	{ EDGE_ASK_SHARED, true, edge_answer_shared },
	{ EDGE_ASK_CLAIM, true, edge_answer_claim },
	{ EDGE_ASK_CLAIMED, true, edge_answer_claimed },
	{ EDGE_ASK_KEYS, false, answer_keys },
	{ 0, false, NULL }
};

static int
proxy(void *owner, struct backstage *b)
{
	struct edge *e = owner;
	int rc;

	e->stage = b;
	e->keyd = NULL;		/* the master's, and not to be reached from here */
	renew_free(e->renew);
	e->renew = NULL;
	edge_shared_stop(e);	/* here; its process stays the master's */
	rc = edge_proxy(e);
	edge_unload(e);
	return rc;
}

int
edge_master(struct edge *e)
{
	struct master_spec spec = {
		.owner = e, .file = e->config->file, .keyd = e->keyd, .nworkers = e->nworkers,
		.questions = questions, .doors = &e->fds[0][0], .ndoors = sizeof(e->fds) / sizeof(int), .material = e->material,
		.nmaterial = EDGE_IDENTITIES, .session_file = e->config->session_file, .session_max = (uint64_t)e->config->session_size << 20, .user = e->config->user, .proxy = proxy,
		.refresh = refresh, .close_doors = close_doors, .stop_ms = STOP_MS + (unsigned)e->config->drain * 1000,
		.hung_ms = (unsigned)e->config->hung * 1000
	};
	int rc;

	memset(e->fds, -1, sizeof(e->fds));
	proc_harden();
	daemon_signals();
	if ((rc = edge_load_flow_keys(e)) != 0 || (rc = open_doors(e)) != 0)
		return rc;
	/* the program before this one has one still, and so nobody else would get it */
	if (getenv("SALLYPORT_BEFORE") != NULL && e->config->control_socket != NULL && *e->config->control_socket != '\0')
		(void)unlink(e->config->control_socket);
	spec.renew = e->renew = renew_new(EDGE_IDENTITIES);
	watch(e, e->config);
	net_keyd_log(e->keyd, log_descriptor());
	if (!edge_shared_start(e))
		return EX_CONFIG;
	rc = master_run(&spec);
	close_doors(e);
	if (!net_keyd_stop(e->keyd) && rc == 0)
		rc = EX_SOFTWARE;
	e->keyd = NULL;
	edge_shared_stop(e);
	return rc;
}
