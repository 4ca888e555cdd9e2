/*
 * edge/sharedproc.c - the process that speaks with Redis; see shared.h. It waits, and nobody waits for it but the
 * administrator who changes the policy: neither the master nor the proxy.
 *
 * All that is said to Redis at a time (a round) has one deadline; the state is told after a round and never before, so that
 * what is half good, as a server that reads and does not write, is one state and not two in turn.
 */
#include "edge/shared.h"

#include <sys/prctl.h>

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/policystore.h"
#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sandbox.h"
#include "edge/redis.h"

#define STALE_S		3	/* what another node has let pass counts for so long */
#define KEEP_S		"86400"	/* what is known of a partner is forgotten after this silence */
#define RETRY_MS	1000	/* between two tries to connect */
#define HOLD_MS		5000	/* what is refused now and then, with rounds between that are good, is one state */

struct state {
	struct redis		*redis;
	int			 channel;
	const struct shared_setup *setup;
	char			 policy_key[128], nodes_key[128];
	char			 sha256[POLICY_HASH_TEXT];	/* of what is in force on this node */
	char			 unfit[POLICY_HASH_TEXT];	/* the master has looked at that and can't take it; "": none */
	/* what the master was told last */
	enum shared_state	 said;
	enum stats_shared	 said_reason;
	uint64_t		 said_version;
	char			 said_detail[128];
	uint64_t		 tried_at;
	uint64_t		 asked_at;
	uint64_t		 hold;		/* not well before that time; 0: nothing holds it up */
};

/* ---- what is kept there ---- */

bool
shared_read_policy(struct span version, struct span sha256, struct span change, struct span text, struct policy_change *out)
{
	char hash[POLICY_HASH_TEXT];
	uint64_t number;

	if (!span_uint(version, SHARED_VERSION_MAX, &number) || number == 0 || text.n > POLICYSTORE_TEXT_MAX ||
	    change.n >= POLICY_CHANGE_LINE || policy_change_parse(change, out) != SP_OK || out->version != number ||
	    out->action == POLICY_REFUSED || out->action == POLICY_NO_ACTION)
		return false;
	policy_hash(text, hash);
	return span_is(sha256, hash) && strcmp(out->sha256, hash) == 0;
}

/* "TIME REQUESTS ADDRESSEES SUSPICIOUS", one space between. */
bool
shared_read_spent(struct span s, time_t now, struct edge_discovered_spent *out)
{
	static const uint64_t max[4] = { INT64_MAX, 1000000, 1000000, 1 };
	uint64_t v[4];

	for (int i = 0; i < 4; i++) {
		size_t space = span_find(s, ' ');

		if ((i < 3) == (space == s.n) || !span_uint(span_head(s, space), max[i], &v[i]))
			return false;
		s = span_tail(s, space + 1);
	}
	out->addressees = (uint32_t)v[2];
	out->suspicious = v[3] != 0;
	/* a clock that is ahead or behind by more than that says nothing of now */
	out->requests = v[0] + STALE_S >= (uint64_t)now && v[0] <= (uint64_t)now + STALE_S ? (uint32_t)v[1] : 0;
	return true;
}

/* ---- to the master ---- */

static void
say(const struct state *s, const struct frame *f, int fd)
{
	/* it takes what there is about once a second; what it has no room for comes again */
	if (chan_send(s->channel, f, &fd, fd != -1) == SP_ECLOSED)
		exit(0);
}

/* What was said last, with the answer to a tick (0: to none): so many of its partners were told. */
static void
say_again(const struct state *s, uint64_t tick, size_t told)
{
	unsigned char body[256];
	struct frame_writer w;
	struct frame f = { .type = SHARED_STATUS, .tag = tick, .body = body };

	frame_writer_init(&w, body, sizeof(body));
	frame_put_u8(&w, (uint8_t)s->said);
	frame_put_u8(&w, (uint8_t)s->said_reason);
	frame_put_u64(&w, s->said_version);
	frame_put_u64(&w, told);
	frame_put_span(&w, span_str(s->said_detail));
	f.len = w.len;
	say(s, &f, -1);
}

