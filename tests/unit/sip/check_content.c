/*
 * check_content.c - links and files, found in every disguise, and not where there are none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "policy/rules.h"
#include "sip/content.h"
#include "sip/files.h"
#include "sip/mime.h"
#include "sip/textview.h"
#include "tests/unit/unit.h"

static struct sip_message msg;
static char wire[1 << 20], out[2 << 20];
static size_t out_n;
static struct policy_rules *rules;

/* A rule for every class, from its own keys. */
static const struct policy_content *
rule(const char *links, const char *files, const char *more_key, const char *more)
{
	struct policy_builder *b = policy_builder_new();

	policy_rules_unref(rules);
	policy_builder_add(b, "t", 1, "domain", "example.com");
	policy_builder_add(b, "t", 2, "internal-server", "d.example.com");
	policy_builder_add(b, "t", 3, "content", "x");
	policy_builder_add(b, "t", 4, "content.class", "direct");
	policy_builder_add(b, "t", 5, "content.links", links);
	policy_builder_add(b, "t", 6, "content.files", files);
	policy_builder_add(b, "t", 7, "content.warning", "W\xc3\xa4rn {1}");
	if (more_key != NULL)
		policy_builder_add(b, "t", 8, more_key, more);
	rules = policy_builder_finish(b, NULL, NULL);
	policy_builder_free(b);
	ck_assert_ptr_nonnull(rules);
	return policy_content_of(rules, POLICY_CLASS_DIRECT, false);
}

static enum policy_reason
filter_n(const struct policy_content *r, const char *method, const char *headers, const char *body, size_t n,
    struct sip_content_found *found)
{
	int head = snprintf(wire, sizeof(wire),
	    "%s sip:b@h SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n"
	    "Call-ID: 1\r\nCSeq: 1 %s\r\n%sContent-Length: %zu\r\n\r\n", method, method, headers, n);
	struct sip_content_found unused;
	enum policy_reason why;

	ck_assert_uint_lt((size_t)head + n, sizeof(wire));
	memcpy(wire + head, body, n);
	ck_assert_int_eq(sip_message_index(&msg, wire, (size_t)head + n), SP_OK);
	ck_assert_int_eq(sip_message_parse(&msg), SIP_CHECK_OK);
	why = sip_content_filter(&msg, r, rules, found != NULL ? found : &unused);
	out_n = 0;
	if (why == POLICY_REASON_ALLOWED) {
		struct sip_message *again = malloc(sizeof(*again));

		out_n = sip_message_render(&msg, out);
		ck_assert_uint_gt(out_n, 0);
		out[out_n] = '\0';
		/* what came out is a whole message: Content-Length is right */
		ck_assert_int_eq(sip_message_index(again, out, out_n), SP_OK);
		free(again);
	}
	return why;
}

static enum policy_reason
filter(const struct policy_content *r, const char *type, const char *body)
{
	char headers[512];

	snprintf(headers, sizeof(headers), "Content-Type: %s\r\n", type);
	return filter_n(r, "MESSAGE", headers, body, strlen(body), NULL);
}

static const char *
body_out(void)
{
	const char *at = strstr(out, "\r\n\r\n");

	ck_assert_ptr_nonnull(at);
	return at + 4;
}

