/*
 * director/ldapconn.c - one thread's connection to the directory.
 */
#include "director/ldapconn.h"

#include <sys/time.h>

#include <errno.h>
#include <ldap.h>
#include <pthread.h>
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "director/entry.h"

#define VALUE_MAX	1024	/* bytes of a value that are looked at */
#define NAMES_MAX	512	/* pools whose names are remembered */
#define NAMES_MS	(10 * 60 * 1000)
#define LEVELS_UP	3	/* entries above the one that home names */
#define ANSWER_MAX	(1u << 20)	/* bytes that a server sends in one step; what is asked for is a few KiB */

/* --- names of pools ---------------------------------------------------------------- */

struct ldap_names {
	pthread_mutex_t	 lock;
	size_t		 n;
	struct {
		char		*dn;
		char		 name[USER_NAME_MAX];
		uint64_t	 until_ms;
	} v[NAMES_MAX];
};

struct ldap_names *
ldap_names_new(void)
{
	struct ldap_names *t = xcalloc(1, sizeof(*t));

	pthread_mutex_init(&t->lock, NULL);
	return t;
}

static bool
names_get(struct ldap_names *t, const char *dn, char out[USER_NAME_MAX])
{
	uint64_t now = clock_ms();
	bool found = false;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n && !found; i++)
		if (t->v[i].until_ms > now && strcmp(t->v[i].dn, dn) == 0) {
			memcpy(out, t->v[i].name, sizeof(t->v[i].name));
			found = true;
		}
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* The oldest makes room. */
static void
names_put(struct ldap_names *t, const char *dn, const char *name)
{
	size_t at = 0;

	pthread_mutex_lock(&t->lock);
	if (t->n < NAMES_MAX)
		at = t->n++;
	else
		for (size_t i = 1; i < t->n; i++)
			if (t->v[i].until_ms < t->v[at].until_ms)
				at = i;
	free(t->v[at].dn);
	t->v[at].dn = xstrdup(dn);
	snprintf(t->v[at].name, sizeof(t->v[at].name), "%s", name);
	t->v[at].until_ms = clock_ms() + NAMES_MS;
	pthread_mutex_unlock(&t->lock);
}

/* --- connecting ----------------------------------------------------------------------- */

struct ldap_conn {
	const struct dirconf	*conf;
	struct ldap_names	*names;
	struct berval		 password;
	struct overdue_one	*overdue;
	struct ldap_conncb	 connected;
	LDAP			*ld;		/* NULL: not connected */
	size_t			 server;
	size_t			 room;		/* bytes that may still come in this step */
};

void
ldap_conn_prepare(const struct dirconf *conf)
{
	char path[4096];
	LDAP *ld;

	/* no ldap.conf and no variables: only our own configuration says what is trusted */
	setenv("LDAPNOINIT", "1", 1);
	if (conf->bind == BIND_GSSAPI) {
		snprintf(path, sizeof(path), "FILE:%s", conf->keytab);
		setenv("KRB5_CLIENT_KTNAME", path, 1);
		setenv("KRB5CCNAME", "MEMORY:sallyport-directory", 1);
	}
	/* the library begins, and SASL loads what it loads, while that is possible */
	if (ldap_initialize(&ld, NULL) == LDAP_SUCCESS)
		ldap_unbind_ext(ld, NULL, NULL);
}

uint16_t
ldap_conn_port(const char *uri)
{
	LDAPURLDesc *url;
	int port = 0;

	if (ldap_url_parse(uri, &url) == LDAP_URL_SUCCESS) {
		port = url->lud_port;
		ldap_free_urldesc(url);
	}
	if (port <= 0 || port > UINT16_MAX)
		port = strncasecmp(uri, "ldaps:", 6) == 0 ? LDAPS_PORT : LDAP_PORT;
	return (uint16_t)port;
}

