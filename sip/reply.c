/*
 * sip/reply.c - see reply.h.
 *
 * Header lines are copied as they stand: they have passed the framer and the
 * checks, so nothing in them can end a line early.
 */
#include "sip/reply.h"

#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"

static void
copy_header(struct strbuf *out, const struct sip_message *m, int i)
{
	strbuf_add(out, m->bytes + m->headers[i].line, m->headers[i].line_n);
}

static void
copy_all(struct strbuf *out, const struct sip_message *m, enum sip_header_id id)
{
	for (int i = sip_message_next(m, id, -1); i >= 0; i = sip_message_next(m, id, i))
		copy_header(out, m, i);
}

/* Of a header that stands once, were it not malformed (RFC 3261 7.3.1). */
static void
copy_first(struct strbuf *out, const struct sip_message *m, enum sip_header_id id)
{
	if (m->first[id] >= 0)
		copy_header(out, m, m->first[id]);
}

/* Every Via but the first `skip` values. */
static void
copy_vias(struct strbuf *out, const struct sip_message *m, unsigned skip)
{
	for (int i = sip_message_next(m, SIP_H_VIA, -1); i >= 0; i = sip_message_next(m, SIP_H_VIA, i)) {
		struct span value = sip_header_value(m, i), rest = value, one;

		if (skip == 0) {
			copy_header(out, m, i);
			continue;
		}
		while (skip > 0 && sip_list_next(&rest, &one))
			skip--;
		if (sip_list_next(&rest, &one)) {
			strbuf_puts(out, "Via: ");
			strbuf_add(out, one.p, (size_t)(value.p + value.n - one.p));
			strbuf_puts(out, "\r\n");
		}
	}
}

/*
 * May a tag of ours be put behind this To? Not when it has one; a request that
 * is answered because it is malformed may hold anything here.
 */
static bool
takes_tag(const struct sip_message *req)
{
	struct sip_addr to;

	return sip_addr_parse(&to, sip_message_value(req, SIP_H_TO)) == SP_OK && !sip_param(to.params, "tag", NULL);
}

/*
 * Our To tag for a request that we answer ourselves: the same for the same
 * request, so that a repeated answer belongs to the same dialog (RFC 3261 8.2.7).
 */
static void
put_own_tag(struct strbuf *out, const struct sip_message *req)
{
	static const enum sip_header_id ids[] = { SIP_H_CALL_ID, SIP_H_FROM, SIP_H_CSEQ };
	uint64_t h = 0;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct span v = sip_message_value(req, ids[i]);

		h = hash_mix(h, hash_bytes(v.p, v.n));
	}
	strbuf_printf(out, ";tag=%016llX", (unsigned long long)h);
}

void
sip_reply_write(struct strbuf *out, const struct sip_message *req, unsigned status, const char *phrase,
    struct span extra, unsigned skip_via)
{
	int to = req->first[SIP_H_TO];

	strbuf_printf(out, "SIP/2.0 %u %s\r\n", status, phrase != NULL ? phrase : sip_phrase(status));
	copy_vias(out, req, skip_via);
	copy_first(out, req, SIP_H_FROM);
	if (to >= 0) {
		struct span value = sip_header_value(req, to);

		strbuf_puts(out, "To: ");
		strbuf_span(out, value);
		if (status > 100 && takes_tag(req))
			put_own_tag(out, req);
		strbuf_puts(out, "\r\n");
	}
	copy_first(out, req, SIP_H_CALL_ID);
	copy_first(out, req, SIP_H_CSEQ);
	strbuf_span(out, extra);
	strbuf_puts(out, "Content-Length: 0\r\n\r\n");
}

/* What CANCEL and ACK share: start line, our Via, Route, From, Call-ID (RFC 3261 9.1, 17.1.1.3). */
static void
put_companion(struct strbuf *out, const struct sip_message *sent, const char *method)
{
	strbuf_puts(out, method);
	strbuf_putc(out, ' ');
	strbuf_span(out, sent->uri);
	strbuf_puts(out, " SIP/2.0\r\nVia: ");
	strbuf_span(out, sent->via.whole);
	strbuf_puts(out, "\r\nMax-Forwards: 70\r\n");
	copy_all(out, sent, SIP_H_ROUTE);
	copy_all(out, sent, SIP_H_FROM);
	copy_all(out, sent, SIP_H_CALL_ID);
}

static void
put_end(struct strbuf *out, const struct sip_message *sent, const char *method)
{
	strbuf_puts(out, "CSeq: ");
	strbuf_uint(out, sent->cseq);
	strbuf_putc(out, ' ');
	strbuf_puts(out, method);
	strbuf_puts(out, "\r\nContent-Length: 0\r\n\r\n");
}

void
sip_reply_write_cancel(struct strbuf *out, const struct sip_message *sent)
{
	put_companion(out, sent, "CANCEL");
	copy_all(out, sent, SIP_H_TO);
	copy_all(out, sent, SIP_H_MS_TRUST);
	put_end(out, sent, "CANCEL");
}

void
sip_reply_write_ack(struct strbuf *out, const struct sip_message *sent, const struct sip_message *response)
{
	put_companion(out, sent, "ACK");
	copy_all(out, response, SIP_H_TO);
	copy_all(out, sent, SIP_H_MS_TRUST);
	put_end(out, sent, "ACK");
}