static const struct {
	const char	*type, *body;
} links[] = {
	{ "text/plain", "look http://evil.example/x" },
	{ "text/plain", "hTTpS://evil.example" },
	{ "text/plain; charset=utf-8", "h\xe2\x80\x8bt\xe2\x80\x8btp://evil.example" },	/* zero width space */
	{ "text/plain", "h\xc2\xadttp://evil.example" },				/* soft hyphen */
	{ "text/plain", "ht\xe2\x80\xaetp\xe2\x80\xac://evil.example" },		/* bidi override */
	{ "text/plain", "\xef\xbd\x88\xef\xbd\x94\xef\xbd\x94\xef\xbd\x90://evil.example" }, /* full width */
	{ "text/plain", "\xf0\x9d\x90\xa1ttp://evil.example" },				/* mathematical bold h */
	{ "text/plain", "http%3A%2F%2Fevil.example" },
	{ "text/plain", "%68ttp://evil.example" },
	{ "text/plain", "%%68ttp://evil.example" },
	{ "text/plain", "http:/evil.example" },
	{ "text/plain", "http:\\\\evil.example" },
	{ "text/plain", "www.evil.example" },
	{ "text/plain", "(WWW2.evil.example)" },
	{ "text/plain", "www.\xd0\xb5vil.example" },					/* IDN */
	{ "text/plain", "www\xe3\x80\x82" "evil.example" },				/* ideographic full stop */
	{ "text/plain", "ftp.evil.example" },
	{ "text/plain", "xhttp://evil.example" },
	{ "text/plain", "_\xe2\x80\x8bhttp://evil.example" },
	{ "text/plain", "file:///c:/x" },
	{ "text/plain", "mailto:a@evil.example" },
	{ "text/plain", "\xc1\xa8ttp://evil.example" },					/* overlong h */
	{ "text/plain", "h\x01ttp://evil.example" },
	{ "text/plain", "http://example.com@evil.example/" },
	{ "text/plain", "http://example.com:80@evil.example/" },
	{ "text/plain", "http://example.com\\@evil.example/" },
	{ "text/plain", "http://example.com.evil.example/" },
	{ "text/plain", "http://example.com\xe2\x80\x8b.evil.example/" },
	{ "text/plain", "http://example.com%2eevil.example/" },
	{ "text/plain", "http://notexample.com/" },
	{ "text/plain", "http://example.com/http://evil.example" },
	{ "text/plain", "http:///evil.example" },
	{ "text/html", "<a href=\"http://evil.example\">x</a>" },
	{ "text/html", "<a href='ht\ntp://evil.example'>x</a>" },
	{ "text/html", "<a href=http://evil.example>x</a>" },
	{ "text/html", "<A HREF = &#104;ttp://evil.example>x</A>" },
	{ "text/html", "<a href=\"//evil.example/\">x</a>" },
	{ "text/html", "<img src=\" \\/evil.example/\">" },
	{ "text/html", "h<b>t</b>tp://evil.example" },
	{ "text/html", "ht<!-- no -->tp://evil.example" },
	{ "text/html", "ht<!-->tp://evil.example" },
	{ "text/html", "ht<!x>tp://evil.example" },
	{ "text/html", "http&colon;&sol;&sol;evil.example" },
	{ "text/html", "&#x68;&#x0000000000000000000000000000000000000000074;tp://evil.example" },
	{ "text/html", "&#104ttp://evil.example" },
	{ "text/html", "http&#58//evil.example" },
	{ "text/html", "<!-- http://evil.example -->" },
	{ "text/html", "<a href=\"java&Tab;script:alert(1)\">x</a>" },
	{ "text/html", "<p style=\"background:url(http://evil.example)\">" },
	{ "text/html", "<unfinished http://evil.example" },
	{ "text/html", "<http://evil.example>" },
	{ "text/html", "<!ENTITY x 'http://evil.example'>" },
	{ "text/html; charset=utf-8", "ww<i></i>w.evil.example" },
	{ "text/rtf", "{\\rtf1 http://evil.example}" },
	{ "text/rtf", "{\\rtf1 h\\'74tp://evil.example}" },
	{ "text/rtf", "{\\rtf1 \\u104?ttp://evil.example}" },
	{ "text/rtf", "{\\rtf1 \\u104 http://evil.example}" },
	{ "text/rtf", "{\\rtf1 {h}{\\b t}tp://evil.example}" },
	{ "text/rtf", "{\\rtf1 ht\\-tp://evil.example}" },
	{ "text/rtf", "{\\rtf1 ht{\\*\\x junk}tp://evil.example}" },
	{ "text/rtf", "{\\rtf1 ht{\\v junk}tp://evil.example}" },
	{ "text/rtf", "{\\rtf1 ht\r\ntp://evil.example}" },
	{ "text/rtf", "{\\rtf1{\\field{\\*\\fldinst{HYPERLINK \"http://evil.example\"}}{\\fldrslt x}}}" },
	{ "text/rtf", "{\\rtf1\\uc0 \\u104\\u116\\u116\\u112\\u58//evil.example}" },
	{ "multipart/alternative; boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nhttp://evil.example\r\n--b--\r\n" },
	{ "multipart/alternative; boundary=\"b\"",
	    "--b\r\n\r\nno\r\n--b\r\nContent-Type: text/html\r\n\r\n<a href=\"http://evil.example\">\r\n--b--\r\n" },
	{ "multipart/mixed; boundary=a",
	    "--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhttp://evil.example\r\n--b--\r\n--a--\r\n" },
	{ "multipart/mixed; boundary=a", "--a\r\n\r\nhttp://evil.example" },
	{ "multipart/mixed; boundary=a",
	    "--a\nContent-Transfer-Encoding: base64\n\naHR0cDovL2V2aWwuZXhhbXBsZQ==\n--a--\n" },
	{ "multipart/mixed; boundary=a",
	    "--a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nht=\r\n=74p://evil.example\r\n--a--\r\n" },
	{ "message/cpim", "From: <sip:a@h>\r\n\r\nContent-Type: text/plain\r\n\r\nhttp://evil.example" },
	{ "text/x-unknown", "http://evil.example" },
	/* the ways to write 192.0.2.1 behind a scheme: whatever stands there is a link, and none of them is our own */
	{ "text/plain", "http://192.0.2.1/" },
	{ "text/plain", "http://3221225985/" },
	{ "text/plain", "http://0xc0000201/x" },
	{ "text/plain", "http://0xC0.0x00.0x02.0x01" },
	{ "text/plain", "http://0300.0000.0002.0001/" },
	{ "text/plain", "http://030000001001/" },
	{ "text/plain", "http://192.513/" },
	{ "text/plain", "http://[2001:db8::1]/x" },
	{ "text/plain", "http://[::ffff:c000:201]/" },
	{ "text/plain", "http:3221225985" },
};

