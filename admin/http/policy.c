/*
 * admin/http/policy.c - see policy.h.
 */
#include "admin/http/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/policyedit.h"
#include "admin/policyfile.h"
#include "common/conf.h"
#include "common/err.h"
#include "policy/rules.h"

int
policy_begin(struct policy_use *u, struct site *s, const struct http_request *q, struct span note)
{
	const char *slash = strrchr(s->conf->policy, '/');

	memset(u, 0, sizeof(*u));
	u->errs = conf_errors_new();
	u->tell = (struct policytell){ .socket = s->conf->edge_socket, .policy = s->conf->policy };
	snprintf(u->note, sizeof(u->note), "%.*s", SPAN_FMT(note));
	snprintf(u->dir, sizeof(u->dir), "%.*s", slash != NULL ? (int)(slash - s->conf->policy) : 1,
	    slash != NULL ? s->conf->policy : ".");
	u->who = (struct policystore_who){ .author = q->account, .note = u->note,
	    .apply = s->conf->edge_socket[0] != '\0' ? policytell_apply : NULL, .arg = &u->tell,
	    .claim = s->conf->edge_socket[0] != '\0' ? policytell_claim : NULL };
	return policystore_open(&u->store, s->conf->store, s->conf->policy, u->errs);
}

int
policy_begin_current(struct policy_use *u, struct site *s, const struct http_request *q, struct policystore_text *now)
{
	int err = policy_begin(u, s, q, SPAN_NONE);

	return err == SP_OK ? policystore_current(u->store, now, u->errs) : err;
}

void
policy_end(struct policy_use *u)
{
	policystore_close(u->store);
	conf_errors_free(u->errs);
}

int
policy_shadow(struct policy_use *u, const char *candidate)
{
	struct policystore_text t = { .text = NULL };
	int err = policystore_candidate(u->store, candidate, &t, u->errs);

	if (err == SP_OK && policy_mistakes(u, "candidate", policystore_span(&t)) != 0)
		err = SP_EINVAL;
	if (err == SP_OK &&
	    (err = policytell_shadow(&u->tell, candidate, &t.change, policystore_span(&t), u->errs)) == SP_ENOENT)
		err = SP_ECLOSED;	/* no edge, not: no candidate */
	policystore_text_fini(&t);
	return err;
}

size_t
policy_mistakes(struct policy_use *u, const char *name, struct span text)
{
	size_t before = conf_errors_count(u->errs);

	policy_rules_unref(policyfile_load_text(name, text, u->dir, u->errs));
	return conf_errors_count(u->errs) - before;
}

bool
policy_error_split(const char *error, unsigned *line, const char **what)
{
	for (const char *p = strchr(error, ':'); p != NULL; p = strchr(p + 1, ':')) {
		uint64_t n;
		size_t digits = strspn(p + 1, "0123456789");

		if (digits != 0 && p[1 + digits] == ':' && span_uint(span_of(p + 1, digits), 100000000, &n)) {
			*line = (unsigned)n;
			*what = p + 1 + digits + 1 + (p[2 + digits] == ' ');
			return true;
		}
	}
	return false;
}

int
policy_status(int err, const char **sentence)
{
	switch (err) {
	case SP_EINVAL:
		*sentence = "The policy has mistakes, or a value does not do.";
		return 422;
	case SP_ENOENT:
		*sentence = "There is no such version, candidate or entry.";
		return 404;
	case SP_EEXIST:
		*sentence = "It is so already; nothing was changed.";
		return 409;
	case SP_EAGAIN:
		*sentence = "Somebody else has changed it meanwhile; nothing was changed.";
		return 409;
	case SP_ECLOSED:
		*sentence = "The running edge did not take it; the policy that was in force still is.";
		return 502;
	case SP_ETIME:
		*sentence = "Somebody else is changing the policy at this moment. Try again.";
		return 503;
	case SP_ESYNTAX:
		*sentence = "The store of policies is damaged.";
		return 500;
	case SP_ELIMIT:
		*sentence = "The policy is too large.";
		return 413;
	default:
		*sentence = "The store of policies cannot be read or written.";
		return 500;
	}
}

void
policy_tag(struct span text, char out[POLICY_HASH_TEXT + 3])
{
	char hash[POLICY_HASH_TEXT];

	policy_hash(text, hash);
	snprintf(out, POLICY_HASH_TEXT + 3, "\"%s\"", hash);
}

bool
policy_note_ok(struct span s)
{
	return s.n <= POLICY_CHANGE_NOTE && policy_change_note_ok(s);
}

struct walk {
	const char	*option;
	void		(*each)(void *, const char *, const char *);
	void		*arg;
};

static void
pick(void *arg, const char *list, const char *group, const char *option, bool element, const char *value)
{
	const struct walk *w = arg;

	(void)list;
	(void)element;
	if (strcmp(option, w->option) == 0)
		w->each(w->arg, group, value);
}

void
policy_each(struct policy_use *u, struct span text, const char *option, void (*each)(void *arg, const char *group,
    const char *value), void *arg)
{
	struct walk w = { option, each, arg };
	struct conf_errors *errs = conf_errors_new();

	(void)policyfile_walk("policy", text, u->dir, pick, &w, errs);	/* what cannot be read has nothing to tell */
	conf_errors_free(errs);
}

/* ---- changes in one step ---- */

struct amend {
	const struct policy_use	*use;
	enum policy_amendment	 kind;
	const char		*what;
};

static int
edit(void *arg, struct span text, char **out, size_t *n, struct conf_errors *errs)
{
	const struct amend *a = arg;
	struct policyedit e = { .name = policystore_file(a->use->store), .dir = a->use->dir, .text = text };

	switch (a->kind) {
	case AMEND_BLOCK:
		return policyedit_block(&e, a->what, out, n, errs);
	case AMEND_UNBLOCK:
		return policyedit_unblock(&e, a->what, out, n, errs);
	case AMEND_PAUSE:
		return policyedit_pause(&e, a->what, true, out, n, errs);
	case AMEND_RESUME:
		return policyedit_pause(&e, a->what, false, out, n, errs);
	}
	return SP_EINVAL;
}

int
policy_amend(struct policy_use *u, enum policy_amendment kind, const char *what, uint64_t *version)
{
	static const enum policy_action actions[] = { POLICY_BLOCK, POLICY_UNBLOCK, POLICY_PAUSE, POLICY_RESUME };
	struct amend a = { u, kind, what };

	return policystore_amend(u->store, actions[kind], edit, &a, &u->who, version, u->errs);
}
