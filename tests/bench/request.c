#define _GNU_SOURCE 1
#include "tests/bench/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_LEN		20	/* user 8, slot 4, turn 8 hexadecimal digits */
#define CALL_ID		"\r\nCall-ID: "

/*
 * What clients of the Communicator kind send, with a forged mark and other
 * headers that an edge has to take away. %I id, %U user, %C CSeq number, %D
 * domain, %L length of the body.
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
request_prepare(struct request *r, const char *method, const char *domain,
    size_t body)
{
	const char *p = NULL;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i][0], method) == 0)
			p = texts[i][1];
	if (p == NULL)
		return -1;
	if (strcmp(method, "MESSAGE") != 0)
		body = 0;
	r->len = 0;
	r->ids = r->users = r->cseqs = 0;
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

static void
hex(char *to, uint32_t v, int digits)
{
	while (digits-- > 0) {
		to[digits] = "0123456789abcdef"[v & 15];
		v >>= 4;
	}
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
	char text[ID_LEN], cseq[8];
	int i;

	hex(text, id->user, 8);
	hex(text + 8, id->slot, 4);
	hex(text + 12, id->turn, 8);
	for (i = 7; i >= 0; i--, n /= 10)
		cseq[i] = (char)('0' + n % 10);
	for (i = 0; i < r->ids; i++)
		memcpy(r->text + r->id_at[i], text, ID_LEN);
	for (i = 0; i < r->users; i++)
		memcpy(r->text + r->user_at[i], text, 8);
	for (i = 0; i < r->cseqs; i++)
		memcpy(r->text + r->cseq_at[i] + 1, cseq, sizeof(cseq));
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