/* Domains without a scheme: those with a path, and those without. */
static const struct {
	const char	*type, *body;
} bare_paths[] = {
	{ "text/plain", "192.0.2.1/x" },
	{ "text/plain", "see 192.0.2.1/" },
	{ "text/plain", "(192.0.2.1/login.php)" },
	{ "text/plain", "192.0.2.1:8080/x" },
	{ "text/plain", "192.0.2.1:8080" },
	{ "text/plain", "192.0.2.1?q" },
	{ "text/plain", "192.0.2.1#q" },
	{ "text/plain", "192.0.2.1\\x" },
	{ "text/plain", "192.0.2.1/24/x" },
	{ "text/plain", "192.0.2.1/24.html" },
	{ "text/plain", "192.0.2.1/240" },
	{ "text/plain", "0xc0.0x0.2.1/x" },
	{ "text/plain", "0300.0.02.01/x" },
	{ "text/plain", "user@192.0.2.1/x" },
	{ "text/plain", "1\xe2\x80\x8b" "92.0.2.1/x" },
	{ "text/plain", "192%2E0.2.1%2Fx" },
	{ "text/plain", "\xef\xbc\x91" "92.0.2.1/x" },					/* full width */
	{ "text/plain", "[2001:db8::1]/x" },
	{ "text/plain", "see ([2001:DB8:0:0:0:0:0:1]/)" },
	{ "text/plain", "[::ffff:192.0.2.1]:8080" },
	{ "text/plain", "[fe80::1%25eth0]/x" },
	{ "text/plain", "[2001:db8::1]?q" },
	{ "text/plain", "x@[2001:db8::1]/x" },
	{ "text/html", "[2001:db8:<b>:1</b>]/x" },
	{ "text/rtf", "{\\rtf1 [2001:db8::1]/x}" },
	{ "text/plain", "evil.example/x" },
	{ "text/plain", "see evil.example/" },
	{ "text/plain", "(EVIL.Example/x)" },
	{ "text/plain", "evil.example:8080" },
	{ "text/plain", "evil.example?q=1" },
	{ "text/plain", "evil.example#a" },
	{ "text/plain", "evil.example\\x" },
	{ "text/plain", "evil.example./x" },
	{ "text/plain", "a..evil.example/x" },
	{ "text/plain", "a_b.evil.example/x" },
	{ "text/plain", "-evil.example/x" },
	{ "text/plain", "note:evil.example/x" },
	{ "text/plain", "example.com,evil.example/x" },
	{ "text/plain", "http://example.com/ evil.example/x" },
	{ "text/plain", "www.@evil.example/x" },
	{ "text/plain", "user@evil.example/x" },
	{ "text/plain", "example.com@evil.example/x" },
	{ "text/plain", "example.com\\@evil.example/x" },
	{ "text/plain", "notexample.com/x" },
	{ "text/plain", "example.com.evil.example/x" },
	{ "text/plain", "example.com\xe2\x80\x8b.evil.example/x" },
	{ "text/plain", "ev\xe2\x80\x8bil.ex\xc2\xad" "ample/x" },			/* zero width space, soft hyphen */
	{ "text/plain", "\xef\xbd\x85vil\xe3\x80\x82" "example/x" },			/* full width, ideographic stop */
	{ "text/plain", "evil%2Eexample%2Fx" },
	{ "text/plain", "%65vil.example/x" },
	{ "text/plain", "\xd0\xb5vil.\xd1\x80\xd1\x84/x" },				/* a name and an end that are not ASCII */
	{ "text/plain", "evil.xn--p1ai/x" },
	{ "text/plain", "_\xe2\x80\x8b" "evil.example/x" },
	{ "text/plain; charset=iso-8859-1", "\xe9vil.example/x" },
	{ "text/html", "<p>evil.example/x</p>" },
	{ "text/html", "ev<b>il</b>.example&#47;x" },
	{ "text/html", "evil&period;example&sol;x" },
	{ "text/rtf", "{\\rtf1 ev\\'69l.example/x}" },
	{ "text/rtf", "{\\rtf1 ev\\u105?l.{\\b example}/x}" },
	{ "text/rtf", "{\\rtf1{\\field{\\*\\fldinst{HYPERLINK \"evil.example/x\"}}{\\fldrslt x}}}" },
	{ "multipart/mixed; boundary=a",
	    "--a\r\nContent-Transfer-Encoding: base64\r\n\r\nZXZpbC5leGFtcGxlL3g=\r\n--a--\r\n" },
	{ "multipart/mixed; boundary=a",
	    "--a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nevil=2Eexam=\r\nple=2Fx\r\n--a--\r\n" },
}, bare_alone[] = {
	{ "text/plain", "evil.example" },
	{ "text/plain", "see evil.example." },
	{ "text/plain", "evil.example, or evil.example!" },
	{ "text/plain", "evil.example:" },
	{ "text/plain", "Evil\xe3\x80\x82" "example" },
	{ "text/plain", "file.txt" },
	{ "text/plain", "notexample.com" },
	{ "text/plain", "a@b.example evil.example" },
	{ "text/html", "<b>evil</b>.example" },
	{ "text/rtf", "{\\rtf1 evil.\\'65xample}" },
}, bare_none[] = {	/* none to anybody */
	{ "text/plain", "e.g. this, i.e. that, at 3 p.m., by a Ph.D. of the U.S.A." },
	{ "text/plain", "version 3.14, 1.2.3-4/5, 192.0.2.1/24, 10.30/11.30" },
	{ "text/plain", "version 1.2.3.4, 1.2.3.4. And 1.2.3.4; (1.2.3.4) 1.2.3.4" },
	{ "text/plain", "10.0.0.0/8, 192.0.2.0/24. And 198.51.100.0/24: (10.1.0.0/16)" },
	{ "text/plain", "256.1.1.1/x 1.2.3/x 1.2.3.4.5/x 1.2.3.x/x 1..2.3/x 0x100.1.1.1/x 20.11.2026/2" },
	{ "text/plain", "user@192.0.2.1, sip:user@192.0.2.1:5060 <192.0.2.1>" },
	{ "text/plain", "_192.0.2.1/x _[2001:db8::1]/x" },
	{ "text/plain", "[12:30:45]/x [2001:db8::1] [x]/y [::g]/x a[1]/b [1:2:3:4:5:6:7:8:9]/x" },
	{ "text/plain", "http://example.com/192.0.2.1/x/[::1]/y" },
	{ "text/plain", "wait...what? and/or 24/7 a.b/c" },
	{ "text/plain", "/etc/conf.dir/file.txt and C:\\dir.old\\file.txt/x" },
	{ "text/plain", "user.name@evil.example, sip:user@evil.example" },
	{ "text/plain", "_evil.example/x" },
	{ "text/plain", "example.com/x www.example.com x.example.com example.com. example.com?a=b" },
	{ "text/plain", "http://example.com/a.name/file.txt?x=other.example/y" },
	{ "text/plain", "\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82\xe5\x86\x8d\xe8\xa7\x81/\xe4\xbd\xa0" }, /* two sentences */
	{ "text/html", "<img src=\"dir.name/picture.png\" alt=\"x\"><a href=\"page.html\">x</a>" },
	{ "text/rtf", "{\\rtf1{\\*\\generator Riched20.dll;}\\pard hello}" },
};

/* Nothing to find. */
static const struct {
	const char	*type, *body;
} harmless[] = {
	{ "text/plain", "" },
	{ "text/plain", "the http: protocol" },
	{ "text/plain", "a ratio of 3:4, see 10:30" },
	{ "text/plain", "_http://evil.example" },
	{ "text/plain", "awww. so sweet" },
	{ "text/plain", "www. what" },
	{ "text/plain", "100%" },
	{ "text/plain", "http://example.com/x?y=z#a" },
	{ "text/plain", "evil.example, file.txt, e.g. this" },
	{ "text/plain", "see (https://intranet.example.com:8443/x), and www.example.com." },
	{ "text/html", "<p>a &lt; b &amp; c</p>" },
	{ "text/html", "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML\" \"http://www.w3.org/TR/xhtml1\"><html "
	    "xmlns=\"http://www.w3.org/1999/xhtml\"><body>x</body></html>" },
	{ "text/html", "<a href=\"/local/path\">x</a>" },
	{ "text/html", "ht<br>tp://x" },
	{ "text/rtf", "{\\rtf1\\ansi{\\fonttbl{\\f0 MS Shell Dlg;}}\\viewkind4\\uc1\\pard hello\\par}" },
	{ "application/xml", "<x xmlns=\"http://evil.example\"/>" },
	{ "application/sdp", "v=0\r\nu=http://evil.example\r\n" },
};

