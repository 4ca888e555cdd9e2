/*
 * tests/lint/policy_alone.c - that this links is the test: all of libpolicy.a,
 * with libcommon.a and libidn2 and nothing else. See tests/room.am.
 */
#include <stdio.h>

#include "policy/decision.h"

int
main(void)
{
	static const struct policy_decision nobody_decided;

	printf("%s, %s\n", policy_verdict_name(nobody_decided.verdict),
	    policy_reason_name(nobody_decided.reason));
	/* The zero value of a decision refuses. */
	return nobody_decided.verdict == POLICY_DENY ? 0 : 1;
}
