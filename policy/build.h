/*
 * policy/build.h - what the files that build rules share. For policy/ only.
 */
#ifndef SALLYPORT_POLICY_BUILD_H
#define SALLYPORT_POLICY_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"
#include "policy/domain.h"
#include "policy/rules_int.h"

#define BUILD_ERROR_MAX		1024
#define SHOWN_MAX		288	/* 60 bytes, each as \xHH, quotes, and a NUL */
#define REFUSE_OTHERS_MAX	64
#define PARTNER_NAME_MAX	256	/* bytes */
#define ROUTES_MAX		64	/* static routes; they are tried one by one */
#define ROUTE_USER_MAX		128	/* bytes */

struct build_error {
	struct place	 at;
	size_t		 number;	/* in the order found */
	char		*text;
	size_t		 rank;		/* of the file */
};

/* What a key opens: the keys after it that begin with the same word belong to it. */
enum group {
	GROUP_NONE = 0,
	GROUP_PARTNER,
	GROUP_PROVIDER,
	GROUP_BRANCH,
	GROUP_DEFAULT_ROUTE,
	GROUP_ROUTE,
	GROUP_ALLOWED,
	NGROUPS
};

/* What may be said once of a group. */
enum group_key {
	KEY_SERVER = 0,
	KEY_PORT,
	KEY_VERIFICATION,
	KEY_CN,
	KEY_ENABLED,
	KEY_PUBLIC,
	KEY_TRUSTED,
	KEY_MEMBER,
	KEY_PAUSED,
	KEY_REPLACE_HOST,
	KEY_RECORD,
	NGROUP_KEYS
};

/* "Member a may reach the member of this name"; looked up when all are known. */
struct reach_wish {
	size_t		 from;
	const char	*name;		/* borrowed from the pair */
	struct place	 at;
};

/* One policy on its way from pairs to rules. */
struct build {
	struct policy_rules	*rules;
	struct build_error	*errors;
	size_t			 nerrors, maxerrors;
	struct place		 first_ip;	/* the first domain that is an address */
	const char		*first_ip_key;
	struct reach_wish	*wishes;
	size_t			 nwishes;
	/* of the group that is open */
	enum group		 open;
	bool			 domain_seen;
	struct place		 said[NGROUP_KEYS];
};

void	build_error(struct build *, struct place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What an administrator wrote, as it may stand in a message: short and printable. Returns out. */
const char *build_shown(const char *value, char out[SHOWN_MAX]);
/* A domain with its reach into canonical form in buf; false after an error. */
bool	build_read_domain(struct build *, struct place, const char *key, const char *value, char buf[DOMAIN_MAX],
	    struct span *name, enum name_reach *);
/* A host name, or one with '*' in any label but the last; false, without an error, if it is neither. */
bool	build_read_pattern(const char *value, char buf[DOMAIN_MAX], struct span *name, enum name_reach *);

/* A handler of a key: which is the key's own. */
typedef void build_read(struct build *, struct place, const char *key, const char *value, int which);

/* policy/servers.c: which is an enum group; for what is said once of it, GROUP_KEY(). */
#define GROUP_KEY(group, key)	((int)(group) << 8 | (int)(key))
build_read build_read_partner, build_read_provider, build_read_branch, build_read_default_route, build_read_route,
    build_read_allowed, build_read_server, build_read_partner_domain, build_read_reach, build_read_port,
    build_read_word, build_read_flag, build_read_record;
/* The entry that is open, if it is one of that group; NULL after an error. */
struct partner *build_current_entry(struct build *, struct place, const char *key, enum group);
/* The key that opens an entry of that class: "partner", "provider", "branch", "default-route". */
const char *build_class_key(enum policy_class);
/* What "discovered-verification" says. */
build_read build_read_discovered_word;
/* What the open group lacks; called before another opens, and at the end. */
void	build_close_group(struct build *);
/* After all pairs: wishes into bits, routes into their order. */
void	build_finish_servers(struct build *);

/* policy/keys.c: handlers of keys (which is an enum group), and what must hold when all are read. */
build_read build_read_refused_certificate, build_read_key_rule, build_read_pin;
void	build_finish_keys(struct build *);

/* policy/content.c: which is an enum content_key where the key has words to choose from. */
enum content_key { CONTENT_LINKS = 0, CONTENT_FILES, CONTENT_SEALED, CONTENT_OWN, CONTENT_BARE, CONTENT_DIRECTION, CONTENT_WARNING,
	CONTENT_NKEYS };
build_read build_read_content, build_read_content_class, build_read_content_choice, build_read_content_scheme,
    build_read_content_extension, build_read_content_warning;
void	build_finish_content(struct build *);

/* Add an error for every two rules that may not stand together. */
void	build_find_conflicts(struct build *);

#endif
