#include <stdio.h>

#include "common/err.h"
#include "common/mem.h"
#include "sip/message.h"
#include "tests/unit/sip/corpus.h"
#include "tests/unit/unit.h"

static struct sip_message msg;
static char out[300000];

static const char text[] = "INVITE sip:bob@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/TLS one;branch=z9hG4bK1 ,  SIP/2.0/TLS two;branch=z9hG4bK2\r\n"
    "x-first: 1\r\n"
    "v: SIP/2.0/TLS three\r\n"
    "From: \"A, B\" <sip:alice@example.com;x=y>;epid=9 ; tag=ab\r\n"
    "To: sip:bob@example.com;epid=3\r\n"
    "Call-ID: a@b\r\n"
    "CSeq: 7\r\n  INVITE\r\n"
    "Max-Forwards: 70\r\n"
    "Route: <sip:r1;lr>,<sip:r2;lr>\r\n"
    "Content-Length: 4\r\n"
    "\r\nbody";

static void
index_text(void)
{
	ck_assert_int_eq(sip_message_index(&msg, text, strlen(text)), SP_OK);
}

static const char *
render(void)
{
	size_t n = sip_message_render(&msg, out);

	ck_assert_uint_gt(n, 0);
	ck_assert_uint_le(n, sip_message_room(&msg));
	out[n] = '\0';
	return out;
}

