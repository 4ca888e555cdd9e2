/*
 * edge/redis.c - see redis.h.
 */
#include "edge/redis.h"

#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "common/err.h"
#include "common/mem.h"

#define WORDS_MAX	16
#define DEPTH_MAX	3	/* an array of arrays is all that commands of ours bring */

/* How far the heads of replies have been looked at. */
struct heads {
	enum { HEAD_TYPE = 0, HEAD_LINE, HEAD_LF, HEAD_BODY, HEAD_BODY_CR, HEAD_BODY_LF } at;
	char	 type;
	char	 number[24];	/* of a head that has one, as it comes */
	size_t	 line;		/* bytes of this line */
	size_t	 body;		/* bytes of a string that are to come */
	size_t	 left[DEPTH_MAX];	/* elements to come of the arrays that are open */
	unsigned depth;
	size_t	 elements;	/* of this reply */
};

struct redis {
	struct net_tlsline	*line;
	char			*user, *password;
	redisReader		*reader;
	struct heads		 heads;
	size_t			 fed;		/* since the last whole reply */
};

/* What is behind the opaque name is hiredis' own struct, and its functions'. */
static const redisReply *
in(const struct redis_reply *r)
{
	return (const redisReply *)(const void *)r;
}

/* ---- the line ---- */

struct redis *
redis_new(struct net_tlsline *line, const char *user, const char *password)
{
	struct redis *r = xcalloc(1, sizeof(*r));

	r->line = line;
	r->user = user != NULL && *user != '\0' ? xstrdup(user) : NULL;
	r->password = password != NULL ? xstrdup(password) : NULL;
	return r;
}

void
redis_free(struct redis *r)
{
	if (r == NULL)
		return;
	redis_down(r);
	net_tlsline_free(r->line);
	free(r->user);
	if (r->password != NULL)
		mem_wipe_free(r->password, strlen(r->password));
	free(r);
}

void
redis_down(struct redis *r)
{
	net_tlsline_close(r->line);
	if (r->reader != NULL)
		redisReaderFree(r->reader);
	r->reader = NULL;
	r->fed = 0;
	r->heads = (struct heads){ .at = HEAD_TYPE };
}

void
redis_until(struct redis *r, uint64_t until)
{
	net_tlsline_until(r->line, until);
}

static int
sign_in(struct redis *r, const char **why)
{
	struct span words[3] = { SPAN_LIT("AUTH") };
	struct redis_reply *reply = NULL;
	size_t n = 1;
	int err;

	if (r->password == NULL)
		return SP_OK;
	if (r->user != NULL)
		words[n++] = span_str(r->user);
	words[n++] = span_str(r->password);
	if ((err = redis_ask(r, n, words, &reply)) != SP_OK) {
		*why = err == SP_ETIME ? "it did not answer in time" : "it closed the connection";
	} else if (redis_is_error(reply) || !span_is(redis_text(reply), "OK")) {
		*why = "user name or password are wrong";
		err = SP_EINVAL;
	}
	redis_reply_free(reply);
	return err;
}

int
redis_up(struct redis *r, const char **why)
{
	int err;

	*why = NULL;
	if (net_tlsline_is_open(r->line))
		return SP_OK;
	redis_down(r);
	if ((err = net_tlsline_open(r->line, why)) != SP_OK)
		return err;
	if ((r->reader = redisReaderCreate()) == NULL)
		abort();	/* only when out of memory */
	if ((err = sign_in(r, why)) != SP_OK)
		redis_down(r);
	return err;
}

int
redis_send(struct redis *r, size_t n, const struct span *words)
{
	const char *argv[WORDS_MAX];
	size_t lens[WORDS_MAX];
	sds text = NULL;
	long long len;
	int err;

	if (n == 0 || n > WORDS_MAX)
		return SP_ELIMIT;
	for (size_t i = 0; i < n; i++) {
		argv[i] = words[i].n != 0 ? words[i].p : "";
		lens[i] = words[i].n;
	}
	if ((len = redisFormatSdsCommandArgv(&text, (int)n, argv, lens)) < 0)
		abort();	/* only when out of memory */
	err = net_tlsline_write(r->line, text, (size_t)len);
	mem_wipe(text, (size_t)len);	/* it may be the password */
	redisFreeSdsCommand(text);
	return err;
}

/* ---- heads ---- */

/* An element is whole, and with the last one the array that it is of. */
static void
element_done(struct heads *h)
{
	h->at = HEAD_TYPE;
	while (h->depth > 0 && --h->left[h->depth - 1] == 0)
		h->depth--;
	if (h->depth == 0)
		h->elements = 0;
}

/* A line has ended: what does it promise? */
static int
promise(struct heads *h)
{
	struct span s = span_of(h->number, h->line);
	uint64_t n = 0;
	bool none = span_is(s, "-1");

	if (h->type == '$' || h->type == '*') {
		if (!none && !span_uint(s, INT64_MAX, &n))
			return SP_ESYNTAX;
		if (h->type == '$' ? n > REDIS_REPLY_MAX : n > REDIS_ELEMENTS_MAX - h->elements)
			return SP_ELIMIT;
	}
	if (h->type == '$' && !none) {
		h->body = (size_t)n;
		h->at = n != 0 ? HEAD_BODY : HEAD_BODY_CR;
	} else if (h->type == '*' && n != 0) {
		if (h->depth == DEPTH_MAX)
			return SP_ELIMIT;
		h->elements += (size_t)n;
		h->left[h->depth++] = (size_t)n;
		h->at = HEAD_TYPE;
	} else {
		element_done(h);
	}
	return SP_OK;
}