START_TEST(links_are_found)
{
	const struct policy_content *r = rule("block", "allow", NULL, NULL);

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		ck_assert_msg(filter(r, links[i].type, links[i].body) == POLICY_REASON_CONTENT_LINK, "%s: %s", links[i].type,
		    links[i].body);
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		ck_assert_msg(filter(r, harmless[i].type, harmless[i].body) == POLICY_REASON_ALLOWED, "%s: %s",
		    harmless[i].type, harmless[i].body);
		ck_assert_uint_eq(out_n, msg.n);
		ck_assert_mem_eq(out, wire, out_n);
	}
}
END_TEST

/* A bare domain counts as far as the rule says so; made inert, none is left. */
START_TEST(bare_domains)
{
	static const char *const modes[] = { "none", "with-path", "all" };
	const struct policy_content *r;

	for (unsigned mode = 0; mode < 3; mode++) {
		r = rule("block", "allow", "content.bare-domains", modes[mode]);
		for (size_t i = 0; i < sizeof(bare_paths) / sizeof(bare_paths[0]); i++)
			ck_assert_msg((filter(r, bare_paths[i].type, bare_paths[i].body) == POLICY_REASON_CONTENT_LINK) == (mode >= 1),
			    "%s: %s", modes[mode], bare_paths[i].body);
		for (size_t i = 0; i < sizeof(bare_alone) / sizeof(bare_alone[0]); i++)
			ck_assert_msg((filter(r, bare_alone[i].type, bare_alone[i].body) == POLICY_REASON_CONTENT_LINK) == (mode >= 2),
			    "%s: %s", modes[mode], bare_alone[i].body);
		for (size_t i = 0; i < sizeof(bare_none) / sizeof(bare_none[0]); i++)
			ck_assert_msg(filter(r, bare_none[i].type, bare_none[i].body) == POLICY_REASON_ALLOWED || (mode == 2 && i == 0),
			    "%s: %s", modes[mode], bare_none[i].body);
	}
	r = rule("block", "allow", NULL, NULL);
	ck_assert_int_eq(r->bare, POLICY_BARE_WITH_PATH);
	r = rule("block", "allow", "content.own-links", "filter");
	ck_assert_int_eq(filter(r, "text/plain", "example.com/x"), POLICY_REASON_CONTENT_LINK);
	for (size_t i = 0; i < sizeof(bare_paths) / sizeof(bare_paths[0]); i++) {
		char *body;

		if (strstr(bare_paths[i].type, "rtf") != NULL)
			continue;
		ck_assert_int_eq(filter(rule("warn", "allow", NULL, NULL), bare_paths[i].type, bare_paths[i].body),
		    POLICY_REASON_ALLOWED);
		body = strdup(body_out());
		ck_assert_str_ne(body, bare_paths[i].body);
		ck_assert_msg(filter(rule("block", "allow", NULL, NULL), bare_paths[i].type, body) == POLICY_REASON_ALLOWED,
		    "%s became %s", bare_paths[i].body, body);
		free(body);
	}
}
END_TEST

/* Made inert, none is left to be found. RTF's underscore stands in a group, which counts as apart. */
START_TEST(inert_links_are_none)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		const struct policy_content *r = rule("warn", "allow", NULL, NULL);
		char *body;

		if (strstr(links[i].type, "rtf") != NULL)
			continue;
		if (strncmp(links[i].body, "<http", 5) == 0) {	/* an underscore would make text of the tag */
			ck_assert_int_eq(filter(r, links[i].type, links[i].body), POLICY_REASON_CONTENT_LINK);
			continue;
		}
		ck_assert_msg(filter(r, links[i].type, links[i].body) == POLICY_REASON_ALLOWED, "%s", links[i].body);
		ck_assert_msg(strstr(links[i].body, "aHR0") != NULL || strchr(body_out(), '_') != NULL, "%s", out);
		body = strdup(body_out());
		ck_assert_msg(filter(rule("block", "allow", NULL, NULL), links[i].type, body) == POLICY_REASON_ALLOWED,
		    "%s became %s", links[i].body, body);
		free(body);
	}
}
END_TEST

static const struct {
	const char	*type, *body, *want;
} warned[] = {
	{ "text/plain", "see http://a.example", "W\xc3\xa4rn {1} see _http://a.example" },
	{ "text/plain", "http://www.a.example", "W\xc3\xa4rn {1} _http://_www.a.example" },
	{ "text/plain", "http://a.example http://example.com/ www.b.example",
	    "W\xc3\xa4rn {1} _http://a.example http://example.com/ _www.b.example" },
	{ "text/plain; charset=iso-8859-1", "http://a.example", "W?rn {1} _http://a.example" },
	{ "text/html", "<html><body dir=ltr>x <a href=\"http://a.example\">&#104;ttp://a.example</a></body></html>",
	    "<html><body dir=ltr>W&#228;rn {1} x <a href=\"_http://a.example\">_&#104;ttp://a.example</a></body></html>" },
	{ "text/rtf", "{\\rtf1{\\fonttbl{\\f0 X;}}\\pard http://a.example\\par}",
	    "{\\rtf1{\\fonttbl{\\f0 X;}}\\pard {\\uc1 W\\u228?rn \\{1\\} }{_}http://a.example\\par}" },
	{ "multipart/alternative; boundary=b",
	    "--b\r\nContent-Type: text/plain\r\n\r\nhttp://a.example\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>"
	    "http://a.example</b>\r\n--b--\r\n",
	    "--b\r\nContent-Type: text/plain\r\n\r\nW\xc3\xa4rn {1} _http://a.example\r\n--b\r\nContent-Type: text/html\r\n\r\n"
	    "W&#228;rn {1} <b>_http://a.example</b>\r\n--b--\r\n" },
	{ "multipart/mixed; boundary=a",
	    "--a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=68ttp://a.example\r\n--a--\r\n",
	    "--a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nW=C3=A4rn {1} _=68ttp://a.example\r\n--a--\r\n" },
	{ "multipart/mixed; boundary=a",	/* "a http://b.example": "Wärn {1} a _http://b.example" */
	    "--a\r\nContent-Transfer-Encoding: base64\r\n\r\nYSBodHRwOi8vYi5leGFtcGxl\r\n--a--\r\n",
	    "--a\r\nContent-Transfer-Encoding: base64\r\n\r\nV8Okcm4gezF9IGEgX2h0dHA6Ly9iLmV4YW1wbGU=\r\n--a--\r\n" },
};