/* One step begins, of so much time; 0: it is over. */
static void
step(struct ldap_conn *c, unsigned ms)
{
	if (ms != 0)
		c->room = ANSWER_MAX;
	overdue_in(c->overdue, ms);
}

/*
 * The library keeps whatever comes until the answer is whole, and as large as a server says. So what comes is counted
 * where it comes in, below TLS.
 */
static int
meter_setup(Sockbuf_IO_Desc *io, void *arg)
{
	io->sbiod_pvt = arg;
	return 0;
}

static int
meter_nothing(Sockbuf_IO_Desc *io)
{
	(void)io;
	return 0;
}

static int
meter_ctrl(Sockbuf_IO_Desc *io, int what, void *arg)
{
	return LBER_SBIOD_CTRL_NEXT(io, what, arg);
}

static ber_slen_t
meter_read(Sockbuf_IO_Desc *io, void *bytes, ber_len_t n)
{
	struct ldap_conn *c = io->sbiod_pvt;
	ber_slen_t got;

	if (c->room == 0) {
		errno = EMSGSIZE;
		return -1;
	}
	if ((got = LBER_SBIOD_READ_NEXT(io, bytes, n < c->room ? n : c->room)) > 0)
		c->room -= (size_t)got;
	return got;
}

static ber_slen_t
meter_write(Sockbuf_IO_Desc *io, void *bytes, ber_len_t n)
{
	return LBER_SBIOD_WRITE_NEXT(io, bytes, n);
}

static Sockbuf_IO meter = { meter_setup, meter_nothing, meter_ctrl, meter_read, meter_write, meter_nothing };

/* The library has a connection, on which there is no TLS yet. */
static int
connected(LDAP *ld, Sockbuf *sb, LDAPURLDesc *to, struct sockaddr *addr, struct ldap_conncb *cb)
{
	struct ldap_conn *c = cb->lc_arg;
	ber_len_t most = ANSWER_MAX;
	ber_socket_t fd = -1;

	(void)ld;
	(void)to;
	(void)addr;
	if (ber_sockbuf_add_io(sb, &meter, LBER_SBIOD_LEVEL_PROVIDER + 1, c) != 0 ||
	    ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most) != 1)
		return LDAP_LOCAL_ERROR;
	if (ber_sockbuf_ctrl(sb, LBER_SB_OPT_GET_FD, &fd) == 1)
		overdue_watch(c->overdue, fd);
	return 0;
}

static void
closing(LDAP *ld, Sockbuf *sb, struct ldap_conncb *cb)
{
	struct ldap_conn *c = cb->lc_arg;

	(void)ld;
	(void)sb;
	overdue_watch(c->overdue, -1);
}

struct ldap_conn *
ldap_conn_new(const struct dirconf *conf, struct ldap_names *names, struct overdue *overdue, const char *password,
    size_t n)
{
	struct ldap_conn *c = xcalloc(1, sizeof(*c));

	c->conf = conf;
	c->names = names;
	c->overdue = overdue_add(overdue);
	c->connected = (struct ldap_conncb){ connected, closing, c };
	c->password.bv_val = (char *)(uintptr_t)password;
	c->password.bv_len = n;
	return c;
}

static struct timeval
step_time(const struct ldap_conn *c)
{
	return (struct timeval){ c->conf->server_timeout / 1000, c->conf->server_timeout % 1000 * 1000 };
}

static void
disconnect(struct ldap_conn *c)
{
	if (c->ld != NULL)
		ldap_unbind_ext(c->ld, NULL, NULL);
	c->ld = NULL;
	overdue_watch(c->overdue, -1);
	step(c, 0);
	c->room = ANSWER_MAX;
}

/* What went wrong, in the library's and the server's words. */
static bool
fail(struct ldap_conn *c, int rc, const char *at, char *failure, size_t size)
{
	char *more = NULL;

	if (c->room == 0) {
		snprintf(failure, size, "%s: more than %u bytes came", at, ANSWER_MAX);
		disconnect(c);
		return false;
	}
	if (c->ld != NULL)
		ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
	snprintf(failure, size, "%s: %s%s%.100s", at, ldap_err2string(rc), more != NULL && *more != '\0' ? ": " : "",
	    more != NULL ? more : "");
	ldap_memfree(more);
	disconnect(c);
	return false;
}

