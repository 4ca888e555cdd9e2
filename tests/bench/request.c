#define _GNU_SOURCE 1
#include "tests/bench/request.h"

#include "tests/bench/fan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ID_LEN		20	/* user 8, slot 4, turn 8 hexadecimal digits */
#define REQUEST_ROUTES	8
#define CALL_ID		"\r\nCall-ID: "

/*
 * What clients of the Communicator kind send, with a forged mark and other
 * headers that an edge has to take away. See request_prepare_text().
 */
static const char *const texts[][2] = {
	{ "MESSAGE",
	    "MESSAGE sip:bob@%D SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 192.168.1.5:51234;branch=z9hG4bK%I\r\n"
	    "Max-Forwards: 70\r\n"
	    "From: \"A. User\" <sip:user%U@%D>;tag=%I;epid=1a2b3c4d5e\r\n"
	    "To: <sip:bob@%D>\r\n"
	    "Call-ID: %I\r\n"
	    "CSeq: %C MESSAGE\r\n"
	    "Contact: <sip:user%U@%D:51234;maddr=192.168.1.5;transport=tls>"
	    ";proxy=replace\r\n"
	    "User-Agent: UCCP/2.0.6362.111 OC/2.0.6362.111 (Communicator)\r\n"
	    "Supported: ms-delayed-accept, gruu-10, timer\r\n"
	    "ms-edge-proxy-message-trust: ms-source-type=forged\r\n"
	    "P-Asserted-Identity: <sip:someone.else@%D>\r\n"
	    "Content-Type: text/plain; charset=UTF-8; "
	    "msgr=WAAtAE0ATQBTAC0ASQBNAC0ARgBvAHIAbQBhAHQAOgAgAEYATgA9AA\r\n"
	    "Content-Length: %L\r\n\r\n" },
	{ "FEDERATED",
	    "MESSAGE sip:bob@%D SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS sip.partner%P.example:5061;branch=z9hG4bK%I\r\n"
	    "Max-Forwards: 69\r\n"
	    "From: \"A. Partner\" <sip:user%U@partner%P.example>;tag=%I\r\n"
	    "To: <sip:bob@%D>\r\n"
	    "Call-ID: %I\r\n"
	    "CSeq: %C MESSAGE\r\n"
	    "User-Agent: UCCP/2.0.6362.111 OC/2.0.6362.111 (Communicator)\r\n"
	    "Supported: ms-delayed-accept, gruu-10, timer\r\n"
	    "ms-edge-proxy-message-trust: ms-source-type=forged\r\n"
	    "ms-asserted-verification-level: ms-source-verified-user=verified\r\n"
	    "ms-archiving: FALSE\r\n"
	    "Content-Type: text/plain; charset=UTF-8; "
	    "msgr=WAAtAE0ATQBTAC0ASQBNAC0ARgBvAHIAbQBhAHQAOgAgAEYATgA9AA\r\n"
	    "Content-Length: %L\r\n\r\n" },
	{ "TELL",
	    "MESSAGE sip:bob@%D SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 192.168.1.5:51234;branch=z9hG4bK%I\r\n"
	    "Max-Forwards: 70\r\n"
	    "From: <sip:user%U@%D>;tag=%I;epid=1a2b3c4d5e\r\n"
	    "To: <sip:bob@%D>\r\n"
	    "Call-ID: %I\r\n"
	    "CSeq: %C MESSAGE\r\n"
	    FAN_TRIGGER " yes\r\n"
	    "Content-Type: text/plain\r\n"
	    "Content-Length: %L\r\n\r\n" },
	{ "REGISTER",
	    "REGISTER sip:%D SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 192.168.1.5:51234;branch=z9hG4bK%I\r\n"
	    "Max-Forwards: 70\r\n"
	    "From: <sip:user%U@%D>;tag=%I;epid=1a2b3c4d5e\r\n"
	    "To: <sip:user%U@%D>\r\n"
	    "Call-ID: %I\r\n"
	    "CSeq: %C REGISTER\r\n"
	    "Contact: <sip:user%U@192.168.1.5:51234;transport=tls>\r\n"
	    "Expires: 3600\r\n"
	    "User-Agent: UCCP/2.0.6362.111 OC/2.0.6362.111 (Communicator)\r\n"
	    "Content-Length: %L\r\n\r\n" },
	{ "INVITE",
	    "INVITE sip:bob@%D SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 192.168.1.5:51234;branch=z9hG4bK%I\r\n"
	    "Max-Forwards: 70\r\n"
	    "From: \"A. User\" <sip:user%U@%D>;tag=%I;epid=1a2b3c4d5e\r\n"
	    "To: <sip:bob@%D>\r\n"
	    "Call-ID: %I\r\n"
	    "CSeq: %C INVITE\r\n"
	    "Contact: <sip:user%U@192.168.1.5:51234;transport=tls>\r\n"
	    "User-Agent: UCCP/2.0.6362.111 OC/2.0.6362.111 (Communicator)\r\n"
	    "Supported: ms-delayed-accept, gruu-10, timer\r\n"
	    "ms-edge-proxy-message-trust: ms-source-type=forged\r\n"
	    "Content-Type: application/sdp\r\n"
	    "Content-Length: 201\r\n\r\n"
	    "v=0\r\no=- 0 0 IN IP4 192.168.1.5\r\ns=session\r\n"
	    "c=IN IP4 192.168.1.5\r\nt=0 0\r\n"
	    "m=audio 26000 RTP/SAVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n"
	    "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
	    "a=fmtp:101 0-16\r\n" },
	{ "OPTIONS",
	    "OPTIONS sip:bob@%D SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 192.168.1.5:51234;branch=z9hG4bK%I\r\n"
	    "Max-Forwards: 70\r\n"
	    "From: <sip:user%U@%D>;tag=%I\r\n"
	    "To: <sip:bob@%D>\r\n"
	    "Call-ID: %I\r\n"
	    "CSeq: %C OPTIONS\r\n"
	    "Content-Length: %L\r\n\r\n" },
};

