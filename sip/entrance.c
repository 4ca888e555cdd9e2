/*
 * sip/entrance.c - see entrance.h.
 */
#include "sip/entrance.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "net/door.h"
#include "net/prefix.h"

struct sip_entrance {
	struct sip_relay	*relay;
	struct sip_face		*face;
	struct net_door		*door;		/* NULL: its socket cannot be watched */
	struct net_porter	*porter;	/* NULL: nobody passes connections on to this door */
};

static void
accepted(void *arg, int fd, const struct net_addr *from)
{
	struct sip_entrance *e = arg;

	if (e->porter != NULL && net_porter_knows(e->porter, from))
		net_porter_take(e->porter, fd, from);
	else
		sip_relay_accept(e->relay, fd, from, e->face);
}

static void
starved(void *arg, int error)
{
	const struct sip_entrance *e = arg;
	struct logrec r = log_begin(SP_LOG_ERROR, "accept-failed");

	log_word(&r, "door", e->face->name);
	log_uint(&r, "port", e->face->port);
	log_text(&r, "error", strerror(error));
	log_end(&r);
}

static const struct net_door_ops door_ops = { .accepted = accepted, .starved = starved };

static void
arrived(void *arg, int fd, const struct net_addr *from)
{
	struct sip_entrance *e = arg;

	sip_relay_accept(e->relay, fd, from, e->face);
}

static void
not_said(void *arg, const struct net_addr *balancer, enum policy_reason why, const char *detail)
{
	struct sip_entrance *e = arg;

	sip_relay_turn_away(e->relay, balancer, e->face, why, detail);
}

static const struct net_porter_ops porter_ops = { .arrived = arrived, .refused = not_said };

static struct net_porter *
make_porter(struct sip_entrance *e, struct net_loop *loop, const struct conf_strs *balancers, const struct net_porter_limits *l)
{
	struct net_prefix *nets;
	struct net_porter *p;

	if (balancers->n == 0)
		return NULL;
	nets = xcalloc(balancers->n, sizeof(*nets));
	for (size_t i = 0; i < balancers->n; i++)
		(void)net_prefix_parse(&nets[i], span_str(balancers->v[i].s));
	p = net_porter_new(loop, nets, balancers->n, l, &porter_ops, e);
	free(nets);
	return p;
}

struct sip_entrance *
sip_entrance_open(struct net_loop *loop, int fd, struct sip_relay *relay, struct sip_face *face,
    const struct conf_strs *balancers, const struct net_porter_limits *limits)
{
	struct sip_entrance *e = xcalloc(1, sizeof(*e));

	e->relay = relay;
	e->face = face;
	e->porter = make_porter(e, loop, balancers, limits);
	e->door = net_door_open(loop, fd, &door_ops, e);
	return e;
}

void
sip_entrance_pause(struct sip_entrance *e)
{
	if (e != NULL && e->door != NULL)
		net_door_pause(e->door, true);
}

void
sip_entrance_close(struct sip_entrance *e)
{
	if (e == NULL)
		return;
	net_door_close(e->door);
	net_porter_free(e->porter);
	free(e);
}
