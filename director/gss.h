/*
 * director/gss.h - what a user who signed in with Kerberos signs with (MS 6).
 *
 * authd has the keytab, accepts the client's ticket and hands the finished
 * security context over as a blob (director/ticket.h). Here it is opened, and
 * makes and checks the tokens that MS-SIPAE calls signatures: GSS_GetMIC and
 * GSS_VerifyMIC over the buffer, RFC 4121 for AES, RFC 4757 for RC4. What is in it are keys of
 * one session; the service's own key never comes to this process.
 *
 * No call goes to the network, and none to a file but the first import, which
 * reads krb5.conf. Sessions are shared between threads: each has a lock, held
 * while one token is made, since the library has none for contexts.
 */
#ifndef SALLYPORT_DIRECTOR_GSS_H
#define SALLYPORT_DIRECTOR_GSS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

struct gss_session;

/* The caller owns one reference. NULL: it is no context, or not one of a server with Kerberos. */
struct gss_session *gss_session_import(struct span blob);
struct gss_session *gss_session_ref(struct gss_session *);	/* any thread */
void	 gss_session_unref(struct gss_session *);		/* any thread; NULL: nothing */

/* The server's token; its size, or 0 if it cannot be made or is longer than max. */
size_t	 gss_session_sign(struct gss_session *, struct span text, unsigned char *out, size_t max);
/* Is it the client's? In any order of messages: the number in the header is what replays are told by. */
bool	 gss_session_verify(struct gss_session *, struct span text, struct span token);

#endif
