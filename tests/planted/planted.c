/*
 * tests/planted/planted.c - what an intruder who runs code in one of our processes would try.
 *
 * A hole made on purpose, in programs that are linked for the tests alone: the linker puts
 * these functions before some of the daemon's own, so that the daemon itself knows nothing of them.
 * "X-Planted: what argument" in a stranger's message, and a worker of either daemon does it, and logs
 * how it went (event=planted). A hole of authd's is in planted-authd.c.
 */
#include "tests/planted/planted.h"

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/master.h"
#include "common/log.h"
#include "sip/check.h"
#include "sip/message.h"

#define MASK	0x5a	/* what is looked for is masked, so that it is not found in the question */

static int maps = -1, memory = -1;

int	__real_proc_drop_to(const char *user);
int	__wrap_proc_drop_to(const char *user);
void	__real_backstage_follow(const struct backstage *);
void	__wrap_backstage_follow(const struct backstage *);
int	__real_backstage_ask(struct backstage *, unsigned type, int fd, char **bytes, size_t *n);
int	__wrap_backstage_ask(struct backstage *, unsigned type, int fd, char **bytes, size_t *n);
enum sip_check __real_sip_check_message(struct sip_message *);
enum sip_check __wrap_sip_check_message(struct sip_message *);

/* With all rights still, the proxy and keyd open what an intruder would be lucky to find open. */
int
__wrap_proc_drop_to(const char *user)
{
	maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	return __real_proc_drop_to(user);
}

static void
tell(const char *what, bool done)
{
	struct logrec r;
	int error = done ? 0 : errno;

	r = log_begin(SP_LOG_ERROR, "planted");
	log_word(&r, "what", what);
	log_word(&r, "done", done ? "yes" : "no");
	log_text(&r, "error", strerror(error));
	log_end(&r);
}

static bool
read_of(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd != -1 && read(fd, &byte, 1) == 1;
}

static bool
run_shell(const char *argument)
{
	(void)argument;
	return execl("/bin/sh", "sh", "-c", "true", (char *)NULL) != -1;
}

static bool
write_to(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd != -1 && write(fd, "x", 1) == 1;
}

static bool
make_process(const char *argument)
{
	pid_t pid = fork();

	(void)argument;
	if (pid == 0)
		_exit(0);
	return pid != -1;
}

static bool
trace(const char *pid)
{
	return ptrace(PTRACE_ATTACH, atoi(pid), NULL, NULL) == 0;
}

static bool
read_other(const char *pid)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { &maps, 1 };

	return process_vm_readv(atoi(pid), &to, 1, &from, 1, 0) != -1;
}

static bool
signal_other(const char *pid)
{
	return kill(atoi(pid), SIGTERM) == 0;
}

static bool
call_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	return fd != -1 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0;
}

/* "address port" */
static bool
call_out(const char *where)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	char address[64];
	int port, fd;

	if (sscanf(where, "%63s %d", address, &port) != 2 || inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		return false;
	sin.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd != -1 && connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;
}

/* Whoever may write somewhere must not leave a name there that leads elsewhere. */
static bool
link_to(const char *path)
{
	return symlink("/etc/shadow", path) == 0;
}