static void
say_status(struct state *s, enum shared_state state, enum stats_shared reason, uint64_t version, const char *detail)
{
	struct span d = span_head(span_str(detail), sizeof(s->said_detail) - 1);

	if (state == s->said && reason == s->said_reason && version == s->said_version && span_is(d, s->said_detail))
		return;
	s->said = state;
	s->said_reason = reason;
	s->said_version = version;
	snprintf(s->said_detail, sizeof(s->said_detail), "%.*s", SPAN_FMT(d));
	say_again(s, 0, 0);
}

/* All is well, so far as one round shows. */
static void
say_up(struct state *s, uint64_t version)
{
	if (clock_ms() < s->hold)
		return;
	s->hold = 0;
	say_status(s, SHARED_UP, STATS_SHARED_NONE, version, "");
}

/* Redis is not to be had; the reason out of what went wrong. */
static void
lost(struct state *s, int err, const char *detail)
{
	enum stats_shared reason = err == SP_ETLS ? STATS_SHARED_CERTIFICATE : err == SP_ETIME ? STATS_SHARED_SILENT :
	    err == SP_EINVAL ? STATS_SHARED_LOGIN : err == SP_ESYNTAX || err == SP_ELIMIT ? STATS_SHARED_NONSENSE :
	    STATS_SHARED_UNREACHABLE;

	redis_down(s->redis);
	s->tried_at = clock_ms();
	say_status(s, SHARED_ALONE, reason, 0, detail != NULL ? detail : sp_err_name(err));
}

/* A round begins: it is over in time, whatever it finds. False: Redis is not to be had. */
static bool
is_up(struct state *s)
{
	const char *why;
	int err;

	redis_until(s->redis, clock_ms() + SHARED_ROUND_MS);
	if (s->said == SHARED_ALONE && clock_ms() - s->tried_at < RETRY_MS)
		return false;
	if ((err = redis_up(s->redis, &why)) == SP_OK)
		return true;
	lost(s, err, why);
	return false;
}

/* Redis said no: this node is on its own, and tries again in a while. */
static void
refused(struct state *s, const struct redis_reply *reply)
{
	char text[128];
	size_t k = 0;

	/* it goes to the log as text of ours: so only what surely is such */
	for (struct span t = redis_text(reply); k < t.n && k + 1 < sizeof(text) && t.p[k] >= ' ' && t.p[k] < 0x7f && t.p[k] != '"'; k++)
		text[k] = t.p[k];
	text[k] = '\0';
	redis_down(s->redis);
	s->tried_at = clock_ms();
	say_status(s, SHARED_ALONE, STATS_SHARED_REFUSED, 0, text);
}

/* Ask; an error that Redis answers with is no answer. NULL: Redis is not to be had, which is said. */
static struct redis_reply *
ask(struct state *s, size_t n, const struct span *words)
{
	struct redis_reply *reply;
	int err = redis_ask(s->redis, n, words, &reply);

	if (err != SP_OK) {
		lost(s, err, NULL);
		return NULL;
	}
	if (redis_is_error(reply)) {
		refused(s, reply);
		redis_reply_free(reply);
		return NULL;
	}
	return reply;
}

/* ---- the policy ---- */

/*
 * That this node is there: for whoever looks into Redis, and since a server that only reads (a replica, one whose disk is
 * full) looks well until something is written.
 */
