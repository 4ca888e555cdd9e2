/*
 * director/gss.c - what a user who signed in with Kerberos signs with (MS 6).
 */
#include "director/gss.h"

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_krb5.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

struct gss_session {
	_Atomic unsigned refs;
	pthread_mutex_t	 lock;
	gss_ctx_id_t	 context;
};

static gss_buffer_desc
buffer(struct span s)
{
	return (gss_buffer_desc){ .length = s.n, .value = (void *)(uintptr_t)s.p };
}

/* Finished, the accepting side's, and Kerberos. */
static bool
is_usable(gss_ctx_id_t context)
{
	OM_uint32 minor, flags;
	gss_OID mech;
	int initiated, open;

	return gss_inquire_context(&minor, context, NULL, NULL, NULL, &mech, &flags, &initiated, &open) == GSS_S_COMPLETE &&
	    open && !initiated && (flags & GSS_C_INTEG_FLAG) != 0 && mech != GSS_C_NO_OID &&
	    mech->length == gss_mech_krb5->length && memcmp(mech->elements, gss_mech_krb5->elements, mech->length) == 0;
}

struct gss_session *
gss_session_import(struct span blob)
{
	gss_buffer_desc in = buffer(blob);
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	struct gss_session *s;
	OM_uint32 minor;

	if (blob.n == 0 || gss_import_sec_context(&minor, &in, &context) != GSS_S_COMPLETE)
		return NULL;
	if (!is_usable(context)) {
		gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	atomic_init(&s->refs, 1);
	pthread_mutex_init(&s->lock, NULL);
	s->context = context;
	return s;
}

struct gss_session *
gss_session_ref(struct gss_session *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void
gss_session_unref(struct gss_session *s)
{
	OM_uint32 minor;

	if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	gss_delete_sec_context(&minor, &s->context, GSS_C_NO_BUFFER);	/* wipes its keys */
	pthread_mutex_destroy(&s->lock);
	free(s);
}

size_t
gss_session_sign(struct gss_session *s, struct span text, unsigned char *out, size_t max)
{
	gss_buffer_desc in = buffer(text), token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	major = gss_get_mic(&minor, s->context, GSS_C_QOP_DEFAULT, &in, &token);
	pthread_mutex_unlock(&s->lock);
	if (major == GSS_S_COMPLETE && token.length <= max)
		memcpy(out, token.value, n = token.length);
	gss_release_buffer(&minor, &token);
	return n;
}

bool
gss_session_verify(struct gss_session *s, struct span text, struct span token)
{
	gss_buffer_desc in = buffer(text), mic = buffer(token);
	OM_uint32 minor, major;

	if (token.n == 0)
		return false;
	pthread_mutex_lock(&s->lock);
	major = gss_verify_mic(&minor, s->context, &in, &mic, NULL);
	pthread_mutex_unlock(&s->lock);
	/*
	 * A client that asked for replay detection makes the library look at its
	 * numbers: they say "old" or "out of order" where our own window lets pass
	 * what a network may reorder.
	 */
	return !GSS_ERROR(major) && (GSS_SUPPLEMENTARY_INFO(major) & GSS_S_DUPLICATE_TOKEN) == 0;
}
