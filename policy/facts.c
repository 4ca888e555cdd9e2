/*
 * policy/facts.c - names of what facts can be.
 */
#include "policy/facts.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static const char *const classes[POLICY_NCLASSES] = {
	[POLICY_CLASS_UNKNOWN] = "unknown",
	[POLICY_CLASS_REMOTE_USER] = "remote-user",
	[POLICY_CLASS_BRANCH] = "branch",
	[POLICY_CLASS_DIRECT] = "direct",
	[POLICY_CLASS_ENHANCED] = "enhanced",
	[POLICY_CLASS_PROVIDER] = "provider",
	[POLICY_CLASS_CLEARINGHOUSE] = "clearinghouse",
	[POLICY_CLASS_INTERNAL] = "internal",
};

static const struct span methods[POLICY_NMETHODS] = {
	[POLICY_METHOD_OTHER] = { "other", 5 },
	[POLICY_METHOD_INVITE] = { "INVITE", 6 },
	[POLICY_METHOD_ACK] = { "ACK", 3 },
	[POLICY_METHOD_CANCEL] = { "CANCEL", 6 },
	[POLICY_METHOD_BYE] = { "BYE", 3 },
	[POLICY_METHOD_REGISTER] = { "REGISTER", 8 },
	[POLICY_METHOD_SERVICE] = { "SERVICE", 7 },
	[POLICY_METHOD_OPTIONS] = { "OPTIONS", 7 },
	[POLICY_METHOD_MESSAGE] = { "MESSAGE", 7 },
	[POLICY_METHOD_SUBSCRIBE] = { "SUBSCRIBE", 9 },
	[POLICY_METHOD_NOTIFY] = { "NOTIFY", 6 },
	[POLICY_METHOD_BENOTIFY] = { "BENOTIFY", 8 },
	[POLICY_METHOD_INFO] = { "INFO", 4 },
	[POLICY_METHOD_REFER] = { "REFER", 5 },
	[POLICY_METHOD_UPDATE] = { "UPDATE", 6 },
	[POLICY_METHOD_PRACK] = { "PRACK", 5 },
	[POLICY_METHOD_PUBLISH] = { "PUBLISH", 7 },
	[POLICY_METHOD_NEGOTIATE] = { "NEGOTIATE", 9 },
};

static const char *const sides[] = { "unknown", "outer", "inner" };
static const char *const routes[] = { "none", "ours", "forged", "foreign" };
static const char *const flows[] = { "none", "user", "branch", "user-gone", "peer", "peer-gone" };

static const char *
name_at(const char *const *names, size_t n, unsigned i)
{
	return i < n ? names[i] : "unknown";
}

const char *
policy_class_name(enum policy_class c)
{
	return name_at(classes, COUNT(classes), (unsigned)c);
}

const char *
policy_side_name(enum policy_side s)
{
	return name_at(sides, COUNT(sides), (unsigned)s);
}

const char *
policy_route_name(enum policy_route r)
{
	return name_at(routes, COUNT(routes), (unsigned)r);
}

const char *
policy_flow_name(enum policy_flow f)
{
	return name_at(flows, COUNT(flows), (unsigned)f);
}

const char *
policy_method_name(enum policy_method m)
{
	return (unsigned)m < POLICY_NMETHODS ? methods[m].p : methods[POLICY_METHOD_OTHER].p;
}

enum policy_method
policy_method_of(struct span token)
{
	for (unsigned m = POLICY_METHOD_OTHER + 1; m < POLICY_NMETHODS; m++)
		if (span_eq(token, methods[m]))
			return (enum policy_method)m;
	return POLICY_METHOD_OTHER;
}
