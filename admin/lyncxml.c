/*
 * admin/lyncxml.c - what Export-Clixml writes; see lync.h.
 *
 * An <Obj> has its type names in <TN> (or a <TNRef> to those of an earlier one), properties in <Props> and <MS>, each an
 * element with its name in the attribute N, and its text in <ToString>. A property that is an object itself, an
 * enumeration for example, is known by that object's text. A collection has its objects in <LST> or <IE>.
 */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/lync_int.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define TYPES_MAX	4096	/* <TN> that later objects may refer to */

enum what { OTHER = 0, OBJ, TN, TYPE, TO_STRING, PROPS, VALUE };

struct frame {
	enum what		 what;
	char			*name;		/* of a property */
	char			*text;		/* OBJ: its <ToString> */
	bool			 null;		/* VALUE: <Nil/>, <Ref/> */
	struct lync_object	 obj;		/* OBJ: what is known so far */
};

struct type {
	char	*refid, *name;
};

struct xml {
	const char		*name;
	XML_Parser		 parser;
	struct lync_objects	*out;
	struct conf_errors	*errs;
	struct frame		 frames[LYNC_DEPTH_MAX];
	size_t			 n;
	struct type		*types;
	size_t			 ntypes;
	char			*refid;		/* of the <TN> that is being read */
	char			*text;		/* of the element that is being read: TYPE, TO_STRING, VALUE */
	size_t			 ntext;
	bool			 failed, root;
};

static void
fail(struct xml *x, const char *why)
{
	if (!x->failed)
		conf_error(x->errs, x->name, (int)XML_GetCurrentLineNumber(x->parser), "%s", why);
	x->failed = true;
	XML_StopParser(x->parser, XML_FALSE);
}

static const char *
attribute(const XML_Char **atts, const char *name)
{
	for (; atts[0] != NULL; atts += 2)
		if (strcmp(atts[0], name) == 0)
			return atts[1];
	return NULL;
}

/* The element that is open, or NULL. */
static struct frame *
top(struct xml *x)
{
	return x->n > 0 ? &x->frames[x->n - 1] : NULL;
}

/* The object that the innermost open elements belong to. */
static struct frame *
object(struct xml *x)
{
	for (size_t i = x->n; i-- > 0;)
		if (x->frames[i].what == OBJ)
			return &x->frames[i];
	return NULL;
}

static enum what
what_is(const struct xml *x, const struct frame *above, const char *element)
{
	if (above == NULL || above->what == VALUE || above->what == TYPE || above->what == TO_STRING)
		return OTHER;
	if (strcmp(element, "Obj") == 0)
		return OBJ;
	if (above->what == OBJ && strcmp(element, "TN") == 0)
		return TN;
	if (above->what == TN && strcmp(element, "T") == 0)
		return TYPE;
	if (above->what == OBJ && strcmp(element, "ToString") == 0)
		return TO_STRING;
	if (above->what == OBJ && (strcmp(element, "Props") == 0 || strcmp(element, "MS") == 0))
		return PROPS;
	return above->what == PROPS && x->n > 1 ? VALUE : OTHER;
}

/* <TNRef RefId="0"/>: the types of an object before. */
static void
refer(struct xml *x, const char *refid)
{
	struct frame *o = object(x);

	if (o == NULL || refid == NULL || o->obj.type != NULL)
		return;
	for (size_t i = 0; i < x->ntypes; i++)
		if (strcmp(x->types[i].refid, refid) == 0) {
			o->obj.type = xstrdup(x->types[i].name);
			return;
		}
}

static void
begin(void *arg, const XML_Char *element, const XML_Char **atts)
{
	struct xml *x = arg;
	struct frame *above = top(x), *f;
	const char *name = attribute(atts, "N"), *refid = attribute(atts, "RefId");

	if (x->failed)
		return;
	if (x->n == 0 && strcmp(element, "Objs") != 0) {
		fail(x, "is XML, but not what Export-Clixml writes: begins with another element than Objs");
		return;
	}
	if (x->n == LYNC_DEPTH_MAX) {
		fail(x, "too many elements in one another");
		return;
	}
	x->root = true;
	f = &x->frames[x->n];
	*f = (struct frame){ .what = what_is(x, above, element) };
	if (f->what == VALUE || f->what == OBJ)
		f->name = above->what == PROPS && name != NULL && strlen(name) < 256 ? xstrdup(name) : NULL;
	f->null = strcmp(element, "Nil") == 0 || strcmp(element, "Ref") == 0;
	if (f->what == OBJ)
		f->obj.line = (int)XML_GetCurrentLineNumber(x->parser);
	if (f->what == TN) {
		free(x->refid);
		x->refid = refid != NULL ? xstrdup(refid) : NULL;
	}
	if (strcmp(element, "TNRef") == 0 && above != NULL && above->what == OBJ)
		refer(x, refid);
	x->n++;
	x->ntext = 0;
}

static void
characters(void *arg, const XML_Char *p, int n)
{
	struct xml *x = arg;
	struct frame *f = top(x);

	if (x->failed || f == NULL || (f->what != TYPE && f->what != TO_STRING && f->what != VALUE))
		return;
	if (x->ntext + (size_t)n > LYNC_VALUE_MAX) {
		fail(x, "a value is too long");
		return;
	}
	memcpy(x->text + x->ntext, p, (size_t)n);
	x->ntext += (size_t)n;
}