static bool
write_node(struct state *s)
{
	char now[24];
	struct span set[] = { SPAN_LIT("HSET"), span_str(s->nodes_key), span_str(s->setup->node), SPAN_NONE },
	    expire[] = { SPAN_LIT("EXPIRE"), span_str(s->nodes_key), SPAN_LIT(KEEP_S) };
	struct redis_reply *r = NULL;

	snprintf(now, sizeof(now), "%lld", (long long)clock_wall());
	set[3] = span_str(now);
	if ((r = ask(s, 4, set)) == NULL)
		return false;
	redis_reply_free(r);
	if ((r = ask(s, 3, expire)) == NULL)
		return false;
	redis_reply_free(r);
	return true;
}

/* version and sha256, or with all, change and text besides. NULL: not to be had. */
static struct redis_reply *
look(struct state *s, bool all)
{
	const struct span words[6] = { SPAN_LIT("HMGET"), span_str(s->policy_key), SPAN_LIT("version"), SPAN_LIT("sha256"),
	    SPAN_LIT("change"), SPAN_LIT("text") };
	struct redis_reply *r = ask(s, all ? 6 : 4, words);

	if (r != NULL && redis_count(r) != (all ? 4 : 2)) {
		redis_reply_free(r);
		lost(s, SP_ESYNTAX, NULL);
		return NULL;
	}
	return r;
}

static void
say_policy(struct state *s, const struct policy_change *c, struct span text)
{
	unsigned char body[POLICY_CHANGE_LINE + 16];
	char line[POLICY_CHANGE_LINE];
	struct frame f = { .type = SHARED_POLICY, .body = body };
	struct frame_writer w;
	struct strbuf sb;
	int fd = chan_file("policy", text);

	if (fd == -1)
		return;
	strbuf_init(&sb, line, sizeof(line));
	policy_change_format(c, &sb);
	frame_writer_init(&w, body, sizeof(body));
	frame_put_span(&w, strbuf_span_of(&sb));
	f.len = w.len;
	say(s, &f, fd);
	close(fd);
}

/* The shared policy does not do. The next look is in a while. */
static void
say_nonsense(struct state *s, const char *what)
{
	s->tried_at = clock_ms();
	say_status(s, SHARED_ALONE, STATS_SHARED_NONSENSE, 0, what);
}

/* What is good goes to the master, who judges it; how things are is said when it has. */
static void
fetch(struct state *s)
{
	struct redis_reply *r = look(s, true);
	struct policy_change c;

	if (r == NULL)
		return;
	if (shared_read_policy(redis_text(redis_at(r, 0)), redis_text(redis_at(r, 1)), redis_text(redis_at(r, 2)),
	    redis_text(redis_at(r, 3)), &c))
		say_policy(s, &c, redis_text(redis_at(r, 3)));
	else if (!redis_is_nil(redis_at(r, 0)))
		say_nonsense(s, "the shared policy does not fit together");
	redis_reply_free(r);
}

/* Is what is shared in force here? */
static void
compare(struct state *s)
{
	const struct frame empty = { .type = SHARED_EMPTY };
	struct redis_reply *r = write_node(s) ? look(s, false) : NULL;
	uint64_t version = 0;

	if (r == NULL)
		return;
	if (redis_is_nil(redis_at(r, 0))) {
		say_up(s, 0);
		say(s, &empty, -1);
	} else if (!span_uint(redis_text(redis_at(r, 0)), SHARED_VERSION_MAX, &version) || version == 0) {
		say_nonsense(s, "the shared policy has no number");
	} else if (span_is(redis_text(redis_at(r, 1)), s->sha256)) {
		say_up(s, version);
	} else if (s->unfit[0] != '\0' && span_is(redis_text(redis_at(r, 1)), s->unfit)) {
		say_status(s, SHARED_ALONE, STATS_SHARED_POLICY, version, "the shared policy cannot be in force on this node");
	} else {
		fetch(s);
	}
	redis_reply_free(r);
}

