/*
 * sip/logs.c - see logs.h.
 */
#include "sip/logs.h"

#include <stdio.h>

struct logrec
sip_log_refused(unsigned worker, uint64_t *references, enum policy_reason why, const char *detail)
{
	struct logrec rec = log_begin(SP_LOG_NOTICE, "refused");
	char ref[32];

	++*references;
	snprintf(ref, sizeof(ref), "%u-%llx", worker, (unsigned long long)*references);
	log_word(&rec, "reason", policy_reason_name(why));
	if (detail != NULL)
		log_text(&rec, "detail", detail);
	log_word(&rec, "ref", ref);
	return rec;
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
	log_outside(rec, "from", m->parsed ? m->from.uri_text : sip_message_value(m, SIP_H_FROM));
	log_outside(rec, "to", m->parsed ? m->to.uri_text : sip_message_value(m, SIP_H_TO));
	log_outside(rec, "call-id", m->parsed ? m->call_id : sip_message_value(m, SIP_H_CALL_ID));
}

struct logrec
sip_log_disconnected(enum policy_reason why)
{
	return log_begin(why == POLICY_REASON_ALLOWED ? SP_LOG_INFO : SP_LOG_NOTICE, "disconnected");
}

void
sip_log_disconnected_end(struct logrec *rec, enum policy_reason why, const char *detail)
{
	log_word(rec, "reason", why == POLICY_REASON_ALLOWED ? "closed" : policy_reason_name(why));
	if (detail != NULL)
		log_text(rec, "detail", detail);
	log_end(rec);
}