/* text with the first `from` in it replaced by `to`. */
static const char *
with(const char *base, const char *from, const char *to)
{
	static char result[2][4096];
	static int turn;
	const char *at = strstr(base, from);

	ck_assert_ptr_nonnull(at);
	turn = !turn;
	snprintf(result[turn], sizeof(result[turn]), "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
	return result[turn];
}

START_TEST(names_are_known_in_every_form)
{
	static const struct {
		const char		*name;
		enum sip_header_id	 id;
	} rows[] = {
		{ "Via", SIP_H_VIA }, { "v", SIP_H_VIA }, { "V", SIP_H_VIA }, { "VIA", SIP_H_VIA }, { "vIA", SIP_H_VIA },
		{ "From", SIP_H_FROM }, { "f", SIP_H_FROM }, { "to", SIP_H_TO }, { "T", SIP_H_TO },
		{ "CALL-ID", SIP_H_CALL_ID }, { "i", SIP_H_CALL_ID }, { "CSEQ", SIP_H_CSEQ },
		{ "Max-Forwards", SIP_H_MAX_FORWARDS }, { "Route", SIP_H_ROUTE }, { "Record-Route", SIP_H_RECORD_ROUTE },
		{ "Contact", SIP_H_CONTACT }, { "m", SIP_H_CONTACT }, { "Content-Length", SIP_H_CONTENT_LENGTH },
		{ "l", SIP_H_CONTENT_LENGTH }, { "Content-Type", SIP_H_CONTENT_TYPE }, { "c", SIP_H_CONTENT_TYPE },
		{ "Content-Encoding", SIP_H_CONTENT_ENCODING }, { "e", SIP_H_CONTENT_ENCODING }, { "Path", SIP_H_PATH },
		{ "Service-Route", SIP_H_SERVICE_ROUTE }, { "Expires", SIP_H_EXPIRES }, { "Event", SIP_H_EVENT },
		{ "o", SIP_H_EVENT }, { "Supported", SIP_H_SUPPORTED }, { "k", SIP_H_SUPPORTED }, { "Require", SIP_H_REQUIRE },
		{ "Proxy-Require", SIP_H_PROXY_REQUIRE }, { "Unsupported", SIP_H_UNSUPPORTED }, { "Subject", SIP_H_SUBJECT },
		{ "s", SIP_H_SUBJECT }, { "Refer-To", SIP_H_REFER_TO }, { "r", SIP_H_REFER_TO },
		{ "Referred-By", SIP_H_REFERRED_BY }, { "b", SIP_H_REFERRED_BY }, { "Date", SIP_H_DATE },
		{ "Authorization", SIP_H_AUTHORIZATION }, { "Proxy-Authorization", SIP_H_PROXY_AUTHORIZATION },
		{ "WWW-Authenticate", SIP_H_WWW_AUTHENTICATE }, { "Proxy-Authenticate", SIP_H_PROXY_AUTHENTICATE },
		{ "Authentication-Info", SIP_H_AUTHENTICATION_INFO },
		{ "Proxy-Authentication-Info", SIP_H_PROXY_AUTHENTICATION_INFO },
		{ "P-Asserted-Identity", SIP_H_P_ASSERTED_IDENTITY }, { "P-Preferred-Identity", SIP_H_P_PREFERRED_IDENTITY },
		{ "Privacy", SIP_H_PRIVACY }, { "ms-edge-proxy-message-trust", SIP_H_MS_TRUST },
		{ "MS-Edge-Proxy-Message-Trust", SIP_H_MS_TRUST }, { "ms-asserted-verification-level", SIP_H_MS_VERIFICATION },
		{ "ms-archiving", SIP_H_MS_ARCHIVING }, { "ms-user-logon-data", SIP_H_MS_USER_LOGON_DATA },
		{ "ms-diagnostics", SIP_H_MS_DIAGNOSTICS }, { "ms-diagnostics-public", SIP_H_MS_DIAGNOSTICS_PUBLIC },
		{ "ms-split-domain-info", SIP_H_MS_SPLIT_DOMAIN_INFO }, { "ms-keep-alive", SIP_H_MS_KEEP_ALIVE },
		{ "Compression", SIP_H_COMPRESSION }, { "X-Sallyport-Refused", SIP_H_X_REFUSED },
		{ "Remote-Party-ID", SIP_H_OF_TRUST_DOMAIN }, { "P-Asserted-Service", SIP_H_OF_TRUST_DOMAIN },
		{ "P-Served-User", SIP_H_OF_TRUST_DOMAIN }, { "P-Charging-Vector", SIP_H_OF_TRUST_DOMAIN },
		{ "P-Charging-Function-Addresses", SIP_H_OF_TRUST_DOMAIN }, { "P-Associated-URI", SIP_H_OF_TRUST_DOMAIN },
		{ "P-Called-Party-ID", SIP_H_OF_TRUST_DOMAIN }, { "P-Visited-Network-ID", SIP_H_OF_TRUST_DOMAIN },
		{ "P-User-Database", SIP_H_OF_TRUST_DOMAIN }, { "P-Profile-Key", SIP_H_OF_TRUST_DOMAIN },
		{ "Diversion", SIP_H_DIVERSION }, { "History-Info", SIP_H_OTHER },
		{ "Session-Expires", SIP_H_SESSION_EXPIRES }, { "x", SIP_H_SESSION_EXPIRES }, { "Min-SE", SIP_H_MIN_SE },
		{ "Subscription-State", SIP_H_SUBSCRIPTION_STATE }, { "Replaces", SIP_H_REPLACES }, { "Join", SIP_H_JOIN },
		{ "RSeq", SIP_H_RSEQ }, { "RAck", SIP_H_RACK }, { "Min-Expires", SIP_H_MIN_EXPIRES },
		{ "Content-Disposition", SIP_H_CONTENT_DISPOSITION }, { "MIME-Version", SIP_H_MIME_VERSION },
		{ "Reply-To", SIP_H_REPLY_TO }, { "Target-Dialog", SIP_H_TARGET_DIALOG }, { "SIP-ETag", SIP_H_SIP_ETAG },
		{ "SIP-If-Match", SIP_H_SIP_IF_MATCH },
		{ "Vi", SIP_H_OTHER }, { "Viaa", SIP_H_OTHER }, { "w", SIP_H_OTHER }, { "UserAgent", SIP_H_OTHER },
		{ "Call-ID\n", SIP_H_OTHER }, { "Call_ID", SIP_H_OTHER }, { "ms-edge-proxy-message-trusT-", SIP_H_OTHER },
		{ "", SIP_H_OTHER }, { "a-name-much-longer-than-all-those-that-we-know", SIP_H_OTHER },
		/* '@' and '`' differ in the bit that makes lower case; so do '[' and '{'. */
		{ "max-forward\x53", SIP_H_MAX_FORWARDS }, { "max\x0d" "forwards", SIP_H_OTHER },
	};
	bool seen[SIP_NHEADER_IDS] = { [SIP_H_OTHER] = true };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(sip_header_id_of(span_str(rows[i].name)) == rows[i].id, "%s", rows[i].name);
		seen[rows[i].id] = true;
	}
	/* Any other character in any place makes it another name, whatever its bits. */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].name);
		char name[64];

		for (size_t k = 0; rows[i].id != SIP_H_OTHER && k < n; k++)
			for (unsigned c = 0; c < 256; c++) {
				enum sip_header_id id;

				memcpy(name, rows[i].name, n);
				name[k] = (char)c;
				id = sip_header_id_of(span_of(name, n));
				ck_assert_msg((id == rows[i].id) == (span_lower((unsigned char)c) ==
				    span_lower((unsigned char)rows[i].name[k])), "%s, %zu, %02x", rows[i].name, k, c);
			}
	}
	for (int i = 0; i < SIP_NHEADER_IDS; i++)
		ck_assert_msg(seen[i], "id %d has no name", i);
}
END_TEST

