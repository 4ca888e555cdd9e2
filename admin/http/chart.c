/*
 * admin/http/chart.c - see chart.h.
 */
#include "admin/http/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STEP	(RING_MINUTES / CHART_POINTS)
#define WIDTH	480.0
#define HEIGHT	180.0
#define LEFT	48.0
#define RIGHT	8.0
#define TOP	10.0
#define BOTTOM	24.0

/* ---- from samples to points ---- */

/* The samples of a point added up; p50 and the like as the highest. False: nobody watched. */
static bool
gather(const struct ring *r, uint64_t first, struct ring_sample *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint64_t m = first; m < first + STEP; m++) {
		const struct ring_sample *s = ring_get(r, m);

		if (s == NULL)
			continue;
		sum->seconds += s->seconds;
		sum->connections = s->connections;
		sum->requests += s->requests;
		sum->refused += s->refused;
		sum->p50_us = s->p50_us > sum->p50_us ? s->p50_us : sum->p50_us;
		sum->p95_us = s->p95_us > sum->p95_us ? s->p95_us : sum->p95_us;
		sum->p99_us = s->p99_us > sum->p99_us ? s->p99_us : sum->p99_us;
		for (int i = 0; i < RING_REASONS; i++)
			sum->reasons[i] += s->reasons[i];
	}
	return sum->seconds != 0;
}

/* The points lie on round quarters of an hour; the last is the one that is going on. */
static uint64_t
first_minute(uint64_t now, unsigned i)
{
	return now / STEP * STEP - (uint64_t)(CHART_POINTS - 1 - i) * STEP;
}

void
chart_traffic(struct chart *c, const struct ring *r, uint64_t now)
{
	struct ring_sample s;

	*c = (struct chart){ .id = "traffic", .title = "Traffic", .what = "Requests that came in, and those of them that were refused.",
	    .n = 2, .series = { { "Requests", "per second" }, { "Refused", "per second" } } };
	for (unsigned i = 0; i < CHART_POINTS; i++) {
		struct chart_point *p = &c->point[i];

		p->minute = first_minute(now, i);
		if (!(p->watched = gather(r, p->minute, &s)))
			continue;
		p->v[0] = (double)s.requests / s.seconds;
		p->v[1] = (double)s.refused / s.seconds;
	}
}

void
chart_latency(struct chart *c, const struct ring *r, uint64_t now)
{
	struct ring_sample s;

	*c = (struct chart){ .id = "latency", .title = "Time to answer",
	    .what = "From a request other than INVITE to its final response, in the worst minute of each quarter of an hour.",
	    .n = 3, .series = { { "Half of them", "ms" }, { "95 of 100", "ms" }, { "99 of 100", "ms" } } };
	for (unsigned i = 0; i < CHART_POINTS; i++) {
		struct chart_point *p = &c->point[i];

		p->minute = first_minute(now, i);
		if (!gather(r, p->minute, &s) || s.p99_us == 0)
			continue;
		p->watched = true;
		p->v[0] = s.p50_us / 1000.0;
		p->v[1] = s.p95_us / 1000.0;
		p->v[2] = s.p99_us / 1000.0;
	}
}

/* The reasons that were most frequent in the day, at most five, and all others as one. */
void
chart_refusals(struct chart *c, const struct ring *r, uint64_t now)
{
	struct ring_sample s;
	uint64_t total[RING_REASONS] = { 0 };
	int top[CHART_SERIES];

	*c = (struct chart){ .id = "refusals", .title = "Refusals by reason", .stacked = true,
	    .what = "How many messages were refused or dropped, by reason.", .n = 0 };
	for (unsigned i = 0; i < CHART_POINTS; i++)
		if (gather(r, first_minute(now, i), &s))
			for (int k = 0; k < RING_REASONS; k++)
				total[k] += s.reasons[k];
	for (; c->n < CHART_SERIES - 1; c->n++) {
		int best = -1;

		for (int k = 0; k < POLICY_NREASONS; k++)
			if (total[k] != 0 && (best < 0 || total[k] > total[best]))
				best = k;
		if (best < 0)
			break;
		total[best] = 0;
		top[c->n] = best;
		c->series[c->n] = (struct chart_series){ policy_reason_name((enum policy_reason)best), "in 15 minutes" };
	}
	if (c->n == 0) {
		top[0] = -1;
		c->series[c->n++] = (struct chart_series){ "none", "in 15 minutes" };
	} else if (c->n == CHART_SERIES - 1)
		c->series[c->n++] = (struct chart_series){ "all others", "in 15 minutes" };
	for (unsigned i = 0; i < CHART_POINTS; i++) {
		struct chart_point *p = &c->point[i];
		uint64_t named = 0;

		p->minute = first_minute(now, i);
		if (!(p->watched = gather(r, p->minute, &s)))
			continue;
		for (unsigned k = 0; k < c->n && k < CHART_SERIES - 1; k++)
			if (top[k] >= 0) {
				p->v[k] = s.reasons[top[k]];
				named += s.reasons[top[k]];
			}
		if (c->n == CHART_SERIES)
			p->v[CHART_SERIES - 1] = s.refused > named ? (double)(s.refused - named) : 0;
	}
}

/* ---- drawing ---- */

double
chart_round_up(double v)
{
	double power;

	if (!(v > 0))
		return 1;
	power = pow(10, floor(log10(v)));
	for (int i = 0; i < 4; i++) {
		static const double steps[] = { 1, 2, 5, 10 };

		if (steps[i] * power >= v * (1 - 1e-9))
			return steps[i] * power;
	}
	return 10 * power;
}

static double
x_of(double i)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * i / CHART_POINTS;
}

static double
y_of(double v, double top)
{
	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (v > top ? top : v) / top;
}