START_TEST(warnings_and_underscores)
{
	const struct policy_content *r = rule("warn", "allow", NULL, NULL);

	for (size_t i = 0; i < sizeof(warned) / sizeof(warned[0]); i++) {
		ck_assert_int_eq(filter(r, warned[i].type, warned[i].body), POLICY_REASON_ALLOWED);
		ck_assert_str_eq(body_out(), warned[i].want);
	}
}
END_TEST

START_TEST(utf16_both_ways_round)
{
	static const char le[] = "h\0t\0t\0p\0:\0/\0/\0a\0", want_le[] = "_\0h\0t\0t\0p\0:\0/\0/\0a\0";
	static const char be[] = "\xfe\xff\0h\0t\0t\0p\0:\0/\0/\0a";
	const struct policy_content *r = rule("warn", "allow", NULL, NULL);
	const char *body;

	ck_assert_int_eq(filter_n(r, "MESSAGE", "Content-Type: text/plain; charset=UTF-16LE\r\n", le, sizeof(le) - 1, NULL),
	    POLICY_REASON_ALLOWED);
	body = body_out();
	ck_assert_uint_eq((size_t)(out + out_n - body), sizeof(want_le) - 1 + 2 * sizeof("Warn {1}"));
	ck_assert_mem_eq(body, "W\0\xe4\0r\0", 6);
	ck_assert_mem_eq(body + 2 * sizeof("Warn {1}"), want_le, sizeof(want_le) - 1);
	ck_assert_int_eq(filter_n(r, "MESSAGE", "Content-Type: text/plain; charset=UTF-16\r\n", be, sizeof(be) - 1, NULL),
	    POLICY_REASON_ALLOWED);
	body = body_out();
	ck_assert_mem_eq(body, "\xfe\xff\0W\0\xe4", 6);
	ck_assert_mem_eq(out + out_n - 18, "\0_\0h\0t\0t\0p\0:\0/\0/\0a", 18);
	ck_assert_int_eq(filter_n(rule("block", "allow", NULL, NULL), "MESSAGE", "Content-Type: text/plain\r\n", le, sizeof(le) - 1,
	    NULL), POLICY_REASON_CONTENT_LINK);
}
END_TEST

static const struct {
	const char	*headers, *body;
	bool		 only_links;	/* found only when links are looked for */
} sealed[] = {
	{ "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", "xyz", false },
	{ "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n", "aHR0cDovL2V2aWwuZXhhbXBsZQ==", false },
	{ "Content-Type: text/plain; charset=utf-7\r\n", "+AGgAdAB0AHA-://x", true },
	{ "Content-Type: text/plain; charset=utf-8; charset=utf-16\r\n", "x", false },
	{ "Content-Type: application/pkcs7-mime\r\n", "x", false },
	{ "Content-Type: multipart/encrypted; boundary=b\r\n", "--b\r\n\r\nx\r\n--b--\r\n", false },
	{ "Content-Type: multipart/mixed\r\n", "--b\r\n\r\nx\r\n--b--\r\n", false },
	{ "Content-Type: multipart/mixed; boundary=b\r\n", "--bx\r\n\r\nx\r\n--b--\r\n", false },
	{ "Content-Type: multipart/mixed; boundary=b\r\n", "--b\r\n\r\nx\r\n--bx\r\n\r\ny\r\n--b--\r\n", false },
	{ "Content-Type: multipart/mixed; boundary=b\r\n", "--b\r\nContent-Transfer-Encoding: uuencode\r\n\r\nx\r\n--b--\r\n", false },
	{ "Content-Type: text/rtf\r\n", "{\\rtf1 \\bin4 abcd}", true },
};

START_TEST(what_is_sealed)
{
	for (size_t i = 0; i < sizeof(sealed) / sizeof(sealed[0]); i++) {
		size_t n = strlen(sealed[i].body);
		enum policy_reason files = sealed[i].only_links ? POLICY_REASON_ALLOWED : POLICY_REASON_CONTENT_SEALED;

		ck_assert_int_eq(filter_n(rule("warn", "allow", NULL, NULL), "MESSAGE", sealed[i].headers, sealed[i].body, n, NULL),
		    POLICY_REASON_CONTENT_SEALED);
		ck_assert_int_eq(filter_n(rule("allow", "block", NULL, NULL), "MESSAGE", sealed[i].headers, sealed[i].body, n, NULL),
		    files);
		ck_assert_int_eq(filter_n(rule("warn", "block", "content.sealed", "pass"), "MESSAGE", sealed[i].headers,
		    sealed[i].body, n, NULL), POLICY_REASON_ALLOWED);
		ck_assert_mem_eq(out, wire, out_n);
	}
}
END_TEST

START_TEST(signed_bodies_stay)
{
	static const char body[] = "--b\r\nContent-Type: text/plain\r\n\r\nhttp://a.example\r\n--b\r\nContent-Type: "
	    "application/pkcs7-signature\r\n\r\nx\r\n--b--\r\n";
	static const char *const type = "multipart/signed; boundary=b";

	ck_assert_int_eq(filter(rule("warn", "allow", NULL, NULL), type, body), POLICY_REASON_CONTENT_SEALED);
	ck_assert_int_eq(filter(rule("block", "allow", NULL, NULL), type, body), POLICY_REASON_CONTENT_LINK);
	ck_assert_int_eq(filter(rule("warn", "allow", "content.sealed", "pass"), type, body), POLICY_REASON_ALLOWED);
	ck_assert_uint_eq(out_n, msg.n);
	ck_assert_mem_eq(out, wire, out_n);
}
END_TEST

