/*
 * admin/metrics_fetch.c - the asking side of metrics.h, which needs nothing of the counting one.
 */
#include <stdio.h>

#include "admin/metrics.h"
#include "common/err.h"

int
metrics_fetch(struct ctlclient *c, FILE *out)
{
	struct record r;
	int got;

	ctlclient_begin(c, "metrics");
	if ((got = ctlclient_send(c, -1)) != SP_OK)
		return got;
	while ((got = ctlclient_next(c, &r)) == 1) {
		struct span text = record_get_text(&r, "text");

		fwrite(text.p, 1, text.n, out);
	}
	return got != 0 ? got : ctlclient_status(c);
}
