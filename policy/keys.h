/*
 * policy/keys.h - which certificates may speak for a partner, beside the names
 * in them: what they are made for, and whose keys are pinned. For policy/ only.
 */
#ifndef SALLYPORT_POLICY_KEYS_H
#define SALLYPORT_POLICY_KEYS_H

#include "policy/reason.h"
#include "policy/rules_int.h"

/* Whose key is it, by pin? NULL: nobody's, or it is not known. */
const struct pin *keys_find(const struct policy_rules *, const unsigned char *spki);

/* Does the peer's certificate satisfy what the rule of partner i asks of it? UNDECIDED: yes; else the reason. */
enum policy_reason keys_judge(const struct policy_rules *, uint32_t i, const struct policy_facts *);

void	keys_free(struct policy_rules *);

#endif
