/*
 * Users as the directory has them: filters that cannot be made to say anything
 * else, values, and what is remembered of both.
 */
#include "director/entry.h"

#include <stdio.h>
#include <stdlib.h>

#include "director/dircache.h"
#include "tests/unit/unit.h"

static char any[] = "", address[] = "addr", on[] = "on", remote[] = "rem", fed[] = "fed", options[] = "opt", arch[] = "arch",
    person[] = "(objectClass=person)";
static const struct dirconf conf = { .attributes = { .address = address, .enabled = on, .remote = remote,
    .federation = fed, .options = options, .archive = arch } };

START_TEST(filters)
{
	static const struct { const char *aor, *want; } rows[] = {
		{ "alice@example.com", "(addr=sip:alice@example.com)" },
		{ "*@example.com", "(addr=sip:\\2a@example.com)" },
		{ "a)(b=*@example.com", "(addr=sip:a\\29\\28b\\3d\\2a@example.com)" },
		{ "a\\2a@x", "(addr=sip:a\\5c2a@x)" },
		{ "\xc3\xa4@x", "(addr=sip:\\c3\\a4@x)" },
		{ "a&b|c!d~e<f>g@x", "(addr=sip:a\\26b\\7cc\\21d\\7ee\\3cf\\3eg@x)" }
	};
	char text[ENTRY_FILTER_MAX];
	struct dirconf d = conf;
	struct strbuf sb;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strbuf_init(&sb, text, sizeof(text));
		ck_assert(entry_filter(&sb, &d, span_str(rows[i].aor)));
		ck_assert_str_eq(text, rows[i].want);
	}
	/* a NUL is a byte like others */
	strbuf_init(&sb, text, sizeof(text));
	ck_assert(entry_filter(&sb, &d, span_of("a\0b@x", 5)));
	ck_assert_str_eq(text, "(addr=sip:a\\00b@x)");
	d.proxy_addresses = true;
	strbuf_init(&sb, text, sizeof(text));
	ck_assert(entry_filter(&sb, &d, SPAN_LIT("a@x")));
	ck_assert_str_eq(text, "(|(addr=sip:a@x)(proxyAddresses=sip:a@x))");
	d.filter = person;
	strbuf_init(&sb, text, sizeof(text));
	ck_assert(entry_filter(&sb, &d, SPAN_LIT("a@x")));
	ck_assert_str_eq(text, "(&(objectClass=person)(|(addr=sip:a@x)(proxyAddresses=sip:a@x)))");
	/* the longest address there is, every byte of it escaped, still fits */
	strbuf_init(&sb, text, sizeof(text));
	memset(text + 4096, '*', USER_AOR_MAX);
	ck_assert(entry_filter(&sb, &d, span_of(text + 4096, USER_AOR_MAX)));
	strbuf_init(&sb, text, 16);
	ck_assert(!entry_filter(&sb, &d, SPAN_LIT("alice@example.com")));
}
END_TEST

static struct conf_str places[] = { { .s = (char[]){ "CORP=dc=corp,dc=x" } }, { .s = (char[]){ "CORP.X=dc=corp,dc=x" } },
    { .s = (char[]){ "OTHER=ou=people" } } };

static struct dirconf
with_logins(void)
{
	static char account[] = "acc", principal[] = "upn";
	struct dirconf d = conf;

	d.logins = (struct conf_strs){ places, 3 };
	d.attributes.account = account;
	d.attributes.principal = principal;
	return d;
}

