/*
 * net/keymaster.c - the master's side of keyd: it starts it, and gives it files. See keyd.h.
 */
#include "net/keyd.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/keyd_int.h"

#define PATIENCE_MS	10000
#define END_MS		20000	/* after its channels were closed; sanitizers take their time */

/* A key that keyd has, and the file that it came from: for the keyd after this one. */
struct held {
	uint64_t	 id;
	int		 fd;
};

struct net_keyd {
	pid_t		 pid;
	int		 control;
	unsigned	 nworkers;
	uint64_t	 tag;
	uint64_t	 beat;		/* the question whether it is well; 0: none is open */
	bool		 mute;		/* it has let a question without an answer, and none has come since */
	char		*run_as;
	bool		 sandbox;
	struct held	 held[NET_KEYD_KEYS_MAX];
	size_t		 nheld;
};

static int
launch(struct net_keyd *k)
{
	int ends[2];

	if (chan_pair(ends) != SP_OK) {
		log_say(SP_LOG_ERROR, "keyd", "cannot be started: %s", strerror(errno));
		return SP_EIO;
	}
	if ((k->pid = fork()) == -1) {
		log_say(SP_LOG_ERROR, "keyd", "cannot be started: %s", strerror(errno));
		close(ends[0]);
		close(ends[1]);
		k->pid = 0;
		return SP_EIO;
	}
	if (k->pid == 0) {
		/* doors, files, other channels: nothing of the master's but this and the log */
		proc_close_all_but((const int[]){ ends[1], log_descriptor() }, 2);
		net_keyd_main(ends[1], k->run_as, k->sandbox);
	}
	close(ends[1]);
	k->control = ends[0];
	k->beat = 0;
	k->mute = false;
	chan_patience(k->control, PATIENCE_MS);
	return SP_OK;
}

/* Ask and wait for the answer, in m. */
static int
ask(struct net_keyd *k, enum net_keyd_type type, const struct frame_writer *body, const int *fds, unsigned nfds,
    struct chan_msg *m)
{
	struct frame f = { .type = (uint16_t)type, .tag = ++k->tag };
	int err;

	if (k->control == -1)
		return SP_ECLOSED;
	/* somebody may have a thousand keys to load, and the master others to look after */
	if (k->mute)
		return SP_ETIME;
	if (body != NULL) {
		f.body = body->p;
		f.len = body->len;
	}
	if ((err = chan_send(k->control, &f, fds, nfds)) == SP_OK && (err = chan_answer(k->control, k->tag, m, 0)) == SP_OK)
		k->beat = 0;	/* it has said so by that, and chan_answer() has put away what it said before */
	k->mute = err == SP_ETIME;
	return err;
}

static int
tell(struct net_keyd *k, enum net_keyd_type type, const struct frame_writer *body, const int *fds, unsigned nfds)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	bool was_mute = k->mute;
	int err = ask(k, type, body, fds, nfds, m);

	if (err == SP_OK) {
		if (m->f.type != NET_KEYD_DONE || m->f.len != 0)
			err = SP_ESYNTAX;
		chan_done(m);
	}
	free(m);
	if (err != SP_OK && !was_mute)
		log_say(SP_LOG_ERROR, "keyd", "does not answer: %s", sp_err_name(err));
	return err == SP_OK ? SP_OK : SP_EIO;
}

struct net_keyd *
net_keyd_start(const char *run_as, bool sandbox, unsigned nworkers)
{
	struct net_keyd *k = xcalloc(1, sizeof(*k));

	k->control = -1;
	k->nworkers = nworkers;
	k->run_as = run_as != NULL ? xstrdup(run_as) : NULL;
	k->sandbox = sandbox;
	if (launch(k) != SP_OK || tell(k, NET_KEYD_KEEP, NULL, NULL, 0) != SP_OK) {
		(void)net_keyd_stop(k);
		return NULL;
	}
	return k;
}

void
net_keyd_leave(struct net_keyd *k)
{
	if (k == NULL)
		return;
	if (k->control != -1)
		close(k->control);
	for (size_t i = 0; i < k->nheld; i++)
		close(k->held[i].fd);
	free(k->run_as);
	free(k);
}

bool
net_keyd_stop(struct net_keyd *k)
{
	uint64_t until = clock_ms() + END_MS;
	int status = 0;
	pid_t pid, got;

	if (k == NULL)
		return true;
	pid = k->pid;
	net_keyd_leave(k);
	while (pid > 0 && ((got = waitpid(pid, &status, WNOHANG)) == 0 || (got == -1 && errno == EINTR))) {
		if (clock_ms() >= until)
			kill(pid, SIGKILL);
		usleep(2000);
	}
	return status == 0;
}

void
net_keyd_beat(struct net_keyd *k)
{
	const struct frame f = { .type = NET_KEYD_BEAT, .tag = k->tag + 1 };

	if (k->control != -1 && k->beat == 0 && chan_send(k->control, &f, NULL, 0) == SP_OK)
		k->beat = ++k->tag;
}

