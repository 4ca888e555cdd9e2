/*
 * tests/fuzz/fuzz_crl.c - files of revocation lists, as they are read at a start and at a reload. Whatever stands in one, a
 * certificate that its authority has taken back is never good; one that was not is good only while its
 * authority's list is there, unharmed. A list does not vanish because its first line is damaged. Reading for the doors and
 * for "sallyportctl explain" say the same, and so does a directory in which the file is.
 *
 * The first byte: bit 0: the authority's list stands before the input, bit 1: behind it; bit 2: another
 * authority's before both; bit 3: the input is DER and becomes PEM; bit 4: it is in a directory; 5: it is
 * read for a door, too.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/clock.h"
#include "common/err.h"
#include "net/tls.h"
#include "tests/fuzz/pem.h"
#include "tests/fuzz/playground.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX	8192

static char dir[64], trust[96], good[96], good_key[96], bad[96], file[96], lists[96], in_lists[112];

static void
end(void)
{
	playground_remove(dir);
}

static void
put(char path[96], const char *name, const char *text, mode_t mode)
{
	snprintf(path, 96, "%s/%s", dir, name);
	playground_write(path, text, strlen(text), mode);
}

static void
begin(void)
{
	static const uint64_t ms = 1000;
	static const time_t wall = 1790000000;

	clock_fake(&ms, &wall);
	playground_make(dir, "fuzz_crl");
	put(trust, "trust.pem", PEM_AUTHORITY PEM_OTHER_AUTHORITY, 0644);
	put(good, "good.pem", PEM_GOOD, 0644);
	put(good_key, "good.key", PEM_GOOD_KEY, 0600);
	put(bad, "bad.pem", PEM_BAD, 0644);
	put(file, "list.pem", PEM_LIST, 0644);
	snprintf(lists, sizeof(lists), "%s/lists", dir);
	snprintf(in_lists, sizeof(in_lists), "%s/one.pem", lists);
	assert(mkdir(lists, 0755) == 0);
	atexit(end);
}

/* The file's text; its size. */
static size_t
build(char *out, size_t size, unsigned how, const uint8_t *data, size_t len)
{
	FILE *f = fmemopen(out, size, "w");
	size_t n;

	assert(f != NULL);
	fprintf(f, "%s%s", how & 4 ? PEM_OTHER_LIST : "", how & 1 ? PEM_LIST : "");
	if (how & 8) {
		unsigned char *text = malloc(len * 2 + 8);
		int chars;

		assert(text != NULL);
		chars = EVP_EncodeBlock(text, data, (int)len);
		fputs("-----BEGIN X509 CRL-----\n", f);
		for (int i = 0; i < chars; i += 64)
			fprintf(f, "%.*s\n", chars - i < 64 ? chars - i : 64, (char *)text + i);
		fputs("-----END X509 CRL-----\n", f);
		free(text);
	} else if (len != 0) {
		fwrite(data, 1, len, f);
		fputc('\n', f);
	}
	fprintf(f, "%s", how & 2 ? PEM_LIST : "");
	n = (size_t)ftell(f);
	fclose(f);
	return n;
}

struct told {
	unsigned	 fatal;
};

static void
tell(void *arg, bool fatal, const char *text)
{
	struct told *t = arg;

	t->fatal += fatal;
	for (; *text != '\0'; text++)
		assert(*text >= ' ' && *text <= '~');
}

/* What is said of that certificate; -1: the files are not taken. */
static int
judge(const char *certificate, const char *crl)
{
	const struct net_tls_files files = { .certificate = certificate, .trust = trust, .crl = crl };
	struct net_peer peer;
	struct told told = { 0 };
	int err = net_tls_examine(&peer, &files, NULL, false, NULL, tell, &told), why = (int)peer.why;

	assert((err == SP_OK) == (told.fatal == 0) && (err == SP_OK || err == SP_ECERT));
	net_tls_examined(&peer);
	return err == SP_OK ? why : -1;
}

static bool
is_taken(const char *crl)
{
	const struct net_tls_files files = { .certificate = good, .key = good_key, .trust = trust, .crl = crl };
	struct net_tls_material *m;
	struct told told = { 0 };
	int err = net_tls_material_load(&m, &files, tell, &told);

	assert((err == SP_OK) == (m != NULL) && (err == SP_OK) == (told.fatal == 0));
	net_tls_material_unref(m);
	return err == SP_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char text[4 * MAX];
	const char *crl = file;
	int on_good, on_bad;
	size_t n;

	if (dir[0] == '\0')
		begin();
	if (len == 0 || len > MAX)
		return 0;
	n = build(text, sizeof(text), data[0], data + 1, len - 1);
	if (data[0] & 16) {
		playground_write(in_lists, text, n, 0644);
		crl = lists;
	} else
		playground_write(file, text, n, 0644);
	on_good = judge(good, crl);
	on_bad = judge(bad, crl);
	assert((on_good == -1) == (on_bad == -1) && on_bad != POLICY_REASON_ALLOWED);
	if (data[0] & 32)
		assert(is_taken(crl) == (on_good != -1));
	/* of the authority's own lists there is one */
	if (on_good == POLICY_REASON_ALLOWED)
		assert(on_bad == POLICY_REASON_CERTIFICATE_REVOKED);
	if ((data[0] & 3) != 0 && on_good != -1)
		assert(on_good == POLICY_REASON_ALLOWED || on_good == POLICY_REASON_CERTIFICATE_CRL ||
		    on_good == POLICY_REASON_CERTIFICATE_REVOKED);
	/* without damage in it, it is taken */
	if (len == 1 && (data[0] & 3) != 0 && (data[0] & 8) == 0)
		assert(on_good == POLICY_REASON_ALLOWED);
	return 0;
}
