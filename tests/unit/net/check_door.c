/*
 * Doors: one address, one family, one owner; and what happens when too many knock.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "net/door.h"

#define HOST "127.62.1.1"

static struct net_loop *loop;
static struct net_door *door;
static struct net_addr where;
static struct {
	int		 fd[64];
	struct net_addr	 from[64];
	unsigned	 n, starved;
	bool		 closes, pauses;
} got;

static void
accepted(void *arg, int fd, const struct net_addr *from)
{
	ck_assert_ptr_eq(arg, &got);
	ck_assert_uint_lt(got.n, 64);
	got.fd[got.n] = fd;
	got.from[got.n++] = *from;
	if (got.closes)
		net_door_close(door);
	if (got.pauses)
		net_door_pause(door, true);
}

static void
starved(void *arg, int error)
{
	ck_assert_ptr_eq(arg, &got);
	ck_assert_int_eq(error, EMFILE);
	got.starved++;
}

static const struct net_door_ops ops = { .accepted = accepted, .starved = starved };

static struct net_addr
address(const char *text)
{
	struct net_addr a;

	ck_assert_int_eq(net_addr_parse(&a, span_str(text), 1), SP_OK);
	net_addr_set_port(&a, 0);
	return a;
}

static struct net_addr
bound_to(int fd)
{
	struct net_addr a = { .len = sizeof(a.ss) };

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a.ss, &a.len), 0);
	return a;
}

static void
setup(const char *host)
{
	struct net_addr a = address(host);
	int fd;

	memset(&got, 0, sizeof(got));
	loop = net_loop_new();
	ck_assert_int_eq(net_door_bind(&a, 1, &fd), SP_OK);
	where = bound_to(fd);
	door = net_door_open(loop, fd, &ops, &got);
	ck_assert_ptr_nonnull(door);
}

static void
teardown(void)
{
	for (unsigned i = 0; i < got.n; i++)
		close(got.fd[i]);
	net_loop_free(loop);
}

static int
knock(const struct net_addr *a)
{
	int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	if (connect(fd, (const struct sockaddr *)&a->ss, a->len) == 0)
		return fd;
	close(fd);
	return -1;
}

START_TEST(hands_out_connections)
{
	static const char *const hosts[] = { HOST, "::1" };

	for (int i = 0; i < 2; i++) {
		int fd, on = 0;
		socklen_t len = sizeof(on);
		struct net_addr mine;

		setup(hosts[i]);
		fd = knock(&where);
		ck_assert_int_ne(fd, -1);
		net_loop_once(loop, 1000);
		ck_assert_uint_eq(got.n, 1);
		ck_assert(fcntl(got.fd[0], F_GETFL) & O_NONBLOCK);
		ck_assert(fcntl(got.fd[0], F_GETFD) & FD_CLOEXEC);
		ck_assert_int_eq(getsockopt(got.fd[0], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
		ck_assert_int_ne(on, 0);
		mine = bound_to(fd);
		ck_assert(net_addr_same_host(&got.from[0], &mine));
		ck_assert_uint_eq(net_addr_port(&got.from[0]), net_addr_port(&mine));
		close(fd);
		net_door_close(door);
		ck_assert_int_eq(knock(&where), -1);
		teardown();
	}
}
END_TEST

START_TEST(refuses_what_is_no_door)
{
	struct net_addr a = { .len = 0 }, any4 = address(HOST), any6 = address("::1"), mapped = address("::1");
	int fd[2] = { 5, 5 };

	((struct sockaddr_in *)&any4.ss)->sin_addr.s_addr = 0;
	((struct sockaddr_in6 *)&any6.ss)->sin6_addr = in6addr_any;
	memset(&((struct sockaddr_in6 *)&mapped.ss)->sin6_addr, 0, 16);
	memset(&((struct sockaddr_in6 *)&mapped.ss)->sin6_addr.s6_addr[10], 0xff, 2);
	ck_assert_int_eq(net_door_bind(&a, 1, fd), SP_EINVAL);
	ck_assert_int_eq(net_door_bind(&any4, 2, fd), SP_EINVAL);
	ck_assert_int_eq(fd[0], -1);
	ck_assert_int_eq(fd[1], -1);
	ck_assert_int_eq(net_door_bind(&any6, 1, fd), SP_EINVAL);
	ck_assert_int_eq(net_door_bind(&mapped, 1, fd), SP_EINVAL);
	/* An address that is not ours (TEST-NET-1). */
	a = address("192.0.2.1");
	ck_assert_int_eq(net_door_bind(&a, 1, fd), SP_EIO);
	ck_assert_int_eq(errno, EADDRNOTAVAIL);
}
END_TEST

