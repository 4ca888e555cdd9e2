/*
 * director/winbind.c - authd's side of a Windows domain.
 */
#include "director/winbind.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/err.h"
#include "common/lives.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/slots.h"
#include "common/strbuf.h"
#include "common/watch.h"
#include "director/wbd.h"

/* --- frames ------------------------------------------------------------------------- */

/* It becomes a C string over there. */
static bool
is_name(struct span s)
{
	return s.n < NTLM_NAME_MAX && memchr(s.p, '\0', s.n) == NULL;
}

void
winbind_put_question(struct frame_writer *w, const struct winbind_question *q)
{
	frame_put_u64(w, q->until_ms);
	frame_put_span(w, span_of((const char *)q->nonce, sizeof(q->nonce)));
	frame_put_span(w, q->domain);
	frame_put_span(w, q->user);
	frame_put_span(w, q->workstation);
	frame_put_span(w, q->nt);
}

bool
winbind_get_question(const struct frame *f, struct winbind_question *q)
{
	struct frame_reader r;
	struct span nonce;

	memset(q, 0, sizeof(*q));
	frame_reader_init(&r, f);
	q->until_ms = frame_u64(&r);
	nonce = frame_span(&r);
	q->domain = frame_span(&r);
	q->user = frame_span(&r);
	q->workstation = frame_span(&r);
	q->nt = frame_span(&r);
	if (!frame_done(&r) || nonce.n != sizeof(q->nonce) || !is_name(q->domain) || !is_name(q->user) ||
	    !is_name(q->workstation) || span_is_empty(q->user) || q->nt.n <= 24 || q->nt.n > NTLM_TOKEN_MAX)
		return false;
	memcpy(q->nonce, nonce.p, sizeof(q->nonce));
	return true;
}

void
winbind_put_answer(struct frame_writer *w, const struct winbind_answer *a)
{
	frame_put_u8(w, (uint8_t)a->verdict);
	frame_put_u32(w, a->status);
	frame_put_span(w, span_of((const char *)a->key, a->verdict == WINBIND_PROVED ? sizeof(a->key) : 0));
	frame_put_span(w, a->domain);
	frame_put_span(w, a->account);
}

bool
winbind_get_answer(const struct frame *f, struct winbind_answer *a)
{
	struct frame_reader r;
	struct span key;
	uint8_t verdict;

	memset(a, 0, sizeof(*a));
	frame_reader_init(&r, f);
	verdict = frame_u8(&r);
	a->status = frame_u32(&r);
	key = frame_span(&r);
	a->domain = frame_span(&r);
	a->account = frame_span(&r);
	a->verdict = (enum winbind_verdict)verdict;
	if (frame_done(&r) && verdict < WINBIND_NVERDICTS && (a->verdict == WINBIND_REFUSED) == (a->status != 0)) {
		if (a->verdict != WINBIND_PROVED && key.n == 0 && a->domain.n == 0 && a->account.n == 0)
			return true;
		if (a->verdict == WINBIND_PROVED && key.n == sizeof(a->key) && is_name(a->domain) && is_name(a->account) &&
		    a->domain.n != 0 && a->account.n != 0) {
			memcpy(a->key, key.p, sizeof(a->key));
			return true;
		}
	}
	memset(a, 0, sizeof(*a));
	a->verdict = WINBIND_UNREACHED;
	return false;
}

/* --- what it means ---------------------------------------------------------------------- */

const char *
winbind_refusal(uint32_t status)
{
	static const struct { uint32_t status; const char *why; } known[] = {
		{ 0xc000006a, "wrong-password" }, { 0xc000006d, "wrong-password" }, { 0xc0000064, "unknown-user" },
		{ 0xc00000df, "unknown-domain" }, { 0xc0000072, "disabled" }, { 0xc0000234, "locked-out" },
		{ 0xc0000193, "account-expired" }, { 0xc0000071, "password-expired" }, { 0xc0000224, "password-expired" },
		{ 0xc000006e, "restricted" }, { 0xc000006f, "restricted" }, { 0xc0000070, "restricted" },
		{ 0xc000015b, "restricted" }, { 0xc0000413, "restricted" }, { 0xc0000418, "restricted" },
		{ 0xc0000198, "no-person" }, { 0xc0000199, "no-person" }, { 0xc000019a, "no-person" },
		{ 0xc000000d, "malformed" }
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status)
			return known[i].why;
	return NULL;
}

