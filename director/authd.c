/*
 * director/authd.c - the process that holds the secrets, and how it is asked.
 */
#include "director/authd.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/lives.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sandbox.h"
#include "director/config.h"
#include "director/handshake.h"
#include "director/ldapd.h"
#include "director/directory.h"
#include "director/replay.h"
#include "director/ticket.h"

#define ENTERING_MAX	4096	/* sign-ins that wait for the directory to say whose account it is */
#define LOOK_MS		500	/* how often the user file is looked at when nobody asks for anything */
#define LOOK_BUSY_MS	5	/* and at most: who was just given an account may sign in at once */
#define COMMAND_MS	10000
#define END_MS		3000	/* after its channels were closed */

/* --- deciding ---------------------------------------------------------------------- */

static void
describe(const struct user *u, struct authd_user *who)
{
	who->found = true;
	who->enabled = u->enabled;
	who->remote = u->remote;
	who->federation = u->federation;
	who->public_im = u->public_im;
	who->archive = u->archive;
	memcpy(who->aor, u->aor, sizeof(who->aor));
	memcpy(who->pool, u->pool, sizeof(who->pool));
}

void
authd_look_up(const struct users *us, struct span aor, struct authd_user *who)
{
	const struct user *u = users_find(us, aor);

	memset(who, 0, sizeof(*who));
	if (u != NULL)
		describe(u, who);
}

/* A user name that has its domain with it. */
static bool
is_full(struct span username)
{
	return span_find(username, '@') < username.n;
}

/* Does the response prove ha1? In time that does not depend on how much of it is right. */
static bool
proves(const struct authd_question *q, const unsigned char *ha1)
{
	unsigned char want[NET_DIGEST_MAX], have[NET_DIGEST_MAX] = { 0 };
	bool ok = auth_response_read(&q->credentials, have);

	auth_response(&q->credentials, ha1, q->method, want);
	ok &= mem_equal_secret(want, have, auth_algorithm_size(q->credentials.algorithm)) != 0;
	mem_wipe(want, sizeof(want));
	return ok;
}

/* For the log alone. It names who was tried, which an administrator needs to see. */
static void
log_bad(const struct authd_question *q, const char *why)
{
	struct logrec r = log_begin(SP_LOG_NOTICE, "bad-credentials");

	log_word(&r, "why", why);
	log_outside(&r, "user", q->credentials.username);
	log_outside(&r, "domain", q->domain);
	log_outside(&r, "realm", q->credentials.realm);
	log_word(&r, "scheme", "Digest");
	log_outside(&r, "source", q->source);
	log_end(&r);
}

void
authd_log_throttled(const char *scheme, enum guesses_verdict v, struct span user, struct span source)
{
	struct logrec r = log_begin(SP_LOG_NOTICE, "guessing");

	log_word(&r, "limit", guesses_verdict_name(v));
	log_word(&r, "scheme", scheme);
	log_outside(&r, "user", user);
	log_outside(&r, "source", source);
	log_end(&r);
}

/* found NULL: nobody has that name. */
static enum authd_verdict
decide(struct replay_table *replay, const struct authd_question *q, const struct user *found, struct authd_user *who)
{
	static const struct user nobody;	/* its hashes are nobody's: a response that proves them changes nothing */
	const struct auth_credentials *c = &q->credentials;
	bool full = is_full(c->username), md5 = c->algorithm == AUTH_MD5, proved;
	const struct user *u = found != NULL ? found : &nobody;
	struct auth_nonce_id id;

	proved = proves(q, md5 ? (full ? u->md5_full : u->md5) : full ? u->sha256_full : u->sha256);
	if (found == NULL || !proved || !span_is(c->realm, u->realm) || !u->enabled) {
		log_bad(q, found == NULL ? "unknown-user" : !span_is(c->realm, u->realm) ? "other-realm" :
		    !proved ? "wrong-password" : "disabled");
		return AUTHD_BAD;
	}
	if (!q->nonce_good || auth_nonce_parts(c->nonce, &id) != SP_OK)
		return AUTHD_STALE;
	switch (replay_use(replay, &id, c->nc)) {
	case REPLAY_FRESH:
		describe(u, who);
		return AUTHD_OK;
	case REPLAY_TOO_OLD:
		return AUTHD_STALE;
	case REPLAY_USED:
		break;
	}
	return AUTHD_REPLAYED;
}

enum authd_verdict
authd_decide(const struct users *us, struct replay_table *replay, struct guesses *guesses,
    const struct authd_question *q, struct authd_user *who)
{
	const struct auth_credentials *c = &q->credentials;
	enum guesses_verdict may = GUESSES_MAY;
	enum authd_verdict verdict;
	const struct user *found;
	char name[USER_AOR_MAX];
	struct strbuf aor;
	struct span user;

	memset(who, 0, sizeof(*who));
	strbuf_init(&aor, name, sizeof(name));
	strbuf_span(&aor, c->username);
	if (!is_full(c->username)) {
		strbuf_putc(&aor, '@');
		strbuf_span(&aor, q->domain);
	}
	user = strbuf_ok(&aor) ? strbuf_span_of(&aor) : c->username;
	found = strbuf_ok(&aor) ? users_find(us, user) : NULL;
	if (guesses != NULL && (may = guesses_begin(guesses, user, q->source, clock_ms())) != GUESSES_MAY) {
		authd_log_throttled("Digest", may, user, q->source);
		return AUTHD_THROTTLED + (may - GUESSES_PAIR);
	}
	verdict = decide(replay, q, found, who);
	if (guesses != NULL && verdict != AUTHD_BAD)
		guesses_right(guesses, user, q->source, clock_ms());
	return verdict;
}

