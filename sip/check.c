#include "sip/check.h"

#include "common/err.h"
#include "sip/chars.h"
#include "sip/disguise.h"
#include "sip/message.h"

static const struct {
	const char	*name;
	unsigned	 status;
	const char	*phrase;
} checks[SIP_NCHECKS] = {
#define X(e, name, status, phrase) [SIP_CHECK_##e] = { name, status, phrase },
	SIP_CHECKS(X)
#undef X
};

/* Of these there may be one in a message. */
static const uint64_t once =
    SIP_H_BIT(FROM) | SIP_H_BIT(TO) | SIP_H_BIT(CALL_ID) | SIP_H_BIT(CSEQ) | SIP_H_BIT(MAX_FORWARDS) |
    SIP_H_BIT(CONTENT_LENGTH) | SIP_H_BIT(CONTENT_TYPE) | SIP_H_BIT(EXPIRES) | SIP_H_BIT(EVENT) |
    SIP_H_BIT(SUBJECT) | SIP_H_BIT(REFER_TO) | SIP_H_BIT(REFERRED_BY) | SIP_H_BIT(DATE) | SIP_H_BIT(PRIVACY) |
    SIP_H_BIT(MS_TRUST) | SIP_H_BIT(MS_VERIFICATION) | SIP_H_BIT(MS_ARCHIVING) | SIP_H_BIT(MS_USER_LOGON_DATA) |
    SIP_H_BIT(MS_DIAGNOSTICS_PUBLIC) | SIP_H_BIT(MS_SPLIT_DOMAIN_INFO) | SIP_H_BIT(MS_KEEP_ALIVE) |
    SIP_H_BIT(COMPRESSION) | SIP_H_BIT(X_REFUSED) |
    /* RFC 3262, 3265, 3515, 3891, 3903, 3911, 4028, 4538: two readers may well pick different ones */
    SIP_H_BIT(SESSION_EXPIRES) | SIP_H_BIT(MIN_SE) | SIP_H_BIT(SUBSCRIPTION_STATE) | SIP_H_BIT(REPLACES) |
    SIP_H_BIT(JOIN) | SIP_H_BIT(RSEQ) | SIP_H_BIT(RACK) | SIP_H_BIT(MIN_EXPIRES) | SIP_H_BIT(CONTENT_DISPOSITION) |
    SIP_H_BIT(MIME_VERSION) | SIP_H_BIT(REPLY_TO) | SIP_H_BIT(TARGET_DIALOG) | SIP_H_BIT(SIP_ETAG) |
    SIP_H_BIT(SIP_IF_MATCH);

/*
 * How often others may, how many values their kind may hold in all, and how many signs between parameters, which are what
 * reading them costs: semicolons, and commas in credentials. 0: no bound of its own.
 */