/* One byte that is not of a string. */
static int
head_byte(struct heads *h, char c)
{
	switch (h->at) {
	case HEAD_TYPE:
		if (c == '\0' || strchr("+-:$*", c) == NULL)
			return SP_ESYNTAX;
		h->type = c;
		h->line = 0;
		h->at = HEAD_LINE;
		return SP_OK;
	case HEAD_LINE:
		if (c == '\r') {
			h->at = HEAD_LF;
		} else if (h->type == '+' || h->type == '-') {
			if (++h->line > REDIS_LINE_MAX)
				return SP_ELIMIT;
		} else {
			if (h->line == sizeof(h->number) || strchr("-0123456789", c) == NULL || c == '\0')
				return SP_ESYNTAX;
			h->number[h->line++] = c;
		}
		return SP_OK;
	case HEAD_LF:
		return c == '\n' ? promise(h) : SP_ESYNTAX;
	case HEAD_BODY_CR:
		h->at = HEAD_BODY_LF;
		return c == '\r' ? SP_OK : SP_ESYNTAX;
	default:
		element_done(h);
		return c == '\n' ? SP_OK : SP_ESYNTAX;
	}
}

/* May these be read? SP_OK, SP_ESYNTAX or SP_ELIMIT. */
static int
look_at_heads(struct heads *h, struct span s)
{
	int err = SP_OK;

	while (s.n != 0 && err == SP_OK) {
		size_t n = 1;

		if (h->at == HEAD_BODY) {
			n = h->body < s.n ? h->body : s.n;
			if ((h->body -= n) == 0)
				h->at = HEAD_BODY_CR;
		} else {
			err = head_byte(h, s.p[0]);
		}
		s = span_tail(s, n);
	}
	return err;
}

static int
feed(redisReader *reader, struct heads *h, struct span s)
{
	int err = look_at_heads(h, s);

	if (err == SP_OK && redisReaderFeed(reader, s.p, s.n) != REDIS_OK)
		err = SP_ESYNTAX;
	return err;
}

/* SP_EAGAIN: not whole. */
static int
take_reply(redisReader *reader, struct redis_reply **out)
{
	void *reply = NULL;

	*out = NULL;
	if (redisReaderGetReply(reader, &reply) != REDIS_OK)
		return SP_ESYNTAX;
	*out = reply;
	return reply != NULL ? SP_OK : SP_EAGAIN;
}

int
redis_receive(struct redis *r, struct redis_reply **out)
{
	char bytes[16384];
	size_t n;
	int err;

	*out = NULL;
	if (r->reader == NULL)
		return SP_ECLOSED;
	while ((err = take_reply(r->reader, out)) == SP_EAGAIN) {
		if ((err = net_tlsline_read(r->line, bytes, sizeof(bytes), &n)) != SP_OK)
			return err;
		if ((r->fed += n) > REDIS_REPLY_MAX)
			return SP_ELIMIT;
		if ((err = feed(r->reader, &r->heads, span_of(bytes, n))) != SP_OK)
			return err;
	}
	r->fed = 0;
	return err;
}

int
redis_ask(struct redis *r, size_t n, const struct span *words, struct redis_reply **out)
{
	int err = redis_send(r, n, words);

	*out = NULL;
	return err == SP_OK ? redis_receive(r, out) : err;
}

int
redis_parse(struct span bytes, size_t piece, struct redis_reply **out)
{
	redisReader *reader = redisReaderCreate();
	struct heads heads = { .at = HEAD_TYPE };
	int err = SP_EAGAIN;

	*out = NULL;
	if (reader == NULL)
		abort();	/* only when out of memory */
	while (bytes.n != 0 && err == SP_EAGAIN) {
		struct span some = piece != 0 ? span_head(bytes, piece) : bytes;

		if ((err = feed(reader, &heads, some)) == SP_OK)
			err = take_reply(reader, out);
		bytes = span_tail(bytes, some.n);
	}
	redisReaderFree(reader);
	return err;
}

/* ---- replies ---- */

void
redis_reply_free(struct redis_reply *r)
{
	if (r != NULL)
		freeReplyObject(r);
}

bool
redis_is_error(const struct redis_reply *r)
{
	return r != NULL && in(r)->type == REDIS_REPLY_ERROR;
}

bool
redis_is_nil(const struct redis_reply *r)
{
	return r == NULL || in(r)->type == REDIS_REPLY_NIL;
}

size_t
redis_count(const struct redis_reply *r)
{
	return r != NULL && in(r)->type == REDIS_REPLY_ARRAY ? in(r)->elements : 0;
}

const struct redis_reply *
redis_at(const struct redis_reply *r, size_t i)
{
	return i < redis_count(r) ? (const struct redis_reply *)(const void *)in(r)->element[i] : NULL;
}

struct span
redis_text(const struct redis_reply *r)
{
	if (r == NULL || (in(r)->type != REDIS_REPLY_STRING && in(r)->type != REDIS_REPLY_STATUS && in(r)->type != REDIS_REPLY_ERROR))
		return SPAN_NONE;
	return span_of(in(r)->str, (size_t)in(r)->len);
}
