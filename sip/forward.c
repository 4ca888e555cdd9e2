/*
 * sip/forward.c - see forward.h.
 */
#include "sip/forward.h"

#include "common/err.h"

void
sip_forward_max_forwards(struct sip_message *m)
{
	char text[16];
	struct strbuf sb;

	if (m->max_forwards < 0) {
		sip_edit_insert(m, m->first[SIP_H_VIA] < 0 ? 0 : m->first[SIP_H_VIA], "Max-Forwards: 70\r\n");
		return;
	}
	strbuf_init(&sb, text, sizeof(text));
	strbuf_uint(&sb, m->max_forwards > 0 ? (unsigned)m->max_forwards - 1 : 0);
	sip_edit_replace(m, sip_message_value(m, SIP_H_MAX_FORWARDS), strbuf_span_of(&sb));
}

#define VIA_TEXT	384	/* a host name, a port, a branch */

void
sip_forward_via(struct sip_message *m, const struct sip_face *face, const char *branch)
{
	char text[VIA_TEXT];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	strbuf_puts(&sb, "Via: SIP/2.0/TLS ");
	strbuf_puts(&sb, face->name);
	strbuf_putc(&sb, ':');
	strbuf_uint(&sb, face->port);
	strbuf_puts(&sb, ";branch=");
	strbuf_puts(&sb, branch);
	strbuf_puts(&sb, "\r\n");
	if (!strbuf_ok(&sb))
		m->edit_failed = true;
	else
		sip_edit_insert_span(m, m->first[SIP_H_VIA], strbuf_span_of(&sb));
}

/* Where a new Record-Route or Path goes: above the first of its kind, else behind the top Via's line. */
static int
route_place(const struct sip_message *m, enum sip_header_id id)
{
	if (m->first[id] >= 0)
		return m->first[id];
	return m->first[SIP_H_VIA] + 1;
}

#define ROUTE_TEXT	512	/* "Record-Route: " and one URI of ours */

static void
insert_route(struct sip_message *m, enum sip_header_id id, const char *name, struct sip_flow_signer *signer,
    const struct sip_face *face, const struct sip_flow *flow)
{
	char text[ROUTE_TEXT];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	strbuf_puts(&sb, name);
	strbuf_puts(&sb, ": ");
	sip_flow_write(signer, flow, face->name, face->port, m->call_id, &sb);
	strbuf_puts(&sb, "\r\n");
	if (!strbuf_ok(&sb))
		m->edit_failed = true;
	else
		sip_edit_insert_span(m, route_place(m, id), strbuf_span_of(&sb));
}

void
sip_forward_record_route(struct sip_message *m, struct sip_flow_signer *signer, const struct sip_face *near,
    const struct sip_flow *near_flow, const struct sip_face *far, const struct sip_flow *far_flow)
{
	struct sip_flow f = *far_flow, n = *near_flow;

	f.paired = n.paired = near != far;
	f.sips = n.sips = m->ruri.scheme == SIP_SCHEME_SIPS;	/* RFC 3261 16.6, 4 */
	insert_route(m, SIP_H_RECORD_ROUTE, "Record-Route", signer, far, &f);
	if (near != far)
		insert_route(m, SIP_H_RECORD_ROUTE, "Record-Route", signer, near, &n);
}

/* Is there an option tag "path" in any Supported header? */
static bool
supports_path(const struct sip_message *m)
{
	for (int i = sip_message_next(m, SIP_H_SUPPORTED, -1); i >= 0; i = sip_message_next(m, SIP_H_SUPPORTED, i)) {
		struct span rest = sip_header_value(m, i), tag;

		while (sip_header_next(m, i, &rest, &tag))
			if (span_iis(tag, "path"))
				return true;
	}
	return false;
}

void
sip_forward_path(struct sip_message *m, struct sip_flow_signer *signer, const struct sip_face *face,
    const struct sip_flow *flow)
{
	struct sip_flow f = *flow;

	f.path = true;
	f.paired = false;
	insert_route(m, SIP_H_PATH, "Path", signer, face, &f);
	if (!supports_path(m))
		sip_edit_insert(m, (int)m->nheaders, "Supported: path\r\n");
}

/* Port as RFC 3261 19.1.2 has it for our transport: 5061 when none is written. */
static const struct sip_face *
face_named(const struct sip_uri *u, const struct sip_face *const *faces, unsigned nfaces)
{
	uint16_t port = u->port != 0 ? u->port : 5061;

	for (unsigned i = 0; i < nfaces; i++)
		if (faces[i]->port == port && span_ieq(u->host, span_str(faces[i]->name)))
			return faces[i];
	return NULL;
}

void
sip_forward_take_routes(struct sip_message *m, struct sip_flow_signer *signer, const struct sip_face *const *faces,
    unsigned nfaces, struct sip_routed *out)
{
	unsigned taken = 0, ours = 1;	/* how many belong to this passage */

	*out = (struct sip_routed){ .route = POLICY_ROUTE_NONE };
	for (int i = sip_message_next(m, SIP_H_ROUTE, -1); i >= 0; i = sip_message_next(m, SIP_H_ROUTE, i)) {
		struct span value = sip_header_value(m, i), rest = value, one;
		const char *keep = NULL;	/* what is left of this header begins here */

		while (sip_header_next(m, i, &rest, &one)) {
			const struct sip_face *face = NULL;
			struct sip_addr addr;
			struct sip_flow flow;

			if (sip_addr_parse(&addr, one) != SP_OK) {
				out->route = POLICY_ROUTE_FORGED;
				return;
			}
			if (taken == ours || (face = face_named(&addr.uri, faces, nfaces)) == NULL) {
				if (taken == 0)
					out->route = POLICY_ROUTE_FOREIGN;
				out->has_next = true;
				out->next = addr.uri;
				keep = one.p;
				break;
			}
			if (!sip_flow_read(signer, &addr.uri, m->call_id, &flow)) {
				out->route = POLICY_ROUTE_FORGED;
				return;
			}
			if (taken++ == 0) {
				out->route = POLICY_ROUTE_OURS;
				out->flow = flow;
				out->face = face;
				ours = flow.paired ? 2 : 1;
			}
		}
		if (keep == NULL)
			sip_edit_drop_header(m, i);
		else if (keep > value.p)
			sip_edit_replace(m, span_of(value.p, (size_t)(keep - value.p)), SPAN_NONE);
		if (out->has_next)
			return;
	}
}
