/*
 * tests/fuzz/fuzz_sharedsays.c - whatever the process that speaks with Redis may send to the master once it has lost its mind.
 * What the master takes is within its bounds, and a policy is the one that its line says; what was to be told of a partner comes
 * back once at most; a claim has one end; no descriptor is left.
 *
 * A step is a byte: what happens, modulo 8, and above that how. 0 to 3: a frame comes, in which follow its type, its tag (signed,
 * from the one that was used last), its length and its body; above: bytes of a file beside it. 4: a policy comes, with a line
 * that fits but for one byte of it. 5: the master says and hears what it does each second. 6: it claims; 7: it looks after claims.
 */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/policystore.h"
#include "common/chan.h"
#include "common/err.h"
#include "common/log.h"
#include "edge/shared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define STEPS_MAX	64
#define PARTNERS_MAX	3	/* told of at once */

static int far = -1;		/* the process' end */
static pid_t ended;		/* a child that has ended, and can be killed as often as one likes */
static bool given[STEPS_MAX * PARTNERS_MAX], back[STEPS_MAX * PARTNERS_MAX];
static unsigned ngiven;
static uint64_t claims[STEPS_MAX];
static unsigned nclaims;
static struct chan_msg msg;

pid_t
shared_fork(const struct shared_setup *setup, int *channel)
{
	int ends[2];

	(void)setup;
	assert(chan_pair(ends) == SP_OK);
	*channel = ends[0];
	far = ends[1];
	assert(fcntl(far, F_SETFL, O_NONBLOCK) == 0);
	return ended;
}

static void
begin(void)
{
	log_open("fuzz_sharedsays", "/dev/null", SP_LOG_ERROR);
	if ((ended = fork()) == 0)
		_exit(0);
	assert(ended != -1);
}

/* ---- what comes ---- */

static unsigned
byte(struct span *in)
{
	unsigned b = in->n != 0 ? (unsigned char)in->p[0] : 0;

	*in = span_tail(*in, 1);
	return b;
}

static struct span
bytes(struct span *in, size_t n)
{
	struct span s = span_head(*in, n);

	*in = span_tail(*in, n);
	return s;
}

static void
put(const struct frame *f, unsigned nfds, struct span file)
{
	int fd = nfds != 0 ? chan_file("file", file) : -1;
	const int fds[3] = { fd, fd, fd };

	assert(nfds == 0 || fd != -1);
	(void)chan_send(far, f, fds, nfds);	/* there may be no room for it */
	if (fd != -1)
		close(fd);
}

static void
frame_comes(struct span *in, unsigned how, uint64_t tag)
{
	struct frame f = { .type = (uint16_t)byte(in) };
	struct span body;

	f.tag = tag + (uint64_t)(int64_t)(signed char)byte(in);
	body = bytes(in, byte(in));
	f.body = (const unsigned char *)body.p;
	f.len = body.n;
	put(&f, how & 3, bytes(in, how >> 2 & 7 ? 8u << (how >> 2 & 7) : 0));
}

static void
policy_comes(struct span *in, unsigned how)
{
	static unsigned char body[POLICY_CHANGE_LINE + 16];
	struct policy_change c = { .version = byte(in), .parent = byte(in), .time = 1000000000, .action = POLICY_COMMIT, .author = "alice" };
	unsigned at = byte(in), with = byte(in);
	struct span text = bytes(in, byte(in));
	struct frame f = { .type = SHARED_POLICY, .body = body };
	char line[POLICY_CHANGE_LINE];
	struct frame_writer w;
	struct strbuf sb;

	policy_hash(text, c.sha256);
	strbuf_init(&sb, line, sizeof(line));
	policy_change_format(&c, &sb);
	if (at < sb.len)
		line[at] = (char)with;
	frame_writer_init(&w, body, sizeof(body));
	frame_put_span(&w, strbuf_span_of(&sb));
	f.len = w.len;
	put(&f, how & 1 ? 0 : 1, text);
}

/* ---- what the master does ---- */

static void
came_back(const struct edge_discovered_spent *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert(p[i].requests < ngiven && given[p[i].requests] && !back[p[i].requests]);
		back[p[i].requests] = true;
	}
}