bool
net_keyd_is_mute(const struct net_keyd *k)
{
	return k->mute;
}

bool
net_keyd_hear(struct net_keyd *k)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	int err = chan_recv(k->control, m, 0);
	bool well = err == SP_OK && m->f.tag == k->beat && m->f.type == NET_KEYD_DONE && m->f.len == 0;

	if (well)
		k->beat = 0;
	if (err == SP_OK) {
		k->mute = false;	/* whatever that answers */
		chan_done(m);
	}
	if (err != SP_OK && err != SP_ETIME) {
		/* it ends, if it has not ended already: who starts the next one hears of it */
		close(k->control);
		k->control = -1;
	}
	free(m);
	return well;
}

pid_t
net_keyd_pid(const struct net_keyd *k)
{
	return k->pid;
}

int
net_keyd_control(const struct net_keyd *k)
{
	return k->control;
}

/* What keyd says of the file: in m, until chan_done(). A name that is not the key's is no answer. */
static int
load(struct net_keyd *k, int fd, struct chan_msg *m, uint64_t *id, struct span *text)
{
	int err = ask(k, NET_KEYD_LOAD, NULL, &fd, 1, m);

	if (err == SP_OK && (!net_key_get_loaded(&m->f, id, text) ||
	    (*id != 0 && *id != net_key_id((const unsigned char *)text->p, text->n)))) {
		chan_done(m);
		err = SP_ESYNTAX;
	}
	return err;
}

static void
hold(struct net_keyd *k, uint64_t id, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	for (size_t i = 0; i < k->nheld; i++) {
		if (k->held[i].id != id)
			continue;
		close(k->held[i].fd);
		k->held[i] = k->held[--k->nheld];
		break;
	}
	if (copy != -1 && k->nheld < NET_KEYD_KEYS_MAX)
		k->held[k->nheld++] = (struct held){ id, copy };
	else if (copy != -1)
		close(copy);
}

int
net_keyd_load(struct net_keyd *k, int fd, uint64_t *id, unsigned char spki[NET_KEYD_SPKI_MAX], size_t *n, char *why,
    size_t size)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	struct span text;
	int err = SP_EIO;

	*id = 0;
	*n = 0;
	snprintf(why, size, "the process that holds the keys does not answer");
	if (load(k, fd, m, id, &text) == SP_OK) {
		if (*id != 0) {
			memcpy(spki, text.p, text.n);
			*n = text.n;
			hold(k, *id, fd);
			err = SP_OK;
		} else {
			snprintf(why, size, "%.*s", SPAN_FMT(text));
			err = SP_ECERT;
		}
		chan_done(m);
	}
	free(m);
	return err;
}

int
net_keyd_restart(struct net_keyd *k)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	struct span text;
	uint64_t id;
	int err;

	if (k->control != -1)
		close(k->control);
	k->control = -1;
	if ((err = launch(k)) == SP_OK) {
		for (size_t i = 0; i < k->nheld; i++) {
			bool same = false;

			if (load(k, k->held[i].fd, m, &id, &text) == SP_OK) {
				same = id == k->held[i].id;
				chan_done(m);
			}
			if (!same)
				log_say(SP_LOG_ERROR, "keyd-key-lost", "the file of a key in use has changed: handshakes "
				    "with it fail until the daemon has read it again");
		}
	}
	free(m);
	return err;
}

void
net_keyd_keep(struct net_keyd *k, const uint64_t *ids, size_t n)
{
	unsigned char body[8 * NET_KEYD_KEYS_MAX];
	struct frame_writer w;

	frame_writer_init(&w, body, sizeof(body));
	for (size_t i = 0; i < n && i < NET_KEYD_KEYS_MAX; i++)
		frame_put_u64(&w, ids[i]);
	(void)tell(k, NET_KEYD_KEEP, &w, NULL, 0);
	for (size_t i = 0; i < k->nheld;) {
		size_t j = 0;

		while (j < n && ids[j] != k->held[i].id)
			j++;
		if (j < n) {
			i++;
			continue;
		}
		close(k->held[i].fd);
		k->held[i] = k->held[--k->nheld];
	}
}

void
net_keyd_log(struct net_keyd *k, int fd)
{
	(void)tell(k, NET_KEYD_LOG, NULL, &fd, 1);
}

int
net_keyd_channels(struct net_keyd *k, int *fds)
{
	int theirs[NET_WORKERS_MAX];
	unsigned n;
	int err = SP_OK;

	for (n = 0; n < k->nworkers && err == SP_OK; n++) {
		int ends[2];

		if ((err = chan_pair(ends)) != SP_OK)
			break;
		theirs[n] = ends[0];
		fds[n] = ends[1];
	}
	if (err == SP_OK)
		err = tell(k, NET_KEYD_CHANNELS, NULL, theirs, n);
	for (unsigned i = 0; i < n; i++) {
		close(theirs[i]);
		if (err != SP_OK)
			close(fds[i]);
	}
	return err;
}
