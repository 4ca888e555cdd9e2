/*
 * admin/metrics.h - the metrics over the control socket: the verb "metrics" of both daemons.
 *
 * The answer is the text of net/stats.h, cut at line ends into records of the kind "metrics" with the
 * one field "text".
 */
#ifndef SALLYPORT_ADMIN_METRICS_H
#define SALLYPORT_ADMIN_METRICS_H

#include "admin/control.h"
#include "admin/ctlclient.h"

/* For the daemons' tables. */
extern const struct control_verb metrics_verbs[];
/*
 * Ask c, which is open, and write the text to out. The daemon's status, or what ctlclient_next() returned. For
 * sallyportctl and the page.
 */
int	metrics_fetch(struct ctlclient *c, FILE *out);

#endif
