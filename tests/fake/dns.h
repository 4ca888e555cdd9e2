/*
 * tests/fake/dns.h - a DNS server inside of the test, on the test's own loop.
 *
 * It says what the test tells it to, also what no honest server would: every
 * answer is put together record by record by the test's own function.
 */
#ifndef SALLYPORT_TESTS_FAKE_DNS_H
#define SALLYPORT_TESTS_FAKE_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct fake_dns;

struct fake_dns_question {
	char		 name[256];	/* lower-case, no trailing dot */
	uint16_t	 type;
	bool		 tcp;
	bool		 ad;		/* the asker's AD bit */
	uint16_t	 from_port;
	uint16_t	 id;
};

struct fake_dns_message {
	unsigned char	 b[65535];
	size_t		 n;
};

enum fake_dns_section {
	FAKE_DNS_ANSWER = 1,
	FAKE_DNS_AUTHORITY,
	FAKE_DNS_ADDITIONAL
};

/* Fill the message, which begins with header and question (an answer, AA, RA, no error); false: say nothing. */
typedef bool (*fake_dns_fn)(void *arg, const struct fake_dns_question *, struct fake_dns_message *);

/* Listen on host (an address of 127/8), UDP and TCP, at a port of the kernel's choice. */
struct fake_dns *fake_dns_new(struct net_loop *, const char *host, fake_dns_fn, void *arg);
void	 fake_dns_free(struct fake_dns *);
/* "127.0.0.1:12345"; valid until freed. */
const char *fake_dns_where(const struct fake_dns *);
/* How many questions came. */
unsigned fake_dns_asked(const struct fake_dns *);

/* The header: set the rcode, and other flags (0x0200 is TC, 0x0020 AD; 0x0400 AA and 0x0080 RA are set at first). */
void	 fake_dns_rcode(struct fake_dns_message *, unsigned rcode);
void	 fake_dns_flags(struct fake_dns_message *, unsigned set, unsigned clear);
/* Records. Names are text; "" or "." is the root. */
void	 fake_dns_raw(struct fake_dns_message *, enum fake_dns_section, const char *owner, uint16_t type, uint32_t ttl,
	    const void *data, size_t len);
void	 fake_dns_address(struct fake_dns_message *, const char *owner, uint32_t ttl, const char *address);
void	 fake_dns_cname(struct fake_dns_message *, const char *owner, uint32_t ttl, const char *target);
void	 fake_dns_srv(struct fake_dns_message *, const char *owner, uint32_t ttl, uint16_t priority, uint16_t weight,
	    uint16_t port, const char *target);
void	 fake_dns_soa(struct fake_dns_message *, const char *owner);
/* A message from nothing, for tests of the reader alone. */
void	 fake_dns_begin(struct fake_dns_message *, uint16_t id, const char *name, uint16_t type);

#endif