static int
spot(size_t *at, int *n, size_t where)
{
	if (*n == REQUEST_SPOTS)
		return -1;
	at[(*n)++] = where;
	return 0;
}

/* Write one placeholder's width of text; the stamps come later. */
static int
expand(struct request *r, char what, const char *domain, size_t body)
{
	size_t room = REQUEST_MAX - r->len;
	char *to = r->text + r->len;
	int n = -1;

	switch (what) {
	case 'I':
		if (spot(r->id_at, &r->ids, r->len) == 0)
			n = snprintf(to, room, "%0*d", ID_LEN, 0);
		break;
	case 'U':
		if (spot(r->user_at, &r->users, r->len) == 0)
			n = snprintf(to, room, "%08d", 0);
		break;
	case 'C':
		if (spot(r->cseq_at, &r->cseqs, r->len) == 0)
			n = snprintf(to, room, "%d", 100000000);
		break;
	case 'P':
		if (spot(r->partner_at, &r->partners, r->len) == 0)
			n = snprintf(to, room, "%04d", 0);
		break;
	case '%':
		n = snprintf(to, room, "%%");
		break;
	case 'D':
		n = snprintf(to, room, "%s", domain);
		break;
	case 'L':
		n = snprintf(to, room, "%zu", body);
		break;
	}
	if (n < 0 || (size_t)n >= room)
		return -1;
	r->len += (size_t)n;
	return 0;
}

