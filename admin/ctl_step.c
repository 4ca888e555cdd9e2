/*
 * admin/ctl_step.c - see ctl_step.h.
 */
#include "admin/ctl_step.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "admin/ctl.h"
#include "admin/record.h"

#define TEXT_MAX	2048
#define FIX_INDENT	22

static const char *const results[] = { "ok", "warn", "fail" };

static void
print_json(struct ctl_steps *s, enum ctl_result result, const char *step, const char *fix, const char *text)
{
	unsigned char room[RECORD_SMALL * 2];
	struct record_writer w;
	struct record r;

	record_begin(&w, room, sizeof(room), "step");
	record_str(&w, "step", step);
	record_str(&w, "result", results[result]);
	record_str(&w, "text", text);
	record_str(&w, "fix", fix);
	if (!record_ok(&w) || !record_parse(&r, record_written(&w)))
		return;
	fputs(!s->begun ? "{\"records\":[\n" : ",\n", stdout);
	s->begun = true;
	record_print_json(stdout, &r, true);
}

void
ctl_step(struct ctl_steps *s, enum ctl_result result, const char *step, const char *fix, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->warnings += result == CTL_WARN;
	s->failures += result == CTL_FAIL;
	if (s->json) {
		print_json(s, result, step, fix, text);
	} else {
		printf("%-5s %-15s ", results[result], step);
		record_print_escaped(stdout, span_str(text));
		putchar('\n');
		if (fix != NULL) {
			printf("%*s", FIX_INDENT, "fix: ");
			record_print_escaped(stdout, span_str(fix));
			putchar('\n');
		}
	}
	fflush(stdout);
}

int
ctl_steps_end(struct ctl_steps *s)
{
	int status = s->failures != 0 ? 1 : 0;

	if (s->json)
		printf("%s\n],\"cut\":false,\"status\":%d,\"message\":null}\n", s->begun ? "" : "{\"records\":[", status);
	return ctl_finish(status);
}
