/*
 * edge/redis.c - see redis.h.
 */
#include "edge/redis.h"

#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "common/err.h"
#include "common/mem.h"

#define WORDS_MAX	16
#define DEPTH_MAX	3	/* an array of arrays is all that commands of ours bring */

struct redis {
	struct net_tlsline	*line;
	char			*user, *password;
	redisReader		*reader;
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

static bool
is_bounded(const redisReply *reply, unsigned depth)
{
	if (reply->type != REDIS_REPLY_ARRAY)
		return true;
	if (depth == DEPTH_MAX || reply->elements > REDIS_ELEMENTS_MAX)
		return false;
	for (size_t i = 0; i < reply->elements; i++)
		if (reply->element[i] == NULL || !is_bounded(reply->element[i], depth + 1))
			return false;
	return true;
}

/* SP_EAGAIN: not whole. */
static int
take_reply(redisReader *reader, struct redis_reply **out)
{
	void *reply = NULL;

	*out = NULL;
	if (redisReaderGetReply(reader, &reply) != REDIS_OK)
		return SP_ESYNTAX;
	if (reply == NULL)
		return SP_EAGAIN;
	if (!is_bounded(reply, 0)) {
		freeReplyObject(reply);
		return SP_ELIMIT;
	}
	*out = reply;
	return SP_OK;
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
		if (redisReaderFeed(r->reader, bytes, n) != REDIS_OK)
			return SP_ESYNTAX;
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
redis_parse(struct span bytes, struct redis_reply **out)
{
	redisReader *reader = redisReaderCreate();
	int err = SP_EAGAIN;

	*out = NULL;
	if (reader == NULL)
		abort();	/* only when out of memory */
	if (bytes.n != 0)
		err = redisReaderFeed(reader, bytes.p, bytes.n) == REDIS_OK ? take_reply(reader, out) : SP_ESYNTAX;
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