/* WATCH, look, and write only if nobody else does meanwhile. */
static enum shared_verdict
claim(struct state *s, struct policy_change *c, struct span parent, struct span text, struct policy_change *instead)
{
	const struct span watch[] = { SPAN_LIT("WATCH"), span_str(s->policy_key) }, multi[] = { SPAN_LIT("MULTI") },
	    exec[] = { SPAN_LIT("EXEC") };
	char number[24], line[POLICY_CHANGE_LINE];
	struct strbuf sb;
	struct span set[10] = { SPAN_LIT("HMSET"), span_str(s->policy_key), SPAN_LIT("version"), SPAN_NONE, SPAN_LIT("sha256"),
	    span_str(c->sha256), SPAN_LIT("change"), SPAN_NONE, SPAN_LIT("text"), text };
	struct redis_reply *r[5] = { NULL };
	enum shared_verdict v = SHARED_CLAIM_ALONE;
	uint64_t there = 0;

	if (!is_up(s) || (r[0] = ask(s, 2, watch)) == NULL || (r[1] = look(s, true)) == NULL)
		goto out;
	if (!redis_is_nil(redis_at(r[1], 0)) && (!span_uint(redis_text(redis_at(r[1], 0)), SHARED_VERSION_MAX, &there) ||
	    !span_eq(redis_text(redis_at(r[1], 1)), parent) || there == SHARED_VERSION_MAX)) {
		v = SHARED_CLAIM_LOST;
		if (!shared_read_policy(redis_text(redis_at(r[1], 0)), redis_text(redis_at(r[1], 1)), redis_text(redis_at(r[1], 2)),
		    redis_text(redis_at(r[1], 3)), instead))
			instead->version = 0;
		redis_down(s->redis);	/* and with it the watch */
		goto out;
	}
	/* another node has given that number to a text that only it had */
	if (there >= c->version)
		c->version = there + 1;
	snprintf(number, sizeof(number), "%" PRIu64, c->version);
	set[3] = span_str(number);
	strbuf_init(&sb, line, sizeof(line));
	policy_change_format(c, &sb);
	set[7] = strbuf_span_of(&sb);
	if ((r[2] = ask(s, 1, multi)) == NULL || (r[3] = ask(s, 10, set)) == NULL || (r[4] = ask(s, 1, exec)) == NULL)
		goto out;
	v = redis_count(r[4]) == 1 && !redis_is_error(redis_at(r[4], 0)) ? SHARED_CLAIM_DONE : SHARED_CLAIM_LOST;
	if (v == SHARED_CLAIM_DONE)
		*instead = *c;
 out:
	for (int i = 0; i < 5; i++)
		redis_reply_free(r[i]);
	return v;
}

static void
take_claim(struct state *s, struct chan_msg *m)
{
	unsigned char body[POLICY_CHANGE_LINE + 16];
	char line[POLICY_CHANGE_LINE], *text = NULL;
	struct frame f = { .type = SHARED_CLAIMED, .tag = m->f.tag, .body = body };
	struct policy_change c, instead = { .version = 0 };
	enum shared_verdict v = SHARED_CLAIM_ALONE;
	struct span change, parent;
	struct frame_reader rd;
	struct frame_writer w;
	struct strbuf sb;
	size_t n;

	frame_reader_init(&rd, &m->f);
	change = frame_span(&rd);
	parent = frame_span(&rd);
	if (!frame_done(&rd) || m->nfds != 1 || policy_change_parse(change, &c) != SP_OK ||
	    (text = chan_file_read(m->fds[0], POLICYSTORE_TEXT_MAX, &n)) == NULL)
		_exit(EX_SOFTWARE);
	s->tried_at = 0;	/* somebody waits: now is a time to try */
	v = claim(s, &c, parent, span_of(text, n), &instead);
	strbuf_init(&sb, line, sizeof(line));
	if (instead.version != 0)
		policy_change_format(&instead, &sb);
	frame_writer_init(&w, body, sizeof(body));
	frame_put_u8(&w, (uint8_t)v);
	frame_put_span(&w, strbuf_span_of(&sb));
	f.len = w.len;
	say(s, &f, -1);
	free(text);
}

