/*
 * common/conf.h - a table of options applied to a libconfig file.
 *
 * One row per option; the same rows feed the loader, `-n`, `--options` and the
 * test that every option is in the manual. After loading, the file is walked
 * and every name that no row claimed is refused. All errors are collected,
 * none stops the reading, so that an administrator sees them at once.
 */
#ifndef SALLYPORT_COMMON_CONF_H
#define SALLYPORT_COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/span.h"

enum conf_type {
	CONF_BOOL,	/* bool */
	CONF_INT,	/* int, min..max */
	CONF_STR,	/* char * (owned by the loaded struct; never NULL after loading unless "optional") */
	CONF_CHOICE,	/* int: index into choices[] */
	CONF_STRS,	/* struct conf_strs: an array or list of strings; a lone string counts as one */
	CONF_GROUPS	/* struct conf_groups: a list of groups (or one group), each read by sub[] into size bytes */
};

enum {
	CONF_REQUIRED	= 1 << 0,	/* no default: its absence is an error */
	CONF_OPTIONAL	= 1 << 1,	/* CONF_STR: absent is NULL */
	CONF_RELOADS	= 1 << 2,	/* takes effect on reload; others need a restart */
	CONF_NONEMPTY	= 1 << 3,	/* CONF_STRS, CONF_GROUPS, CONF_STR: at least one, if given */
	CONF_SECRET	= 1 << 4	/* CONF_STR: a file; "$CREDENTIALS_DIRECTORY/" at its beginning is that directory (systemd.exec(5)) */
};

struct conf_item {
	const char		*path;		/* "outer.listen"; in sub[]: relative to the group; NULL ends the table */
	enum conf_type		 type;
	size_t			 at;		/* offsetof() in the struct */
	unsigned		 flags;
	long			 dflt, min, max; /* CONF_BOOL, CONF_INT, CONF_CHOICE (dflt); min = max: 0 to INT_MAX */
	const char		*text;		/* CONF_STR: default, "" if NULL; CONF_STRS: the one default, none if NULL */
	const char *const	*choices;	/* CONF_CHOICE: NULL-ended */
	const struct conf_item	*sub;		/* CONF_GROUPS */
	size_t			 size;		/* CONF_GROUPS: size of one element */
	const char		*help;		/* one sentence, units named */
};

struct conf_str {
	char	*s;
	int	 line;
};
struct conf_strs {
	struct conf_str	*v;
	size_t		 n;
};
struct conf_groups {
	void	*v;		/* n elements of item->size bytes */
	size_t	 n;
	int	*line;		/* line of each */
};

/* Errors; those of one conf_load() in the order of the file. Also the places of what was read. */
struct conf_errors;
struct conf_errors *conf_errors_new(void);
void	 conf_errors_free(struct conf_errors *);
size_t	 conf_errors_count(const struct conf_errors *);
/* "edge.conf:12: outer.max: expects a number from 1 to 65536"; borrowed, valid until freed. */
const char *conf_errors_get(const struct conf_errors *, size_t i);
/* line 0: the file as a whole. file NULL: no place. */
void	 conf_error(struct conf_errors *, const char *file, int line, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
/*
 * Put the errors from number `from` on in the order of their lines, those of file before those of
 * others: for who adds errors to those of conf_load(). All of them must have a file.
 */
void	 conf_errors_sort(struct conf_errors *, size_t from, const char *file);
/* All of them, one a line. */
void	 conf_errors_print(const struct conf_errors *, FILE *);

/*
 * Files that file includes are found relative to its directory.
 *
 * Read file by items into *out (zeroed by the caller, of the struct that the
 * offsets belong to). SP_OK, or, with every error added to errs, SP_EINVAL; SP_EIO
 * when the file could not be read to its end, so that what is missing in *out may
 * stand in the rest. *out is filled as far as possible in each case and must go
 * to conf_unload().
 */
int	 conf_load(const char *file, const struct conf_item *items, void *out, struct conf_errors *errs);
/*
 * The same of a text in memory, which errs calls name. dir: where the files are
 * that it includes; NULL: the working directory. text is borrowed during the call.
 */
int	 conf_load_text(const char *name, struct span text, const char *dir, const struct conf_item *items, void *out,
	    struct conf_errors *errs);
/* Does it include any? Decided by its form alone: no file is touched. */
bool	 conf_includes(struct span text);
/*
 * The text with what it includes in its place, so that it means the same without those files. name and dir
 * as above; max: bytes of the whole. SP_OK with *out (xmalloc'ed, NUL behind it), else *out NULL and errs
 * filled: SP_EINVAL a file that cannot be read, or whose name leads out of dir by ".."; SP_ELIMIT over max.
 * A text that includes nothing comes out as it is.
 */
int	 conf_flatten(const char *name, struct span text, const char *dir, size_t max, char **out, size_t *n,
	    struct conf_errors *errs);
/*
 * The file and the line that a byte of what conf_flatten() has given comes from; arguments as there. SP_OK with *file the caller's to
 * free; else *file is NULL: as there, or SP_ENOENT, at is behind its end.
 */
int	 conf_place(const char *name, struct span text, const char *dir, size_t max, size_t at, char **file, int *line);
/* Free what conf_load() put into *out. Strings are wiped first: some are secrets. */
void	 conf_unload(const struct conf_item *items, void *out);
/*
 * The path of an option that is not CONF_RELOADS and that differs between two loaded structs; of
 * one in a group, that of the group. NULL: none does.
 */
const char *conf_differs(const struct conf_item *items, const void *a, const void *b);

/* What was loaded, in order, as bytes for another process of the same program (common/conf_pack.c). */
void	 conf_pack(const struct conf_item *items, const void *in, FILE *);
/*
 * Those bytes into *out (zeroed), which goes to conf_unload() in any case; they are taken from rest.
 * Lines are 0. False: they are cut, or not what conf_load() could have made by this table.
 */
bool	 conf_unpack(const struct conf_item *items, struct span *rest, void *out);

/*
 * The line where conf_load() saw an option, by its full path ("limits.users",
 * "outer[0].listen"), so that checks that span options can name both lines.
 * 0 when the file does not have it.
 */
int	 conf_line_of(const struct conf_errors *, const char *path);
/* The file of the same: the one that was loaded or one that it includes. Borrowed; NULL when not there. */
const char *conf_file_of(const struct conf_errors *, const char *path);

/* Every row as "path<TAB>type<TAB>default<TAB>help<TAB>reload" (or restart: that it takes), groups as "list[].name". */
void	 conf_print_options(const struct conf_item *items, FILE *);

#endif