START_TEST(parses_what_routing_needs)
{
	index_text();
	ck_assert(!msg.parsed);
	ck_assert_int_eq(sip_message_parse(&msg), SIP_CHECK_OK);
	ck_assert(msg.parsed && msg.method_id == POLICY_METHOD_INVITE);
	ck_assert(span_is(msg.ruri.user, "bob") && span_is(msg.ruri.host, "example.com") && msg.ruri.port == 0);
	ck_assert(span_is(msg.from.display, "\"A, B\"") && span_is(msg.from.uri_text, "sip:alice@example.com;x=y"));
	ck_assert(span_is(msg.from.uri.params, "x=y") && span_is(msg.from.tag, "ab"));
	ck_assert(span_is(msg.to.uri_text, "sip:bob@example.com") && span_is(msg.to.params, "epid=3"));
	ck_assert(span_is_empty(msg.to.tag));
	ck_assert(span_is(msg.via.whole, "SIP/2.0/TLS one;branch=z9hG4bK1") && span_is(msg.via.branch, "z9hG4bK1"));
	ck_assert(span_is(msg.call_id, "a@b") && msg.cseq == 7 && span_is(msg.cseq_method, "INVITE"));
	ck_assert_int_eq(msg.max_forwards, 70);
	/* Every span points into the message. */
	ck_assert(msg.from.tag.p > text && msg.via.branch.p < text + sizeof(text));

	sip_message_reset(&msg);
	ck_assert(!msg.parsed && msg.nheaders == 0 && msg.first[SIP_H_VIA] == -1 && msg.max_forwards == -1);
}
END_TEST

START_TEST(finds_headers)
{
	index_text();
	int i = sip_message_next(&msg, SIP_H_VIA, -1);

	ck_assert_int_eq(i, 0);
	i = sip_message_next(&msg, SIP_H_VIA, i);
	ck_assert_int_eq(i, 2);
	ck_assert_int_eq(sip_message_next(&msg, SIP_H_VIA, i), -1);
	ck_assert_int_eq(sip_message_find(&msg, "X-FIRST", -1), 1);
	ck_assert_int_eq(sip_message_find(&msg, "x-first", 1), -1);
	ck_assert(span_is_empty(sip_header_value(&msg, -1)));
	ck_assert_int_eq(sip_message_index(&msg, text, strlen(text) - 1), SP_ESYNTAX);
	ck_assert_int_eq(sip_message_index(&msg, text, sizeof(text)), SP_ESYNTAX);
}
END_TEST

START_TEST(edits_change_what_they_name)
{
	index_text();
	ck_assert_str_eq(render(), text);

	sip_edit_drop_header(&msg, 1);
	ck_assert_str_eq(render(), with(text, "x-first: 1\r\n", ""));
	sip_edit_clear(&msg);
	ck_assert_str_eq(render(), text);

	/* In any order; those at one place in the order of the calls. */
	sip_edit_insert(&msg, (int)msg.nheaders, "last: %d\r\n", 1);
	sip_edit_insert(&msg, 0, "one: %s\r\n", "x");
	sip_edit_insert_span(&msg, 0, SPAN_LIT("two: y\r\n"));
	sip_edit_insert_span(&msg, (int)msg.nheaders, SPAN_LIT("last: 2\r\n"));
	ck_assert_str_eq(render(), with(with(text, "Via:", "one: x\r\ntwo: y\r\nVia:"), "\r\n\r\nbody",
	    "\r\nlast: 1\r\nlast: 2\r\n\r\nbody"));
	/* Rendering again gives the same, and later edits stand behind. */
	sip_edit_insert(&msg, 0, "three: z\r\n");
	ck_assert_ptr_nonnull(strstr(render(), "one: x\r\ntwo: y\r\nthree: z\r\nVia:"));
	sip_edit_clear(&msg);

	ck_assert_int_eq(sip_message_parse(&msg), SIP_CHECK_OK);
	sip_edit_replace(&msg, msg.uri, SPAN_LIT("sip:new@example.net"));
	sip_edit_replacef(&msg, sip_message_value(&msg, SIP_H_MAX_FORWARDS), "%d", msg.max_forwards - 1);
	sip_edit_replace(&msg, span_of(msg.via.whole.p + msg.via.whole.n, 0), SPAN_LIT(";received=192.0.2.1"));
	sip_edit_replace(&msg, sip_param_piece(msg.from.params, "epid"), SPAN_NONE);
	sip_edit_replace(&msg, msg.body, SPAN_LIT("BODY"));
	ck_assert_str_eq(render(), with(with(with(with(with(text, "sip:bob@example.com SIP", "sip:new@example.net SIP"),
	    ": 70", ": 69"), "z9hG4bK1 ,", "z9hG4bK1;received=192.0.2.1 ,"), ";epid=9 ", " "), "\r\nbody", "\r\nBODY"));
}
END_TEST