START_TEST(first_text_of_an_invite)
{
	static const char with[] = "ms-text-format: text/plain; charset=UTF-8;msgr=WAAtAE0A;ms-body=aHR0cDovL2V2aWwuZXhhbXBsZQ==\r\n"
	    "Content-Type: application/sdp\r\n";
	static const char twice[] = "ms-text-format: text/plain;ms-body=SGk=;ms-body=aHR0cDovL2V2aWwuZXhhbXBsZQ==\r\n"
	    "Content-Type: application/sdp\r\n";
	struct sip_content_found found;

	ck_assert_int_eq(filter_n(rule("block", "allow", NULL, NULL), "INVITE", with, "v=0\r\n", 5, NULL), POLICY_REASON_CONTENT_LINK);
	ck_assert_int_eq(filter_n(rule("warn", "allow", NULL, NULL), "INVITE", twice, "v=0\r\n", 5, NULL),
	    POLICY_REASON_CONTENT_SEALED);
	ck_assert_int_eq(filter_n(rule("warn", "allow", NULL, NULL), "INVITE", with, "v=0\r\n", 5, &found), POLICY_REASON_ALLOWED);
	ck_assert_uint_eq(found.links, 1);
	ck_assert(found.changed);
	/* "Wärn {1} _http://evil.example" */
	ck_assert_ptr_nonnull(strstr(out, "msgr=WAAtAE0A;ms-body=V8Okcm4gezF9IF9odHRwOi8vZXZpbC5leGFtcGxl\r\n"));
	ck_assert_ptr_nonnull(strstr(out, "Content-Length: 5\r\n\r\nv=0\r\n"));
}
END_TEST

#define GUID	"Application-GUID: {5D3E02AB-6190-11d3-BBBB-00C04F795683}\r\n"
static const struct {
	const char	*method, *headers, *body;
	bool		 listed;
} files[] = {
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\r\na=file-selector:name:\"pic.jpg\" size:1\r\n", false },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\r\na=file-selector:name:\"run.E%78e\" size:1\r\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\r\na=file-selector:size:1\r\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\r\nm=application 1 sip x-ms-filetransfer\r\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\r\nm=application 1 sip x-ms-FileTransfer\r\nm=audio 1 RTP/AVP 0\r\n", true },
	{ "INVITE", "Content-Type: text/x-msmsgsinvite\r\n", GUID "Application-File: a.txt\r\n", false },
	{ "INVITE", "Content-Type: text/x-msmsgsinvite\r\n", GUID "Application-File: a.txt.scr. .\r\n", true },
	{ "MESSAGE", "Content-Type: text/x-msmsgsinvite; charset=UTF-8\r\n", GUID "Invitation-Command: INVITE\r\n", true },
	{ "MESSAGE", "Content-Type: application/ms-filetransfer+xml\r\n", "<request><name>a.exe</name></request>", true },
	{ "MESSAGE", "Content-Type: application/ms-filetransfer+xml\r\n", "<request><name>a.txt</name></request>", false },
	{ "MESSAGE", "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"a.com\"\r\n", "x", true },
	{ "MESSAGE", "Content-Type: image/png; name=\"a.png\"\r\n", "x", false },
	{ "MESSAGE", "Content-Type: multipart/mixed; boundary=b\r\n",
	    "--b\r\nContent-Disposition: attachment; filename*=utf-8''a%2eexe\r\n\r\nx\r\n--b--\r\n", true },
	/* neither name nor disposition */
	{ "MESSAGE", "Content-Type: application/octet-stream\r\n", "MZ", true },
	{ "INVITE", "Content-Type: Application/Octet-Stream\r\n", "MZ", true },
	{ "MESSAGE", "Content-Type: image/gif\r\n", "GIF89a", true },
	{ "MESSAGE", "Content-Type: multipart/mixed; boundary=b\r\n",
	    "--b\r\nContent-Type: application/x-msdownload\r\nContent-Transfer-Encoding: base64\r\n\r\nTVo=\r\n--b--\r\n", true },
	/* RFC 5547, oddly */
	{ "INVITE", "", "v=0\r\na=file-selector:name:\"a.exe\"\r\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\r\nA=File-Selector:NAME:\"a.exe\"\r\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\r\na = file-selector:name:\"a.exe\"\r\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\ra=file-selector:name:\"a.exe\"\r", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\na=file-selector:name:\"a.txt\" name:\"a.exe\"\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\na=file-selector:name:\"a.txt\"\na=file-selector:name:\"a.exe\"\n",
	    true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\nm=message 1 TCP/MSRP *\na=file-selector:name:\"a.txt\"\n"
	    "a=file-transfer-id:x\nm=message 1 TCP/MSRP *\na=file-selector:name:\"b.txt\"\n", false },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\nm=message 1 TCP/MSRP *\na=file-selector:name:\"a.txt\"\n"
	    "m=message 1 TCP/MSRP *\na=file-selector:name:\"b.exe\"\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\nm=message 1 TCP/MSRP *\na=file-selector:name:\"a.txt\"\n"
	    "m=message 1 TCP/MSRP *\na=file-transfer-id:x\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\nm=message 1 TCP/MSRP *\na=accept-types:message/cpim image/jpeg\n", true },
	{ "INVITE", "Content-Type: application/sdp\r\n", "v=0\nm=message 1 TCP/MSRP *\na=accept-types:message/cpim\n"
	    "a=accept-wrapped-types:application/octet-stream\n", true },
	{ "INVITE", "Content-Type: multipart/mixed; boundary=a\r\n", "--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
	    "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\na=file-selector:name:\"a.exe\"\r\n--b--\r\n--a--\r\n", true },
	/* MSN's invitation and Lync's, oddly */
	{ "MESSAGE", "Content-Type: text/x-msmsgsinvite\r\n",
	    "application-guid:5d3e02ab-6190-11d3-bbbb-00c04f795683\nInvitation-Command: INVITE\n", true },
	{ "MESSAGE", "Content-Type: text/x-msmsgsinvite\r\n", "Application-Name: File Transfer\rInvitation-Command: INVITE\r", true },
	{ "MESSAGE", "Content-Type: text/x-msmsgsinvite\r\n", "Application-File: a.exe\r\nApplication-File: a.txt\r\n", true },
	{ "MESSAGE", "Content-Type: application/ms-filetransfer+xml\r\n",
	    "<request><!-- <name>a.txt</name> --><f:name x='y'>a.exe</f:name></request>", true },
	{ "MESSAGE", "Content-Type: application/ms-filetransfer+xml\r\n", "<request><f:name>a.txt</f:name></request>", false },
};

