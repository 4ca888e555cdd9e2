/*
 * admin/master.c - see master.h.
 */
#include "admin/master.h"

#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/daemon.h"
#include "admin/stage.h"
#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/watch.h"
#include "net/worker.h"

#define ASK_MS		60000	/* the master reads files that may be large */
#define REPLY_MS	5000	/* how long the proxy, who waits for it, may take to take an answer */
#define CALM_MS		10000	/* who has lived so long may be started again at once */
#define FIRST_PAUSE_MS	100
#define PUSH_TRIES	50	/* with FIRST_PAUSE_MS between them; then the proxy begins anew, which gives it all channels */
#define CONTENT_MS	60000	/* how long a new version may look at its configuration */
#define START_PARTS	4	/* times hung_ms that a proxy may take to be ready */
#define AWAY_MS		(3 * NET_TURN_MS)
#define WATCHDOG_PARTS	4	/* so many times as often as it must, the service manager is told that all is well */

/* Something that is started again when it ends. */
struct life {
	enum lives_of	 of;
	pid_t		 pid;		/* 0: not there */
	struct watch	 watch;
	bool		 killed;	/* since it hung */
	uint64_t	 began;
	unsigned	 pause;		/* before the next start */
	uint64_t	 due;		/* when that is; 0: not waited for */
};

/* Channels that the proxy is to have, and is given until it has them. */
struct push {
	enum master_type type;
	int		 fds[NET_WORKERS_MAX];	/* of a helper, which are the owner's; keyd's are made for each try */
	uint64_t	 due;		/* when the next try is; 0: there is nothing that it does not have */
	unsigned	 tries;
};

struct master {
	const struct master_spec *spec;
	char		 self[PATH_MAX];	/* the program; "" if that cannot be told */
	struct life	 proxy, keyd, helper;
	struct push	 keyd_push, helper_push;
	int		 signals;
	int		 channel;	/* to the proxy; -1: there is none */
	int		 pushed;
	bool		 served;	/* a proxy has been ready once */
	bool		 ready;		/* the one that is there has */
	bool		 stopping;
	uint64_t	 kill_at;	/* the proxy has not ended by then: it is killed */
	uint64_t	 looked_at;	/* whether somebody hangs */
	unsigned	 crashes;
	unsigned	 watchdog_ms;	/* within which the service manager wants to hear of us; 0: it does not watch */
	pid_t		 old_proxy, old_keyd;	/* of the program before this one; 0: none */
	uint64_t	 old_kill_at;	/* its proxy has not drained by then; 0: it was not told to yet */
	int		 old_control;	/* what keeps its keyd alive; -1: nothing */
	int		 old_lifeline;	/* and another of its processes */
	bool		 done;
	int		 status;
};

/* ---- lives ---- */

static void
began(struct master *m, struct life *l, pid_t pid)
{
	l->pid = pid;
	l->began = clock_ms();
	l->due = 0;
	l->killed = false;
	watch_begin(&l->watch, m->spec->hung_ms, l->began);
}

/* It has ended, or could not be started: when is the next start? */
static void
ended(struct life *l)
{
	uint64_t now = clock_ms();

	l->pid = 0;
	if (now - l->began >= CALM_MS)
		l->pause = 0;
	l->began = now;		/* a start that fails is no long life */
	l->due = now + l->pause + 1;
	l->pause = l->pause == 0 ? FIRST_PAUSE_MS : l->pause * 2 > MASTER_PAUSE_MS ? MASTER_PAUSE_MS : l->pause * 2;
}

static const char *
how(int status)
{
	return WIFSIGNALED(status) ? "signal" : "status";
}

