/*
 * director/directory.c - authd's side of the directory.
 */
#include "director/directory.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/lives.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/slots.h"
#include "common/watch.h"
#include "director/dircache.h"
#include "director/ldapd.h"

#define BUCKETS	1024

struct waiter {
	struct waiter	*next;
	directory_fn	 fn;
	void		*arg;
	uint64_t	 tag;
};

/* An address, or a login, that is being asked for. In order of time, which is that of their deadlines. */
struct wanted {
	struct wanted	*next, **prev, *chain;
	uint64_t	 id, until_ms;
	bool		 sent, login;
	struct waiter	*waiters;
	char		 whom[USER_AOR_MAX];
};

struct directory {
	const struct dirconf	*conf;
	directory_fn		 fn;
	int			 fd;		/* -1: the far end is gone */
	enum authd_type		 begin;		/* the far end is to be told to begin anew; 0: it is not */
	bool			 old;		/* it was told to read its configuration, and has not begun anew since */
	uint64_t		 reads;		/* how often it had read that when it began */
	struct dircache		*known, *nobody, *logins;
	struct slots		*ids;
	struct wanted		*first, **last, *bucket[BUCKETS];
	uint32_t		 nunsent, nwaiters;
	struct watch		 keeper;
};

static void
make_caches(struct directory *d)
{
	d->known = dircache_new((uint32_t)d->conf->entries);
	/* who tries out names fills this one alone */
	d->nobody = dircache_new((uint32_t)d->conf->entries / 4);
	d->logins = dircache_new((uint32_t)d->conf->entries / 4);
}

uint32_t
directory_remembers(const struct directory *d, uint64_t *full)
{
	*full = dircache_full(d->known) + dircache_full(d->nobody) + dircache_full(d->logins);
	return dircache_count(d->known) + dircache_count(d->nobody) + dircache_count(d->logins);
}

static void
free_caches(struct directory *d)
{
	dircache_free(d->known);
	dircache_free(d->nobody);
	dircache_free(d->logins);
}

struct directory *
directory_new(const struct dirconf *conf, int fd, directory_fn fn)
{
	struct directory *d = xcalloc(1, sizeof(*d));

	d->conf = conf;
	d->fn = fn;
	d->fd = fd;
	make_caches(d);
	d->ids = slots_new(DIRECTORY_QUESTIONS_MAX);
	d->last = &d->first;
	return d;
}

static struct wanted **
bucket_of(struct directory *d, struct span whom)
{
	return &d->bucket[hash_nocase(whom) % BUCKETS];
}

/* Out of every table; who waits is the caller's. */
static void
take_out(struct directory *d, struct wanted *w)
{
	struct wanted **at = bucket_of(d, span_str(w->whom));

	while (*at != w)
		at = &(*at)->chain;
	*at = w->chain;
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		d->last = w->prev;
	slots_remove(d->ids, w->id);
	if (!w->sent)
		d->nunsent--;
}

static void
free_waiters(struct directory *d, struct waiter *v)
{
	while (v != NULL) {
		struct waiter *next = v->next;

		free(v);
		d->nwaiters--;
		v = next;
	}
}

void
directory_free(struct directory *d)
{
	struct wanted *w;

	if (d == NULL)
		return;
	while ((w = d->first) != NULL) {
		take_out(d, w);
		free_waiters(d, w->waiters);
		free(w);
	}
	if (d->fd >= 0)
		close(d->fd);
	free_caches(d);
	slots_free(d->ids);
	free(d);
}

void
directory_flush(struct directory *d)
{
	dircache_flush(d->known);
	dircache_flush(d->nobody);
	dircache_flush(d->logins);
}

/* --- asking --------------------------------------------------------------------- */

