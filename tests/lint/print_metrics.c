/*
 * The metrics as a daemon tells them, with something in every kind, for tests/lint/metrics.
 */
#include <stdio.h>
#include <stdlib.h>

#include "net/stats.h"

int
main(void)
{
	char *text;

	for (unsigned cell = 0; cell < STATS_CELLS; cell++)
		stats_add(cell, cell);
	stats_partner_count(stats_partner("sip.partner.example"), STATS_PARTNER_IN);
	stats_partner_count(stats_partner("evil\"} 1\nup 1\\\xff.example"), STATS_PARTNER_IN);
	stats_enter(1);
	stats_move(WORKER_CONNECTIONS, 0, 0, 5);
	text = stats_prometheus("print_metrics", "0", NULL);
	fputs(text, stdout);
	free(text);
	return 0;
}
