/*
 * admin/users.c - the embedded user file: who there is, and what proves it.
 */
#include "admin/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/secretfile.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"
#include "net/digest.h"

#define LINE_MAX_BYTES	SECRETFILE_LINE_MAX

struct users {
	struct user	*v;
	size_t		 n, room;
	uint32_t	*slot;		/* index + 1 into v; a power of two of them, at most half full */
	size_t		 nslots;
};

/* --- one user ------------------------------------------------------------------ */

static bool
is_host_name(struct span s)
{
	size_t label = 0;

	if (s.n == 0 || s.n >= USER_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = span_lower((unsigned char)s.p[i]);

		if (c == '.') {
			if (label == 0 || s.p[i - 1] == '-')
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && label != 0)) {
			if (++label > 63)
				return false;
		} else
			return false;
	}
	return label != 0 && s.p[s.n - 1] != '-';
}

static void
copy_lower(char *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		out[i] = (char)span_lower((unsigned char)s.p[i]);
	out[s.n] = '\0';
}

int
user_set_aor(struct user *u, struct span aor)
{
	size_t at = span_find(aor, '@');
	struct span name = span_head(aor, at);

	if (at == aor.n || at == 0 || aor.n >= USER_AOR_MAX || !is_host_name(span_tail(aor, at + 1)))
		return SP_EINVAL;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		/* RFC 3261's unreserved and user-unreserved, without those that mean something here or in a URI */
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) &&
		    (c == '\0' || strchr("-_.!~*'()&=+$", c) == NULL))
			return SP_EINVAL;
	}
	copy_lower(u->aor, aor);
	return SP_OK;
}

int
user_set_pool(struct user *u, struct span name)
{
	if (!is_host_name(name))
		return SP_EINVAL;
	copy_lower(u->pool, name);
	return SP_OK;
}

static bool
is_realm(struct span s)
{
	if (s.n == 0 || s.n >= USER_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == 0x7f || c == '"' || c == '\\')
			return false;
	}
	return true;
}