START_TEST(shares_with_its_own_workers_only)
{
	struct net_addr a = address(HOST), other;
	int fd[3], more[2], c[12];
	int v6only = 0;
	socklen_t len = sizeof(v6only);

	ck_assert_int_eq(net_door_bind(&a, 3, fd), SP_OK);
	a = bound_to(fd[0]);
	for (int i = 1; i < 3; i++) {
		other = bound_to(fd[i]);
		ck_assert_uint_eq(net_addr_port(&other), net_addr_port(&a));
	}
	ck_assert_int_eq(net_door_bind(&a, 2, more), SP_EIO);
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_int_eq(more[0], -1);
	/* Every connection stands in exactly one of the queues. */
	for (int i = 0; i < 12; i++)
		ck_assert_int_ne(c[i] = knock(&a), -1);
	for (int i = 0, n = 0; i < 3; i++) {
		int one;

		while ((one = accept(fd[i], NULL, NULL)) != -1) {
			n++;
			close(one);
		}
		if (i == 2)
			ck_assert_int_eq(n, 12);
	}
	for (int i = 0; i < 12; i++)
		close(c[i]);
	/* The same port of another address is another door. */
	other = address("127.62.1.2");
	net_addr_set_port(&other, net_addr_port(&a));
	ck_assert_int_eq(knock(&other), -1);
	ck_assert_int_eq(net_door_bind(&other, 1, more), SP_OK);
	close(more[0]);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	/* A v6 door takes no v4. */
	a = address("::1");
	ck_assert_int_eq(net_door_bind(&a, 1, fd), SP_OK);
	ck_assert_int_eq(getsockopt(fd[0], IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len), 0);
	ck_assert_int_eq(v6only, 1);
	close(fd[0]);
}
END_TEST

START_TEST(takes_a_budget_and_pauses)
{
	int c[NET_ACCEPT_BUDGET + 3];
	unsigned n = NET_ACCEPT_BUDGET + 3;

	setup(HOST);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_ne(c[i] = knock(&where), -1);
	net_loop_once(loop, 1000);
	ck_assert_uint_eq(got.n, NET_ACCEPT_BUDGET);
	got.pauses = true;
	net_loop_once(loop, 1000);
	ck_assert_uint_eq(got.n, NET_ACCEPT_BUDGET + 1);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(got.n, NET_ACCEPT_BUDGET + 1);
	got.pauses = false;
	net_door_pause(door, false);
	net_loop_once(loop, 1000);
	ck_assert_uint_eq(got.n, n);
	net_door_close(door);
	for (unsigned i = 0; i < n; i++)
		close(c[i]);
	teardown();
}
END_TEST

START_TEST(may_be_closed_while_it_hands_out)
{
	int c[3];

	setup(HOST);
	for (int i = 0; i < 3; i++)
		ck_assert_int_ne(c[i] = knock(&where), -1);
	got.closes = true;
	net_loop_once(loop, 1000);
	ck_assert_uint_eq(got.n, 1);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(got.n, 1);
	for (int i = 0; i < 3; i++)
		close(c[i]);
	teardown();
}
END_TEST

START_TEST(pauses_when_descriptors_are_out)
{
	struct rlimit was, low;
	uint64_t ms = 5000;
	int c, last;

	clock_fake(&ms, NULL);
	setup(HOST);
	ck_assert_int_ne(c = knock(&where), -1);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	/* No number below the limit is free: the next one would be the limit itself. */
	last = dup(c);
	low = was;
	low.rlim_cur = (rlim_t)last;
	close(last);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	net_loop_once(loop, 1000);
	ck_assert_uint_eq(got.starved, 1);
	/* It does not come again at once, although the connection is waiting. */
	ms += 99;
	net_loop_once(loop, 0);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(got.starved, 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_uint_eq(got.n, 0);
	ms += 1;
	net_loop_once(loop, 0);
	net_loop_once(loop, 1000);
	ck_assert_uint_eq(got.n, 1);
	net_door_close(door);
	close(c);
	teardown();
	clock_fake(NULL, NULL);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { hands_out_connections, refuses_what_is_no_door, shares_with_its_own_workers_only,
		takes_a_budget_and_pauses, may_be_closed_while_it_hands_out, pauses_when_descriptors_are_out };

	return unit_run("door", tests, sizeof(tests) / sizeof(tests[0]));
}