static const struct {
	uint8_t	headers;
	uint8_t	values;
	uint8_t	parts;
} bounds[SIP_NHEADER_IDS] = {
	[SIP_H_VIA] = { 0, 36, 192 },	/* RFC 4475 3.1.1.7 has 34 */
	[SIP_H_ROUTE] = { 0, 32, 192 },
	[SIP_H_RECORD_ROUTE] = { 0, 32, 192 },
	[SIP_H_CONTACT] = { 0, 32, 192 },
	[SIP_H_CONTENT_ENCODING] = { 0, 16 },
	[SIP_H_PATH] = { 0, 32, 192 },
	[SIP_H_SERVICE_ROUTE] = { 0, 32, 192 },
	[SIP_H_SUPPORTED] = { 0, 64 },
	[SIP_H_REQUIRE] = { 0, 64 },
	[SIP_H_PROXY_REQUIRE] = { 0, 64 },
	[SIP_H_UNSUPPORTED] = { 0, 64 },
	[SIP_H_AUTHORIZATION] = { 16, 0, 192 },
	[SIP_H_PROXY_AUTHORIZATION] = { 16, 0, 192 },
	[SIP_H_WWW_AUTHENTICATE] = { 16, 0, 192 },
	[SIP_H_PROXY_AUTHENTICATE] = { 16, 0, 192 },
	[SIP_H_AUTHENTICATION_INFO] = { 16, 0 },
	[SIP_H_PROXY_AUTHENTICATION_INFO] = { 16, 0 },
	[SIP_H_P_ASSERTED_IDENTITY] = { 0, 8 },
	[SIP_H_P_PREFERRED_IDENTITY] = { 0, 8 },
	[SIP_H_DIVERSION] = { 0, 32, 192 },
};
static const uint64_t bounded =
    SIP_H_BIT(VIA) | SIP_H_BIT(ROUTE) | SIP_H_BIT(RECORD_ROUTE) | SIP_H_BIT(CONTACT) |
    SIP_H_BIT(CONTENT_ENCODING) | SIP_H_BIT(PATH) | SIP_H_BIT(SERVICE_ROUTE) | SIP_H_BIT(SUPPORTED) |
    SIP_H_BIT(REQUIRE) | SIP_H_BIT(PROXY_REQUIRE) | SIP_H_BIT(UNSUPPORTED) | SIP_H_BIT(AUTHORIZATION) |
    SIP_H_BIT(PROXY_AUTHORIZATION) | SIP_H_BIT(WWW_AUTHENTICATE) | SIP_H_BIT(PROXY_AUTHENTICATE) |
    SIP_H_BIT(AUTHENTICATION_INFO) | SIP_H_BIT(PROXY_AUTHENTICATION_INFO) | SIP_H_BIT(P_ASSERTED_IDENTITY) |
    SIP_H_BIT(P_PREFERRED_IDENTITY) | SIP_H_BIT(DIVERSION);

/* Proxy-Require tags that cost us nothing to understand (MS 2). */
static const char *const extensions[] = { "ms-benotify" };

bool
sip_extension_is_known(struct span tag)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (span_iis(tag, extensions[i]))
			return true;
	return false;
}

/* ---- presence and number ---- */

static enum sip_check
check_presence(const struct sip_message *m)
{
	static const struct {
		enum sip_header_id	id;
		enum sip_check		absent;
	} mandatory[] = {	/* RFC 3261 8.1.1 */
		{ SIP_H_VIA, SIP_CHECK_NO_VIA }, { SIP_H_FROM, SIP_CHECK_NO_FROM }, { SIP_H_TO, SIP_CHECK_NO_TO },
		{ SIP_H_CALL_ID, SIP_CHECK_NO_CALL_ID }, { SIP_H_CSEQ, SIP_CHECK_NO_CSEQ }
	};
	const uint64_t all = SIP_H_BIT(VIA) | SIP_H_BIT(FROM) | SIP_H_BIT(TO) | SIP_H_BIT(CALL_ID) | SIP_H_BIT(CSEQ);

	for (size_t i = 0; (m->present & all) != all && i < sizeof(mandatory) / sizeof(mandatory[0]); i++)
		if (m->first[mandatory[i].id] < 0)
			return mandatory[i].absent;
	return SIP_CHECK_OK;
}

#define ADDED_MAX	16

/* Are there more headers or values of that kind than may be? */
static bool
is_beyond(const struct sip_message *m, enum sip_header_id id)
{
	unsigned headers = 0, values = 0, parts = 0;
	/* A response repeats what the request had, and what we and others added to that on its way. */
	unsigned values_max = bounds[id].values + (m->is_request ? 0 : ADDED_MAX);
	char between = bounds[id].values != 0 ? ';' : ',';
	unsigned parts_max = bounds[id].parts + (m->is_request ? 0 : 4 * ADDED_MAX);

	for (int i = m->first[id]; i >= 0; i = sip_message_next(m, id, i)) {
		struct span rest = sip_header_value(m, i), value;

		headers++;
		while (bounds[id].values != 0 && values <= values_max && sip_header_next(m, i, &rest, &value))
			values++;
		rest = bounds[id].parts != 0 ? sip_header_value(m, i) : SPAN_NONE;
		for (size_t at; parts <= parts_max && (at = span_find(rest, between)) < rest.n; rest = span_tail(rest, at + 1))
			parts++;
	}
	if (bounds[id].parts != 0 && parts > parts_max)
		return true;
	return (bounds[id].headers != 0 && headers > bounds[id].headers) || (bounds[id].values != 0 && values > values_max);
}