START_TEST(files_are_found)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		size_t n = strlen(files[i].body);

		ck_assert_msg(filter_n(rule("allow", "block", NULL, NULL), files[i].method, files[i].headers, files[i].body, n, NULL) ==
		    POLICY_REASON_CONTENT_FILE, "%s", files[i].body);
		ck_assert_msg(filter_n(rule("allow", "block-listed", NULL, NULL), files[i].method, files[i].headers, files[i].body, n,
		    NULL) == (files[i].listed ? POLICY_REASON_CONTENT_FILE : POLICY_REASON_ALLOWED), "%s", files[i].body);
		ck_assert_int_eq(filter_n(rule("allow", "allow", NULL, NULL), files[i].method, files[i].headers, files[i].body, n,
		    NULL), POLICY_REASON_ALLOWED);
	}
	ck_assert_int_eq(filter(rule("block", "block", NULL, NULL), "text/x-msmsgsinvite",
	    "Application-Name: NetMeeting\r\nApplication-URL: http://www.evil.example\r\n"), POLICY_REASON_ALLOWED);
	ck_assert_int_eq(filter(rule("block", "block", NULL, NULL), "application/sdp", "v=0\r\nm=audio 1 RTP/AVP 0\r\n"),
	    POLICY_REASON_ALLOWED);
	ck_assert_int_eq(filter(rule("block", "block", NULL, NULL), "application/sdp", "v=0\r\nm=message 1 TCP/MSRP *\r\n"
	    "a=accept-types:* message/cpim text/plain application/im-iscomposing+xml\r\n"), POLICY_REASON_ALLOWED);
	/* an offer that is encoded is read by some and not by others */
	ck_assert_int_eq(filter(rule("allow", "block", NULL, NULL), "multipart/mixed; boundary=b", "--b\r\nContent-Type: application/sdp\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\ndj0wDQo=\r\n--b--\r\n"), POLICY_REASON_CONTENT_SEALED);
}
END_TEST

static bool
listed(const char *name)
{
	static const struct span ext[] = { { "exe", 3 }, { "scr", 3 } };

	return sip_files_listed(span_str(name), ext, 2);
}

START_TEST(names_of_files)
{
	ck_assert(listed("a.exe") && listed("A.EXE") && listed("a.exe.") && listed("a.exe . ") && listed("a.b.scr"));
	ck_assert(listed("a.exe::$DATA") && listed("a%2eexe") && listed("") && listed(" ") && listed("=?utf-8?Q?a.exe?="));
	ck_assert(listed("a\xef\xbc\x8e" "exe") && listed("a.e\xe2\x80\x8bxe") && listed("&#97;.exe"));
	ck_assert(!listed("a.txt") && !listed("exe") && !listed("a.exe.txt") && !listed("r\xc3\xa9sum\xc3\xa9.pdf"));
}
END_TEST

/* Other schemes, directions, what a method is for. */
START_TEST(what_the_rule_says)
{
	const struct policy_content *r = rule("block", "allow", "content.scheme", "gemini");

	ck_assert_int_eq(filter(r, "text/plain", "http://evil.example"), POLICY_REASON_ALLOWED);
	ck_assert_int_eq(filter(r, "text/plain", "gemini://evil.example"), POLICY_REASON_CONTENT_LINK);
	ck_assert_int_eq(filter(rule("block", "allow", "content.own-links", "filter"), "text/plain", "http://example.com/"),
	    POLICY_REASON_CONTENT_LINK);
	r = rule("block", "allow", "content.direction", "out");
	ck_assert_ptr_null(r);
	ck_assert_ptr_nonnull(policy_content_of(rules, POLICY_CLASS_DIRECT, true));
	ck_assert_ptr_null(policy_content_of(rules, POLICY_CLASS_ENHANCED, true));
	r = rule("block", "allow", NULL, NULL);
	ck_assert_int_eq(filter_n(r, "NOTIFY", "Content-Type: text/plain\r\n", "http://a.b", 10, NULL), POLICY_REASON_ALLOWED);
	ck_assert_int_eq(filter_n(r, "INFO", "Content-Type: text/plain\r\n", "http://a.b", 10, NULL), POLICY_REASON_CONTENT_LINK);
	ck_assert_int_eq(filter_n(r, "WHATEVER", "Content-Type: text/plain\r\n", "http://a.b", 10, NULL), POLICY_REASON_CONTENT_LINK);
	ck_assert_int_eq(filter_n(r, "MESSAGE", "", "http://a.b", 10, NULL), POLICY_REASON_CONTENT_LINK);
}
END_TEST

/* At each limit, and one past it. */
START_TEST(limits)
{
	const struct policy_content *r = rule("warn", "allow", NULL, NULL);
	char body[8192], *at = body;

	for (int i = 0; i < SIP_TEXT_LINKS_MAX; i++)
		at += sprintf(at, "http://a ");
	ck_assert_int_eq(filter(r, "text/plain", body), POLICY_REASON_ALLOWED);
	strcpy(at, "http://a");
	ck_assert_int_eq(filter(r, "text/plain", body), POLICY_REASON_CONTENT_LINK);
	at = body;
	for (int i = 0; i < SIP_CONTENT_PARTS; i++)
		at += sprintf(at, "--b\r\n\r\nx\r\n");
	strcpy(at, "--b--");
	ck_assert_int_eq(filter(r, "multipart/mixed; boundary=b", body), POLICY_REASON_ALLOWED);
	strcpy(at, "--b\r\n\r\nx\r\n--b--");
	ck_assert_int_eq(filter(r, "multipart/mixed; boundary=b", body), POLICY_REASON_CONTENT_SEALED);
	for (unsigned deep = SIP_CONTENT_DEPTH - 1; deep <= SIP_CONTENT_DEPTH; deep++) {
		at = body;
		for (unsigned i = 0; i < deep; i++)
			at += sprintf(at, "--b%u\r\nContent-Type: multipart/mixed; boundary=b%u\r\n\r\n", i, i + 1);
		sprintf(at, "--b%u\r\n\r\nx", deep);
		ck_assert_int_eq(filter(r, "multipart/mixed; boundary=b0", body),
		    deep < SIP_CONTENT_DEPTH ? POLICY_REASON_ALLOWED : POLICY_REASON_CONTENT_SEALED);
	}
	/* RTF: 63 groups open at once, and 64 */
	memset(body, '{', 64);
	strcpy(body + SIP_RTF_GROUPS_MAX - 1, "x");
	ck_assert_int_eq(filter(r, "text/rtf", body), POLICY_REASON_ALLOWED);
	memset(body, '{', 64);
	strcpy(body + SIP_RTF_GROUPS_MAX, "x");
	ck_assert_int_eq(filter(r, "text/rtf", body), POLICY_REASON_CONTENT_SEALED);
}
END_TEST