int
request_prepare_text(struct request *r, const char *p, const char *domain,
    size_t body)
{
	size_t i;

	r->len = 0;
	r->ids = r->users = r->cseqs = r->partners = 0;
	for (; *p != '\0'; p++) {
		if (*p == '%') {
			if (expand(r, *++p, domain, body) == -1)
				return -1;
		} else {
			if (r->len == REQUEST_MAX)
				return -1;
			r->text[r->len++] = *p;
		}
	}
	if (r->len + body > REQUEST_MAX)
		return -1;
	for (i = 0; i < body; i++)
		r->text[r->len++] = (char)('a' + i % 26);
	return 0;
}

int
request_prepare(struct request *r, const char *name, const char *domain,
    size_t body)
{
	const char *p = NULL;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i][0], name) == 0)
			p = texts[i][1];
	if (p == NULL)
		return -1;
	if (strncmp(p, "MESSAGE ", 8) != 0)
		body = 0;
	return request_prepare_text(r, p, domain, body);
}

static void
hex(char *to, uint32_t v, int digits)
{
	while (digits-- > 0) {
		to[digits] = "0123456789abcdef"[v & 15];
		v >>= 4;
	}
}

static void
id_write(char *to, const struct request_id *id)
{
	hex(to, id->user, 8);
	hex(to + 8, id->slot, 4);
	hex(to + 12, id->turn, 8);
}

