/*
 * Behind a load balancer: headers that do and do not do, and that nothing behind a header is touched.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "net/porter.h"
#include "net/proxyhead.h"

#define SIGNATURE	"\r\n\r\n\0\r\nQUIT\n"
#define V4_BODY		"\306\063\144\007\300\000\002\001\234\100\001\273"	/* 198.51.100.7:40000 to 192.0.2.1:443 */
#define V4		SIGNATURE "\x21\x11\x00\x0c" V4_BODY
#define V6		SIGNATURE "\x21\x21\x00\x24" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07" \
			    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" "\234\100\001\273"
#define LOCAL		SIGNATURE "\x20\x00\x00\x00"

#define BYTES(s)	{ "" s, sizeof(s) - 1 }

/* ---- headers ---- */

static const struct {
	struct span	 bytes;
	int		 err;
	const char	*from;	/* or what stands in the fault; NULL: nobody's */
	size_t		 n;	/* of the header, or how many bytes it takes to go on */
} heads[] = {
	{ BYTES(V4), SP_OK, "198.51.100.7:40000", 28 },
	{ BYTES(V4 "\x16\x03\x01"), SP_OK, "198.51.100.7:40000", 28 },
	{ BYTES(V6), SP_OK, "[2001:db8::7]:40000", 52 },
	{ BYTES(LOCAL), SP_OK, NULL, 16 },
	/* the addresses of a LOCAL one, and what follows them, are passed over, whatever they are */
	{ BYTES(SIGNATURE "\x20\x11\x00\x0c" V4_BODY), SP_OK, NULL, 28 },
	{ BYTES(SIGNATURE "\x20\x77\x00\x02zz"), SP_OK, NULL, 18 },
	/* TLVs */
	{ BYTES(SIGNATURE "\x21\x11\x00\x12" V4_BODY "\x04\x00\x03" "abc"), SP_OK, "198.51.100.7:40000", 34 },
	{ BYTES(SIGNATURE "\x21\x11\x00\x12" V4_BODY "\x04\x00\x00\x05\x00\x00"), SP_OK, "198.51.100.7:40000", 34 },
	{ BYTES(SIGNATURE "\x21\x11\x00\x12" V4_BODY "\x04\x00\x04" "abc"), SP_ESYNTAX, "add up", 0 },
	{ BYTES(SIGNATURE "\x21\x11\x00\x0e" V4_BODY "\x04\x00"), SP_ESYNTAX, "add up", 0 },
	/* not whole */
	{ BYTES(""), SP_EAGAIN, NULL, 16 },
	{ BYTES("\r\n\r\n"), SP_EAGAIN, NULL, 16 },
	{ BYTES("PRO"), SP_EAGAIN, NULL, 16 },
	{ BYTES(SIGNATURE), SP_EAGAIN, NULL, 16 },
	{ BYTES(SIGNATURE "\x21\x11\x00\x0c"), SP_EAGAIN, NULL, 28 },
	{ BYTES(SIGNATURE "\x21\x11\x03\xf0"), SP_EAGAIN, NULL, NET_PROXYHEAD_MAX },
	/* wrong */
	{ BYTES(SIGNATURE "\x21\x11\x03\xf1"), SP_ESYNTAX, "too long", 0 },
	{ BYTES(SIGNATURE "\x21\x11\xff\xff"), SP_ESYNTAX, "too long", 0 },
	{ BYTES("PROXY TCP4 198.51.100.7 192.0.2.1 40000 443\r\n"), SP_ESYNTAX, "version 1", 0 },
	{ BYTES("PROXY"), SP_ESYNTAX, "version 1", 0 },
	{ BYTES("\x16\x03\x01\x02"), SP_ESYNTAX, "TLS without", 0 },
	{ BYTES("GET / HTTP/1.1\r\n"), SP_ESYNTAX, "not a PROXY", 0 },
	{ BYTES("\r\n\r\nX"), SP_ESYNTAX, "not a PROXY", 0 },
	{ BYTES(SIGNATURE "\x11\x11\x00\x0c" V4_BODY), SP_ESYNTAX, "version or command", 0 },
	{ BYTES(SIGNATURE "\x22\x11\x00\x0c" V4_BODY), SP_ESYNTAX, "version or command", 0 },
	{ BYTES(SIGNATURE "\x21\x12\x00\x0c" V4_BODY), SP_ESYNTAX, "no TCP address", 0 },	/* UDP */
	{ BYTES(SIGNATURE "\x21\x00\x00\x00"), SP_ESYNTAX, "no TCP address", 0 },		/* it does not know */
	{ BYTES(SIGNATURE "\x21\x31\x00\x02zz"), SP_ESYNTAX, "no TCP address", 0 },	/* a UNIX socket */
	{ BYTES(SIGNATURE "\x21\x11\x00\x0b" V4_BODY), SP_ESYNTAX, "too short", 0 },
	{ BYTES(SIGNATURE "\x21\x21\x00\x0c" V4_BODY), SP_ESYNTAX, "too short", 0 },
	{ BYTES(SIGNATURE "\x21\x11\x00\x0c\0\0\0\0\300\000\002\001\234\100\001\273"), SP_ESYNTAX, "unspecified", 0 },
};

