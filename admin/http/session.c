/*
 * admin/http/session.c - see session.h.
 */
#include "admin/http/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "net/stats.h"

struct sessions {
	struct session_limits	 limits;
	struct session		*v;
};

struct sessions *
sessions_new(const struct session_limits *limits)
{
	struct sessions *ss = xcalloc(1, sizeof(*ss));

	ss->limits = *limits;
	ss->v = xcalloc(limits->sessions, sizeof(*ss->v));
	return ss;
}

void
sessions_free(struct sessions *ss)
{
	if (ss == NULL)
		return;
	mem_wipe_free(ss->v, ss->limits.sessions * sizeof(*ss->v));
	free(ss);
}

void
session_random(char out[SESSION_TEXT])
{
	unsigned char bytes[(SESSION_TEXT - 1) / 2];

	mem_random(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	mem_wipe(bytes, sizeof(bytes));
}

static bool
is_alive(const struct sessions *ss, const struct session *s, uint64_t now)
{
	return s->id[0] != '\0' && now - s->used_ms < ss->limits.idle_ms && now - s->since_ms < ss->limits.absolute_ms;
}

static void
end(struct session *s)
{
	mem_wipe(s, sizeof(*s));
}

/* A place for a session of that account: a free or expired one, else the one that was idle for longest. */
static struct session *
place_for(struct sessions *ss, const char *account, uint64_t now)
{
	struct session *oldest = &ss->v[0], *own = NULL, *vacant = NULL;
	unsigned owned = 0;

	for (unsigned i = 0; i < ss->limits.sessions; i++) {
		struct session *s = &ss->v[i];

		if (!is_alive(ss, s, now)) {
			vacant = s;
			continue;
		}
		if (s->used_ms < oldest->used_ms)
			oldest = s;
		if (strcmp(s->account, account) != 0)
			continue;
		owned++;
		if (own == NULL || s->used_ms < own->used_ms)
			own = s;
	}
	/* nobody drives others out by logging in again and again */
	if (own != NULL && owned >= ss->limits.per_account) {
		stats_limit_hit(PAGE_SESSIONS_ACCOUNT);
		return own;
	}
	if (vacant == NULL)
		stats_limit_hit(PAGE_SESSIONS);
	return vacant != NULL ? vacant : oldest;
}

const struct session *
sessions_begin(struct sessions *ss, const struct account *a, const char *source, uint64_t now)
{
	struct session *s = place_for(ss, a->name, now);

	end(s);
	session_random(s->id);
	session_random(s->csrf);
	memcpy(s->account, a->name, sizeof(s->account));
	memcpy(s->key, a->key, sizeof(s->key));
	snprintf(s->source, sizeof(s->source), "%s", source);
	s->since_ms = s->used_ms = now;
	return s;
}

static struct session *
find(struct sessions *ss, struct span id)
{
	if (id.n != SESSION_TEXT - 1)
		return NULL;
	for (unsigned i = 0; i < ss->limits.sessions; i++)
		if (ss->v[i].id[0] != '\0' && mem_equal_secret(ss->v[i].id, id.p, id.n))
			return &ss->v[i];
	return NULL;
}

const struct session *
sessions_find(struct sessions *ss, struct span id, const struct accounts *as, uint64_t now)
{
	struct session *s = find(ss, id);
	const struct account *a;

	if (s == NULL)
		return NULL;
	a = accounts_find(as, span_str(s->account));
	if (!is_alive(ss, s, now) || a == NULL || !mem_equal_secret(a->key, s->key, sizeof(s->key))) {
		end(s);
		return NULL;
	}
	s->used_ms = now;
	return s;
}

void
sessions_end(struct sessions *ss, struct span id)
{
	struct session *s = find(ss, id);

	if (s != NULL)
		end(s);
}

void
sessions_end_account(struct sessions *ss, struct span account)
{
	for (unsigned i = 0; i < ss->limits.sessions; i++)
		if (ss->v[i].id[0] != '\0' && span_is(account, ss->v[i].account))
			end(&ss->v[i]);
}

size_t
sessions_count(const struct sessions *ss, uint64_t now)
{
	size_t n = 0;

	for (unsigned i = 0; i < ss->limits.sessions; i++)
		n += is_alive(ss, &ss->v[i], now);
	return n;
}
