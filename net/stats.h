/*
 * net/stats.h - what is counted, and how it is told (Prometheus text).
 *
 *	stats_count(REFUSALS, why, side);		one more
 *	stats_move(CONNECTIONS, side, class, -1);	a gauge that each worker holds its part of
 *	stats_set(LIMIT, STATS_LIMIT_CONNECTIONS, 0, n);	a gauge of the whole process
 *	stats_time(HANDSHAKE_SECONDS, dir, us);		into a histogram
 *
 * A metric is one row of STATS_METRICS; its labels take values from closed
 * sets only (STATS_SETS), so nothing from outside can add a series. Each worker
 * owns a block of counters that only it writes (relaxed, no lock, no shared
 * cache line); any other thread counts in one common block. A reader adds the
 * blocks up: each number is right, the whole is not of one instant.
 *
 * Partners have counters of their own, since their names are policy's; only
 * configured ones get them.
 */
#ifndef SALLYPORT_NET_STATS_H
#define SALLYPORT_NET_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/lives.h"
#include "policy/facts.h"
#include "policy/reason.h"

/* ---- the sets of label values ---- */

/* What a far end is: the edge's classes (enum policy_class), and then the Director's. */
enum stats_class {
	STATS_CLASS_CLIENT = POLICY_NCLASSES,
	STATS_CLASS_EDGE,
	STATS_CLASS_POOL,
	STATS_CLASS_ROUTE,
	STATS_CLASS_SERVER,
	STATS_NCLASSES
};

enum stats_direction { STATS_IN = 0, STATS_OUT };
enum stats_kind { STATS_REQUEST = 0, STATS_RESPONSE };
enum stats_result { STATS_OK = 0, STATS_FAILED };
/* Whose response it was that went back. */
enum stats_origin { STATS_PASSED = 0, STATS_OWN };

/* How a request in flight ended. */
enum stats_end {
	STATS_END_ANSWERED = 0,	/* by a final response of the far end */
	STATS_END_REFUSED,	/* by a response of ours */
	STATS_END_ONEWAY,	/* none is sent to it (ACK, BENOTIFY) */
	STATS_NENDS
};

enum stats_timeout {
	STATS_TIMEOUT_REQUEST = 0,	/* no final response */
	STATS_TIMEOUT_TARGET,		/* one target was silent and there was another */
	STATS_TIMEOUT_RING,		/* timer C */
	STATS_NTIMEOUTS
};

enum stats_answer {
	STATS_ANSWER_FAILED = 0,
	STATS_ANSWER_NONE,
	STATS_ANSWER_FOUND,
	STATS_NANSWERS
};

enum stats_token { STATS_TOKEN_MADE = 0, STATS_TOKEN_GOOD, STATS_TOKEN_FORGED, STATS_NTOKENS };

enum stats_mechanism {
	STATS_MECHANISM_NONE = 0,
	STATS_MECHANISM_NTLM,
	STATS_MECHANISM_KERBEROS,
	STATS_MECHANISM_DIGEST,
	STATS_NMECHANISMS
};

/* Whose wrong passwords were too many (director/guesses.h). */
enum stats_guess { STATS_GUESS_PAIR = 0, STATS_GUESS_SOURCE, STATS_GUESS_USER, STATS_NGUESSES };

/* Signatures of messages (MS-SIPAE): of ours, and of clients'. */
enum stats_signature {
	STATS_SIGNATURE_MADE = 0,
	STATS_SIGNATURE_GOOD,
	STATS_SIGNATURE_WRONG,
	STATS_SIGNATURE_REPLAYED,
	STATS_SIGNATURE_EXPIRED,	/* of an association that is no more */
	STATS_NSIGNATURES
};