/* --- the process ---------------------------------------------------------------------- */

/* An answer that had to wait. It may hold a session key. */
struct late {
	struct late	*next;
	size_t		 n;
	unsigned char	 bytes[];
};

struct channel {
	int		 fd;
	struct late	*late, *last_late; /* in the order in which they came */
	unsigned	 is;		/* AUTHD_BY_WORKER or AUTHD_BY_CONTROL */
	size_t		 in_n, out_n, out_at;
	unsigned char	 in[FRAME_HEAD + AUTHD_QUESTION_MAX];
	unsigned char	 out[FRAME_HEAD + AUTHD_ANSWER_MAX];
};

struct authd_process {
	const struct authd_setup *setup;
	struct director_config	*config;	/* of what follows; NULL: it is the setup's */
	const char		*path;		/* of the user file */
	const struct dirconf	*dirconf;	/* NULL: the user file alone */
	struct users		*users;
	struct replay_table	*replay;
	struct handshakes	*handshakes;
	struct guesses		*guesses;
	struct directory	*directory;	/* NULL: it cannot be asked */
	struct winbind		*winbind;	/* NULL: NTLM by the user file */
	struct channel		*asking;	/* whose question is being answered */
	bool			 later;		/* its answer comes later */
	unsigned		 nentering;
	struct tickets		*tickets;	/* NULL: no Kerberos */
	struct channel		*channel;
	unsigned		 nchannels;
	struct stat		 seen;		/* the user file as it was last read */
	uint64_t		 dirfiles;	/* the same of what the directory's process reads */
	uint64_t		 looked_ms;
};

static void
report(void *arg, int line, const char *text)
{
	struct logrec r = log_begin(SP_LOG_ERROR, "users-bad");

	log_text(&r, "file", arg);
	if (line != 0)
		log_int(&r, "line", line);
	log_text(&r, "detail", text);
	log_end(&r);
}

static bool
uses_directory(const struct authd_process *p)
{
	return p->directory != NULL && p->dirconf->homes != HOMES_FILE;
}

/* Read the user file. The earlier users stay when it cannot be used. */
static int
load(struct authd_process *p)
{
	const char *path = p->path;
	struct users *us = NULL;
	int err;

	if (stat(path, &p->seen) != 0)
		memset(&p->seen, 0, sizeof(p->seen));
	err = users_load(&us, path, report, (void *)(uintptr_t)path);
	if (err == SP_ENOENT) {
		log_say(SP_LOG_WARNING, "users-none", "%s: there is no such file, so there are no users", path);
		us = users_new();
		err = SP_OK;
	} else if (err == SP_EIO)
		log_say(SP_LOG_ERROR, "users-bad", "%s: %s", path, strerror(errno));
	if (err != SP_OK) {
		if (p->users != NULL)
			log_say(SP_LOG_ERROR, "users-kept", "the %zu users read before stay in force", users_count(p->users));
		return err;
	}
	users_free(p->users);
	p->users = us;
	log_say(SP_LOG_INFO, "users-read", "%zu users", users_count(us));
	return SP_OK;
}

static void
look(struct authd_process *p)
{
	struct stat st;
	uint64_t now = clock_ms();

	if (now - p->looked_ms < LOOK_BUSY_MS)
		return;
	p->looked_ms = now;
	if (stat(p->path, &st) != 0)
		memset(&st, 0, sizeof(st));
	if (st.st_ino != p->seen.st_ino || st.st_size != p->seen.st_size || st.st_mode != p->seen.st_mode ||
	    st.st_mtim.tv_sec != p->seen.st_mtim.tv_sec || st.st_mtim.tv_nsec != p->seen.st_mtim.tv_nsec)
		load(p);
}

static bool
answer_digest(struct authd_process *p, const struct frame *f, struct frame_writer *out)
{
	struct authd_question q;
	struct authd_user who;

	if (!authd_get_digest(f, &q))
		return false;
	authd_put_answer(out, authd_decide(p->users, p->replay, p->guesses, &q, &who), &who);
	return true;
}

static bool
answer_lookup(struct authd_process *p, const struct frame *f, struct frame_writer *out)
{
	struct authd_user who;
	struct span aor;

	if (!authd_get_lookup(f, &aor))
		return false;
	if (!uses_directory(p) || p->dirconf->homes == HOMES_BOTH)
		authd_look_up(p->users, aor, &who);
	else
		memset(&who, 0, sizeof(who));
	if (uses_directory(p) && !who.found)
		p->later = !directory_ask(p->directory, aor, clock_ms(), p->asking, f->tag, &who);
	authd_put_answer(out, AUTHD_BAD, &who);
	return true;
}

/* An answer that had to wait: it goes out when its turn comes. */
static void
put_late(struct channel *ch, enum authd_type type, uint64_t tag, const struct frame_writer *w)
{
	struct frame f = { .type = (uint16_t)type, .tag = tag, .body = w->p, .len = w->len };
	struct late *l = xcalloc(1, sizeof(*l) + FRAME_HEAD + w->len);

	l->n = frame_format(&f, l->bytes);
	*(ch->late != NULL ? &ch->last_late->next : &ch->late) = l;
	ch->last_late = l;
}

