/*
 * director/wbd.c - the process that asks winbind.
 */
#include "director/wbd.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include <wbclient.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/lives.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sandbox.h"
#include "common/watch.h"

#define THREADS_MAX	64
#define LOOK_US		(50 * 1000)

struct wbd {
	int		 fd;
	const char	*computer;	/* as challenges name this machine */
	pthread_mutex_t	 lock;		/* of what follows */
	bool		 down;		/* the domain did not answer last time */
	bool		 compared;	/* the name that challenges give this machine with the one by which it has joined */
	unsigned	 nthreads;
	uint64_t	 until_ms[THREADS_MAX];	/* until when anybody waits for what a thread asks; 0: it asks nothing */
	int		 beats;		/* where the keeper hears that all is well */
	unsigned	 hung_ms;	/* 0: it does not want to */
};

/* What the keeper keeps. */
struct keeper {
	const struct winbind_conf *conf;
	const char	*computer, *log_dir;
	int		 fd;
	unsigned	 hung_ms;
};

/* One line when it goes, and one when it comes back. */
static void
note(struct wbd *d, const char *failure)
{
	bool changed;

	pthread_mutex_lock(&d->lock);
	changed = d->down != (failure != NULL);
	d->down = failure != NULL;
	pthread_mutex_unlock(&d->lock);
	if (changed && failure == NULL)
		log_say(SP_LOG_NOTICE, "domain-up", "a domain controller answers again");
	else if (changed) {
		struct logrec r = log_begin(SP_LOG_ERROR, "domain-down");

		log_outside(&r, "detail", span_str(failure));
		log_end(&r);
	}
}

/*
 * Domain controllers refuse a response to the challenge of another machine as they refuse a wrong password. So an
 * administrator who gave it the wrong name is told, once winbind answers.
 */
static void
compare_names(struct wbd *d, struct wbcContext *wbc)
{
	struct wbcInterfaceDetails *details = NULL;
	bool already;

	pthread_mutex_lock(&d->lock);
	already = d->compared;
	pthread_mutex_unlock(&d->lock);
	if (already || !WBC_ERROR_IS_OK(wbcCtxInterfaceDetails(wbc, &details)))
		return;
	pthread_mutex_lock(&d->lock);
	already = d->compared;
	d->compared = true;
	pthread_mutex_unlock(&d->lock);
	if (!already && strcasecmp(details->netbios_name, d->computer) != 0) {
		struct logrec r = log_begin(SP_LOG_ERROR, "winbind-name");

		log_outside(&r, "joined-as", span_str(details->netbios_name));
		log_outside(&r, "computer", span_str(d->computer));
		log_text(&r, "detail", "the domain will call every password wrong; set ntlm.computer to the name by which this machine has joined");
		log_end(&r);
	}
	wbcFreeMemory(details);
}

/* --- one question --------------------------------------------------------------------- */

/* What the domain says of an account that it vouches for. False: that is not enough. */
static bool
take_info(const struct wbcAuthUserInfo *info, struct winbind_answer *a)
{
	static const unsigned char none[NTLM_KEY_SIZE];
	/* guests have proved nothing, and without a key there is nothing to sign with */
	const uint32_t bad = WBC_AUTH_USER_INFO_GUEST | WBC_AUTH_USER_INFO_NOENCRYPTION |
	    WBC_AUTH_USER_INFO_CACHED_ACCOUNT | WBC_AUTH_USER_INFO_USED_LM_PASSWORD;

	_Static_assert(sizeof(info->user_session_key) == sizeof(a->key), "a session key is a session key");
	if ((info->user_flags & bad) != 0 || info->domain_name == NULL || info->account_name == NULL ||
	    memcmp(info->user_session_key, none, sizeof(none)) == 0)
		return false;
	a->verdict = WINBIND_PROVED;
	memcpy(a->key, info->user_session_key, sizeof(a->key));
	a->domain = span_str(info->domain_name);
	a->account = span_str(info->account_name);
	return a->domain.n != 0 && a->domain.n < NTLM_NAME_MAX && a->account.n != 0 && a->account.n < NTLM_NAME_MAX;
}

static void
take_error(struct wbd *d, wbcErr err, const struct wbcAuthErrorInfo *error, struct winbind_answer *a)
{
	char failure[256];

	if (err == WBC_ERR_AUTH_ERROR && error != NULL && winbind_refusal(error->nt_status) != NULL) {
		note(d, NULL);
		a->verdict = WINBIND_REFUSED;
		a->status = error->nt_status;
		return;
	}
	snprintf(failure, sizeof(failure), "%s%s%s", wbcErrorString(err), error != NULL ? ": " : "",
	    error != NULL && error->nt_string != NULL ? error->nt_string : "");
	note(d, failure);
	a->verdict = WINBIND_UNREACHED;
}

