/*
 * admin/record.c - see record.h: writing and reading. Showing is recordshow.c's.
 */
#include "admin/record.h"

#include <stdarg.h>
#include <string.h>

/* ---- writing ---- */

static size_t
text_room(const struct frame_writer *w)
{
	size_t left = w->max - w->len;

	return left < 2 ? 0 : left - 2;
}

void
record_begin(struct record_writer *r, unsigned char *storage, size_t size, const char *kind)
{
	frame_writer_init(&r->w, storage, size < RECORD_MAX ? size : RECORD_MAX);
	frame_put_text(&r->w, kind, strlen(kind));
	r->count_at = r->w.len;
	r->n = 0;
	frame_put_u8(&r->w, 0);
}

static void
begin_field(struct record_writer *r, enum record_type type, const char *name)
{
	if (r->n >= RECORD_FIELDS)
		r->w.failed = 1;
	frame_put_u8(&r->w, (uint8_t)type);
	frame_put_text(&r->w, name, strlen(name));
	if (!r->w.failed)
		r->w.p[r->count_at] = (unsigned char)++r->n;
}

static void
put_text(struct record_writer *r, enum record_type type, const char *name, struct span value)
{
	size_t n = value.n < RECORD_TEXT_MAX ? value.n : RECORD_TEXT_MAX;

	begin_field(r, type, name);
	if (n > text_room(&r->w))
		r->w.failed = 1;
	frame_put_text(&r->w, n != 0 ? value.p : "", n);
}

void
record_text(struct record_writer *r, const char *name, struct span value)
{
	put_text(r, RECORD_TEXT, name, value);
}

void
record_str(struct record_writer *r, const char *name, const char *value)
{
	if (value != NULL)
		put_text(r, RECORD_TEXT, name, span_str(value));
}

void
record_item(struct record_writer *r, const char *name, struct span value)
{
	put_text(r, RECORD_ITEM, name, value);
}

void
record_int(struct record_writer *r, const char *name, int64_t value)
{
	begin_field(r, RECORD_INT, name);
	frame_put_u64(&r->w, (uint64_t)value);
}

void
record_bool(struct record_writer *r, const char *name, bool value)
{
	begin_field(r, RECORD_BOOL, name);
	frame_put_u8(&r->w, value);
}

void
record_time(struct record_writer *r, const char *name, time_t value)
{
	begin_field(r, RECORD_TIME, name);
	frame_put_u64(&r->w, (uint64_t)value);
}

void
record_printf(struct record_writer *r, const char *name, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	record_str(r, name, text);
}

void
record_field(struct record_writer *r, const struct record_field *f)
{
	char name[RECORD_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(f->name));
	switch (f->type) {
	case RECORD_TEXT:
	case RECORD_ITEM:
		put_text(r, f->type, name, f->text);
		break;
	case RECORD_INT:
		record_int(r, name, f->number);
		break;
	case RECORD_BOOL:
		record_bool(r, name, f->number != 0);
		break;
	case RECORD_TIME:
		record_time(r, name, (time_t)f->number);
		break;
	}
}

bool
record_ok(const struct record_writer *r)
{
	return !r->w.failed;
}

/* ---- reading ---- */

static bool
is_name(struct span s)
{
	if (s.n == 0 || s.n > RECORD_NAME_MAX || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' ||
		    s.p[i] == '-'))
			return false;
	return true;
}

/* One field off r; false: there is none, or a wrong one. */
static bool
take_field(struct frame_reader *r, struct record_field *f)
{
	*f = (struct record_field){ .type = (enum record_type)frame_u8(r) };
	f->name.p = frame_text(r, &f->name.n);
	if (r->failed || !is_name(f->name))
		return false;
	switch (f->type) {
	case RECORD_TEXT:
	case RECORD_ITEM:
		f->text.p = frame_text(r, &f->text.n);
		break;
	case RECORD_BOOL:
		f->number = frame_u8(r);
		if (f->number > 1)
			return false;
		break;
	case RECORD_INT:
	case RECORD_TIME:
		f->number = (int64_t)frame_u64(r);
		break;
	default:
		return false;
	}
	return !r->failed;
}

static void
reader_of(struct frame_reader *r, struct span bytes)
{
	struct frame f = { .body = (const unsigned char *)bytes.p, .len = bytes.n };

	frame_reader_init(r, &f);
}

bool
record_parse(struct record *out, struct span bytes)
{
	struct frame_reader r;
	struct record_field f;

	*out = (struct record){ .n = 0 };
	reader_of(&r, bytes);
	out->kind.p = frame_text(&r, &out->kind.n);
	out->n = frame_u8(&r);
	if (r.failed || !is_name(out->kind) || out->n > RECORD_FIELDS)
		return false;
	out->fields = r.p;
	out->len = r.n;
	for (unsigned i = 0; i < out->n; i++)
		if (!take_field(&r, &f))
			return false;
	return frame_done(&r) != 0;
}

bool
record_next(const struct record *rec, size_t *at, struct record_field *f)
{
	struct frame_reader r;

	if (*at >= rec->len)
		return false;
	reader_of(&r, span_of((const char *)rec->fields + *at, rec->len - *at));
	if (!take_field(&r, f))
		return false;
	*at = rec->len - r.n;
	return true;
}

bool
record_find(const struct record *rec, const char *name, struct record_field *f)
{
	size_t at = 0;

	while (record_next(rec, &at, f))
		if (span_is(f->name, name))
			return true;
	return false;
}

struct span
record_get_text(const struct record *rec, const char *name)
{
	struct record_field f;

	if (record_find(rec, name, &f) && (f.type == RECORD_TEXT || f.type == RECORD_ITEM) && f.text.n != 0)
		return f.text;
	return SPAN_LIT("");
}

int64_t
record_get_int(const struct record *rec, const char *name, int64_t dflt)
{
	struct record_field f;

	return record_find(rec, name, &f) && f.type != RECORD_TEXT && f.type != RECORD_ITEM ? f.number : dflt;
}
