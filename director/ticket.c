/*
 * director/ticket.c - Kerberos tickets, on the side that has the keytab.
 */
#include "director/ticket.h"

#include <sys/stat.h>

#include <errno.h>
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"

#define SERVICE		"sip"

struct tickets {
	struct ticket_setup	 setup;
	gss_cred_id_t		 cred;		/* any key of the keytab; whose ticket it was is looked at afterwards */
	char			 login[USER_AOR_MAX];
	unsigned char		 session[AUTHD_SESSION_MAX];
	size_t			 session_n;
};

/* --- principals ------------------------------------------------------------------- */

bool
ticket_realm_is_valid(const char *text)
{
	const char *eq = strchr(text, '=');

	return eq != NULL && eq != text && eq[1] != '\0' && strchr(eq + 1, '=') == NULL && strlen(text) < USER_AOR_MAX &&
	    strpbrk(text, "@/\\ \t\r\n\"") == NULL;
}

/* The domain of a realm; empty if it has none. Realms are told apart by case. */
static struct span
domain_of(const struct ticket_setup *t, struct span realm)
{
	for (size_t i = 0; t->realms != NULL && i < t->realms->n; i++) {
		struct span one = span_str(t->realms->v[i].s);
		size_t eq = span_find(one, '=');

		if (span_eq(span_head(one, eq), realm))
			return span_tail(one, eq + 1);
	}
	return t->realms == NULL || t->realms->n == 0 ? realm : SPAN_NONE;
}

bool
ticket_aor(const struct ticket_setup *t, struct span principal, char out[USER_AOR_MAX])
{
	size_t at = span_find(principal, '@');
	struct span user = span_head(principal, at), realm, domain;
	struct strbuf sb;

	out[0] = '\0';
	if (at == 0 || at >= principal.n)
		return false;
	realm = span_tail(principal, at + 1);
	for (size_t i = 0; i < principal.n; i++) {
		unsigned char c = (unsigned char)principal.p[i];

		/* '/' divides a service's name, '\' quotes what would divide */
		if (c <= ' ' || c == 0x7f || c == '/' || c == '\\' || (c == '@' && i != at))
			return false;
	}
	if (span_is_empty(domain = domain_of(t, realm)))
		return false;
	strbuf_init(&sb, out, USER_AOR_MAX);
	strbuf_span(&sb, user);
	strbuf_putc(&sb, '@');
	strbuf_span(&sb, domain);
	if (!strbuf_ok(&sb)) {
		out[0] = '\0';
		return false;
	}
	for (char *p = out; *p != '\0'; p++)
		*p = (char)span_lower((unsigned char)*p);
	return true;
}

/* The directory says whose it is: the principal, if its realm is one of those. */
static bool
is_account(struct tickets *t, struct span principal)
{
	size_t at = principal.n;

	while (at > 0 && principal.p[at - 1] != '@')
		at--;
	if (t->setup.logins == NULL || at <= 1 || principal.n >= sizeof(t->login) ||
	    dirconf_login_base(t->setup.logins, span_tail(principal, at), true) == NULL)
		return false;
	for (size_t i = 0; i < principal.n; i++)
		if (principal.p[i] == '\0' || principal.p[i] == '\\' || principal.p[i] == '/')
			return false;	/* a quoted character, or a service's name */
	memcpy(t->login, principal.p, principal.n);
	t->login[principal.n] = '\0';
	return true;
}

/* --- the keytab ---------------------------------------------------------------------- */

/* Is the principal sip/<host>, of whatever realm? */
static bool
is_ours(const struct ticket_setup *t, struct span principal)
{
	struct span service = SPAN_LIT(SERVICE "/"), host;

	if (!span_istarts(principal, service))
		return false;
	host = span_tail(principal, service.n);
	return span_iis(span_head(host, span_find(host, '@')), t->host);
}