/* What SASL wants to know: nothing that has no default. */
static int
interact(LDAP *ld, unsigned flags, void *arg, void *list)
{
	(void)ld;
	(void)flags;
	(void)arg;
	for (sasl_interact_t *i = list; i->id != SASL_CB_LIST_END; i++) {
		i->result = i->defresult != NULL ? i->defresult : "";
		i->len = (unsigned)strlen(i->result);
	}
	return LDAP_SUCCESS;
}

static int
set_tls(struct ldap_conn *c)
{
	int demand = LDAP_OPT_X_TLS_DEMAND, version = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, client = 0, rc;

	if ((rc = ldap_set_option(c->ld, LDAP_OPT_X_TLS_CACERTFILE, c->conf->trust)) == LDAP_OPT_SUCCESS &&
	    (rc = ldap_set_option(c->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand)) == LDAP_OPT_SUCCESS &&
	    (rc = ldap_set_option(c->ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &version)) == LDAP_OPT_SUCCESS)
		rc = ldap_set_option(c->ld, LDAP_OPT_X_TLS_NEWCTX, &client);
	return rc;
}

static int
set_options(struct ldap_conn *c)
{
	int version = LDAP_VERSION3, never = LDAP_DEREF_NEVER;
	struct timeval tv = step_time(c);

	/* a referral would send us, and our password, to wherever a server likes */
	if (ldap_set_option(c->ld, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_DEREF, &never) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_NETWORK_TIMEOUT, &tv) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_TIMEOUT, &tv) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_CONNECT_CB, &c->connected) != LDAP_OPT_SUCCESS)
		return LDAP_LOCAL_ERROR;
	return LDAP_SUCCESS;
}

static int
bind_as_us(struct ldap_conn *c, bool tls)
{
	struct berval nothing = { 0, NULL };

	switch ((enum dirconf_bind)c->conf->bind) {
	case BIND_SIMPLE:
		return ldap_sasl_bind_s(c->ld, c->conf->bind_dn, LDAP_SASL_SIMPLE, &c->password, NULL, NULL, NULL);
	case BIND_GSSAPI:
		/* Active Directory wants one kind of protection, not two in one another */
		if (ldap_set_option(c->ld, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON) != LDAP_OPT_SUCCESS ||
		    (tls && ldap_set_option(c->ld, LDAP_OPT_X_SASL_SECPROPS, "maxssf=0") != LDAP_OPT_SUCCESS) ||
		    (!tls && ldap_set_option(c->ld, LDAP_OPT_X_SASL_SECPROPS, "minssf=56") != LDAP_OPT_SUCCESS))
			return LDAP_LOCAL_ERROR;
		return ldap_sasl_interactive_bind_s(c->ld, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET, interact, NULL);
	case BIND_ANONYMOUS:
		break;
	}
	return ldap_sasl_bind_s(c->ld, "", LDAP_SASL_SIMPLE, &nothing, NULL, NULL, NULL);
}

static bool
open_server(struct ldap_conn *c, size_t i, char *failure, size_t size)
{
	const char *uri = c->conf->servers.v[i].s;
	bool ldaps = strncasecmp(uri, "ldaps:", 6) == 0, tls = ldaps || c->conf->starttls;
	int rc;

	disconnect(c);
	c->server = i;
	if ((rc = ldap_initialize(&c->ld, uri)) != LDAP_SUCCESS)
		return fail(c, rc, "address", failure, size);
	if ((rc = set_options(c)) != LDAP_SUCCESS || (tls && (rc = set_tls(c)) != LDAP_OPT_SUCCESS))
		return fail(c, rc, "options", failure, size);
	/* connecting, then the handshake; the library keeps to the time for the first of them alone */
	step(c, 2 * (unsigned)c->conf->server_timeout);
	if (tls && !ldaps && (rc = ldap_start_tls_s(c->ld, NULL, NULL)) != LDAP_SUCCESS)
		return fail(c, rc, "StartTLS", failure, size);
	if ((rc = bind_as_us(c, tls)) != LDAP_SUCCESS)
		return fail(c, rc, "bind", failure, size);
	step(c, 0);
	return true;
}

