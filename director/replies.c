/*
 * director/replies.c - what goes back to senders, and what clients answer.
 *
 * A client that has signed in believes nothing that is not signed (MS 3.5), so
 * everything that leaves for it is, our own answers included.
 */
#include "common/log.h"
#include "director/links.h"
#include "director/passage.h"
#include "net/stats.h"
#include "sip/logs.h"
#include "sip/mark.h"
#include "sip/refusals.h"

/* Why we refused: the whole of it inside, to a remote user only what may be known outside (MS 10). */
static void
explain(struct director_worker *w, enum home_source source, struct sip_message *m, enum policy_reason why)
{
	int id = policy_reason_diagnostics(why);

	if (why == POLICY_REASON_ALLOWED)
		return;
	if (id != 0 && source != HOME_FROM_USER)
		sip_edit_insert(m, (int)m->nheaders, "ms-diagnostics: %d;reason=\"%s\";source=\"%s\"\r\n", id,
		    policy_reason_text(why), w->name);
	if (id != 0 && policy_reason_is_public(why))
		sip_edit_insert(m, (int)m->nheaders, "ms-diagnostics-public: %d;reason=\"%s\"\r\n", id,
		    policy_reason_text(why));
	sip_edit_insert(m, (int)m->nheaders, "X-Sallyport-Reference: %s\r\n", sip_refusals_reference(w->refusals));
}

static bool
is_success(const struct sip_message *m)
{
	return m->status >= 200 && m->status < 300;
}

/* ---- signing ---- */

/*
 * Under which association the request came. Also for an answer that was made
 * before anybody looked at credentials (a malformed request, an overload): then
 * the one of the endpoint that it claims, if the connection is the one that signed in.
 */
static uint32_t
sa_of_sender(struct director_worker *w, const struct sip_note *note, const struct sip_link *to,
    const struct sip_message *m)
{
	uint64_t now = net_loop_now(w->worker->loop);
	struct span epid = endpoint_epid(&m->from);
	char aor[USER_AOR_MAX];
	struct sa_view v;
	uint32_t opaque;

	if (note->word[NOTE_SA] != 0)
		return (uint32_t)note->word[NOTE_SA];
	if (!note->made || span_is_empty(epid) || !signin_aor(&m->from.uri, aor) ||
	    (opaque = sa_of_endpoint(w->director->sas, sa_endpoint(w->director->sas, span_str(aor), epid), span_str(aor), now)) == 0 ||
	    !sa_get(w->director->sas, opaque, now, &v))
		return 0;
	sa_keys_wipe(&v.keys);
	return v.conn == proof_conn(to, m, false) || v.conn == proof_conn(to, m, true) ? opaque : 0;
}

static void
log_unsigned(const struct sip_message *m)
{
	struct logrec r = log_begin(SP_LOG_INFO, "unsigned");

	if (m->is_request)
		log_outside(&r, "method", m->method);
	else
		log_uint(&r, "status", m->status);
	log_outside(&r, "call-id", m->call_id);
	log_end(&r);
}

static void
sign(struct director_worker *w, uint32_t opaque, struct sip_message *m)
{
	struct sipae_self self = passage_self(w);

	if (!sipae_sign(w->desk, &self, w->director->sas, opaque, net_loop_now(w->worker->loop), m))
		log_unsigned(m);	/* the association has ended meanwhile, and the client will find out */
}

/* For how long they are registered, clients of this family see in this header alone; pools write it into Contact. */
static void
add_expires(const struct sip_note *note, struct sip_message *m, uint32_t seconds)
{
	if (m->first[SIP_H_EXPIRES] >= 0 ||
	    (m->first[SIP_H_CONTACT] < 0 && (note->word[NOTE_FLAGS] & NOTE_ENDS_IF_DONE) == 0))
		return;
	sip_edit_insert(m, (int)m->nheaders, "Expires: %u\r\n", seconds);
}