/* Has it a key for us? Without one every ticket would be refused, and nobody could tell why. */
static bool
has_our_key(krb5_context k5, krb5_keytab keytab, const struct ticket_setup *t)
{
	krb5_kt_cursor cursor;
	krb5_keytab_entry entry;
	bool found = false;
	char *name;

	if (krb5_kt_start_seq_get(k5, keytab, &cursor) != 0)
		return false;
	while (krb5_kt_next_entry(k5, keytab, &entry, &cursor) == 0) {
		if (krb5_unparse_name(k5, entry.principal, &name) == 0) {
			found |= is_ours(t, span_str(name));
			krb5_free_unparsed_name(k5, name);
		}
		krb5_free_keytab_entry_contents(k5, &entry);
	}
	krb5_kt_end_seq_get(k5, keytab, &cursor);
	return found;
}

/* The keytab as the library names it. */
static bool
library_name(const struct ticket_setup *t, char *out, size_t size)
{
	errno = ENAMETOOLONG;
	return (size_t)snprintf(out, size, "FILE:%s", t->keytab) < size;
}

int
tickets_check(const struct ticket_setup *t, char why[TICKET_WHY_MAX])
{
	char name[PATH_MAX + 8];
	krb5_context k5;
	krb5_keytab keytab;
	struct stat st;
	bool found = false;

	if (!library_name(t, name, sizeof(name)) || stat(t->keytab, &st) != 0)
		snprintf(why, TICKET_WHY_MAX, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
		snprintf(why, TICKET_WHY_MAX, "expects a file that its owner alone may read (mode 0600)");
	else if (krb5_init_context(&k5) != 0)
		snprintf(why, TICKET_WHY_MAX, "the Kerberos library does not start; is its krb5.conf right?");
	else {
		if (krb5_kt_resolve(k5, name, &keytab) == 0) {
			found = has_our_key(k5, keytab, t);
			krb5_kt_close(k5, keytab);
		}
		krb5_free_context(k5);
		if (found)
			return SP_OK;
		snprintf(why, TICKET_WHY_MAX, "cannot be read, or has no key of " SERVICE "/%s", t->host);
	}
	return SP_EINVAL;
}

/* No name is given: looking one up would ask DNS. Whose ticket it was, is_ours() looks at. */
static int
acquire(struct tickets *t)
{
	gss_OID_set_desc mechs = { 1, (gss_OID)(uintptr_t)gss_mech_krb5 };
	char name[PATH_MAX + 8];
	gss_key_value_element_desc element = { "keytab", name };
	gss_key_value_set_desc store = { 1, &element };
	OM_uint32 minor;

	return library_name(&t->setup, name, sizeof(name)) && gss_acquire_cred_from(&minor, GSS_C_NO_NAME,
	    GSS_C_INDEFINITE, &mechs, GSS_C_ACCEPT, &store, &t->cred, NULL, NULL) == GSS_S_COMPLETE ? SP_OK : SP_EINVAL;
}

int
tickets_open(struct tickets **out, const struct ticket_setup *setup)
{
	struct tickets *t = xcalloc(1, sizeof(*t));
	char why[TICKET_WHY_MAX] = "has no key that can be used";

	t->setup = *setup;
	if (tickets_check(setup, why) == SP_OK && acquire(t) == SP_OK) {
		*out = t;
		return SP_OK;
	}
	log_say(SP_LOG_ERROR, "keytab-bad", "%s: %s", setup->keytab, why);
	free(t);
	*out = NULL;
	return SP_EINVAL;
}

void
tickets_close(struct tickets *t)
{
	OM_uint32 minor;

	if (t == NULL)
		return;
	gss_release_cred(&minor, &t->cred);
	mem_wipe_free(t, sizeof(*t));
}

/* --- accepting ------------------------------------------------------------------------- */

/* For the log alone. What the library says is text of its own, but may quote the token. */
static void
log_bad(const char *why, struct span principal, OM_uint32 minor)
{
	static const char nothing[] = "Success";	/* what a code that is not of the krb5 library is printed as */
	struct logrec r = log_begin(SP_LOG_NOTICE, "bad-credentials");
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 ignored, more = 0;

	log_word(&r, "why", why);
	log_word(&r, "scheme", "Kerberos");
	if (!span_is_empty(principal))
		log_outside(&r, "principal", principal);
	if (minor != 0 && gss_display_status(&ignored, minor, GSS_C_MECH_CODE, (gss_OID)(uintptr_t)gss_mech_krb5, &more,
	    &text) == GSS_S_COMPLETE) {
		if (!span_is(span_of(text.value, text.length), nothing))
			log_outside(&r, "detail", span_of(text.value, text.length));
		gss_release_buffer(&ignored, &text);
	}
	log_end(&r);
}

/* Could it not be told, because of something on this machine? */
static bool
is_our_fault(const struct tickets *t, OM_uint32 minor)
{
	switch ((krb5_error_code)minor) {
	case KRB5KRB_AP_ERR_NOKEY:
		/* a client may name any version of a key; but there may be no keytab left */
		return access(t->setup.keytab, R_OK) != 0;
	case ENOENT: case EACCES: case EPERM: case EIO: case ENOSPC: case EDQUOT: case EROFS: case ENOTDIR:
	case ENOMEM: case EMFILE: case ENFILE:
	case KRB5_RC_MALLOC: case KRB5_RC_UNKNOWN: case KRB5_RC_IO: case KRB5_RC_NOIO: case KRB5_RC_PARSE:
	case KRB5_RC_IO_EOF: case KRB5_RC_IO_MALLOC: case KRB5_RC_IO_PERM: case KRB5_RC_IO_IO: case KRB5_RC_IO_UNKNOWN:
	case KRB5_RC_IO_SPACE:
		return true;	/* where used tickets are remembered: if they cannot be, none may be used */
	default:
		return false;
	}
}

/* Why the library refuses. */
static enum authd_verdict
refusal(const struct tickets *t, OM_uint32 major, OM_uint32 minor)
{
	if (is_our_fault(t, minor)) {
		log_say(SP_LOG_ERROR, "ticket-unchecked", "%s: a ticket cannot be checked: %s", t->setup.keytab,
		    (int)minor > 0 ? strerror((int)minor) : (krb5_error_code)minor == KRB5KRB_AP_ERR_NOKEY ?
		    "the keytab cannot be read" : "used tickets cannot be remembered");
		return AUTHD_FAILED;
	}
	/* a minor status is an error code of the krb5 library, or a number of the GSS-API layer's own */
	switch ((krb5_error_code)minor) {
	case KRB5KRB_AP_ERR_SKEW:
	case KRB5KRB_AP_ERR_TKT_NYV:
		log_bad("clock-skew", SPAN_NONE, minor);
		return AUTHD_SKEWED;
	case KRB5KRB_AP_ERR_REPEAT:
		log_bad("replayed", SPAN_NONE, minor);
		return AUTHD_REPLAYED;
	case KRB5KRB_AP_ERR_TKT_EXPIRED:
		log_bad("ticket-expired", SPAN_NONE, minor);
		return AUTHD_BAD;
	default:
		break;
	}
	switch (GSS_ROUTINE_ERROR(major)) {
	case GSS_S_DUPLICATE_TOKEN:
		log_bad("replayed", SPAN_NONE, minor);
		return AUTHD_REPLAYED;
	case GSS_S_CREDENTIALS_EXPIRED:
		log_bad("ticket-expired", SPAN_NONE, minor);
		return AUTHD_BAD;
	case GSS_S_DEFECTIVE_TOKEN:
	case GSS_S_BAD_MECH:
		log_bad("malformed", SPAN_NONE, minor);
		return AUTHD_BAD;
	default:
		log_bad("ticket-refused", SPAN_NONE, minor);
		return AUTHD_BAD;
	}
}

static gss_buffer_desc
printed(gss_name_t name)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	if (name == GSS_C_NO_NAME || gss_display_name(&minor, name, &text, NULL) != GSS_S_COMPLETE)
		text = (gss_buffer_desc)GSS_C_EMPTY_BUFFER;
	return text;
}