/* --- asking ------------------------------------------------------------------------------ */

/* The first value; false if there is none that can be one. */
static bool
value_of(struct ldap_conn *c, LDAPMessage *e, const char *attribute, char out[VALUE_MAX], struct span *value)
{
	struct berval **v;
	bool good;

	*value = SPAN_NONE;
	if (attribute == NULL || *attribute == '\0' || (v = ldap_get_values_len(c->ld, e, attribute)) == NULL)
		return false;
	if ((good = v[0] != NULL && v[0]->bv_len < VALUE_MAX && memchr(v[0]->bv_val, '\0', v[0]->bv_len) == NULL)) {
		memcpy(out, v[0]->bv_val, v[0]->bv_len);
		out[v[0]->bv_len] = '\0';
		*value = span_of(out, v[0]->bv_len);
	}
	ldap_value_free_len(v);
	return good;
}

static void
complain(const char *event, const char *what, struct span about)
{
	struct logrec r = log_begin(SP_LOG_ERROR, event);

	log_text(&r, "detail", what);
	log_outside(&r, "about", about);
	log_end(&r);
}

static int
search(struct ldap_conn *c, const char *base, int scope, const char *filter, const char *const *attributes,
    LDAPMessage **res)
{
	struct timeval tv = step_time(c);
	int rc;

	*res = NULL;
	step(c, (unsigned)c->conf->server_timeout + 100);
	/* two are enough to see that there is more than one */
	rc = ldap_search_ext_s(c->ld, base, scope, filter, (char **)(uintptr_t)attributes, 0, NULL, NULL, &tv, 2, res);
	step(c, 0);
	return rc;
}

