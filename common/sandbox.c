/*
 * common/sandbox.c - see sandbox.h.
 */
#include "common/sandbox.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include <seccomp.h>

#include "common/err.h"
#include "common/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* What a role may do besides reading and writing what is open. */
enum {
	MAY_THREADS	= 1 << 0,	/* make threads, and never processes */
	MAY_POLL	= 1 << 1,	/* epoll and eventfd */
	MAY_INET	= 1 << 2,	/* TCP and UDP, both ways */
	MAY_UNIX	= 1 << 3,	/* connect to UNIX sockets */
	MAY_READ	= 1 << 4,	/* open files for reading; Landlock says which */
	MAY_WRITE	= 1 << 5,	/* and for writing */
	MAY_FORK	= 1 << 6,	/* make processes, wait for them and end them; the filter goes with them */
	MAY_MEMFD	= 1 << 7,	/* make files that are memory, to hand over */
	MAY_ACCEPT	= 1 << 8	/* take connections on a socket that is there, and make none to elsewhere */
};

static const struct {
	const char	*name;
	unsigned	 may;
} roles[SANDBOX_NROLES] = {
	[SANDBOX_NOTHING] = { "nothing", 0 },
	[SANDBOX_KEYD] = { "keyd", 0 },
	[SANDBOX_PROXY] = { "proxy", MAY_THREADS | MAY_POLL | MAY_INET | MAY_MEMFD },
	[SANDBOX_PROXY_KRB5] = { "proxy", MAY_THREADS | MAY_POLL | MAY_INET | MAY_MEMFD | MAY_READ },
	[SANDBOX_AUTHD] = { "authd", MAY_READ | MAY_WRITE | MAY_UNIX | MAY_POLL },
	[SANDBOX_LDAPD] = { "ldapd", MAY_READ | MAY_INET | MAY_UNIX | MAY_POLL | MAY_THREADS },
	[SANDBOX_WBD] = { "wbd", MAY_READ | MAY_WRITE | MAY_UNIX | MAY_POLL | MAY_THREADS },
	[SANDBOX_SHARED] = { "shared", MAY_INET | MAY_MEMFD },
	[SANDBOX_ADMIN] = { "admin", MAY_READ | MAY_WRITE | MAY_ACCEPT | MAY_UNIX | MAY_POLL | MAY_THREADS | MAY_MEMFD }
};

const char *
sandbox_role_name(enum sandbox_role role)
{
	return roles[role].name;
}

/* ---- Landlock ---- */

/*
 * The kernel's numbers, since Debian 12's headers end at its second version. A
 * larger structure is fine for an older kernel as long as what it does not know is 0.
 */
struct ruleset {
	uint64_t	 fs, net, scoped;
};
struct below {
	uint64_t	 fs;
	int32_t		 fd;
} __attribute__((packed));
struct to_port {
	uint64_t	 net, port;
};

#define NET_BIND_TCP	(1u << 0)	/* fourth version */
#define NET_CONNECT_TCP	(1u << 1)
#define RULE_PORT	2

#define FS_EXECUTE	(1u << 0)
#define FS_WRITE_FILE	(1u << 1)
#define FS_READ_FILE	(1u << 2)
#define FS_READ_DIR	(1u << 3)
#define FS_FIRST	((1u << 13) - 1)	/* all of the first version */
#define FS_REFER	(1u << 13)		/* second: rename and link across directories */
#define FS_TRUNCATE	(1u << 14)		/* third */
#define FS_IOCTL_DEV	(1u << 15)		/* fifth */
#define SCOPE_ABSTRACT	(1u << 0)		/* sixth: abstract UNIX sockets of others */
#define SCOPE_SIGNAL	(1u << 1)		/* and signals to others */
#define MAKE_SPECIAL	(1u << 6 | 1u << 11 | 1u << 12)	/* device nodes, that nobody needs (bits 6, 11; symbolic links 12) */

#define FILE_RIGHTS	(FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

