/*
 * sip/logs.c - see logs.h.
 */
#include "sip/logs.h"

#include "sip/tap.h"

void
sip_log_address(struct logrec *rec, const char *key, struct span address)
{
	char shown[SIP_ADDRESS_SHOWN];

	log_outside(rec, key, sip_tap_mask_address(address, shown));
}

void
sip_log_message(struct logrec *rec, const struct sip_message *m)
{
	if (m == NULL)
		return;
	if (m->is_request)
		log_outside(rec, "method", m->method);
	else
		log_uint(rec, "status", m->status);
	/* what was not parsed is shown as it stands */
	sip_log_address(rec, "from", m->parsed ? m->from.uri_text : sip_message_value(m, SIP_H_FROM));
	sip_log_address(rec, "to", m->parsed ? m->to.uri_text : sip_message_value(m, SIP_H_TO));
	log_outside(rec, "call-id", m->parsed ? m->call_id : sip_message_value(m, SIP_H_CALL_ID));
}

void
sip_log_disconnected_end(struct logrec *rec, enum policy_reason why, const char *detail)
{
	log_word(rec, "reason", why == POLICY_REASON_ALLOWED ? "closed" : policy_reason_name(why));
	if (detail != NULL)
		log_text(rec, "detail", detail);
	log_end(rec);
}