bool
winbind_aor(const struct conf_strs *domains, struct span domain, struct span account, char *out, size_t size)
{
	struct strbuf sb;

	out[0] = '\0';
	for (size_t i = 0; i < account.n; i++) {
		unsigned char c = (unsigned char)account.p[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"<>;?,@/\\:", c) != NULL)
			return false;
	}
	for (size_t i = 0; i < domains->n; i++) {
		struct span one = span_str(domains->v[i].s);
		size_t eq = span_find(one, '=');

		if (span_is_empty(account) || !span_ieq(span_head(one, eq), domain))
			continue;
		strbuf_init(&sb, out, size);
		for (size_t j = 0; j < account.n; j++)
			strbuf_putc(&sb, (char)span_lower((unsigned char)account.p[j]));
		strbuf_putc(&sb, '@');
		strbuf_span(&sb, span_tail(one, eq + 1));
		if (strbuf_ok(&sb))
			return true;
		out[0] = '\0';
	}
	return false;
}

/* --- asking --------------------------------------------------------------------------------- */

/* In order of time, which is that of their deadlines. */
struct asked {
	struct asked	*next, **prev;
	uint64_t	 id, until_ms;
	void		*arg;
};

struct winbind {
	const struct winbind_conf *conf;
	winbind_fn		 fn;
	int			 fd;		/* -1: the far end is gone */
	struct slots		*ids;
	struct asked		*first, **last;
	struct watch		 keeper;
};

struct winbind *
winbind_new(const struct winbind_conf *conf, int fd, winbind_fn fn)
{
	struct winbind *w = xcalloc(1, sizeof(*w));

	w->conf = conf;
	w->fn = fn;
	w->fd = fd;
	w->ids = slots_new(WINBIND_WAITING_MAX);
	w->last = &w->first;
	return w;
}

static void
take_out(struct winbind *w, struct asked *q)
{
	slots_remove(w->ids, q->id);
	*q->prev = q->next;
	if (q->next != NULL)
		q->next->prev = q->prev;
	else
		w->last = q->prev;
}

void
winbind_free(struct winbind *w)
{
	struct asked *q;

	if (w == NULL)
		return;
	while ((q = w->first) != NULL) {
		take_out(w, q);
		free(q);
	}
	if (w->fd >= 0)
		close(w->fd);
	slots_free(w->ids);
	free(w);
}