static void
copy(char out[NTLM_NAME_MAX], struct span s)
{
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
}

/* *info holds what *a borrows; NULL or to be freed by the caller. */
static void
ask(struct wbd *d, struct wbcContext *wbc, const struct winbind_question *q, struct winbind_answer *a,
    struct wbcAuthUserInfo **info)
{
	char user[NTLM_NAME_MAX], domain[NTLM_NAME_MAX], workstation[NTLM_NAME_MAX];
	struct wbcAuthErrorInfo *error = NULL;
	struct wbcAuthUserParams p;
	wbcErr err;

	memset(&p, 0, sizeof(p));
	memset(a, 0, sizeof(*a));
	compare_names(d, wbc);
	copy(user, q->user);
	copy(domain, q->domain);
	copy(workstation, q->workstation);
	p.account_name = user;
	p.domain_name = domain;
	p.workstation_name = workstation;
	/* people only: no account of a machine; no LM response; no weakening for MS-CHAP */
	p.parameter_control = 0;
	p.level = WBC_AUTH_USER_LEVEL_RESPONSE;
	memcpy(p.password.response.challenge, q->nonce, sizeof(q->nonce));
	p.password.response.nt_length = (uint32_t)q->nt.n;
	p.password.response.nt_data = (uint8_t *)(uintptr_t)q->nt.p;
	err = wbcCtxAuthenticateUserEx(wbc, &p, info, &error);
	if (!WBC_ERROR_IS_OK(err))
		take_error(d, err, error, a);
	else {
		note(d, NULL);
		if (!take_info(*info, a)) {
			mem_wipe(a->key, sizeof(a->key));
			*a = (struct winbind_answer){ .verdict = WINBIND_REFUSED, .status = 0xc000006e };
		}
	}
	if (error != NULL)
		wbcFreeMemory(error);
}

static void
die(const char *what)
{
	log_say(SP_LOG_ERROR, "authd-bad-frame", "%s; the process that asks winbind ends", what);
	_exit(EX_SOFTWARE);
}

static void
waits_until(struct wbd *d, unsigned thread, uint64_t ms)
{
	pthread_mutex_lock(&d->lock);
	d->until_ms[thread] = ms;
	pthread_mutex_unlock(&d->lock);
}

/*
 * Winbind's library cannot be told to give up. When every thread waits for what nobody
 * wants to hear any more, the process ends, and with it its connections; its successor
 * asks what is new. So whoever signs in when the domain is back does not wait for those who did before.
 */
static void *
look(void *arg)
{
	struct wbd *d = arg;
	uint64_t told = 0;

	for (;;) {
		uint64_t now = clock_ms();
		unsigned stuck = 0;

		pthread_mutex_lock(&d->lock);
		for (unsigned i = 0; i < d->nthreads; i++)
			stuck += d->until_ms[i] != 0 && d->until_ms[i] <= now;
		if (stuck != 0 && stuck == d->nthreads) {
			log_say(SP_LOG_WARNING, "winbind-stuck", "all %u questions wait for a domain that does not answer; "
			    "they are given up", stuck);
			_exit(EX_TEMPFAIL);
		}
		pthread_mutex_unlock(&d->lock);
		if (d->hung_ms != 0 && now >= told + d->hung_ms / WATCH_STEPS) {
			watch_beat(d->beats);
			told = now;
		}
		usleep(LOOK_US);
	}
	return NULL;
}

static void
answer(struct wbd *d, struct wbcContext *wbc, unsigned thread, const struct frame *f)
{
	unsigned char out[WINBIND_PACKET_MAX];
	struct frame head = { .type = WINBIND_ANSWER, .tag = f->tag, .body = out + FRAME_HEAD };
	struct wbcAuthUserInfo *info = NULL;
	struct winbind_question q;
	struct winbind_answer a;
	struct frame_writer w;

	if (!winbind_get_question(f, &q))
		die("a question that is malformed");
	if (clock_ms() >= q.until_ms)
		return;		/* it waited for us too long */
	waits_until(d, thread, q.until_ms);
	ask(d, wbc, &q, &a, &info);
	waits_until(d, thread, 0);
	frame_writer_init(&w, out + FRAME_HEAD, sizeof(out) - FRAME_HEAD);
	winbind_put_answer(&w, &a);
	mem_wipe(a.key, sizeof(a.key));
	if (info != NULL) {
		mem_wipe(info->user_session_key, sizeof(info->user_session_key));
		wbcFreeMemory(info);
	}
	head.len = w.len;
	frame_format(&head, out);
	if (send(d->fd, out, FRAME_HEAD + w.len, MSG_NOSIGNAL) < 0 && errno != EINTR)
		_exit(EX_OK);
	mem_wipe(out, FRAME_HEAD + w.len);
}

