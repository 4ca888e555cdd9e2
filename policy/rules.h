/*
 * policy/rules.h - the organisation's policy as one immutable value.
 *
 * Built from (key, value) text with the place each stood at, then finished:
 * finishing checks everything, conflicts included, and either gives rules or a
 * list of all errors. Finished rules never change; a new policy is a new value
 * that is swapped whole. Many threads may read one.
 *
 * Keys (a list's elements are added in order; partners open with "partner"):
 *	domain                   one of our own SIP domains (exact; ".d" for d's sub-domains)
 *	blocked                  a blocked domain; covers its sub-domains, always
 *	remote-users             "on" | "off"
 *	federation               "on" | "off"
 *	ip-literals              "on" | "off": domains given as IP addresses
 *	internal-server          a name that may come in by the inner door; "*" stands for
 *	                         any characters of one label, not for the last label
 *	mark-verifiable          "on" (default) | "off" (MS 7.2, outward)
 *	archiving-notice         "on" | "off" (MS 7.7, outward)
 *	refuse-method            a method that no server of another organisation may send (FilterVerbs)
 *	refuse-method.CLASS      … of that class: remote-user, branch, direct, enhanced,
 *	                         provider, clearinghouse
 *	partner                  opens a direct partner; the value is its display name
 *	partner.server           its server's name, which its certificate must prove
 *	partner.port             1..65535, default 5061
 *	partner.domain           one of its domains (exact; ".d" for d's sub-domains)
 *	partner.verification     "always-verifiable" | "always-unverifiable" |
 *	                         "use-source-verification" (default)
 *	partner.cn               "on" | "off": accept the subject CN as a name (old peers)
 *	partner.certificate      "server-only" (default): its chain verifies; "strict": and it is
 *	                         made for servers and clients both; "pinned": its key is one of
 *	partner.pin              a key: SHA-256 of the SubjectPublicKeyInfo, hexadecimal or base64
 *	refused-certificate      a certificate that nobody may show: its SHA-256, hexadecimal
 *	partner.trusted          "on" | "off": in our trust domain (RFC 3325)
 *	partner.paused           "on" | "off": nothing passes to and from it for now
 *	partner.member           "on" | "off": a member of the clearing house that we are
 *	partner.reach            display name of a member that it may reach (default: all)
 *	clearinghouse            "on" | "off": relay between members by their domains
 *	discovery                "on" | "off": partners that DNS names (MS 8.2, 11.2)
 *	allowed                  a domain that may be discovered (exact; ".d" for d's sub-domains)
 *	allowed.verification     as a partner's
 *	allowed.record           the full name of its SRV record, if not the usual one
 *	open-federation          "on" | "off": every domain may be discovered
 *	discovered-verification  as a partner's, for domains that only open federation lets in
 *	provider                 opens a provider; the value is its display name
 *	provider.server, .port, .cn, .certificate, .pin  as a partner's
 *	provider.enabled         "on" | "off" (default)
 *	provider.paused          as a partner's
 *	provider.public          "on" | "off": a public IM network
 *	provider.verification    as a partner's; default always-unverifiable if public,
 *	                         else always-verifiable
 *	strict-provider-domains  "on" | "off": DNS must prove a public provider's senders too
 *	default-route            server of the clearing house that takes what nobody else does
 *	default-route.port, .verification, .trusted, .cn, .certificate, .pin
 *	                         as a partner's
 *	default-route.public     "on" | "off": it is marked as a public IM network
 *	branch                   server of a branch proxy, whose users are ours
 *	branch.cn, .certificate, .pin  as a partner's
 *	route                    opens a static route: "[user@]domain" or "tel:number", "*" for any characters
 *	route.server, .port      where it leads
 *	route.replace-host       "on" | "off": the Request-URI's host becomes the server's name
 *	assert-identity          "on" | "off": P-Asserted-Identity inward for verified senders
 *	diagnostics-partners, diagnostics-users
 *	                         "on" | "off": ms-diagnostics of the inside may be seen there
 *	content                  opens a rule about links and files (MS 14.3); the value is any name
 *	content.class            a class that it is about: remote-user, branch, direct, enhanced,
 *	                         provider, clearinghouse; each has one rule at most
 *	content.links            "allow" (default) | "warn" | "block"
 *	content.files            "allow" (default) | "block-listed" | "block"
 *	content.scheme           what makes a link: "http" is a scheme, "www." how a host begins
 *	content.extension        a file name's last part that "block-listed" refuses
 *	content.warning          what "warn" puts before the text; one line
 *	content.bare-domains     "with-path" (default): evil.example/x is a link | "all": evil.example too | "none"
 *	content.own-links        "allow" (default): links into our own domains are none | "filter"
 *	content.sealed           "block" (default) | "pass": what cannot be looked into or changed
 *	content.direction        "both" (default) | "in" | "out"
 *
 * What may not stand together, each refused with both places named: one of our
 * domains, a partner's domain, an allowed domain or a server in a blocked domain;
 * a domain both ours and a partner's or allowed; one both a partner's and allowed;
 * one domain with the same reach in two partners; one server in two roles; a peer's
 * server that is an internal server; an enabled provider, or being a clearing
 * house, together with a default route; a switch set twice. Of ".d" and "x.d"
 * in two partners the closer one counts.
 */
