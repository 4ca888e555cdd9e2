/*
 * admin/accounts.h - who may use the admin page, and what proves it.
 *
 * One account or token a line:
 *
 *	account alice role=operator scrypt=15:8:1:<salt>:<key>
 *	token alice/backup role=viewer sha256=<digest> until=1790000000
 *
 * A token lets a program in by "Authorization: Bearer"; its role is at most that of
 * its account, without which it is nothing. Kept are scrypt's key and the token's
 * digest. The file has mode 0600 and is read by sallyport-admin and sallyportctl.
 */
#ifndef SALLYPORT_ADMIN_ACCOUNTS_H
#define SALLYPORT_ADMIN_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/secretfile.h"
#include "common/span.h"
#include "common/strbuf.h"

#define ACCOUNTS_DEFAULT_FILE	STATEDIR "/admin/accounts"
#define ACCOUNTS_MAX		256	/* accounts in one file */
#define ACCOUNT_TOKENS_MAX	256	/* tokens in one file */
#define ACCOUNT_NAME_MAX	33	/* a name and a NUL: a-z 0-9 . _ -, a letter first */
#define ACCOUNT_PASSWORD_MIN	12	/* bytes of UTF-8 */
#define ACCOUNT_PASSWORD_MAX	256
#define ACCOUNT_SALT		16
#define ACCOUNT_KEY		32
#define ACCOUNT_LOG2N		15	/* scrypt's cost for new passwords: 32 MiB, about a tenth of a second */
#define ACCOUNT_TOKEN_ROOM	72	/* "sallyport_", 43 characters and a NUL */

enum account_role { ACCOUNT_NOBODY = 0, ACCOUNT_VIEWER, ACCOUNT_OPERATOR };

struct account {
	char			name[ACCOUNT_NAME_MAX];
	enum account_role	role;
	unsigned		log2n, r, p;
	unsigned char		salt[ACCOUNT_SALT], key[ACCOUNT_KEY];
};

struct account_token {
	char			account[ACCOUNT_NAME_MAX], label[ACCOUNT_NAME_MAX];
	enum account_role	role;
	unsigned char		digest[32];	/* SHA-256: a token is random, so no slow hash is needed */
	uint64_t		until;		/* seconds since 1970 */
};

struct accounts;

const char *account_role_name(enum account_role);	/* "viewer", "operator"; "nobody" */
bool	 account_role_parse(struct span, enum account_role *);
bool	 account_name_is_good(struct span);

struct accounts *accounts_new(void);
void	 accounts_free(struct accounts *);	/* wipes; NULL: nothing */
/* As secretfile_lines(); *out is the caller's on SP_OK. */
int	 accounts_load(struct accounts **out, const char *path, secretfile_report, void *arg);
int	 accounts_save(const struct accounts *, const char *path);

size_t	 accounts_count(const struct accounts *);
const struct account *accounts_get(const struct accounts *, size_t i);	/* borrowed until the next change */
const struct account *accounts_find(const struct accounts *, struct span name);
size_t	 accounts_token_count(const struct accounts *);
const struct account_token *accounts_token_get(const struct accounts *, size_t i);
/* Copied; replaces one of the same name (and label). SP_OK or SP_ELIMIT. */
int	 accounts_put(struct accounts *, const struct account *);
int	 accounts_put_token(struct accounts *, const struct account_token *);
/* With its tokens. False: there was none. */
bool	 accounts_remove(struct accounts *, struct span name);
bool	 accounts_remove_token(struct accounts *, struct span name, struct span label);

/* SP_EINVAL: too short, too long, not UTF-8 or with a control character. SP_ETLS: OpenSSL refused. */
int	 account_set_password(struct account *, struct span password, unsigned log2n);
/*
 * Is it that password? a NULL: no, after the time that an account of today would
 * have taken, so that nobody learns which names there are. Any thread; takes
 * 32 MiB for a tenth of a second.
 */
bool	 account_proves(const struct account *a, struct span password);
/* A new token as text, and its digest in t. */
void	 account_token_make(struct account_token *t, char out[ACCOUNT_TOKEN_ROOM]);
/*
 * The account and role (at most the account's) that a token stands for at that time (seconds since
 * 1970), or NULL.
 */
const struct account *accounts_by_token(const struct accounts *, struct span token, uint64_t now, enum account_role *);

#endif