/* Without the leftmost part of it; NULL when nothing is left. ldap_memfree() it. */
static char *
parent_of(const char *dn)
{
	LDAPDN parts = NULL;
	char *up = NULL;

	if (ldap_str2dn(dn, &parts, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || parts == NULL)
		return NULL;
	if (parts[0] != NULL && parts[1] != NULL && ldap_dn2str(parts + 1, &up, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		up = NULL;
	ldap_dnfree(parts);
	return up;
}

/*
 * The name of the pool whose entry, or an entry below it, is dn. LDAP_SUCCESS
 * with "" in out if there is none.
 */
static int
resolve(struct ldap_conn *c, const char *dn, char out[USER_NAME_MAX])
{
	const char *attributes[] = { c->conf->attributes.pool_name, "serviceDNSName", NULL };
	char *at = ldap_strdup(dn), *up, text[VALUE_MAX];
	struct authd_user name = { .pool = "" };
	int rc = LDAP_SUCCESS;

	for (int level = 0; at != NULL && level <= LEVELS_UP && name.pool[0] == '\0'; level++) {
		LDAPMessage *res = NULL, *e;
		struct span v;

		rc = search(c, at, LDAP_SCOPE_BASE, "(objectClass=*)", attributes, &res);
		if (rc == LDAP_SUCCESS && (e = ldap_first_entry(c->ld, res)) != NULL &&
		    (value_of(c, e, attributes[0], text, &v) || value_of(c, e, attributes[1], text, &v)))
			(void)entry_set_pool(&name, v);
		ldap_msgfree(res);
		if (rc != LDAP_SUCCESS && rc != LDAP_NO_SUCH_OBJECT)
			break;
		rc = LDAP_SUCCESS;
		up = parent_of(at);
		ldap_memfree(at);
		at = up;
	}
	ldap_memfree(at);
	memcpy(out, name.pool, sizeof(name.pool));
	return rc;
}

/* Whose home is where: the entry says it, or names an entry that does, or nobody does and the default counts. */
static int
set_pool(struct ldap_conn *c, struct span home, struct authd_user *who)
{
	char name[USER_NAME_MAX] = "";
	int rc = LDAP_SUCCESS;

	if (span_is_empty(home)) {
		if (c->conf->default_pool != NULL)
			(void)entry_set_pool(who, span_str(c->conf->default_pool));
		return LDAP_SUCCESS;
	}
	if (!entry_is_dn(home)) {
		if (!entry_set_pool(who, home))
			complain("ldap-pool", "the home pool is no host name", home);
		return LDAP_SUCCESS;
	}
	if (!names_get(c->names, home.p, name)) {
		if ((rc = resolve(c, home.p, name)) != LDAP_SUCCESS)
			return rc;
		if (name[0] != '\0')
			names_put(c->names, home.p, name);
		else
			complain("ldap-pool", "the entry of the home pool has no host name", home);
	}
	memcpy(who->pool, name, sizeof(who->pool));
	return rc;
}

static int
read_user(struct ldap_conn *c, LDAPMessage *e, struct span aor, struct authd_user *who)
{
	const struct dirconf_attributes *a = &c->conf->attributes;
	char home[VALUE_MAX], enabled[VALUE_MAX], remote[VALUE_MAX], federation[VALUE_MAX], options[VALUE_MAX],
	    archive[VALUE_MAX];
	struct entry entry;

	(void)value_of(c, e, a->home, home, &entry.home);
	(void)value_of(c, e, a->enabled, enabled, &entry.enabled);
	(void)value_of(c, e, a->remote, remote, &entry.remote);
	(void)value_of(c, e, a->federation, federation, &entry.federation);
	(void)value_of(c, e, a->options, options, &entry.options);
	(void)value_of(c, e, a->archive, archive, &entry.archive);
	entry_user(c->conf, &entry, aor, who);
	return set_pool(c, entry.home, who);
}

/* Attributes that are wanted; those that are not configured are left out. */
static void
wanted(const struct dirconf_attributes *a, const char *out[8])
{
	const char *all[] = { a->address, a->home, a->enabled, a->remote, a->federation, a->options, a->archive };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i] != NULL && *all[i] != '\0')
			out[n++] = all[i];
	out[n] = NULL;
}

/* What is looked for. */
struct looked {
	char		 filter[ENTRY_FILTER_MAX];
	struct span	 whom;		/* an address, or a login */
	const char	*base;		/* of a login; NULL: in all bases */
};

static bool
set_looked(const struct dirconf *conf, struct span whom, bool login, struct looked *l)
{
	struct entry_login parts;
	struct strbuf filter;

	l->whom = whom;
	l->base = NULL;
	strbuf_init(&filter, l->filter, sizeof(l->filter));
	if (!login)
		return entry_filter(&filter, conf, whom);
	if (!entry_login_parse(conf, whom, &parts))
		return false;
	l->base = parts.base;
	return entry_login_filter(&filter, conf, &parts);
}

/* The domain that a DN is of, as "corp.example.com"; empty if it is of none. */
static void
dn_domain(const char *dn, struct strbuf *out)
{
	LDAPDN parts = NULL;

	if (ldap_str2dn(dn, &parts, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || parts == NULL)
		return;
	for (size_t i = 0; parts[i] != NULL; i++) {
		const LDAPAVA *ava = parts[i][0];

		if (ava == NULL || !span_iis(span_of(ava->la_attr.bv_val, ava->la_attr.bv_len), "dc"))
			continue;
		strbuf_span(out, span_of(ava->la_value.bv_val, ava->la_value.bv_len));
		strbuf_putc(out, '.');
	}
	ldap_dnfree(parts);
}

/* An account below the base may be that of a domain further below, whose users are others. */
static bool
is_in_domain(struct ldap_conn *c, LDAPMessage *e, const char *base)
{
	char text[2][VALUE_MAX], *dn = ldap_get_dn(c->ld, e);
	struct strbuf sb[2];

	for (int i = 0; i < 2; i++)
		strbuf_init(&sb[i], text[i], sizeof(text[i]));
	dn_domain(dn != NULL ? dn : "", &sb[0]);
	dn_domain(base, &sb[1]);
	ldap_memfree(dn);
	return strbuf_ok(&sb[0]) && strbuf_ok(&sb[1]) &&
	    (text[1][0] == '\0' || span_ieq(strbuf_span_of(&sb[0]), strbuf_span_of(&sb[1])));
}

/* The only entry that fits. */
static int
read_found(struct ldap_conn *c, LDAPMessage *e, const struct looked *l, struct authd_user *who)
{
	struct span aor = l->whom, value;
	char address[VALUE_MAX];

	if (l->base != NULL) {
		if (!is_in_domain(c, e, l->base))
			return LDAP_SUCCESS;
		(void)value_of(c, e, c->conf->attributes.address, address, &value);
		if (span_is_empty(aor = entry_address(value)))
			return LDAP_SUCCESS;
	}
	return read_user(c, e, aor, who);
}

/* All bases. LDAP_SUCCESS with *who filled or empty, else what the server said. */
static int
search_user(struct ldap_conn *c, const struct looked *l, struct authd_user *who)
{
	size_t nbases = l->base != NULL ? 1 : c->conf->bases.n;
	const char *attributes[8];
	int rc = LDAP_SUCCESS, found = 0;

	memset(who, 0, sizeof(*who));
	wanted(&c->conf->attributes, attributes);
	for (size_t i = 0; i < nbases && rc == LDAP_SUCCESS; i++) {
		const char *base = l->base != NULL ? l->base : c->conf->bases.v[i].s;
		LDAPMessage *res = NULL;

		rc = search(c, base, LDAP_SCOPE_SUBTREE, l->filter, attributes, &res);
		if (rc == LDAP_SIZELIMIT_EXCEEDED)
			rc = LDAP_SUCCESS;
		if (rc == LDAP_NO_SUCH_OBJECT) {
			complain("ldap-base", "the server does not have this base", span_str(base));
			rc = LDAP_SUCCESS;
		} else if (rc == LDAP_SUCCESS) {
			int n = ldap_count_entries(c->ld, res);

			found += n > 0 ? n : 0;
			if (n == 1 && found == 1)
				rc = read_found(c, ldap_first_entry(c->ld, res), l, who);
		}
		ldap_msgfree(res);
	}
	if (rc == LDAP_SUCCESS && found > 1) {
		complain("ldap-ambiguous", l->base != NULL ? "more than one entry has this login, so nobody does" :
		    "more than one entry has this address, so nobody does", l->whom);
		memset(who, 0, sizeof(*who));
	}
	return rc;
}

bool
ldap_conn_find(struct ldap_conn *c, size_t i, struct span whom, bool login, struct authd_user *who, char *failure,
    size_t size)
{
	bool fresh = c->ld == NULL || c->server != i;
	struct looked l;
	int rc;

	memset(who, 0, sizeof(*who));
	if (!set_looked(c->conf, whom, login, &l))
		return true;	/* too long to be anybody's, or of no domain of ours */
	if (fresh && !open_server(c, i, failure, size))
		return false;
	rc = search_user(c, &l, who);
	/* a connection that was idle may have been closed; that says nothing about the server */
	if (!fresh && (rc == LDAP_SERVER_DOWN || rc == LDAP_CONNECT_ERROR || rc == LDAP_UNAVAILABLE)) {
		if (!open_server(c, i, failure, size))
			return false;
		rc = search_user(c, &l, who);
	}
	return rc == LDAP_SUCCESS || fail(c, rc, "search", failure, size);
}