/* Is the ticket for us, and has the client asked for what signing needs? */
static bool
is_for_us(const struct tickets *t, gss_ctx_id_t context, OM_uint32 flags, struct span principal)
{
	gss_name_t target = GSS_C_NO_NAME;
	gss_buffer_desc text;
	OM_uint32 minor;
	bool ours;

	gss_inquire_context(&minor, context, NULL, &target, NULL, NULL, NULL, NULL, NULL);
	text = printed(target);
	ours = is_ours(&t->setup, span_of(text.value, text.length));
	gss_release_buffer(&minor, &text);
	gss_release_name(&minor, &target);
	if (ours && (flags & GSS_C_INTEG_FLAG) != 0)
		return true;
	log_bad(ours ? "no-integrity" : "other-service", principal, 0);
	return false;
}

/* Hand it over. The context is gone afterwards, whatever happens. */
static bool
export(struct tickets *t, gss_ctx_id_t *context)
{
	gss_buffer_desc blob = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	if (gss_export_sec_context(&minor, context, &blob) == GSS_S_COMPLETE && blob.length <= sizeof(t->session))
		memcpy(t->session, blob.value, t->session_n = blob.length);
	if (blob.value != NULL)
		mem_wipe(blob.value, blob.length);
	gss_release_buffer(&minor, &blob);
	return t->session_n != 0;
}