static void *
serve(void *arg)
{
	struct wbd *d = arg;
	struct wbcContext *wbc = wbcCtxCreate();
	unsigned char in[WINBIND_PACKET_MAX];
	unsigned thread;
	struct frame f;

	if (wbc == NULL)
		_exit(EX_OSERR);
	/* until the sandbox is there */
	pthread_mutex_lock(&d->lock);
	thread = d->nthreads++;
	pthread_mutex_unlock(&d->lock);
	for (;;) {
		int err = frame_wait(d->fd, in, sizeof(in), &f);

		if (err == SP_ECLOSED)
			_exit(EX_OK);	/* authd has ended */
		if (err != SP_OK)
			die("a packet that is no frame");
		if (f.type == WINBIND_QUESTION)
			answer(d, wbc, thread, &f);
		else if (f.type == WINBIND_REOPEN)
			log_reopen();
		else
			die("a question that is none");
	}
	return NULL;
}

static void
work(const struct keeper *k, int beats)
{
	const struct winbind_conf *conf = k->conf;
	const struct sandbox_path logs = { k->log_dir, true };
	struct wbd d = { .fd = k->fd, .computer = k->computer, .beats = beats, .hung_ms = k->hung_ms };
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_mutex_init(&d.lock, NULL);
	/* winbind's pipes are found without being read */
	if (sandbox_files(SANDBOX_WBD, &logs, k->log_dir != NULL) != SP_OK)
		_exit(EX_OSERR);
	pthread_mutex_lock(&d.lock);
	for (int i = 1; i < conf->connections && i < THREADS_MAX; i++)
		if (pthread_create(&thread, NULL, serve, &d) != 0)
			log_say(SP_LOG_ERROR, "winbind-ended", "a thread could not start");
	if (pthread_create(&thread, NULL, look, &d) != 0)
		_exit(EX_OSERR);
	if (sandbox_calls(SANDBOX_WBD) != SP_OK)
		_exit(EX_OSERR);
	pthread_mutex_unlock(&d.lock);
	serve(&d);
}

/* authd hears that the keeper is well. If there is no room, it has heard enough. */
static void
tell_authd(void *arg)
{
	const struct frame f = { .type = WINBIND_BEAT };
	const struct keeper *k = arg;
	unsigned char out[FRAME_HEAD];

	frame_format(&f, out);
	(void)send(k->fd, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The process that asks, from its beginning to its end: its status, as of waitpid(); -1: there was none. */
static int
keep_one(struct keeper *k)
{
	int beats[2] = { -1, -1 }, status;
	bool hung = false;
	pid_t pid;

	if (watch_pipe(beats) != SP_OK)
		return -1;
	if ((pid = fork()) == 0) {
		close(beats[0]);
		work(k, beats[1]);
		_exit(EX_SOFTWARE);
	}
	close(beats[1]);
	status = pid > 0 ? watch_child(pid, beats[0], k->hung_ms, tell_authd, k, &hung) : -1;
	close(beats[0]);
	if (hung)
		lives_hung(LIVES_WINBIND, k->hung_ms);
	return status;
}

void
wbd_keep(const struct winbind_conf *conf, const char *computer, const char *run_as, const char *log_dir, unsigned hung_ms, int fd)
{
	struct keeper k = { .conf = conf, .computer = computer, .log_dir = log_dir, .fd = fd, .hung_ms = hung_ms };
	int status;

	if (run_as != NULL && proc_drop_to(run_as) != SP_OK) {
		log_say(SP_LOG_ERROR, "winbind-account", "cannot become %s", run_as);
		_exit(EX_NOUSER);
	}
	proc_harden();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	/* after the last change of who we are, which would undo it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "winbind");
	for (;;) {
		status = keep_one(&k);
		if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == EX_OK)
			_exit(EX_OK);
		if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == EX_TEMPFAIL)
			continue;	/* it has said why, and lived for as long as an answer may take */
		lives_again(LIVES_WINBIND);
		log_say(SP_LOG_ERROR, "winbind-ended", "the process that asks winbind has ended (status %d); another "
		    "takes its place", status);
		sleep(1);
	}
}