START_TEST(logins)
{
	static const struct { const char *login, *base, *filter; } rows[] = {
		{ "CORP\\alice", "dc=corp,dc=x", "(acc=alice)" },
		{ "corp\\alice", "dc=corp,dc=x", "(acc=alice)" },
		{ "OTHER\\alice", "ou=people", "(acc=alice)" },
		{ "alice@CORP.X", "dc=corp,dc=x", "(|(acc=alice)(upn=alice@CORP.X))" },
		/* realms are told apart by case; a realm is no short name, a short name no realm's prefix */
		{ "alice@corp.x", NULL, NULL }, { "alice@COR", NULL, NULL }, { "alice@CORP.X=dc", NULL, NULL },
		{ "CORP.Y\\alice", NULL, NULL }, { "=dc\\alice", NULL, NULL },
		/* what a name may be made of stays a name */
		{ "CORP\\*)(acc=bob", "dc=corp,dc=x", "(acc=\\2a\\29\\28acc\\3dbob)" },
		{ "CORP\\OTHER\\bob", "dc=corp,dc=x", "(acc=OTHER\\5cbob)" },
		{ "CORP\\bob@OTHER", "dc=corp,dc=x", "(acc=bob@OTHER)" },
		{ "bob@OTHER@CORP.X", "dc=corp,dc=x", "(|(acc=bob@OTHER)(upn=bob@OTHER@CORP.X))" },
		{ "al)(upn=*@CORP.X", "dc=corp,dc=x", "(|(acc=al\\29\\28upn\\3d\\2a)(upn=al\\29\\28upn\\3d\\2a@CORP.X))" },
		{ "alice", NULL, NULL }, { "CORP\\", NULL, NULL }, { "\\alice", NULL, NULL }, { "@CORP.X", NULL, NULL },
		{ "alice@", NULL, NULL }, { "", NULL, NULL }
	};
	struct dirconf d = with_logins();
	char text[ENTRY_FILTER_MAX];
	struct entry_login l;
	struct strbuf sb;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool good = entry_login_parse(&d, span_str(rows[i].login), &l);

		ck_assert_msg(good == (rows[i].base != NULL), "row %zu", i);
		if (!good)
			continue;
		ck_assert_str_eq(l.base, rows[i].base);
		strbuf_init(&sb, text, sizeof(text));
		ck_assert(entry_login_filter(&sb, &d, &l));
		ck_assert_str_eq(text, rows[i].filter);
	}
	d.filter = person;
	d.attributes.principal = any;
	ck_assert(entry_login_parse(&d, SPAN_LIT("a@CORP.X"), &l));
	strbuf_init(&sb, text, sizeof(text));
	ck_assert(entry_login_filter(&sb, &d, &l));
	ck_assert_str_eq(text, "(&(objectClass=person)(acc=a))");
}
END_TEST

START_TEST(addresses)
{
	static const struct { const char *value, *aor; } rows[] = {
		{ "sip:alice@example.com", "alice@example.com" }, { "SIP:Alice@Example.com", "Alice@Example.com" },
		{ "alice@example.com", "" }, { "tel:+1", "" }, { "sip:alice", "" }, { "sip:@x", "" }, { "sip:a@", "" },
		{ "sip:a@b@c", "" }, { "sip:a b@c", "" }, { "sip:a@b;x=y", "" }, { "sip:a@b?x", "" }, { "sip:a@b>", "" },
		{ "sip:\xc3\xa4@x", "" }, { "", "" }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(span_is(entry_address(span_str(rows[i].value)), rows[i].aor), "row %zu", i);
}
END_TEST

START_TEST(values)
{
	struct entry e = { .enabled = SPAN_LIT("TRUE"), .remote = SPAN_LIT("true"), .federation = SPAN_LIT("FALSE"),
	    .options = SPAN_LIT("257"), .archive = SPAN_LIT("4") };
	struct entry none = { .home = SPAN_NONE };
	struct dirconf open = conf;
	struct authd_user u;

	entry_user(&conf, &e, SPAN_LIT("Alice@Example.com"), &u);
	ck_assert(u.found && u.enabled && u.remote && !u.federation && u.public_im && u.archive && !u.unavailable);
	ck_assert_str_eq(u.aor, "alice@example.com");
	e.options = SPAN_LIT("256");
	e.archive = SPAN_LIT("8");
	entry_user(&conf, &e, SPAN_LIT("a@b"), &u);
	ck_assert(u.archive);
	e.archive = SPAN_LIT("2");
	e.enabled = SPAN_LIT("TRUEish");
	entry_user(&conf, &e, SPAN_LIT("a@b"), &u);
	ck_assert(u.found && !u.enabled && !u.public_im && !u.archive);
	e.options = SPAN_LIT("-1");
	entry_user(&conf, &e, SPAN_LIT("a@b"), &u);
	ck_assert(!u.public_im);
	/* an entry without the attributes opens nothing */
	entry_user(&conf, &none, SPAN_LIT("a@b"), &u);
	ck_assert(u.found && !u.enabled && !u.remote && !u.federation && !u.public_im && !u.archive);
	/* a gate for which there is no attribute is open, but nobody's messages are kept for that */
	open.attributes.enabled = open.attributes.remote = open.attributes.federation = open.attributes.options =
	    open.attributes.archive = any;
	entry_user(&open, &none, SPAN_LIT("a@b"), &u);
	ck_assert(u.found && u.enabled && u.remote && u.federation && u.public_im && !u.archive);
}
END_TEST

START_TEST(pools)
{
	static const struct { const char *name, *want; } rows[] = {
		{ "pool.example.com", "pool.example.com" }, { " Pool.Example.COM. ", "pool.example.com" }, { "", NULL },
		{ "a b", NULL }, { "192.0.2.1", NULL }, { "pool..example", NULL }, { ".", NULL }
	};
	struct authd_user u;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&u, 0, sizeof(u));
		ck_assert_msg(entry_set_pool(&u, span_str(rows[i].name)) == (rows[i].want != NULL), "%s", rows[i].name);
		ck_assert_str_eq(u.pool, rows[i].want != NULL ? rows[i].want : "");
	}
	ck_assert(entry_is_dn(SPAN_LIT("CN=a,DC=b")) && !entry_is_dn(SPAN_LIT("pool.example.com")) && !entry_is_dn(SPAN_NONE));
}
END_TEST

