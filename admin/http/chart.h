/*
 * admin/http/chart.h - the last day as pictures (SVG, made here) with the same as tables.
 */
#ifndef SALLYPORT_ADMIN_HTTP_CHART_H
#define SALLYPORT_ADMIN_HTTP_CHART_H

#include "admin/http/ring.h"
#include "admin/http/text.h"

#define CHART_POINTS	96	/* of a day: a quarter of an hour each */
#define CHART_SERIES	6

struct chart_point {
	uint64_t	minute;		/* its first */
	bool		watched;
	double		v[CHART_SERIES];
};
struct chart_series {
	const char	*name;		/* ours */
	const char	*unit;		/* "per second", "ms" */
};
struct chart {
	const char		*id, *title, *what;	/* what: one sentence */
	bool			 stacked;	/* filled, one upon the other */
	unsigned		 n;		/* series */
	struct chart_series	 series[CHART_SERIES];
	struct chart_point	 point[CHART_POINTS];
};

/* Each fills a chart from what the ring has of the day before now (minutes since 1970). */
void	chart_traffic(struct chart *, const struct ring *, uint64_t now);
void	chart_refusals(struct chart *, const struct ring *, uint64_t now);
void	chart_latency(struct chart *, const struct ring *, uint64_t now);
/* The picture, its legend and its table. */
void	chart_draw(struct text *, const struct chart *);
/* The least round number (1, 2, 5 times a power of ten) that is not below v; 1 for 0. */
double	chart_round_up(double v);

#endif
