/*
 * admin/accounts.c - see accounts.h.
 */
#include "admin/accounts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/digest.h"
#include "net/scrypt.h"

#define SCRYPT_R	8
#define SCRYPT_P	1
#define TOKEN_BYTES	32
#define TOKEN_HEAD	"sallyport_"

struct accounts {
	struct account		*v;
	struct account_token	*tokens;
	size_t			 n, ntokens;
};

static const char *const role_names[] = { "nobody", "viewer", "operator" };

const char *
account_role_name(enum account_role role)
{
	return role_names[role <= ACCOUNT_OPERATOR ? role : ACCOUNT_NOBODY];
}

bool
account_role_parse(struct span s, enum account_role *role)
{
	for (int i = ACCOUNT_VIEWER; i <= ACCOUNT_OPERATOR; i++)
		if (span_is(s, role_names[i])) {
			*role = (enum account_role)i;
			return true;
		}
	return false;
}

bool
account_name_is_good(struct span s)
{
	if (s.n == 0 || s.n >= ACCOUNT_NAME_MAX || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.' || s.p[i] == '_' ||
		    s.p[i] == '-'))
			return false;
	return true;
}

/* --- the table ----------------------------------------------------------------------- */

struct accounts *
accounts_new(void)
{
	struct accounts *as = xcalloc(1, sizeof(*as));

	as->v = xcalloc(ACCOUNTS_MAX, sizeof(*as->v));
	as->tokens = xcalloc(ACCOUNT_TOKENS_MAX, sizeof(*as->tokens));
	return as;
}

void
accounts_free(struct accounts *as)
{
	if (as == NULL)
		return;
	mem_wipe_free(as->v, ACCOUNTS_MAX * sizeof(*as->v));
	mem_wipe_free(as->tokens, ACCOUNT_TOKENS_MAX * sizeof(*as->tokens));
	free(as);
}

size_t
accounts_count(const struct accounts *as)
{
	return as->n;
}

const struct account *
accounts_get(const struct accounts *as, size_t i)
{
	return &as->v[i];
}

size_t
accounts_token_count(const struct accounts *as)
{
	return as->ntokens;
}

const struct account_token *
accounts_token_get(const struct accounts *as, size_t i)
{
	return &as->tokens[i];
}

const struct account *
accounts_find(const struct accounts *as, struct span name)
{
	for (size_t i = 0; i < as->n; i++)
		if (span_is(name, as->v[i].name))
			return &as->v[i];
	return NULL;
}

int
accounts_put(struct accounts *as, const struct account *a)
{
	size_t i = 0;

	while (i < as->n && strcmp(as->v[i].name, a->name) != 0)
		i++;
	if (i == ACCOUNTS_MAX)
		return SP_ELIMIT;
	as->v[i] = *a;
	if (i == as->n)
		as->n++;
	return SP_OK;
}

static bool
is_token(const struct account_token *t, struct span name, struct span label)
{
	return span_is(name, t->account) && span_is(label, t->label);
}

int
accounts_put_token(struct accounts *as, const struct account_token *t)
{
	size_t i = 0;

	while (i < as->ntokens && !is_token(&as->tokens[i], span_str(t->account), span_str(t->label)))
		i++;
	if (i == ACCOUNT_TOKENS_MAX)
		return SP_ELIMIT;
	as->tokens[i] = *t;
	if (i == as->ntokens)
		as->ntokens++;
	return SP_OK;
}

static void
drop_token(struct accounts *as, size_t i)
{
	memmove(&as->tokens[i], &as->tokens[i + 1], (as->ntokens - i - 1) * sizeof(*as->tokens));
	mem_wipe(&as->tokens[--as->ntokens], sizeof(*as->tokens));
}

bool
accounts_remove_token(struct accounts *as, struct span name, struct span label)
{
	for (size_t i = 0; i < as->ntokens; i++)
		if (is_token(&as->tokens[i], name, label)) {
			drop_token(as, i);
			return true;
		}
	return false;
}

bool
accounts_remove(struct accounts *as, struct span name)
{
	const struct account *a = accounts_find(as, name);
	size_t i;

	if (a == NULL)
		return false;
	for (i = as->ntokens; i-- > 0;)
		if (span_is(name, as->tokens[i].account))
			drop_token(as, i);
	i = (size_t)(a - as->v);
	memmove(&as->v[i], &as->v[i + 1], (as->n - i - 1) * sizeof(*as->v));
	mem_wipe(&as->v[--as->n], sizeof(*as->v));
	return true;
}

/* --- one line --------------------------------------------------------------------------- */