static void
put(struct dircache *c, const char *aor, const char *pool, uint64_t now)
{
	struct authd_user u = { .found = true, .enabled = true, .archive = true };

	snprintf(u.aor, sizeof(u.aor), "%s", aor);
	snprintf(u.pool, sizeof(u.pool), "%s", pool);
	dircache_put(c, span_str(aor), &u, now, 100, 50);
}

START_TEST(remembers)
{
	struct dircache *c = dircache_new(3);
	struct authd_user u;
	bool fresh;

	ck_assert(!dircache_get(c, SPAN_LIT("a@x"), 0, &u, &fresh));
	put(c, "a@x", "p1", 1000);
	ck_assert(dircache_get(c, SPAN_LIT("A@X"), 1099, &u, &fresh) && fresh);
	ck_assert_str_eq(u.aor, "a@x");
	ck_assert_str_eq(u.pool, "p1");
	ck_assert(u.found && u.enabled && u.archive && !u.remote && !u.unavailable);
	/* too old: better than nothing; then gone */
	ck_assert(dircache_get(c, SPAN_LIT("a@x"), 1100, &u, &fresh) && !fresh);
	ck_assert(!dircache_get(c, SPAN_LIT("a@x"), 1150, &u, &fresh));
	ck_assert_uint_eq(dircache_count(c), 0);
	/* the one not used for longest makes room */
	put(c, "a@x", "p1", 2000);
	put(c, "b@x", "p2", 2000);
	put(c, "c@x", "p3", 2000);
	ck_assert(dircache_get(c, SPAN_LIT("a@x"), 2001, &u, &fresh));
	put(c, "d@x", "p4", 2001);
	ck_assert_uint_eq(dircache_count(c), 3);
	ck_assert(!dircache_get(c, SPAN_LIT("b@x"), 2001, &u, &fresh));
	ck_assert(dircache_get(c, SPAN_LIT("a@x"), 2001, &u, &fresh));
	/* put again is put anew */
	put(c, "A@x", "p5", 2050);
	ck_assert_uint_eq(dircache_count(c), 3);
	ck_assert(dircache_get(c, SPAN_LIT("a@x"), 2149, &u, &fresh) && fresh);
	ck_assert_str_eq(u.pool, "p5");
	dircache_remove(c, SPAN_LIT("a@x"));
	dircache_remove(c, SPAN_LIT("nobody@x"));
	ck_assert_uint_eq(dircache_count(c), 2);
	dircache_flush(c);
	ck_assert_uint_eq(dircache_count(c), 0);
	dircache_free(c);
}
END_TEST

/* Against a table that does it the slow way. */
START_TEST(remembers_many)
{
	enum { MAX = 50, NAMES = 200 };
	struct dircache *c = dircache_new(MAX);
	uint64_t used[NAMES] = { 0 }, clock = 1, full = 0;
	struct authd_user u;
	unsigned seed = 1;
	bool fresh;

	for (int n = 0; n < 20000; n++) {
		int i = rand_r(&seed) % NAMES, have = 0, oldest = -1;
		char aor[32];

		snprintf(aor, sizeof(aor), "user%d@x", i);
		for (int j = 0; j < NAMES; j++)
			if (used[j] != 0 && ++have && (oldest < 0 || used[j] < used[oldest]))
				oldest = j;
		ck_assert_int_eq(dircache_get(c, span_str(aor), 10, &u, &fresh), used[i] != 0);
		ck_assert_uint_eq(dircache_count(c), (unsigned)have);
		if (used[i] == 0) {
			put(c, aor, "p", 1);
			if (have == MAX) {
				used[oldest] = 0;
				full++;
			}
			ck_assert_uint_eq(dircache_full(c), full);
		}
		used[i] = clock++;
	}
	dircache_free(c);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { filters, logins, addresses, values, pools, remembers, remembers_many };

	return unit_run("director-entry", tests, sizeof(tests) / sizeof(tests[0]));
}
