#include "sip/mark.h"

#include <inttypes.h>

#include "common/err.h"
#include "net/addr.h"
#include "sip/chars.h"

/* ---- stripping ---- */

#define UI	(1u << SIP_CROSS_USER_IN)
#define PI	(1u << SIP_CROSS_PEER_IN)
#define UO	(1u << SIP_CROSS_USER_OUT)
#define PO	(1u << SIP_CROSS_PEER_OUT)
#define RL	(1u << SIP_CROSS_RELAY)

/* What goes where (MS 3.7, 7.1 to 7.3, 7.6 to 7.8; RFC 3325 5). */
static const unsigned char goes[SIP_NHEADER_IDS] = {
	/* Ours alone: nobody outside may say it, nobody outside needs to read it. */
	[SIP_H_MS_TRUST] = UI | PI | UO | PO | RL,
	[SIP_H_X_REFUSED] = UI | PI | UO | PO | RL,
	/* The partner's word was read before this; ours is written after it. */
	[SIP_H_MS_VERIFICATION] = UI | PI | UO | PO | RL,
	[SIP_H_MS_ARCHIVING] = UI | PO,
	/* Who is remote is for the Director to say, and for its users to hear. */
	[SIP_H_MS_USER_LOGON_DATA] = UI | PI | PO | RL,
	[SIP_H_MS_SPLIT_DOMAIN_INFO] = UI | PI | PO | RL,
	/* Identity among trusted servers. What a remote user prefers is under its signature and stays. */
	[SIP_H_P_ASSERTED_IDENTITY] = UI | PI | PO | RL,
	[SIP_H_P_PREFERRED_IDENTITY] = PI | PO | RL,
	[SIP_H_OF_TRUST_DOMAIN] = UI | PI,	/* RFC 7315 6, RFC 5502 6 */
	/* Who sent a call on is what gateways charge for it and mailboxes open to (RFC 5806 6). */
	[SIP_H_DIVERSION] = UI | PI,
	/* Clients never send diagnostics; inside names are not for outside. The public form may leave. */
	[SIP_H_MS_DIAGNOSTICS] = UI | PI | UO | PO | RL,
	[SIP_H_MS_DIAGNOSTICS_PUBLIC] = UI,
	/* Hop by hop. */
	[SIP_H_MS_KEEP_ALIVE] = UI | PI | UO | PO | RL,
	[SIP_H_COMPRESSION] = UI | PI | UO | PO | RL,
	/* No association exists with a partner, and no credential leaves. Users sign requests and responses. */
	[SIP_H_AUTHORIZATION] = PI | UO | PO | RL,
	[SIP_H_PROXY_AUTHORIZATION] = PI | UO | PO | RL,
	[SIP_H_AUTHENTICATION_INFO] = PI | PO | RL,
	[SIP_H_PROXY_AUTHENTICATION_INFO] = PI | PO | RL,
	/* Nobody outside may ask our users for their password. */
	[SIP_H_WWW_AUTHENTICATE] = UI | PI | PO | RL,
	[SIP_H_PROXY_AUTHENTICATE] = UI | PI | PO | RL,
};

/* With the ';' before it, which stands before the list for its first. */
static struct span
with_semicolon(struct span piece)
{
	const char *from = piece.p;

	do
		from--;
	while (*from != ';');
	return span_of(from, (size_t)(piece.p + piece.n - from));
}

/*
 * What the first server that gets the message writes into its top Via, and nobody
 * else (MS 7.3, RFC 3261 18.2.1): all of a name, since a second one would stand for the
 * first. *rport gets the piece of that parameter; empty if there is none.
 */
