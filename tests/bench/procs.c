#include "tests/bench/procs.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAMILY_MAX	1024

struct member {
	pid_t		 pid;
	pid_t		 parent;
	unsigned long	 user;
	unsigned long	 system;
	bool		 ours;
};

int
procs_parse(struct procs *p, const char *list)
{
	char *end;
	long pid;

	for (p->n = 0; p->n < PROCS_ROOTS_MAX; list = end + 1) {
		pid = strtol(list, &end, 10);
		if (end == list || pid <= 0 || (*end != ',' && *end != '\0'))
			return -1;
		p->root[p->n++] = (pid_t)pid;
		if (*end == '\0')
			return 0;
	}
	return -1;
}

static bool
read_stat(pid_t pid, struct member *m)
{
	char path[64], text[1024], *after;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "r")) == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	/* The name stands in brackets and may hold anything. */
	if ((after = strrchr(text, ')')) == NULL)
		return false;
	*m = (struct member){ .pid = pid };
	return sscanf(after + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
	    "%lu %lu", &m->parent, &m->user, &m->system) == 3;
}

static uint64_t
threads_ns(pid_t pid)
{
	char path[sizeof(((struct dirent *)NULL)->d_name) + 64];
	unsigned long long ns;
	uint64_t sum = 0;
	struct dirent *d;
	FILE *f;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((dir = opendir(path)) == NULL)
		return 0;
	while ((d = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat",
		    (int)pid, d->d_name);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		if (fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		fclose(f);
	}
	closedir(dir);
	return sum;
}

/* Pages of a process that keeps others from looking closer (not dumpable, and we are not root). */
static uint64_t
resident(pid_t pid)
{
	unsigned long long pages = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	if (fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t
pss(pid_t pid)
{
	unsigned long long kib;
	char path[64], line[256];
	uint64_t sum = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	if ((f = fopen(path, "r")) == NULL)
		return resident(pid);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Pss: %llu", &kib) == 1)
			sum = kib * 1024;
	fclose(f);
	return sum != 0 ? sum : resident(pid);
}

/* Every process of the machine, then mark the families of the roots. */
static int
families(const struct procs *p, struct member *all, int max)
{
	struct dirent *d;
	int n = 0, i, j;
	bool more = true;
	DIR *dir;

	if ((dir = opendir("/proc")) == NULL)
		return 0;
	while (n < max && (d = readdir(dir)) != NULL)
		if (isdigit((unsigned char)d->d_name[0]) &&
		    read_stat((pid_t)atoi(d->d_name), &all[n]))
			n++;
	closedir(dir);
	for (i = 0; i < n; i++)
		for (j = 0; j < p->n; j++)
			all[i].ours |= all[i].pid == p->root[j];
	while (more) {
		more = false;
		for (i = 0; i < n; i++)
			for (j = 0; j < n && !all[i].ours; j++)
				if (all[j].ours && all[j].pid == all[i].parent)
					all[i].ours = more = true;
	}
	return n;
}

struct procs_cost
procs_cost(const struct procs *p, int with_memory)
{
	static struct member all[FAMILY_MAX];
	struct procs_cost cost = { 0 };
	uint64_t tick_ms = 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	int i, n = families(p, all, FAMILY_MAX);

	for (i = 0; i < n; i++) {
		if (!all[i].ours)
			continue;
		cost.processes++;
		cost.cpu_ns += threads_ns(all[i].pid);
		cost.user_ms += all[i].user * tick_ms;
		cost.system_ms += all[i].system * tick_ms;
		if (with_memory)
			cost.pss_bytes += pss(all[i].pid);
	}
	return cost;
}