/* Every limit that an outsider can reach (design 10): X(enumerator, label, what it bounds) */
#define STATS_LIMITS(X) \
	X(CONNECTIONS, "connections", "open connections") \
	X(CONNECTIONS_BLOCK, "connections-block", "open connections of one block of addresses") \
	X(CONNECTIONS_DOOR, "connections-door", "open connections of one door") \
	X(CONNECTIONS_PARTNER, "connections-partner", "open connections of one partner") \
	X(HANDSHAKES, "handshakes", "handshakes in progress") \
	X(PROXY_HEADER_TIME, "proxy-header-time", "seconds to a load balancer's PROXY header") \
	X(HANDSHAKE_TIME, "handshake-time", "seconds of a handshake") \
	X(FIRST_MESSAGE_TIME, "first-message-time", "seconds to the first message") \
	X(MESSAGE_TIME, "message-time", "seconds of an unfinished message") \
	X(SIGN_IN_TIME, "sign-in-time", "seconds to a sign-in") \
	X(IDLE_TIME, "idle-time", "seconds of silence of a user") \
	X(MESSAGE_SIZE, "message-size", "bytes of a message and its parts") \
	X(MESSAGE_RATE, "message-rate", "messages per second of one sender") \
	X(TRANSACTIONS, "transactions", "requests in flight") \
	X(TRANSACTIONS_LINK, "transactions-link", "requests in flight of one connection") \
	X(WRITE_QUEUE, "write-queue", "bytes waiting for one user") \
	X(LINK_QUEUE, "link-queue", "bytes waiting for one server") \
	X(HOP_QUEUE, "hop-queue", "requests waiting for one next hop") \
	X(HELD, "held", "requests waiting for DNS, authd or the directory") \
	X(HOPS, "hops", "next hops remembered") \
	X(ANSWERS, "answers", "responses to one request") \
	X(DNS_CACHE, "dns-cache", "names in the DNS cache") \
	X(DNS_QUERIES, "dns-queries", "questions to DNS in flight") \
	X(DISCOVERED, "discovered", "partners found by DNS that are kept count of") \
	X(DISCOVERED_RATE, "discovered-rate", "messages per second of one such partner") \
	X(ADDRESSEES, "addressees", "users that one such partner addressed") \
	X(ASSOCIATIONS, "associations", "security associations") \
	X(ASSOCIATIONS_USER, "associations-user", "security associations of one user") \
	X(SIGN_INS, "sign-ins", "sign-ins in progress") \
	X(SIGN_IN_RATE, "sign-in-rate", "failed sign-ins of one user or source") \
	X(REFUSAL_LINES, "refusal-lines", "refusals of one kind and peer that are written into the log") \
	X(FILES, "files", "open files") \
	X(CONTROL_CLIENTS, "control-clients", "clients of the control socket") \
	X(GUESSES, "guesses", "counts of wrong passwords that authd keeps") \
	X(REPLAYS, "replays", "Digest nonces whose use authd remembers") \
	X(DIRECTORY_ENTRIES, "directory-entries", "users whom authd remembers from LDAP") \
	X(PAGE_CONNECTIONS, "page-connections", "open connections of the admin page") \
	X(PAGE_CONNECTIONS_ADDRESS, "page-connections-address", "open connections of the admin page from one address") \
	X(PAGE_REQUEST_TIME, "page-request-time", "seconds of a request to the admin page") \
	X(PAGE_RESPONSE_TIME, "page-response-time", "seconds of an answer of the admin page") \
	X(PAGE_BODY, "page-body", "bytes of a request to the admin page, other than a policy") \
	X(PAGE_SESSIONS, "page-sessions", "sessions of the admin page") \
	X(PAGE_SESSIONS_ACCOUNT, "page-sessions-account", "sessions of one account of the admin page") \
	X(PAGE_LOG_INS, "page-log-ins", "failed log-ins at the admin page from one source") \
	X(PAGE_LOG_INS_ACCOUNT, "page-log-ins-account", "failed log-ins to one account of the admin page") \
	X(PAGE_PROOFS, "page-proofs", "passwords that the admin page proves at the same time")

enum stats_limit {
#define X(e, name, what) STATS_LIMIT_##e,
	STATS_LIMITS(X)
#undef X
	STATS_NLIMITS
};

/* Why a node of an array is on its own: X(enumerator, label) */
#define STATS_SHARED_REASONS(X) \
	X(NONE, "none") \
	X(UNREACHABLE, "redis-unreachable")	/* no connection */ \
	X(CERTIFICATE, "redis-certificate")	/* the TLS handshake failed */ \
	X(SILENT, "redis-silent")		/* it does not answer in time */ \
	X(LOGIN, "redis-login")			/* user name or password are wrong */ \
	X(REFUSED, "redis-refused")		/* it answers with an error */ \
	X(NONSENSE, "redis-nonsense")		/* what it says is not what we keep there */ \
	X(POLICY, "shared-policy")		/* the policy that is shared cannot be in force here */ \
	X(PROCESS, "shared-ended")		/* the process that asks it has ended */ \
	X(HUNG, "shared-hung")			/* … or does not answer us */

