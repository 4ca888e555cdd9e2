/*
 * policy/reason.c - the table of reasons, asked one column at a time.
 */
#include "policy/reason.h"

static const struct {
	const char	*name;
	const char	*text;
	short		 status;
	short		 diagnostics;
	short		 is_public;
} reasons[POLICY_NREASONS] = {
#define X(e, name, status, diag, pub, text) [POLICY_REASON_##e] = { name, text, status, diag, pub },
	POLICY_REASONS(X)
#undef X
};

/* A number that is no reason reads as the one that refuses to be safe. */
static unsigned
row(enum policy_reason r)
{
	return (unsigned)r < POLICY_NREASONS ? (unsigned)r : POLICY_REASON_UNDECIDED;
}

const char *
policy_reason_name(enum policy_reason r)
{
	return reasons[row(r)].name;
}

const char *
policy_reason_text(enum policy_reason r)
{
	return reasons[row(r)].text;
}

int
policy_reason_status(enum policy_reason r)
{
	return reasons[row(r)].status;
}

int
policy_reason_diagnostics(enum policy_reason r)
{
	return reasons[row(r)].diagnostics;
}

int
policy_reason_is_public(enum policy_reason r)
{
	return reasons[row(r)].is_public;
}