static double
top_of(const struct chart *c)
{
	double top = 0;

	for (unsigned i = 0; i < CHART_POINTS; i++) {
		double sum = 0;

		for (unsigned k = 0; k < c->n; k++) {
			sum += c->point[i].v[k];
			if (!c->stacked && c->point[i].v[k] > top)
				top = c->point[i].v[k];
		}
		if (c->stacked && sum > top)
			top = sum;
	}
	return chart_round_up(top);
}

static void
hour_text(uint64_t minute, char out[8])
{
	time_t t = (time_t)minute * 60;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 8, "%H:%M", &tm);
}

static void
draw_frame(struct text *t, const struct chart *c, double top)
{
	for (int i = 0; i <= 4; i++) {
		double y = y_of(top * i / 4, top);

		html(t, "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>",
		    i == 0 ? "axis" : "grid-line", LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 3.5, top * i / 4);
	}
	for (unsigned i = 0; i < CHART_POINTS; i++) {
		char hour[8];

		if (c->point[i].minute % 360 != 0 || i < 2 || i > CHART_POINTS - 3)
			continue;
		hour_text(c->point[i].minute, hour);
		html(t, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", x_of(i), HEIGHT - 6, hour);
	}
	/* where nobody watched */
	for (unsigned i = 0, k; i < CHART_POINTS; i = k + 1) {
		for (k = i; k < CHART_POINTS && !c->point[k].watched; k++)
			;
		if (k > i)
			html(t, "<rect class=\"gap\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", x_of(i), TOP,
			    x_of(k) - x_of(i), HEIGHT - TOP - BOTTOM);
	}
}

static void
draw_line(struct text *t, const struct chart *c, unsigned k, double top)
{
	bool pen = false;

	html(t, "<path class=\"s%u\" d=\"", k + 1);
	for (unsigned i = 0; i < CHART_POINTS; i++) {
		if (c->point[i].watched)
			html(t, "%c%.1f %.1f", pen ? 'L' : 'M', x_of(i + .5), y_of(c->point[i].v[k], top));
		/* one point alone is a short line */
		if (c->point[i].watched && !pen)
			html(t, "h.5");
		pen = c->point[i].watched;
	}
	html(t, "\"/>");
}

static void
draw_bars(struct text *t, const struct chart *c, double top)
{
	for (unsigned k = 0; k < c->n; k++) {
		html(t, "<path class=\"bar-piece f%u\" d=\"", k + 1);
		for (unsigned i = 0; i < CHART_POINTS; i++) {
			double below = 0, y0, y1;

			for (unsigned j = 0; j < k; j++)
				below += c->point[i].v[j];
			y0 = y_of(below, top);
			y1 = y_of(below + c->point[i].v[k], top);
			if (c->point[i].v[k] > 0)
				html(t, "M%.1f %.1fV%.1fH%.1fV%.1fz", x_of(i) + .8, y0, y1, x_of(i + 1) - .8, y0);
		}
		html(t, "\"/>");
	}
}

static void
draw_legend(struct text *t, const struct chart *c)
{
	html(t, "<ul class=\"legend\">");
	for (unsigned k = 0; k < c->n; k++)
		html(t, c->stacked ? "<li><svg class=\"chart\" viewBox=\"0 0 22 10\" aria-hidden=\"true\"><path class=\"bar-piece f%u\" "
		    "d=\"M4 0h14v10h-14z\"/></svg>%s</li>" : "<li><svg class=\"chart\" viewBox=\"0 0 22 10\" aria-hidden=\"true\">"
		    "<path class=\"s%u\" d=\"M0 5h22\"/></svg>%s</li>", k + 1, c->series[k].name);
	html(t, "</ul>");
}

/* By the hour: what a reader of numbers wants. The picture's quarters that were watched, added or the highest. */
static void
draw_table(struct text *t, const struct chart *c)
{
	bool any = false;

	html(t, "<details><summary>%s as a table</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" "
	    "aria-label=\"%s as a table\"><table><caption>%s</caption><thead><tr><th scope=\"col\">From (UTC)</th>", c->title, c->title,
	    c->what);
	for (unsigned k = 0; k < c->n; k++)
		html(t, "<th scope=\"col\" class=\"num\">%s, %s</th>", c->series[k].name, c->series[k].unit);
	html(t, "</tr></thead><tbody>");
	for (unsigned i = CHART_POINTS; i-- > 0;) {
		char hour[8];

		if (!c->point[i].watched)
			continue;
		any = true;
		hour_text(c->point[i].minute, hour);
		html(t, "<tr><th scope=\"row\">%s</th>", hour);
		for (unsigned k = 0; k < c->n; k++)
			html(t, c->stacked ? "<td class=\"num\">%.0f</td>" : "<td class=\"num\">%.2f</td>", c->point[i].v[k]);
		html(t, "</tr>");
	}
	if (!any)
		html(t, "<tr><td colspan=\"%u\">Nothing was sampled in the last day.</td></tr>", c->n + 1);
	html(t, "</tbody></table></div></details>");
}

void
chart_draw(struct text *t, const struct chart *c)
{
	double top = top_of(c);

	html(t, "<figure class=\"card\"><figcaption id=\"%s-title\">%s <small>%s, last 24 hours</small></figcaption>"
	    "<svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-title %s-what\">"
	    "<desc id=\"%s-what\">%s The same is in the table below.</desc>", c->id, c->title, c->series[0].unit, WIDTH, HEIGHT,
	    c->id, c->id, c->id, c->what);
	draw_frame(t, c, top);
	if (c->stacked)
		draw_bars(t, c, top);
	else
		for (unsigned k = 0; k < c->n; k++)
			draw_line(t, c, k, top);
	html(t, "</svg>");
	draw_legend(t, c);
	draw_table(t, c);
	html(t, "</figure>\n");
}