static long
unhex(const char *p, int digits)
{
	long v = 0;

	for (; digits-- > 0; p++) {
		if (*p >= '0' && *p <= '9')
			v = v * 16 + (*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			v = v * 16 + (*p - 'a' + 10);
		else
			return -1;
	}
	return v;
}

void
request_stamp(struct request *r, const struct request_id *id)
{
	uint32_t n = id->turn % 100000000u;
	uint32_t partner = r->partners_of > 0 ? id->user % r->partners_of : 0;
	char text[ID_LEN], cseq[8];
	int i;

	id_write(text, id);
	for (i = 7; i >= 0; i--, n /= 10)
		cseq[i] = (char)('0' + n % 10);
	for (i = 0; i < r->ids; i++)
		memcpy(r->text + r->id_at[i], text, ID_LEN);
	for (i = 0; i < r->users; i++)
		memcpy(r->text + r->user_at[i], text, 8);
	for (i = 0; i < r->cseqs; i++)
		memcpy(r->text + r->cseq_at[i] + 1, cseq, sizeof(cseq));
	for (i = 3; i >= 0; i--, partner /= 10)
		cseq[i] = (char)('0' + partner % 10);
	for (i = 0; i < r->partners; i++)
		memcpy(r->text + r->partner_at[i], cseq, 4);
}

int
request_answered(const char *p, size_t head, struct request_id *id)
{
	const char *at;
	long user, slot, turn;

	if (head < 12 || memcmp(p, "SIP/2.0 ", 8) != 0)
		return 0;
	at = memmem(p, head, CALL_ID, sizeof(CALL_ID) - 1);
	if (at == NULL)
		return -1;
	at += sizeof(CALL_ID) - 1;
	if ((size_t)(p + head - at) < ID_LEN)
		return -1;
	user = unhex(at, 8);
	slot = unhex(at + 8, 4);
	turn = unhex(at + 12, 8);
	if (user < 0 || slot < 0 || turn < 0)
		return -1;
	*id = (struct request_id){ .user = (uint32_t)user,
	    .slot = (uint32_t)slot, .turn = (uint32_t)turn };
	return atoi(p + 8);
}

bool
request_was_invite(const char *p, size_t head)
{
	static const char cseq[] = "\r\nCSeq: ";
	const char *at = memmem(p, head, cseq, sizeof(cseq) - 1);
	const char *end = p + head;

	if (at == NULL)
		return false;
	at += sizeof(cseq) - 1;
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return end - at > 7 && memcmp(at, " INVITE", 7) == 0;
}

struct text {
	const char	*p;
	size_t		 len;
};

/* What a dialog is made of, as the 200 to its INVITE gives it. */
struct dialog {
	struct text	 route[REQUEST_ROUTES];	/* as recorded: nearest last */
	int		 routes;
	struct text	 from, to, call_id;	/* header lines with their ends */
	struct text	 contact;
	unsigned long	 cseq;
};

/* The addresses in angle brackets of a line, each with its brackets. */
static int
addresses(struct text line, struct text *out, int max)
{
	const char *at = line.p, *end = line.p + line.len, *close;
	int n = 0;

	while (n < max && (at = memchr(at, '<', (size_t)(end - at))) != NULL &&
	    (close = memchr(at, '>', (size_t)(end - at))) != NULL) {
		out[n++] = (struct text){ at, (size_t)(close + 1 - at) };
		at = close + 1;
	}
	return n;
}

static bool
is_header(struct text line, const char *name)
{
	size_t n = strlen(name);

	return line.len > n && line.p[n] == ':' &&
	    strncasecmp(line.p, name, n) == 0;
}

static bool
dialog_read(const char *p, size_t head, struct dialog *d)
{
	const char *at = memchr(p, '\n', head), *end = p + head - 2, *nl;
	struct text line;

	*d = (struct dialog){ .routes = 0 };
	if (at == NULL)
		return false;
	for (at++; at < end; at = nl + 1) {
		if ((nl = memchr(at, '\n', (size_t)(end - at))) == NULL)
			break;
		line = (struct text){ at, (size_t)(nl + 1 - at) };
		if (is_header(line, "From"))
			d->from = line;
		else if (is_header(line, "To"))
			d->to = line;
		else if (is_header(line, "Call-ID"))
			d->call_id = line;
		else if (is_header(line, "CSeq"))
			d->cseq = strtoul(at + 5, NULL, 10);
		else if (is_header(line, "Contact"))
			(void)addresses(line, &d->contact, 1);
		else if (is_header(line, "Record-Route"))
			d->routes += addresses(line, d->route + d->routes,
			    REQUEST_ROUTES - d->routes);
	}
	return d->from.len > 0 && d->to.len > 0 && d->call_id.len > 0 &&
	    d->contact.len > 2 && d->cseq > 0;
}

/* Append; NULL once there was no room, and from then on. */
static char *
append(char *to, const char *end, const char *p, size_t len)
{
	if (to == NULL || (size_t)(end - to) < len)
		return NULL;
	memcpy(to, p, len);
	return to + len;
}

static char *
in_dialog(const struct dialog *d, const char *method, unsigned long cseq,
    const char *id, char *to, const char *end)
{
	char line[160];
	int i, n;

	to = append(to, end, method, strlen(method));
	to = append(to, end, " ", 1);
	to = append(to, end, d->contact.p + 1, d->contact.len - 2);
	n = snprintf(line, sizeof(line), " SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 192.168.1.5:51234;branch=z9hG4bK%.*s%c\r\n"
	    "Max-Forwards: 70\r\n", ID_LEN, id, method[0]);
	to = append(to, end, line, (size_t)n);
	for (i = d->routes - 1; i >= 0; i--) {
		to = append(to, end, "Route: ", 7);
		to = append(to, end, d->route[i].p, d->route[i].len);
		to = append(to, end, "\r\n", 2);
	}
	to = append(to, end, d->from.p, d->from.len);
	to = append(to, end, d->to.p, d->to.len);
	to = append(to, end, d->call_id.p, d->call_id.len);
	n = snprintf(line, sizeof(line), "CSeq: %lu %s\r\n"
	    "Content-Length: 0\r\n\r\n", cseq, method);
	return append(to, end, line, (size_t)n);
}

char *
request_follow(const char *p, size_t head, const struct request_id *id,
    char *out, size_t room)
{
	const char *end = out + room;
	struct dialog d;
	char text[ID_LEN];

	if (!dialog_read(p, head, &d))
		return NULL;
	id_write(text, id);
	out = in_dialog(&d, "ACK", d.cseq, text, out, end);
	return in_dialog(&d, "BYE", d.cseq + 1, text, out, end);
}