static void
exchange(struct shared *s, unsigned how)
{
	static const struct shared_here_now here = { .sha256 = "", .unfit = "" };
	struct edge_discovered_spent spent[PARTNERS_MAX];
	struct shared_news news;
	struct shared_status st;
	size_t n = how % (PARTNERS_MAX + 1);

	for (size_t i = 0; i < n; i++) {
		memset(&spent[i], 0, sizeof(spent[i]));
		spent[i].requests = ngiven;
		given[ngiven++] = true;
	}
	shared_exchange(s, &here, spent, n, &news);
	came_back(news.untold, news.nuntold);
	assert(news.nothers <= SHARED_PARTNERS_MAX && (news.others != NULL || news.nothers == 0));
	if (news.policy.text != NULL) {
		char hash[POLICY_HASH_TEXT];

		policy_hash(span_of(news.policy.text, news.policy.n), hash);
		assert(strcmp(hash, news.policy.change.sha256) == 0 && news.policy.n <= POLICYSTORE_TEXT_MAX);
		assert(news.policy.change.version != 0 && news.policy.change.version <= SHARED_VERSION_MAX);
	}
	st = shared_status(s);
	assert(st.state > SHARED_OFF && st.state <= SHARED_ALONE && st.reason < STATS_NSHARED && st.version <= SHARED_VERSION_MAX);
	assert(memchr(st.detail, '\0', sizeof(st.detail)) != NULL);
	free(news.policy.text);
	free(news.others);
	free(news.untold);
}

static void
claim(struct shared *s)
{
	struct policy_change c = { .version = 8, .parent = 7, .time = 1000000000, .action = POLICY_BLOCK, .author = "bob" };
	uint64_t tag;

	policy_hash(SPAN_LIT("x"), c.sha256);
	if ((tag = shared_claim(s, &c, "", SPAN_LIT("x"))) != 0)
		claims[nclaims++] = tag;
}

static void
look_after_claims(struct shared *s)
{
	struct shared_claimed c;
	unsigned n = 0;

	for (unsigned i = 0; i < nclaims; i++) {
		if (!shared_claim_look(s, claims[i], &c)) {
			claims[n++] = claims[i];
			continue;
		}
		assert(c.verdict <= SHARED_CLAIM_ALONE);
		assert(shared_claim_look(s, claims[i], &c) && c.verdict == SHARED_CLAIM_ALONE && c.change.version == 0);
	}
	assert(n <= SHARED_CLAIMS_MAX);
	nclaims = n;
}

/* Nobody reads on the far side but this; the tag that was used last. */
static uint64_t
read_questions(uint64_t tag)
{
	while (chan_recv(far, &msg, 1) == SP_OK) {
		assert(msg.f.type == SHARED_TICK || msg.f.type == SHARED_CLAIM);
		assert(msg.f.tag > tag);
		tag = msg.f.tag;
		chan_done(&msg);
	}
	return tag;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct shared_setup setup = { .prefix = "p", .node = "n" };
	struct span in = span_of((const char *)data, len);
	struct shared *s;
	uint64_t tag = 0;
	int lowest, after;

	if (ended == 0)
		begin();
	assert((lowest = dup(0)) != -1);
	close(lowest);
	ngiven = nclaims = 0;
	memset(given, 0, sizeof(given));
	memset(back, 0, sizeof(back));
	s = shared_new(&setup);
	for (unsigned i = 0; i < STEPS_MAX && in.n != 0; i++) {
		unsigned b = byte(&in), how = b >> 3;

		switch (b & 7) {
		case 4:
			policy_comes(&in, how);
			break;
		case 5:
			exchange(s, how);
			tag = read_questions(tag);
			break;
		case 6:
			claim(s);
			tag = read_questions(tag);
			break;
		case 7:
			look_after_claims(s);
			break;
		default:
			frame_comes(&in, how, tag);
			break;
		}
	}
	look_after_claims(s);
	shared_free(s);
	close(far);
	assert((after = dup(0)) == lowest);
	close(after);
	return 0;
}