static enum sip_check
check_number(const struct sip_message *m)
{
	if ((m->several & once) != 0)
		return SIP_CHECK_REPEATED;
	for (uint64_t left = m->present & bounded; left != 0; left &= left - 1)
		if (is_beyond(m, (enum sip_header_id)__builtin_ctzll(left)))
			return SIP_CHECK_TOO_MANY_VALUES;
	return SIP_CHECK_OK;
}

/* ---- form of one header ---- */

static enum sip_check
check_ruri(const struct sip_message *m)
{
	if (!m->is_request)
		return SIP_CHECK_OK;
	if (m->ruri.scheme == SIP_SCHEME_OTHER)
		return SIP_CHECK_URI_SCHEME;
	/* RFC 3261 19.1.1: no headers in a Request-URI. */
	return m->ruri.headers.n == 0 ? SIP_CHECK_OK : SIP_CHECK_REQUEST_URI;
}

/* Every Via parses; the top one is of the connection it came on, and that is TLS. */
static enum sip_check
check_vias(struct sip_message *m)
{
	unsigned n = 0;

	for (int i = m->first[SIP_H_VIA]; i >= 0; i = sip_message_next(m, SIP_H_VIA, i)) {
		struct span rest = sip_header_value(m, i), value;

		while (sip_header_next(m, i, &rest, &value)) {
			struct sip_via other, *via = n > 0 && n <= SIP_VIAS_KEPT ? &m->vias_below[n - 1] : &other;

			if (n > 0 && sip_via_parse(via, value) != SP_OK)
				return SIP_CHECK_VIA;
			/* Nobody quotes there, and a comma or a semicolon in quotes is one to who reads carelessly. */
			if (span_find(value, '"') != value.n)
				return SIP_CHECK_VIA;
			if (n > 0 && n <= SIP_VIAS_KEPT)
				m->nvias_below = n;
			n++;
		}
	}
	return span_iis(m->via.transport, "TLS") ? SIP_CHECK_OK : SIP_CHECK_VIA_TRANSPORT;
}

static bool
is_tag(const struct sip_addr *a, bool needed)
{
	if (a->tag.n != 0)
		return sip_chars_all(a->tag, SIP_CHAR_TOKEN);
	/* none, or one without a value */
	return !needed && !sip_param(a->params, "tag", NULL);
}

/* "<sip:boss@…>" <sip:eve@…>: in quotes, or in a parameter, stands what another reader takes for the address. */
static bool
has_two_addresses(struct span value, const struct sip_addr *a)
{
	bool own = false;

	for (size_t i = 0; (i += span_find(span_tail(value, i), '<')) < value.n; i++) {
		struct span rest = span_trim(span_tail(value, i + 1));

		if (rest.p == a->uri_text.p)
			own = true;
		else if (span_istarts(rest, SPAN_LIT("sip:")) || span_istarts(rest, SPAN_LIT("sips:")))
			return true;
	}
	/* Without brackets around the address any in front of a parameter's are another's. */
	return !own && span_find(a->params, '<') != a->params.n;
}