enum stats_shared {
#define X(e, label) STATS_SHARED_##e,
	STATS_SHARED_REASONS(X)
#undef X
	STATS_NSHARED
};
const char *stats_shared_name(enum stats_shared);

/* Identities: doors by number (of the edge: the outer ones), the inner door, then the same for who we are when we dial. */
#define STATS_IDENTITY_INNER	16
#define STATS_IDENTITY_DIAL	17
#define STATS_NIDENTITIES	34

/* The last bucket is for everything longer; behind it stands the sum. */
#define STATS_BUCKETS	15
#define STATS_CELLS_OF_HISTOGRAM (STATS_BUCKETS + 1)

/* X(set, label, values): how many there are; stats.c has their names. */
#define STATS_SETS(X) \
	X(NONE, "", 1) \
	X(DOOR, "door", POLICY_SIDE_INNER + 1) \
	X(CLASS, "class", STATS_NCLASSES) \
	X(METHOD, "method", POLICY_NMETHODS) \
	X(REASON, "reason", POLICY_NREASONS) \
	X(DIRECTION, "direction", 2) \
	X(KIND, "kind", 2) \
	X(ORIGIN, "origin", 2) \
	X(STATUS, "status", 6) \
	X(RESULT, "result", 2) \
	X(END, "end", STATS_NENDS) \
	X(TIMEOUT, "timeout", STATS_NTIMEOUTS) \
	X(ANSWER, "answer", STATS_NANSWERS) \
	X(TOKEN, "token", STATS_NTOKENS) \
	X(MECHANISM, "mechanism", STATS_NMECHANISMS) \
	X(GUESS, "guess", STATS_NGUESSES) \
	X(SIGNATURE, "signature", STATS_NSIGNATURES) \
	X(LIMIT, "limit", STATS_NLIMITS) \
	X(PROCESS, "process", LIVES_N) \
	X(CACHE, "cache", LIVES_NCACHES) \
	X(IDENTITY, "identity", STATS_NIDENTITIES) \
	X(SHARED_REASON, "cause", STATS_NSHARED) \
	X(BUCKETS, "le", STATS_CELLS_OF_HISTOGRAM)

enum stats_set {
#define X(e, label, n) STATS_SET_##e,
	STATS_SETS(X)
#undef X
	STATS_NSETS
};
enum {
#define X(e, label, n) STATS_N_##e = (n),
	STATS_SETS(X)
#undef X
};

/* ---- the metrics ---- */

/*
 * COUNTER, GAUGE, HISTOGRAM (second set BUCKETS; from 1 ms), FINE (a histogram from 1 us), WORKER (a gauge that is told
 * for each worker), SEEN and SEEN_GAUGE (of which only what is not zero is told). Base units.
 *
 *	X(enumerator, name, type, first set, second set, help)
 */
