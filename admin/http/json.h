/*
 * admin/http/json.h - JSON in and out. With api_*.c the only place that knows libjansson.
 */
#ifndef SALLYPORT_ADMIN_HTTP_JSON_H
#define SALLYPORT_ADMIN_HTTP_JSON_H

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "admin/http/site.h"
#include "common/span.h"

#define JSON_FIELDS_MAX	16

enum json_kind { JSON_TEXT = 1, JSON_NUMBER, JSON_FLAG };

/* One field that a request may have. */
struct json_field {
	const char	*name;		/* NULL ends the list */
	enum json_kind	 kind;
	bool		 required;
	/* where it goes: one of them, by kind. Left alone when the field is not there. */
	const char	**text;		/* NUL-terminated, borrowed from the parsed body */
	int64_t		*number;
	bool		*flag;
};

/*
 * The body as an object with these fields and no others, each at most once. NULL after an answer that names the
 * field; else the caller frees it with json_decref() when it is done with the texts. An empty body is an object
 * without fields.
 */
json_t	*json_take(struct site *, struct http_request *, struct http_reply *, const struct json_field *);
/* Pure: the same for bytes. NULL: *status, *field (static or in room) and *detail say why. */
json_t	*json_read(struct span body, const struct json_field *, int *status, char field[64], const char **detail);

/* Text from anywhere as a JSON string. */
json_t	*json_text(struct span);
/* RFC 3339; null for 0. */
json_t	*json_time(time_t);
/* A record as an object, with "kind". */
struct record;
json_t	*json_record(const struct record *);
/* The answer; o is taken. */
void	json_reply(struct http_reply *, int status, json_t *o);
/* RFC 9457. field NULL: none. */
void	json_problem(struct http_reply *, int status, const char *field, const char *detail);
/* The same with everything that is wrong, one a line of lines. */
void	json_problems(struct http_reply *, int status, const char *field, const char *detail, const char *const *lines,
	    size_t n);

#endif
