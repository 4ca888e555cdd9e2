/*
 * tests/unit/director/vectors.h - numbers of NTLM sessions: two of deployed clients
 * and servers (1, 2), one that can be computed again from its password (3), and
 * one of Pidgin-SIPE 1.25 with a server of our own (4).
 */
#ifndef SALLYPORT_TESTS_UNIT_DIRECTOR_VECTORS_H
#define SALLYPORT_TESTS_UNIT_DIRECTOR_VECTORS_H

#include <stdint.h>
#include <string.h>

#define VECTOR_CHALLENGE \
	"TlRMTVNTUAACAAAAAAAAADgAAABRgpjiASNFZ4mrze8AAAAAAAAAAH4AfgA4AAAABQLODgAAAA8CAA4ARQBYAEEATQBQAEwA" \
	"RQABAAoARABJAFIAMAAxAAQAFgBlAHgAYQBtAHAAbABlAC4AYwBvAG0AAwAiAGQAaQByADAAMQAuAGUAeABhAG0AcABsAGUA" \
	"LgBjAG8AbQAFABYAZQB4AGEAbQBwAGwAZQAuAGMAbwBtAAAAAAA="
#define VECTOR_AUTHENTICATE \
	"TlRMTVNTUAADAAAAGAAYAG4AAACuAK4AhgAAAA4ADgBIAAAACgAKAFYAAAAOAA4AYAAAABAAEAA0AQAAVYKYYgUBKAoAAAAP" \
	"RQBYAEEATQBQAEwARQBhAGwAaQBjAGUATABBAFAAVABPAFAANwCE5rk87vCMhqRc5PEh/rCUqqqqqqqqqqrCO2hYnXpAxwQ8" \
	"cjlkMShyAQEAAAAAAAAAqDHzIqrcAaqqqqqqqqqqAAAAAAIADgBFAFgAQQBNAFAATABFAAEACgBEAEkAUgAwADEABAAWAGUA" \
	"eABhAG0AcABsAGUALgBjAG8AbQADACIAZABpAHIAMAAxAC4AZQB4AGEAbQBwAGwAZQAuAGMAbwBtAAUAFgBlAHgAYQBtAHAA" \
	"bABlAC4AYwBvAG0AAAAAAAAAAABQV1nfOrGbyJCRcwA38SdS"

/* What is signed. */
#define VECTOR_1_REQUEST \
	"<NTLM><13317733><1><SIP Communications Service><cosmo-ocs-r2.cosmo.local><4037df9284354df3906519" \
	"5bd57a4b14><3><REGISTER><sip:user@cosmo.local><3e49177a52><sip:user@cosmo.local><><><><>"
#define VECTOR_1_RESPONSE \
	"<NTLM><9616454F><1><SIP Communications Service><cosmo-ocs-r2.cosmo.local><4037df9284354df3906519" \
	"5bd57a4b14><3><REGISTER><sip:user@cosmo.local><3e49177a52><sip:user@cosmo.local><5E61CCD925D17E0" \
	"43D9A74835A88F664><><><7200><200>"
#define VECTOR_2 \
	"<NTLM><0878F41B><1><SIP Communications Service><ocs1.ocs.provo.novell.com><8592g5DCBa1694i5887m0" \
	"D0Bt2247b3F38xAE9Fx><3><REGISTER><sip:gabriel@ocs.provo.novell.com><2947328781><B816D65C2300A32C" \
	"FA6D371F2AF537FD><900><200>"
#define VECTOR_3_A \
	"<NTLM><5c3a91f0><1><SIP Communications Service><dir01.example.com><6a1f0e5b7c9d4e2f8a3b5c7d9e1f2" \
	"a4b><3><REGISTER><sip:alice@example.com><8f2b6d1c3a><sip:alice@example.com><><><><>"
#define VECTOR_3_B \
	"<NTLM><9D41E6B2><1><SIP Communications Service><dir01.example.com><6a1f0e5b7c9d4e2f8a3b5c7d9e1f2" \
	"a4b><3><REGISTER><sip:alice@example.com><8f2b6d1c3a><sip:alice@example.com><4E7A9C01D2B35F68><><" \
	"><7200><200>"
#define VECTOR_3_C \
	"<NTLM><9D41E6B2><1><SIP Communications Service><dir01.example.com><6a1f0e5b7c9d4e2f8a3b5c7d9e1f2" \
	"a4b><3><REGISTER><sip:alice@example.com><8f2b6d1c3a><4E7A9C01D2B35F68><7200><200>"
#define VECTOR_3_D \
	"<NTLM><0b7de245><2><SIP Communications Service><dir01.example.com><d0c1b2a3948576655443322110ffe" \
	"edd><2><MESSAGE><sip:alice@example.com><11aa22bb33><sip:carol@partner.example.net><44cc55dd66><>" \
	"<><>"
#define VECTOR_3_D2 \
	"<NTLM><0b7de245><2><SIP Communications Service><dir01.example.com><d0c1b2a3948576655443322110ffe" \
	"edd><2><MESSAGE><sip:alice@example.com><11aa22bb33><44cc55dd66><>"
#define VECTOR_3_E \
	"<NTLM><A1B2C3D4><7><SIP Communications Service><dir01.example.com><77e1c0ffee77e1c0ffee77e1c0ffe" \
	"e00><1><INVITE><sip:bob@example.com><b0b5tag><sip:alice@example.com><><sip:bob@example.com><tel:" \
	"+15550100><>"
#define VECTOR_4_RESPONSE \
	"<NTLM><96B68A71><1><SIP Communications Service><pool01.example.test><4716g4CD0a90D8i69ADm77B6t9C" \
	"1EbE351xA561x><3><REGISTER><sip:alice@example.test><3701951790><169A780CDA><7200><200>"
#define VECTOR_4_REQUEST \
	"<NTLM><f6606d6c><1><SIP Communications Service><pool01.example.test><52E5g53C4a8EFBiAF07mC328tC4" \
	"ADb19D7x8B76x><1><SUBSCRIBE><sip:alice@example.test><456457422><><>"

#define VECTOR_3_A_MAC	"010000004669e1ef26dc69a864000000"
#define VECTOR_3_B_MAC	"0100000045c92f1858c8432064000000"
#define VECTOR_3_C_MAC	"01000000e83fa32a763f93a064000000"
#define VECTOR_3_D_MAC	"01000000ef5f599f4b88c4b064000000"
#define VECTOR_3_D2_MAC	"01000000d5f545d1ceb5f53264000000"
#define VECTOR_3_E_MAC	"0100000011308b34dcf886fa64000000"

static inline int
vector_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static inline void
vector_hex(const char *text, unsigned char *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)(vector_digit(text[2 * i]) << 4 | vector_digit(text[2 * i + 1]));
}

/* Bytes written; the text must fit. */
static inline size_t
vector_base64(const char *text, unsigned char *out, size_t max)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (; *text != '\0' && *text != '=' && n < max; text++) {
		bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
		if ((have += 6) >= 8)
			out[n++] = (unsigned char)(bits >> (have -= 8));
	}
	return n;
}

#endif
