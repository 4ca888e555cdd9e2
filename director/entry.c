/*
 * director/entry.c - a user as the directory has it.
 */
#include "director/entry.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "policy/domain.h"

static bool
is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("@.:-_+", c) != NULL);
}

void
entry_escape(struct strbuf *sb, struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (is_plain((unsigned char)value.p[i]))
			strbuf_putc(sb, value.p[i]);
		else {
			strbuf_putc(sb, '\\');
			strbuf_hex(sb, value.p + i, 1, false);
		}
	}
}

static void
put_equals(struct strbuf *sb, const char *attribute, struct span aor)
{
	strbuf_printf(sb, "(%s=sip:", attribute);
	entry_escape(sb, aor);
	strbuf_putc(sb, ')');
}

bool
entry_filter(struct strbuf *sb, const struct dirconf *d, struct span aor)
{
	bool more = d->filter != NULL && *d->filter != '\0';

	if (more) {
		strbuf_puts(sb, "(&");
		strbuf_puts(sb, d->filter);
	}
	if (d->proxy_addresses)
		strbuf_puts(sb, "(|");
	put_equals(sb, d->attributes.address, aor);
	if (d->proxy_addresses) {
		put_equals(sb, "proxyAddresses", aor);
		strbuf_putc(sb, ')');
	}
	if (more)
		strbuf_putc(sb, ')');
	return strbuf_ok(sb);
}

/* --- logins --------------------------------------------------------------------- */

bool
entry_login_parse(const struct dirconf *d, struct span login, struct entry_login *l)
{
	size_t at = span_find(login, '\\');

	memset(l, 0, sizeof(*l));
	if (at < login.n) {
		l->domain = span_head(login, at);
		l->account = span_tail(login, at + 1);
	} else {
		/* a name may have an '@' of its own; a realm has none */
		for (at = login.n; at > 0 && login.p[at - 1] != '@'; )
			at--;
		l->realm = true;
		l->domain = span_tail(login, at);
		l->account = span_head(login, at > 0 ? at - 1 : 0);
	}
	if (!span_is_empty(l->account) && !span_is_empty(l->domain))
		l->base = dirconf_login_base(d, l->domain, l->realm);
	return l->base != NULL;
}

bool
entry_login_filter(struct strbuf *sb, const struct dirconf *d, const struct entry_login *l)
{
	bool more = d->filter != NULL && *d->filter != '\0';
	bool both = l->realm && d->attributes.principal != NULL && *d->attributes.principal != '\0';

	if (more)
		strbuf_printf(sb, "(&%s", d->filter);
	strbuf_printf(sb, "%s(%s=", both ? "(|" : "", d->attributes.account);
	entry_escape(sb, l->account);
	if (both) {
		strbuf_printf(sb, ")(%s=", d->attributes.principal);
		entry_escape(sb, l->account);
		strbuf_putc(sb, '@');
		entry_escape(sb, l->domain);
		strbuf_putc(sb, ')');
	}
	strbuf_puts(sb, more ? "))" : ")");
	return strbuf_ok(sb);
}

struct span
entry_address(struct span value)
{
	static const struct span scheme = { "sip:", 4 };
	struct span aor = span_istarts(value, scheme) ? span_tail(value, scheme.n) : SPAN_NONE;
	size_t at = span_find(aor, '@');

	if (at == 0 || at + 1 >= aor.n || aor.n >= USER_AOR_MAX)
		return SPAN_NONE;
	for (size_t i = 0; i < aor.n; i++) {
		unsigned char c = (unsigned char)aor.p[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"<>;?,", c) != NULL || (c == '@' && i != at))
			return SPAN_NONE;
	}
	return aor;
}

/* A gate: open for everybody when no attribute is configured, shut when the entry has none. */
static bool
is_open(const char *attribute, struct span value)
{
	return attribute == NULL || *attribute == '\0' || span_iis(value, "TRUE");
}

static bool
has_bits(struct span value, uint64_t bits)
{
	uint64_t v;

	return span_uint(value, UINT32_MAX, &v) && (v & bits) != 0;
}

void
entry_user(const struct dirconf *d, const struct entry *e, struct span aor, struct authd_user *u)
{
	const struct dirconf_attributes *a = &d->attributes;

	memset(u, 0, sizeof(*u));
	if (aor.n >= sizeof(u->aor))
		return;
	u->found = true;
	for (size_t i = 0; i < aor.n; i++)
		u->aor[i] = (char)span_lower((unsigned char)aor.p[i]);
	u->enabled = is_open(a->enabled, e->enabled);
	u->remote = is_open(a->remote, e->remote);
	u->federation = is_open(a->federation, e->federation);
	u->public_im = a->options == NULL || *a->options == '\0' || has_bits(e->options, 1);
	/*
	 * Of the older servers 1 is yes, 2 no, 3 yes without the text, 0 as everybody. Of
	 * the newer ones 1 and 2 are no more, 4 is what stays inside, 8 what goes to partners. No
	 * value means yes in the one way and no in the other.
	 */
	u->archive = has_bits(e->archive, 1 | 4 | 8) || span_iis(e->archive, "TRUE");
}

bool
entry_is_dn(struct span value)
{
	return span_find(value, '=') < value.n;
}

bool
entry_set_pool(struct authd_user *u, struct span name)
{
	char out[DOMAIN_MAX];
	struct span result;
	bool is_ip = false;

	name = span_trim(name);
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (policy_domain_canon(name, out, &result, &is_ip) != SP_OK || is_ip || result.n >= sizeof(u->pool))
		return false;
	memcpy(u->pool, result.p, result.n);
	u->pool[result.n] = '\0';
	return true;
}
