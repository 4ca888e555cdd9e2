/*
 * What daemons do about certificates beside TLS: files that change, and the
 * list of what peers have shown.
 */
#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/renew.h"
#include "admin/seen.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "tests/unit/net/pki.h"
#include "tests/unit/unit.h"

/* ---- renewal ---- */

static void
copy_file(const char *from, const char *from_suffix, const char *to, const char *to_suffix)
{
	size_t n;
	char *p = pki_read(pki_path(from, from_suffix), &n);

	pki_file(to, to_suffix, p, n);
	free(p);
}

static struct net_tls_material *
load(const struct net_tls_files *files)
{
	struct net_tls_material *m;

	ck_assert_int_eq(net_tls_material_load(&m, files, NULL, NULL), SP_OK);
	return m;
}

/* Look, and how many were renewed; what was is let go. */
static unsigned
look(struct renew *r, struct net_tls_material **keep)
{
	struct net_tls_material *out[2];
	unsigned n = renew_look(r, out);

	if (keep != NULL)
		*keep = out[0];
	else
		net_tls_material_unref(out[0]);
	net_tls_material_unref(out[1]);
	return n;
}

START_TEST(changed_files)
{
	struct net_tls_files files = { .certificate = pki_path("live", ".pem"), .key = pki_path("live", ".key"),
		.trust = pki_path("ca", ".pem"), .crl = pki_path("lists", "") };
	struct net_tls_material *m, *now;
	unsigned char was[32], is[32];
	struct renew *r = renew_new(2);

	ck_assert_int_eq(mkdir(files.crl, 0700), 0);
	copy_file("ca", ".crl.pem", "lists/a", ".pem");
	copy_file("one", ".pem", "live", ".pem");
	copy_file("one", ".key", "live", ".key");
	m = load(&files);
	net_tls_material_digest(m, was);
	renew_watch(r, 0, "door", &files, m);
	net_tls_material_unref(m);
	ck_assert_uint_eq(look(r, NULL), 0);
	ck_assert_uint_eq(look(r, NULL), 0);

	/* The certificate alone: seen, then loaded, and it does not do. */
	copy_file("other", ".pem", "live", ".pem");
	ck_assert_uint_eq(look(r, NULL), 0);
	ck_assert_uint_eq(look(r, NULL), 0);
	/* With its key: not while it may still be written, then once. */
	copy_file("other", ".key", "live", ".key");
	ck_assert_uint_eq(look(r, NULL), 0);
	ck_assert_uint_eq(look(r, &now), 1);
	net_tls_material_digest(now, is);
	ck_assert_mem_ne(was, is, 32);
	net_tls_material_unref(now);
	ck_assert_uint_eq(look(r, NULL), 0);

	/* The same bytes anew are no renewal. */
	copy_file("other", ".pem", "live", ".pem");
	ck_assert_uint_eq(look(r, NULL) + look(r, NULL), 0);

	/* A list more in the directory, one less. */
	copy_file("ca", ".crl.pem", "lists/b", ".pem");
	ck_assert_uint_eq(look(r, NULL), 0);
	ck_assert_uint_eq(look(r, NULL), 1);
	unlink(pki_path("lists/b", ".pem"));
	ck_assert_uint_eq(look(r, NULL), 0);
	ck_assert_uint_eq(look(r, NULL), 1);

	/* Gone: the old one stays, and it is back when the file is. */
	rename(pki_path("live", ".key"), pki_path("away", ".key"));
	ck_assert_uint_eq(look(r, NULL) + look(r, NULL) + look(r, NULL), 0);
	copy_file("one", ".pem", "live", ".pem");
	copy_file("one", ".key", "live", ".key");
	ck_assert_uint_eq(look(r, NULL), 0);
	ck_assert_uint_eq(look(r, NULL), 1);

	/* Nobody looks at what is not watched any more. */
	renew_watch(r, 0, "door", NULL, NULL);
	copy_file("other", ".pem", "live", ".pem");
	ck_assert_uint_eq(look(r, NULL) + look(r, NULL), 0);
	renew_free(r);
	renew_free(NULL);
	unlink(pki_path("lists/a", ".pem"));
}
END_TEST

/* ---- what peers have shown ---- */

static struct net_peer
peer(unsigned number)
{
	struct net_peer p = { .shown = true, .usage = NET_USAGE_SERVER, .not_after = 1800000000 };

	memcpy(p.fingerprint, &number, sizeof(number));
	snprintf(p.subject, sizeof(p.subject), "CN=peer %u", number);
	strcpy(p.issuer, "CN=\\x22quoted\\x22");
	strcpy(p.serial, "2a");
	return p;
}

static void
note(struct seen *s, unsigned number, enum policy_reason why)
{
	struct net_peer p = peer(number);
	struct net_addr from;

	ck_assert_int_eq(net_addr_parse(&from, SPAN_LIT("192.0.2.7:5061"), 0), SP_OK);
	seen_note(s, &p, &from, true, why, why == POLICY_REASON_ALLOWED ? NULL : "certificate revoked");
}

