/*
 * admin/record.h - what goes over the control socket: typed frames of named fields.
 *
 * A record is a kind ("connection") and up to RECORD_FIELDS named fields, each
 * text, integer, bool, time, or an item of a list: fields of one name that are
 * all items make one list. Whoever prints a record needs to know nothing of its
 * kind. Text is data, perhaps an outsider's: any bytes, and whoever shows it
 * escapes it (record_print_text(), record_print_json() do).
 *
 * Frames are those of common/proc.h. An asker sends ASK: the protocol's
 * version and a record whose kind is the request's name and whose fields are its
 * arguments; a file descriptor may come with it (SCM_RIGHTS, with its first
 * byte). The answer is any number of RECORDs and one END with the same tag. One
 * request at a time on a connection; the next may follow the END. An END of tag 0
 * says why the connection is closed before anything was asked.
 */
#ifndef SALLYPORT_ADMIN_RECORD_H
#define SALLYPORT_ADMIN_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "common/proc.h"
#include "common/span.h"

#define RECORD_VERSION	1
#define RECORD_FIELDS	128	/* of one record */
#define RECORD_NAME_MAX	48	/* bytes of a kind or field's name: a-z 0-9 _ -, a letter first */
#define RECORD_MAX	(FRAME_MAX - 16)	/* bytes of one record */
#define RECORD_TEXT_MAX	65000	/* bytes of one text; what is longer is cut */
#define RECORD_SMALL	4096	/* storage that does for most records */

enum record_frame {
	RECORD_FRAME_ASK = 1,	/* u8 version, record */
	RECORD_FRAME_RECORD,	/* record */
	RECORD_FRAME_END	/* u8 sysexits status, u8 cut (1: there was more), text: why, or "" */
};

enum record_type {
	RECORD_TEXT = 1,
	RECORD_INT,		/* 64 bits, signed */
	RECORD_BOOL,
	RECORD_TIME,		/* seconds since 1970, UTC; 0: never */
	RECORD_ITEM		/* text: an item of the list that has this name */
};

/* ---- writing: over the caller's storage; what does not fit marks it as failed ---- */

struct record_field;
struct record_writer {
	struct frame_writer	 w;
	size_t			 count_at;	/* where the number of fields stands */
	unsigned		 n;
};
/* kind: ours. size: at most RECORD_MAX counts. */
void	record_begin(struct record_writer *, unsigned char *storage, size_t size, const char *kind);
/* name: ours, as above. */
void	record_text(struct record_writer *, const char *name, struct span value);
void	record_str(struct record_writer *, const char *name, const char *value);	/* NULL: nothing is written */
void	record_item(struct record_writer *, const char *name, struct span value);
void	record_int(struct record_writer *, const char *name, int64_t);
void	record_bool(struct record_writer *, const char *name, bool);
void	record_time(struct record_writer *, const char *name, time_t);
void	record_field(struct record_writer *, const struct record_field *);	/* of another record */
void	record_printf(struct record_writer *, const char *name, const char *fmt, ...)	/* at most 1023 bytes */
	    __attribute__((format(printf, 3, 4)));
/* True: it is whole. The bytes are storage's, w.len of them. */
bool	record_ok(const struct record_writer *);
static inline struct span
record_written(const struct record_writer *r)
{
	return span_of((const char *)r->w.p, r->w.len);
}

/* ---- reading: borrowed bytes ---- */

struct record {
	struct span	 kind;
	unsigned	 n;		/* fields */
	const unsigned char *fields;
	size_t		 len;		/* bytes of them */
};
struct record_field {
	struct span	 name;
	enum record_type type;
	struct span	 text;		/* TEXT, ITEM */
	int64_t		 number;	/* INT, BOOL (0, 1), TIME */
};
/* The bytes as a record, checked completely; false: they are none. Borrows them. */
bool	record_parse(struct record *, struct span bytes);
/* In order: *at begins as 0; false: there are no more. */
bool	record_next(const struct record *, size_t *at, struct record_field *);
/* The first field of that name; false: none. */
bool	record_find(const struct record *, const char *name, struct record_field *);
/* The same with a type: "" (never NULL pointers inside), or dflt, when there is none of that type. */
struct span record_get_text(const struct record *, const char *name);
int64_t	record_get_int(const struct record *, const char *name, int64_t dflt);	/* also BOOL and TIME */

/* ---- showing ---- */

/* An outsider's text as a person may see it: printable ASCII as it is, all other bytes as \xHH. */
void	record_print_escaped(FILE *, struct span);
/* One line: key=value key="value with spaces" …; and the same without the field of that name. */
void	record_print_line(FILE *, const struct record *);
void	record_print_line_but(FILE *, const struct record *, const char *but);
/* "name: value" lines, values in one column; lists with commas. */
void	record_print_card(FILE *, const struct record *);
/* An object, with "kind" first if with_kind; ASCII only; times as "2026-11-20T12:00:00Z", one that is 0 as null. */
void	record_print_json(FILE *, const struct record *, bool with_kind);
/* Text as a JSON string with its quotes; bytes that are not UTF-8 are U+FFFD. */
void	record_print_json_text(FILE *, struct span);

/* Many records of one kind as a table: they are kept until it is printed. */
struct record_table;
struct record_table *record_table_new(void);
void	record_table_free(struct record_table *);
void	record_table_add(struct record_table *, const struct record *);	/* copied */
size_t	record_table_count(const struct record_table *);
/* One card after the other, an empty line between. */
void	record_table_print_cards(const struct record_table *, FILE *);
/* Columns by the names of all fields in the order first seen; header in capitals. */
void	record_table_print(const struct record_table *, FILE *);
/*
 * The same two within width columns (0: as wide as they are). A table that is wider goes on in lines that are set in,
 * its header too; what is longer than a line is broken at spaces, and a word that is longer stays whole.
 */
void	record_table_print_cards_in(const struct record_table *, FILE *, size_t width);
void	record_table_print_in(const struct record_table *, FILE *, size_t width);
/* Text that begins in column at and goes on in lines that begin in column left. Escaped already. */
void	record_print_wrapped(FILE *, struct span text, size_t at, size_t left, size_t width);

#endif
