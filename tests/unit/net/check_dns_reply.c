/*
 * One DNS message at a time, honest or not.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "net/dns_reply.h"
#include "tests/fake/dns.h"

static struct fake_dns_message m;
static struct net_dns_reply r;

static enum net_dns_status
read_as(const char *name, uint16_t type)
{
	/* A copy of its exact size, so that a sanitizer sees a step too far. */
	unsigned char *copy = malloc(m.n);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, m.b, m.n);
	net_dns_reply_parse(&r, copy, m.n, name, type);
	free(copy);
	return r.status;
}

static void
begin(uint16_t type)
{
	fake_dns_begin(&m, 7, "a.example", type);
}

START_TEST(every_cut_is_nonsense)
{
	size_t whole;

	begin(NET_DNS_A);
	fake_dns_cname(&m, "a.example", 300, "b.example");
	fake_dns_address(&m, "b.example", 100, "192.0.2.1");
	fake_dns_soa(&m, "example");
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FOUND);
	ck_assert_uint_eq(r.ttl, 100);
	ck_assert_uint_eq(r.aliases, 1);
	whole = m.n;
	for (m.n = 1; m.n < whole; m.n++)
		ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
	/* So is a byte too many. */
	m.n = whole;
	m.b[m.n++] = 0;
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
	ck_assert_uint_eq(r.naddrs, 0);
}
END_TEST

START_TEST(header_and_question_must_fit)
{
	static const struct {
		unsigned		 set, clear;
		enum net_dns_status	 status;
	} rows[] = {
		{ 0, 0, NET_DNS_FOUND },
		{ 0, 0x8000, NET_DNS_FAILED },		/* a question */
		{ 0x2000, 0, NET_DNS_FAILED },		/* opcode */
		{ 0x0200, 0, NET_DNS_FAILED },		/* truncated */
		{ 1, 0, NET_DNS_FAILED },		/* format error */
		{ 2, 0, NET_DNS_FAILED },
		{ 3, 0, NET_DNS_NONE },
		{ 4, 0, NET_DNS_FAILED },
		{ 5, 0, NET_DNS_FAILED },
		{ 15, 0, NET_DNS_FAILED },
		{ 0, 0x0480, NET_DNS_FOUND }		/* neither AA nor RA */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(NET_DNS_A);
		fake_dns_address(&m, "a.example", 300, "192.0.2.1");
		fake_dns_flags(&m, rows[i].set, rows[i].clear);
		ck_assert_int_eq(read_as("a.example", NET_DNS_A), rows[i].status);
		ck_assert_uint_eq(r.naddrs, rows[i].status == NET_DNS_FOUND);
	}
	begin(NET_DNS_A);
	fake_dns_address(&m, "a.example", 300, "192.0.2.1");
	ck_assert_int_eq(read_as("b.example", NET_DNS_A), NET_DNS_FAILED);
	ck_assert_int_eq(read_as("a.example", NET_DNS_AAAA), NET_DNS_FAILED);
	m.b[5] = 2;
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
	m.b[5] = 0;
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
	/* A referral is no word about the name. */
	begin(NET_DNS_A);
	fake_dns_raw(&m, FAKE_DNS_AUTHORITY, "example", 2, 300, "\2ns\7example", 12);
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_NONE);
	fake_dns_flags(&m, 0, 0x0480);
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
	/* EDNS has four more bits of rcode (RFC 6891 6.1.3). */
	begin(NET_DNS_A);
	fake_dns_address(&m, "a.example", 300, "192.0.2.1");
	fake_dns_raw(&m, FAKE_DNS_ADDITIONAL, "", 41, 0x00008000, NULL, 0);
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FOUND);
	m.b[m.n - 6] = 1;
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
}
END_TEST

START_TEST(letter_case_is_no_difference)
{
	fake_dns_begin(&m, 7, "A.eXample", NET_DNS_A);
	fake_dns_address(&m, "a.EXAMPLE", 300, "192.0.2.1");
	fake_dns_flags(&m, 0x0020, 0);
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FOUND);
	ck_assert(r.authentic);
}
END_TEST

/* A record whose owner is raw bytes, compressed or worse. */
static enum net_dns_status
with_owner(const void *owner, size_t n)
{
	begin(NET_DNS_A);
	memcpy(m.b + m.n, owner, n);
	m.n += n;
	memcpy(m.b + m.n, "\0\1\0\1\0\0\1\0\0\4\300\0\2\1", 14);
	m.n += 14;
	m.b[7] = 1;
	return read_as("a.example", NET_DNS_A);
}