static bool
read_hex(struct span s, unsigned char *out, size_t size)
{
	if (s.n != 2 * size)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (v < 0)
			return false;
		out[i / 2] = (unsigned char)(i % 2 == 0 ? v << 4 : out[i / 2] | v);
	}
	return true;
}

/* What stands before c, which is taken too; the rest when there is none. */
static struct span
cut(struct span *rest, char c)
{
	struct span head = span_head(*rest, span_find(*rest, c));

	*rest = span_tail(*rest, head.n + 1);
	return head;
}

static bool
read_number(struct span s, unsigned max, unsigned *out)
{
	uint64_t v;

	if (!span_uint(s, max, &v))
		return false;
	*out = (unsigned)v;
	return true;
}

static bool
read_scrypt(struct span s, struct account *a)
{
	return read_number(cut(&s, ':'), NET_SCRYPT_LOG2N_MAX, &a->log2n) && a->log2n >= NET_SCRYPT_LOG2N_MIN &&
	    read_number(cut(&s, ':'), NET_SCRYPT_R_MAX, &a->r) && a->r != 0 &&
	    read_number(cut(&s, ':'), NET_SCRYPT_P_MAX, &a->p) && a->p != 0 &&
	    read_hex(cut(&s, ':'), a->salt, sizeof(a->salt)) && read_hex(s, a->key, sizeof(a->key));
}