static void
strip_via(struct sip_message *m, struct span *rport)
{
	struct span vias = sip_message_value(m, SIP_H_VIA), value, rest, name, piece;
	struct sip_via via = m->via;

	*rport = SPAN_NONE;
	if (!m->is_request ||
	    (!m->parsed && (!sip_list_next(&vias, &value) || sip_via_parse(&via, value) != SP_OK)))
		return;
	for (rest = via.params; sip_param_next(&rest, &name, &value, &piece); ) {
		unsigned char c = span_lower((unsigned char)name.p[0]);

		if (c == 'r' && span_iis(name, "rport"))
			*rport = with_semicolon(piece);
		else if ((c == 'r' && span_iis(name, "received")) || (c == 'm' &&
		    (span_iis(name, "ms-received-port") || span_iis(name, "ms-received-cid"))))
			sip_edit_replace(m, with_semicolon(piece), SPAN_NONE);
	}
}

unsigned
sip_mark_strip(struct sip_message *m, enum sip_crossing crossing)
{
	bool in = crossing == SIP_CROSS_USER_IN || crossing == SIP_CROSS_PEER_IN;
	struct span rport;
	unsigned n = 0;

	for (uint64_t left = m->present; left != 0; left &= left - 1) {
		enum sip_header_id id = (enum sip_header_id)__builtin_ctzll(left);

		if ((goes[id] & 1u << crossing) == 0)
			continue;
		for (int i = m->first[id]; i >= 0; i = sip_message_next(m, id, i)) {
			sip_edit_drop_header(m, i);
			n++;
		}
	}
	if (in)
		strip_via(m, &rport);
	return n;
}

/* Defence in depth: what we write stands alone, whoever forgot to strip. */
static void
drop_all(struct sip_message *m, enum sip_header_id id)
{
	for (int i = m->first[id]; i >= 0; i = sip_message_next(m, id, i))
		sip_edit_drop_header(m, i);
}

/* ---- reading ---- */

enum policy_assertion
sip_mark_assertion(const struct sip_message *m)
{
	int i = m->first[SIP_H_MS_VERIFICATION];
	struct span v;

	if (i < 0 || !sip_param(sip_header_value(m, i), "ms-source-verified-user", &v))
		return POLICY_ASSERTED_NOTHING;
	/* Two of them, or one that we do not know: nobody vouches for this sender. */
	if (sip_message_next(m, SIP_H_MS_VERIFICATION, i) < 0 && span_iis(v, "verified"))
		return POLICY_ASSERTED_VERIFIED;
	return POLICY_ASSERTED_UNVERIFIED;
}

enum mark_param { MARK_TYPE, MARK_EP_FQDN, MARK_VERIFIED, MARK_NETWORK, MARK_REMOTE_FQDN, MARK_NPARAMS };

/* Every parameter of the mark, each at most once, in any order (MS 7.1); those that we do not know are passed over. */
static bool
split_mark(struct span s, struct span v[MARK_NPARAMS])
{
	static const char *const names[MARK_NPARAMS] = {
		"ms-source-type", "ms-ep-fqdn", "ms-source-verified-user", "ms-source-network", "ms-remote-fqdn"
	};

	for (int i = 0; i < MARK_NPARAMS; i++)
		v[i] = SPAN_NONE;
	for (size_t end; s.n > 0; s = span_tail(s, end + 1)) {
		struct span piece, name, value;
		size_t eq;

		end = span_find(s, ';');
		piece = span_head(s, end);
		eq = span_find(piece, '=');
		name = span_trim(span_head(piece, eq));
		value = span_trim(span_tail(piece, eq + 1));
		if (!sip_chars_all(name, SIP_CHAR_TOKEN) || !sip_chars_all(value, SIP_CHAR_TOKEN) || end + 1 == s.n)
			return false;
		for (int i = 0; i < MARK_NPARAMS; i++) {
			if (!span_iis(name, names[i]))
				continue;
			if (v[i].n != 0)
				return false;
			v[i] = value;
		}
	}
	return v[MARK_TYPE].n != 0;
}

