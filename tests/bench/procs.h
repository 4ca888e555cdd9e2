/*
 * tests/bench/procs.h - what the processes under test have cost so far: CPU
 * time and memory of some processes and all their descendants, from /proc.
 */
#ifndef SALLYPORT_TESTS_BENCH_PROCS_H
#define SALLYPORT_TESTS_BENCH_PROCS_H

#include <stdint.h>
#include <sys/types.h>

#define PROCS_ROOTS_MAX	16

struct procs {
	pid_t	 root[PROCS_ROOTS_MAX];
	int	 n;
};

struct procs_cost {
	uint64_t	 cpu_ns;	/* scheduler's own account, all threads */
	uint64_t	 user_ms;	/* the kernel's division of it: */
	uint64_t	 system_ms;	/* ticks of 10 ms, sampled */
	uint64_t	 pss_bytes;	/* resident; shared pages counted once */
	int		 processes;
};

/* "12,34": the process ids whose families are meant. 0, or -1: not a list. */
int	procs_parse(struct procs *, const char *list);

/*
 * Cost up to now. Processes that have ended no longer count. Memory takes
 * milliseconds to add up and is only looked at when asked for.
 */
struct procs_cost procs_cost(const struct procs *, int with_memory);

#endif
