/*
 * net/dns.c - the asking side: c-ares carries, net/dns_reply.c reads, a cache remembers.
 *
 * Each name in flight has a c-ares channel of its own. A channel keeps its UDP
 * socket while it has queries, and one channel for all would give a busy
 * resolver one port for hours, which halves what a forger has to guess.
 */
#include "net/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <ares.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/dns_reply.h"
#include "net/stats.h"

#define EDNS_SIZE	1232	/* fits one IPv6 packet everywhere */
#define SERVERS_MAX	8
#define GRACE		200	/* ms that the slower of A and AAAA gets */
#define DEADLINE_MAX	30000	/* ms for one name with all its aliases */

/* Shared by the cache and by those who are about to be told. Never changed once made. */
struct result {
	unsigned		 refs;
	enum net_dns_status	 status;
	bool			 authentic;
	uint64_t		 until;		/* ms */
	unsigned		 naddrs, nsrv;
	struct net_addr		*addrs;
	struct net_srv		*srv;
};

/* What is asked for: a name's addresses, or its SRV records. */
struct key {
	bool	 srv;
	uint64_t hash;
	char	 name[NET_DNS_NAME_MAX];
};

struct entry {
	struct key		 key;
	struct result		*result;
	LIST_ENTRY(entry)	 chain;
	TAILQ_ENTRY(entry)	 age;		/* least recently used first */
};
LIST_HEAD(entries, entry);

struct net_dns_query {
	struct net_dns		*dns;
	struct question		*question;	/* NULL once there is a result */
	struct result		*result;
	bool			 from_cache;
	struct net_task		 task;
	net_dns_fn		 fn;
	void			*arg;
	TAILQ_ENTRY(net_dns_query) all;
	TAILQ_ENTRY(net_dns_query) waiting;	/* of the question */
};
TAILQ_HEAD(queries, net_dns_query);

struct sock {
	struct net_io		 io;
	struct question		*question;
	LIST_ENTRY(sock)	 link;
};

/* One record type of a question. */
struct part {
	struct question		*question;
	uint16_t		 type;
	bool			 done;
	unsigned		 aliases;
	uint32_t		 ttl;		/* smallest of the aliases so far */
	bool			 authentic;	/* all of the aliases so far */
	char			 name[NET_DNS_NAME_MAX];	/* what is asked for now */
	struct net_dns_reply	 reply;
};

struct question {
	struct net_dns		*dns;
	struct key		 key;
	ares_channel		 channel;
	bool			 closing, no_store;
	struct part		 part[2];
	unsigned		 nparts;
	LIST_HEAD(sockets, sock)	 socks;
	struct net_timer	 retry;		/* c-ares' own time-outs */
	struct net_timer	 grace;
	struct net_timer	 deadline;
	struct net_task		 finish;
	struct queries		 waiting;
	LIST_ENTRY(question)	 link;
};

struct net_dns {
	struct net_loop		*loop;
	struct net_dns_config	 config;	/* without servers */
	struct ares_addr_port_node servers[SERVERS_MAX];
	unsigned		 nservers;
	uint64_t		 deadline;	/* ms */

	struct entries		*table;
	unsigned		 mask;		/* of the table's size, a power of two */
	unsigned		 nentries;
	TAILQ_HEAD(by_age, entry)	 by_age;

	LIST_HEAD(questions, question)	 flight;
	unsigned		 nflight;
	struct queries		 queries;
};

#define OWNER(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* --- results --- */

static struct result *
result_new(enum net_dns_status status, uint64_t until, unsigned naddrs, unsigned nsrv)
{
	struct result *r = xcalloc(1, sizeof(*r));

	r->refs = 1;
	r->status = status;
	r->until = until;
	r->naddrs = naddrs;
	r->nsrv = nsrv;
	if (naddrs > 0)
		r->addrs = xcalloc(naddrs, sizeof(*r->addrs));
	if (nsrv > 0)
		r->srv = xcalloc(nsrv, sizeof(*r->srv));
	return r;
}

static void
result_unref(struct result *r)
{
	if (r == NULL || --r->refs > 0)
		return;
	free(r->addrs);
	free(r->srv);
	free(r);
}

/* --- the cache --- */

static void
key_of(struct key *k, bool srv)
{
	k->srv = srv;
	k->hash = hash_mix(hash_bytes(k->name, strlen(k->name)), srv);
}