static bool
run_memory(const char *argument)
{
	(void)argument;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool
unhook(const char *argument)
{
	(void)argument;
	return signal(SIGSYS, SIG_IGN) != SIG_ERR;
}

/* Everything that is open, read from its beginning: is there a key file among it? */
static bool
read_open_files(const char *argument)
{
	char bytes[4096];

	(void)argument;
	for (int fd = 3; fd < 1024; fd++) {
		ssize_t n = fd != memory && fd != maps ? pread(fd, bytes, sizeof(bytes), 0) : -1;

		if (n > 0 && memmem(bytes, (size_t)n, "PRIVATE KEY", 11) != NULL)
			return true;
	}
	errno = ENOENT;
	return false;
}

/* ---- the way to the master, taken from the thread that has it ---- */

static struct backstage *stage;
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;

void
__wrap_backstage_follow(const struct backstage *b)
{
	stage = (struct backstage *)(uintptr_t)b;
	__real_backstage_follow(b);
}

int
__wrap_backstage_ask(struct backstage *b, unsigned type, int fd, char **bytes, size_t *n)
{
	int err;

	pthread_mutex_lock(&asking);
	err = __real_backstage_ask(b, type, fd, bytes, n);
	pthread_mutex_unlock(&asking);
	return err;
}

/* The session log put aside, and once more: then the one before is gone, and the traces with it. */
static bool
push_out(const char *argument)
{
	int fd;

	(void)argument;
	pthread_mutex_lock(&asking);
	fd = backstage_ask_file(stage, MASTER_SESSIONS_ANEW);
	if (fd != -1)
		fd = backstage_ask_file(stage, MASTER_SESSIONS_ANEW);
	pthread_mutex_unlock(&asking);
	return fd != -1;
}

static unsigned char wanted[256];
static size_t nwanted;

static bool
has_wanted(const unsigned char *p, size_t n)
{
	for (; n >= nwanted; p++, n--) {
		size_t i = 0;

		while (i < nwanted && (p[i] ^ MASK) == wanted[i])
			i++;
		if (i == nwanted)
			return true;
	}
	return false;
}

/* Own memory, all of it: the argument in hexadecimal, masked. */
static bool
scan(const char *hex)
{
	static unsigned char piece[1 << 20];
	static char list[1 << 20];
	ssize_t n, got = 0;
	unsigned long from, to;
	char rights[8];

	for (nwanted = 0; nwanted < sizeof(wanted) && sscanf(hex + 2 * nwanted, "%2hhx", &wanted[nwanted]) == 1; nwanted++)
		;
	errno = EINVAL;
	while (nwanted >= 8 && (n = pread(maps, list + got, sizeof(list) - 1 - (size_t)got, got)) > 0)
		got += n;
	list[got] = '\0';
	errno = ENOENT;
	for (char *line = list; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[0] != 'r')
			continue;
		/* pieces overlap, so that nothing hides between two */
		for (; from < to; from += sizeof(piece) - sizeof(wanted)) {
			size_t want = to - from < sizeof(piece) ? to - from : sizeof(piece);

			if ((n = pread(memory, piece, want, (off_t)from)) > 0 && has_wanted(piece, (size_t)n))
				return true;
		}
	}
	errno = got > 4096 ? ENOENT : EIO;
	return false;
}

static bool
crash(const char *argument)
{
	(void)argument;
	raise(SIGSEGV);
	return false;
}

/* A worker that does nothing any more. */
static bool
hang(const char *argument)
{
	static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;

	(void)argument;
	log_say(SP_LOG_ERROR, "planted", "this worker hangs now");
	pthread_mutex_lock(&never);
	pthread_mutex_lock(&never);
	return false;
}

static const struct {
	const char	*what;
	bool		(*try)(const char *argument);
} attempts[] = {
	{ "read", read_of }, { "write", write_to }, { "exec", run_shell }, { "fork", make_process }, { "ptrace", trace },
	{ "vmread", read_other }, { "kill", signal_other }, { "unix", call_unix }, { "inet", call_out }, { "link", link_to }, { "code", run_memory },
	{ "unhook", unhook }, { "files", read_open_files }, { "scan", scan }, { "anew", push_out }, { "crash", crash }, { "hang", hang }
};

void
planted_try(const char *what, const char *argument)
{
	for (size_t k = 0; k < sizeof(attempts) / sizeof(attempts[0]); k++) {
		if (strcmp(what, attempts[k].what) == 0) {
			bool done = attempts[k].try(argument);

			tell(what, done);
		}
	}
}

static void
planted(const struct sip_message *m)
{
	char text[1024];
	char *argument;

	for (size_t i = 0; i < m->nheaders; i++) {
		struct span name = sip_header_name(m, (int)i), value = sip_header_value(m, (int)i);

		if (!span_iis(name, "X-Planted") || value.n >= sizeof(text))
			continue;
		memcpy(text, value.p, value.n);
		text[value.n] = '\0';
		argument = text + strcspn(text, " ");
		if (*argument != '\0')
			*argument++ = '\0';
		planted_try(text, argument);
	}
}

enum sip_check
__wrap_sip_check_message(struct sip_message *m)
{
	planted(m);
	return __real_sip_check_message(m);
}