START_TEST(droppings_may_overlap)
{
	index_text();
	ck_assert_int_eq(sip_message_parse(&msg), SIP_CHECK_OK);
	/* A piece, then the header around it, twice: text inside goes with the header, text at its ends stays. */
	sip_edit_replace(&msg, msg.from.tag, SPAN_LIT("inside"));
	sip_edit_drop_header(&msg, 3);
	sip_edit_drop_header(&msg, 3);
	sip_edit_insert(&msg, 3, "before: 1\r\n");
	sip_edit_insert(&msg, 4, "behind: 1\r\n");
	ck_assert_str_eq(render(), with(text, "From: \"A, B\" <sip:alice@example.com;x=y>;epid=9 ; tag=ab\r\n",
	    "before: 1\r\nbehind: 1\r\n"));

	/* Two pieces that overlap by half. */
	sip_edit_clear(&msg);
	struct span v = sip_message_value(&msg, SIP_H_CALL_ID);
	sip_edit_replace(&msg, span_of(v.p, 2), SPAN_LIT("X"));
	sip_edit_replace(&msg, span_of(v.p + 1, 2), SPAN_LIT("Y"));
	ck_assert_str_eq(render(), with(text, "Call-ID: a@b", "Call-ID: X"));
}
END_TEST

START_TEST(first_values_are_taken_off)
{
	index_text();
	sip_edit_drop_first(&msg, SIP_H_VIA);
	ck_assert_str_eq(render(), with(text, "SIP/2.0/TLS one;branch=z9hG4bK1 ,  ", ""));
	sip_edit_drop_first(&msg, SIP_H_VIA);
	ck_assert_str_eq(render(), with(text, "Via: SIP/2.0/TLS one;branch=z9hG4bK1 ,  SIP/2.0/TLS two;branch=z9hG4bK2\r\n", ""));
	sip_edit_drop_first(&msg, SIP_H_VIA);
	ck_assert_ptr_null(strstr(render(), "SIP/2.0/TLS"));
	sip_edit_drop_first(&msg, SIP_H_VIA);	/* nothing left: nothing happens */
	sip_edit_drop_first(&msg, SIP_H_PATH);
	ck_assert_ptr_nonnull(strstr(render(), "SIP/2.0\r\nx-first: 1\r\nFrom:"));
	sip_edit_clear(&msg);
	sip_edit_drop_first(&msg, SIP_H_ROUTE);
	sip_edit_insert(&msg, msg.first[SIP_H_ROUTE], "Route: <sip:r0>\r\n");
	ck_assert_str_eq(render(), with(text, "Route: <sip:r1;lr>,", "Route: <sip:r0>\r\nRoute: "));
}
END_TEST

START_TEST(full_is_failed_and_stays_so)
{
	static char big[SIP_SCRATCH_MAX + 1];

	memset(big, 'x', sizeof(big));
	index_text();
	for (int i = 0; i < SIP_EDITS_MAX; i++)
		sip_edit_drop_header(&msg, 1);
	ck_assert_str_eq(render(), with(text, "x-first: 1\r\n", ""));
	sip_edit_drop_header(&msg, 2);
	ck_assert_uint_eq(sip_message_render(&msg, out), 0);

	sip_edit_clear(&msg);
	sip_edit_insert_span(&msg, 0, span_of(big, SIP_SCRATCH_MAX));
	ck_assert_uint_eq(sip_message_render(&msg, out), strlen(text) + SIP_SCRATCH_MAX);
	sip_edit_insert(&msg, 0, "y");
	ck_assert_uint_eq(sip_message_render(&msg, out), 0);
	sip_edit_clear(&msg);
	sip_edit_insert_span(&msg, 0, span_of(big, SIP_SCRATCH_MAX + 1));
	sip_edit_insert(&msg, 0, "y");
	ck_assert_uint_eq(sip_message_render(&msg, out), 0);
	sip_edit_clear(&msg);
	sip_edit_insert(&msg, 0, "%.*s", SIP_SCRATCH_MAX, big);
	ck_assert_uint_eq(sip_message_render(&msg, out), 0);

	/* A piece that is not the message's. */
	sip_edit_clear(&msg);
	sip_edit_replace(&msg, span_str("elsewhere"), SPAN_LIT("x"));
	ck_assert_uint_eq(sip_message_render(&msg, out), 0);
}
END_TEST

