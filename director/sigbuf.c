/*
 * director/sigbuf.c - the text that MS-SIPAE signs (MS 4.1). Pure.
 *
 * The rules are those that deployed clients follow, which read these headers
 * by their bytes and not by their grammar.
 */
#include "director/sigbuf.h"

static void
put(struct strbuf *out, struct span value)
{
	strbuf_putc(out, '<');
	strbuf_span(out, value);
	strbuf_putc(out, '>');
}

/* From or To: the URI between the first '<' and the next '>', else up to the first ';'; and what comes behind it. */
static struct span
uri_of(struct span value, struct span *params)
{
	size_t open = span_find(value, '<'), close;

	if (open == value.n) {
		size_t end = span_find(value, ';');

		*params = span_tail(value, end);
		return span_trim(span_head(value, end));
	}
	value = span_tail(value, open + 1);
	close = span_find(value, '>');
	*params = span_tail(value, close + 1);
	return span_head(value, close);
}

static struct span
tag_of(struct span params)
{
	struct span tag;

	return sip_param(span_tail(params, span_find(params, ';') + 1), "tag", &tag) ? tag : SPAN_NONE;
}

/* The first sip: and the first tel: URI in angle brackets; or the whole value, if that is a bare tel: URI. */
static void
identities(struct span value, struct span *sip, struct span *tel)
{
	static const struct span sip_scheme = { "sip:", 4 }, tel_scheme = { "tel:", 4 };
	struct span rest = value;
	size_t open;

	*sip = *tel = SPAN_NONE;
	while ((open = span_find(rest, '<')) < rest.n) {
		struct span uri = span_tail(rest, open + 1);
		size_t close = span_find(uri, '>');

		rest = span_tail(uri, close + 1);
		uri = span_head(uri, close);
		if (span_is_empty(*sip) && span_istarts(uri, sip_scheme))
			*sip = uri;
		else if (span_is_empty(*tel) && span_istarts(uri, tel_scheme))
			*tel = uri;
	}
	if (span_is_empty(*sip) && span_is_empty(*tel) && span_istarts(value, tel_scheme))
		*tel = value;
}

bool
sigbuf_write(const struct sip_message *m, const struct sigbuf_proof *p, unsigned version, struct strbuf *out)
{
	struct span cseq = sip_message_value(m, SIP_H_CSEQ), params, uri, identity, sip, tel;
	size_t blank = 0;

	while (blank < cseq.n && cseq.p[blank] != ' ' && cseq.p[blank] != '\t')
		blank++;
	put(out, p->scheme);
	put(out, p->random);
	put(out, p->number);
	put(out, p->realm);
	put(out, p->target);
	put(out, sip_message_value(m, SIP_H_CALL_ID));
	put(out, span_head(cseq, blank));
	put(out, span_trim(span_tail(cseq, blank)));
	put(out, uri_of(sip_message_value(m, SIP_H_FROM), &params));
	put(out, tag_of(params));
	uri = uri_of(sip_message_value(m, SIP_H_TO), &params);
	if (version >= 3)
		put(out, uri);
	put(out, tag_of(params));
	if (version >= 3) {
		identity = sip_message_value(m, SIP_H_P_ASSERTED_IDENTITY);
		if (m->first[SIP_H_P_ASSERTED_IDENTITY] < 0)
			identity = sip_message_value(m, SIP_H_P_PREFERRED_IDENTITY);
		identities(identity, &sip, &tel);
		put(out, sip);
		put(out, tel);
	}
	put(out, sip_message_value(m, SIP_H_EXPIRES));
	if (!m->is_request) {
		strbuf_putc(out, '<');
		strbuf_uint(out, m->status);
		strbuf_putc(out, '>');
	}
	return strbuf_ok(out);
}
