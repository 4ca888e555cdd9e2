/*
 * Whatever stands around it: a secret in a header for secrets is not in what may be shown.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sip/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char mine[] = "\r\nAuthorization: Digest k=\"S3CR3TS3CR3T\"\r\n\tl=\"S3CR3TS3CR3T\"\r\nTo: <sip:a:S3CR3TS3CR3T@b>\r\n";
	const char *nl = memchr(data, '\n', len);
	size_t first = nl != NULL ? (size_t)(nl - (const char *)data) : len;
	char *message, *out;
	struct sip_tap_head h;
	struct strbuf sb;

	if (len > 65536 || memmem(data, len, "S3CR3T", 6) != NULL)
		return 0;
	while (first > 0 && data[first - 1] == '\r')
		first--;
	message = malloc(len + sizeof(mine));
	out = malloc(4 * len + 2 * sizeof(mine) + 64);
	assert(message != NULL && out != NULL);
	memcpy(message, data, first);
	memcpy(message + first, mine, sizeof(mine) - 1);
	memcpy(message + first + sizeof(mine) - 1, data + first, len - first);
	strbuf_init(&sb, out, 4 * len + 2 * sizeof(mine) + 64);
	sip_tap_mask(span_of(message, len + sizeof(mine) - 1), &sb);
	assert(strbuf_ok(&sb));
	assert(memmem(out, sb.len, "S3CR3TS3CR3T", 12) == NULL);
	sip_tap_look(span_of(message, len + sizeof(mine) - 1), &h);
	(void)sip_tap_is_about(&h, span_of((const char *)data, first), h.from);
	free(message);
	free(out);
	return 0;
}
