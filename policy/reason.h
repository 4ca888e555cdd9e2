/*
 * policy/reason.h - the named causes of decisions. A closed list.
 *
 * Every refusal has exactly one. The table POLICY_REASONS is the single place
 * where a reason is defined: the enum, the names in logs and metrics, the
 * sentence for the administrator, the SIP status and the ms-diagnostics id
 * (MS-OCER 8.2; 0 where none exists) all come from it, and so does the manual.
 *
 *	X(enumerator, name, status, diagnostics, public, sentence)
 *
 * status 0: nothing is answered (dropped, or the connection is closed).
 * public 1: the id may be told outside as ms-diagnostics-public (MS 10.1).
 */
#ifndef SALLYPORT_POLICY_REASON_H
#define SALLYPORT_POLICY_REASON_H

#define POLICY_REASONS(X) \
	/* zero: a decision that nobody filled in */ \
	X(UNDECIDED, "undecided", 500, 0, 0, "No rule came to a decision; refused to be safe.") \
	/* allowed */ \
	X(ALLOWED, "allowed", 200, 0, 0, "The policy lets this pass.") \
	/* policy, outer door */ \
	X(FROM_DOMAIN_BLOCKED, "from-domain-blocked", 403, 0, 0, "The sender's domain is on the block list.") \
	X(TO_DOMAIN_BLOCKED, "to-domain-blocked", 403, 0, 0, "The addressee's domain is on the block list.") \
	X(PEER_BLOCKED, "peer-blocked", 403, 0, 0, "A name in the peer's certificate is in a blocked domain.") \
	X(REMOTE_USERS_OFF, "remote-users-off", 403, 0, 0, "Remote users are switched off.") \
	X(NOT_FOR_USERS, "not-for-users", 403, 0, 0, "This door does not admit peers without a certificate.") \
	X(NOT_FOR_PARTNERS, "not-for-partners", 403, 0, 0, "This door does not admit partner servers.") \
	X(FEDERATION_OFF, "federation-off", 403, 0, 0, "Federation is switched off.") \
	X(UNKNOWN_PEER, "unknown-peer", 403, 0, 0, "No name in the peer's certificate belongs to a configured partner.") \
	X(METHOD_NOT_ALLOWED, "method-not-allowed", 403, 1027, 1, "This class of peer may not send this method.") \
	X(SPOOFED_FROM, "spoofed-from", 403, 1017, 1, "A peer from outside claims a sender in our own domain.") \
	X(FROM_NOT_INTERNAL, "from-not-internal", 403, 0, 0, "A remote user must send from one of our own domains.") \
	X(FROM_NOT_OF_PARTNER, "from-not-of-partner", 403, 0, 0, "The sender's domain is not one of this partner's.") \
	X(DOMAIN_NOT_ALLOWED, "domain-not-allowed", 403, 0, 0, "The domain is not on the list of allowed domains, and federation is not open to all.") \
	X(PROVIDER_OFF, "provider-off", 403, 0, 0, "This provider is configured but not enabled.") \
	X(PARTNER_PAUSED, "partner-paused", 480, 0, 0, "The administrator has paused this partner or provider for now.") \
	X(FROM_NOT_OF_PROVIDER, "from-not-of-provider", 403, 0, 0, "The sender's domain does not lead to this provider in DNS.") \
	X(MEMBER_NOT_ALLOWED, "member-not-allowed", 403, 0, 0, "This member of the clearing house may not reach that one.") \
	X(TO_NOT_INTERNAL, "to-not-internal", 404, 1005, 1, "The addressee's domain is not one of ours.") \
	X(IP_LITERAL_DOMAIN, "ip-literal-domain", 403, 0, 0, "A domain is given as an IP address, which is refused.") \
	X(BAD_DOMAIN, "bad-domain", 400, 0, 0, "A domain is not a valid host name.") \
	X(ROUTE_FORGED, "route-forged", 481, 1004, 1, "A Route names us but its signature is not ours.") \
	X(ROUTE_NOT_OURS, "route-not-ours", 403, 0, 0, "A Route from outside that does not name us is not followed.") \
	/* policy, inner door */ \
	X(NOT_INTERNAL_PEER, "not-internal-peer", 403, 0, 0, "No name in the peer's certificate is an internal server.") \
	X(LOOPS_BACK, "loops-back", 482, 0, 0, "The addressee is in our own domain: it would come straight back.") \
	X(FLOW_GONE, "flow-gone", 430, 1006, 0, "The connection of that remote user is gone.") \
	X(NO_ROUTE, "no-route", 404, 1005, 0, "No rule says where this domain is reached.") \
	X(FROM_NOT_OURS, "from-not-ours", 403, 1017, 0, "Traffic from inside must have a sender in our own domain.") \
	/* what DNS says of a partner that is not configured */ \
	X(NEEDS_DNS, "needs-dns", 504, 1008, 1, "DNS must be asked about the domain before this can be decided.") \
	X(SRV_MISSING, "srv-missing", 504, 1008, 1, "The domain has no record in DNS that names its server.") \
	X(SRV_FAILED, "srv-failed", 504, 1008, 1, "DNS did not say which server the domain has.") \
	X(SRV_OUTSIDE_DOMAIN, "srv-outside-domain", 504, 1009, 1, "The domain's record in DNS names a server outside of the domain.") \
	X(SRV_PORT, "srv-port", 504, 1009, 1, "The domain's record in DNS names a port that no partner's server has.") \
	X(PEER_NOT_IN_SRV, "peer-not-in-srv", 403, 1010, 1, "The peer's certificate does not prove a server that the sender's domain has in DNS.") \
	X(DNS_BUSY, "dns-busy", 503, 0, 0, "Too many requests wait for DNS already.") \
	/* content */ \
	X(CONTENT_LINK, "content-link", 403, 16000, 1, "The message has a link, and policy lets this class of peer exchange none.") \
	X(CONTENT_FILE, "content-file", 403, 16001, 1, "The message offers a file that policy does not let this class of peer exchange.") \
	X(CONTENT_SEALED, "content-sealed", 403, 16002, 1, "The message is encoded, encrypted or signed so that links and files in it cannot be filtered.") \
	/* next hop */ \
	X(HOP_UNRESOLVED, "hop-unresolved", 504, 1014, 0, "The next hop's name has no address.") \
	X(HOP_FORBIDDEN, "hop-forbidden", 504, 1014, 0, "The next hop's name leads to us, to the inside or to no public address.") \
	X(HOP_UNREACHABLE, "hop-unreachable", 504, 1007, 0, "No connection to the next hop.") \
	X(HOP_CERTIFICATE, "hop-certificate", 504, 1010, 0, "The next hop's certificate does not prove its name.") \
	X(HOP_LOST, "hop-lost", 502, 1007, 0, "The next hop closed the connection before it answered.") \
	X(HOP_TIMEOUT, "hop-timeout", 504, 1007, 0, "The next hop did not answer in time.") \
	X(HOP_BUSY, "hop-busy", 503, 0, 0, "The queue to the next hop is full.") \
	X(INVITE_TIMEOUT, "invite-timeout", 408, 0, 0, "The call was not answered in time.") \
	X(CANCELLED, "cancelled", 487, 0, 0, "The sender cancelled the request before it left.") \
	/* form of the message; the check that failed is named beside the reason */ \
	X(MALFORMED, "malformed", 400, 0, 0, "The message breaks a rule of form.") \
	X(TOO_LARGE, "too-large", 513, 0, 0, "The message is over a size limit.") \
	X(BAD_VERSION, "bad-version", 505, 0, 0, "The SIP version is not 2.0.") \
	X(TOO_MANY_HOPS, "too-many-hops", 483, 0, 0, "Max-Forwards is used up.") \
	X(LOOP, "loop", 482, 0, 0, "The same message came through here before.") \
	X(NEGOTIATE_REFUSED, "negotiate-refused", 405, 0, 0, "Compression is not offered.") \
	X(NO_TRANSACTION, "no-transaction", 481, 0, 0, "There is no transaction to cancel.") \
	X(STRAY_RESPONSE, "stray-response", 0, 0, 0, "A response that belongs to no request, or came from the wrong peer.") \
	X(STRAY_ACK, "stray-ack", 0, 0, 0, "An ACK that belongs to no call.") \
	X(MERGED, "merged", 482, 0, 0, "The same request is in progress already.") \
	/* limits and overload */ \
	X(RATE_LIMIT, "rate-limit", 503, 0, 0, "The peer sends more than its limit.") \
	X(IN_FLIGHT_LIMIT, "in-flight-limit", 503, 0, 0, "The peer waits for more answers at once than its limit.") \
	X(DISCOVERED_RATE, "discovered-rate", 503, 0, 0, "A partner that nobody has listed sends more than its limit.") \
	X(DISCOVERED_SUSPICIOUS, "discovered-suspicious", 503, 0, 0, "A partner that nobody has listed, whose requests mostly fail, sends more than is left to it.") \
	X(DISCOVERED_ADDRESSEES, "discovered-addressees", 403, 0, 0, "A partner that nobody has listed has addressed as many of our users as it may, and this one is new.") \
	X(DISCOVERED_TABLE, "discovered-table", 503, 0, 0, "There are more partners that nobody has listed than can be kept count of.") \
	X(OVERLOAD, "overload", 503, 0, 0, "We are over a limit of our own.") \
	X(DRAINING, "draining", 503, 0, 0, "This server is being taken out of service.") \
	/* certificates, of who connects and of who is called */ \
	X(CERTIFICATE, "certificate", 0, 0, 0, "The peer's certificate is not valid.") \
	X(CERTIFICATE_MISSING, "certificate-missing", 0, 0, 0, "The peer showed no certificate where one is required.") \
	X(CERTIFICATE_REFUSED, "certificate-refused", 403, 0, 0, "The administrator has refused this very certificate.") \
	X(CERTIFICATE_EXPIRED, "certificate-expired", 0, 0, 0, "The certificate, or one of its issuers', has expired.") \
	X(CERTIFICATE_NOT_YET_VALID, "certificate-not-yet-valid", 0, 0, 0, "The certificate, or one of its issuers', is not valid yet.") \
	X(CERTIFICATE_UNTRUSTED, "certificate-untrusted", 403, 0, 0, "No chain leads from the certificate to an authority that we trust.") \
	X(CERTIFICATE_CHAIN, "certificate-chain", 0, 0, 0, "The chain breaks a rule: too long, not an authority, outside its issuer's limits.") \
	X(CERTIFICATE_REVOKED, "certificate-revoked", 0, 0, 0, "The certificate, or one of its issuers', was revoked.") \
	X(CERTIFICATE_CRL, "certificate-crl", 0, 0, 0, "There is no current revocation list of the certificate's issuer.") \
	X(CERTIFICATE_WEAK, "certificate-weak", 0, 0, 0, "A key or a signature in the chain is too weak, or too large to check.") \
	X(CERTIFICATE_USAGE, "certificate-usage", 403, 0, 0, "The certificate is not made for this use.") \
	X(CERTIFICATE_NAME, "certificate-name", 0, 0, 0, "The certificate does not prove the name that was called.") \
	X(CERTIFICATE_PIN, "certificate-pin", 403, 0, 0, "The certificate's key is none of the partner's pinned keys.") \
	/* connections */ \
	X(PROXY_HEADER, "proxy-header", 0, 0, 0, "A load balancer passed a connection on without saying in a PROXY header (version 2) who has connected.") \
	X(HANDSHAKE, "handshake", 0, 0, 0, "The TLS handshake failed.") \
	X(HANDSHAKE_TIMEOUT, "handshake-timeout", 0, 0, 0, "The TLS handshake took too long.") \
	X(FIRST_MESSAGE_TIMEOUT, "first-message-timeout", 0, 0, 0, "Nothing came after the handshake.") \
	X(MESSAGE_TIMEOUT, "message-timeout", 0, 0, 0, "A message was begun and not finished in time.") \
	X(UNAUTHENTICATED_TIMEOUT, "unauthenticated-timeout", 0, 0, 0, "Nobody signed in over this connection in time.") \
	X(IDLE_TIMEOUT, "idle-timeout", 0, 0, 0, "Nothing came for longer than the keep-alive allows.") \
	X(SLOW_READER, "slow-reader", 0, 0, 0, "The peer does not read what it is sent.") \
	X(CONNECTION_LIMIT, "connection-limit", 0, 0, 0, "Too many connections.") \
	/* Director */ \
	X(UNAUTHENTICATED, "unauthenticated", 401, 0, 0, "Nobody has proved who sends this.") \
	X(BAD_CREDENTIALS, "bad-credentials", 401, 1000, 0, "The user name or the password is wrong.") \
	X(GUESSING, "guessing", 403, 0, 0, "Too many wrong passwords of this user or from this source; this one was not looked at.") \
	X(CLOCK_SKEW, "clock-skew", 401, 1013, 1, "The client's clock differs too much from ours, or from that of who gave it its ticket.") \
	X(STALE_NONCE, "stale-nonce", 401, 0, 0, "The nonce is too old, or another connection's; the client tries again by itself.") \
	X(REPLAYED, "replayed", 401, 0, 0, "The credentials were used before.") \
	X(BAD_SIGNATURE, "bad-signature", 401, 0, 0, "The signature of the message is not that of the user who signed in.") \
	X(SIGN_IN_AGAIN, "sign-in-again", 403, 0, 0, "The client goes on signing by a sign-in that has ended, and was told so before.") \
	X(NO_ENDPOINT, "no-endpoint", 400, 4010, 0, "The message does not say from which of the user's devices it comes.") \
	X(ENDPOINT_MISMATCH, "endpoint-mismatch", 400, 0, 0, "The identifiers of the device do not belong to each other.") \
	X(NOT_YOUR_NAME, "not-your-name", 403, 4004, 1, "The signed-in user may not act as this sender.") \
	X(UNKNOWN_USER, "unknown-user", 404, 4005, 0, "There is no such user.") \
	X(REMOTE_ACCESS_OFF, "remote-access-off", 403, 4003, 1, "The user is not enabled for remote access.") \
	X(FEDERATION_NOT_ENABLED, "federation-not-enabled", 403, 1002, 0, "The user is not enabled for federation.") \
	X(PUBLIC_IM_NOT_ENABLED, "public-im-not-enabled", 403, 1001, 0, "The user is not enabled for public IM.") \
	X(OUTSIDE_NOT_ENABLED, "outside-not-enabled", 403, 1012, 0, "The user is not enabled for anybody outside of the enterprise.") \
	X(USER_NOT_ENABLED, "user-not-enabled", 403, 0, 0, "The user proved to be who it says, but the directory does not have it, or not enabled.") \
	X(REGISTER_FROM_FEDERATION, "register-from-federation", 403, 1027, 0, "A federated peer may not register.") \
	X(AUTH_UNAVAILABLE, "auth-unavailable", 500, 0, 0, "The process that checks credentials did not answer.") \
	X(DOMAIN_UNAVAILABLE, "domain-unavailable", 504, 0, 0, "No domain controller said whether the password is right.") \
	X(DIRECTORY_UNAVAILABLE, "directory-unavailable", 504, 0, 0, "No LDAP server said who the user is.") \
	X(UNTRUSTED_PEER, "untrusted-peer", 403, 0, 0, "The peer is neither an edge, a pool nor a client of this door.")

enum policy_reason {
#define X(e, name, status, diag, pub, text) POLICY_REASON_##e,
	POLICY_REASONS(X)
#undef X
	POLICY_NREASONS
};

/* All of these answer for any number; an unknown one is "undecided". Strings are static. */
const char *policy_reason_name(enum policy_reason);
const char *policy_reason_text(enum policy_reason);
int	    policy_reason_status(enum policy_reason);
int	    policy_reason_diagnostics(enum policy_reason);
int	    policy_reason_is_public(enum policy_reason);

/* One of the certificate reasons: the peer is not who it must be, and would not be in a minute either. */
static inline int
policy_reason_is_certificate(enum policy_reason r)
{
	return r >= POLICY_REASON_CERTIFICATE && r <= POLICY_REASON_CERTIFICATE_PIN;
}

#endif