#define STATS_METRICS(X) \
	X(CONNECTIONS, "sallyport_connections", GAUGE, DOOR, CLASS, "Open connections by the class of the far end.") \
	X(WORKER_CONNECTIONS, "sallyport_worker_connections", WORKER, NONE, NONE, "Connections of each worker, in any state.") \
	X(ACCEPTED, "sallyport_connections_opened_total", COUNTER, DOOR, DIRECTION, "Connections accepted (in) and begun (out).") \
	X(CLOSED, "sallyport_connections_closed_total", SEEN, DOOR, REASON, "Connections that ended, by cause; allowed: in order.") \
	X(HANDSHAKES, "sallyport_handshakes", GAUGE, DIRECTION, NONE, "TLS handshakes in progress.") \
	X(HANDSHAKES_DONE, "sallyport_handshakes_total", COUNTER, DIRECTION, RESULT, "TLS handshakes that ended.") \
	X(HANDSHAKES_FAILED, "sallyport_handshake_failures_total", SEEN, DIRECTION, REASON, "TLS handshakes that failed, by cause.") \
	X(HANDSHAKE_SECONDS, "sallyport_handshake_duration_seconds", HISTOGRAM, DIRECTION, BUCKETS, "Time of a TLS handshake that succeeded; outward with connecting.") \
	X(STARVED, "sallyport_accept_failures_total", COUNTER, NONE, NONE, "Times that no connection could be accepted for want of files or memory.") \
	X(MESSAGES_IN, "sallyport_messages_received_total", COUNTER, CLASS, KIND, "SIP messages received, by the class of the far end.") \
	X(MESSAGES_OUT, "sallyport_messages_sent_total", COUNTER, CLASS, KIND, "SIP messages sent, by the class of the far end.") \
	X(REQUESTS, "sallyport_requests_total", COUNTER, DOOR, METHOD, "Well-formed requests received, by method.") \
	X(RESPONSES, "sallyport_responses_total", COUNTER, ORIGIN, STATUS, "Responses sent back: passed on, and of our own making.") \
	X(REFUSALS, "sallyport_refusals_total", COUNTER, REASON, DOOR, "Messages refused or dropped, by cause and by the door that they came in by.") \
	X(MALFORMED, "sallyport_malformed_total", COUNTER, DOOR, KIND, "Messages that break a rule of form.") \
	X(DROPPED, "sallyport_dropped_total", COUNTER, NONE, NONE, "Messages dropped without an answer.") \
	X(DECISION_SECONDS, "sallyport_decision_duration_seconds", FINE, NONE, BUCKETS, "Time of a decision of policy; one of 64 is measured.") \
	X(TRANSACTIONS, "sallyport_transactions", GAUGE, NONE, NONE, "Requests in flight.") \
	X(TRANSACTIONS_ENDED, "sallyport_transactions_ended_total", COUNTER, END, NONE, "Requests that were forwarded and have ended.") \
	X(TRANSACTION_SECONDS, "sallyport_transaction_duration_seconds", HISTOGRAM, NONE, BUCKETS, "Time from a request other than INVITE to its final response.") \
	X(TIMEOUTS, "sallyport_timeouts_total", COUNTER, TIMEOUT, NONE, "Requests that waited in vain.") \
	X(FAILOVERS, "sallyport_failovers_total", SEEN, REASON, NONE, "Requests that went on to another target, by what was wrong with the one before.") \
	X(HOPS, "sallyport_hops", GAUGE, NONE, NONE, "Next hops remembered.") \
	X(BREAKERS, "sallyport_breakers_open", GAUGE, NONE, NONE, "Next hops that are not tried for a while, since they failed.") \
	X(BREAKS, "sallyport_breaks_total", SEEN, REASON, NONE, "Times that a next hop was given up for a while, by cause.") \
	X(HELD_BACK, "sallyport_held_back_total", COUNTER, NONE, NONE, "Connections that were not read from for a while, since whom they feed is slow.") \
	X(QUEUE_CUT, "sallyport_queue_cut_bytes_total", COUNTER, NONE, NONE, "Bytes thrown away with the connections of slow readers.") \
	X(TOKENS, "sallyport_flow_tokens_total", COUNTER, TOKEN, NONE, "Flow tokens signed, verified and found forged.") \
	X(DNS_QUESTIONS, "sallyport_dns_queries_total", COUNTER, ANSWER, NONE, "Names that DNS was asked about, by what came of it.") \
	X(DNS_HITS, "sallyport_dns_cache_hits_total", COUNTER, NONE, NONE, "Names that were in the cache.") \
	X(DNS_ENTRIES, "sallyport_dns_cache_entries", GAUGE, NONE, NONE, "Names in the cache.") \
	X(HELD, "sallyport_held_requests", GAUGE, NONE, NONE, "Requests that wait for DNS, authd or the directory.") \
	X(DISCOVERED, "sallyport_discovered_partners", GAUGE, NONE, NONE, "Partners found by DNS that are kept count of.") \
	X(LIMIT, "sallyport_limit", GAUGE, LIMIT, NONE, "Limits in force; 0: none, or not of this program.") \
	X(LIMIT_HITS, "sallyport_limit_hits_total", COUNTER, LIMIT, NONE, "Times that a limit was reached.") \
	X(RELOADS, "sallyport_reloads_total", COUNTER, RESULT, NONE, "Reloads of configuration and policy.") \
	X(RELOADED, "sallyport_reload_timestamp_seconds", GAUGE, RESULT, NONE, "When the last reload was, in seconds since 1970; 0: never.") \
	X(RENEWALS, "sallyport_certificate_renewals_total", COUNTER, RESULT, NONE, "Certificates and revocation lists that were read anew.") \
	X(NOT_AFTER, "sallyport_certificate_not_after_timestamp_seconds", SEEN_GAUGE, IDENTITY, NONE, "When our own certificates expire, in seconds since 1970.") \
	X(LOG_SUPPRESSED, "sallyport_log_lines_suppressed_total", COUNTER, NONE, NONE, "Lines about refusals that were counted in a summary instead of written.") \
	X(LOG_LOST, "sallyport_log_lines_lost_total", COUNTER, NONE, NONE, "Log lines that could not be written.") \
	X(SESSION_LINES, "sallyport_session_lines_total", COUNTER, RESULT, NONE, "Lines of the session log: written, and lost.") \
	X(HEP_PACKETS, "sallyport_hep_packets_total", COUNTER, RESULT, NONE, "Copies of messages sent to the HEP server, and lost.") \
	X(ASSOCIATIONS, "sallyport_security_associations", GAUGE, NONE, NONE, "Users' devices that are signed in.") \
	X(SIGN_INS, "sallyport_sign_ins_total", COUNTER, MECHANISM, RESULT, "Sign-ins by mechanism.") \
	X(SIGN_INS_OPEN, "sallyport_sign_ins_in_progress", GAUGE, NONE, NONE, "Clients that were challenged and have not answered yet (NTLM).") \
	X(THROTTLED, "sallyport_sign_ins_throttled_total", COUNTER, GUESS, NONE, "Sign-ins refused unseen, by whose wrong passwords were too many.") \
	X(SIGNATURES, "sallyport_signatures_total", COUNTER, SIGNATURE, NONE, "Signatures of messages, made for clients and verified.") \
	X(AUTHD_QUESTIONS, "sallyport_authd_questions", GAUGE, NONE, NONE, "Questions to authd without an answer yet.") \
	X(AUTHD_SECONDS, "sallyport_authd_answer_duration_seconds", HISTOGRAM, NONE, BUCKETS, "Time of an answer of authd, domain and directory included.") \
	X(AUTHD_SILENT, "sallyport_authd_unanswered_total", COUNTER, NONE, NONE, "Questions that authd did not answer in time.") \
	X(DIRECTORY_ASKED, "sallyport_directory_asked_total", COUNTER, ANSWER, NONE, "Answers that LDAP was asked for, since nothing fresh was remembered.") \
	X(LOOKUPS, "sallyport_directory_lookups_total", COUNTER, ANSWER, NONE, "Users looked up in the directory, by what came of it.") \
	X(RESTARTS, "sallyport_process_restarts_total", COUNTER, PROCESS, NONE, "Times that one of our processes has ended by a fault, and another has taken its place.") \
	X(HUNG, "sallyport_process_hung_total", COUNTER, PROCESS, NONE, "Times that one of our processes did not answer, and was ended.") \
	X(SHARED, "sallyport_shared_up", GAUGE, NONE, NONE, "1 while what the nodes of an array share is to be had; 0: it is not, or nothing is shared.") \
	X(SHARED_LOST, "sallyport_shared_losses_total", SEEN, SHARED_REASON, NONE, "Times that this node was on its own, by cause.") \
	X(AUTHD_ENTRIES, "sallyport_authd_cache_entries", GAUGE, CACHE, NONE, "What authd remembers: wrong passwords, used Digest nonces, and users from LDAP.") \
	X(PAGE_CONNECTIONS, "sallyport_page_connections", GAUGE, NONE, NONE, "Open connections of the admin page.") \
	X(PAGE_SESSIONS, "sallyport_page_sessions", GAUGE, NONE, NONE, "Sessions of the admin page.") \
	X(PAGE_REQUESTS, "sallyport_page_requests_total", COUNTER, STATUS, NONE, "Requests that the admin page and its API have answered, by status.") \
	X(PAGE_LOGINS_DONE, "sallyport_page_log_ins_total", COUNTER, RESULT, NONE, "Log-ins at the admin page whose password was looked at.") \
	X(STARTED, "sallyport_start_timestamp_seconds", GAUGE, NONE, NONE, "When the process started, in seconds since 1970.")