#ifndef SALLYPORT_POLICY_RULES_H
#define SALLYPORT_POLICY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "policy/facts.h"

struct policy_builder;
struct policy_rules;

/*
 * A new builder with the closed defaults: remote users on, every other door off
 * or empty. mark-verifiable is on: it opens nothing.
 */
struct policy_builder *policy_builder_new(void);
void	policy_builder_free(struct policy_builder *);
/* Keep one (key, value). Errors of the pair are kept too and come out of finish. Strings are copied. */
void	policy_builder_add(struct policy_builder *, const char *file, int line, const char *key, const char *value);
/*
 * The rules (the caller owns one reference), or NULL when there was any error;
 * report (may be NULL) is called for each, by file (in the order first seen) and
 * line, in both cases. The builder is empty afterwards and still to be freed.
 *
 * The rules are found by hash: hash_seed() must not be called after this.
 */
struct policy_rules *policy_builder_finish(struct policy_builder *,
	    void (*report)(void *arg, const char *file, int line, const char *text), void *arg);

struct policy_rules *policy_rules_ref(struct policy_rules *);
void	policy_rules_unref(struct policy_rules *);	/* NULL: nothing; any thread */

#define POLICY_RULES_MAX	1000000	/* pairs in one policy */

/* What a connection pool needs to know of a server that the rules name; index from a decision. */
struct policy_partner {
	const char	*name;		/* display name */
	const char	*server;	/* lower-case; certificate must prove it */
	uint16_t	 port;
	bool		 accept_cn;
};
size_t	policy_partner_count(const struct policy_rules *);
/* Borrowed from the rules; i < count. */
const struct policy_partner *policy_partner_get(const struct policy_rules *, size_t i);
/* A SHA-256 fingerprint in 64 hexadecimal digits, with a colon after every two or without; false: it is none. */
bool	policy_read_fingerprint(const char *text, unsigned char out[32]);
/* What the rules say of it, for whoever shows it. Words are those of policy.conf(5); static. */
struct policy_partner_terms {
	const char	*certificate;	/* "server-only", "strict", "pinned" */
	const char	*verification;	/* "use-source-verification" …; of a branch and a static route NULL: it does not apply */
	bool		 paused, trusted, member, public_network;
	bool		 enabled;	/* false: a provider that is listed only */
};
void	policy_partner_terms_of(const struct policy_rules *, size_t i, struct policy_partner_terms *);
/* Its domains, in the order of the rules. below: all sub-domains, not the domain itself. Borrowed from the rules. */
void	policy_partner_each_domain(const struct policy_rules *, size_t i,
	    void (*each)(void *arg, struct span domain, bool below), void *arg);
/* Its pinned keys, 32 bytes each, the first max of them; how many there are. */
size_t	policy_partner_pins(const struct policy_rules *, size_t i, const unsigned char **out, size_t max);
/* Whose server that is (lower-case), and whose domain (lower-case A-label form) it is or is below; SIZE_MAX: nobody's. */
size_t	policy_partner_of_server(const struct policy_rules *, struct span server);
size_t	policy_partner_of_domain(const struct policy_rules *, struct span domain);
/* What that server is to us; UNKNOWN: only a static route leads there. */
enum policy_class policy_partner_class(const struct policy_rules *, size_t i);
/* All pinned keys, and all refused certificates, for whoever verifies chains. Borrowed from the rules. */
size_t	policy_pin_count(const struct policy_rules *);
const unsigned char *policy_pin_get(const struct policy_rules *, size_t i);	/* 32 bytes; i < count */
const unsigned char (*policy_refused_certificates(const struct policy_rules *, size_t *n))[32];
/* May ms-diagnostics of the inside be seen by partners, or by remote users (MS 7.6)? */
bool	policy_shows_diagnostics(const struct policy_rules *, bool to_partner);
/* A name that may come in by the inner door, lower-case, into out (256 bytes); false: there is none. */
bool	policy_internal_server(const struct policy_rules *, char out[256]);
/* Is it a clearing house's that has neither domains nor branches of its own: does nothing ever go inside? */
bool	policy_only_relays(const struct policy_rules *);
/* Our own domains, in no order: *i begins as 0; below: all domains below it, not itself. Borrowed. False: no more. */
bool	policy_next_internal_domain(const struct policy_rules *, size_t *i, struct span *domain, bool *below);
/* Is this one of our own domains? Lower-case A-label form. */
bool	policy_is_internal_domain(const struct policy_rules *, const char *p, size_t n);
/*
 * May that server, which the rules name, vouch for users of that domain (lower-case A-label
 * form)? A direct partner for its own domains; others for whatever is neither ours, nor
 * blocked, nor a direct partner's. i < policy_partner_count().
 */
bool	policy_may_vouch_for(const struct policy_rules *, size_t i, const char *p, size_t n);

#endif
