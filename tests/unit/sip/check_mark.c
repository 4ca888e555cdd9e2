#include <stdio.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/addr.h"
#include "sip/mark.h"
#include "tests/unit/unit.h"

static struct sip_message msg;
static char out[100000];

static void
index_text(const char *text)
{
	ck_assert_msg(sip_message_index(&msg, text, strlen(text)) == SP_OK, "%s", text);
}

static const char *
render(void)
{
	size_t n = sip_message_render(&msg, out);

	ck_assert_uint_gt(n, 0);
	out[n] = '\0';
	return out;
}

#define VIA	"Via: SIP/2.0/TLS 192.168.1.5:51234\r\n"
#define REST	"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n"
#define REQUEST	"MESSAGE sip:b@h SIP/2.0\r\n" VIA REST
#define END	"Content-Length: 0\r\n\r\n"

enum { USER_IN = 1, PEER_IN = 2, USER_OUT = 4, PEER_OUT = 8, IN = 3, OUT = 12, ALL = 15 };

START_TEST(each_crossing_takes_its_own)
{
	static const struct {
		const char	*line;
		unsigned	 goes;
	} rows[] = {
		{ "ms-edge-proxy-message-trust: ms-source-type=InternetUser", ALL },
		{ "MS-Edge-Proxy-Message-Trust \t:\r\n ms-source-type=InternetUser;\r\n\tms-ep-fqdn=x", ALL },
		{ "x-sallyport-refused: 1", ALL },
		{ "ms-asserted-verification-level: ms-source-verified-user=verified", ALL },
		{ "ms-archiving: TRUE", USER_IN | PEER_OUT },
		{ "ms-user-logon-data: RemoteUser", IN | PEER_OUT },
		{ "ms-split-domain-info: x", IN | PEER_OUT },
		{ "P-Asserted-Identity: <sip:a@h>", IN | PEER_OUT },
		{ "P-Preferred-Identity: <sip:a@h>", PEER_IN | PEER_OUT },
		{ "ms-diagnostics: 1;reason=\"x\";source=\"inside.example.com\"", ALL },
		{ "ms-diagnostics-public: 1;reason=\"x\"", USER_IN },
		{ "ms-keep-alive: UAC;hop-hop=yes", ALL },
		{ "Compression: LZ77-64K", ALL },
		{ "Authorization: NTLM a=1", PEER_IN | OUT },
		{ "Proxy-Authorization: NTLM a=1", PEER_IN | OUT },
		{ "Authentication-Info: NTLM a=1", PEER_IN | PEER_OUT },
		{ "Proxy-Authentication-Info: NTLM a=1", PEER_IN | PEER_OUT },
		{ "WWW-Authenticate: NTLM a=1", IN | PEER_OUT },
		{ "Proxy-Authenticate: NTLM a=1", IN | PEER_OUT },
		{ "Remote-Party-ID: <sip:a@h>", IN },
		{ "P-Served-User: <sip:a@h>", IN },
		{ "P-Asserted-Service: urn:x", IN },
		{ "P-Charging-Vector: icid-value=1", IN },
		{ "P-Charging-Function-Addresses: ccf=x", IN },
		{ "P-Associated-URI: <sip:a@h>", IN },
		{ "P-Called-Party-ID: <sip:a@h>", IN },
		{ "P-Visited-Network-ID: x", IN },
		{ "P-User-Database: <aaa://x>", IN },
		{ "P-Profile-Key: <sip:x>", IN },
		{ "Diversion: <sip:a@h>;reason=unconditional", IN },
		{ "P-Access-Network-Info: x", 0 },
		{ "History-Info: <sip:a@h>;index=1", 0 },
		{ "Route: <sip:x;lr>", 0 },
		{ "Record-Route: <sip:x;lr>", 0 },
		{ "Server: RTC/3.5", 0 },
		{ "UserAgent: LCC/1.3", 0 },
		{ "Proxy-Require: ms-benotify", 0 },
		{ "P-Something: x", 0 },
		{ "ms-edge-proxy: x", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned crossing = SIP_CROSS_NONE; crossing <= SIP_CROSS_RELAY; crossing++)
			for (unsigned kind = 0; kind < 2; kind++) {
				bool goes = crossing != SIP_CROSS_NONE && (rows[i].goes & 1u << (crossing - 1)) != 0;
				char text[1000];

				/* what leaves for another organisation, but for what the first one says of its archive */
				if (crossing == SIP_CROSS_RELAY)
					goes = (rows[i].goes & PEER_OUT) != 0 && strncmp(rows[i].line, "ms-archiving", 12) != 0;

				/* Twice, so that it is not only the first, in a request and in a response. */
				snprintf(text, sizeof(text), "%s%s%s\r\n%s\r\n" END, kind == 0 ? REQUEST : "SIP/2.0 200 OK\r\n" VIA REST,
				    "", rows[i].line, rows[i].line);
				index_text(text);
				ck_assert_msg(sip_mark_strip(&msg, (enum sip_crossing)crossing) == (goes ? 2u : 0u), "%s at %u",
				    rows[i].line, crossing);
				if (goes)
					ck_assert_str_eq(render(), kind == 0 ? REQUEST END : "SIP/2.0 200 OK\r\n" VIA REST END);
				else
					ck_assert_str_eq(render(), text);
			}
}
END_TEST

START_TEST(the_top_via_says_nothing_received)
{
	static const struct {
		const char *before, *after;
	} rows[] = {
		{ "SIP/2.0/TLS h;received=10.0.0.1;branch=z;ms-received-port=1;ms-received-cid=A", "SIP/2.0/TLS h;branch=z" },
		{ "SIP/2.0/TLS h ; RECEIVED = 10.0.0.1 ; x", "SIP/2.0/TLS h  ; x" },
		{ "SIP/2.0/TLS h;received=1.1.1.1;x;received=2.2.2.2", "SIP/2.0/TLS h;x" },
		{ "SIP/2.0/TLS h;rport;branch=z", "SIP/2.0/TLS h;rport;branch=z" },
		/* Others said theirs about those before them. */
		{ "SIP/2.0/TLS h;received=1.1.1.1, SIP/2.0/TLS i;received=2.2.2.2", "SIP/2.0/TLS h, SIP/2.0/TLS i;received=2.2.2.2" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char before[500], after[500], response[500];

		snprintf(before, sizeof(before), "MESSAGE sip:b@h SIP/2.0\r\nv: %s\r\n" REST END, rows[i].before);
		snprintf(after, sizeof(after), "MESSAGE sip:b@h SIP/2.0\r\nv: %s\r\n" REST END, rows[i].after);
		snprintf(response, sizeof(response), "SIP/2.0 200 OK\r\nv: %s\r\n" REST END, rows[i].before);
		for (enum sip_crossing c = SIP_CROSS_USER_IN; c <= SIP_CROSS_PEER_OUT; c++) {
			bool in = c == SIP_CROSS_USER_IN || c == SIP_CROSS_PEER_IN;

			index_text(before);
			ck_assert_uint_eq(sip_mark_strip(&msg, c), 0);
			ck_assert_str_eq(render(), in ? after : before);
			/* In a response the Vias are ours and our side's. */
			index_text(response);
			sip_mark_strip(&msg, c);
			ck_assert_str_eq(render(), response);
		}
	}
}
END_TEST

START_TEST(the_inward_mark)
{
	static const struct {
		enum policy_class	 class;
		enum policy_verification verification;
		const char		*remote, *mark;
	} rows[] = {
		{ POLICY_CLASS_REMOTE_USER, POLICY_VERIFIED, NULL,
		    "ms-source-type=InternetUser;ms-ep-fqdn=ap-int.example.com;ms-source-verified-user=verified" },
		{ POLICY_CLASS_REMOTE_USER, POLICY_VERIFIED, "x.example.com",
		    "ms-source-type=InternetUser;ms-ep-fqdn=ap-int.example.com;ms-source-verified-user=verified" },
		{ POLICY_CLASS_DIRECT, POLICY_UNVERIFIED, "sip.partner.example.net", "ms-source-type=DirectPartner;"
		    "ms-ep-fqdn=ap-int.example.com;ms-source-verified-user=unverified;ms-source-network=federation" },
		{ POLICY_CLASS_ENHANCED, POLICY_VERIFIED, NULL, "ms-source-type=AutoFederation;"
		    "ms-ep-fqdn=ap-int.example.com;ms-source-verified-user=verified;ms-source-network=federation" },
		{ POLICY_CLASS_PROVIDER, POLICY_VERIFIED, NULL, "ms-source-type=AuthorizedServer;"
		    "ms-ep-fqdn=ap-int.example.com;ms-source-verified-user=verified;ms-source-network=federation" },
		{ POLICY_CLASS_PROVIDER, POLICY_UNVERIFIED, "federation.provider.example", "ms-source-type=AuthorizedServer;"
		    "ms-ep-fqdn=ap-int.example.com;ms-source-verified-user=unverified;ms-source-network=publiccloud;"
		    "ms-remote-fqdn=federation.provider.example" },
		{ POLICY_CLASS_UNKNOWN, POLICY_VERIFIED, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_decision d = { .class = rows[i].class, .verification = rows[i].verification, .mark_inward = true };
		char want[1000];

		snprintf(want, sizeof(want), REQUEST "Content-Length: 0\r\n%s%s%s\r\n", rows[i].mark != NULL ?
		    "ms-edge-proxy-message-trust: " : "", rows[i].mark != NULL ? rows[i].mark : "", rows[i].mark != NULL ? "\r\n" : "");
		/* Even when nobody stripped, ours stands alone. */
		index_text(REQUEST "ms-edge-proxy-message-trust: forged\r\n" END);
		sip_mark_write_inward(&msg, &d, "ap-int.example.com", rows[i].remote);
		ck_assert_str_eq(render(), want);
		index_text(REQUEST END);
		sip_mark_strip(&msg, SIP_CROSS_PEER_IN);
		sip_mark_write_inward(&msg, &d, "ap-int.example.com", rows[i].remote);
		ck_assert_str_eq(render(), want);
		/* What is written is what is read. */
		if (rows[i].mark != NULL) {
			static char copy[1000];
			struct sip_mark mark;

			snprintf(copy, sizeof(copy), "%s", want);
			index_text(copy);
			ck_assert(sip_mark_read(&msg, &mark));
			ck_assert(mark.class == rows[i].class && !mark.generated);
			ck_assert(mark.verified == (rows[i].verification == POLICY_VERIFIED));
			ck_assert(mark.public_network == (strstr(rows[i].mark, "publiccloud") != NULL));
			ck_assert(span_is(mark.ep_fqdn, "ap-int.example.com"));
		}
		d.mark_inward = false;
		index_text(REQUEST END);
		sip_mark_write_inward(&msg, &d, "ap-int.example.com", rows[i].remote);
		ck_assert_str_eq(render(), REQUEST END);
	}
	index_text("SIP/2.0 504 Server time-out\r\n" VIA REST END);
	sip_mark_write_generated(&msg, "ap-int.example.com");
	ck_assert_ptr_nonnull(strstr(render(), "\r\nms-edge-proxy-message-trust: ms-source-type=EdgeProxyGenerated;"
	    "ms-ep-fqdn=ap-int.example.com;ms-source-verified-user=verified\r\n\r\n"));
}
END_TEST

START_TEST(the_outward_mark)
{
	struct policy_decision d = { .mark_verifiable = true };

	index_text(REQUEST "ms-archiving: x\r\nms-asserted-verification-level: y\r\n" END);
	sip_mark_strip(&msg, SIP_CROSS_PEER_OUT);
	sip_mark_write_outward(&msg, &d);
	ck_assert_str_eq(render(), REQUEST "Content-Length: 0\r\n"
	    "ms-asserted-verification-level: ms-source-verified-user=verified\r\n\r\n");
	d.mark_verifiable = false;
	d.mark_archiving = true;
	index_text(REQUEST "ms-archiving: x\r\nms-asserted-verification-level: y\r\n" END);
	sip_mark_write_outward(&msg, &d);
	ck_assert_str_eq(render(), REQUEST "Content-Length: 0\r\n"
	    "ms-asserted-verification-level: ms-source-verified-user=unverified\r\nms-archiving: TRUE\r\n\r\n");
}
END_TEST

START_TEST(marks_are_read_strictly)
{
	static const struct {
		const char	*value;
		bool		 ok, generated, verified;
		enum policy_class class;
	} rows[] = {
		{ "ms-source-type=InternetUser", true, false, false, POLICY_CLASS_REMOTE_USER },
		{ "MS-Source-Verified-User = VERIFIED ; ms-source-type\t= internetuser", true, false, true, POLICY_CLASS_REMOTE_USER },
		{ "ms-source-type=EdgeProxyGenerated;ms-ep-fqdn=x", true, true, false, POLICY_CLASS_UNKNOWN },
		{ "ms-source-type=AutoFederation;unknown=z", true, false, false, POLICY_CLASS_ENHANCED },
		{ "", false, false, false, 0 },
		{ "ms-ep-fqdn=x", false, false, false, 0 },
		{ "ms-source-type=Unheard", false, false, false, 0 },
		{ "ms-source-type", false, false, false, 0 },
		{ "ms-source-type=", false, false, false, 0 },
		{ "ms-source-type=InternetUser;", false, false, false, 0 },
		{ "ms-source-type=InternetUser;;x=y", false, false, false, 0 },
		{ "ms-source-type=InternetUser;ms-source-type=DirectPartner", false, false, false, 0 },
		{ "ms-source-type=InternetUser;ms-ep-fqdn=\"a;b\"", false, false, false, 0 },
		{ "ms-source-type=InternetUser, ms-source-type=DirectPartner", false, false, false, 0 },
		{ "ms-source-type=InternetUser\r\n ms-source-verified-user=verified", false, false, false, 0 },
		{ "ms-source-type=Internet\xc3\x9cser", false, false, false, 0 },
	};
	struct sip_mark mark;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[500];

		snprintf(text, sizeof(text), REQUEST "ms-edge-proxy-message-trust: %s\r\n" END, rows[i].value);
		index_text(text);
		ck_assert_msg(sip_mark_read(&msg, &mark) == rows[i].ok, "%s", rows[i].value);
		ck_assert(mark.class == rows[i].class && mark.generated == rows[i].generated && mark.verified == rows[i].verified);
	}
	index_text(REQUEST END);
	ck_assert(!sip_mark_read(&msg, &mark));
	index_text(REQUEST "ms-edge-proxy-message-trust: ms-source-type=InternetUser\r\n"
	    "ms-edge-proxy-message-trust: ms-source-type=InternetUser\r\n" END);
	ck_assert(!sip_mark_read(&msg, &mark));
}
END_TEST

START_TEST(the_partners_word)
{
	static const struct {
		const char		*lines;
		enum policy_assertion	 want;
	} rows[] = {
		{ "", POLICY_ASSERTED_NOTHING },
		{ "ms-asserted-verification-level: ms-source-verified-user=verified\r\n", POLICY_ASSERTED_VERIFIED },
		{ "MS-Asserted-Verification-Level : x=y ; MS-SOURCE-VERIFIED-USER = Verified\r\n", POLICY_ASSERTED_VERIFIED },
		{ "ms-asserted-verification-level: ms-source-verified-user=unverified\r\n", POLICY_ASSERTED_UNVERIFIED },
		{ "ms-asserted-verification-level: ms-source-verified-user=maybe\r\n", POLICY_ASSERTED_UNVERIFIED },
		{ "ms-asserted-verification-level: verified\r\n", POLICY_ASSERTED_NOTHING },
		{ "ms-asserted-verification-level:\r\n", POLICY_ASSERTED_NOTHING },
		{ "ms-asserted-verification-level: ms-source-verified-user=verified\r\n"
		    "ms-asserted-verification-level: ms-source-verified-user=verified\r\n", POLICY_ASSERTED_UNVERIFIED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[500];

		snprintf(text, sizeof(text), REQUEST "%s" END, rows[i].lines);
		index_text(text);
		ck_assert_msg(sip_mark_assertion(&msg) == rows[i].want, "row %zu", i);
	}
}
END_TEST

START_TEST(the_first_hop)
{
	static const struct {
		const char	*from;
		enum sip_check	 want;
		const char	*via, *contact, *new_via, *new_contact;
	} rows[] = {
		/* Vias */
		{ "198.51.100.7:2231", SIP_CHECK_OK, "SIP/2.0/TLS 192.168.1.5:51234", "<sip:a@h>",
		    "SIP/2.0/TLS 192.168.1.5:51234;received=198.51.100.7;ms-received-port=2231;ms-received-cid=1A00", "<sip:a@h>" },
		{ "198.51.100.7:2231", SIP_CHECK_OK, "SIP/2.0/TLS 198.51.100.7:51234;branch=z", "<sip:a@h>",
		    "SIP/2.0/TLS 198.51.100.7:51234;branch=z;ms-received-port=2231;ms-received-cid=1A00", "<sip:a@h>" },
		{ "198.51.100.7:2231", SIP_CHECK_OK, "SIP/2.0/TLS h;received=10.0.0.1;ms-received-cid=F , SIP/2.0/TLS i", "<sip:a@h>",
		    "SIP/2.0/TLS h;received=198.51.100.7;ms-received-port=2231;ms-received-cid=1A00 , SIP/2.0/TLS i", "<sip:a@h>" },
		{ "198.51.100.7:2231", SIP_CHECK_OK, "SIP/2.0/TLS 198.51.100.7;rport;branch=z", "<sip:a@h>",
		    "SIP/2.0/TLS 198.51.100.7;rport=2231;branch=z;received=198.51.100.7;ms-received-port=2231;ms-received-cid=1A00",
		    "<sip:a@h>" },
		{ "[2001:db8::7]:2231", SIP_CHECK_OK, "SIP/2.0/TLS [2001:DB8:0::7]:1", "<sip:a@h>",
		    "SIP/2.0/TLS [2001:DB8:0::7]:1;ms-received-port=2231;ms-received-cid=1A00", "<sip:a@h>" },
		{ "[2001:db8::7]:2231", SIP_CHECK_OK, "SIP/2.0/TLS [2001:db8::8]:1", "<sip:a@h>",
		    "SIP/2.0/TLS [2001:db8::8]:1;received=2001:db8::7;ms-received-port=2231;ms-received-cid=1A00", "<sip:a@h>" },
		/* Contacts */
		{ "198.51.100.7:2231", SIP_CHECK_OK, "SIP/2.0/TLS 198.51.100.7",
		    "<sip:192.168.1.5:51234;transport=tls;ms-opaque=d3>;methods=\"A, B\";proxy=replace;+sip.instance=\"<urn:x>\"",
		    "SIP/2.0/TLS 198.51.100.7;ms-received-port=2231;ms-received-cid=1A00",
		    "<sip:198.51.100.7:2231;transport=tls;ms-opaque=d3;ms-received-cid=1A00>;methods=\"A, B\";+sip.instance=\"<urn:x>\"" },
		{ "198.51.100.7:2231", SIP_CHECK_OK, "SIP/2.0/TLS 198.51.100.7", "<sip:a@192.168.1.5?x=y>;proxy=REPLACE",
		    "SIP/2.0/TLS 198.51.100.7;ms-received-port=2231;ms-received-cid=1A00",
		    "<sip:a@198.51.100.7:2231;ms-received-cid=1A00?x=y>" },
		{ "198.51.100.7:2231", SIP_CHECK_OK, "SIP/2.0/TLS 198.51.100.7", "<sip:host.example;ms-received-cid=9;x>;proxy=replace",
		    "SIP/2.0/TLS 198.51.100.7;ms-received-port=2231;ms-received-cid=1A00",
		    "<sip:host.example;ms-received-cid=1A00;x;maddr=198.51.100.7>" },
		{ "198.51.100.7:2231", SIP_CHECK_OK, "SIP/2.0/TLS 198.51.100.7", "<sip:192.168.1.5:1;maddr=10.0.0.1>;proxy=replace",
		    "SIP/2.0/TLS 198.51.100.7;ms-received-port=2231;ms-received-cid=1A00",
		    "<sip:192.168.1.5:1;maddr=198.51.100.7;ms-received-cid=1A00>" },
		{ "[2001:db8::7]:2231", SIP_CHECK_OK, "SIP/2.0/TLS [2001:db8::7]", "<sip:[fd00::1]:5>;proxy=replace, <sip:b@h>",
		    "SIP/2.0/TLS [2001:db8::7];ms-received-port=2231;ms-received-cid=1A00",
		    "<sip:[2001:db8::7]:2231;ms-received-cid=1A00>, <sip:b@h>" },
		{ "198.51.100.7:2231", SIP_CHECK_CONTACT_PROXY, "SIP/2.0/TLS h, SIP/2.0/TLS i", "<sip:1.1.1.1>;proxy=replace", NULL, NULL },
		{ "198.51.100.7:2231", SIP_CHECK_CONTACT_PROXY, "SIP/2.0/TLS h", "<sip:1.1.1.1>;proxy=remove", NULL, NULL },
		{ "198.51.100.7:2231", SIP_CHECK_CONTACT_PROXY, "SIP/2.0/TLS h", "<sip:1.1.1.1>;proxy", NULL, NULL },
		{ "198.51.100.7:2231", SIP_CHECK_CONTACT_PROXY, "SIP/2.0/TLS h", "<sip:1.1.1.1;transport=tcp>;proxy=replace", NULL, NULL },
		{ "198.51.100.7:2231", SIP_CHECK_CONTACT_PROXY, "SIP/2.0/TLS h", "sip:1.1.1.1;proxy=replace", NULL, NULL },
		{ "198.51.100.7:2231", SIP_CHECK_CONTACT_PROXY, "SIP/2.0/TLS h", "<tel:+1>;proxy=replace", NULL, NULL },
		{ "198.51.100.7:2231", SIP_CHECK_VIA, "SIP/2.0/TLS", "<sip:1.1.1.1>", NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1000], want[1000];
		struct net_addr from;

		ck_assert_int_eq(net_addr_parse(&from, span_str(rows[i].from), 0), SP_OK);
		snprintf(text, sizeof(text), "REGISTER sip:h SIP/2.0\r\nVia: %s\r\n" REST "Contact: %s\r\n" END, rows[i].via, rows[i].contact);
		index_text(text);
		sip_mark_strip(&msg, SIP_CROSS_USER_IN);
		enum sip_check got = sip_mark_first_hop(&msg, &from, 0x1a00);
		ck_assert_msg(got == rows[i].want, "row %zu: %s", i, sip_check_name(got));
		if (got != SIP_CHECK_OK)
			continue;
		snprintf(want, sizeof(want), "REGISTER sip:h SIP/2.0\r\nVia: %s\r\n" REST "Contact: %s\r\n" END, rows[i].new_via,
		    rows[i].new_contact);
		ck_assert_str_eq(render(), want);
	}

	/* What would be too much for whoever reads as we do is refused, and not written. */
	for (int i = 0; i < 4; i++) {
		static char big[20000];
		struct net_addr to;
		size_t n = (size_t)sprintf(big, "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/TLS h");
		int many = i < 2 ? 60 + i : 1;

		for (int k = 0; k < many; k++)
			n += (size_t)sprintf(big + n, ";p%d", k);
		if (i >= 2)
			n += (size_t)sprintf(big + n, ";x=%0*d", 8192 - 160 - 19 + (i == 3), 1);
		sprintf(big + n, "\r\n" REST "Contact: <sip:a@h>\r\n" END);
		index_text(big);
		ck_assert_int_eq(net_addr_parse(&to, SPAN_LIT("198.51.100.7:2231"), 0), SP_OK);
		ck_assert_msg(sip_mark_first_hop(&msg, &to, 1) == (i % 2 == 0 ? SIP_CHECK_OK : SIP_CHECK_VIA), "row %d", i);
		if (i % 2 == 0) {
			struct sip_message *m = xcalloc(1, sizeof(*m));

			ck_assert_int_eq(sip_message_index(m, render(), strlen(render())), SP_OK);
			ck_assert_int_eq(sip_message_parse(m), SIP_CHECK_OK);
			free(m);
		}
	}

	/* Another server's Via: where it is, if that is not what it says, and its port if it asks (RFC 3261 18.2.1, RFC 3581). */
	static const struct {
		const char *via, *new_via;
	} servers[] = {
		{ "SIP/2.0/TLS sip.contoso.example:5061;branch=z", "SIP/2.0/TLS sip.contoso.example:5061;branch=z;received=198.51.100.7" },
		{ "SIP/2.0/TLS 192.168.1.5;branch=z", "SIP/2.0/TLS 192.168.1.5;branch=z;received=198.51.100.7" },
		{ "SIP/2.0/TLS 198.51.100.7;branch=z", "SIP/2.0/TLS 198.51.100.7;branch=z" },
		{ "SIP/2.0/TLS 198.51.100.7;rport;branch=z", "SIP/2.0/TLS 198.51.100.7;rport=2231;branch=z;received=198.51.100.7" },
		{ "SIP/2.0/TLS h;received=10.0.0.1;rport=9;ms-received-cid=F, SIP/2.0/TLS i",
		    "SIP/2.0/TLS h;rport=2231;received=198.51.100.7, SIP/2.0/TLS i" },
	};
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		char text[1000], want[1000];
		struct net_addr where;

		ck_assert_int_eq(net_addr_parse(&where, SPAN_LIT("198.51.100.7:2231"), 0), SP_OK);
		snprintf(text, sizeof(text), "INVITE sip:h SIP/2.0\r\nVia: %s\r\n" REST END, servers[i].via);
		index_text(text);
		ck_assert_int_eq(sip_message_parse(&msg), SIP_CHECK_OK);
		sip_mark_strip(&msg, SIP_CROSS_PEER_IN);
		sip_mark_received(&msg, &where);
		snprintf(want, sizeof(want), "INVITE sip:h SIP/2.0\r\nVia: %s\r\n" REST END, servers[i].new_via);
		ck_assert_str_eq(render(), want);
	}

	/* In a response the Vias are not the client's; its Contact is. */
	struct net_addr from;
	ck_assert_int_eq(net_addr_parse(&from, SPAN_LIT("198.51.100.7:2231"), 0), SP_OK);
	index_text("SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS h\r\nVia: SIP/2.0/TLS i\r\n" REST "m: <sip:10.0.0.1>;proxy=replace\r\n" END);
	ck_assert_int_eq(sip_mark_first_hop(&msg, &from, 1), SIP_CHECK_OK);
	ck_assert_str_eq(render(), "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS h\r\nVia: SIP/2.0/TLS i\r\n" REST
	    "m: <sip:198.51.100.7:2231;ms-received-cid=1>\r\n" END);
}
END_TEST

/* What policy lets through after all stays where and as it was. */
START_TEST(kept_after_all)
{
	struct policy_decision d = { .verdict = POLICY_ALLOW, .mark_outward = true, .mark_verifiable = true };

	index_text(REQUEST "p-asserted-identity :  \"A\"\r\n <sip:a@h>\r\nms-diagnostics: 1\r\nP-Asserted-Identity: <tel:+1>\r\n" END);
	ck_assert_uint_eq(sip_mark_strip(&msg, SIP_CROSS_PEER_OUT), 3);
	sip_mark_keep(&msg, SIP_H_P_ASSERTED_IDENTITY);
	ck_assert_str_eq(render(), REQUEST "p-asserted-identity :  \"A\"\r\n <sip:a@h>\r\nP-Asserted-Identity: <tel:+1>\r\n" END);
	sip_mark_keep(&msg, SIP_H_MS_DIAGNOSTICS);
	sip_mark_keep(&msg, SIP_H_MS_ARCHIVING);	/* there is none */
	ck_assert_str_eq(render(), msg.bytes);
	sip_edit_keep_header(&msg, -1);
	sip_edit_keep_header(&msg, 1000);

	/* One of two; the other stays gone. */
	index_text(REQUEST "P-Asserted-Identity: <sip:a@h>\r\nP-Asserted-Identity: <tel:+1>\r\n" END);
	sip_mark_strip(&msg, SIP_CROSS_PEER_IN);
	sip_edit_keep_header(&msg, sip_message_next(&msg, SIP_H_P_ASSERTED_IDENTITY, msg.first[SIP_H_P_ASSERTED_IDENTITY]));
	ck_assert_str_eq(render(), REQUEST "P-Asserted-Identity: <tel:+1>\r\n" END);

	/* Ours is the only one. */
	index_text(REQUEST "P-Asserted-Identity: <sip:boss@h>\r\n" END);
	ck_assert_int_eq(sip_message_parse(&msg), SIP_CHECK_OK);
	sip_mark_write_identity(&msg);
	ck_assert_ptr_nonnull(strstr(render(), "P-Asserted-Identity: <sip:a@h>\r\n"));
	ck_assert_ptr_null(strstr(out, "boss"));

	/* From member to member: what the first one says of its archive goes along. */
	for (int pass = 0; pass < 2; pass++) {
		index_text(REQUEST "ms-archiving: TRUE\r\nms-asserted-verification-level: x\r\n" END);
		sip_mark_strip(&msg, SIP_CROSS_PEER_IN);
		sip_mark_strip(&msg, SIP_CROSS_RELAY);
		d.pass_archiving = pass != 0;
		sip_mark_write_outward(&msg, &d);
		ck_assert_int_eq(strstr(render(), "ms-archiving: TRUE\r\n") != NULL, pass);
		ck_assert_ptr_nonnull(strstr(out, "ms-asserted-verification-level: ms-source-verified-user=verified\r\n"));
	}

	/* A clearing house that counts as a public network is marked as one. */
	d = (struct policy_decision){ .verdict = POLICY_ALLOW, .class = POLICY_CLASS_CLEARINGHOUSE, .mark_inward = true };
	index_text(REQUEST END);
	sip_mark_write_inward(&msg, &d, "edge.int", "sip.house.example");
	ck_assert_ptr_nonnull(strstr(render(), "ms-source-type=AuthorizedServer;ms-ep-fqdn=edge.int;"
	    "ms-source-verified-user=unverified;ms-source-network=publiccloud;ms-remote-fqdn=sip.house.example"));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { each_crossing_takes_its_own, the_top_via_says_nothing_received, the_inward_mark,
	    the_outward_mark, marks_are_read_strictly, the_partners_word, the_first_hop, kept_after_all };

	return unit_run("mark", tests, sizeof(tests) / sizeof(tests[0]));
}