/* What the pool grants this device. */
static void
registered(struct director_worker *w, const struct sip_note *note, struct sip_message *m, uint32_t opaque)
{
	struct span whole = sip_message_value(m, SIP_H_EXPIRES);
	uint32_t seconds = endpoint_expires(m, endpoint_epid(&m->from));
	uint64_t said;

	if (seconds == 0 && span_uint(whole, UINT32_MAX, &said))
		seconds = (uint32_t)said;
	add_expires(note, m, seconds);
	if (seconds != 0)
		sa_registered(w->director->sas, opaque, (uint64_t)seconds * 1000);
}

/*
 * The status is signed, and the edge would make a 500 of our 503, as a proxy must
 * (RFC 3261 16.7, step 6): so we say it ourselves. For a REGISTER it is rather a
 * 504, after which these clients try again, and after a 500 they do not (MS 3.5).
 */
static void
not_unavailable(const struct sip_note *note, struct sip_message *m)
{
	sip_edit_replace(m, m->start_line, note->method == POLICY_METHOD_REGISTER ? SPAN_LIT("SIP/2.0 504 Server Time-out") :
	    SPAN_LIT("SIP/2.0 500 Server Internal Error"));
}

/* How long a silent client inside is kept (MS 2.1). Behind an edge it is the edge's to say. */
static void
add_keep_alive(struct director_worker *w, struct sip_message *m)
{
	int idle = w->config->idle_time;

	sip_edit_insert(m, (int)m->nheaders, "ms-keep-alive: UAS; tcp=no; hop-hop=yes; end-end=no; timeout=%d\r\n",
	    idle > 364 ? 300 : idle > 64 ? idle - 64 : idle / 2);
}

static void
log_signed_out(const struct sip_message *m)
{
	struct logrec r = log_begin(SP_LOG_INFO, "signed-out");

	sip_log_address(&r, "user", m->from.uri_text);
	log_end(&r);
}

void
reply_response(struct sip_relay *r, const struct sip_note *note, struct sip_link *from, struct sip_link *to,
    struct sip_message *m, enum policy_reason why)
{
	struct director_worker *w = sip_relay_owner(r);
	enum home_source source = (enum home_source)note->word[NOTE_SOURCE];
	uint64_t flags = note->word[NOTE_FLAGS];
	struct sipae_self self = passage_self(w);
	uint32_t opaque = 0;

	if (note->made)
		explain(w, source, m, why);
	else {
		passage_drop_all(m, SIP_H_X_REFUSED);
		sipae_strip(&self, m);
		/* what comes from a client inside proves nothing */
		if (from != NULL && sip_link_words(from)[LINK_KIND] == SERVER_NONE)
			sip_mark_strip(m, SIP_CROSS_USER_IN);
		if (source == HOME_FROM_USER && note->method == POLICY_METHOD_REGISTER && is_success(m)) {
			passage_drop_all(m, SIP_H_MS_USER_LOGON_DATA);
			sip_edit_insert(m, (int)m->nheaders, "ms-user-logon-data: RemoteUser\r\n");
		}
	}
	if ((flags & NOTE_KEEP_ALIVE) != 0 && is_success(m))
		add_keep_alive(w, m);
	/* a challenge is never signed, and a 100 ends at the next hop */
	if (m->status != 100 && m->status != 401)
		opaque = sa_of_sender(w, note, to, m);
	if (opaque == 0)
		return;
	if (note->method == POLICY_METHOD_REGISTER && is_success(m))
		registered(w, note, m, opaque);
	if (note->made && m->status == 503 && sip_link_words(to)[LINK_KIND] == SERVER_EDGE)
		not_unavailable(note, m);
	sign(w, opaque, m);
	if (m->status < 200)
		return;
	if ((flags & NOTE_ENDS_IF_DONE) != 0 && is_success(m))
		log_signed_out(m);
	else if ((flags & NOTE_ENDS) == 0)
		return;
	/* one that only signs the answer, since its endpoint was named, was not used for this */
	if (note->word[NOTE_SA] != 0)
		sa_end(w->director->sas, opaque);
}

