/*
 * tests/fuzz/fuzz_redis.c - what a Redis server answers, and what other nodes have written there. What is taken
 * is bounded, and a policy that is taken has the hash that it says.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"
#include "edge/redis.h"
#include "edge/shared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
walk(const struct redis_reply *r, unsigned depth)
{
	assert(depth <= 4 && redis_count(r) <= REDIS_ELEMENTS_MAX);
	for (size_t i = 0; i < redis_count(r); i++)
		walk(redis_at(r, i), depth + 1);
}

static void
as_policy(const struct redis_reply *r)
{
	struct span text = redis_text(redis_at(r, 3));
	struct policy_change c;
	char hash[POLICY_HASH_TEXT];

	if (!shared_read_policy(redis_text(redis_at(r, 0)), redis_text(redis_at(r, 1)), redis_text(redis_at(r, 2)), text, &c))
		return;
	policy_hash(text, hash);
	assert(strcmp(hash, c.sha256) == 0 && c.version > 0 && c.version <= SHARED_VERSION_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of((const char *)data, len);
	struct edge_discovered_spent p;
	struct redis_reply *r, *again;
	int err, pieces;

	if (shared_read_spent(in, 1000, &p))
		assert(p.requests <= 1000000 && p.addressees <= 1000000 && p.suspicious <= 1);
	err = redis_parse(in, 0, &r);
	/* a reply is what it is, whatever the pieces that it comes in; what follows it is not looked at then */
	pieces = redis_parse(in, 1 + len % 7, &again);
	assert((err != SP_OK || pieces == SP_OK) && (err != SP_EAGAIN || pieces == SP_EAGAIN));
	redis_reply_free(again);
	if (err != SP_OK) {
		assert(r == NULL);
		return 0;
	}
	walk(r, 0);
	as_policy(r);
	redis_reply_free(r);
	return 0;
}