static char *
written(struct seen *s)
{
	size_t n;

	ck_assert_int_eq(seen_write(s, pki_path("seen", "")), SP_OK);
	return pki_read(pki_path("seen", ""), &n);
}

START_TEST(what_is_listed)
{
	static const struct span names[] = { SPAN_LIT("a.example"), SPAN_LIT("b.example") };
	struct seen *s = seen_new(10, 5);
	struct net_peer p = peer(1);
	struct net_addr from;
	time_t wall = 1700000000;
	struct stat st;
	char *text;

	clock_fake(NULL, &wall);
	ck_assert_int_eq(net_addr_parse(&from, SPAN_LIT("192.0.2.7:5061"), 0), SP_OK);
	p.names = names;
	p.nnames = 2;
	seen_note(s, &p, &from, false, POLICY_REASON_ALLOWED, NULL);
	wall += 60;
	seen_note(s, &p, &from, false, POLICY_REASON_ALLOWED, NULL);
	note(s, 2, POLICY_REASON_CERTIFICATE_REVOKED);
	p.shown = false;	/* a user */
	seen_note(s, &p, &from, true, POLICY_REASON_ALLOWED, NULL);
	ck_assert_uint_eq(seen_count(s, true), 1);
	ck_assert_uint_eq(seen_count(s, false), 1);
	text = written(s);
	ck_assert_str_eq(text,
	    "verdict=accepted first=2023-11-14T22:13:20Z last=2023-11-14T22:14:20Z times=2 direction=out "
	    "peer=192.0.2.7:5061 names=\"a.example b.example\" not_after=2027-01-15T08:00:00Z usage=server "
	    "subject=\"CN=peer 1\" issuer=\"CN=\\x22quoted\\x22\" serial=2a "
	    "fingerprint=0100000000000000000000000000000000000000000000000000000000000000 "
	    "key=0000000000000000000000000000000000000000000000000000000000000000\n"
	    "verdict=refused reason=certificate-revoked detail=\"certificate revoked\" "
	    "first=2023-11-14T22:14:20Z last=2023-11-14T22:14:20Z times=1 direction=in "
	    "peer=192.0.2.7:5061 names=\"\" not_after=2027-01-15T08:00:00Z usage=server "
	    "subject=\"CN=peer 2\" issuer=\"CN=\\x22quoted\\x22\" serial=2a "
	    "fingerprint=0200000000000000000000000000000000000000000000000000000000000000 "
	    "key=0000000000000000000000000000000000000000000000000000000000000000\n");
	free(text);
	/* Nothing new: it is not written. */
	ck_assert_int_eq(unlink(pki_path("seen", "")), 0);
	ck_assert_int_eq(seen_write(s, pki_path("seen", "")), SP_OK);
	ck_assert_int_ne(stat(pki_path("seen", ""), &st), 0);
	/* Cannot be written: an error, and tried again. */
	note(s, 3, POLICY_REASON_ALLOWED);
	ck_assert_int_eq(seen_write(s, "/nonexistent/seen"), SP_EIO);
	text = written(s);
	ck_assert_ptr_nonnull(strstr(text, "CN=peer 3"));
	free(text);
	ck_assert_int_eq(stat(pki_path("seen", ""), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07, 0);
	clock_fake(NULL, NULL);
	seen_free(s);
	seen_free(NULL);
}
END_TEST

START_TEST(bounds)
{
	struct seen *s = seen_new(10, 5);
	char *text;

	for (unsigned i = 0; i < 10; i++)
		note(s, i, POLICY_REASON_ALLOWED);
	note(s, 0, POLICY_REASON_ALLOWED);	/* the oldest is seen again */
	ck_assert_uint_eq(seen_count(s, true), 10);
	/* One past it: the fifth that was not seen for longest goes, 1 and 2. */
	note(s, 10, POLICY_REASON_ALLOWED);
	ck_assert_uint_eq(seen_count(s, true), 9);
	text = written(s);
	ck_assert_ptr_null(strstr(text, "CN=peer 1\""));
	ck_assert_ptr_null(strstr(text, "CN=peer 2\""));
	ck_assert_ptr_nonnull(strstr(text, "CN=peer 0\""));
	ck_assert_ptr_nonnull(strstr(text, "CN=peer 3\""));
	ck_assert_ptr_nonnull(strstr(text, "CN=peer 10\""));
	free(text);
	/* However many are refused: those that were accepted stay. */
	for (unsigned i = 100; i < 1000; i++) {
		note(s, i, POLICY_REASON_CERTIFICATE_UNTRUSTED);
		ck_assert_uint_le(seen_count(s, false), 5);
	}
	ck_assert_uint_eq(seen_count(s, true), 9);
	seen_free(s);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { changed_files, what_is_listed, bounds };
	struct pki_spec spec = { .san = "DNS:sip.example.com" };
	int r;

	log_open("check_certificates", "/dev/null", SP_LOG_ERROR);
	pki_init();
	pki_cert("one", &spec);
	pki_cert("other", &spec);
	pki_crl("ca", "ca", -1, 30, NULL);
	r = unit_run("certificates", tests, sizeof(tests) / sizeof(tests[0]));
	pki_fini();
	return r;
}