static bool
key_eq(const struct key *a, const struct key *b)
{
	return a->hash == b->hash && a->srv == b->srv && strcmp(a->name, b->name) == 0;
}

static void
forget(struct net_dns *d, struct entry *e)
{
	LIST_REMOVE(e, chain);
	TAILQ_REMOVE(&d->by_age, e, age);
	d->nentries--;
	stats_move(DNS_ENTRIES, 0, 0, -1);
	result_unref(e->result);
	free(e);
}

/* The entry that is still good, or NULL. */
static struct entry *
recall(struct net_dns *d, const struct key *k)
{
	struct entry *e;

	LIST_FOREACH(e, &d->table[k->hash & d->mask], chain)
		if (key_eq(&e->key, k))
			break;
	if (e == NULL)
		return NULL;
	if (e->result->until <= net_loop_now(d->loop)) {
		forget(d, e);
		return NULL;
	}
	TAILQ_REMOVE(&d->by_age, e, age);
	TAILQ_INSERT_TAIL(&d->by_age, e, age);
	return e;
}

static void
remember(struct net_dns *d, const struct key *k, struct result *r)
{
	struct entry *e;

	if ((e = recall(d, k)) != NULL)
		forget(d, e);
	if (d->nentries >= d->config.cache_max) {
		stats_limit_hit(DNS_CACHE);
		forget(d, TAILQ_FIRST(&d->by_age));
	}
	e = xcalloc(1, sizeof(*e));
	e->key = *k;
	e->result = r;
	r->refs++;
	LIST_INSERT_HEAD(&d->table[k->hash & d->mask], e, chain);
	TAILQ_INSERT_TAIL(&d->by_age, e, age);
	d->nentries++;
	stats_move(DNS_ENTRIES, 0, 0, 1);
}

void
net_dns_flush(struct net_dns *d)
{
	struct question *q;
	struct entry *e;

	while ((e = TAILQ_FIRST(&d->by_age)) != NULL)
		forget(d, e);
	LIST_FOREACH(q, &d->flight, link)
		q->no_store = true;
}

/* --- those who asked --- */

static void
query_free(struct net_dns_query *a)
{
	if (a->question != NULL)
		TAILQ_REMOVE(&a->question->waiting, a, waiting);
	net_task_cancel(a->dns->loop, &a->task);
	TAILQ_REMOVE(&a->dns->queries, a, all);
	result_unref(a->result);
	free(a);
}

static void
query_tell(struct net_task *t)
{
	struct net_dns_query *a = OWNER(t, struct net_dns_query, task);
	uint64_t now = net_loop_now(a->dns->loop);
	struct result *r = a->result;
	struct net_dns_answer answer = {
		.status = r->status, .authentic = r->authentic, .from_cache = a->from_cache,
		.addrs = r->addrs, .naddrs = r->naddrs, .srv = r->srv, .nsrv = r->nsrv
	};
	net_dns_fn fn = a->fn;
	void *arg = a->arg;

	if (r->until > now)
		answer.ttl = (uint32_t)((r->until - now + 999) / 1000);
	r->refs++;
	query_free(a);
	/* Nothing of ours but r is touched from here on: fn may free the resolver. */
	fn(arg, &answer);
	result_unref(r);
}

/* r is the asker's from now on. */
static void
query_answer(struct net_dns_query *a, struct result *r)
{
	a->question = NULL;
	a->result = r;
	net_task_queue(a->dns->loop, &a->task);
}

void
net_dns_cancel(struct net_dns_query *a)
{
	/* The question goes on for the cache: who asks again soon need not ask anew. */
	if (a != NULL)
		query_free(a);
}

/* --- questions --- */

static void
question_free(struct question *q)
{
	struct net_dns *d = q->dns;
	struct sock *s;

	/* c-ares calls everything back when its channel goes. */
	q->closing = true;
	if (q->channel != NULL)
		ares_destroy(q->channel);
	while ((s = LIST_FIRST(&q->socks)) != NULL) {
		net_io_remove(d->loop, &s->io);
		LIST_REMOVE(s, link);
		free(s);
	}
	net_timer_cancel(d->loop, &q->retry);
	net_timer_cancel(d->loop, &q->grace);
	net_timer_cancel(d->loop, &q->deadline);
	net_task_cancel(d->loop, &q->finish);
	LIST_REMOVE(q, link);
	d->nflight--;
	free(q);
}

