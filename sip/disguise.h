/*
 * sip/disguise.h - what a careless reader could take for something else. Pure.
 *
 * A mark counts as present however a sloppy server inside could read it. So a
 * message is read here as such a server may read it: names with everything but
 * letters and digits thrown away, escapes undone once or more often, full-width
 * letters made narrow, and a new header wherever a line might be said to end.
 */
#ifndef SALLYPORT_SIP_DISGUISE_H
#define SALLYPORT_SIP_DISGUISE_H

#include <stdbool.h>

#include "common/span.h"
#include "sip/check.h"

struct sip_message;

/*
 * SIP_CHECK_OK; CONTROL: a line break that is none of SIP's, or one that no
 * encoder writes (overlong UTF-8); MARK_DISGUISED: a name that carries trust, or
 * a hop-by-hop parameter of the top Via; HEADER_DISGUISED: a second sender,
 * length, route, start line …; METHOD_DISGUISED. Takes time in proportion to the message.
 * The message is parsed.
 */
enum sip_check sip_disguise_check(const struct sip_message *);
/* One value of it, which is not empty: OK, MARK_DISGUISED or HEADER_DISGUISED. */
enum sip_check sip_disguise_check_value(struct span);

#endif