static uint64_t
rights_known(int version)
{
	uint64_t all = FS_FIRST;

	if (version >= 2)
		all |= FS_REFER;
	if (version >= 3)
		all |= FS_TRUNCATE;
	if (version >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

static int
allow_path(int rules, const struct sandbox_path *p, uint64_t known)
{
	uint64_t rights = FS_READ_FILE | FS_READ_DIR;
	struct below b;
	struct stat st;
	int rc;

	if ((b.fd = open(p->path, O_PATH | O_CLOEXEC)) == -1)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -1;
	if (p->write)
		rights = known & ~(uint64_t)(FS_EXECUTE | FS_IOCTL_DEV | MAKE_SPECIAL);
	if (fstat(b.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rights &= FILE_RIGHTS;
	b.fs = rights & known;
	rc = (int)syscall(SYS_landlock_add_rule, rules, 1, &b, 0);
	close(b.fd);
	return rc;
}

static int
allow_port(int rules, uint16_t port)
{
	struct to_port p = { NET_CONNECT_TCP, port };

	return (int)syscall(SYS_landlock_add_rule, rules, RULE_PORT, &p, 0);
}

int
sandbox_files(enum sandbox_role role, const struct sandbox_path *paths, size_t n)
{
	return sandbox_files_ports(role, paths, n, NULL, 0);
}

int
sandbox_files_ports(enum sandbox_role role, const struct sandbox_path *paths, size_t n, const uint16_t *ports, size_t nports)
{
	/* the leak checker and the symbolizer of a sanitizer read what is mapped */
	static const struct sandbox_path whole = { "/", false };
	struct ruleset rs = { 0, 0, 0 };
	int rules, rc = 0, version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL);
	if (version < 1) {
		log_say(SP_LOG_WARNING, "landlock-none", "%s: this kernel has no Landlock; seccomp and the account "
		    "are what is left", roles[role].name);
		return SP_OK;
	}
	rs.fs = rights_known(version);
	if (version >= 4 && nports != 0)
		rs.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (version >= 6)
		rs.scoped = (roles[role].may & MAY_UNIX ? 0 : SCOPE_ABSTRACT) |
		    (roles[role].may & MAY_FORK ? 0 : SCOPE_SIGNAL);
	rules = (int)syscall(SYS_landlock_create_ruleset, &rs, sizeof(rs), 0);
	for (size_t i = 0; rules != -1 && rc == 0 && i < n; i++)
		rc = allow_path(rules, &paths[i], rs.fs);
	for (size_t i = 0; rules != -1 && rc == 0 && rs.net != 0 && i < nports; i++)
		rc = allow_port(rules, ports[i]);
	if (SANITIZED && rules != -1 && rc == 0)
		rc = allow_path(rules, &whole, rs.fs);
	if (rules == -1 || rc != 0 || syscall(SYS_landlock_restrict_self, rules, 0) != 0) {
		log_say(SP_LOG_ERROR, "sandbox", "%s: Landlock: %s", roles[role].name, strerror(errno));
		if (rules != -1)
			close(rules);
		return SP_EIO;
	}
	close(rules);
	return SP_OK;
}

/* ---- seccomp ---- */

#define CALL(name)	SCMP_SYS(name)

/* Of everybody: memory, time, own signals, and what is open. */
static const int calls_common[] = {
	CALL(read), CALL(write), CALL(readv), CALL(writev), CALL(pread64), CALL(pwrite64), CALL(lseek), CALL(close), CALL(ftruncate),
	CALL(fstat), CALL(recvmsg), CALL(sendmsg), CALL(recvfrom), CALL(sendto), CALL(shutdown), CALL(poll), CALL(ppoll),
	CALL(dup), CALL(dup2), CALL(dup3), CALL(munmap), CALL(mremap), CALL(brk), CALL(madvise), CALL(futex), CALL(clock_gettime),
	CALL(clock_getres), CALL(gettimeofday), CALL(time), CALL(clock_nanosleep), CALL(nanosleep),
	CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigtimedwait), CALL(rt_sigpending), CALL(sigaltstack),
	CALL(getpid), CALL(gettid), CALL(getppid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid),
	CALL(getrandom), CALL(sched_yield), CALL(sched_getaffinity), CALL(restart_syscall), CALL(getrusage),
	CALL(sysinfo), CALL(uname), CALL(membarrier), CALL(exit), CALL(exit_group)
};
static const int calls_threads[] = {
	CALL(set_robust_list), CALL(rseq), CALL(set_tid_address)
};
static const int calls_poll[] = {
	CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(eventfd2),
	CALL(select), CALL(pselect6)
};
/* Of whoever has sockets of any kind. */
static const int calls_sockets[] = {
	CALL(connect), CALL(bind), CALL(getsockname), CALL(getpeername), CALL(setsockopt), CALL(getsockopt),
	CALL(sendmmsg), CALL(recvmmsg)
};
static const int calls_inet[] = {
	CALL(accept), CALL(accept4), CALL(listen)
};
static const int calls_read[] = {
	CALL(stat), CALL(lstat), CALL(newfstatat), CALL(statx), CALL(access), CALL(faccessat), CALL(faccessat2),
	CALL(readlink), CALL(readlinkat), CALL(getdents64), CALL(getcwd), CALL(statfs), CALL(fstatfs), CALL(fadvise64),
	CALL(flock)
};
static const int calls_write[] = {
	CALL(open), CALL(openat), CALL(creat), CALL(rename), CALL(renameat), CALL(renameat2), CALL(unlink), CALL(unlinkat),
	CALL(mkdir), CALL(mkdirat), CALL(fchmod), CALL(fchown), CALL(fsync), CALL(fdatasync),
	CALL(fallocate), CALL(umask), CALL(link), CALL(linkat), CALL(utimensat)
};
static const int calls_fork[] = {
	CALL(clone), CALL(fork), CALL(vfork), CALL(wait4), CALL(waitid), CALL(kill), CALL(pipe), CALL(pipe2),
	CALL(socketpair), CALL(set_robust_list), CALL(rseq), CALL(set_tid_address), CALL(close_range), CALL(setsid)
};
/* The leak checker stops the threads from a tracer that it makes; reports read what is mapped. */
static const int calls_sanitizer[] = {
	CALL(stat), CALL(lstat), CALL(newfstatat), CALL(access), CALL(readlink), CALL(readlinkat), CALL(getdents64), CALL(getdents),
	CALL(getcwd), CALL(ptrace), CALL(wait4), CALL(kill), CALL(tgkill), CALL(clone), CALL(mmap), CALL(mprotect),
	CALL(prctl), CALL(getrlimit), CALL(prlimit64), CALL(setrlimit), CALL(pipe2), CALL(ioctl),
	CALL(process_vm_readv), CALL(mincore), CALL(set_robust_list), CALL(rseq), CALL(sched_getparam),
	CALL(sched_getscheduler), CALL(getpgrp)
};
/* What libraries try and do without: where it is not allowed, violated() answers with an error. */
static const int calls_refused[] = {
	CALL(open), CALL(openat), CALL(stat), CALL(lstat), CALL(newfstatat), CALL(statx), CALL(access), CALL(faccessat),
	CALL(faccessat2), CALL(readlink), CALL(readlinkat), CALL(getcwd), CALL(statfs), CALL(prctl), CALL(ioctl),
	CALL(prlimit64), CALL(getrlimit), CALL(sched_setaffinity), CALL(mlock), CALL(mlock2), CALL(munlock),
	CALL(getsockopt), CALL(setsockopt), CALL(getsockname), CALL(getpeername), CALL(unlink), CALL(unlinkat)
};

/* For the log: a number is good enough for the rest. */
static const struct {
	int		 number;
	const char	*name;
} names[] = {
	{ SYS_execve, "execve" }, { SYS_execveat, "execveat" }, { SYS_ptrace, "ptrace" }, { SYS_socket, "socket" },
	{ SYS_connect, "connect" }, { SYS_bind, "bind" }, { SYS_clone, "clone" }, { SYS_openat, "openat" },
	{ SYS_openat2, "openat2" }, { SYS_mmap, "mmap" }, { SYS_mprotect, "mprotect" }, { SYS_kill, "kill" },
	{ SYS_tgkill, "tgkill" }, { SYS_process_vm_readv, "process_vm_readv" }, { SYS_unshare, "unshare" },
	{ SYS_process_vm_writev, "process_vm_writev" }, { SYS_setuid, "setuid" }, { SYS_setns, "setns" },
	{ SYS_mount, "mount" }, { SYS_bpf, "bpf" }, { SYS_keyctl, "keyctl" }, { SYS_io_uring_setup, "io_uring_setup" },
	{ SYS_unlinkat, "unlinkat" }, { SYS_fcntl, "fcntl" }, { SYS_memfd_create, "memfd_create" },
	{ SYS_socketpair, "socketpair" }, { SYS_rt_sigaction, "rt_sigaction" }, { SYS_wait4, "wait4" },
	{ SYS_pidfd_open, "pidfd_open" }, { SYS_pidfd_getfd, "pidfd_getfd" }, { SYS_userfaultfd, "userfaultfd" },
	{ SYS_getdents64, "getdents64" }, { SYS_personality, "personality" }
};

static enum sandbox_role entered;	/* written once, before the filter is there */

static bool
is_among(const int *calls, size_t n, int call)
{
	for (size_t i = 0; i < n; i++)
		if (calls[i] == call)
			return true;
	return false;
}
#define AMONG(calls, call)	is_among(calls, sizeof(calls) / sizeof((calls)[0]), call)

/* The call that led here returns EPERM. False: on this machine we don't know how. */
static bool
answer_refused(ucontext_t *context)
{
#if defined(__x86_64__)
	context->uc_mcontext.gregs[REG_RAX] = -EPERM;
	return true;
#elif defined(__aarch64__)
	context->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
	return true;
#else
	(void)context;
	return false;
#endif
}

/*
 * A thread has asked for what it may not have. The filter ends the process when
 * this handler is touched, which is how it ends here.
 */
static void
violated(int sig, siginfo_t *info, void *context)
{
	const char *name = NULL;
	struct logrec r;
	int saved = errno;

	bool plugin = (roles[entered].may & MAY_READ) != 0 &&
	    (info->si_syscall == SYS_mmap || info->si_syscall == SYS_mprotect);

	/* who may read files may look for plug-ins, and does without those that were not loaded before */
	if ((plugin || AMONG(calls_refused, info->si_syscall)) && answer_refused(context)) {
		errno = saved;
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == info->si_syscall)
			name = names[i].name;
	r = log_begin(SP_LOG_ERROR, "sandbox-violation");
	log_word(&r, "role", roles[entered].name);
	log_int(&r, "syscall", info->si_syscall);
	if (name != NULL)
		log_word(&r, "name", name);
	log_end(&r);
	(void)signal(sig, SIG_DFL);
	_exit(128 + SIGSYS);
}

struct filter {
	scmp_filter_ctx	 ctx;
	int		 error;		/* the first, as a positive errno */
};

static void
noted(struct filter *f, int rc)
{
	/* a call that this architecture has not is no error */
	if (rc < 0 && rc != -EDOM && rc != -EEXIST && f->error == 0)
		f->error = -rc;
}

static void
allow_all(struct filter *f, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		noted(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, calls[i], 0));
}
#define ALLOW(f, calls)	allow_all(f, calls, sizeof(calls) / sizeof((calls)[0]))

static void
allow_if(struct filter *f, int call, struct scmp_arg_cmp arg)
{
	noted(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, call, 1, arg));
}