enum stats_metric {
#define X(e, name, type, a, b, help) STATS_##e,
	STATS_METRICS(X)
#undef X
	STATS_NMETRICS
};

/* Never made: where each metric's cells lie in a block is where its member lies here. */
struct stats_layout {
#define X(e, name, type, a, b, help) uint64_t e[STATS_N_##a * STATS_N_##b];
	STATS_METRICS(X)
#undef X
};
#define STATS_CELLS	(sizeof(struct stats_layout) / sizeof(uint64_t))
enum {
#define X(e, name, type, a, b, help) STATS_AT_##e = offsetof(struct stats_layout, e) / sizeof(uint64_t), \
	STATS_A_##e = STATS_N_##a, STATS_B_##e = STATS_N_##b,
	STATS_METRICS(X)
#undef X
};

/* A value that is none counts as the set's first one, "unknown" or "undecided" where it has such. */
static inline unsigned
stats_cell(unsigned at, unsigned i, unsigned na, unsigned j, unsigned nb)
{
	return at + (i < na ? i : 0) * nb + (j < nb ? j : 0);
}
#define STATS_CELL(M, i, j) \
	stats_cell(STATS_AT_##M, (unsigned)(i), STATS_A_##M, (unsigned)(j), STATS_B_##M)

/* i and j: values of the metric's sets; 0 where it has none. */
#define stats_count(M, i, j)	stats_add(STATS_CELL(M, i, j), 1)
#define stats_plus(M, i, j, n)	stats_add(STATS_CELL(M, i, j), (n))
#define stats_move(M, i, j, by)	stats_add(STATS_CELL(M, i, j), (uint64_t)(int64_t)(by))
#define stats_set(M, i, j, v)	stats_put(STATS_CELL(M, i, j), (v))
#define stats_time(M, i, us)	stats_histogram(STATS_##M, STATS_CELL(M, i, 0), (us))
#define stats_limit_hit(L)	stats_count(LIMIT_HITS, STATS_LIMIT_##L, 0)

/* The label of a value of the set CLASS; "unknown" for what is none. Static. */
const char *stats_class_name(unsigned class);
const char *stats_limit_name(enum stats_limit);

/* From any thread, at any time; never blocks. */
void	 stats_add(unsigned cell, uint64_t n);
/* Take the place of what all threads made of that cell: for gauges that one thread knows as a whole. */
void	 stats_put(unsigned cell, uint64_t value);
/* us: microseconds; of a FINE histogram nanoseconds. */
void	 stats_histogram(enum stats_metric, unsigned first_cell, uint64_t us);
/* 1xx to 6xx as a value of the set STATUS. */
#define STATS_STATUS(code)	((unsigned)(code) / 100 - 1)

/* A reload has ended, and whether what it brought is in force. */
void	 stats_reloaded(bool good);

/* The calling thread is that worker from now on (net/worker.c says so for each). */
void	 stats_enter(unsigned worker);

/* ---- partners ---- */

#define STATS_PARTNERS_MAX	1024	/* names over this count as the one partner "other" */

enum stats_of_partner {
	STATS_PARTNER_IN = 0,	/* requests of theirs that were let pass */
	STATS_PARTNER_OUT,	/* requests to them */
	STATS_PARTNER_REFUSED,	/* requests of theirs that were refused */
	STATS_PARTNER_FAILED,	/* requests to them that came to nothing: not reached, or no answer */
	STATS_PARTNER_UNMADE,	/* connections with them, in either direction, that came to nothing */
	STATS_NPARTNER
};

/* The number under which that name is counted; the same for the same name. For the thread that loads policy. */
unsigned stats_partner(const char *name);
void	 stats_partner_count(unsigned number, enum stats_of_partner);
/* The same of what has a cause, which is remembered with its time: of refusals, failures and connections. */
void	 stats_partner_because(unsigned number, enum stats_of_partner, enum policy_reason);

/* ---- reading ---- */

/* The same of a partner; and the last cause with its time (stats_partner_because()), false: there was none. */
uint64_t stats_partner_value(unsigned number, enum stats_of_partner);
bool	 stats_partner_last(unsigned number, enum stats_of_partner, enum policy_reason *why, time_t *at);
/* What that cell is at now, over all threads. */
uint64_t stats_value(unsigned cell);
/*
 * Everything in Prometheus' text format, version 0.0.4: a string of *n bytes (NULL: who cares), NUL
 * behind it, the caller's to free. program and version stand in sallyport_build_info.
 */
char	*stats_prometheus(const char *program, const char *version, size_t *n);

#endif