/* ---- partners that nobody has listed ---- */

static void
key_of(const struct state *s, const unsigned char fingerprint[32], char *out, size_t size)
{
	struct strbuf sb;

	strbuf_init(&sb, out, size);
	strbuf_puts(&sb, s->setup->prefix);
	strbuf_puts(&sb, ":partner:");
	strbuf_hex(&sb, fingerprint, 32, false);
}

/* Ours is written, all of it is asked for, and its time begins anew; answers come later. */
static int
tell_one(struct state *s, const struct edge_discovered_spent *p)
{
	char key[256], value[64];
	struct span set[] = { SPAN_LIT("HSET"), SPAN_NONE, span_str(s->setup->node), SPAN_NONE }, get[] = { SPAN_LIT("HGETALL"), SPAN_NONE },
	    expire[] = { SPAN_LIT("EXPIRE"), SPAN_NONE, SPAN_LIT(KEEP_S) };
	int err;

	key_of(s, p->fingerprint, key, sizeof(key));
	snprintf(value, sizeof(value), "%lld %u %u %d", (long long)clock_wall(), p->requests, p->addressees, p->suspicious != 0);
	set[1] = get[1] = expire[1] = span_str(key);
	set[3] = span_str(value);
	if ((err = redis_send(s->redis, 4, set)) == SP_OK && (err = redis_send(s->redis, 3, expire)) == SP_OK)
		err = redis_send(s->redis, 2, get);
	return err;
}

static void
add_up(struct state *s, const struct redis_reply *all, struct edge_discovered_spent *out)
{
	time_t now = clock_wall();

	for (size_t i = 0; i + 1 < redis_count(all); i += 2) {
		struct edge_discovered_spent one = { .requests = 0 };

		if (span_is(redis_text(redis_at(all, i)), s->setup->node) || !shared_read_spent(redis_text(redis_at(all, i + 1)), now, &one))
			continue;
		out->requests += one.requests;
		out->addressees += one.addressees;
		out->suspicious |= one.suspicious;
	}
}

/* How many of them have been told. */
static size_t
take_spent(struct state *s, int fd)
{
	const struct frame f = { .type = SHARED_OTHERS };
	struct edge_discovered_spent *p;
	size_t n, count, told = 0;
	char *bytes = chan_file_read(fd, SHARED_PARTNERS_MAX * sizeof(*p), &n);
	bool no = false;
	int err = SP_OK, out;

	if (bytes == NULL || n % sizeof(*p) != 0)
		_exit(EX_SOFTWARE);
	p = (void *)bytes;
	count = n / sizeof(*p);
	if (!is_up(s)) {
		free(bytes);
		return 0;
	}
	for (size_t i = 0; i < count && err == SP_OK; i++)
		err = tell_one(s, &p[i]);
	for (size_t i = 0; i < count && err == SP_OK && !no; i++) {
		struct redis_reply *r[3] = { NULL };

		for (int k = 0; k < 3 && err == SP_OK; k++)
			err = redis_receive(s->redis, &r[k]);
		p[i].requests = p[i].addressees = p[i].suspicious = 0;
		add_up(s, r[2], &p[i]);
		for (int k = 0; k < 3; k++) {
			if (!no && r[k] != NULL && redis_is_error(r[k])) {
				s->hold = clock_ms() + HOLD_MS;
				refused(s, r[k]);
				no = true;
			}
			redis_reply_free(r[k]);
		}
		told += err == SP_OK && !no;
	}
	if (err != SP_OK)
		lost(s, err, NULL);
	/* after a refusal it is not known what the others have spent */
	else if (!no && (out = chan_file("others", span_of(bytes, n))) != -1) {
		say(s, &f, out);
		close(out);
	}
	free(bytes);
	return told;
}

/* ---- the process ---- */