static int
with_what(int status)
{
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- the proxy's process ---- */

static _Noreturn void
be_proxy(struct master *m, struct backstage *b)
{
	int *keep = xreallocarray(NULL, m->spec->ndoors + m->spec->nkept + b->nkeys + 4, sizeof(*keep));
	size_t n = 0;
	int rc;

	/* above all not the key files, and not the way to keyd that loads them */
	net_keyd_leave(m->spec->keyd);
	keep[n++] = b->channel;
	keep[n++] = b->pushed;
	keep[n++] = log_descriptor();
	keep[n++] = log_journal_descriptor();
	for (unsigned i = 0; i < b->nkeys; i++)
		keep[n++] = b->keys[i];
	for (size_t i = 0; i < m->spec->ndoors; i++)
		keep[n++] = m->spec->doors[i];
	for (size_t i = 0; i < m->spec->nkept; i++)
		keep[n++] = m->spec->kept[i];
	proc_close_all_but(keep, n);
	free(keep);
	(void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL);
	rc = m->spec->proxy(m->spec->owner, b);
	exit(rc);
}

static void
close_channels(struct master *m)
{
	if (m->channel != -1)
		close(m->channel);
	if (m->pushed != -1)
		close(m->pushed);
	m->channel = m->pushed = -1;
}

static int
start_proxy(struct master *m)
{
	struct backstage b = { .nkeys = m->spec->nworkers, .hung_ms = m->spec->hung_ms };
	int questions[2] = { -1, -1 }, pushes[2] = { -1, -1 };
	bool keyless = net_keyd_channels(m->spec->keyd, b.keys) != SP_OK;
	pid_t pid = -1;

	for (unsigned i = 0; keyless && i < b.nkeys; i++)
		b.keys[i] = -1;		/* keyd is being replaced, or we have no descriptors: its channels will follow */
	/* what is at -1 now could not be replaced later: a channel that is dead can */
	for (unsigned i = 0; i < b.nkeys; i++)
		if (b.keys[i] == -1)
			b.keys[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (chan_pair(questions) == SP_OK && chan_pair(pushes) == SP_OK) {
		b.channel = questions[1];
		b.pushed = pushes[1];
		if ((pid = fork()) == 0)
			be_proxy(m, &b);
	}
	if (pid == -1) {
		log_say(SP_LOG_ERROR, "proxy", "cannot be started: %s", strerror(errno));
		for (int i = 0; i < 2; i++) {
			if (questions[i] != -1)
				close(questions[i]);
			if (pushes[i] != -1)
				close(pushes[i]);
		}
	} else {
		m->channel = questions[0];
		m->pushed = pushes[0];
		chan_patience(m->channel, REPLY_MS);
		chan_patience(m->pushed, REPLY_MS);
		close(questions[1]);
		close(pushes[1]);
		began(m, &m->proxy, pid);
		m->ready = false;
		watch_begin(&m->proxy.watch, START_PARTS * m->spec->hung_ms, m->proxy.began);
		/* it has been born with all of them, mostly */
		m->keyd_push.due = keyless ? m->proxy.began : 0;
		m->helper_push.due = 0;
		m->keyd_push.tries = m->helper_push.tries = 0;
	}
	for (unsigned i = 0; i < b.nkeys; i++)
		close(b.keys[i]);
	return pid == -1 ? SP_EIO : SP_OK;
}

static void
finish(struct master *m, int status)
{
	m->done = true;
	m->status = status;
}

static void
proxy_ended(struct master *m, int status)
{
	close_channels(m);
	m->proxy.pid = 0;
	if (WIFEXITED(status) && (m->stopping || WEXITSTATUS(status) == 0 || !m->served)) {
		finish(m, WEXITSTATUS(status));
	} else if (m->stopping || !m->served) {
		log_say(SP_LOG_ERROR, "proxy-ended", "the process that serves has ended (signal %d)", WTERMSIG(status));
		finish(m, EX_SOFTWARE);
	} else {
		m->crashes++;
		lives_again(LIVES_PROXY);
		log_say(SP_LOG_ERROR, "proxy-ended", "the process that serves has ended (%s %d), the %u. time; the doors stay "
		    "open, and another takes its place", how(status), with_what(status), m->crashes);
		ended(&m->proxy);
	}
}

/* ---- what the proxy is given unasked ---- */

static void
die_of(struct master *m, const char *what, unsigned type)
{
	log_say(SP_LOG_ERROR, "proxy-bad-frame", "%s (type %u); the process that serves is ended", what, type);
	kill(m->proxy.pid, SIGKILL);
	close_channels(m);
}

static int
send_channels(struct master *m, struct push *p)
{
	const struct frame f = { .type = (uint16_t)p->type };
	bool made = p->type == MASTER_KEYS;
	int err;

	if (made && net_keyd_channels(m->spec->keyd, p->fds) != SP_OK)
		return m->keyd.due != 0 ? SP_OK : SP_EIO;	/* keyd itself is gone: the next one's follow */
	err = chan_send(m->pushed, &f, p->fds, m->spec->nworkers);
	for (unsigned i = 0; made && i < m->spec->nworkers; i++)
		close(p->fds[i]);
	return err;
}

/*
 * A proxy without them would serve on and refuse everybody, and nobody would know why. So the try is repeated; and one
 * that does not take them at all is ended, for the one after it is born with them.
 */
static void
push(struct master *m, struct push *p)
{
	int err;

	p->due = 0;
	if (m->proxy.pid == 0 || m->pushed == -1)
		return;		/* the next one gets them with its birth */
	if (p->type == MASTER_KEYS && net_keyd_is_mute(m->spec->keyd)) {
		p->due = clock_ms() + FIRST_PAUSE_MS;
		return;		/* it answers again, or another one does */
	}
	if ((err = send_channels(m, p)) == SP_OK) {
		p->tries = 0;
		kill(m->proxy.pid, SIGCHLD);	/* DAEMON_CHILD there */
	} else if (err == SP_ETIME || ++p->tries >= PUSH_TRIES) {
		p->tries = 0;
		die_of(m, "new channels that it does not take", p->type);
	} else {
		if (p->tries == 1)
			log_say(SP_LOG_ERROR, "channels-unsent", "the process that serves cannot be given its new channels (type %u): "
			    "%s; it is tried again", p->type, strerror(errno));
		p->due = clock_ms() + FIRST_PAUSE_MS;
	}
}

/* ---- keyd ---- */

static void
keyd_ended(struct master *m, int status)
{
	log_say(SP_LOG_ERROR, "keyd-ended", "the process that holds the keys has ended (%s %d); no handshake works until "
	    "another has taken its place", how(status), with_what(status));
	ended(&m->keyd);
}

static void
start_keyd(struct master *m)
{
	if (net_keyd_restart(m->spec->keyd) != SP_OK) {
		ended(&m->keyd);
		return;
	}
	began(m, &m->keyd, net_keyd_pid(m->spec->keyd));
	lives_again(LIVES_KEYD);
	push(m, &m->keyd_push);
	log_say(SP_LOG_NOTICE, "keyd-started", "handshakes work again");
}

/* ---- the daemon's own helper ---- */

static void
helper_ended(struct master *m, int status)
{
	m->helper.pid = 0;
	m->spec->helper->ended(m->spec->owner, how(status), with_what(status));
	ended(&m->helper);
}

static void
start_helper(struct master *m)
{
	/* a new proxy gets a new one anyway */
	m->helper.due = m->helper_push.due = 0;
	if (m->proxy.pid == 0)
		return;
	if (!m->spec->helper->start(m->spec->owner, m->helper_push.fds)) {
		ended(&m->helper);
		return;
	}
	began(m, &m->helper, *m->spec->helper->pid);
	lives_again(m->spec->helper->life);
	push(m, &m->helper_push);
}

/* ---- the end ---- */

static void
stop(struct master *m)
{
	if (!m->stopping)
		daemon_notify("STOPPING=1");
	m->stopping = true;
	m->kill_at = clock_ms() + m->spec->stop_ms;
	m->spec->close_doors(m->spec->owner);
	if (m->proxy.pid != 0)
		kill(m->proxy.pid, SIGTERM);
	else
		finish(m, 0);
}

/* ---- questions ---- */

static void
reply(struct master *m, uint64_t tag, bool ok, const int *fds, unsigned nfds)
{
	unsigned char body[1] = { ok };
	struct frame f = { .type = MASTER_ANSWER, .tag = tag, .body = body, .len = 1 };

	int err = chan_send(m->channel, &f, fds, nfds);

	/* who asks and asks and takes no answer would have the master, who has signals to hear, wait for ever */
	if (err == SP_ETIME)
		die_of(m, "an answer that it does not take", MASTER_ANSWER);
	else if (err != SP_OK)
		log_say(SP_LOG_ERROR, "proxy", "does not take an answer: %s", strerror(errno));
}

static void
answer_log(struct master *m, uint64_t tag)
{
	bool ok = log_reopen() == SP_OK;
	int fd = log_descriptor();

	if (ok)
		net_keyd_log(m->spec->keyd, fd);
	if (m->spec->reopened != NULL && !m->spec->reopened(m->spec->owner))
		ok = false;
	reply(m, tag, ok, &fd, 1);
}

static const struct master_question *
find_question(const struct master_question *q, unsigned type)
{
	while (q->type != 0 && q->type != type)
		q++;
	return q->type != 0 ? q : NULL;
}

static void
answer_own(struct master *m, const struct master_question *q, void *owner, const struct chan_msg *msg)
{
	struct master_answer a = { .fd = -1 };
	char *bytes = NULL;
	size_t n = 0;
	int fd = -1;

	if ((a.file = open_memstream(&bytes, &n)) == NULL)
		abort();		/* only when out of memory */
	q->answer(owner, msg->nfds != 0 ? msg->fds[0] : -1, &a);
	fclose(a.file);
	if (a.fd != -1)
		fd = a.fd;
	else if (n != 0 && (fd = chan_file("answer", span_of(bytes, n))) == -1) {
		log_say(SP_LOG_ERROR, "proxy", "an answer cannot be sent: %s", strerror(errno));
		a.ok = false;
	}
	if (bytes != NULL)
		mem_wipe_free(bytes, n);	/* it may be keys */
	reply(m, msg->f.tag, a.ok, &fd, fd != -1);
	if (fd != -1)
		close(fd);
}

static void
answer(struct master *m, const struct chan_msg *msg)
{
	const struct master_question *q = find_question(stage_questions, msg->f.type);
	void *owner = q != NULL ? (void *)(uintptr_t)m->spec : m->spec->owner;

	if (msg->f.len != 0) {
		die_of(m, "a question that is too long", msg->f.type);
	} else if (msg->f.type == MASTER_READY && msg->nfds == 0) {
		if (!m->served && m->old_proxy != 0) {
			kill(m->old_proxy, SIGTERM);
			m->old_kill_at = clock_ms() + m->spec->stop_ms;
		}
		if (!m->ready)
			watch_begin(&m->proxy.watch, m->spec->hung_ms, clock_ms());
		m->served = m->ready = true;
		daemon_notify("READY=1");
	} else if (msg->f.type == MASTER_ALIVE && msg->nfds == 0) {
		watch_heard(&m->proxy.watch, clock_ms());
		if (m->watchdog_ms != 0)
			daemon_notify("WATCHDOG=1");
	} else if (msg->f.type == MASTER_STOP && msg->nfds == 0) {
		stop(m);
	} else if (msg->f.type == MASTER_LOG && msg->nfds == 0) {
		answer_log(m, msg->f.tag);
	} else {
		if (q == NULL)
			q = find_question(m->spec->questions, msg->f.type);
		if (q == NULL || q->takes_fd != (msg->nfds == 1))
			die_of(m, "a question that may not be asked", msg->f.type);
		else
			answer_own(m, q, owner, msg);
	}
}

static void
asked(struct master *m)
{
	struct chan_msg *msg = xmalloc(sizeof(*msg));
	int err = chan_recv(m->channel, msg, 1);

	if (err == SP_OK) {
		answer(m, msg);
		chan_done(msg);
	} else if (err == SP_ESYNTAX) {
		die_of(m, "something that is no frame", 0);
	} else if (err != SP_ETIME) {
		close_channels(m);	/* it ends, and SIGCHLD will say how */
	}
	free(msg);
}

/* ---- who hangs ---- */

static void
kill_hung(struct life *l)
{
	/* that it ends is seen as with any other; what waits in the kernel ends when that lets it, and is not killed again */
	if (l->killed)
		return;
	l->killed = true;
	lives_hung(l->of, l->watch.limit);
	kill(l->pid, SIGKILL);
}

static const int *
control_of(const struct master *m)
{
	return m->helper.pid != 0 && *m->spec->helper->pid == m->helper.pid ? m->spec->helper->control : NULL;
}

/* What they say: before anybody is judged. */
static void
hear(struct master *m, bool keyd, bool helper)
{
	if (keyd && m->keyd.pid != 0 && net_keyd_control(m->spec->keyd) != -1 && net_keyd_hear(m->spec->keyd))
		watch_heard(&m->keyd.watch, clock_ms());
	if (helper && control_of(m) != NULL && m->spec->helper->hear(m->spec->owner))
		watch_heard(&m->helper.watch, clock_ms());
}

static unsigned
step_of(const struct master *m)
{
	return m->spec->hung_ms / WATCH_STEPS;
}

/* One look in each step: who is silent, and for how long? */
static void
look_after(struct master *m)
{
	uint64_t now = clock_ms();
	bool starting = !m->ready, waits;

	if (m->spec->hung_ms == 0 || now < m->looked_at + step_of(m))
		return;
	m->looked_at = now;
	if (m->keyd.pid != 0) {
		if (watch_over(&m->keyd.watch, now))
			kill_hung(&m->keyd);
		net_keyd_beat(m->spec->keyd);
	}
	if (control_of(m) != NULL) {
		if (watch_over(&m->helper.watch, now))
			kill_hung(&m->helper);
		m->spec->helper->beat(m->spec->owner);
	}
	/* a signature that it waits for comes, or does not, in a time of its own; and how long it drains is another matter */
	waits = m->keyd.pid != 0 && m->keyd.watch.silent > 2 * step_of(m);
	if (m->proxy.pid == 0 || m->stopping || waits || (starting && !m->served))
		watch_skip(&m->proxy.watch, now);
	else if (watch_over(&m->proxy.watch, now))
		kill_hung(&m->proxy);
}

/* ---- a new version of the program ---- */

#define BEFORE	"SALLYPORT_BEFORE"	/* who is to drain: proxy, keyd, the channel to that, and the lifeline */

/* Is the program, as it is now, content with its configuration? */
static bool
is_content(const struct master *m)
{
	char *const check[] = { (char *)(uintptr_t)m->self, (char *)(uintptr_t)"-n", (char *)(uintptr_t)"-f",
	    (char *)(uintptr_t)m->spec->file, NULL };
	uint64_t until = clock_ms() + CONTENT_MS;
	int status;
	pid_t pid = fork(), got;

	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execv(m->self, check);
		_exit(EX_UNAVAILABLE);
	}
	/* meanwhile nobody is looked after: so it has an end */
	while (pid > 0 && ((got = waitpid(pid, &status, WNOHANG)) == 0 || (got == -1 && errno == EINTR))) {
		if (clock_ms() >= until)
			kill(pid, SIGKILL);
		usleep(5000);
	}
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Numbers that no door will get. */
static int
above_doors(const struct master *m)
{
	int n = 3;

	for (size_t i = 0; i < m->spec->ndoors; i++)
		n += m->spec->doors[i] != -1;
	return n;
}

/* The doors to the numbers from 3 on, open over exec; how many. */
static int
hold_doors(const struct master *m)
{
	int *high = xreallocarray(NULL, m->spec->ndoors + 1, sizeof(*high));
	int n = 0;

	/* first out of the way, then in their places */
	for (size_t i = 0; i < m->spec->ndoors; i++)
		if (m->spec->doors[i] != -1 && (high[n] = fcntl(m->spec->doors[i], F_DUPFD_CLOEXEC, above_doors(m))) != -1)
			n++;
	for (int i = 0; i < n; i++)
		(void)dup2(high[i], 3 + i);
	free(high);
	return n;
}

static void
become_again(struct master *m)
{
	char *const again[] = { m->self, (char *)(uintptr_t)"-f", (char *)(uintptr_t)m->spec->file, NULL };
	char text[64];
	int control = net_keyd_control(m->spec->keyd), lifeline = m->spec->lifeline != NULL ? *m->spec->lifeline : -1, n;

	if (m->self[0] == '\0' || m->proxy.pid == 0 || m->stopping || m->old_proxy != 0)
		return;
	if (!is_content(m)) {
		log_say(SP_LOG_ERROR, "upgrade-refused", "%s -n does not find the configuration good; nothing has changed",
		    m->self);
		return;
	}
	log_say(SP_LOG_NOTICE, "upgrade", "%s takes over, with the doors open", m->self);
	daemon_notify_reloading();
	/* above where the doors will be */
	control = fcntl(control, F_DUPFD, above_doors(m));
	if (lifeline != -1)
		lifeline = fcntl(lifeline, F_DUPFD, above_doors(m));
	snprintf(text, sizeof(text), "%ld %ld %d %d", (long)m->proxy.pid, (long)m->keyd.pid, control, lifeline);
	setenv(BEFORE, text, 1);
	n = hold_doors(m);
	snprintf(text, sizeof(text), "%d", n);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%ld", (long)getpid());
	setenv("LISTEN_PID", text, 1);
	execv(m->self, again);
	/* our own descriptors are overwritten by now: there is no way back but to end */
	fprintf(stderr, "%s: %s\n", m->self, strerror(errno));
	kill(m->proxy.pid, SIGTERM);
	_exit(EX_OSERR);
}

static void
remember_before(struct master *m)
{
	const char *text = getenv(BEFORE);
	long proxy, keyd;
	int control, lifeline = -1;

	m->old_control = m->old_lifeline = -1;
	if (text == NULL)
		return;
	if (sscanf(text, "%ld %ld %d %d", &proxy, &keyd, &control, &lifeline) >= 3 && fcntl(control, F_SETFD, FD_CLOEXEC) == 0) {
		if (lifeline != -1 && fcntl(lifeline, F_SETFD, FD_CLOEXEC) == 0)
			m->old_lifeline = lifeline;
		m->old_proxy = (pid_t)proxy;
		m->old_keyd = (pid_t)keyd;
		m->old_control = control;
	}
	unsetenv(BEFORE);
}

static void
let_old_go(struct master *m)
{
	if (m->old_control != -1)
		close(m->old_control);
	if (m->old_lifeline != -1)
		close(m->old_lifeline);
	m->old_control = m->old_lifeline = -1;
}

static void
old_ended(struct master *m, int status)
{
	log_say(SP_LOG_NOTICE, "upgraded", "the proxy of the program before has ended (%s %d)", how(status), with_what(status));
	m->old_proxy = 0;
	m->old_kill_at = 0;
	let_old_go(m);
}

/* ---- signals, time, and all together ---- */

static void
reap(struct master *m)
{
	siginfo_t info = { .si_pid = 0 };
	int status;
	pid_t pid;

	/* before anybody has waited for it, the number of its group is nobody else's */
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		if (m->spec->helper != NULL && info.si_pid == m->helper.pid)
			kill(-info.si_pid, SIGKILL);
		if ((pid = waitpid(info.si_pid, &status, 0)) != info.si_pid)
			break;
		info.si_pid = 0;
		if (pid == m->proxy.pid)
			proxy_ended(m, status);
		else if (pid == m->keyd.pid)
			keyd_ended(m, status);
		else if (pid == m->old_proxy)
			old_ended(m, status);
		else if (m->spec->helper != NULL && pid == m->helper.pid)
			helper_ended(m, status);
	}
}

static void
signalled(struct master *m)
{
	struct signalfd_siginfo info;

	if (read(m->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGCHLD:
		reap(m);
		break;
	case SIGHUP:
		daemon_notify_reloading();
		if (m->proxy.pid != 0)
			kill(m->proxy.pid, SIGHUP);
		break;
	case SIGUSR1:
		if (m->proxy.pid != 0)
			kill(m->proxy.pid, SIGUSR1);
		break;
	case SIGUSR2:
		become_again(m);
		break;
	default:
		stop(m);
		break;
	}
}

static void
look_at_clock(struct master *m)
{
	uint64_t now = clock_ms();

	if (m->stopping) {
		/* how long that takes is watched here */
		if (m->watchdog_ms != 0)
			daemon_notify("WATCHDOG=1");
		if (m->proxy.pid != 0 && now >= m->kill_at)
			kill(m->proxy.pid, SIGKILL);
	}
	if (m->old_kill_at != 0 && now >= m->old_kill_at) {
		kill(m->old_proxy, SIGKILL);
		m->old_kill_at = 0;
	}
	/* requests that are in flight while it drains need them, too */
	if (m->keyd.due != 0 && now >= m->keyd.due)
		start_keyd(m);
	if (m->helper.due != 0 && now >= m->helper.due)
		start_helper(m);
	if (m->keyd_push.due != 0 && now >= m->keyd_push.due)
		push(m, &m->keyd_push);
	if (m->helper_push.due != 0 && now >= m->helper_push.due)
		push(m, &m->helper_push);
	if (m->stopping)
		return;
	if (m->proxy.due != 0 && now >= m->proxy.due) {
		if (!m->spec->refresh(m->spec->owner) || start_proxy(m) != SP_OK)
			ended(&m->proxy);
		/* it was made anew with it, or is gone */
		if (m->spec->helper != NULL)
			began(m, &m->helper, *m->spec->helper->pid);
	}
}

static int
patience(const struct master *m)
{
	const uint64_t due[] = { m->keyd.due, m->helper.due, m->keyd_push.due, m->helper_push.due, m->stopping ? 0 : m->proxy.due };
	uint64_t now = clock_ms(), next = m->stopping ? m->kill_at : UINT64_MAX;

	for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++)
		if (due[i] != 0 && due[i] < next)
			next = due[i];
	/* the watchdog is fed from here then */
	if (m->stopping && m->watchdog_ms != 0 && next > now + m->watchdog_ms / WATCHDOG_PARTS)
		next = now + m->watchdog_ms / WATCHDOG_PARTS;
	if (m->old_kill_at != 0 && m->old_kill_at < next)
		next = m->old_kill_at;
	if (m->spec->hung_ms != 0 && m->looked_at + step_of(m) < next)
		return m->looked_at + step_of(m) <= now ? 0 : (int)(m->looked_at + step_of(m) - now);
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 100 : (int)(next - now < 60000 ? next - now : 60000);
}

int
master_run(const struct master_spec *spec)
{
	struct master m = { .spec = spec, .channel = -1, .pushed = -1, .keyd_push = { .type = MASTER_KEYS },
	    .helper_push = { .type = MASTER_HELPER }, .proxy = { .of = LIVES_PROXY }, .keyd = { .of = LIVES_KEYD },
	    .helper = { .of = spec->helper != NULL ? spec->helper->life : LIVES_N } };
	ssize_t n = readlink("/proc/self/exe", m.self, sizeof(m.self) - 1);
	sigset_t set;

	m.self[n > 0 ? n : 0] = '\0';
	m.watchdog_ms = daemon_watchdog_ms();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	remember_before(&m);
	if ((m.signals = signalfd(-1, &set, SFD_CLOEXEC)) == -1 || start_proxy(&m) != SP_OK)
		return EX_OSERR;
	began(&m, &m.keyd, net_keyd_pid(spec->keyd));
	if (spec->helper != NULL)
		began(&m, &m.helper, *spec->helper->pid);
	while (!m.done) {
		struct pollfd fds[4] = { { m.signals, POLLIN, 0 }, { m.channel, POLLIN, 0 },
		    { m.keyd.pid != 0 ? net_keyd_control(spec->keyd) : -1, POLLIN, 0 },
		    { control_of(&m) != NULL ? *control_of(&m) : -1, POLLIN, 0 } };

		if (poll(fds, 4, patience(&m)) == -1 && errno != EINTR)
			break;
		hear(&m, fds[2].revents != 0, fds[3].revents != 0);
		if (fds[1].revents != 0 && m.channel != -1)
			asked(&m);
		if (fds[0].revents != 0)
			signalled(&m);
		if (!m.done)
			look_at_clock(&m);
		if (!m.done)
			look_after(&m);
	}
	close(m.signals);
	close_channels(&m);
	/* who is draining still, ends with us */
	if (m.old_proxy != 0)
		kill(m.old_proxy, SIGKILL);
	let_old_go(&m);
	return m.status;
}

/* ---- the proxy's side ---- */

void
backstage_follow(const struct backstage *b)
{
	struct pollfd p = { b->channel, 0, 0 };

	/* the kernel forgets it with a change of accounts */
	(void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL);
	/* if that was too late, the other end is closed already */
	if (poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0)
		_exit(EX_OSERR);
	chan_patience(b->channel, ASK_MS);
	(void)fcntl(b->pushed, F_SETFL, O_NONBLOCK);
}

static int
ask(struct backstage *b, unsigned type, int fd, struct chan_msg *m)
{
	static uint64_t tag;
	struct frame f = { .type = (uint16_t)type, .tag = ++tag };
	struct frame_reader r;
	int err;

	if ((err = chan_send(b->channel, &f, &fd, fd != -1)) != SP_OK)
		return err;
	if ((err = chan_answer(b->channel, f.tag, m, 1)) != SP_OK)
		return err;
	frame_reader_init(&r, &m->f);
	return m->f.type == MASTER_ANSWER && frame_u8(&r) == 1 && frame_done(&r) ? SP_OK : SP_EINVAL;
}

int
backstage_ask(struct backstage *b, unsigned type, int fd, char **bytes, size_t *n)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	int err = ask(b, type, fd, m);

	if (bytes != NULL) {
		*bytes = NULL;
		*n = 0;
	}
	if (err == SP_OK || err == SP_EINVAL) {
		if (bytes != NULL && m->nfds == 1)
			*bytes = chan_file_read(m->fds[0], MASTER_FILE_MAX, n);
		chan_done(m);
	} else {
		log_say(SP_LOG_ERROR, "master", "does not answer: %s", sp_err_name(err));
		err = SP_ECLOSED;
	}
	free(m);
	return err;
}