bool
sip_mark_read(const struct sip_message *m, struct sip_mark *mark)
{
	static const struct {
		const char		*token;
		enum policy_class	 class;
	} types[] = {
		{ "InternetUser", POLICY_CLASS_REMOTE_USER }, { "DirectPartner", POLICY_CLASS_DIRECT },
		{ "AutoFederation", POLICY_CLASS_ENHANCED }, { "AuthorizedServer", POLICY_CLASS_PROVIDER },
		{ "EdgeProxyGenerated", POLICY_CLASS_UNKNOWN }
	};
	int i = m->first[SIP_H_MS_TRUST];
	struct span v[MARK_NPARAMS];
	size_t k = 0;

	*mark = (struct sip_mark){ 0 };
	if (i < 0 || sip_message_next(m, SIP_H_MS_TRUST, i) >= 0 || !split_mark(sip_header_value(m, i), v))
		return false;
	while (k < sizeof(types) / sizeof(types[0]) && !span_iis(v[MARK_TYPE], types[k].token))
		k++;
	if (k == sizeof(types) / sizeof(types[0]))
		return false;
	mark->class = types[k].class;
	mark->generated = mark->class == POLICY_CLASS_UNKNOWN;
	mark->verified = span_iis(v[MARK_VERIFIED], "verified");
	mark->public_network = span_iis(v[MARK_NETWORK], "publiccloud");
	mark->ep_fqdn = v[MARK_EP_FQDN];
	return true;
}

/* ---- writing ---- */

void
sip_mark_write_inward(struct sip_message *m, const struct policy_decision *d, const char *ep_fqdn,
    const char *remote_fqdn)
{
	char text[1024];	/* two host names and what stands around them */
	struct strbuf sb;
	const char *token = policy_source_token(d->class), *network, *verified;
	bool public_im = (d->class == POLICY_CLASS_PROVIDER || d->class == POLICY_CLASS_CLEARINGHOUSE) &&
	    remote_fqdn != NULL;

	drop_all(m, SIP_H_MS_TRUST);
	if (!d->mark_inward || token == NULL)
		return;
	verified = d->verification == POLICY_VERIFIED ? "verified" : "unverified";
	if (d->class == POLICY_CLASS_REMOTE_USER || d->class == POLICY_CLASS_BRANCH)
		network = "";
	else
		network = public_im ? ";ms-source-network=publiccloud" : ";ms-source-network=federation";
	/* for every message from outside, so not by printf */
	strbuf_init(&sb, text, sizeof(text));
	strbuf_puts(&sb, "ms-edge-proxy-message-trust: ms-source-type=");
	strbuf_puts(&sb, token);
	strbuf_puts(&sb, ";ms-ep-fqdn=");
	strbuf_puts(&sb, ep_fqdn);
	strbuf_puts(&sb, ";ms-source-verified-user=");
	strbuf_puts(&sb, verified);
	strbuf_puts(&sb, network);
	if (public_im) {
		strbuf_puts(&sb, ";ms-remote-fqdn=");
		strbuf_puts(&sb, remote_fqdn);
	}
	strbuf_puts(&sb, "\r\n");
	if (!strbuf_ok(&sb))
		m->edit_failed = true;
	else
		sip_edit_insert_span(m, (int)m->nheaders, strbuf_span_of(&sb));
}

void
sip_mark_write_generated(struct sip_message *m, const char *ep_fqdn)
{
	drop_all(m, SIP_H_MS_TRUST);
	sip_edit_insert(m, (int)m->nheaders, "ms-edge-proxy-message-trust: ms-source-type=EdgeProxyGenerated;"
	    "ms-ep-fqdn=%s;ms-source-verified-user=verified\r\n", ep_fqdn);
}

void
sip_mark_keep(struct sip_message *m, enum sip_header_id id)
{
	for (int i = m->first[id]; i >= 0; i = sip_message_next(m, id, i))
		sip_edit_keep_header(m, i);
}

void
sip_mark_write_identity(struct sip_message *m)
{
	drop_all(m, SIP_H_P_ASSERTED_IDENTITY);
	sip_edit_insert(m, (int)m->nheaders, "P-Asserted-Identity: <%.*s>\r\n", SPAN_FMT(m->from.uri_text));
}