bool
winbind_ask(struct winbind *w, struct winbind_question *question, uint64_t now, void *arg)
{
	unsigned char out[WINBIND_PACKET_MAX];
	struct frame f = { .type = WINBIND_QUESTION, .body = out + FRAME_HEAD };
	struct frame_writer fw;
	struct asked *q;

	if (w->fd < 0)
		return false;
	question->until_ms = now + (uint64_t)w->conf->timeout;
	frame_writer_init(&fw, out + FRAME_HEAD, sizeof(out) - FRAME_HEAD);
	winbind_put_question(&fw, question);
	if (fw.failed)
		return false;
	q = xcalloc(1, sizeof(*q));
	if ((q->id = f.tag = slots_add(w->ids, q)) == 0) {
		free(q);
		return false;
	}
	f.len = fw.len;
	frame_format(&f, out);
	if (send(w->fd, out, FRAME_HEAD + f.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		/* all of its threads are waiting, and the socket is full */
		slots_remove(w->ids, q->id);
		free(q);
		return false;
	}
	q->until_ms = question->until_ms;
	q->arg = arg;
	q->prev = w->last;
	*w->last = q;
	w->last = &q->next;
	return true;
}

static void
settle(struct winbind *w, struct asked *q, const struct winbind_answer *a)
{
	void *arg = q->arg;

	take_out(w, q);
	free(q);
	w->fn(arg, a);
}

static void
die(const char *what)
{
	log_say(SP_LOG_ERROR, "authd-bad-frame", "%s from the process that asks winbind; authd ends", what);
	_exit(EX_SOFTWARE);
}

static void
lose(struct winbind *w)
{
	static const struct winbind_answer nobody = { .verdict = WINBIND_UNREACHED };

	log_say(SP_LOG_ERROR, "winbind-gone", "the process that asks winbind has ended for good");
	close(w->fd);
	w->fd = -1;
	while (w->first != NULL)
		settle(w, w->first, &nobody);
}

void
winbind_ready(struct winbind *w, uint64_t now)
{
	unsigned char in[WINBIND_PACKET_MAX];
	struct winbind_answer a;
	struct asked *q;
	struct frame f;

	for (int i = 0; i < 64 && w->fd >= 0; i++) {
		ssize_t n = recv(w->fd, in, sizeof(in), MSG_DONTWAIT);

		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			lose(w);
			return;
		}
		if (frame_parse(in, (size_t)n, &f) == n && f.type == WINBIND_BEAT && f.len == 0) {
			watch_heard(&w->keeper, now);
			continue;
		}
		if (frame_parse(in, (size_t)n, &f) != n || f.type != WINBIND_ANSWER || !winbind_get_answer(&f, &a))
			die("a wrong answer");
		/* NULL: its time was up */
		if ((q = slots_get(w->ids, f.tag)) != NULL)
			settle(w, q, &a);
		mem_wipe(a.key, sizeof(a.key));
		mem_wipe(in, (size_t)n);
	}
}

void
winbind_tick(struct winbind *w, uint64_t now)
{
	static const struct winbind_answer nobody = { .verdict = WINBIND_UNREACHED };

	while (w->first != NULL && w->first->until_ms <= now) {
		log_say(SP_LOG_ERROR, "winbind-slow", "winbind did not answer in time");
		settle(w, w->first, &nobody);
	}
	/* who would make another of it hangs himself: authd begins anew, and so do they */
	if (w->fd >= 0 && watch_over(&w->keeper, now)) {
		lives_hung(LIVES_WINBIND, w->keeper.limit);
		lose(w);
	}
}

void
winbind_look_after(struct winbind *w, unsigned hung_ms, uint64_t now)
{
	watch_begin(&w->keeper, hung_ms, now);
}

void
winbind_reopen_log(struct winbind *w)
{
	struct frame f = { .type = WINBIND_REOPEN };
	unsigned char out[FRAME_HEAD];

	frame_format(&f, out);
	if (w->fd >= 0)
		(void)send(w->fd, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL);
}

int
winbind_fd(const struct winbind *w)
{
	return w->fd;
}

int
winbind_start(const struct winbind_conf *conf, const char *computer, const char *run_as, const char *log_dir,
    unsigned hung_ms, const int *close_these, unsigned n, int *fd)
{
	int pair[2];
	pid_t pid;

	*fd = -1;
	if (conf->user != NULL && geteuid() == 0 && !proc_knows_user(conf->user)) {
		log_say(SP_LOG_ERROR, "winbind-account", "there is no account %s", conf->user);
		return SP_EINVAL;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return SP_EIO;
	if ((pid = fork()) == 0) {
		for (unsigned i = 0; i < n; i++)
			if (close_these[i] >= 0)
				close(close_these[i]);
		close(pair[0]);
		wbd_keep(conf, computer, conf->user != NULL ? conf->user : run_as, log_dir, hung_ms, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return SP_EIO;
	}
	*fd = pair[0];
	return SP_OK;
}
