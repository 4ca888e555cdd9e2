/*
 * tests/lab/kerberos.c - the client's side of a sign-in with Kerberos, driven by
 * lines: makes tokens from the ticket cache (KRB5CCNAME), signs and verifies.
 *
 *	kerberos
 *
 * Lines on standard input, and what each is answered with:
 *
 *	token SERVICE@HOST	token HEX	a fresh context; what is said afterwards is said of it
 *	sign HEX		signature HEX
 *	verify HEX HEX		good, or bad	a text and the server's signature
 *
 * or "error WHAT". CLOCK_AHEAD in the environment is by how many seconds its clock is wrong. Built by tests/system/kerberos.sh:
 *
 *	cc kerberos.c $(pkg-config --cflags --libs krb5-gssapi)
 */
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define LINE	40000

static gss_ctx_id_t context;

/* In place of the library's: it is from here that Kerberos has the time. */
int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	const char *ahead = getenv("CLOCK_AHEAD");
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	tv->tv_sec = now.tv_sec + (ahead != NULL ? atol(ahead) : 0);
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}

static void
say_hex(const char *what, gss_buffer_desc b)
{
	printf("%s ", what);
	for (size_t i = 0; i < b.length; i++)
		printf("%02x", ((unsigned char *)b.value)[i]);
	putchar('\n');
}

static void
say_error(OM_uint32 minor)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 ignored, more = 0;

	gss_display_status(&ignored, minor, GSS_C_MECH_CODE, (gss_OID)gss_mech_krb5, &more, &text);
	printf("error %.*s\n", (int)text.length, (char *)text.value);
	gss_release_buffer(&ignored, &text);
}

static gss_buffer_desc
from_hex(const char *hex, unsigned char *out)
{
	gss_buffer_desc b = { 0, out };
	unsigned byte;

	while (b.length < LINE / 2 && sscanf(hex + 2 * b.length, "%2x", &byte) == 1)
		out[b.length++] = (unsigned char)byte;
	return b;
}

static void
make_token(char *service)
{
	gss_buffer_desc b = { strlen(service), service }, token = GSS_C_EMPTY_BUFFER;
	gss_name_t target = GSS_C_NO_NAME;
	OM_uint32 minor, ignored;

	gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	if (gss_import_name(&minor, &b, GSS_C_NT_HOSTBASED_SERVICE, &target) != GSS_S_COMPLETE ||
	    gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &context, target, (gss_OID)gss_mech_krb5, GSS_C_INTEG_FLAG,
	    GSS_C_INDEFINITE, GSS_C_NO_CHANNEL_BINDINGS, GSS_C_NO_BUFFER, NULL, &token, NULL, NULL) != GSS_S_COMPLETE)
		say_error(minor);
	else
		say_hex("token", token);
	gss_release_buffer(&ignored, &token);
	gss_release_name(&ignored, &target);
}

int
main(void)
{
	static char line[LINE];
	static unsigned char first[LINE / 2], second[LINE / 2];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *word = strtok(line, " \n"), *one = strtok(NULL, " \n"), *two = strtok(NULL, " \n");
		gss_buffer_desc text, mic;
		OM_uint32 minor;

		if (word == NULL || one == NULL) {
			puts("error what?");
			continue;
		}
		if (strcmp(word, "token") == 0) {
			make_token(one);
			continue;
		}
		text = from_hex(one, first);
		if (strcmp(word, "sign") == 0) {
			if (gss_get_mic(&minor, context, GSS_C_QOP_DEFAULT, &text, &mic) != GSS_S_COMPLETE)
				say_error(minor);
			else {
				say_hex("signature", mic);
				gss_release_buffer(&minor, &mic);
			}
		} else if (strcmp(word, "verify") == 0 && two != NULL) {
			mic = from_hex(two, second);
			puts(gss_verify_mic(&minor, context, &text, &mic, NULL) == GSS_S_COMPLETE ? "good" : "bad");
		} else
			puts("error what?");
	}
	return 0;
}