/* False when the far end has no room now. */
static bool
send_one(struct directory *d, struct wanted *w)
{
	unsigned char out[FRAME_HEAD + USER_AOR_MAX + 2];
	struct frame f = { .type = w->login ? AUTHD_LOGIN : AUTHD_LOOKUP, .tag = w->id,
	    .body = out + FRAME_HEAD };
	struct frame_writer fw;

	if (d->fd < 0)
		return false;
	frame_writer_init(&fw, out + FRAME_HEAD, USER_AOR_MAX + 2);
	authd_put_lookup(&fw, span_str(w->whom));
	f.len = fw.len;
	frame_format(&f, out);
	if (send(d->fd, out, FRAME_HEAD + f.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	w->sent = true;
	d->nunsent--;
	return true;
}

static bool
send_begin(struct directory *d)
{
	struct frame f = { .type = (uint16_t)d->begin };
	unsigned char out[FRAME_HEAD];

	/* one after the other: two at once might be read by one process */
	if (d->begin == 0 || d->old)
		return true;
	frame_format(&f, out);
	if (d->fd < 0 || send(d->fd, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	d->old = d->begin == AUTHD_RELOAD;
	d->begin = 0;
	return true;
}

static void
send_all(struct directory *d)
{
	if (!send_begin(d))
		return;
	for (struct wanted *w = d->first; w != NULL && d->nunsent != 0; w = w->next)
		if (!w->sent && !send_one(d, w))
			return;
}

static struct wanted *
want(struct directory *d, struct span whom, bool login, uint64_t now)
{
	struct wanted **at = bucket_of(d, whom), *w = *at;

	while (w != NULL && (w->login != login || !span_iis(whom, w->whom)))
		w = w->chain;
	if (w != NULL)
		return w;
	w = xcalloc(1, sizeof(*w));
	if ((w->id = slots_add(d->ids, w)) == 0) {
		free(w);
		return NULL;
	}
	memcpy(w->whom, whom.p, whom.n);
	w->login = login;
	w->until_ms = now + (uint64_t)d->conf->timeout;
	w->chain = *at;
	*at = w;
	w->prev = d->last;
	*d->last = w;
	d->last = &w->next;
	d->nunsent++;
	send_all(d);
	return w;
}

/* Who asks waits for the answer. False: that is not possible. */
static bool
wait_for(struct directory *d, struct span whom, bool login, uint64_t now, directory_fn fn, void *arg, uint64_t tag)
{
	struct wanted *w;
	struct waiter *v;

	if (d->nwaiters >= DIRECTORY_WAITERS_MAX || d->fd < 0 || (w = want(d, whom, login, now)) == NULL)
		return false;
	v = xcalloc(1, sizeof(*v));
	v->fn = fn;
	v->arg = arg;
	v->tag = tag;
	v->next = w->waiters;
	w->waiters = v;
	d->nwaiters++;
	return true;
}

static bool
can_be_asked(struct span whom)
{
	return !span_is_empty(whom) && whom.n < USER_AOR_MAX && memchr(whom.p, '\0', whom.n) == NULL;
}

bool
directory_ask(struct directory *d, struct span aor, uint64_t now, void *arg, uint64_t tag, struct authd_user *who)
{
	bool fresh, stale;

	memset(who, 0, sizeof(*who));
	if (!can_be_asked(aor))
		return true;
	if (dircache_get(d->nobody, aor, now, who, &fresh) && fresh)
		return true;
	stale = dircache_get(d->known, aor, now, who, &fresh);
	if (fresh)
		return true;
	if (wait_for(d, aor, false, now, d->fn, arg, tag))
		return false;
	if (!stale)
		who->unavailable = true;
	return true;
}

bool
directory_ask_login(struct directory *d, struct span login, uint64_t now, directory_fn fn, void *arg, uint64_t tag,
    struct authd_user *who)
{
	bool fresh, stale;

	memset(who, 0, sizeof(*who));
	if (!can_be_asked(login))
		return true;
	stale = dircache_get(d->logins, login, now, who, &fresh);
	if (fresh)
		return true;
	if (wait_for(d, login, true, now, fn, arg, tag))
		return false;
	if (!stale)
		who->unavailable = true;
	return true;
}

/* --- answers ------------------------------------------------------------------------ */

static void
remember_user(struct directory *d, const struct authd_user *who, uint64_t now)
{
	dircache_remove(d->nobody, span_str(who->aor));
	dircache_put(d->known, span_str(who->aor), who, now, (uint64_t)d->conf->ttl * 1000,
	    (uint64_t)d->conf->stale * 1000);
}

static void
remember(struct directory *d, const struct wanted *w, const struct authd_user *who, uint64_t now)
{
	struct span whom = span_str(w->whom);

	if (who->found)
		remember_user(d, who, now);
	if (w->login) {
		dircache_remove(d->logins, whom);
		if (who->found)
			dircache_put(d->logins, whom, who, now, (uint64_t)d->conf->ttl * 1000,
			    (uint64_t)d->conf->stale * 1000);
	} else if (!who->found) {
		dircache_remove(d->known, whom);
		dircache_put(d->nobody, whom, who, now, (uint64_t)d->conf->negative_ttl * 1000, 0);
	}
}

/* The answer is there, or will not come. Those who wait may ask again at once. */
static void
settle(struct directory *d, struct wanted *w, const struct authd_user *came, uint64_t now)
{
	struct authd_user who = *came;
	bool fresh;

	take_out(d, w);
	if (!who.unavailable)
		remember(d, w, &who, now);
	/* what was known before is better than nothing */
	else if (!dircache_get(w->login ? d->logins : d->known, span_str(w->whom), now, &who, &fresh))
		who.unavailable = true;
	for (struct waiter *v = w->waiters; v != NULL; v = v->next)
		v->fn(v->arg, v->tag, &who);
	free_waiters(d, w->waiters);
	free(w);
}

static void
die(const char *what)
{
	log_say(SP_LOG_ERROR, "authd-bad-frame", "%s from the process that asks the directory; authd ends", what);
	_exit(EX_SOFTWARE);
}

static void
lose(struct directory *d, uint64_t now)
{
	static const struct authd_user nobody = { .unavailable = true };

	log_say(SP_LOG_ERROR, "ldap-gone", "the process that asks the directory has ended for good");
	close(d->fd);
	d->fd = -1;
	while (d->first != NULL)
		settle(d, d->first, &nobody, now);
}

/* Another process is at the far end, and has nothing of what the one before it was asked. */
static void
ask_again(struct directory *d)
{
	for (struct wanted *w = d->first; w != NULL; w = w->next)
		if (w->sent) {
			w->sent = false;
			d->nunsent++;
		}
	send_all(d);
}

/* A process has begun that had read its configuration so often. */
static void
begun(struct directory *d, uint64_t reads)
{
	/* the one that was told so has died of something else: it may not have come to its keeper */
	if (d->old && reads == d->reads)
		d->begin = AUTHD_RELOAD;
	d->old = false;
	d->reads = reads;
	ask_again(d);
}

static void
take(struct directory *d, const unsigned char *in, size_t n, uint64_t now)
{
	enum authd_verdict verdict;
	struct authd_user who;
	struct wanted *w;
	struct frame f;

	if (frame_parse(in, n, &f) == (ssize_t)n && f.type == AUTHD_DONE && f.len == 0) {
		begun(d, f.tag);
		return;
	}
	if (frame_parse(in, n, &f) == (ssize_t)n && f.type == AUTHD_BEAT && f.len == 0) {
		watch_heard(&d->keeper, now);
		return;
	}
	if (frame_parse(in, n, &f) != (ssize_t)n || f.type != AUTHD_USER || !authd_get_answer(&f, &verdict, &who) ||
	    verdict != AUTHD_BAD)
		die("a wrong answer");
	/* NULL: its time was up */
	if ((w = slots_get(d->ids, f.tag)) == NULL)
		return;
	if (who.found && (w->login ? strchr(who.aor, '@') == NULL : !span_iis(span_str(w->whom), who.aor)))
		die("an answer about somebody else");
	/* by the old configuration; whoever comes next is asked it again */
	if (!d->old && d->begin != AUTHD_RELOAD)
		settle(d, w, &who, now);
}

void
directory_ready(struct directory *d, short revents, uint64_t now)
{
	unsigned char in[LDAPD_PACKET_MAX];

	if (d->fd < 0)
		return;
	if ((revents & POLLOUT) != 0)
		send_all(d);
	if ((revents & ~POLLOUT) == 0)
		return;
	/* a bounded number, so that workers are not kept waiting */
	for (int i = 0; i < 64 && d->fd >= 0; i++) {
		ssize_t n = recv(d->fd, in, sizeof(in), MSG_DONTWAIT);

		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0)
			lose(d, now);
		else
			take(d, in, (size_t)n, now);
	}
}

void
directory_tick(struct directory *d, uint64_t now)
{
	static const struct authd_user nobody = { .unavailable = true };

	while (d->first != NULL && d->first->until_ms <= now) {
		log_say(SP_LOG_ERROR, "ldap-slow", "the directory did not answer in time");
		settle(d, d->first, &nobody, now);
	}
	/* who would make another of it hangs himself: authd begins anew, and so do they */
	if (d->fd >= 0 && watch_over(&d->keeper, now)) {
		lives_hung(LIVES_DIRECTORY, d->keeper.limit);
		lose(d, now);
	}
}

void
directory_look_after(struct directory *d, unsigned hung_ms, uint64_t now)
{
	watch_begin(&d->keeper, hung_ms, now);
}

/* The far end begins anew as soon as it hears of it. */
static void
begin_anew(struct directory *d, enum authd_type why)
{
	if (d->fd < 0 || d->begin == AUTHD_RELOAD)
		return;
	d->begin = why;
	send_all(d);
}

void
directory_reopen_log(struct directory *d)
{
	begin_anew(d, AUTHD_REOPEN);
}

void
directory_set(struct directory *d, const struct dirconf *conf)
{
	free_caches(d);
	d->conf = conf;
	make_caches(d);
	begin_anew(d, AUTHD_RELOAD);
}

void
directory_moved(struct directory *d, const struct dirconf *conf)
{
	d->conf = conf;
	directory_flush(d);
}

int
directory_fd(const struct directory *d)
{
	return d->fd;
}

short
directory_events(const struct directory *d)
{
	return d->nunsent != 0 || (d->begin != 0 && !d->old) ? POLLIN | POLLOUT : POLLIN;
}

int
directory_start(const struct dirconf *conf, const char *file, const char *run_as, unsigned hung_ms, const int *close_these,
    unsigned n, int *fd)
{
	char password[LDAPD_PASSWORD_MAX];
	size_t password_n = 0;
	int pair[2], err = SP_OK;
	pid_t pid;

	*fd = -1;
	if (conf->homes != HOMES_FILE && conf->bind == BIND_SIMPLE && (err = ldapd_read_password(conf->password_file, password, &password_n)) != SP_OK)
		return err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		err = SP_EIO;
	else if ((pid = fork()) == 0) {
		for (unsigned i = 0; i < n; i++)
			close(close_these[i]);
		close(pair[0]);
		ldapd_keep(conf, file, run_as, hung_ms, password, password_n, pair[1]);
	} else {
		close(pair[1]);
		if (pid < 0) {
			close(pair[0]);
			err = SP_EIO;
		} else
			*fd = pair[0];
	}
	mem_wipe(password, sizeof(password));
	return err;
}