/* Who signs in has proved to be the holder of an account, and the directory is asked whose that is. */
struct entering {
	struct authd_process	*p;
	struct channel		*ch;
	size_t			 size;		/* of all of it */
	struct authd_answer	 answer;	/* its session and login are here */
	char			 login[USER_AOR_MAX];
	unsigned char		 session[];
};

static void
entering_free(struct entering *e)
{
	e->p->nentering--;
	mem_wipe_free(e, e->size);
}

/* The account is that of *who. */
static void
enter(struct authd_answer *a, const struct authd_user *who)
{
	struct logrec r;

	if (who->found) {
		a->who = *who;
		a->login = NULL;
		return;
	}
	if (!who->unavailable) {
		r = log_begin(SP_LOG_NOTICE, "bad-credentials");
		log_word(&r, "why", "no-address");
		log_outside(&r, "account", span_str(a->login));
		log_end(&r);
	}
	mem_wipe(a->key, sizeof(a->key));
	*a = (struct authd_answer){ .verdict = who->unavailable ? AUTHD_NO_DIRECTORY : AUTHD_BAD };
}

static void
login_came(void *arg, uint64_t tag, const struct authd_user *who)
{
	unsigned char body[AUTHD_ANSWER_MAX];
	struct entering *e = arg;
	struct frame_writer w;

	enter(&e->answer, who);
	e->answer.who.asked = true;
	frame_writer_init(&w, body, sizeof(body));
	authd_put_stepped(&w, &e->answer);
	put_late(e->ch, AUTHD_STEPPED, tag, &w);
	mem_wipe(body, w.len);
	entering_free(e);
}

/* True: *a is the answer. Else it comes later. */
static bool
find_login(struct authd_process *p, uint64_t tag, struct authd_answer *a)
{
	struct authd_user who = { .unavailable = true };
	struct entering *e;

	if (p->nentering < ENTERING_MAX) {
		e = xcalloc(1, sizeof(*e) + a->session.n);
		p->nentering++;
		e->p = p;
		e->size = sizeof(*e) + a->session.n;
		e->ch = p->asking;
		e->answer = *a;
		if (a->session.n != 0)
			memcpy(e->session, a->session.p, a->session.n);
		e->answer.session = span_of((const char *)e->session, a->session.n);
		snprintf(e->login, sizeof(e->login), "%s", a->login);
		e->answer.login = e->login;
		if (!directory_ask_login(p->directory, span_str(e->login), clock_ms(), login_came, e, tag, &who))
			return false;
		entering_free(e);
	}
	enter(a, &who);
	return true;
}

/* --- NTLM by a Windows domain --- */

/* An answer that the domain judges just now. */
struct judging {
	struct authd_process	*p;
	struct channel		*ch;
	uint64_t		 tag;
	struct handshake_asked	*asked;
};

/* The account is proved. Whose is it? */
static void
place(struct authd_process *p, const struct winbind_answer *w, char login[USER_AOR_MAX], struct authd_answer *a)
{
	char aor[USER_AOR_MAX];
	struct strbuf sb;
	struct logrec r;

	if (uses_directory(p) && dirconf_login_base(p->dirconf, w->domain, false) != NULL) {
		strbuf_init(&sb, login, USER_AOR_MAX);
		strbuf_span(&sb, w->domain);
		strbuf_putc(&sb, '\\');
		strbuf_span(&sb, w->account);
		if (strbuf_ok(&sb)) {
			a->login = login;
			return;
		}
	} else if (winbind_aor(p->setup->ntlm_domains, w->domain, w->account, aor, sizeof(aor))) {
		authd_look_up(p->users, span_str(aor), &a->who);
		if (!a->who.found && uses_directory(p)) {
			a->who.found = a->who.enabled = true;
			memcpy(a->who.aor, aor, sizeof(aor));
		}
		if (a->who.found && a->who.enabled)
			return;
	}
	r = log_begin(SP_LOG_NOTICE, "bad-credentials");
	log_word(&r, "why", a->who.found ? "disabled" : "no-address");
	log_word(&r, "scheme", "NTLM");
	log_outside(&r, "domain", w->domain);
	log_outside(&r, "account", w->account);
	log_end(&r);
	mem_wipe(a->key, sizeof(a->key));
	memset(a, 0, sizeof(*a));
}

static void
judged(void *arg, const struct winbind_answer *w)
{
	unsigned char body[AUTHD_ANSWER_MAX];
	char login[USER_AOR_MAX];
	struct judging *j = arg;
	struct authd_answer a;
	struct frame_writer out;

	handshake_judged(j->p->handshakes, j->p->guesses, j->asked, w, &a);
	if (a.verdict == AUTHD_OK)
		place(j->p, w, login, &a);
	j->p->asking = j->ch;
	if (a.verdict != AUTHD_OK || a.login == NULL || find_login(j->p, j->tag, &a)) {
		frame_writer_init(&out, body, sizeof(body));
		authd_put_stepped(&out, &a);
		put_late(j->ch, AUTHD_STEPPED, j->tag, &out);
		mem_wipe(body, out.len);
	}
	mem_wipe(a.key, sizeof(a.key));
	free(j);
}