static bool
is_user(const struct tickets *t, const struct users *us, const char aor[USER_AOR_MAX], struct span principal,
    struct authd_user *who)
{
	authd_look_up(us, span_str(aor), who);
	if (!who->found && t->setup.directory) {
		who->found = who->enabled = true;
		memcpy(who->aor, aor, USER_AOR_MAX);
	}
	if (who->found && who->enabled)
		return true;
	log_bad(who->found ? "disabled" : "unknown-user", principal, 0);
	memset(who, 0, sizeof(*who));
	return false;
}

/* The ticket is good. Whose is it? */
static void
admit(struct tickets *t, const struct users *us, gss_ctx_id_t *context, OM_uint32 flags, OM_uint32 lifetime,
    struct span principal, struct authd_answer *a)
{
	char aor[USER_AOR_MAX];

	if (!is_for_us(t, *context, flags, principal))
		return;
	if (is_account(t, principal))
		a->login = t->login;
	else if (!ticket_aor(&t->setup, principal, aor)) {
		log_bad("unknown-realm", principal, 0);
		return;
	} else if (!is_user(t, us, aor, principal, &a->who))
		return;
	if (!export(t, context)) {
		log_say(SP_LOG_ERROR, "ticket-export", "a Kerberos context cannot be handed over, or is over %d bytes",
		    AUTHD_SESSION_MAX);
		memset(&a->who, 0, sizeof(a->who));
		a->login = NULL;
		a->verdict = AUTHD_FAILED;
		return;
	}
	a->verdict = AUTHD_OK;
	a->session = span_of((const char *)t->session, t->session_n);
	a->lifetime = lifetime == 0 ? 1 : lifetime < TICKET_LIFETIME_MAX ? lifetime : TICKET_LIFETIME_MAX;
}

void
tickets_accept(struct tickets *t, const struct users *us, struct span token, struct authd_answer *a)
{
	gss_buffer_desc in = { .length = token.n, .value = (void *)(uintptr_t)token.p };
	gss_buffer_desc out = GSS_C_EMPTY_BUFFER, principal;
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_name_t client = GSS_C_NO_NAME;
	OM_uint32 major, minor, ignored, flags = 0, lifetime = 0;

	memset(a, 0, sizeof(*a));
	mem_wipe(t->session, t->session_n);
	t->session_n = 0;
	if (span_is_empty(token) || token.n > AUTHD_TOKEN_MAX)
		return;
	major = gss_accept_sec_context(&minor, &context, t->cred, &in, GSS_C_NO_CHANNEL_BINDINGS, &client, NULL, &out,
	    &flags, &lifetime, NULL);
	/* an answer for a client that wants us proved as well; MS-SIPAE has no place for it, TLS has proved us */
	gss_release_buffer(&ignored, &out);
	if (GSS_ERROR(major))
		a->verdict = refusal(t, major, minor);
	else if (major == GSS_S_COMPLETE) {
		principal = printed(client);
		admit(t, us, &context, flags, lifetime, span_of(principal.value, principal.length), a);
		gss_release_buffer(&ignored, &principal);
	} else
		log_bad("wants-more-steps", SPAN_NONE, 0);
	gss_release_name(&ignored, &client);
	if (context != GSS_C_NO_CONTEXT)
		gss_delete_sec_context(&ignored, &context, GSS_C_NO_BUFFER);
}