void
sip_mark_write_outward(struct sip_message *m, const struct policy_decision *d)
{
	drop_all(m, SIP_H_MS_VERIFICATION);
	if (!d->pass_archiving)
		drop_all(m, SIP_H_MS_ARCHIVING);
	sip_edit_insert(m, (int)m->nheaders, "ms-asserted-verification-level: ms-source-verified-user=%s\r\n%s",
	    d->mark_verifiable ? "verified" : "unverified", d->mark_archiving ? "ms-archiving: TRUE\r\n" : "");
}

/* ---- first hop (MS 7.3) ---- */

static bool
is_address(struct span host, struct net_addr *addr)
{
	return net_addr_parse(addr, host, 1) == SP_OK;
}

/* Is that host the far end's address, which has that text? An IPv6 address has several. */
static bool
says_host(struct span host, const struct net_addr *from, const char *text)
{
	struct net_addr said;

	return span_is(host, text) || (host.n != 0 && host.p[0] == '[' && is_address(host, &said) &&
	    net_addr_same_host(&said, from));
}

/* As many upper-case digits as it takes. */
static void
put_hex(struct strbuf *out, uint64_t n)
{
	char digits[16];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789ABCDEF"[n & 15];
	while ((n >>= 4) != 0);
	strbuf_add(out, digits + at, sizeof(digits) - at);
}

/* Whom a message came from, as texts. */
struct far_end {
	const struct net_addr	*addr;
	char			 host[NET_ADDR_TEXT];
	char			 port[8];
	char			 cid[64];	/* ";ms-received-cid=" and its value */
};

static void
far_end_of(struct far_end *f, const struct net_addr *from, uint64_t cid)
{
	struct strbuf sb;

	f->addr = from;
	net_addr_host(from, f->host);
	strbuf_init(&sb, f->port, sizeof(f->port));
	strbuf_uint(&sb, net_addr_port(from));
	strbuf_init(&sb, f->cid, sizeof(f->cid));
	strbuf_puts(&sb, ";ms-received-cid=");
	put_hex(&sb, cid);
}

/* The far end's address as the host of a URI. */
static void
put_uri_host(struct strbuf *out, const struct far_end *f)
{
	bool v6 = f->addr->ss.ss_family == AF_INET6;

	strbuf_puts(out, v6 ? "[" : "");
	strbuf_puts(out, f->host);
	strbuf_puts(out, v6 ? "]" : "");
}

/* client: with what leads back to its connection (MS 7.3). */
static void
complete_via(struct sip_message *m, const struct far_end *f, bool client)
{
	const struct sip_via *via = &m->via;
	struct span end = span_of(via->whole.p + via->whole.n, 0), rport;
	char text[NET_ADDR_TEXT + 128];
	struct strbuf sb;

	strip_via(m, &rport);
	strbuf_init(&sb, text, sizeof(text));
	if (rport.n != 0) {		/* RFC 3581 4 */
		strbuf_puts(&sb, ";rport=");
		strbuf_puts(&sb, f->port);
		sip_edit_replace(m, rport, strbuf_span_of(&sb));
	}
	strbuf_reset(&sb);
	if (rport.n != 0 || !says_host(via->host, f->addr, f->host)) {
		strbuf_puts(&sb, ";received=");
		strbuf_puts(&sb, f->host);
	}
	if (client) {
		strbuf_puts(&sb, ";ms-received-port=");
		strbuf_puts(&sb, f->port);
		strbuf_puts(&sb, f->cid);
	}
	if (sb.len != 0)
		sip_edit_replace(m, end, strbuf_span_of(&sb));
}