int
backstage_ask_file(struct backstage *b, unsigned type)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	int err = ask(b, type, -1, m), fd = -1;

	if (err == SP_OK && m->nfds == 1) {
		fd = m->fds[0];
		m->fds[0] = -1;		/* taken */
	}
	if (err == SP_OK || err == SP_EINVAL)
		chan_done(m);
	free(m);
	errno = EIO;
	return fd;
}

void
backstage_ready(struct backstage *b)
{
	const struct frame f = { .type = MASTER_READY };

	(void)chan_send(b->channel, &f, NULL, 0);
}

void
backstage_alive(struct backstage *b, const struct net_crew *crew)
{
	const struct frame f = { .type = MASTER_ALIVE };
	uint64_t now = clock_ms(), slowest, before = b->looked_at;
	unsigned manager = daemon_watchdog_ms(), limit = manager, every = manager / WATCHDOG_PARTS, id = 0;

	if (b->hung_ms != 0 && (limit == 0 || b->hung_ms < limit))
		limit = b->hung_ms;
	if (b->hung_ms != 0 && (every == 0 || b->hung_ms / WATCH_STEPS < every))
		every = b->hung_ms / WATCH_STEPS;
	b->looked_at = now;
	if (limit == 0 || (b->alive_at != 0 && now < b->alive_at + every))
		return;
	/* who did not look himself for long cannot say that they did not turn: the machine may have been suspended */
	if (before != 0 && now - before > AWAY_MS)
		return;
	slowest = net_crew_slowest(crew, &id);
	if (slowest <= NET_TURN_MS + limit / 2) {
		b->alive_at = now;
		b->hung = false;
		(void)chan_send(b->channel, &f, NULL, 0);
	} else if (!b->hung) {
		b->hung = true;
		log_say(SP_LOG_ERROR, "worker-hung", "the loop of worker %u has not turned for %llu ms; the master and the service "
		    "manager are not told any more that all is well", id, (unsigned long long)slowest);
	}
}