/* Of this thread alone: what else the machine does is not counted. */
static uint64_t
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* The least of five. */
static uint64_t
cost_of(const struct policy_content *r, const char *type, const char *unit, char *body, size_t n)
{
	uint64_t best = UINT64_MAX, start, took;
	size_t unit_n = strlen(unit);

	for (size_t i = 0; i < n; i++)
		body[i] = unit[i % unit_n];
	body[n] = '\0';
	for (int k = 0; k < 5; k++) {
		start = cpu_us();
		filter(r, type, body);
		took = cpu_us() - start;
		best = took < best ? took : best;
	}
	return best;
}

/* Four times the text costs some four times as much, whatever it is: nothing is looked at again and again. */
START_TEST(work_is_bounded)
{
	static const struct {
		const char	*type, *unit;
	} dear[] = {
		{ "text/plain", "p:" }, { "text/plain", ":" }, { "text/plain", "www." }, { "text/plain", "%6" },
		{ "text/plain", "http://a.example.com" }, { "text/html", "&" }, { "text/html", "&#0000000" }, { "text/html", "<a b=" },
		{ "text/html", "<!--" }, { "text/html", "<p>" }, { "text/rtf", "\\u1?" }, { "text/rtf", "{\\*" }, { "text/rtf", "\\par" },
		{ "multipart/mixed; boundary=-", "--" }, { "multipart/mixed; boundary=-", "\n--" },
		{ "multipart/mixed; boundary=----------------------------------", "\n-" },
		{ "application/sdp", "m=filetransfer\n" }, { "application/sdp", "name:" }, { "text/x-msmsgsinvite", "a:b\n" },
		{ "application/x-filetransfer", "<name" },
	};
	const struct policy_content *r = rule("warn", "block-listed", NULL, NULL);
	static char body[60001];

	for (size_t d = 0; d < sizeof(dear) / sizeof(dear[0]); d++) {
		uint64_t some = cost_of(r, dear[d].type, dear[d].unit, body, 15000);
		uint64_t all = cost_of(r, dear[d].type, dear[d].unit, body, 60000);

		ck_assert_msg(all < 8 * some + 2000, "%s of %s: %lu us for 60,000 bytes, %lu us for 15,000", dear[d].unit,
		    dear[d].type, (unsigned long)all, (unsigned long)some);
		if (getenv("CK_COST") != NULL)
			printf("%s of %s: %lu us, and %lu us\n", dear[d].unit, dear[d].type, (unsigned long)all, (unsigned long)some);
	}
}
END_TEST

static bool
is_example(const void *arg, struct span host)
{
	(void)arg;
	return span_is(host, "www.example.com");
}

/* Text as it stands is looked at in a hurry, and in quoted-printable byte by byte: without a "=" in it both are the same text. */
START_TEST(hurry_misses_nothing)
{
	static const char *const pieces[] = { " ", "\n", "\t", "a", "hello", "http", ":", "//", "www", ".", "ftp.", "example.com",
		"www.example.com", "/", "x", "@", "_", "%77", "%", "-", "\xc3\xa4", "\xc2", "\xc2\xa0", "\xe2\x80\x8b", "\xef\xbd\x97", "\f",
		"\x01", "mailto:", "\"", "<", ";", "?", "#", "8", "xn--", "\\", "com", "some words that say nothing and lead nowhere at all, ", "[", "]", "::", "2001:db8::1", "192.0.2.1", "0x7f",
		"averyveryveryveryverylongwordwithoutanything", "(and one more of those)  ", "1234567890123456789012345678901 " };
	static struct sip_text fast, slow;
	static const char *const bare[] = { "with-path", "none", "all" };
	char text[2048];
	uint64_t seed = 7;
	unsigned total = 0;

	for (unsigned turn = 0; turn < 60000; turn++) {
		size_t n = 0;

		if (turn % 20000 == 0)
			fast.rule = slow.rule = rule("warn", "allow", "content.bare-domains", bare[turn / 20000]);
		for (unsigned i = turn % 24; i > 0; i--) {
			const char *piece;

			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			piece = pieces[(seed >> 33) % (sizeof(pieces) / sizeof(pieces[0]))];
			memcpy(text + n, piece, strlen(piece));
			n += strlen(piece);
		}
		fast.raw = slow.raw = span_of(text, n);
		fast.is_own = slow.is_own = turn % 3 == 0 ? is_example : NULL;
		fast.transfer = SIP_TRANSFER_NONE;
		slow.transfer = SIP_TRANSFER_QP;
		fast.charset = slow.charset = turn % 5 == 0 ? SIP_CHARSET_LATIN : SIP_CHARSET_UTF8;
		sip_text_scan(&fast);
		sip_text_scan(&slow);
		total += slow.nlinks;
		ck_assert_msg(fast.nlinks == slow.nlinks && fast.overflow == slow.overflow && fast.start == slow.start &&
		    memcmp(fast.link, slow.link, fast.nlinks * sizeof(fast.link[0])) == 0, "turn %u: %u links, but %u: \"%.*s\"", turn,
		    fast.nlinks, slow.nlinks, (int)n, text);
	}
	ck_assert_uint_gt(total, 10000);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { links_are_found, bare_domains, inert_links_are_none, warnings_and_underscores, utf16_both_ways_round,
		what_is_sealed, signed_bodies_stay, first_text_of_an_invite, files_are_found, names_of_files, what_the_rule_says,
		limits, work_is_bounded, hurry_misses_nothing };

	return unit_run("content", tests, sizeof(tests) / sizeof(tests[0]));
}