static void
ck_head(size_t i)
{
	struct net_proxyhead h;
	const char *fault;
	char text[NET_ADDR_TEXT];

	ck_assert_int_eq(net_proxyhead_parse(heads[i].bytes, &h, &fault), heads[i].err);
	if (heads[i].err == SP_ESYNTAX) {
		ck_assert_ptr_nonnull(strstr(fault, heads[i].from));
		ck_assert_uint_eq(h.from.len, 0);
		return;
	}
	ck_assert_ptr_null(fault);
	ck_assert_uint_eq(h.n, heads[i].n);
	ck_assert_int_eq(h.local, heads[i].err == SP_OK && heads[i].from == NULL);
	if (heads[i].from != NULL)
		ck_assert_str_eq(net_addr_format(&h.from, text), heads[i].from);
	else
		ck_assert_uint_eq(h.from.len, 0);
}

START_TEST(reads_headers)
{
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		ck_head(i);
}
END_TEST

START_TEST(knows_networks)
{
	static const struct { const char *net, *addr; bool good, in; } t[] = {
		{ "192.0.2.8", "192.0.2.8:1", true, true }, { "192.0.2.8", "192.0.2.9:1", true, false },
		{ "192.0.2.8/30", "192.0.2.11:1", true, true }, { "192.0.2.8/30", "192.0.2.12:1", true, false },
		{ "0.0.0.0/0", "203.0.113.1:1", true, true }, { "0.0.0.0/0", "[2001:db8::1]:1", true, false },
		{ "192.0.2.8", "[::ffff:192.0.2.8]:1", true, true },
		{ "[2001:db8::]/32", "[2001:db8:9::1]:1", true, true }, { "2001:db8::/32", "[2001:db9::1]:1", true, false },
		{ "192.0.2.8/33", "192.0.2.8:1", false, false }, { "lb.example.com", "192.0.2.8:1", false, false },
		{ "192.0.2.8/", "192.0.2.8:1", false, false }
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct net_prefix p;
		struct net_addr a;

		ck_assert_int_eq(net_prefix_parse(&p, span_str(t[i].net)) == SP_OK, t[i].good);
		ck_assert_int_eq(net_addr_parse(&a, span_str(t[i].addr), 1), SP_OK);
		if (t[i].good)
			ck_assert_int_eq(net_prefix_any(&p, 1, &a), t[i].in);
	}
}
END_TEST

/* ---- connections ---- */

static uint64_t ms;
static struct net_loop *loop;
static struct net_porter *porter;
static struct net_addr balancer;
static struct {
	int			 fd;
	unsigned		 arrived, refused;
	char			 from[NET_ADDR_TEXT];
	enum policy_reason	 why;
	const char		*detail;
} got;

static void
arrived(void *arg, int fd, const struct net_addr *from)
{
	ck_assert_ptr_eq(arg, &got);
	got.arrived++;
	got.fd = fd;
	net_addr_format(from, got.from);
}

static void
refused(void *arg, const struct net_addr *who, enum policy_reason why, const char *detail)
{
	ck_assert_ptr_eq(arg, &got);
	got.refused++;
	got.why = why;
	got.detail = detail;
	net_addr_format(who, got.from);
}

static const struct net_porter_ops ops = { arrived, refused };

static void
setup(void)
{
	struct net_porter_limits limits = { 3000, 2 };
	struct net_prefix p;

	ms = 1000;
	clock_fake(&ms, NULL);
	memset(&got, 0, sizeof(got));
	loop = net_loop_new();
	ck_assert_int_eq(net_addr_parse(&balancer, SPAN_LIT("192.0.2.8:999"), 1), SP_OK);
	ck_assert_int_eq(net_prefix_parse(&p, SPAN_LIT("192.0.2.8")), SP_OK);
	porter = net_porter_new(loop, &p, 1, &limits, &ops, &got);
	ck_assert(net_porter_knows(porter, &balancer));
}

static void
teardown(void)
{
	if (got.arrived > 0)
		close(got.fd);
	net_porter_free(porter);
	net_loop_free(loop);
}

/* The balancer's end of a connection that the porter has. */
static int
caller(void)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	net_porter_take(porter, fd[1], &balancer);
	return fd[0];
}

static void
say(int fd, struct span s)
{
	ck_assert_int_eq(write(fd, s.p, s.n), (ssize_t)s.n);
	net_loop_once(loop, 0);
}

static bool
is_closed(int fd)
{
	char c;

	return read(fd, &c, 1) == 0;
}