/* "_x000A_" stands for a character that XML cannot have. Those below 0x80 are decoded, others left. In place. */
static struct span
unescape(char *p, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned c;

		if (n - i >= 7 && p[i] == '_' && p[i + 1] == 'x' && p[i + 6] == '_') {
			char digits[5] = { p[i + 2], p[i + 3], p[i + 4], p[i + 5], '\0' };

			if (strspn(digits, "0123456789abcdefABCDEF") == 4 && (c = (unsigned)strtoul(digits, NULL, 16)) != 0 && c < 0x80) {
				p[to++] = (char)c;
				i += 6;
				continue;
			}
		}
		p[to++] = p[i];
	}
	return span_of(p, to);
}

static void
set_property(struct xml *x, struct lync_object *o, const char *name, struct span value)
{
	if (!lync_add_property(o, span_str(name), value))
		fail(x, "an object has too many properties");
}

static void
frame_fini(struct frame *f)
{
	for (size_t i = 0; i < f->obj.n; i++) {
		free(f->obj.v[i].name);
		free(f->obj.v[i].value);
	}
	free(f->obj.v);
	free(f->obj.type);
	free(f->name);
	free(f->text);
	*f = (struct frame){ .what = OTHER };
}

/* The first type is the most special one; it is what later objects refer to. */
static void
end_type(struct xml *x)
{
	struct frame *o = object(x);

	if (o == NULL || o->obj.type != NULL)
		return;
	o->obj.type = xmemdup(x->text, x->ntext);
	if (x->refid != NULL && x->ntypes < TYPES_MAX) {
		if ((x->ntypes & (x->ntypes - 1)) == 0)
			x->types = xreallocarray(x->types, x->ntypes == 0 ? 1 : x->ntypes * 2, sizeof(*x->types));
		x->types[x->ntypes++] = (struct type){ xstrdup(x->refid), xstrdup(o->obj.type) };
	}
}

/* f is closed: one of ours, somebody's property, or nothing that we look for. */
static void
end_object(struct xml *x, struct frame *f)
{
	struct frame *o = object(x);
	struct span type = span_str(f->obj.type);
	struct lync_object *kept;

	if (f->name != NULL && o != NULL) {
		set_property(x, &o->obj, f->name, f->text != NULL ? span_str(f->text) : SPAN_NONE);
	} else if (lync_kind_of(type) != LYNC_OTHER || (o == NULL && f->obj.n > 0)) {
		if ((kept = lync_add(x->out, type, f->obj.line)) == NULL) {
			fail(x, "too many objects");
			return;
		}
		kept->v = f->obj.v;
		kept->n = f->obj.n;
		f->obj.v = NULL;	/* handed over */
		f->obj.n = 0;
	}
}

static void
end(void *arg, const XML_Char *element)
{
	struct xml *x = arg;
	struct frame *f, *o;

	(void)element;
	if (x->failed || x->n == 0)
		return;
	f = &x->frames[--x->n];
	o = object(x);
	switch (f->what) {
	case TYPE:
		end_type(x);
		break;
	case TO_STRING:
		if (o != NULL && o->text == NULL) {
			struct span s = unescape(x->text, x->ntext);

			o->text = xmemdup(s.p, s.n);
		}
		break;
	case VALUE:
		if (o != NULL && f->name != NULL)
			set_property(x, &o->obj, f->name, f->null ? SPAN_NONE : unescape(x->text, x->ntext));
		break;
	case OBJ:
		end_object(x, f);
		break;
	default:
		break;
	}
	frame_fini(f);
	x->ntext = 0;
}

/* Nothing of PowerShell's has one, and it is where entities come from. */
static void
doctype(void *arg, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	fail(arg, "has a document type, which Export-Clixml never writes; it is not read");
}

static void
xml_fini(struct xml *x)
{
	while (x->n > 0)
		frame_fini(&x->frames[--x->n]);
	for (size_t i = 0; i < x->ntypes; i++) {
		free(x->types[i].refid);
		free(x->types[i].name);
	}
	free(x->types);
	free(x->refid);
	free(x->text);
	XML_ParserFree(x->parser);
	free(x);
}

int
lync_read_xml(const char *name, struct span text, struct lync_objects *out, struct conf_errors *errs)
{
	struct xml *x = xcalloc(1, sizeof(*x));
	int err;

	/* whatever its declaration says: it is UTF-8 by now */
	*x = (struct xml){ .name = name, .parser = XML_ParserCreate("UTF-8"), .out = out, .errs = errs,
		.text = xmalloc(LYNC_VALUE_MAX) };
	if (x->parser == NULL) {
		conf_error(errs, name, 0, "cannot be read: no memory");
		free(x->text);
		free(x);
		return SP_EINVAL;
	}
	XML_SetUserData(x->parser, x);
	XML_SetElementHandler(x->parser, begin, end);
	XML_SetCharacterDataHandler(x->parser, characters);
	XML_SetStartDoctypeDeclHandler(x->parser, doctype);
	if (XML_Parse(x->parser, text.p, (int)text.n, XML_TRUE) != XML_STATUS_OK && !x->failed) {
		conf_error(errs, name, (int)XML_GetCurrentLineNumber(x->parser), "is not XML: %s",
		    XML_ErrorString(XML_GetErrorCode(x->parser)));
		x->failed = true;
	}
	err = x->failed ? SP_EINVAL : SP_OK;
	xml_fini(x);
	return err;
}