/* False: *a is the answer. */
static bool
judge(struct authd_process *p, const struct authd_step *s, uint64_t tag, struct authd_answer *a)
{
	static const struct winbind_answer nobody = { .verdict = WINBIND_UNREACHED };
	struct handshake_asked *asked;
	struct winbind_question q;
	struct judging *j;

	handshakes_step_asking(p->handshakes, p->guesses, s, a, &asked);
	if (asked == NULL)
		return false;
	j = xcalloc(1, sizeof(*j));
	*j = (struct judging){ p, p->asking, tag, asked };
	handshake_question(asked, &q);
	if (winbind_ask(p->winbind, &q, clock_ms(), j))
		return true;
	handshake_judged(p->handshakes, p->guesses, asked, &nobody, a);
	free(j);
	return false;
}

static bool
answer_step(struct authd_process *p, const struct frame *f, struct frame_writer *out)
{
	struct authd_step s;
	struct authd_answer a;

	if (!authd_get_step(f, &s))
		return false;
	if (s.mechanism == AUTHD_NTLM && p->winbind != NULL)
		p->later = judge(p, &s, f->tag, &a);
	else if (s.mechanism == AUTHD_NTLM)
		handshakes_step(p->handshakes, p->users, p->guesses, &s, &a);
	else if (p->tickets != NULL)
		tickets_accept(p->tickets, p->users, s.token, &a);
	else
		a = (struct authd_answer){ .verdict = AUTHD_BAD };	/* not offered */
	if (a.verdict == AUTHD_OK && a.login != NULL)
		p->later = !find_login(p, f->tag, &a);
	if (!p->later)
		authd_put_stepped(out, &a);
	mem_wipe(a.key, sizeof(a.key));
	return true;
}

static bool
answer_reload(struct authd_process *p, const struct frame *f, struct frame_writer *out)
{
	(void)f;
	if (p->directory != NULL)
		directory_flush(p->directory);
	authd_put_done(out, load(p) == SP_OK);
	return true;
}

static bool
answer_reopen(struct authd_process *p, const struct frame *f, struct frame_writer *out)
{
	(void)f;
	if (p->directory != NULL)
		directory_reopen_log(p->directory);
	if (p->winbind != NULL)
		winbind_reopen_log(p->winbind);
	authd_put_done(out, log_reopen() == SP_OK);
	return true;
}

static int open_keytab(struct authd_process *, struct tickets **);

