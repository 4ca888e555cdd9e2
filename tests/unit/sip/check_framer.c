#include <limits.h>
#include <stdio.h>

#include "common/mem.h"
#include "sip/framer.h"
#include "tests/unit/sip/corpus.h"
#include "tests/unit/unit.h"

static const struct sip_frame_limits limits = SIP_FRAME_LIMITS_DEFAULT;
static struct sip_message msg;

#define HEADERS	(SIP_HEADERS_MAX - SIP_HEADERS_ADDED)	/* from outside */
#define HEAD	"OPTIONS sip:a@example.com SIP/2.0\r\n"
#define VIA	"Via: SIP/2.0/TLS h;branch=z9hG4bK1\r\n"
#define REST	"From: <sip:b@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
#define END	"Content-Length: 0\r\n\r\n"

static enum sip_frame
frame_text(struct sip_framer *f, const struct sip_frame_limits *lim, const char *p, size_t n, size_t *used)
{
	sip_framer_init(f);
	return sip_framer_next(f, lim, p, n, used, &msg);
}

START_TEST(indexes_a_request)
{
	static const char text[] = "MESSAGE sip:bob@example.com SIP/2.0\r\n"
	    "v: SIP/2.0/TLS h\r\n"
	    "TO  \t:\r\n  <sip:bob@example.com>  \r\n"
	    "Subject:\r\n"
	    "X-Odd: a\r\n\tb \t\r\n"
	    "l: 5\r\n\r\nhe\0\nonext";
	struct sip_framer f;
	size_t used;

	ck_assert_int_eq(frame_text(&f, &limits, text, sizeof(text) - 1, &used), SIP_FRAME_MESSAGE);
	ck_assert_uint_eq(used, sizeof(text) - 1 - 4);
	ck_assert_uint_eq(msg.n, used);
	ck_assert(msg.bytes == text && msg.is_request);
	ck_assert(span_is(msg.method, "MESSAGE") && span_is(msg.uri, "sip:bob@example.com") && span_is(msg.version, "SIP/2.0"));
	ck_assert(span_is(msg.start_line, "MESSAGE sip:bob@example.com SIP/2.0"));
	ck_assert_uint_eq(msg.nheaders, 5);
	ck_assert(span_is(sip_message_value(&msg, SIP_H_VIA), "SIP/2.0/TLS h"));
	ck_assert(span_is(sip_header_name(&msg, 1), "TO"));
	ck_assert(span_is(sip_message_value(&msg, SIP_H_TO), "<sip:bob@example.com>"));
	ck_assert(span_is_empty(sip_message_value(&msg, SIP_H_SUBJECT)));
	ck_assert_int_eq(msg.first[SIP_H_SUBJECT], 2);
	ck_assert(span_is(sip_header_value(&msg, 3), "a\r\n\tb"));
	ck_assert_int_eq(msg.headers[3].id, SIP_H_OTHER);
	ck_assert_int_eq(msg.first[SIP_H_CONTENT_LENGTH], 4);
	ck_assert_int_eq(msg.first[SIP_H_FROM], -1);
	ck_assert(span_eq(msg.body, span_of("he\0\no", 5)));
	ck_assert(msg.body.p == text + msg.head_n);
	/* The lines stand one behind the other, from the start line to the blank line. */
	size_t at = msg.start_line.n + 2;
	for (unsigned i = 0; i < msg.nheaders; at += msg.headers[i++].line_n)
		ck_assert_uint_eq(msg.headers[i].line, at);
	ck_assert_uint_eq(at + 2, msg.head_n);
}
END_TEST