void
backstage_stop(struct backstage *b)
{
	const struct frame f = { .type = MASTER_STOP };

	(void)chan_send(b->channel, &f, NULL, 0);
}

int
backstage_reopen_log(struct backstage *b)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	int err = ask(b, MASTER_LOG, -1, m);
	bool answered = err == SP_OK || err == SP_EINVAL;

	if (err == SP_OK && m->nfds == 1) {
		/* standard error stays what it is */
		if (m->fds[0] > STDERR_FILENO && log_take(m->fds[0]) == SP_OK)
			m->fds[0] = -1;
	} else {
		err = SP_EIO;
	}
	if (answered)
		chan_done(m);
	free(m);
	return err;
}

/* Channels that the daemon has not taken are of a helper that was replaced meanwhile. */
static void
close_fresh(struct backstage *b)
{
	for (unsigned i = 0; i < b->nfresh; i++)
		close(b->fresh[i]);
	b->nfresh = 0;
}

void
backstage_look(struct backstage *b)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	int err;

	while ((err = chan_recv(b->pushed, m, NET_WORKERS_MAX)) == SP_OK) {
		if (m->f.type == MASTER_KEYS && m->nfds == b->nkeys) {
			for (unsigned i = 0; i < m->nfds; i++) {
				/* their workers have them under these numbers */
				chan_patience(m->fds[i], NET_KEYD_PATIENCE_MS);
				(void)dup3(m->fds[i], b->keys[i], O_CLOEXEC);
			}
			log_say(SP_LOG_NOTICE, "keyd-started", "the workers have new channels to the keys");
		} else if (m->f.type == MASTER_HELPER && m->nfds == b->nkeys) {
			close_fresh(b);
			for (unsigned i = 0; i < m->nfds; i++) {
				b->fresh[i] = m->fds[i];
				m->fds[i] = -1;		/* taken */
			}
			b->nfresh = m->nfds;
		}
		chan_done(m);
	}
	free(m);
	/* the kernel has closed some of them: without them we would refuse everybody, and the next proxy is born with its own */
	if (err == SP_ESYNTAX) {
		log_say(SP_LOG_ERROR, "channels-lost", "there are no descriptors left for new channels; the process that serves ends, "
		    "and another begins with them");
		_exit(EX_SOFTWARE);
	}
}