START_TEST(hands_on_what_follows)
{
	int fd;
	char rest[8];

	setup();
	fd = caller();
	say(fd, SPAN_LIT(V4 "hello"));
	ck_assert_uint_eq(got.arrived, 1);
	ck_assert_str_eq(got.from, "198.51.100.7:40000");
	ck_assert_int_eq(read(got.fd, rest, sizeof(rest)), 5);
	ck_assert_mem_eq(rest, "hello", 5);
	ck_assert_uint_eq(net_porter_waiting(porter), 0);
	close(fd);
	teardown();
}
END_TEST

START_TEST(byte_by_byte)
{
	struct span all = SPAN_LIT(V6);
	int fd;

	setup();
	fd = caller();
	for (size_t i = 0; i < all.n; i++) {
		ck_assert_uint_eq(got.arrived, 0);
		say(fd, span_of(all.p + i, 1));
	}
	ck_assert_uint_eq(got.arrived, 1);
	ck_assert_str_eq(got.from, "[2001:db8::7]:40000");
	close(fd);
	teardown();
}
END_TEST

START_TEST(refuses_what_is_no_header)
{
	int fd;

	setup();
	fd = caller();
	say(fd, SPAN_LIT("\x16\x03\x01"));
	ck_assert_uint_eq(got.refused, 1);
	ck_assert_int_eq(got.why, POLICY_REASON_PROXY_HEADER);
	ck_assert_ptr_nonnull(strstr(got.detail, "TLS without"));
	ck_assert_str_eq(got.from, "192.0.2.8:999");
	ck_assert(is_closed(fd));
	close(fd);
	teardown();
}
END_TEST

START_TEST(refuses_what_is_cut)
{
	int fd;

	setup();
	fd = caller();
	say(fd, span_head(SPAN_LIT(V4), 20));
	ck_assert_uint_eq(got.refused, 0);
	close(fd);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(got.refused, 1);
	ck_assert_int_eq(got.why, POLICY_REASON_PROXY_HEADER);
	ck_assert_ptr_nonnull(strstr(got.detail, "cut off"));
	teardown();
}
END_TEST

START_TEST(waits_so_long)
{
	int fd;

	setup();
	fd = caller();
	say(fd, span_head(SPAN_LIT(V4), 20));
	ms += 2999;
	net_loop_once(loop, 0);
	ck_assert_uint_eq(got.refused, 0);
	ms = 4001;
	net_loop_once(loop, 0);
	ck_assert_uint_eq(got.refused, 1);
	ck_assert_int_eq(got.why, POLICY_REASON_PROXY_HEADER);
	ck_assert(is_closed(fd));
	close(fd);
	teardown();
}
END_TEST

/* Connect and close, with LOCAL or without a word: nobody has to hear of that. */
START_TEST(balancers_look)
{
	int fd;

	setup();
	fd = caller();
	close(fd);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(net_porter_waiting(porter), 0);
	fd = caller();
	say(fd, SPAN_LIT(LOCAL));
	ck_assert_uint_eq(net_porter_waiting(porter), 1);
	close(fd);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(net_porter_waiting(porter), 0);
	fd = caller();
	say(fd, SPAN_LIT(LOCAL));
	ms = 4001;
	net_loop_once(loop, 0);
	ck_assert(is_closed(fd));
	close(fd);
	ck_assert_uint_eq(got.refused + got.arrived, 0);
	teardown();
}
END_TEST

START_TEST(balancers_talk)
{
	int fd;
	char rest[8];

	setup();
	fd = caller();
	say(fd, SPAN_LIT(LOCAL));
	ck_assert_uint_eq(got.arrived, 0);
	say(fd, SPAN_LIT("hi"));
	ck_assert_uint_eq(got.arrived, 1);
	ck_assert_str_eq(got.from, "192.0.2.8:999");
	ck_assert_int_eq(read(got.fd, rest, sizeof(rest)), 2);
	close(fd);
	teardown();
}
END_TEST

START_TEST(the_oldest_gives_way)
{
	int first, second, third;

	setup();
	first = caller();
	second = caller();
	ck_assert_uint_eq(got.refused, 0);
	third = caller();
	ck_assert_uint_eq(got.refused, 1);
	ck_assert_int_eq(got.why, POLICY_REASON_CONNECTION_LIMIT);
	ck_assert(is_closed(first));
	say(second, SPAN_LIT(V4));
	ck_assert_uint_eq(got.arrived, 1);
	ck_assert_uint_eq(net_porter_waiting(porter), 1);
	close(first);
	close(second);
	close(third);
	teardown();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		reads_headers, knows_networks, hands_on_what_follows, byte_by_byte, refuses_what_is_no_header, refuses_what_is_cut,
		waits_so_long, balancers_look, balancers_talk, the_oldest_gives_way
	};

	return unit_run("porter", tests, sizeof(tests) / sizeof(tests[0]));
}