/* One Contact value that asks for its address to be replaced: by its parameter "proxy", whose value and piece these are. */
static enum sip_check
replace_contact(struct sip_message *m, const struct sip_addr *a, struct span proxy, struct span proxy_piece,
    const struct far_end *f)
{
	const struct sip_uri *u = &a->uri;
	struct span maddr = SPAN_NONE, cid_piece = SPAN_NONE, name, v, piece, end;
	char text[NET_ADDR_TEXT + 40];
	struct net_addr said;
	struct strbuf sb;
	bool tls = true;

	if (!span_iis(proxy, "replace") || a->uri_text.p[-1] != '<' || !sip_takes_more(a->whole, SPAN_NONE) ||
	    (u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS))
		return SIP_CHECK_CONTACT_PROXY;
	/* of each name the first; but no second transport says otherwise */
	for (struct span rest = u->params; sip_param_next(&rest, &name, &v, &piece); ) {
		if (span_iis(name, "transport"))
			tls = tls && span_iis(v, "tls");
		else if (maddr.n == 0 && span_iis(name, "maddr"))
			maddr = with_semicolon(piece);
		else if (cid_piece.n == 0 && span_iis(name, "ms-received-cid"))
			cid_piece = with_semicolon(piece);
	}
	if (!tls)
		return SIP_CHECK_CONTACT_PROXY;

	strbuf_init(&sb, text, sizeof(text));
	sip_edit_replace(m, proxy_piece, SPAN_NONE);
	/* Where parameters end: at the '?', or with the URI. */
	end = span_of(u->whole.p + u->whole.n - (u->headers.n != 0 ? u->headers.n + 1 : 0), 0);
	if (maddr.n != 0) {
		strbuf_puts(&sb, ";maddr=");
		put_uri_host(&sb, f);
		sip_edit_replace(m, maddr, strbuf_span_of(&sb));
	} else if (is_address(u->host, &said)) {
		struct span hostport = u->host;

		/* With the port, if there is one. */
		hostport.n = (size_t)((u->params.n != 0 ? u->params.p - 1 : end.p) - hostport.p);
		put_uri_host(&sb, f);
		strbuf_putc(&sb, ':');
		strbuf_puts(&sb, f->port);
		sip_edit_replace(m, hostport, strbuf_span_of(&sb));
	} else {
		strbuf_puts(&sb, ";maddr=");
		put_uri_host(&sb, f);
		sip_edit_replace(m, end, strbuf_span_of(&sb));
	}
	sip_edit_replace(m, span_is_empty(cid_piece) ? end : cid_piece, span_str(f->cid));
	return SIP_CHECK_OK;
}

static bool
has_one_via(const struct sip_message *m)
{
	int i = m->first[SIP_H_VIA];
	struct span rest = sip_header_value(m, i), value;

	return sip_message_next(m, SIP_H_VIA, i) < 0 && sip_header_next(m, i, &rest, &value) && !sip_header_next(m, i, &rest, &value);
}

void
sip_mark_received(struct sip_message *m, const struct net_addr *from)
{
	struct far_end far;

	if (!sip_takes_more(m->via.whole, m->via.params))
		return;
	far_end_of(&far, from, 0);
	complete_via(m, &far, false);
}

enum sip_check
sip_mark_first_hop(struct sip_message *m, const struct net_addr *from, uint64_t cid)
{
	enum sip_check why = sip_message_parse(m);
	struct far_end far;

	if (why != SIP_CHECK_OK)
		return why;
	if (m->is_request && !sip_takes_more(m->via.whole, m->via.params))
		return SIP_CHECK_VIA;
	far_end_of(&far, from, cid);
	if (m->is_request)
		complete_via(m, &far, true);
	for (int i = m->first[SIP_H_CONTACT]; i >= 0; i = sip_message_next(m, SIP_H_CONTACT, i)) {
		struct span rest = sip_header_value(m, i), value;

		while (sip_header_next(m, i, &rest, &value)) {
			const struct sip_addr *a = sip_message_contact(m, value);
			struct span params, name, proxy, piece;
			bool asks = false;
			struct sip_addr read;

			if (a == NULL && sip_addr_parse(&read, value) == SP_OK)
				a = &read;
			if (a == NULL)
				continue;
			for (params = a->params; !asks && sip_param_next(&params, &name, &proxy, &piece); )
				asks = span_iis(name, "proxy");
			if (!asks)
				continue;
			/* Somebody is between us and the client: then it is not ours to replace. */
			if (m->is_request && !has_one_via(m))
				return SIP_CHECK_CONTACT_PROXY;
			if ((why = replace_contact(m, a, proxy, with_semicolon(piece), &far)) != SIP_CHECK_OK)
				return why;
		}
	}
	return SIP_CHECK_OK;
}