static uint32_t
clamp_ttl(const struct net_dns_config *c, enum net_dns_status status, uint32_t ttl)
{
	if (status == NET_DNS_FAILED)
		return c->negative_ttl < NET_DNS_FAILED_TTL ? c->negative_ttl : NET_DNS_FAILED_TTL;
	if (status == NET_DNS_NONE)
		return c->negative_ttl;
	if (ttl < c->ttl_min)
		return c->ttl_min;
	return ttl > c->ttl_max ? c->ttl_max : ttl;
}

/* v6 and v4 in turn, v6 first (RFC 8305 4); returns how many. */
static unsigned
interleave(struct net_addr *out, const struct net_dns_reply *six, const struct net_dns_reply *four)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NET_DNS_ADDRS_MAX; i++) {
		if (i < six->naddrs && n < NET_DNS_ADDRS_MAX)
			out[n++] = six->addrs[i];
		if (i < four->naddrs && n < NET_DNS_ADDRS_MAX)
			out[n++] = four->addrs[i];
	}
	return n;
}

static struct result *
question_result(struct question *q)
{
	struct net_dns *d = q->dns;
	struct net_addr addrs[NET_DNS_ADDRS_MAX];
	enum net_dns_status status = NET_DNS_NONE;
	unsigned naddrs = 0, nsrv = q->key.srv ? q->part[0].reply.nsrv : 0;
	uint32_t ttl = UINT32_MAX;
	bool failed = false, authentic = true;
	struct result *r;

	for (unsigned i = 0; i < q->nparts; i++) {
		const struct part *p = &q->part[i];

		authentic = authentic && p->authentic && p->reply.status != NET_DNS_FAILED;
		if (p->reply.status == NET_DNS_FAILED) {
			/* What the other half found is good, but not for long. */
			failed = true;
			ttl = 0;
		} else if (p->reply.status == NET_DNS_FOUND) {
			status = NET_DNS_FOUND;
			ttl = p->ttl < ttl ? p->ttl : ttl;
		}
	}
	if (status == NET_DNS_NONE && failed)
		status = NET_DNS_FAILED;
	if (!q->key.srv)
		naddrs = interleave(addrs, &q->part[0].reply, &q->part[1].reply);
	r = result_new(status, net_loop_now(d->loop) + UINT64_C(1000) * clamp_ttl(&d->config, status, ttl), naddrs,
	    nsrv);
	r->authentic = d->config.trust_ad && authentic;
	if (naddrs > 0)
		memcpy(r->addrs, addrs, naddrs * sizeof(*addrs));
	if (nsrv > 0)
		memcpy(r->srv, q->part[0].reply.srv, nsrv * sizeof(*r->srv));
	return r;
}

static void
question_finish(struct net_task *t)
{
	struct question *q = OWNER(t, struct question, finish);
	struct result *r = question_result(q);
	struct net_dns_query *a;

	stats_count(DNS_QUESTIONS, r->status, 0);
	if (!q->no_store)
		remember(q->dns, &q->key, r);
	if (log_shows(SP_LOG_DEBUG)) {
		static const char *const names[] = { "failed", "none", "found" };
		struct logrec rec = log_begin(SP_LOG_DEBUG, "dns");

		log_outside(&rec, "name", span_str(q->key.name));
		log_word(&rec, "kind", q->key.srv ? "srv" : "address");
		log_word(&rec, "status", names[r->status]);
		log_end(&rec);
	}
	while ((a = TAILQ_FIRST(&q->waiting)) != NULL) {
		TAILQ_REMOVE(&q->waiting, a, waiting);
		r->refs++;
		query_answer(a, r);
	}
	result_unref(r);
	question_free(q);
}

