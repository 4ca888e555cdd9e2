/*
 * net/nics.c - see nics.h.
 */
#include "net/nics.h"

#include <sys/types.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/strbuf.h"

bool
net_nics_choose(const struct net_nic *v, size_t n, const struct net_addr *route, struct net_addr *outside,
    struct net_addr *inside, char why[NET_NICS_WHY])
{
	const struct net_nic *out = NULL, *in = NULL;
	struct strbuf others;
	char list[128];
	size_t count = 0;

	*outside = *inside = (struct net_addr){ .len = 0 };
	why[0] = '\0';
	strbuf_init(&others, list, sizeof(list));
	for (size_t i = 0; out == NULL && route->len != 0 && i < n; i++)
		if (net_addr_same_host(&v[i].addr, route))
			out = &v[i];
	if (out == NULL) {
		snprintf(why, NET_NICS_WHY, "there is no default route, which would tell the address that faces the Internet");
		return false;
	}
	*outside = out->addr;
	for (size_t i = 0; i < n; i++) {
		char text[NET_ADDR_TEXT];

		if (strcmp(v[i].name, out->name) == 0)
			continue;
		in = &v[i];
		strbuf_printf(&others, "%s%s %s", count++ != 0 ? ", " : "", in->name, net_addr_host(&in->addr, text));
	}
	if (count == 1)
		*inside = in->addr;
	else if (count == 0)
		snprintf(why, NET_NICS_WHY, "there is no interface with an address but %s, by which the default route leaves", out->name);
	else
		snprintf(why, NET_NICS_WHY, "there are several addresses that may face the inside: %s", list);
	return count == 1;
}

/* The address that we would have towards the Internet. Nothing is sent: UDP only notes where it would go to. */
static void
find_route(struct net_addr *out)
{
	struct sockaddr_in far = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* RFC 5737: nobody has an address of that network, so only the default route leads there */
	far.sin_addr.s_addr = htonl(0xc6336401);
	if (fd != -1 && connect(fd, (struct sockaddr *)&far, sizeof(far)) == 0) {
		socklen_t len = sizeof(out->ss);

		if (getsockname(fd, (struct sockaddr *)&out->ss, &len) == 0)
			out->len = len;
	}
	if (fd != -1)
		close(fd);
}

bool
net_nics_find(struct net_addr *outside, struct net_addr *inside, char why[NET_NICS_WHY])
{
	struct net_nic v[NET_NICS_MAX];
	struct ifaddrs *all = NULL;
	struct net_addr route = { .len = 0 };
	size_t n = 0;
	bool found;

	if (getifaddrs(&all) != 0)
		all = NULL;
	for (const struct ifaddrs *a = all; a != NULL && n < NET_NICS_MAX; a = a->ifa_next) {
		if (a->ifa_addr == NULL || a->ifa_addr->sa_family != AF_INET || (a->ifa_flags & IFF_UP) == 0 ||
		    (a->ifa_flags & IFF_LOOPBACK) != 0)
			continue;
		v[n] = (struct net_nic){ .addr = { .len = sizeof(struct sockaddr_in) } };
		snprintf(v[n].name, sizeof(v[n].name), "%s", a->ifa_name);
		memcpy(&v[n++].addr.ss, a->ifa_addr, sizeof(struct sockaddr_in));
	}
	find_route(&route);
	found = net_nics_choose(v, n, &route, outside, inside, why);
	net_addr_set_port(outside, 0);
	net_addr_set_port(inside, 0);
	if (all != NULL)
		freeifaddrs(all);
	return found;
}