START_TEST(pointers_lead_back_only)
{
	/* The question's name is at 12, the record at 27. */
	ck_assert_int_eq(with_owner("\300\14", 2), NET_DNS_FOUND);
	ck_assert_int_eq(with_owner("\1a\300\16", 4), NET_DNS_FOUND);
	ck_assert_int_eq(with_owner("\300\33", 2), NET_DNS_FAILED);	/* itself */
	ck_assert_int_eq(with_owner("\1a\300\33", 4), NET_DNS_FAILED);	/* round and round */
	ck_assert_int_eq(with_owner("\300\40", 2), NET_DNS_FAILED);	/* ahead */
	ck_assert_int_eq(with_owner("\377\377", 2), NET_DNS_FAILED);	/* outside */
	ck_assert_int_eq(with_owner("\300\0", 2), NET_DNS_FAILED);	/* into the header */
	ck_assert_int_eq(with_owner("\100", 1), NET_DNS_FAILED);	/* reserved forms of a label */
	ck_assert_int_eq(with_owner("\200\14", 2), NET_DNS_FAILED);
}
END_TEST

START_TEST(long_names_and_long_chains_of_pointers_end)
{
	unsigned char data[1024];
	size_t n = 0, at;

	/* 255 bytes on the wire, and one more. */
	for (n = 0; n < 254; n += 2)
		memcpy(data + n, "\1a", 2);
	data[n++] = 0;
	begin(NET_DNS_A);
	fake_dns_raw(&m, FAKE_DNS_ANSWER, "a.example", NET_DNS_CNAME, 300, data, n);
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_NONE);
	ck_assert_uint_eq(strlen(r.next), 253);
	memcpy(data + n - 3, "\2aa", 4);
	begin(NET_DNS_A);
	fake_dns_raw(&m, FAKE_DNS_ANSWER, "a.example", NET_DNS_CNAME, 300, data, n + 1);
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);

	/* A staircase of pointers that costs a long walk for each name. */
	begin(NET_DNS_A);
	at = m.n + 11;
	memcpy(data, "\300\14", 2);
	for (n = 2; n < 400; n += 2) {
		data[n] = (unsigned char)(0xc0 | (at + n - 2) >> 8);
		data[n + 1] = (unsigned char)(at + n - 2);
	}
	fake_dns_raw(&m, FAKE_DNS_ANSWER, "", 16, 300, data, n);
	memcpy(m.b + m.n, data + n - 2, 2);
	m.n += 2;
	memcpy(m.b + m.n, "\0\1\0\1\0\0\1\0\0\4\300\0\2\1", 14);
	m.n += 14;
	m.b[7] = 2;
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
}
END_TEST

START_TEST(data_must_have_its_form)
{
	static const struct {
		uint16_t	 type;
		const char	*data;
		size_t		 n;
	} rows[] = {
		{ NET_DNS_A, "\300\0\2", 3 }, { NET_DNS_A, "\300\0\2\1\1", 5 }, { NET_DNS_A, "", 0 },
		{ NET_DNS_AAAA, "\300\0\2\1", 4 },
		{ NET_DNS_SRV, "\0\1\0\1\0", 5 }, { NET_DNS_SRV, "\0\1\0\1\0\1", 6 },
		{ NET_DNS_SRV, "\0\1\0\1\0\1\1a", 8 },		/* target does not end */
		{ NET_DNS_SRV, "\0\1\0\1\0\1\1a\0\0", 10 },	/* something behind it */
		{ NET_DNS_SRV, "\0\1\0\1\0\1\3a.b\0", 11 },	/* a dot within a label */
		{ NET_DNS_SRV, "\0\1\0\1\0\1\2a\0\0", 10 },	/* a NUL */
		{ NET_DNS_SRV, "\0\1\0\1\0\1\2a\n\0", 10 },
		{ NET_DNS_SRV, "\0\1\0\1\0\1\2-a\0", 10 },
		{ NET_DNS_SRV, "\0\1\0\1\0\1\2_a\1b\0", 12 },	/* a host has no underscore */
		{ NET_DNS_SRV, "\0\1\0\1\0\1\0031.2\0", 11 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(rows[i].type);
		fake_dns_raw(&m, FAKE_DNS_ANSWER, "a.example", rows[i].type, 300, rows[i].data, rows[i].n);
		ck_assert_msg(read_as("a.example", rows[i].type) == NET_DNS_FAILED, "row %zu", i);
		/* The same of another name concerns nobody. */
		begin(rows[i].type);
		fake_dns_raw(&m, FAKE_DNS_ANSWER, "b.example", rows[i].type, 300, rows[i].data, rows[i].n);
		ck_assert_msg(read_as("a.example", rows[i].type) == NET_DNS_NONE, "row %zu", i);
	}
}
END_TEST

START_TEST(aliases_are_unique_and_bounded)
{
	char from[16] = "a.example", to[16] = "a.example";

	begin(NET_DNS_A);
	fake_dns_cname(&m, "a.example", 300, "b.example");
	fake_dns_cname(&m, "a.example", 300, "b.example");
	fake_dns_address(&m, "b.example", 300, "192.0.2.1");
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FOUND);
	fake_dns_cname(&m, "a.example", 300, "c.example");
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);

	for (int hops = NET_DNS_CNAME_MAX; hops <= NET_DNS_CNAME_MAX + 1; hops++) {
		begin(NET_DNS_A);
		for (int i = 0; i < hops; i++) {
			from[0] = (char)('a' + i);
			to[0] = (char)('b' + i);
			fake_dns_cname(&m, from, 300, to);
		}
		fake_dns_address(&m, to, 300, "192.0.2.1");
		ck_assert_int_eq(read_as("a.example", NET_DNS_A),
		    hops <= NET_DNS_CNAME_MAX ? NET_DNS_FOUND : NET_DNS_FAILED);
	}
	/* Out of the message, and not to a place that is no name. */
	begin(NET_DNS_A);
	fake_dns_cname(&m, "a.example", 300, "B.other.example");
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_NONE);
	ck_assert_str_eq(r.next, "b.other.example");
	ck_assert_uint_eq(r.ttl, 300);
	fake_dns_soa(&m, "other.example");
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_NONE);
	ck_assert_str_eq(r.next, "");
	begin(NET_DNS_A);
	fake_dns_cname(&m, "a.example", 300, "b c.example");
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
	ck_assert_str_eq(r.next, "");
}
END_TEST