static uint64_t
look_at(uint64_t h, const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) != 0)
		return hash_mix(h, 0);
	h = hash_mix(hash_mix(h, (uint64_t)st.st_ino), (uint64_t)st.st_size);
	return hash_mix(hash_mix(h, (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec);
}

/* The password, the keytab and the authorities, as they are now: a number that changes with them. */
static uint64_t
look_at_dirfiles(const struct dirconf *c)
{
	return c == NULL ? 0 : look_at(look_at(look_at(1, c->password_file), c->keytab), c->trust);
}

/* Can what the configuration names be used? The users are read in passing. */
static bool
take_config(struct authd_process *p, struct director_config *c)
{
	struct authd_process tried = *p;
	char password[LDAPD_PASSWORD_MAX];
	struct tickets *tickets;
	bool other, good = true;
	const char *option;
	size_t n = 0;

	if (c->directory.homes != HOMES_FILE && c->directory.bind == BIND_SIMPLE)
		good = ldapd_read_password(c->directory.password_file, password, &n) == SP_OK;
	mem_wipe(password, sizeof(password));
	tried.path = c->auth_users;
	tried.dirconf = &c->directory;
	tried.config = c;
	if (!good || open_keytab(&tried, &tickets) != SP_OK)
		return false;
	tried.users = NULL;
	if (load(&tried) != SP_OK) {
		tickets_close(tickets);
		return false;
	}
	users_free(p->users);
	tickets_close(p->tickets);
	p->users = tried.users;
	p->seen = tried.seen;
	p->path = tried.path;
	p->tickets = tickets;
	tried.dirfiles = look_at_dirfiles(tried.dirconf);
	other = !dirconf_same(p->dirconf, tried.dirconf, &option) || p->dirfiles != tried.dirfiles;
	p->dirconf = tried.dirconf;
	p->dirfiles = tried.dirfiles;
	if (p->directory != NULL && other)
		directory_set(p->directory, p->dirconf);
	else if (p->directory != NULL)
		directory_moved(p->directory, p->dirconf);	/* what it had goes with the old configuration */
	guesses_set(p->guesses, &(struct guesses_limits)DIRECTOR_GUESSES_LIMITS(c));
	return true;
}

static bool
answer_configure(struct authd_process *p, const struct frame *f, struct frame_writer *out)
{
	struct conf_errors *errs = conf_errors_new();
	struct director_config *c = p->setup->file != NULL ? director_config_load(p->setup->file, errs) : NULL;
	bool good = c != NULL && take_config(p, c);

	(void)f;
	/* who asks has read the same file, and has said what is wrong with it */
	if (good) {
		director_config_unref(p->config);
		p->config = c;
	} else {
		log_say(SP_LOG_ERROR, "authd-kept", "authd keeps its configuration: %s", c == NULL && conf_errors_count(errs) != 0 ?
		    conf_errors_get(errs, 0) : "something that it names cannot be used");
		director_config_unref(c);
	}
	conf_errors_free(errs);
	authd_put_done(out, good);
	return true;
}

static bool
answer_beat(struct authd_process *p, const struct frame *f, struct frame_writer *out)
{
	(void)p, (void)f;
	authd_put_done(out, true);
	return true;
}

/* Who may ask what, how long it may be, and who answers. What is not here ends the process. */
static const struct {
	enum authd_type	 type;
	unsigned	 by;
	size_t		 max;
	enum authd_type	 answer;
	bool		(*fn)(struct authd_process *, const struct frame *, struct frame_writer *);
} requests[] = {
	{ AUTHD_DIGEST, AUTHD_BY_WORKER, AUTHD_QUESTION_MAX, AUTHD_VERDICT, answer_digest },
	{ AUTHD_LOOKUP, AUTHD_BY_WORKER, USER_AOR_MAX + 2, AUTHD_USER, answer_lookup },
	{ AUTHD_STEP, AUTHD_BY_WORKER, AUTHD_QUESTION_MAX, AUTHD_STEPPED, answer_step },
	{ AUTHD_RELOAD, AUTHD_BY_CONTROL, 0, AUTHD_DONE, answer_reload },
	{ AUTHD_REOPEN, AUTHD_BY_CONTROL, 0, AUTHD_DONE, answer_reopen },
	{ AUTHD_CONFIGURE, AUTHD_BY_CONTROL, 0, AUTHD_DONE, answer_configure },
	{ AUTHD_BEAT, AUTHD_BY_CONTROL, 0, AUTHD_DONE, answer_beat }
};

static void
die(const char *what, unsigned type)
{
	log_say(SP_LOG_ERROR, "authd-bad-frame", "%s (type %u); authd ends", what, type);
	_exit(EX_SOFTWARE);
}

static void
answer(struct authd_process *p, struct channel *ch, const struct frame *f)
{
	struct frame_writer out;
	struct frame head = { .tag = f->tag };
	size_t i = 0;

	while (i < sizeof(requests) / sizeof(requests[0]) && (unsigned)requests[i].type != f->type)
		i++;
	if (i == sizeof(requests) / sizeof(requests[0]) || (requests[i].by & ch->is) == 0)
		die("a question that may not be asked here", f->type);
	if (f->len > requests[i].max)
		die("a question that is too long", f->type);
	frame_writer_init(&out, ch->out + FRAME_HEAD, AUTHD_ANSWER_MAX);
	p->asking = ch;
	p->later = false;
	if (!requests[i].fn(p, f, &out) || out.failed)
		die("a question that is malformed", f->type);
	if (p->later)
		return;
	head.type = (uint16_t)requests[i].answer;
	head.len = out.len;
	head.body = ch->out + FRAME_HEAD;
	ch->out_n = frame_format(&head, ch->out);
	ch->out_at = 0;
}

/* The next of those that were late. False: there is none. */
static bool
take_late(struct channel *ch)
{
	struct late *l = ch->late;

	if (l == NULL)
		return false;
	memcpy(ch->out, l->bytes, l->n);
	ch->out_n = l->n;
	ch->out_at = 0;
	ch->late = l->next;
	mem_wipe_free(l, sizeof(*l) + l->n);
	return true;
}

/* Everything that is whole and can be answered now; one answer is on its way at a time. */
static void
serve(struct authd_process *p, struct channel *ch)
{
	size_t used = 0;
	struct frame f;
	ssize_t n;

	for (;;) {
		if (ch->out_n != 0) {
			n = send(ch->fd, ch->out + ch->out_at, ch->out_n - ch->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
				_exit(EX_OK);	/* the other side is gone */
			if (n <= 0)
				break;
			if ((ch->out_at += (size_t)n) < ch->out_n)
				continue;
			mem_wipe(ch->out, ch->out_n);	/* it may have held a session key */
			ch->out_n = 0;
		}
		if (take_late(ch))
			continue;
		if ((n = frame_parse(ch->in + used, ch->in_n - used, &f)) == 0)
			break;
		if (n < 0)
			die("a frame that is too long", 0);
		answer(p, ch, &f);
		used += (size_t)n;
	}
	mem_wipe(ch->in, used);
	memmove(ch->in, ch->in + used, ch->in_n - used);
	ch->in_n -= used;
	if (ch->in_n == sizeof(ch->in) && ch->out_n == 0)
		die("a frame that is too long", 0);
}

/* What the directory has said. */
static void
came_late(void *arg, uint64_t tag, const struct authd_user *who)
{
	unsigned char body[AUTHD_ANSWER_MAX];
	struct authd_user now = *who;
	struct frame_writer w;

	now.asked = true;
	frame_writer_init(&w, body, sizeof(body));
	authd_put_answer(&w, AUTHD_BAD, &now);
	put_late(arg, AUTHD_USER, tag, &w);
}

static void
receive(struct authd_process *p, struct channel *ch)
{
	ssize_t n = recv(ch->fd, ch->in + ch->in_n, sizeof(ch->in) - ch->in_n, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
		_exit(EX_OK);	/* all channels belong to one process: if one ends, that has ended */
	if (n > 0) {
		ch->in_n += (size_t)n;
		serve(p, ch);
	}
}

/* A process that it started, and that starts others itself, is gone: it cannot be had back from behind the fence. */
static bool
is_crippled(const struct authd_process *p)
{
	return (p->directory != NULL && directory_fd(p->directory) < 0) || (p->winbind != NULL && winbind_fd(p->winbind) < 0);
}

/* For the metrics, which are the proxy's to tell. */
static void
tell_caches(const struct authd_process *p)
{
	uint64_t full = 0;
	uint32_t n = guesses_count(p->guesses, &full);

	lives_tell(LIVES_GUESSES, n, full);
	n = replay_count(p->replay, &full);
	lives_tell(LIVES_REPLAYS, n, full);
	full = 0;
	n = p->directory != NULL ? directory_remembers(p->directory, &full) : 0;
	lives_tell(LIVES_USERS, n, full);
}

/* Are there answers that were not taken yet? */
static bool
owes(const struct authd_process *p)
{
	for (unsigned i = 0; i < p->nchannels; i++)
		if (p->channel[i].out_n != 0 || p->channel[i].late != NULL)
			return true;
	return false;
}

static void
run(struct authd_process *p)
{
	struct pollfd *fds = xcalloc(p->nchannels + 2, sizeof(*fds));
	unsigned n = p->nchannels;

	for (;;) {
		for (unsigned i = 0; i < p->nchannels; i++) {
			fds[i].fd = p->channel[i].fd;
			fds[i].events = p->channel[i].out_n != 0 ? POLLOUT : POLLIN;
		}
		fds[n].fd = p->directory != NULL ? directory_fd(p->directory) : -1;
		fds[n].events = p->directory != NULL ? directory_events(p->directory) : 0;
		fds[n + 1].fd = p->winbind != NULL ? winbind_fd(p->winbind) : -1;
		fds[n + 1].events = POLLIN;
		if (poll(fds, n + 2, LOOK_MS) < 0 && errno != EINTR) {
			log_say(SP_LOG_ERROR, "authd-poll", "%s", strerror(errno));
			_exit(EX_OSERR);
		}
		look(p);
		if (p->directory != NULL) {
			if (fds[n].revents != 0)
				directory_ready(p->directory, fds[n].revents, clock_ms());
			directory_tick(p->directory, clock_ms());
		}
		if (p->winbind != NULL) {
			if (fds[n + 1].revents != 0)
				winbind_ready(p->winbind, clock_ms());
			winbind_tick(p->winbind, clock_ms());
		}
		if (is_crippled(p) && !owes(p)) {
			log_say(SP_LOG_ERROR, "authd-anew", "authd ends, to begin anew with a process that asks for it");
			_exit(EX_SOFTWARE);
		}
		for (unsigned i = 0; i < p->nchannels; i++) {
			if (p->channel[i].late != NULL && p->channel[i].out_n == 0)
				serve(p, &p->channel[i]);
			if ((fds[i].revents & POLLOUT) != 0)
				serve(p, &p->channel[i]);
			else if (fds[i].revents != 0)
				receive(p, &p->channel[i]);
		}
		tell_caches(p);
	}
}

/* Before the user file is read, so that the process which asks the directory has nothing of it. */
static bool
start_directory(struct authd_process *p, const int *worker, int control)
{
	const struct authd_setup *setup = p->setup;
	int *theirs, fd, err;

	/* also when nothing is asked of it: that may change */
	if (setup->directory == NULL)
		return true;
	theirs = xcalloc(setup->nworkers + 1, sizeof(*theirs));
	memcpy(theirs, worker, setup->nworkers * sizeof(*theirs));
	theirs[setup->nworkers] = control;
	if ((err = directory_start(setup->directory, setup->file, setup->run_as, setup->hung_ms, theirs, setup->nworkers + 1, &fd)) == SP_OK)
		p->directory = directory_new(setup->directory, fd, came_late);
	free(theirs);
	return err == SP_OK;
}

/* The directory that a file is in: it may be replaced by another of its name. */
static const char *
around(const char *file, char out[4096])
{
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;

	if (file == NULL)
		return "/dev/null";
	if (slash == NULL)
		return ".";
	snprintf(out, 4096, "%.*s", slash == file ? 1 : (int)(slash - file), file);
	return out;
}

/* The same for what winbind is asked by. */
static bool
start_winbind(struct authd_process *p, const int *worker, int control)
{
	const struct authd_setup *setup = p->setup;
	char logs[4096];
	int *theirs, fd, err;

	if (setup->winbind == NULL)
		return true;
	theirs = xcalloc(setup->nworkers + 2, sizeof(*theirs));
	memcpy(theirs, worker, setup->nworkers * sizeof(*theirs));
	theirs[setup->nworkers] = control;
	theirs[setup->nworkers + 1] = p->directory != NULL ? directory_fd(p->directory) : -1;
	if ((err = winbind_start(setup->winbind, setup->ntlm.nb_computer, setup->run_as,
	    setup->log_file != NULL ? around(setup->log_file, logs) : NULL, setup->hung_ms, theirs, setup->nworkers + 2, &fd)) == SP_OK)
		p->winbind = winbind_new(setup->winbind, fd, judged);
	free(theirs);
	return err == SP_OK;
}

/* As the account that stays: if it can read the keytab now, it can when a ticket comes. */
static int
open_keytab(struct authd_process *p, struct tickets **out)
{
	const struct director_config *c = p->config;
	struct ticket_setup setup = { .keytab = c != NULL ? c->auth_keytab : p->setup->keytab, .host = p->setup->host,
	    .directory = uses_directory(p), .logins = uses_directory(p) ? p->dirconf : NULL,
	    .realms = c != NULL ? &c->kerberos_realms : p->setup->realms };

	*out = NULL;
	return setup.keytab != NULL ? tickets_open(out, &setup) : SP_OK;
}

/* Files that we read, and no network. What is not in this list is not there any more. */
static bool
enter_sandbox(const struct authd_setup *setup)
{
	const char *krb5 = getenv("KRB5_CONFIG"), *rcache = getenv("KRB5RCACHEDIR");
	char users[4096], keytab[4096], conf[4096], logs[4096], password[4096];
	const struct sandbox_path paths[] = {
		{ around(setup->users, users), false }, { around(setup->keytab, keytab), false }, { around(setup->file, conf), false },
		{ around(setup->directory != NULL ? setup->directory->password_file : NULL, password), false },
		{ around(setup->log_file, logs), setup->log_file != NULL },
		/* Kerberos: its configuration, and which tickets it has seen */
		{ krb5 != NULL ? krb5 : "/etc/krb5.conf", false }, { "/etc/krb5.conf.d", false }, { "/etc/gss", false },
		{ rcache != NULL ? rcache : "/var/tmp", true },
		{ "/usr/lib", false }, { "/lib", false }, { "/lib64", false }, { "/usr/share", false }, { "/etc/ld.so.cache", false },
		{ "/etc/localtime", false }, { "/etc/samba", false }, { "/run/samba", false }, { "/var/lib/samba", false },
		{ "/dev/urandom", false }, { "/dev/null", true }
	};

	return sandbox_files(SANDBOX_AUTHD, paths, sizeof(paths) / sizeof(paths[0])) == SP_OK &&
	    sandbox_calls(SANDBOX_AUTHD) == SP_OK;
}

/*
 * Challenges that are remembered. The proxy, which sees who begins most, gives handshakes up; here the oldest goes, so
 * there is room for those that were given up since.
 */
static uint32_t
places(uint32_t handshakes)
{
	const uint32_t many = 65536;

	return handshakes >= many ? handshakes : handshakes > many / 16 ? many : handshakes != 0 ? 16 * handshakes : 1;
}

/* The child. Its first word on the control channel says whether it can work. */
static void
become_authd(const struct authd_setup *setup, const int *worker, int control)
{
	struct authd_process p = { .setup = setup, .path = setup->users, .dirconf = setup->directory,
	    .nchannels = setup->nworkers + 1 };
	struct frame hello = { .type = AUTHD_DONE, .len = 1 };
	unsigned char body = 0, text[FRAME_HEAD + 1];
	sigset_t none;

	/* signals for the daemon as a whole are not for us: we end when it does */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, "authd");
	/* what it starts is of its group, by which whoever started it ends all of them */
	(void)setpgid(0, 0);
	if (!start_directory(&p, worker, control))
		log_say(SP_LOG_ERROR, "authd", "the directory cannot be asked");
	else if (!start_winbind(&p, worker, control))
		log_say(SP_LOG_ERROR, "authd", "winbind cannot be asked");
	else if (setup->run_as != NULL && proc_drop_to(setup->run_as) != SP_OK)
		log_say(SP_LOG_ERROR, "authd-account", "cannot become %s", setup->run_as);
	else {
		proc_harden();
		p.dirfiles = look_at_dirfiles(p.dirconf);
		body = load(&p) == SP_OK && open_keytab(&p, &p.tickets) == SP_OK && enter_sandbox(setup);
	}
	hello.body = &body;
	frame_format(&hello, text);
	if (send(control, text, sizeof(text), MSG_NOSIGNAL) != (ssize_t)sizeof(text) || body == 0)
		_exit(EX_CONFIG);
	p.replay = replay_new(setup->replay_entries);
	p.guesses = guesses_new(&setup->guesses);
	p.handshakes = handshakes_new(places(setup->handshakes), &setup->ntlm);
	p.channel = xcalloc(p.nchannels, sizeof(*p.channel));
	for (unsigned i = 0; i < setup->nworkers; i++) {
		p.channel[i].fd = worker[i];
		p.channel[i].is = AUTHD_BY_WORKER;
	}
	p.channel[setup->nworkers].fd = control;
	p.channel[setup->nworkers].is = AUTHD_BY_CONTROL;
	if (p.directory != NULL)
		directory_look_after(p.directory, setup->hung_ms, clock_ms());
	if (p.winbind != NULL)
		winbind_look_after(p.winbind, setup->hung_ms, clock_ms());
	run(&p);
}

/* --- the asking side's end of the process -------------------------------------------------- */

/*
 * What came on the control channel. SP_OK: a whole AUTHD_DONE frame, with *tag and *ok; SP_ETIME: not yet; SP_ECLOSED: it is
 * gone, or says what it cannot.
 */
static int
receive_done(struct authd *a, uint64_t *tag, bool *ok)
{
	ssize_t n = recv(a->control, a->in + a->in_n, sizeof(a->in) - a->in_n, MSG_DONTWAIT);
	struct frame f;

	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return SP_ETIME;
	if (n <= 0)
		return SP_ECLOSED;
	if ((a->in_n += (size_t)n) < sizeof(a->in))
		return SP_ETIME;
	a->in_n = 0;
	if (frame_parse(a->in, sizeof(a->in), &f) <= 0 || f.type != AUTHD_DONE || !authd_get_done(&f, ok) || f.tag > a->asked)
		return SP_ECLOSED;
	*tag = f.tag;
	/* whatever it answers: what it was asked before, it has answered before */
	if (f.tag >= a->beat)
		a->beat = 0;
	return SP_OK;
}

/* The answer to that question from the control channel; those of earlier ones, given up, come before it. */
static int
wait_done(struct authd *a, uint64_t tag)
{
	struct pollfd fd = { .fd = a->control, .events = POLLIN };
	uint64_t until = clock_ms() + COMMAND_MS, now, got = 0;
	bool ok = false;
	int n, err;

	do {
		if ((now = clock_ms()) >= until || (n = poll(&fd, 1, (int)(until - now))) == 0)
			return SP_ETIME;
		if (n < 0 && errno != EINTR)
			return SP_EIO;
		err = n < 0 ? SP_ETIME : receive_done(a, &got, &ok);
	} while (err == SP_ETIME || (err == SP_OK && got != tag));
	if (err != SP_OK)
		return err;
	return ok ? SP_OK : SP_EINVAL;
}

/* pair[0] is ours. */
static int
make_pairs(unsigned n, int (*pair)[2])
{
	for (unsigned i = 0; i < n; i++)
		pair[i][0] = pair[i][1] = -1;
	for (unsigned i = 0; i < n; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair[i]) != 0)
			return SP_EIO;
	return SP_OK;
}

static void
close_side(unsigned n, int (*pair)[2], int side)
{
	for (unsigned i = 0; i < n; i++)
		if (pair[i][side] >= 0)
			close(pair[i][side]);
}

/* Neither doors nor the ways to keyd and the proxy: the log, and what is ours. */
static void
keep_only(const int *theirs, unsigned n)
{
	int *keep = xcalloc(n + 2, sizeof(*keep));

	memcpy(keep, theirs, n * sizeof(*keep));
	keep[n] = log_descriptor();
	keep[n + 1] = log_journal_descriptor();
	proc_close_all_but(keep, n + 2);
	free(keep);
}

int
authd_start(struct authd *a, const struct authd_setup *setup)
{
	unsigned n = setup->nworkers + 1;
	int (*pair)[2] = xcalloc(n, sizeof(*pair)), *theirs, err;

	memset(a, 0, sizeof(*a));
	a->control = -1;
	if (make_pairs(n, pair) != SP_OK || (a->pid = fork()) < 0) {
		close_side(n, pair, 0);
		close_side(n, pair, 1);
		free(pair);
		a->pid = 0;
		return SP_EIO;
	}
	if (a->pid == 0) {
		close_side(n, pair, 0);
		theirs = xcalloc(n, sizeof(*theirs));
		for (unsigned i = 0; i < n; i++)
			theirs[i] = pair[i][1];
		keep_only(theirs, n);
		become_authd(setup, theirs, theirs[setup->nworkers]);
		_exit(EX_SOFTWARE);
	}
	close_side(n, pair, 1);
	a->nworkers = setup->nworkers;
	a->control = pair[setup->nworkers][0];
	a->worker = xcalloc(n, sizeof(*a->worker));
	for (unsigned i = 0; i < setup->nworkers; i++) {
		a->worker[i] = pair[i][0];
		fcntl(a->worker[i], F_SETFL, O_NONBLOCK);
	}
	free(pair);
	if ((err = wait_done(a, 0)) != SP_OK)
		authd_stop(a);
	return err == SP_OK || err == SP_EINVAL ? err : SP_EIO;
}

/* A question without a body. One that hangs takes none any more some day, and whoever asks does not wait for that. */
static int
ask_control(struct authd *a, enum authd_type type)
{
	struct frame f = { .type = (uint16_t)type, .tag = a->asked + 1 };
	unsigned char out[FRAME_HEAD];

	frame_format(&f, out);
	if (send(a->control, out, sizeof(out), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(out))
		return errno == EAGAIN || errno == EWOULDBLOCK ? SP_ETIME : SP_ECLOSED;
	a->asked++;
	return SP_OK;
}

int
authd_command(struct authd *a, enum authd_type type)
{
	int err = ask_control(a, type);

	return err == SP_OK ? wait_done(a, a->asked) : err;
}

void
authd_beat(struct authd *a)
{
	if (a->control >= 0 && a->beat == 0 && ask_control(a, AUTHD_BEAT) == SP_OK)
		a->beat = a->asked;
}

bool
authd_hear(struct authd *a)
{
	bool was = a->beat != 0, ok;
	uint64_t tag;
	int err = receive_done(a, &tag, &ok);

	if (err == SP_ECLOSED) {
		/* it ends, if it has not ended already: who starts the next one hears of it */
		close(a->control);
		a->control = -1;
	}
	return err == SP_OK && was && a->beat == 0;
}

void
authd_leave(struct authd *a)
{
	free(a->worker);
	memset(a, 0, sizeof(*a));
	a->control = -1;
}

/* Its channels are closed, which ends it; one that hangs is killed, and so is what it has started, if that is left. */
static void
wait_for_end(pid_t pid)
{
	uint64_t until = clock_ms() + END_MS;
	siginfo_t info = { .si_pid = 0 };
	int err;

	while ((err = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT)) == 0 || errno == EINTR) {
		if (err == 0 && info.si_pid == pid)
			break;
		if (clock_ms() >= until)
			kill(pid, SIGKILL);
		usleep(2000);
	}
	if (err == 0) {
		/* as long as nobody has waited for it, the group's number is nobody else's */
		kill(-pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

void
authd_stop(struct authd *a)
{
	if (a->control >= 0)
		close(a->control);
	for (unsigned i = 0; i < a->nworkers; i++)
		if (a->worker[i] >= 0)
			close(a->worker[i]);
	free(a->worker);
	if (a->pid > 0)
		wait_for_end(a->pid);
	memset(a, 0, sizeof(*a));
	a->control = -1;
}