static enum sip_check
check_dialog(const struct sip_message *m)
{
	struct span id = m->call_id;
	size_t at;

	/* RFC 3261 8.1.1.3: From has a tag, always; To has one in a dialog. */
	if (!is_tag(&m->from, true) || !is_tag(&m->to, false))
		return SIP_CHECK_TAG;
	/* who answers gives a tag to it, for which there has to be room */
	if (m->to.tag.n == 0 && sip_message_value(m, SIP_H_TO).n > SIP_ADDRESS_MAX)
		return SIP_CHECK_HEADER_TOO_LONG;
	if (has_two_addresses(sip_message_value(m, SIP_H_FROM), &m->from))
		return SIP_CHECK_FROM;
	if (has_two_addresses(sip_message_value(m, SIP_H_TO), &m->to))
		return SIP_CHECK_TO;
	at = span_find(id, '@');
	if (!sip_chars_all(span_head(id, at), SIP_CHAR_WORD) ||
	    (at < id.n && !sip_chars_all(span_of(id.p + at + 1, id.n - at - 1), SIP_CHAR_WORD)))
		return SIP_CHECK_CALL_ID;
	if (m->cseq == SIP_CSEQ_BEYOND)
		return SIP_CHECK_CSEQ;
	if (m->is_request && !span_eq(m->method, m->cseq_method))
		return SIP_CHECK_CSEQ_METHOD;
	return SIP_CHECK_OK;
}

/* Each value of a Route-like header: a SIP URI in angle brackets (RFC 3261 20.34). */
static enum sip_check
check_routes(const struct sip_message *m, enum sip_header_id id, enum sip_check why)
{
	for (int i = m->first[id]; i >= 0; i = sip_message_next(m, id, i)) {
		struct span rest = sip_header_value(m, i), value;

		while (sip_header_next(m, i, &rest, &value)) {
			struct sip_addr a;

			if (sip_addr_parse(&a, value) != SP_OK)
				return sip_escapes_ok(value) ? why : SIP_CHECK_ESCAPE;
			if (a.uri_text.p[-1] != '<' || (a.display.n != 0 && a.display.p[0] != '"') ||
			    (a.uri.scheme != SIP_SCHEME_SIP && a.uri.scheme != SIP_SCHEME_SIPS))
				return why;
		}
	}
	return SIP_CHECK_OK;
}

static enum sip_check
check_contacts(struct sip_message *m)
{
	for (int i = m->first[SIP_H_CONTACT]; i >= 0; i = sip_message_next(m, SIP_H_CONTACT, i)) {
		struct span rest = sip_header_value(m, i), value;

		/* RFC 3261 10.2.2: "*" stands alone, in a REGISTER. */
		if (span_is(rest, "*") && m->is_request && m->method_id == POLICY_METHOD_REGISTER &&
		    sip_message_next(m, SIP_H_CONTACT, -1) == i && sip_message_next(m, SIP_H_CONTACT, i) < 0)
			continue;
		while (sip_header_next(m, i, &rest, &value)) {
			struct sip_addr other, *a = span_is_empty(m->contact.whole) ? &m->contact : &other;

			if (sip_addr_parse(a, value) != SP_OK) {
				m->contact.whole = SPAN_NONE;
				return sip_escapes_ok(value) ? SIP_CHECK_CONTACT : SIP_CHECK_ESCAPE;
			}
		}
	}
	return SIP_CHECK_OK;
}

static enum sip_check
check_credentials(const struct sip_message *m)
{
	const uint64_t all = SIP_H_BIT(AUTHORIZATION) | SIP_H_BIT(PROXY_AUTHORIZATION) | SIP_H_BIT(WWW_AUTHENTICATE) |
	    SIP_H_BIT(PROXY_AUTHENTICATE);

	for (uint64_t left = m->present & all; left != 0; left &= left - 1) {
		enum sip_header_id id = (enum sip_header_id)__builtin_ctzll(left);

		for (int i = m->first[id]; i >= 0; i = sip_message_next(m, id, i)) {
			struct sip_auth auth;

			if (sip_auth_parse(&auth, sip_header_value(m, i)) != SP_OK)
				return SIP_CHECK_CREDENTIALS;
		}
	}
	return SIP_CHECK_OK;
}