static void
question_timed(struct question *q)
{
	struct timeval tv;

	if (ares_timeout(q->channel, NULL, &tv) == NULL)
		net_timer_cancel(q->dns->loop, &q->retry);
	else
		net_timer_set(q->dns->loop, &q->retry, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
}

static void
retry_fired(struct net_timer *t)
{
	struct question *q = OWNER(t, struct question, retry);

	ares_process_fd(q->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	question_timed(q);
}

static void
grace_fired(struct net_timer *t)
{
	struct question *q = OWNER(t, struct question, grace);

	net_task_queue(q->dns->loop, &q->finish);
}

static void
deadline_fired(struct net_timer *t)
{
	struct question *q = OWNER(t, struct question, deadline);

	net_task_queue(q->dns->loop, &q->finish);
}

static void
sock_ready(struct net_io *io, unsigned events)
{
	struct question *q = OWNER(io, struct sock, io)->question;
	int fd = io->fd;

	/* The sock may go in here, the question not: that is the task's. */
	ares_process_fd(q->channel, events & (NET_READ | NET_HUP) ? fd : ARES_SOCKET_BAD,
	    events & NET_WRITE ? fd : ARES_SOCKET_BAD);
	question_timed(q);
}

/* c-ares: what it wants to know of a socket. Neither: it is about to be closed. */
static void
sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct question *q = arg;
	unsigned want = (readable ? (unsigned)NET_READ : 0) | (writable ? (unsigned)NET_WRITE : 0);
	struct sock *s;

	LIST_FOREACH(s, &q->socks, link)
		if (s->io.fd == fd)
			break;
	if (want == 0) {
		if (s != NULL) {
			net_io_remove(q->dns->loop, &s->io);
			LIST_REMOVE(s, link);
			free(s);
		}
		return;
	}
	if (s != NULL) {
		net_io_want(q->dns->loop, &s->io, want);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->question = q;
	s->io.fd = fd;
	s->io.ready = sock_ready;
	/* One that cannot be watched is heard of by nobody: its query times out. */
	(void)net_io_add(q->dns->loop, &s->io, want);
	LIST_INSERT_HEAD(&q->socks, s, link);
}

static void	part_answered(void *arg, int status, int timeouts, unsigned char *msg, int len);

static void
part_done(struct part *p)
{
	struct question *q = p->question;
	bool all = true;

	p->done = true;
	for (unsigned i = 0; i < q->nparts; i++)
		all = all && q->part[i].done;
	if (all)
		net_task_queue(q->dns->loop, &q->finish);
	else if (p->reply.status == NET_DNS_FOUND)
		net_timer_set(q->dns->loop, &q->grace, GRACE);
}

static void
part_ask(struct part *p)
{
	struct question *q = p->question;
	unsigned char *msg = NULL;
	unsigned short id;
	int len;

	mem_random(&id, sizeof(id));
	if (ares_create_query(p->name, 1, p->type, id, 1, &msg, &len, EDNS_SIZE) != ARES_SUCCESS) {
		p->reply.status = NET_DNS_FAILED;
		part_done(p);
		return;
	}
	if (q->dns->config.trust_ad)
		msg[3] |= 0x20;	/* AD in a query: tell me whether it was validated (RFC 6840 5.7) */
	ares_send(q->channel, msg, len, part_answered, p);
	ares_free_string(msg);
}

static void
part_answered(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct part *p = arg;
	struct net_dns_reply *r = &p->reply;

	(void)timeouts;
	if (p->question->closing)
		return;
	memset(r, 0, sizeof(*r));
	if (status == ARES_SUCCESS && len > 0)
		net_dns_reply_parse(r, msg, (size_t)len, p->name, p->type);
	p->authentic = p->authentic && r->authentic;
	p->aliases += r->aliases;
	if (p->aliases > NET_DNS_CNAME_MAX) {
		memset(r, 0, sizeof(*r));
		r->status = NET_DNS_FAILED;
	}
	if (r->status == NET_DNS_FOUND || r->next[0] != '\0')
		p->ttl = r->ttl < p->ttl ? r->ttl : p->ttl;
	if (r->next[0] != '\0') {
		memcpy(p->name, r->next, sizeof(p->name));
		/* If the rest never comes, it failed. */
		memset(r, 0, sizeof(*r));
		part_ask(p);
		return;
	}
	part_done(p);
}

/* --- channels --- */

static pthread_once_t ares_once = PTHREAD_ONCE_INIT;

static void
ares_once_init(void)
{
	ares_library_init(ARES_LIB_INIT_ALL);
}

/*
 * A channel that reads no file: with every one of these given, c-ares looks
 * neither into resolv.conf nor into the hosts file.
 */
static bool
channel_open(struct question *q)
{
	struct net_dns *d = q->dns;
	struct in_addr nobody = { .s_addr = htonl(INADDR_LOOPBACK) };
	char lookups[] = "b";
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = (int)d->config.timeout_ms,
		.tries = (int)d->config.tries,
		.ndots = 1,
		.servers = &nobody, .nservers = 1,	/* replaced at once: this way in has no ports and no v6 */
		.lookups = lookups,
		.ednspsz = EDNS_SIZE,
		.sock_state_cb = sock_state, .sock_state_cb_data = q
	};

	if (ares_init_options(&q->channel, &o, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
	    ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST | ARES_OPT_EDNSPSZ |
	    ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE) != ARES_SUCCESS) {
		q->channel = NULL;
		return false;
	}
	return ares_set_servers_ports(q->channel, d->servers) == ARES_SUCCESS;
}

static struct question *
question_new(struct net_dns *d, const struct key *k)
{
	struct question *q = xcalloc(1, sizeof(*q));

	q->dns = d;
	q->key = *k;
	q->retry.fire = retry_fired;
	q->grace.fire = grace_fired;
	q->deadline.fire = deadline_fired;
	q->finish.run = question_finish;
	TAILQ_INIT(&q->waiting);
	LIST_INIT(&q->socks);
	LIST_INSERT_HEAD(&d->flight, q, link);
	d->nflight++;
	q->nparts = k->srv ? 1 : 2;
	for (unsigned i = 0; i < q->nparts; i++) {
		struct part *p = &q->part[i];

		p->question = q;
		p->type = k->srv ? NET_DNS_SRV : i == 0 ? NET_DNS_AAAA : NET_DNS_A;
		p->ttl = UINT32_MAX;
		p->authentic = true;
		memcpy(p->name, k->name, sizeof(p->name));
	}
	net_timer_set(d->loop, &q->deadline, d->deadline);
	if (!channel_open(q)) {
		net_task_queue(d->loop, &q->finish);
		return q;
	}
	for (unsigned i = 0; i < q->nparts; i++)
		part_ask(&q->part[i]);
	question_timed(q);
	return q;
}

/* --- asking --- */

/* The address that text is; an IPv6 one also in brackets. */
static bool
literal(const char *text, struct net_addr *a)
{
	if (net_addr_parse(a, span_str(text), 1) != SP_OK || net_addr_port(a) != 1)
		return false;
	/* "192.0.2.1:1" is no literal, though it has the same port. */
	if (text[strspn(text, "0123456789.")] == ':' && a->ss.ss_family == AF_INET)
		return false;
	if (text[0] == '[' && text[strlen(text) - 1] != ']')
		return false;
	net_addr_set_port(a, 0);
	return true;
}

static struct net_dns_query *
ask(struct net_dns *d, const char *name, bool srv, net_dns_fn fn, void *arg)
{
	struct net_dns_query *a = xcalloc(1, sizeof(*a));
	uint64_t now = net_loop_now(d->loop);
	struct question *q;
	struct net_addr addr;
	struct entry *e;
	struct result *r;
	struct key k = { .srv = srv };

	a->dns = d;
	a->fn = fn;
	a->arg = arg;
	a->task.run = query_tell;
	TAILQ_INSERT_TAIL(&d->queries, a, all);

	if (!srv && literal(name, &addr)) {
		r = result_new(NET_DNS_FOUND, now + UINT64_C(1000) * d->config.ttl_max, 1, 0);
		r->addrs[0] = addr;
		query_answer(a, r);
		return a;
	}
	if (!net_dns_name(k.name, span_str(name), srv)) {
		query_answer(a, result_new(NET_DNS_NONE, now, 0, 0));
		return a;
	}
	key_of(&k, srv);
	if ((e = recall(d, &k)) != NULL) {
		a->from_cache = true;
		stats_count(DNS_HITS, 0, 0);
		e->result->refs++;
		query_answer(a, e->result);
		return a;
	}
	LIST_FOREACH(q, &d->flight, link)
		if (key_eq(&q->key, &k) && !q->no_store)
			break;
	if (q == NULL && d->nflight >= NET_DNS_FLIGHT_MAX) {
		stats_limit_hit(DNS_QUERIES);
		query_answer(a, result_new(NET_DNS_FAILED, now, 0, 0));
		return a;
	}
	if (q == NULL)
		q = question_new(d, &k);
	a->question = q;
	TAILQ_INSERT_TAIL(&q->waiting, a, waiting);
	return a;
}

struct net_dns_query *
net_dns_addresses(struct net_dns *d, const char *name, net_dns_fn fn, void *arg)
{
	return ask(d, name, false, fn, arg);
}

struct net_dns_query *
net_dns_srv(struct net_dns *d, const char *name, net_dns_fn fn, void *arg)
{
	return ask(d, name, true, fn, arg);
}

/* --- the resolver --- */

static bool
add_server(struct net_dns *d, const struct ares_addr_port_node *from)
{
	if (d->nservers == SERVERS_MAX)
		return false;
	d->servers[d->nservers] = *from;
	d->servers[d->nservers].next = NULL;
	if (d->nservers > 0)
		d->servers[d->nservers - 1].next = &d->servers[d->nservers];
	d->nservers++;
	return true;
}

static bool
configured_servers(struct net_dns *d, const char *const *list)
{
	for (; *list != NULL; list++) {
		struct ares_addr_port_node n = { .next = NULL };
		struct net_addr a;

		if (net_addr_parse(&a, span_str(*list), 53) != SP_OK) {
			log_say(SP_LOG_ERROR, "dns", "\"%s\" is not the address of a DNS server", *list);
			return false;
		}
		n.family = a.ss.ss_family;
		if (n.family == AF_INET)
			n.addr.addr4 = ((struct sockaddr_in *)&a.ss)->sin_addr;
		else
			memcpy(&n.addr.addr6, &((struct sockaddr_in6 *)&a.ss)->sin6_addr, sizeof(n.addr.addr6));
		n.udp_port = n.tcp_port = net_addr_port(&a);
		if (!add_server(d, &n)) {
			log_say(SP_LOG_ERROR, "dns", "more than %d DNS servers", SERVERS_MAX);
			return false;
		}
	}
	return d->nservers > 0;
}

static bool
system_servers(struct net_dns *d)
{
	struct ares_addr_port_node *list = NULL;
	ares_channel channel;

	if (ares_init(&channel) != ARES_SUCCESS)
		return false;
	if (ares_get_servers_ports(channel, &list) == ARES_SUCCESS)
		for (struct ares_addr_port_node *n = list; n != NULL; n = n->next)
			if (!add_server(d, n))
				break;
	ares_free_data(list);
	ares_destroy(channel);
	return d->nservers > 0;
}

struct net_dns *
net_dns_new(struct net_loop *loop, const struct net_dns_config *config)
{
	struct net_dns *d = xcalloc(1, sizeof(*d));
	const char *const *servers = config != NULL ? config->servers : NULL;
	struct net_dns_config *c = &d->config;
	uint64_t step;
	unsigned size = 1;

	pthread_once(&ares_once, ares_once_init);
	d->loop = loop;
	if (config != NULL)
		*c = *config;
	c->servers = NULL;
	c->timeout_ms = c->timeout_ms > 0 ? c->timeout_ms : 2000;
	c->tries = c->tries > 0 ? c->tries : 2;
	c->ttl_min = c->ttl_min > 0 ? c->ttl_min : 30;
	c->ttl_max = c->ttl_max > 0 ? c->ttl_max : 3600;
	c->negative_ttl = c->negative_ttl > 0 ? c->negative_ttl : 60;
	c->cache_max = c->cache_max > 0 ? c->cache_max : 3000;
	while (size < c->cache_max && size < 1u << 20)
		size <<= 1;
	d->mask = size - 1;
	d->table = xcalloc(size, sizeof(*d->table));
	TAILQ_INIT(&d->by_age);
	LIST_INIT(&d->flight);
	TAILQ_INIT(&d->queries);
	if (!(servers != NULL ? configured_servers(d, servers) : system_servers(d))) {
		if (servers == NULL)
			log_say(SP_LOG_ERROR, "dns", "the system's DNS servers cannot be read");
		net_dns_free(d);
		return NULL;
	}
	/* c-ares asks every server once per try and doubles its patience each time. */
	step = (uint64_t)c->timeout_ms * d->nservers;
	for (unsigned i = 0; i < c->tries && d->deadline < DEADLINE_MAX; i++, step *= 2)
		d->deadline += step;
	d->deadline += 100;
	if (d->deadline > DEADLINE_MAX)
		d->deadline = DEADLINE_MAX;
	return d;
}

void
net_dns_free(struct net_dns *d)
{
	struct net_dns_query *a;
	struct question *q;

	if (d == NULL)
		return;
	while ((a = TAILQ_FIRST(&d->queries)) != NULL)
		query_free(a);
	while ((q = LIST_FIRST(&d->flight)) != NULL)
		question_free(q);
	net_dns_flush(d);
	free(d->table);
	free(d);
}