void
reply_made(struct sip_relay *r, const struct sip_note *note, struct sip_link *to, struct sip_message *m)
{
	(void)to;
	if (note->word[NOTE_TARGET] != 0)
		sign(sip_relay_owner(r), (uint32_t)note->word[NOTE_TARGET], m);
}

/* ---- what clients answer ---- */

/* Signed by that endpoint, under the association that it has now? */
static bool
is_signed_by(struct director_worker *w, const struct sipae_credentials *c, const struct sip_message *m,
    uint32_t endpoint)
{
	uint64_t now = net_loop_now(w->worker->loop);
	struct sa_view v;
	bool good;

	if (!c->is_signed || !sa_get(w->director->sas, c->opaque, now, &v))
		return false;
	good = v.endpoint == endpoint && sipae_verify(m, c, v.version, &v.keys) &&
	    sa_use(w->director->sas, v.opaque, c->cnum, now);
	sa_keys_wipe(&v.keys);
	return good;
}

static bool
has_right_signature(struct director_worker *w, const struct sip_message *m, uint32_t endpoint, bool may_be_absent)
{
	struct sipae_self self = passage_self(w);
	struct sipae_credentials c;
	bool good = false;

	switch (sipae_find(&self, m, &c)) {
	case SIGNIN_NONE:
		return may_be_absent;
	case SIGNIN_FOUND:
		good = is_signed_by(w, &c, m, endpoint);
		break;
	case SIGNIN_MALFORMED:
		break;
	}
	stats_count(SIGNATURES, good ? STATS_SIGNATURE_GOOD : STATS_SIGNATURE_WRONG, 0);
	return good;
}

/* A refusal of the edge's own, such as that the client's connection is gone: it says so in a mark that no client can write. */
static bool
is_edges_own(const struct sip_link *from, const struct sip_message *m)
{
	struct sip_mark mark;

	return m->status >= 300 && from != NULL &&
	    sip_link_words((struct sip_link *)(uintptr_t)from)[LINK_KIND] == SERVER_EDGE && sip_mark_read(m, &mark) &&
	    mark.generated;
}

/*
 * The edge says that the connection of who signed in so is gone: then nobody is there who could use the association.
 * Of the way that was registered, that is; an older dialog may lead to a connection that has long been replaced.
 */
static void
end_if_gone(struct director_worker *w, const struct sip_note *note, const struct sip_message *m)
{
	if ((note->word[NOTE_FLAGS] & NOTE_BY_PATH) != 0 && m->status == (unsigned)policy_reason_status(POLICY_REASON_FLOW_GONE) && (uint32_t)note->word[NOTE_TARGET] != 0)
		sa_end(w->director->sas, (uint32_t)note->word[NOTE_TARGET]);
}

bool
reply_believed(struct sip_relay *r, const struct sip_note *note, struct sip_link *from, struct sip_message *m)
{
	struct director_worker *w = sip_relay_owner(r);
	uint32_t endpoint = (uint32_t)(note->word[NOTE_TARGET] >> 32), sender = (uint32_t)note->word[NOTE_SA];
	struct sa_view v;

	if (!m->is_request) {
		/* some servers of this family leave provisional responses unsigned, so clients may as well */
		if (endpoint != 0 && is_edges_own(from, m)) {
			end_if_gone(w, note, m);
			return true;
		}
		if (endpoint == 0 || has_right_signature(w, m, endpoint, m->status < 200))
			return true;
	} else {
		/* an edge makes its own CANCEL out of the client's, which it has seen on the very connection */
		if (sender == 0 || from == NULL || sip_link_words(from)[LINK_KIND] != SERVER_NONE)
			return true;
		if (sa_get(w->director->sas, sender, net_loop_now(w->worker->loop), &v)) {
			sa_keys_wipe(&v.keys);
			if (has_right_signature(w, m, v.endpoint, false))
				return true;
		}
	}
	link_refused(r, from, m, POLICY_REASON_BAD_SIGNATURE, NULL);
	return false;
}
