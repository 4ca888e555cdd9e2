/*
 * admin/metrics.c - see metrics.h.
 */
#include "admin/metrics.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "net/stats.h"

#define PIECE	(RECORD_MAX / 2)

/* As much as a record takes, up to the end of a line. */
static size_t
piece_of(const char *p, size_t n)
{
	const char *end;

	if (n <= PIECE)
		return n;
	end = memrchr(p, '\n', PIECE);
	return end != NULL ? (size_t)(end - p) + 1 : PIECE;
}

static void
run_metrics(struct control_request *r)
{
	unsigned char room[RECORD_MAX];
	struct record_writer w;
	size_t n, piece;
	char *text = stats_prometheus(program_invocation_short_name, PACKAGE_VERSION, &n), *p = text;

	for (; n > 0; p += piece, n -= piece) {
		piece = piece_of(p, n);
		record_begin(&w, room, sizeof(room), "metrics");
		record_text(&w, "text", span_of(p, piece));
		if (!control_put(r, &w))
			break;
	}
	free(text);
	control_end(r, EX_OK, NULL);
}

const struct control_verb metrics_verbs[] = {
	{ .name = "metrics", .right = CONTROL_READ, .run = run_metrics },
	{ .name = NULL }
};
