/*
 * edge/load.c - everything that comes out of files: for the master, and for -n.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/proc.h"
#include "edge/edge.h"
#include "edge/short.h"
#include "sip/flowfile.h"

static bool
is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

bool
edge_identity_files(const struct edge_config *c, size_t i, struct net_tls_files *files, char label[48])
{
	size_t door = i % EDGE_DIAL(0);
	bool dial = i >= EDGE_DIAL(0);
	const struct edge_door_conf *d;

	if (door > EDGE_INNER(c) || door > EDGE_DOORS_MAX)
		return false;
	d = door == EDGE_INNER(c) ? &c->inner : edge_outer(c, door);
	*files = (struct net_tls_files){ dial ? d->dial_certificate : d->certificate, dial ? d->dial_key : d->key,
	    d->trust, d->crl, dial, NULL };
	if (door == EDGE_INNER(c))
		snprintf(label, 48, "inner%s", dial ? " (dial_certificate)" : "");
	else
		snprintf(label, 48, "outer[%zu]%s", door, dial ? " (dial_certificate)" : "");
	return is_given(files->certificate) && is_given(files->key);
}

/* Where what is said about certificates goes. */
struct material_report {
	struct conf_errors	*errs;
	const struct edge_config *config;
	bool			 check;		/* -n: a person reads it now */
	size_t			 door;
	char			 label[48];
};

static void
report_material(void *arg, bool fatal, const char *text)
{
	const struct material_report *r = arg;
	const struct edge_config *c = r->config;
	int line = r->door == EDGE_INNER(c) ? conf_line_of(r->errs, "inner.certificate") : c->outer.line[r->door];

	if (fatal)
		conf_error(r->errs, c->file, line, "%s: %s", r->label, text);
	else if (r->check)
		fprintf(stderr, "%s:%d: %s: warning: %s\n", c->file, line, r->label, text);
	else
		log_say(SP_LOG_WARNING, "certificate", "%s: %s", r->label, text);
}

/* Every identity of c that is configured; what is wrong with one is added to errs. */
static void
load_material(const struct edge_config *c, struct net_keyd *keyd, struct net_tls_material *out[EDGE_IDENTITIES],
    struct conf_errors *errs, bool check)
{
	struct material_report r = { .errs = errs, .config = c, .check = check };

	memset(out, 0, EDGE_IDENTITIES * sizeof(out[0]));
	for (size_t i = 0; i < EDGE_IDENTITIES; i++) {
		const struct edge_door_conf *d;
		struct net_tls_files files;
		char text[512];

		if (!edge_identity_files(c, i, &files, r.label))
			continue;
		files.keyd = keyd;
		r.door = i % EDGE_DIAL(0);
		d = r.door == EDGE_INNER(c) ? &c->inner : edge_outer(c, r.door);
		if (net_tls_material_load(&out[i], &files, report_material, &r) != SP_OK)
			continue;
		if (i < EDGE_DIAL(0) && is_given(d->name) && !net_tls_material_proves(out[i], d->name)) {
			snprintf(text, sizeof(text), "%s does not hold the name %s, so whoever verifies it will not connect",
			    d->certificate, d->name);
			report_material(&r, false, text);
		}
	}
}

void
edge_unref_material(struct net_tls_material *m[EDGE_IDENTITIES])
{
	for (size_t i = 0; i < EDGE_IDENTITIES; i++) {
		net_tls_material_unref(m[i]);
		m[i] = NULL;
	}
}

bool
edge_load(struct edge *e, const char *file, struct edge_loaded *l, struct conf_errors *errs, bool check)
{
	size_t before = conf_errors_count(errs);
	struct edge_config *c = edge_config_load(file, errs);
	FILE *rows = NULL;
	int line, err;

	memset(l, 0, sizeof(*l));
	l->config = c;
	if (c == NULL)
		return false;
	if (geteuid() == 0 && is_given(c->user) && !proc_knows_user(c->user))
		conf_error(errs, c->file, conf_line_of(errs, "user"), "user: this machine has no account \"%s\"; "
		    "make it, or name the account that sallyport-edge is to run as", c->user);
	if (geteuid() == 0 && is_given(c->key_user) && !proc_knows_user(c->key_user))
		conf_error(errs, c->file, conf_line_of(errs, "key_user"), "key_user: this machine has no account \"%s\"",
		    c->key_user);
	/* where nothing else is wrong; otherwise nothing comes of it, but that all mistakes are told */
	if (!check && e->keyd == NULL && conf_errors_count(errs) == before)
		e->keyd = net_keyd_start(is_given(c->key_user) ? c->key_user : c->user, c->sandbox, edge_worker_count(c));
	load_material(c, e->keyd, l->material, errs, check);
	conf_errors_sort(errs, before, file);
	if (!check && (rows = open_memstream(&l->rows, &l->rows_n)) == NULL)
		abort();		/* only when out of memory */
	l->rules = edge_short_policy(c, errs, rows, l->sha256);
	if (rows != NULL)
		fclose(rows);
	if (check && is_given(c->flow_keys) && (err = sip_flow_keys_check(c->flow_keys, &line)) != SP_OK)
		conf_error(errs, c->flow_keys, line, "%s", sip_flow_keys_fault(err, line));
	if (l->rules != NULL && !edge_has_inside(c) && !policy_only_relays(l->rules))
		conf_error(errs, c->file, 0, "inner: is missing and has no default: only a clearing house without domains and "
		    "branches of its own (see %s) has no inside", c->policy);
	return conf_errors_count(errs) == before && (check || e->keyd != NULL);
}

void
edge_loaded_fini(struct edge_loaded *l)
{
	edge_unref_material(l->material);
	policy_rules_unref(l->rules);
	sip_flow_keys_unref(l->keys);
	edge_config_free(l->config);
	free(l->rows);
	memset(l, 0, sizeof(*l));
}

unsigned
edge_worker_count(const struct edge_config *c)
{
	long n = c->workers != 0 ? c->workers : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > NET_WORKERS_MAX ? NET_WORKERS_MAX : (unsigned)n;
}

int
edge_load_flow_keys(struct edge *e)
{
	int line, err;

	if (e->config->flow_keys == NULL) {
		e->keys = sip_flow_keys_new();
		return 0;
	}
	if ((err = sip_flow_keys_load(e->config->flow_keys, &e->keys, &line)) == SP_OK)
		return 0;
	if (err == SP_EIO)
		log_say(SP_LOG_ERROR, "flow-keys", "%s: %s", e->config->flow_keys, strerror(errno));
	else if (line == 0)
		log_say(SP_LOG_ERROR, "flow-keys", "%s: others may read it; expects mode 0600", e->config->flow_keys);
	else
		log_say(SP_LOG_ERROR, "flow-keys", "%s:%d: expects 64 hex digits", e->config->flow_keys, line);
	return EX_CONFIG;
}