static enum sip_check
check_expires(const struct sip_message *m)
{
	uint64_t seconds;

	if (m->first[SIP_H_EXPIRES] < 0 || span_uint(sip_message_value(m, SIP_H_EXPIRES), UINT32_MAX, &seconds))
		return SIP_CHECK_OK;
	return SIP_CHECK_EXPIRES;
}

/* The next Proxy-Require tag that we do not understand; *i and *rest begin as -1 and nothing. */
static bool
next_unknown(const struct sip_message *m, int *i, struct span *rest, struct span *tag)
{
	for (;;) {
		while (sip_list_next(rest, tag))
			if (!span_is_empty(*tag) && !sip_extension_is_known(*tag))
				return true;
		*i = sip_message_next(m, SIP_H_PROXY_REQUIRE, *i);
		if (*i < 0)
			return false;
		*rest = sip_header_value(m, *i);
	}
}

/* RFC 3261 16.3, step 5; not for ACK and CANCEL (8.2.2.3). */
static enum sip_check
check_extensions(const struct sip_message *m)
{
	struct span rest = SPAN_NONE, tag;
	int i = -1;

	if (!m->is_request || m->method_id == POLICY_METHOD_ACK || m->method_id == POLICY_METHOD_CANCEL ||
	    m->first[SIP_H_PROXY_REQUIRE] < 0)
		return SIP_CHECK_OK;
	return next_unknown(m, &i, &rest, &tag) ? SIP_CHECK_EXTENSION : SIP_CHECK_OK;
}

void
sip_check_write_unsupported(const struct sip_message *m, struct strbuf *out)
{
	struct span rest = SPAN_NONE, tag;
	const char *before = "Unsupported: ";

	/* What is no token stays out of an answer of ours. */
	for (int i = -1; m->first[SIP_H_PROXY_REQUIRE] >= 0 && next_unknown(m, &i, &rest, &tag); )
		if (sip_chars_all(tag, SIP_CHAR_TOKEN)) {
			strbuf_puts(out, before);
			strbuf_span(out, tag);
			before = ", ";
		}
	if (*before == ',')
		strbuf_puts(out, "\r\n");
}

enum sip_check
sip_check_message(struct sip_message *m)
{
	enum sip_check why;

	if (!m->no_breaks && sip_chars_count_signs(span_of(m->bytes, m->head_n)) > SIP_SIGNS_MAX)
		return SIP_CHECK_TOO_MANY_SIGNS;
	if ((why = check_presence(m)) != SIP_CHECK_OK ||
	    (why = check_number(m)) != SIP_CHECK_OK ||
	    (why = sip_message_parse(m)) != SIP_CHECK_OK ||
	    (why = check_ruri(m)) != SIP_CHECK_OK ||
	    (why = check_vias(m)) != SIP_CHECK_OK ||
	    (why = check_dialog(m)) != SIP_CHECK_OK ||
	    (why = check_routes(m, SIP_H_ROUTE, SIP_CHECK_ROUTE)) != SIP_CHECK_OK ||
	    (why = check_routes(m, SIP_H_RECORD_ROUTE, SIP_CHECK_RECORD_ROUTE)) != SIP_CHECK_OK ||
	    (why = check_contacts(m)) != SIP_CHECK_OK ||
	    (why = check_credentials(m)) != SIP_CHECK_OK ||
	    (why = check_expires(m)) != SIP_CHECK_OK ||
	    (why = sip_disguise_check(m)) != SIP_CHECK_OK)
		return why;
	return check_extensions(m);
}

const char *
sip_check_name(enum sip_check c)
{
	return (unsigned)c < SIP_NCHECKS ? checks[c].name : "unknown";
}

const char *
sip_check_phrase(enum sip_check c)
{
	return (unsigned)c < SIP_NCHECKS ? checks[c].phrase : "Bad Request";
}

unsigned
sip_check_status(enum sip_check c)
{
	return (unsigned)c < SIP_NCHECKS ? checks[c].status : 400;
}