/* UTF-8 to UTF-16, little endian; false if it is no UTF-8 (RFC 3629) or has control characters. */
static bool
utf16(struct span in, unsigned char *out, size_t *n)
{
	static const uint32_t least[4] = { 0, 0x80, 0x800, 0x10000 };

	*n = 0;
	for (size_t i = 0; i < in.n;) {
		unsigned char c = (unsigned char)in.p[i++];
		unsigned more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 :
		    c >= 0xf0 && c < 0xf5 ? 3 : 4;
		uint32_t v = more == 0 ? c : c & (0x3fu >> more);

		if (more == 4 || in.n - i < more || v == 0x7f)
			return false;
		for (unsigned k = 0; k < more; k++, i++) {
			if (((unsigned char)in.p[i] & 0xc0) != 0x80)
				return false;
			v = v << 6 | ((unsigned char)in.p[i] & 0x3f);
		}
		if (v < ' ' || v < least[more] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
			return false;
		for (unsigned unit = v > 0xffff ? 2 : 1; unit > 0; unit--) {
			uint32_t w = v <= 0xffff ? v : unit == 2 ? 0xd800 + ((v - 0x10000) >> 10) :
			    0xdc00 + ((v - 0x10000) & 0x3ff);

			out[(*n)++] = (unsigned char)w;
			out[(*n)++] = (unsigned char)(w >> 8);
		}
	}
	return true;
}

static void
hash(enum net_digest_kind kind, const struct span parts[5], unsigned char *out)
{
	unsigned char digest[NET_DIGEST_MAX];

	memcpy(out, digest, net_digest(kind, parts, 5, digest));
	mem_wipe(digest, sizeof(digest));
}

int
user_set_password(struct user *u, struct span realm, struct span password)
{
	unsigned char wide[2 * USER_PASSWORD_MAX];
	struct span aor = span_str(u->aor), name = span_head(aor, span_find(aor, '@'));
	struct span parts[5] = { name, SPAN_LIT(":"), realm, SPAN_LIT(":"), password };
	size_t n = 0;
	int err = SP_EINVAL;

	if (span_is_empty(realm))
		parts[2] = realm = span_tail(aor, name.n + 1);
	if (!is_realm(realm) || password.n == 0 || password.n > USER_PASSWORD_MAX || !utf16(password, wide, &n))
		goto out;
	memcpy(u->realm, realm.p, realm.n);
	u->realm[realm.n] = '\0';
	hash(NET_DIGEST_MD5, parts, u->md5);
	hash(NET_DIGEST_SHA256, parts, u->sha256);
	parts[0] = aor;
	hash(NET_DIGEST_MD5, parts, u->md5_full);
	hash(NET_DIGEST_SHA256, parts, u->sha256_full);
	net_md4(span_of((char *)wide, n), u->nt);
	err = SP_OK;
 out:
	mem_wipe(wide, sizeof(wide));
	return err;
}

/* --- one line ------------------------------------------------------------------- */

enum kind { FLAG, HEX, POOL, REALM };

static const struct field {
	const char	*key;
	enum kind	 kind;
	size_t		 at, size;
	bool		 required;
} fields[] = {
	{ "pool", POOL, 0, 0, true },
	{ "enabled", FLAG, offsetof(struct user, enabled), 0, false },
	{ "remote", FLAG, offsetof(struct user, remote), 0, false },
	{ "federation", FLAG, offsetof(struct user, federation), 0, false },
	{ "public-im", FLAG, offsetof(struct user, public_im), 0, false },
	{ "archive", FLAG, offsetof(struct user, archive), 0, false },
	{ "realm", REALM, 0, 0, true },
	{ "md5", HEX, offsetof(struct user, md5), USER_MD5_SIZE, true },
	{ "md5-full", HEX, offsetof(struct user, md5_full), USER_MD5_SIZE, true },
	{ "sha-256", HEX, offsetof(struct user, sha256), USER_SHA256_SIZE, true },
	{ "sha-256-full", HEX, offsetof(struct user, sha256_full), USER_SHA256_SIZE, true },
	{ "nt", HEX, offsetof(struct user, nt), NET_MD4_SIZE, true }
};
#define NFIELDS	(sizeof(fields) / sizeof(fields[0]))

static int
nibble(unsigned char c)
{
	c = span_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
read_hex(struct span s, unsigned char *out, size_t size)
{
	if (s.n != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++) {
		int hi = nibble((unsigned char)s.p[2 * i]), lo = nibble((unsigned char)s.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

/* A realm may hold spaces and the like: those and '%' are written as %XX. */
static bool
read_realm(struct span s, char out[USER_NAME_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (n + 1 >= USER_NAME_MAX)
			return false;
		if (c == '%') {
			if (s.n - i < 3 || !read_hex(span_of(s.p + i + 1, 2), &c, 1))
				return false;
			i += 2;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return is_realm(span_of(out, n));
}

static bool
read_field(struct user *u, const struct field *f, struct span value)
{
	void *at = (char *)u + f->at;

	switch (f->kind) {
	case FLAG:
		*(bool *)at = span_is(value, "yes");
		return span_is(value, "yes") || span_is(value, "no");
	case HEX:
		return read_hex(value, at, f->size);
	case POOL:
		return user_set_pool(u, value) == SP_OK;
	case REALM:
		return read_realm(value, u->realm);
	}
	return false;
}

/* The next word of a line, or an empty span at its end. */
static struct span
next_word(struct span *rest)
{
	struct span word;

	*rest = span_trim(*rest);
	word = span_head(*rest, span_find(*rest, ' '));
	*rest = span_tail(*rest, word.n);
	return word;
}

int
user_parse(struct user *u, struct span line, const char **why)
{
	bool seen[NFIELDS] = { false };
	struct span rest = line, word;

	memset(u, 0, sizeof(*u));
	u->enabled = u->remote = u->federation = true;
	if (user_set_aor(u, next_word(&rest)) != SP_OK) {
		*why = "the line does not begin with user@domain";
		return SP_ESYNTAX;
	}
	while (!span_is_empty(word = next_word(&rest))) {
		size_t eq = span_find(word, '='), i = 0;

		while (i < NFIELDS && !span_is(span_head(word, eq), fields[i].key))
			i++;
		if (eq == word.n || i == NFIELDS) {
			*why = "a word is not one of the known name=value pairs";
			return SP_ESYNTAX;
		}
		if (seen[i] || !read_field(u, &fields[i], span_tail(word, eq + 1))) {
			*why = seen[i] ? "a name is there twice" : "a value does not have the form that its name asks for";
			return SP_ESYNTAX;
		}
		seen[i] = true;
	}
	for (size_t i = 0; i < NFIELDS; i++)
		if (fields[i].required && !seen[i]) {
			*why = "the pool, the realm or one of the hashes is missing";
			return SP_ESYNTAX;
		}
	return SP_OK;
}

void
user_format(const struct user *u, struct strbuf *out)
{
	strbuf_puts(out, u->aor);
	for (size_t i = 0; i < NFIELDS; i++) {
		const struct field *f = &fields[i];
		const void *at = (const char *)u + f->at;

		strbuf_printf(out, " %s=", f->key);
		switch (f->kind) {
		case FLAG:
			strbuf_puts(out, *(const bool *)at ? "yes" : "no");
			break;
		case HEX:
			strbuf_hex(out, at, f->size, false);
			break;
		case POOL:
			strbuf_puts(out, u->pool);
			break;
		case REALM:
			for (const char *p = u->realm; *p != '\0'; p++) {
				if (*p > ' ' && *p < 0x7f && *p != '%')
					strbuf_putc(out, *p);
				else
					strbuf_printf(out, "%%%02X", (unsigned char)*p);
			}
			break;
		}
	}
}

/* --- the table -------------------------------------------------------------------- */

struct users *
users_new(void)
{
	return xcalloc(1, sizeof(struct users));
}

void
users_free(struct users *us)
{
	if (us == NULL)
		return;
	mem_wipe_free(us->v, us->room * sizeof(*us->v));
	free(us->slot);
	free(us);
}

size_t
users_count(const struct users *us)
{
	return us->n;
}

const struct user *
users_get(const struct users *us, size_t i)
{
	return &us->v[i];
}

/* The slot that holds aor, or the free one where it would go. There is always a free one. */
static size_t
slot_of(const struct users *us, struct span aor)
{
	size_t i = (size_t)hash_nocase(aor) & (us->nslots - 1);

	while (us->slot[i] != 0 && !span_ieq(span_str(us->v[us->slot[i] - 1].aor), aor))
		i = (i + 1) & (us->nslots - 1);
	return i;
}

static void
rebuild(struct users *us)
{
	size_t want = 16;

	while (want < us->room * 2)
		want *= 2;
	free(us->slot);
	us->slot = xcalloc(want, sizeof(*us->slot));
	us->nslots = want;
	for (size_t i = 0; i < us->n; i++)
		us->slot[slot_of(us, span_str(us->v[i].aor))] = (uint32_t)i + 1;
}

/* Not realloc(): it would leave the old copy of every hash in freed memory. */
static void
grow(struct users *us)
{
	size_t room = us->room == 0 ? 64 : us->room * 2;
	struct user *v = xcalloc(room, sizeof(*v));

	if (us->n != 0)
		memcpy(v, us->v, us->n * sizeof(*v));
	mem_wipe_free(us->v, us->room * sizeof(*v));
	us->v = v;
	us->room = room;
	rebuild(us);
}

const struct user *
users_find(const struct users *us, struct span aor)
{
	uint32_t i = us->nslots != 0 ? us->slot[slot_of(us, aor)] : 0;

	return i != 0 ? &us->v[i - 1] : NULL;
}

int
users_put(struct users *us, const struct user *u)
{
	size_t at;

	if (us->n == us->room && us->n < USERS_MAX)
		grow(us);
	at = slot_of(us, span_str(u->aor));
	if (us->slot[at] == 0) {
		if (us->n == USERS_MAX)
			return SP_ELIMIT;
		us->slot[at] = (uint32_t)++us->n;
	}
	us->v[us->slot[at] - 1] = *u;
	return SP_OK;
}

bool
users_remove(struct users *us, struct span aor)
{
	const struct user *u = users_find(us, aor);
	size_t i;

	if (u == NULL)
		return false;
	i = (size_t)(u - us->v);
	memmove(&us->v[i], &us->v[i + 1], (us->n - i - 1) * sizeof(*us->v));
	us->n--;
	mem_wipe(&us->v[us->n], sizeof(*us->v));
	rebuild(us);
	return true;
}

/* --- the file ------------------------------------------------------------------------ */

/* What a load has so far. */
struct loading {
	struct users	*us;
	users_report	 report;
	void		*arg;
};

static int
take_line(void *arg, struct span text, int line)
{
	struct loading *l = arg;
	struct user u;
	const char *why = NULL;
	int err = user_parse(&u, text, &why);

	if (err == SP_OK && users_find(l->us, span_str(u.aor)) != NULL) {
		err = SP_EINVAL;
		why = "this user is there already";
	}
	if (err == SP_OK && (err = users_put(l->us, &u)) != SP_OK)
		why = "there are too many users";
	if (err != SP_OK)
		l->report(l->arg, line, why);
	mem_wipe(&u, sizeof(u));
	return err;
}

int
users_load(struct users **out, const char *path, users_report report, void *arg)
{
	struct loading l = { users_new(), report, arg };
	int err = secretfile_lines(path, report, arg, take_line, &l), keep = errno;

	*out = err == SP_OK ? l.us : NULL;
	if (err != SP_OK)
		users_free(l.us);
	errno = keep;
	return err;
}

static int
write_users(const void *arg, int fd)
{
	const struct users *us = arg;
	char text[LINE_MAX_BYTES];
	struct strbuf sb;
	int err = secretfile_write(fd, "# Written by sallyportctl user. Keep it secret.\n", 48);

	for (size_t i = 0; err == SP_OK && i < us->n; i++) {
		strbuf_init(&sb, text, sizeof(text));
		user_format(&us->v[i], &sb);
		strbuf_putc(&sb, '\n');
		if (!strbuf_ok(&sb)) {
			errno = E2BIG;
			err = SP_EIO;
		} else
			err = secretfile_write(fd, sb.p, sb.len);
	}
	mem_wipe(text, sizeof(text));
	return err;
}

int
users_save(const struct users *us, const char *path)
{
	return secretfile_replace(path, write_users, us);
}

int
users_lock(const char *path, unsigned wait_ms, int *fd)
{
	return secretfile_lock(path, wait_ms, fd);
}

void
users_unlock(int fd)
{
	secretfile_unlock(fd);
}
