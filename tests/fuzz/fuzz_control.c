/*
 * Both ends of the control socket fed with anything. First byte even: what a
 * client may read; odd: what a server may. Whatever it was, the next client is
 * served, and the client comes to an end.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/control.h"
#include "admin/ctlclient.h"
#include "common/err.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char path[108];
static struct control *control;

static void
run_echo(struct control_request *r)
{
	unsigned char room[64];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "e");
	record_int(&w, "n", control_int(r, "n", 0));
	control_put(r, &w);
	control_end(r, EX_OK, "done");
}

static int
start(struct net_worker *w, void *arg)
{
	w->owner = arg;
	return SP_OK;
}

static void
put_number(void *who, struct control_answer *a)
{
	unsigned char room[64];
	struct record_writer w;

	(void)who;
	record_begin(&w, room, sizeof(room), "n");
	record_int(&w, "n", a->worker);
	control_answer_put(a, &w);
}

static void
run_workers(struct control_request *r)
{
	control_ask_workers(r, &(struct control_asked){ .fn = put_number });
}

static void
begin(void)
{
	static const struct control_arg args[] = { { "text", RECORD_TEXT, false }, { "n", RECORD_INT, false },
		{ "items", RECORD_ITEM, false }, { NULL, 0, false } };
	static const struct control_verb verbs[] = {
		{ .name = "e", .right = CONTROL_READ, .args = args, .takes_fd = true, .run = run_echo },
		{ .name = "w", .run = run_workers },
		{ .name = NULL }
	};
	static const struct control_verb *const tables[] = { verbs, NULL };
	static char dir[] = "/tmp/fuzz_control.XXXXXX";
	struct control_setup setup = { .path = path, .verbs = tables };

	log_open("fuzz_control", "/dev/null", SP_LOG_ERROR);
	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/s", dir);
	setup.crew = net_crew_new(2);
	setup.owner = dir;
	control = control_new(&setup);
	if (net_crew_start(setup.crew, start, NULL, dir) != SP_OK)
		abort();
	control_start(control);
}

static void
end(void)
{
	char *slash = strrchr(path, '/');

	unlink(path);
	*slash = '\0';
	rmdir(path);
}

static void
server(const uint8_t *data, size_t len)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct ctlclient *c = ctlclient_new();
	struct record r;
	char sink[4096];

	memcpy(sun.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		abort();
	(void)!send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	close(fd);
	assert(ctlclient_open(c, path) == SP_OK);
	ctlclient_begin(c, "w");
	assert(ctlclient_send(c, -1) == SP_OK);
	assert(ctlclient_next(c, &r) == 1 && ctlclient_next(c, &r) == 1 && ctlclient_next(c, &r) == 0);
	assert(ctlclient_status(c) == EX_OK);
	ctlclient_free(c);
}

static void
client(const uint8_t *data, size_t len)
{
	struct ctlclient *c = ctlclient_new();
	struct record_field f;
	struct record r;
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1)
		abort();
	ctlclient_adopt(c, fds[0]);
	ctlclient_set_wait(c, 1000);
	ctlclient_begin(c, "x");
	assert(ctlclient_send(c, -1) == SP_OK);
	(void)!send(fds[1], data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fds[1]);
	while ((rc = ctlclient_next(c, &r)) == 1)
		for (size_t at = 0; record_next(&r, &at, &f);)
			assert(f.name.n != 0);
	assert(rc <= 0 && (rc == 0 || !ctlclient_is_open(c)));
	ctlclient_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (path[0] == '\0') {
		begin();
		atexit(end);
	}
	if (len == 0 || len > 100000)
		return 0;
	if (data[0] % 2 != 0)
		server(data + 1, len - 1);
	else
		client(data + 1, len - 1);
	return 0;
}