START_TEST(records_are_bounded)
{
	begin(NET_DNS_A);
	for (int i = 0; i < NET_DNS_RECORDS_MAX; i++)
		fake_dns_address(&m, "a.example", 300, i % 2 ? "192.0.2.1" : "192.0.2.2");
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FOUND);
	ck_assert_uint_eq(r.naddrs, 2);
	fake_dns_address(&m, "a.example", 300, "192.0.2.3");
	ck_assert_int_eq(read_as("a.example", NET_DNS_A), NET_DNS_FAILED);
}
END_TEST

START_TEST(names_are_host_names)
{
	static const struct {
		const char	*in, *host, *service;	/* NULL: refused */
	} rows[] = {
		{ "A.Example.", "a.example", "a.example" },
		{ "localhost", "localhost", "localhost" },
		{ "_sip._TLS.example", NULL, "_sip._tls.example" },
		{ "xn--4ca.example", "xn--4ca.example", "xn--4ca.example" },
		{ "1.example", "1.example", "1.example" },
		{ "a.1x", "a.1x", "a.1x" },
		{ "a.1", NULL, NULL }, { "1", NULL, NULL }, { "", NULL, NULL }, { ".", NULL, NULL },
		{ "..", NULL, NULL }, { ".a", NULL, NULL }, { "a..", NULL, NULL }, { "a..b", NULL, NULL },
		{ "-a", NULL, NULL }, { "a-", NULL, NULL }, { "a.-b", NULL, NULL }, { "a-.b", NULL, NULL },
		{ "a b", NULL, NULL }, { "a\tb", NULL, NULL }, { "a:b", NULL, NULL }, { "\xe4.example", NULL, NULL },
		{ "012345678901234567890123456789012345678901234567890123456789abc",
		    "012345678901234567890123456789012345678901234567890123456789abc",
		    "012345678901234567890123456789012345678901234567890123456789abc" },
		{ "012345678901234567890123456789012345678901234567890123456789abcd", NULL, NULL },
	};
	char out[NET_DNS_NAME_MAX], longest[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(net_dns_name(out, span_str(rows[i].in), false) == (rows[i].host != NULL), "%s", rows[i].in);
		ck_assert_str_eq(out, rows[i].host != NULL ? rows[i].host : "");
		ck_assert_msg(net_dns_name(out, span_str(rows[i].in), true) == (rows[i].service != NULL), "%s",
		    rows[i].in);
		ck_assert_str_eq(out, rows[i].service != NULL ? rows[i].service : "");
	}
	ck_assert(!net_dns_name(out, span_of("a\0b", 3), true));
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 2 ? '.' : 'a';
	ck_assert(net_dns_name(out, span_of(longest, 253), false));
	ck_assert(net_dns_name(out, span_of(longest, 254), false));	/* its last is the final dot */
	ck_assert(!net_dns_name(out, span_of(longest, 255), false));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { every_cut_is_nonsense, header_and_question_must_fit, letter_case_is_no_difference,
		pointers_lead_back_only, long_names_and_long_chains_of_pointers_end, data_must_have_its_form,
		aliases_are_unique_and_bounded, records_are_bounded, names_are_host_names };

	return unit_run("dns_reply", tests, sizeof(tests) / sizeof(tests[0]));
}