static void
allow_ioctl(struct filter *f, unsigned long request)
{
	allow_if(f, CALL(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, request));
}

/* Memory is never made executable, and nobody takes away the handler of violations. */
static void
allow_with_care(struct filter *f)
{
	static const int flags[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS };

	allow_if(f, CALL(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	allow_if(f, CALL(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	allow_if(f, CALL(rt_sigaction), SCMP_A0(SCMP_CMP_NE, SIGSYS));
	noted(f, seccomp_rule_add(f->ctx, SCMP_ACT_KILL_PROCESS, CALL(rt_sigaction), 1, SCMP_A0(SCMP_CMP_EQ, SIGSYS)));
	allow_if(f, CALL(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	/* its own threads alone: abort() */
	allow_if(f, CALL(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	/* to look, not to change */
	allow_if(f, CALL(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0));
	allow_if(f, CALL(newfstatat), SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		allow_if(f, CALL(fcntl), SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)flags[i]));
}

static void
allow_role(struct filter *f, unsigned may)
{
	if (may & MAY_THREADS) {
		ALLOW(f, calls_threads);
		allow_if(f, CALL(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	}
	if (may & MAY_POLL)
		ALLOW(f, calls_poll);
	if (may & (MAY_INET | MAY_UNIX)) {
		ALLOW(f, calls_sockets);
		allow_ioctl(f, FIONBIO);
		allow_ioctl(f, FIONREAD);
	}
	if (may & (MAY_INET | MAY_ACCEPT))
		ALLOW(f, calls_inet);
	if (may & MAY_INET) {
		allow_if(f, CALL(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET));
		allow_if(f, CALL(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6));
		/* the C library looks for interfaces to sort addresses by, and does without */
		noted(f, seccomp_rule_add(f->ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), CALL(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)));
	}
	if (may & MAY_UNIX)
		allow_if(f, CALL(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (may & MAY_READ || SANITIZED) {
		const scmp_datum_t change = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;

		if (may & MAY_READ)
			ALLOW(f, calls_read);
		if (!(may & MAY_WRITE)) {
			allow_if(f, CALL(open), SCMP_A1(SCMP_CMP_MASKED_EQ, change, O_RDONLY));
			allow_if(f, CALL(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, change, O_RDONLY));
		}
	}
	if (may & MAY_WRITE)
		ALLOW(f, calls_write);
	if (may & MAY_READ) {
		/* locks of files: keytabs, and the replay cache of Kerberos */
		static const int locks[] = { F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW };

		for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++)
			allow_if(f, CALL(fcntl), SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)locks[i]));
	}
	if (may & MAY_FORK)
		ALLOW(f, calls_fork);
	if (may & MAY_MEMFD)
		noted(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, CALL(memfd_create), 0));
}

int
sandbox_calls(enum sandbox_role role)
{
	struct sigaction sa = { .sa_sigaction = violated, .sa_flags = SA_SIGINFO };
	unsigned may = roles[role].may;
	struct filter f = { .ctx = seccomp_init(SCMP_ACT_TRAP) };
	int rc;

	if (f.ctx == NULL) {
		errno = ENOMEM;
		goto bad;
	}
	noted(&f, seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_TSYNC, 1));
	noted(&f, seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
	noted(&f, seccomp_attr_set(f.ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
	ALLOW(&f, calls_common);
	if (SANITIZED)
		ALLOW(&f, calls_sanitizer);
	allow_with_care(&f);
	allow_role(&f, may);
	/* the C library takes clone() then, whose flags a filter can see */
	noted(&f, seccomp_rule_add(f.ctx, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0));
	if (f.error != 0) {
		errno = f.error;
		goto bad;
	}
	entered = role;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSYS, &sa, NULL) != 0)
		goto bad;
	if ((rc = seccomp_load(f.ctx)) != 0) {
		errno = -rc;
		goto bad;
	}
	seccomp_release(f.ctx);
	if (SANITIZED)
		log_say(SP_LOG_WARNING, "sandbox-sanitized", "%s: a build with sanitizers allows what those need",
		    roles[role].name);
	return SP_OK;
 bad:
	log_say(SP_LOG_ERROR, "sandbox", "%s: seccomp: %s", roles[role].name, strerror(errno));
	if (f.ctx != NULL)
		seccomp_release(f.ctx);
	return SP_EIO;
}