static bool
read_name(struct span s, char out[ACCOUNT_NAME_MAX])
{
	if (!account_name_is_good(s))
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

/* The value of the next word, which must be key=value. */
static bool
take(struct span *rest, const char *key, struct span *value)
{
	struct span word = cut(rest, ' '), name = cut(&word, '=');

	*value = word;
	return span_is(name, key);
}

static const char *
take_account(struct accounts *as, struct span rest)
{
	struct account a = { .log2n = 0 };
	struct span role, key;
	const char *why = NULL;

	if (!read_name(cut(&rest, ' '), a.name))
		why = "an account's name is up to 32 of a-z, 0-9, '.', '_' and '-', a letter first";
	else if (!take(&rest, "role", &role) || !account_role_parse(role, &a.role))
		why = "role=viewer or role=operator is missing";
	else if (!take(&rest, "scrypt", &key) || !read_scrypt(key, &a) || rest.n != 0)
		why = "scrypt=log2n:r:p:salt:key is missing or has another form";
	else if (accounts_find(as, span_str(a.name)) != NULL)
		why = "this account is there already";
	else if (accounts_put(as, &a) != SP_OK)
		why = "there are too many accounts";
	mem_wipe(&a, sizeof(a));
	return why;
}

static const char *
take_token(struct accounts *as, struct span rest)
{
	struct account_token t = { .until = 0 };
	struct span names = cut(&rest, ' '), account = cut(&names, '/'), role, digest, until;
	size_t before = as->ntokens;
	const char *why = NULL;

	if (!read_name(account, t.account) || !read_name(names, t.label))
		why = "a token is named account/label";
	else if (!take(&rest, "role", &role) || !account_role_parse(role, &t.role))
		why = "role=viewer or role=operator is missing";
	else if (!take(&rest, "sha256", &digest) || !read_hex(digest, t.digest, sizeof(t.digest)))
		why = "sha256= with 64 digits is missing";
	else if (!take(&rest, "until", &until) || !span_uint(until, INT64_MAX, &t.until) || rest.n != 0)
		why = "until= with seconds since 1970 is missing";
	else if (accounts_put_token(as, &t) != SP_OK)
		why = "there are too many tokens";
	else if (as->ntokens == before)
		why = "this token is there already";
	mem_wipe(&t, sizeof(t));
	return why;
}

struct loading {
	struct accounts		*as;
	secretfile_report	 report;
	void			*arg;
};

static int
take_line(void *arg, struct span text, int line)
{
	struct loading *l = arg;
	struct span kind = cut(&text, ' ');
	const char *why = span_is(kind, "account") ? take_account(l->as, text) :
	    span_is(kind, "token") ? take_token(l->as, text) : "the line begins with neither account nor token";

	if (why != NULL)
		l->report(l->arg, line, why);
	return why == NULL ? SP_OK : SP_EINVAL;
}

int
accounts_load(struct accounts **out, const char *path, secretfile_report report, void *arg)
{
	struct loading l = { accounts_new(), report, arg };
	int err = secretfile_lines(path, report, arg, take_line, &l), keep = errno;

	*out = err == SP_OK ? l.as : NULL;
	if (err != SP_OK)
		accounts_free(l.as);
	errno = keep;
	return err;
}

static int
write_lines(const void *arg, int fd)
{
	const struct accounts *as = arg;
	char text[SECRETFILE_LINE_MAX];
	struct strbuf sb;
	static const char head[] = "# Written by sallyportctl admin-user. Keep it secret.\n";
	int err = secretfile_write(fd, head, sizeof(head) - 1);

	for (size_t i = 0; i < as->n && err == SP_OK; i++) {
		const struct account *a = &as->v[i];

		strbuf_init(&sb, text, sizeof(text));
		strbuf_printf(&sb, "account %s role=%s scrypt=%u:%u:%u:", a->name, account_role_name(a->role), a->log2n, a->r,
		    a->p);
		strbuf_hex(&sb, a->salt, sizeof(a->salt), false);
		strbuf_putc(&sb, ':');
		strbuf_hex(&sb, a->key, sizeof(a->key), false);
		strbuf_putc(&sb, '\n');
		err = secretfile_write(fd, sb.p, sb.len);
	}
	for (size_t i = 0; i < as->ntokens && err == SP_OK; i++) {
		const struct account_token *t = &as->tokens[i];

		strbuf_init(&sb, text, sizeof(text));
		strbuf_printf(&sb, "token %s/%s role=%s sha256=", t->account, t->label, account_role_name(t->role));
		strbuf_hex(&sb, t->digest, sizeof(t->digest), false);
		strbuf_printf(&sb, " until=%" PRIu64 "\n", t->until);
		err = secretfile_write(fd, sb.p, sb.len);
	}
	mem_wipe(text, sizeof(text));
	return err;
}

int
accounts_save(const struct accounts *as, const char *path)
{
	return secretfile_replace(path, write_lines, as);
}

/* --- proofs ------------------------------------------------------------------------------- */

static bool
is_password(struct span s)
{
	if (s.n < ACCOUNT_PASSWORD_MIN || s.n > ACCOUNT_PASSWORD_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

int
account_set_password(struct account *a, struct span password, unsigned log2n)
{
	if (!is_password(password))
		return SP_EINVAL;
	a->log2n = log2n;
	a->r = SCRYPT_R;
	a->p = SCRYPT_P;
	mem_random(a->salt, sizeof(a->salt));
	return net_scrypt(password, span_of((char *)a->salt, sizeof(a->salt)), a->log2n, a->r, a->p, a->key, sizeof(a->key));
}

bool
account_proves(const struct account *a, struct span password)
{
	static const struct account nobody = { .log2n = ACCOUNT_LOG2N, .r = SCRYPT_R, .p = SCRYPT_P };
	const struct account *of = a != NULL ? a : &nobody;
	unsigned char key[ACCOUNT_KEY];
	bool good;

	/* a longer one cannot be right and need not be hashed as a whole */
	good = net_scrypt(span_head(password, ACCOUNT_PASSWORD_MAX + 1), span_of((const char *)of->salt, sizeof(of->salt)),
	    of->log2n, of->r, of->p, key, sizeof(key)) == SP_OK && mem_equal_secret(key, of->key, sizeof(key));
	mem_wipe(key, sizeof(key));
	return good && a != NULL;
}

static void
digest_of(struct span token, unsigned char out[32])
{
	unsigned char digest[NET_DIGEST_MAX];

	net_digest(NET_DIGEST_SHA256, &token, 1, digest);
	memcpy(out, digest, 32);
}

void
account_token_make(struct account_token *t, char out[ACCOUNT_TOKEN_ROOM])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char bytes[TOKEN_BYTES];
	struct strbuf sb;
	unsigned have = 0, bits = 0;

	mem_random(bytes, sizeof(bytes));
	strbuf_init(&sb, out, ACCOUNT_TOKEN_ROOM);
	strbuf_puts(&sb, TOKEN_HEAD);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		have = have << 8 | bytes[i];
		for (bits += 8; bits >= 6; bits -= 6)
			strbuf_putc(&sb, digits[have >> (bits - 6) & 63]);
	}
	strbuf_putc(&sb, digits[have << (6 - bits) & 63]);
	mem_wipe(bytes, sizeof(bytes));
	digest_of(strbuf_span_of(&sb), t->digest);
}

const struct account *
accounts_by_token(const struct accounts *as, struct span token, uint64_t now, enum account_role *role)
{
	const struct account *found = NULL;
	unsigned char digest[32];

	*role = ACCOUNT_NOBODY;
	if (token.n >= ACCOUNT_TOKEN_ROOM)
		return NULL;
	digest_of(token, digest);
	for (size_t i = 0; i < as->ntokens; i++) {
		const struct account_token *t = &as->tokens[i];

		if (!mem_equal_secret(digest, t->digest, sizeof(digest)) || now >= t->until)
			continue;
		if ((found = accounts_find(as, span_str(t->account))) != NULL)
			*role = t->role < found->role ? t->role : found->role;
	}
	return found;
}
