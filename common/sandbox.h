/*
 * common/sandbox.h - what a process of ours may still ask of the kernel.
 *
 * Two fences, one behind the other. Landlock takes the file system away, but for
 * the places that are named; seccomp takes away every system call that the role
 * has no use for. Neither can be undone, and both pass on to threads and children.
 *
 * What a role may do is a row of the table in sandbox.c. A call that is not in it
 * ends the process by SIGSYS, after a line in the log (event=sandbox-violation)
 * that names role and call; a few that libraries try and do without are answered
 * with an error instead. Builds with sanitizers have what those need besides; the
 * log says so at the start.
 */
#ifndef SALLYPORT_COMMON_SANDBOX_H
#define SALLYPORT_COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sandbox_role {
	SANDBOX_NOTHING = 0,	/* reads, writes and closes what is open: the safe one */
	SANDBOX_KEYD,		/* the same, and takes descriptors; signs */
	SANDBOX_PROXY,		/* TCP, UDP and threads; no file, no process, no UNIX socket of its own making */
	SANDBOX_PROXY_KRB5,	/* the same, and reads the configuration of the Kerberos library */
	SANDBOX_AUTHD,		/* reads its files, keeps the replay cache of Kerberos; no network, no process */
	SANDBOX_LDAPD,		/* reads its files; TCP, UDP and threads */
	SANDBOX_WBD,		/* asks winbind, with threads; writes its log; no network */
	SANDBOX_SHARED,		/* TCP to one server, and files that are memory; no file of the file system */
	SANDBOX_ADMIN,		/* reads and writes its files; UNIX sockets; takes TCP connections and makes none */
	SANDBOX_NROLES
};

const char *sandbox_role_name(enum sandbox_role);

/* A place in the file system; everything below a directory, too. */
struct sandbox_path {
	const char	*path;		/* one that does not exist is passed over */
	bool		 write;		/* and write, make, rename and remove there; else read alone */
};

/*
 * Landlock: from now on this thread, and the threads and children that it makes,
 * see nothing of the file system but paths[0..n). What is open stays open. Call it
 * while there is one thread. A kernel without Landlock is told to the log, once,
 * and is no error. SP_OK, or SP_EIO (errno; logged): the fence is not there.
 */
int	 sandbox_files(enum sandbox_role, const struct sandbox_path *paths, size_t n);
/* The same, and TCP is had to ports[0..nports) alone, whatever the address (Landlock's fourth version; older: to all). */
int	 sandbox_files_ports(enum sandbox_role, const struct sandbox_path *paths, size_t n, const uint16_t *ports, size_t nports);

/*
 * seccomp: from now on all threads of this process have what the role allows.
 * no-new-privs comes with it. SP_OK, or SP_EIO (errno; logged): nothing has changed.
 */
int	 sandbox_calls(enum sandbox_role);

#endif