START_TEST(indexes_a_response)
{
	static const char text[] = "SIP/2.0 480 Temporarily  not \xc3\xa4\r\nl:0\r\n\r\n";
	struct sip_framer f;
	size_t used;

	ck_assert_int_eq(frame_text(&f, &limits, text, sizeof(text) - 1, &used), SIP_FRAME_MESSAGE);
	ck_assert(!msg.is_request && msg.status == 480 && span_is_empty(msg.method));
	ck_assert(span_is(msg.phrase, "Temporarily  not \xc3\xa4"));
	ck_assert_int_eq(frame_text(&f, &limits, "SIP/2.0 200 \r\nl:0\r\n\r\n", 21, &used), SIP_FRAME_MESSAGE);
	ck_assert(msg.status == 200 && span_is_empty(msg.phrase));
}
END_TEST

/* Every error of form, and that no whole message comes out whatever follows. */
static const struct {
	const char	*text;
	size_t		 n;		/* 0: strlen */
	enum sip_check	 why;
} wrong[] = {
	{ "\n" HEAD END, 0, SIP_CHECK_BARE_LF },
	{ "\r" HEAD END, 0, SIP_CHECK_BARE_CR },
	{ " \r\n" HEAD END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS  sip:a@b SIP/2.0\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS sip:a@b  SIP/2.0\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS sip:a@b SIP/2.0 \r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS sip:a b SIP/2.0\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS sip:\xc3\xa4@b SIP/2.0\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS\tsip:a@b\tSIP/2.0\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS sip:a@b\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPT(ONS sip:a@b SIP/2.0\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "GET / HTTP/1.1\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "OPTIONS sip:a@b SIP/7.0\r\n" END, 0, SIP_CHECK_VERSION },
	{ "OPTIONS sip:a@b sip/2.0\r\n" END, 0, SIP_CHECK_VERSION },
	{ "OPTIONS sip:a@b SIP/2.00\r\n" END, 0, SIP_CHECK_VERSION },
	{ "SIP/2.1 200 OK\r\n" END, 0, SIP_CHECK_VERSION },
	{ "SIP/2.0 200\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "SIP/2.0  200 OK\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "SIP/2.0 2 0 OK\r\n" END, 0, SIP_CHECK_STATUS },
	{ "SIP/2.0 99 OK\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "SIP/2.0 099 OK\r\n" END, 0, SIP_CHECK_STATUS },
	{ "SIP/2.0 700 OK\r\n" END, 0, SIP_CHECK_STATUS },
	{ "SIP/2.0 2000 OK\r\n" END, 0, SIP_CHECK_START_LINE },
	{ "SIP/2.0 +20 OK\r\n" END, 0, SIP_CHECK_STATUS },
	{ HEAD "a: b\rc: d\r\n" END, 0, SIP_CHECK_BARE_CR },
	{ HEAD "a: b\r\r\n" END, 0, SIP_CHECK_BARE_CR },
	{ HEAD "a: b\nc: d\r\n" END, 0, SIP_CHECK_BARE_LF },
	{ HEAD "a: b\n\r\n" END, 0, SIP_CHECK_BARE_LF },
	{ HEAD "a: b\r\n\n" END, 0, SIP_CHECK_BARE_LF },
	{ HEAD "a: b\0c\r\n" END, sizeof(HEAD "a: b\0c\r\n" END) - 1, SIP_CHECK_CONTROL },
	{ "\0" HEAD END, sizeof("\0" HEAD END) - 1, SIP_CHECK_CONTROL },
	{ HEAD "a: b\x0b" "c: d\r\n" END, 0, SIP_CHECK_CONTROL },
	{ HEAD "a: b\x1c" "c: d\r\n" END, 0, SIP_CHECK_CONTROL },
	{ HEAD "a: b\x7f\r\n" END, 0, SIP_CHECK_CONTROL },
	{ HEAD "ms\x01-x: d\r\n" END, 0, SIP_CHECK_CONTROL },
	{ HEAD ": b\r\n" END, 0, SIP_CHECK_HEADER_NAME },
	{ HEAD "novalue\r\n" END, 0, SIP_CHECK_HEADER_NAME },
	{ HEAD "two words: b\r\n" END, 0, SIP_CHECK_HEADER_NAME },
	{ HEAD "na(me: b\r\n" END, 0, SIP_CHECK_HEADER_NAME },
	{ HEAD "na\xc3\xa4me: b\r\n" END, 0, SIP_CHECK_HEADER_NAME },
	{ HEAD "\"name\": b\r\n" END, 0, SIP_CHECK_HEADER_NAME },
	{ HEAD " folded: nothing\r\n" END, 0, SIP_CHECK_HEADER_NAME },
	{ HEAD "name\r\n : b\r\n" END, 0, SIP_CHECK_HEADER_NAME },
	{ HEAD "a: b\r\n \r\n" END, 0, SIP_CHECK_BLANK_FOLD },
	{ HEAD "a: b\r\n \t\r\n c\r\n" END, 0, SIP_CHECK_BLANK_FOLD },
	{ HEAD "a: b\r\n\r\n", 0, SIP_CHECK_NO_CONTENT_LENGTH },
	{ HEAD "\r\n", 0, SIP_CHECK_NO_CONTENT_LENGTH },
	{ HEAD "Content-Length: 0\r\nl: 0\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH_TWICE },
	{ HEAD "Content-Length: 0\r\ncontent-LENGTH : 0\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH_TWICE },
	{ HEAD "Content-Length:\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: +0\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: -1\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 0x0\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 00\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 010\r\n\r\n12345678ab", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 1 2\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 0, 0\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 0;x\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 4294967296\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 18446744073709551616\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 00000000000000000000000\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length:\r\n 0\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 1\r\n 0\r\n\r\n", 0, SIP_CHECK_CONTENT_LENGTH },
	{ HEAD "Content-Length: 4294967295\r\n\r\n", 0, SIP_CHECK_MESSAGE_TOO_LONG },
};

START_TEST(refuses_what_reads_two_ways)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		size_t n = wrong[i].n != 0 ? wrong[i].n : strlen(wrong[i].text), used;
		struct sip_framer f;
		enum sip_frame got = frame_text(&f, &limits, wrong[i].text, n, &used);

		ck_assert_msg(got == SIP_FRAME_BAD, "row %zu: %d", i, got);
		ck_assert_msg(f.error == wrong[i].why, "row %zu: %s, not %s", i, sip_check_name(f.error),
		    sip_check_name(wrong[i].why));

		/* Byte by byte the answer is the same. */
		sip_framer_init(&f);
		for (size_t k = 0; k <= n; k++)
			if ((got = sip_framer_next(&f, &limits, wrong[i].text, k, &used, &msg)) != SIP_FRAME_MORE)
				break;
		ck_assert_msg(got == SIP_FRAME_BAD && f.error == wrong[i].why, "row %zu, cut", i);
	}
}
END_TEST

/* A message whose parts have the sizes asked for. */
static size_t
build(char *out, size_t start_line, size_t header, unsigned headers, size_t body)
{
	char *p = out;

	p += sprintf(p, "OPTIONS sip:");
	while ((size_t)(p - out) < start_line - 8)
		*p++ = 'a';
	p += sprintf(p, " SIP/2.0\r\n");
	p += sprintf(p, "Content-Length: %zu\r\n", body);
	for (unsigned i = 1; i < headers; i++) {
		char *begin = p;

		*p++ = 'x';
		*p++ = ':';
		while ((size_t)(p - begin) < (i == 1 ? header - 2 : 10))
			*p++ = 'b';
		p += sprintf(p, "\r\n");
	}
	p += sprintf(p, "\r\n");
	memset(p, 'c', body);
	return (size_t)(p - out) + body;
}

static enum sip_check
framed(const char *text, size_t n, const struct sip_frame_limits *lim)
{
	struct sip_framer f;
	size_t used;

	switch (frame_text(&f, lim, text, n, &used)) {
	case SIP_FRAME_MESSAGE:
		ck_assert_uint_eq(used, n);
		return SIP_CHECK_OK;
	case SIP_FRAME_BAD:
		return f.error;
	default:
		ck_abort_msg("neither whole nor bad");
		return SIP_CHECK_OK;
	}
}

START_TEST(limits_hold_at_and_one_past)
{
	static char text[200000];
	struct sip_frame_limits small = { 60, 80, 5, 300, 400, 120, 0 };
	size_t n, head;

	ck_assert_int_eq(framed(text, build(text, 60, 80, 5, 0), &small), SIP_CHECK_OK);
	ck_assert_int_eq(framed(text, build(text, 61, 80, 5, 0), &small), SIP_CHECK_START_LINE_TOO_LONG);
	ck_assert_int_eq(framed(text, build(text, 60, 81, 5, 0), &small), SIP_CHECK_HEADER_TOO_LONG);
	ck_assert_int_eq(framed(text, build(text, 60, 80, 6, 0), &small), SIP_CHECK_TOO_MANY_HEADERS);
	head = build(text, 60, 80, 5, 0);
	small.head = (uint32_t)head;
	ck_assert_int_eq(framed(text, head, &small), SIP_CHECK_OK);
	small.head--;
	ck_assert_int_eq(framed(text, head, &small), SIP_CHECK_HEAD_TOO_LONG);
	small.head = 300;
	small.message = (uint32_t)(n = build(text, 60, 80, 5, 100));
	ck_assert_int_eq(framed(text, n, &small), SIP_CHECK_OK);
	small.message--;
	ck_assert_int_eq(framed(text, n, &small), SIP_CHECK_MESSAGE_TOO_LONG);

	/* The defaults, at their largest together. */
	ck_assert_int_eq(framed(text, build(text, 4096, 8192, HEADERS, 0), &limits), SIP_CHECK_OK);
	ck_assert_int_eq(framed(text, build(text, 4097, 8192, HEADERS, 0), &limits), SIP_CHECK_START_LINE_TOO_LONG);
	ck_assert_int_eq(framed(text, build(text, 100, 8193, HEADERS, 0), &limits), SIP_CHECK_HEADER_TOO_LONG);
	ck_assert_int_eq(framed(text, build(text, 100, 10, HEADERS + 1, 0), &limits), SIP_CHECK_TOO_MANY_HEADERS);
	n = build(text, 100, 10, 10, 0);
	ck_assert_int_eq(framed(text, build(text, 100, 10, 10, 65536 - n - 4), &limits), SIP_CHECK_OK);
	ck_assert_int_eq(framed(text, build(text, 100, 10, 10, 65536 - n - 3), &limits), SIP_CHECK_MESSAGE_TOO_LONG);

	/* No end in sight: refused at the limit, not a byte earlier. */
	memset(text, 'a', 20000);
	for (size_t k = 16383; k <= 16385; k++) {
		struct sip_framer f;
		size_t used;
		enum sip_frame got = frame_text(&f, &limits, text, k, &used);

		ck_assert_int_eq(got, k < 16384 ? SIP_FRAME_MORE : SIP_FRAME_BAD);
		if (got == SIP_FRAME_BAD)
			ck_assert_int_eq(f.error, SIP_CHECK_START_LINE_TOO_LONG);
	}
	n = (size_t)sprintf(text, HEAD "x: ");
	memset(text + n, 'a', 20000);
	ck_assert_int_eq(framed(text, 20000, &limits), SIP_CHECK_HEADER_TOO_LONG);
	for (size_t at = 500; at < 20000; at += 500)
		memcpy(text + at, "\r\ny: ", 5);
	ck_assert_int_eq(framed(text, 16384, &limits), SIP_CHECK_HEAD_TOO_LONG);
}
END_TEST

/* One header of that many bytes, name and line end included, in a request with that method. */
static size_t
build_long(char *out, const char *method, const char *name, size_t size)
{
	size_t n = (size_t)sprintf(out, "%s sip:example.com SIP/2.0\r\n", method), at = n;

	n += (size_t)sprintf(out + n, "%s: ", name);
	memset(out + n, 'a', at + size - 2 - n);
	return at + size - 2 + (size_t)sprintf(out + at + size - 2, "\r\nContent-Length: 0\r\n\r\n");
}

/* What filled the limits of one door comes through the next with what is put in on the way, and not with more. */
START_TEST(servers_take_more)
{
	static char text[100000];
	static struct sip_message scratch;
	const struct sip_frame_limits more = sip_frame_limits_of_servers(limits);
	const struct { size_t start_line, header, body; unsigned headers; } most[] = {
		{ 5120, 10, 0, 10 }, { 100, 9216, 0, 10 }, { 100, 10, 0, SIP_HEADERS_MAX - SIP_HEADERS_OURS }, { 100, 10, 73000, 10 }
	};
	size_t n;

	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		n = build(text, most[i].start_line, most[i].header, most[i].headers, most[i].body);
		ck_assert_msg(framed(text, n, &limits) != SIP_CHECK_OK, "row %zu", i);
		ck_assert_msg(framed(text, n, &more) == SIP_CHECK_OK, "row %zu", i);
		ck_assert_int_eq(sip_frame_fits(&more, text, n, most[i].headers, &scratch), SIP_CHECK_OK);
		ck_assert_int_eq(sip_frame_fits(&more, text, n, UINT_MAX, &scratch), SIP_CHECK_OK);
		ck_assert_int_eq(sip_frame_fits(&limits, text, n, most[i].headers, &scratch), framed(text, n, &limits));
		ck_assert_int_eq(sip_frame_fits(&more, text, n - 1, UINT_MAX, &scratch), SIP_CHECK_CONTENT_LENGTH);
		n = build(text, most[i].start_line + (i == 0), most[i].header + (i == 1), most[i].headers + (i == 2),
		    most[i].body + (i == 3 ? 5000 : 0));
		ck_assert_msg(framed(text, n, &more) != SIP_CHECK_OK, "row %zu", i);
		ck_assert_int_ne(sip_frame_fits(&more, text, n, most[i].headers + (i == 2), &scratch), SIP_CHECK_OK);
	}
	/* an address with a tag that somebody has given it */
	for (int i = 0; i < 3; i++) {
		n = (size_t)sprintf(text, HEAD "To: <sip:%0*d@h>", SIP_ADDRESS_MAX - 8 + (i > 0) + 512 * (i > 1), 1);
		n += (size_t)sprintf(text + n, "\r\n" END);
		ck_assert_int_eq(framed(text, n, &limits), i == 0 ? SIP_CHECK_OK : SIP_CHECK_HEADER_TOO_LONG);
		ck_assert_int_eq(framed(text, n, &more), i < 2 ? SIP_CHECK_OK : SIP_CHECK_HEADER_TOO_LONG);
	}
}
END_TEST

/* A ticket in a REGISTER may be longer than other headers. */
START_TEST(credentials_may_be_long)
{
	static char text[20000];
	struct sip_frame_limits lim = { 60, 80, 5, 300, 400, 120, 0 };
	static const struct { const char *method, *name; size_t most; } rows[] = {
		{ "REGISTER", "Authorization", 120 }, { "REGISTER", "PROXY-authorization", 120 },
		{ "INVITE", "Authorization", 80 }, { "REGISTER", "WWW-Authenticate", 80 }, { "REGISTER", "x", 80 },
		{ "register", "Authorization", 80 }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = build_long(text, rows[i].method, rows[i].name, rows[i].most);

		ck_assert_msg(framed(text, n, &lim) == SIP_CHECK_OK, "row %zu", i);
		n = build_long(text, rows[i].method, rows[i].name, rows[i].most + 1);
		ck_assert_msg(framed(text, n, &lim) == SIP_CHECK_HEADER_TOO_LONG, "row %zu", i);
	}
	/* less than other headers have is no limit of its own */
	lim.credentials = 10;
	ck_assert_int_eq(framed(text, build_long(text, "REGISTER", "Authorization", 80), &lim), SIP_CHECK_OK);
	ck_assert_int_eq(framed(text, build_long(text, "REGISTER", "Authorization", 16000), &limits), SIP_CHECK_OK);
	/* the header part as a whole is what it is */
	ck_assert_int_eq(framed(text, build_long(text, "REGISTER", "Authorization", 16384), &limits), SIP_CHECK_HEAD_TOO_LONG);
}
END_TEST

/* What one stream gives: a line of text per event. */
static void
run_stream(const char *p, size_t n, const size_t *cuts, size_t ncuts, char *log, size_t size)
{
	struct sip_framer f;
	struct strbuf sb;
	size_t start = 0, have = 0;

	strbuf_init(&sb, log, size);
	sip_framer_init(&f);
	for (size_t c = 0; c <= ncuts; c++) {
		have = c < ncuts ? cuts[c] : n;
		for (;;) {
			size_t used;
			/* Its own copy, of that size: a sanitizer sees a byte too many. */
			char *copy = xmemdup(p + start, have - start);
			enum sip_frame got;

			memset(&msg, 0xa5, sizeof(msg));
			got = sip_framer_next(&f, &limits, copy, have - start, &used, &msg);
			if (got == SIP_FRAME_MESSAGE) {
				strbuf_printf(&sb, "message %zu %u %u:", used, msg.nheaders, msg.is_request);
				for (unsigned i = 0; i < msg.nheaders; i++)
					strbuf_printf(&sb, " %u/%u/%u/%u/%u", msg.headers[i].line, msg.headers[i].line_n,
					    msg.headers[i].value, msg.headers[i].value_n, msg.headers[i].id);
				strbuf_putc(&sb, '\n');
			} else if (got == SIP_FRAME_PING && f.ping)
				strbuf_puts(&sb, "ping\n");
			else if (got == SIP_FRAME_BAD)
				strbuf_printf(&sb, "bad %s %u\n", sip_check_name(f.error), msg.nheaders);
			free(copy);
			if (got == SIP_FRAME_BAD)
				return;
			start += used;
			if (got == SIP_FRAME_MORE)
				break;
		}
	}
	ck_assert(strbuf_ok(&sb));
}

START_TEST(cutting_changes_nothing)
{
	size_t count;
	struct corpus_file *files = corpus_load(&count);
	static char stream[200000], whole[100000], cut[100000];
	size_t n = 0, cuts[64];
	uint64_t seed = 1;

	for (size_t i = 0; i < count; i++) {
		memcpy(stream + n, files[i].p, files[i].n);
		n += files[i].n;
		memcpy(stream + n, "\r\n\r\n\r\n\r\n", 8);
		n += 2 * (i % 4);
	}
	corpus_free(files, count);
	for (int bad = 0; bad < 4; bad++) {
		if (bad > 0)
			stream[n / 4 * (size_t)bad] = "x\n\r\1"[bad];
		run_stream(stream, n, NULL, 0, whole, sizeof(whole));
		ck_assert(strstr(whole, "message") != NULL && (bad == 0) == (strstr(whole, "bad") == NULL));
		for (int round = 0; round < 60; round++) {
			size_t ncuts = 1 + corpus_random(&seed, 60), at = 0;

			for (size_t c = 0; c < ncuts; c++) {
				at += corpus_random(&seed, (uint32_t)(2 * n / ncuts));
				cuts[c] = at < n ? at : n;
				at = cuts[c];
			}
			run_stream(stream, n, cuts, ncuts, cut, sizeof(cut));
			ck_assert_str_eq(whole, cut);
		}
	}
	/* Every single cut of one message between pings. */
	n = (size_t)sprintf(stream, "\r\n\r\n\r\n" HEAD VIA REST "Content-Length: 2\r\n\r\nhi\r\n\r\n" HEAD END "\r\n");
	run_stream(stream, n, NULL, 0, whole, sizeof(whole));
	for (size_t a = 0; a <= n; a++)
		for (size_t b = a; b <= n; b += 3) {
			cuts[0] = a;
			cuts[1] = b;
			run_stream(stream, n, cuts, 2, cut, sizeof(cut));
			ck_assert_str_eq(whole, cut);
		}
	ck_assert_ptr_nonnull(strstr(whole, "ping\nmessage"));
}
END_TEST

START_TEST(bad_messages_can_be_answered)
{
	static const struct {
		const char	*text;
		bool		 answerable;
	} rows[] = {
		{ HEAD VIA REST "\r\n", true },
		{ HEAD VIA REST "Content-Length: x\r\n\r\n", true },
		{ HEAD VIA REST "bad name: x\r\n" END, true },
		{ HEAD VIA REST "x: a\rb\r\n" END, true },
		{ "OPTIONS sip:a b SIP/2.0\r\n" VIA REST END, true },
		{ "OPTIONS sip:a@b SIP/3.0\r\n" VIA REST END, true },
		{ HEAD VIA "bad name: x\r\n" REST END, true },
		{ HEAD "x: a\nb\r\n" VIA REST END, true },
		{ HEAD VIA "Via: \x01\r\n" REST END, true },
		{ HEAD "v: \x01\r\n" REST END, false },
		{ "ACK sip:a@b SIP/3.0\r\n" VIA REST END, false },
		{ "GET / HTTP/1.0\r\n" VIA REST END, false },
		{ "SIP/2.0 200\r\n" VIA REST END, false },
		{ "x\r\n\r\n", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sip_framer f;
		size_t used;

		ck_assert_int_eq(frame_text(&f, &limits, rows[i].text, strlen(rows[i].text), &used), SIP_FRAME_BAD);
		ck_assert_msg(sip_message_answerable(&msg) == rows[i].answerable, "row %zu", i);
		ck_assert_uint_le(msg.head_n, strlen(rows[i].text));
		if (rows[i].answerable)
			ck_assert(span_is(sip_message_value(&msg, SIP_H_CSEQ), "1 OPTIONS"));
	}
}
END_TEST

START_TEST(pings_are_told_from_pongs)
{
	struct sip_framer f;
	size_t used;

	sip_framer_init(&f);
	ck_assert_int_eq(sip_framer_next(&f, &limits, "", 0, &used, &msg), SIP_FRAME_MORE);
	ck_assert_int_eq(sip_framer_next(&f, &limits, "\r", 1, &used, &msg), SIP_FRAME_MORE);
	ck_assert_int_eq(sip_framer_next(&f, &limits, "\r\n", 2, &used, &msg), SIP_FRAME_PING);
	ck_assert(used == 2 && !f.ping);
	ck_assert_int_eq(sip_framer_next(&f, &limits, "\r\nO", 3, &used, &msg), SIP_FRAME_PING);
	ck_assert(used == 2 && f.ping);
	ck_assert_int_eq(sip_framer_next(&f, &limits, "\r\n\r\n\r\n", 6, &used, &msg), SIP_FRAME_PING);
	ck_assert(used == 4 && f.ping);
	ck_assert_int_eq(sip_framer_next(&f, &limits, "\r\n", 2, &used, &msg), SIP_FRAME_PING);
	ck_assert(used == 2 && !f.ping);
	ck_assert_int_eq(sip_framer_next(&f, &limits, HEAD END, strlen(HEAD END), &used, &msg), SIP_FRAME_MESSAGE);
	/* The message between them parts two CRLFs that are no pair. */
	ck_assert_int_eq(sip_framer_next(&f, &limits, "\r\n", 2, &used, &msg), SIP_FRAME_PING);
	ck_assert(!f.ping);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { indexes_a_request, indexes_a_response, refuses_what_reads_two_ways,
	    limits_hold_at_and_one_past, servers_take_more, credentials_may_be_long, cutting_changes_nothing, bad_messages_can_be_answered, pings_are_told_from_pongs };

	return unit_run("framer", tests, sizeof(tests) / sizeof(tests[0]));
}