START_TEST(answerable_or_not)
{
	index_text();
	ck_assert(sip_message_answerable(&msg));
	for (int i = 0; i < 9; i++) {
		static const char *const names[] = { "Via: SIP/2.0/TLS one;branch=z9hG4bK1 ,  SIP/2.0/TLS two;branch=z9hG4bK2\r\n",
		    "From:", "To:", "Call-ID:", "CSeq:", "INVITE sip", "INVITE sip", "Route:", "v:" };
		static const char *const instead[] = { "", "A:", "B:", "C:", "D:", "ACK sip", "BENOTIFY sip", "R:", "w:" };
		const char *changed = with(text, names[i], instead[i]);

		ck_assert_int_eq(sip_message_index(&msg, changed, strlen(changed)), SP_OK);
		ck_assert_int_eq(sip_message_answerable(&msg), i == 0 || i > 6);
	}
}
END_TEST

/*
 * The property that matters: what no edit names leaves byte for byte, in
 * order. A slow model keeps, for every byte, whether it goes, and for every place what
 * comes in; the message is rendered and compared with it.
 */
struct model {
	bool	 gone[65536];		/* by byte of the original */
	bool	 covered[65537];	/* strictly inside a piece that goes */
	char	*text[65537];		/* before that byte */
};

static void
model_edit(struct model *mod, size_t at, size_t drop, const char *put)
{
	char *was = mod->text[at];
	size_t n = was != NULL ? strlen(was) : 0;

	mod->text[at] = xrealloc(was, n + strlen(put) + 1);
	strcpy(mod->text[at] + n, put);
	for (size_t i = 0; i < drop; i++) {
		mod->gone[at + i] = true;
		if (i > 0)
			mod->covered[at + i] = true;
	}
}

static size_t
model_render(struct model *mod, const char *p, size_t n, char *to)
{
	char *begin = to;

	for (size_t i = 0; i <= n; i++) {
		if (mod->text[i] != NULL && !mod->covered[i])
			to += sprintf(to, "%s", mod->text[i]);
		if (i < n && !mod->gone[i])
			*to++ = p[i];
		free(mod->text[i]);
	}
	memset(mod, 0, sizeof(*mod));
	return (size_t)(to - begin);
}

START_TEST(untouched_bytes_leave_as_they_came)
{
	static struct model mod;
	static char expected[300000];
	size_t count;
	struct corpus_file *files = corpus_load(&count);
	uint64_t seed = 2;

	for (size_t f = 0; f < count; f++)
		for (int round = 0; round < 150; round++) {
			const char *p = files[f].p;
			unsigned edits = corpus_random(&seed, 20);
			size_t n;

			ck_assert_int_eq(sip_message_index(&msg, p, files[f].n), SP_OK);
			for (unsigned e = 0; e < edits; e++) {
				int i = (int)corpus_random(&seed, msg.nheaders + 1);
				size_t line = (unsigned)i < msg.nheaders ? msg.headers[i].line : msg.head_n - 2;
				char put[32];

				snprintf(put, sizeof(put), "new-%u: %u\r\n", e, round);
				switch (corpus_random(&seed, 4)) {
				case 0:
					sip_edit_insert(&msg, i, "%s", put);
					model_edit(&mod, line, 0, put);
					break;
				case 1:
					sip_edit_insert_span(&msg, i, span_str(put));
					model_edit(&mod, line, 0, put);
					break;
				case 2:
					sip_edit_drop_header(&msg, i);
					if ((unsigned)i < msg.nheaders)
						model_edit(&mod, line, msg.headers[i].line_n, "");
					break;
				default:
					line = corpus_random(&seed, (uint32_t)files[f].n);
					n = corpus_random(&seed, (uint32_t)(files[f].n - line) + 1);
					n = n > 50 ? 50 : n;
					sip_edit_replace(&msg, span_of(p + line, n), span_str(put));
					model_edit(&mod, line, n, put);
					break;
				}
			}
			n = model_render(&mod, p, files[f].n, expected);
			ck_assert_uint_le(n, sip_message_room(&msg));
			ck_assert_msg(sip_message_render(&msg, out) == n && memcmp(out, expected, n) == 0, "%s round %d",
			    files[f].name, round);
		}
	corpus_free(files, count);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { names_are_known_in_every_form, parses_what_routing_needs, finds_headers,
	    edits_change_what_they_name, droppings_may_overlap, first_values_are_taken_off, full_is_failed_and_stays_so,
	    answerable_or_not, untouched_bytes_leave_as_they_came };

	return unit_run("message", tests, sizeof(tests) / sizeof(tests[0]));
}