static void
take_tick(struct state *s, struct chan_msg *m)
{
	struct frame_reader rd;
	struct span sha256, unfit;

	frame_reader_init(&rd, &m->f);
	sha256 = frame_span(&rd);
	unfit = frame_span(&rd);
	if (!frame_done(&rd) || sha256.n >= sizeof(s->sha256) || unfit.n >= sizeof(s->unfit))
		_exit(EX_SOFTWARE);
	snprintf(s->sha256, sizeof(s->sha256), "%.*s", SPAN_FMT(sha256));
	snprintf(s->unfit, sizeof(s->unfit), "%.*s", SPAN_FMT(unfit));
	say_again(s, m->f.tag, m->nfds == 1 ? take_spent(s, m->fds[0]) : 0);
}

static void
hear(struct state *s)
{
	struct chan_msg *m = xmalloc(sizeof(*m));
	int err = chan_recv(s->channel, m, 1);

	if (err == SP_OK && m->f.type == SHARED_TICK)
		take_tick(s, m);
	else if (err == SP_OK && m->f.type == SHARED_CLAIM)
		take_claim(s, m);
	else if (err == SP_ECLOSED)
		exit(0);
	else if (err != SP_ETIME)
		_exit(EX_SOFTWARE);	/* a wrong frame between our own: a bug, or a break-in */
	if (err == SP_OK)
		chan_done(m);
	free(m);
}

static _Noreturn void
run(struct state *s)
{
	for (;;) {
		struct pollfd p = { s->channel, POLLIN, 0 };
		uint64_t now = clock_ms(), due = s->asked_at + SHARED_EVERY_MS;

		if (poll(&p, 1, now < due ? (int)(due - now) : 0) > 0)
			hear(s);
		if (clock_ms() < due)
			continue;
		s->asked_at = clock_ms();
		/* not before it is known what is in force here */
		if (s->sha256[0] != '\0' && is_up(s))
			compare(s);
	}
}

_Noreturn static void
process(int channel, const struct shared_setup *setup)
{
	struct net_tlsline_spec spec = { .to = setup->server, .name = setup->name, .trust = setup->trust,
	    .certificate = setup->certificate, .key = setup->key, .ms = SHARED_ANSWER_MS };
	static struct state s;
	struct net_tlsline *line;
	const char *why;
	sigset_t none;

	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_NAME, "shared");
	s.channel = channel;
	s.setup = setup;
	s.said = SHARED_STARTING;
	snprintf(s.policy_key, sizeof(s.policy_key), "%s:policy", setup->prefix);
	snprintf(s.nodes_key, sizeof(s.nodes_key), "%s:nodes", setup->prefix);
	if ((line = net_tlsline_new(&spec, &why)) == NULL) {
		say_status(&s, SHARED_ALONE, STATS_SHARED_CERTIFICATE, 0, why);
		exit(EX_CONFIG);
	}
	s.redis = redis_new(line, setup->user, setup->password);
	if (setup->run_as != NULL && *setup->run_as != '\0' && geteuid() == 0 && proc_drop_to(setup->run_as) != SP_OK)
		exit(EX_NOUSER);
	proc_harden();
	if (setup->sandbox && (sandbox_files(SANDBOX_SHARED, NULL, 0) != SP_OK || sandbox_calls(SANDBOX_SHARED) != SP_OK))
		exit(EX_OSERR);
	run(&s);
}

pid_t
shared_fork(const struct shared_setup *setup, int *channel)
{
	int ends[2];
	pid_t pid;

	if (chan_pair(ends) != SP_OK)
		return -1;
	if ((pid = fork()) == 0) {
		int keep[3] = { ends[1], log_descriptor(), log_journal_descriptor() };

		proc_close_all_but(keep, 3);
		process(ends[1], setup);
	}
	close(ends[1]);
	if (pid != -1)
		*channel = ends[0];
	else
		close(ends[0]);
	return pid;
}
