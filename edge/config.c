/*
 * edge/config.c - see config.h. Every option is one row here.
 */
#include "edge/config.h"

#include <stdlib.h>
#include <string.h>

#include "admin/master.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/short.h"
#include "net/guard.h"

static const char *const ask_words[] = { "none", "optional", "required", NULL };
static const char *const level_words[] = { "error", "warning", "notice", "info", "debug", NULL };

#define DOOR(m)	offsetof(struct edge_door_conf, m)

static const struct conf_item outer_items[] = {
	{ .path = "listen", .type = CONF_STR, .at = DOOR(listen), .flags = CONF_REQUIRED | CONF_NONEMPTY,
	    .help = "Address and port of this door; exactly one interface address." },
	{ .path = "name", .type = CONF_STR, .at = DOOR(name), .flags = CONF_REQUIRED | CONF_NONEMPTY,
	    .help = "Our host name on this side; the certificate must hold it." },
	{ .path = "certificate", .type = CONF_STR, .at = DOOR(certificate), .flags = CONF_REQUIRED | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with our certificate and its chain, leaf first." },
	{ .path = "key", .type = CONF_STR, .at = DOOR(key), .flags = CONF_REQUIRED | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the private key of that certificate." },
	{ .path = "trust", .type = CONF_STR, .at = DOOR(trust), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "PEM file with the certification authorities that peers of this door may have." },
	{ .path = "crl", .type = CONF_STR, .at = DOOR(crl), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "PEM file, or directory of PEM files, with revocation lists." },
	{ .path = "dial_certificate", .type = CONF_STR, .at = DOOR(dial_certificate), .flags = CONF_OPTIONAL | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the certificate that we show partners when we connect to them; without it, certificate." },
	{ .path = "dial_key", .type = CONF_STR, .at = DOOR(dial_key), .flags = CONF_OPTIONAL | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the private key of dial_certificate." },
	{ .path = "client_certificate", .type = CONF_CHOICE, .at = DOOR(ask), .dflt = NET_TLS_ASK_NONE, .choices = ask_words,
	    .help = "Is a certificate asked of who connects: none, optional or required." },
	{ .path = "users", .type = CONF_BOOL, .at = DOOR(users), .dflt = false,
	    .help = "Remote users, who have no certificate, may come in here." },
	{ .path = "partners", .type = CONF_BOOL, .at = DOOR(partners), .dflt = false,
	    .help = "Partner servers, by their certificate, may come in here." },
	{ .path = "balancers", .type = CONF_STRS, .at = DOOR(balancers),
	    .help = "Load balancers, as address or address/bits, whose connections begin with a PROXY header (version 2)." },
	{ .path = "connections", .type = CONF_INT, .at = DOOR(connections), .dflt = 0, .min = 0, .max = 1000000,
	    .help = "Connections of this door; 0: as many as limits.connections leaves." },
	{ .path = NULL }
};

#define DIR(m)	offsetof(struct edge_director_conf, m)

static const struct conf_item director_items[] = {
	{ .path = "name", .type = CONF_STR, .at = DIR(name), .flags = CONF_REQUIRED | CONF_NONEMPTY,
	    .help = "Host name of a Director or other inside next hop; its certificate must prove it." },
	{ .path = "port", .type = CONF_INT, .at = DIR(port), .dflt = 5061, .min = 1, .max = 65535,
	    .help = "Its port for mutual TLS." },
	{ .path = "address", .type = CONF_STR, .at = DIR(address), .flags = CONF_OPTIONAL,
	    .help = "Its IP address, if DNS is not to be asked." },
	{ .path = NULL }
};

/* another edge of our array, by its inner door */
static const struct conf_item node_items[] = {
	{ .path = "name", .type = CONF_STR, .at = DIR(name), .flags = CONF_REQUIRED | CONF_NONEMPTY,
	    .help = "The inner.name of another edge of this array." },
	{ .path = "port", .type = CONF_INT, .at = DIR(port), .dflt = 5061, .min = 1, .max = 65535,
	    .help = "The port of its inner door." },
	{ .path = "address", .type = CONF_STR, .at = DIR(address), .flags = CONF_OPTIONAL,
	    .help = "The IP address of its inner door, if DNS is not to be asked." },
	{ .path = NULL }
};

#define AT(m)	offsetof(struct edge_config, m)
#define LIM(m)	offsetof(struct edge_config, limits.m)
#define DISC(m)	offsetof(struct edge_config, discovered.m)
#define SHARED(m) offsetof(struct edge_config, shared.m)

static const struct conf_item items[] = {
	{ .path = "domains", .type = CONF_STRS, .at = AT(domains), .flags = CONF_NONEMPTY | CONF_RELOADS,
	    .help = "Our SIP domains: with next_hop and certificate, all that an edge needs; what else is left out follows from these." },
	{ .path = "next_hop", .type = CONF_STR, .at = AT(next_hop), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "Host name of the Director, or of whatever SIP server is behind us; directors in one word." },
	{ .path = "certificate", .type = CONF_STR, .at = AT(certificate), .flags = CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the certificate of the doors that have none of their own, leaf first, and its chain." },
	{ .path = "key", .type = CONF_STR, .at = AT(key), .flags = CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the private key of that certificate; without it, the same file." },
	{ .path = "trust", .type = CONF_STR, .at = AT(trust), .flags = CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS,
	    .help = "PEM file with the certification authorities of such doors; without it, those of the system." },
	{ .path = "outside", .type = CONF_STR, .at = AT(outside), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "Address that faces the Internet; without it, that of the default route." },
	{ .path = "inside", .type = CONF_STR, .at = AT(inside), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "Address that faces the inside; without it, that of the only other interface." },
	{ .path = "user", .type = CONF_STR, .at = AT(user), .text = "sallyport",
	    .help = "Unprivileged user that the daemon becomes once its doors are open; used when it is started as root." },
	{ .path = "key_user", .type = CONF_STR, .at = AT(key_user),
	    .help = "Unprivileged user that the process with the private keys becomes, if it is to be another one." },
	{ .path = "sandbox", .type = CONF_BOOL, .at = AT(sandbox), .dflt = true,
	    .help = "Take from the process that faces the network whatever it does not need; false is for debuggers." },
	{ .path = "workers", .type = CONF_INT, .at = AT(workers), .dflt = 0, .min = 0, .max = NET_WORKERS_MAX,
	    .help = "Worker threads; 0: one per processor." },
	{ .path = "policy", .type = CONF_STR, .at = AT(policy), .text = SYSCONFDIR "/policy.conf", .flags = CONF_RELOADS,
	    .help = "File with the organisation's policy, see policy.conf(5)." },
	{ .path = "flow_keys", .type = CONF_STR, .at = AT(flow_keys), .flags = CONF_OPTIONAL,
	    .help = "File with the keys that sign routes; made if it is not there. Without it, keys last as long as the process." },
	{ .path = "peer_certificates", .type = CONF_STR, .at = AT(peer_certificates), .flags = CONF_OPTIONAL,
	    .help = "File in which the certificates that peers have shown are listed, for the administrator." },
	{ .path = "log.file", .type = CONF_STR, .at = AT(log_file), .flags = CONF_OPTIONAL,
	    .help = "Log file; without it, the journal or standard error." },
	{ .path = "log.journal", .type = CONF_STR, .at = AT(log_journal), .text = "auto", .flags = CONF_NONEMPTY,
	    .help = "Without log.file: auto (the journal, if standard error leads there), off, or the path of the journal's socket." },
	{ .path = "log.level", .type = CONF_CHOICE, .at = AT(log_level), .dflt = 3, .choices = level_words, .flags = CONF_RELOADS,
	    .help = "Least important records that are written: error, warning, notice, info or debug." },
	{ .path = "log.refusals", .type = CONF_INT, .at = AT(log_refusals), .dflt = 100, .min = 0, .max = 1000000, .flags = CONF_RELOADS,
	    .help = "Lines about refusals of one kind and source, of each worker, in log.window; the rest is counted in a summary; 0: no limit." },
	{ .path = "log.window", .type = CONF_INT, .at = AT(log_window), .dflt = 60, .min = 1, .max = 3600, .flags = CONF_RELOADS,
	    .help = "Seconds after which log.refusals begins anew." },
	{ .path = "session_log.file", .type = CONF_STR, .at = AT(session_file), .flags = CONF_OPTIONAL,
	    .help = "File with a line for the end of each request; without it, there is none." },
	{ .path = "session_log.size", .type = CONF_INT, .at = AT(session_size), .dflt = 100, .min = 0, .max = 1000000,
	    .help = "MiB after which that file is renamed to FILE.1 and begun anew; 0: no bound." },
	{ .path = "hep.server", .type = CONF_STR, .at = AT(hep_server), .flags = CONF_OPTIONAL,
	    .help = "Address and UDP port of a Homer server that gets a copy of each message (HEP 3); without it, none." },
	{ .path = "hep.id", .type = CONF_INT, .at = AT(hep_id), .dflt = 2001, .min = 0, .max = 0x7fffffff,
	    .help = "Number of this capture agent." },
	{ .path = "hep.password", .type = CONF_STR, .at = AT(hep_password), .flags = CONF_OPTIONAL,
	    .help = "Password of the Homer server; it goes there in clear." },
	{ .path = "hep.bodies", .type = CONF_BOOL, .at = AT(hep_bodies),
	    .help = "Whether bodies go along; otherwise as many x." },
	{ .path = "control.socket", .type = CONF_STR, .at = AT(control_socket), .text = RUNDIR "/edge.sock",
	    .help = "The socket on which sallyportctl asks this daemon; \"\" for none." },
	{ .path = "control.group", .type = CONF_STR, .at = AT(control_group), .flags = CONF_OPTIONAL,
	    .help = "Group whose members may look at the daemon's state over that socket." },
	{ .path = "control.operators", .type = CONF_STR, .at = AT(control_operators), .flags = CONF_OPTIONAL,
	    .help = "Group whose members may change it as well." },
	{ .path = "outer", .type = CONF_GROUPS, .at = AT(outer), .flags = CONF_NONEMPTY,
	    .sub = outer_items, .size = sizeof(struct edge_door_conf), .help = "The doors that face the Internet." },
	{ .path = "inner.listen", .type = CONF_STR, .at = AT(inner.listen), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "Address and port of the door that faces inside." },
	{ .path = "inner.name", .type = CONF_STR, .at = AT(inner.name), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "Our host name on the inside." },
	{ .path = "inner.certificate", .type = CONF_STR, .at = AT(inner.certificate), .flags = CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with our certificate for the inside and its chain, leaf first." },
	{ .path = "inner.key", .type = CONF_STR, .at = AT(inner.key), .flags = CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the private key of that certificate." },
	{ .path = "inner.trust", .type = CONF_STR, .at = AT(inner.trust), .flags = CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS,
	    .help = "PEM file with the certification authorities of inside servers." },
	{ .path = "inner.crl", .type = CONF_STR, .at = AT(inner.crl), .flags = CONF_OPTIONAL | CONF_RELOADS,
	    .help = "PEM file, or directory of PEM files, with revocation lists for inside servers." },
	{ .path = "inner.dial_certificate", .type = CONF_STR, .at = AT(inner.dial_certificate), .flags = CONF_OPTIONAL | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the certificate that we show Directors when we connect to them; without it, inner.certificate." },
	{ .path = "inner.dial_key", .type = CONF_STR, .at = AT(inner.dial_key), .flags = CONF_OPTIONAL | CONF_RELOADS | CONF_SECRET,
	    .help = "PEM file with the private key of inner.dial_certificate." },
	{ .path = "inner.balancers", .type = CONF_STRS, .at = AT(inner.balancers),
	    .help = "Load balancers on the inside, as outer[].balancers." },
	{ .path = "inner.director_refuses", .type = CONF_BOOL, .at = AT(director_refuses), .dflt = false,
	    .help = "Is the inside a sallyport-director, which refuses in our place, signed, what signed-in users may not send?" },
	{ .path = "directors", .type = CONF_GROUPS, .at = AT(directors), .flags = CONF_NONEMPTY,
	    .sub = director_items, .size = sizeof(struct edge_director_conf),
	    .help = "The inside next hops; several share the users and stand in for each other." },
	{ .path = "array", .type = CONF_GROUPS, .at = AT(array), .sub = node_items, .size = sizeof(struct edge_director_conf),
	    .help = "The inner doors of the other edges that share our outer name and flow keys." },
	{ .path = "shared.server", .type = CONF_STR, .at = SHARED(server), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "Address and port of the Redis server by which the nodes of an array share policy, blocks and budgets." },
	{ .path = "shared.name", .type = CONF_STR, .at = SHARED(name), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "Host name that its certificate proves." },
	{ .path = "shared.trust", .type = CONF_STR, .at = SHARED(trust), .flags = CONF_OPTIONAL | CONF_NONEMPTY,
	    .help = "PEM file with the certification authorities that its certificate may have." },
	{ .path = "shared.certificate", .type = CONF_STR, .at = SHARED(certificate), .flags = CONF_OPTIONAL,
	    .help = "PEM file with the certificate that we show it." },
	{ .path = "shared.key", .type = CONF_STR, .at = SHARED(key), .flags = CONF_OPTIONAL,
	    .help = "PEM file with the private key of shared.certificate." },
	{ .path = "shared.user", .type = CONF_STR, .at = SHARED(user), .flags = CONF_OPTIONAL,
	    .help = "Our name in its access list; without it, its default user." },
	{ .path = "shared.password", .type = CONF_STR, .at = SHARED(password), .flags = CONF_OPTIONAL,
	    .help = "File whose first line is our password there." },
	{ .path = "shared.prefix", .type = CONF_STR, .at = SHARED(prefix), .text = "sallyport", .flags = CONF_NONEMPTY,
	    .help = "What the names of all keys there begin with; another array has another." },
	{ .path = "shared.store", .type = CONF_STR, .at = SHARED(store), .text = STATEDIR "/policy", .flags = CONF_NONEMPTY,
	    .help = "The store of policy versions on this machine." },
	{ .path = "dns.servers", .type = CONF_STRS, .at = AT(dns_servers),
	    .help = "Resolvers as address or address:port; without any, those of the system." },
	{ .path = "dns.timeout", .type = CONF_INT, .at = AT(dns_timeout), .dflt = 2000, .min = 100, .max = 30000,
	    .help = "Milliseconds that one try of a DNS question may take." },
	{ .path = "dns.tries", .type = CONF_INT, .at = AT(dns_tries), .dflt = 2, .min = 1, .max = 10,
	    .help = "Tries per DNS question." },
	{ .path = "dns.cache", .type = CONF_INT, .at = AT(dns_cache), .dflt = 3000, .min = 1, .max = 1000000,
	    .help = "Answers of DNS that each worker keeps." },
	{ .path = "dns.ttl_min", .type = CONF_INT, .at = AT(dns_ttl_min), .dflt = 30, .min = 1, .max = 3600,
	    .help = "Seconds that an answer is kept at least, whatever it says itself." },
	{ .path = "dns.ttl_max", .type = CONF_INT, .at = AT(dns_ttl_max), .dflt = 3600, .min = 1, .max = 86400,
	    .help = "Seconds that an answer is kept at most." },
	{ .path = "dns.negative_ttl", .type = CONF_INT, .at = AT(dns_negative_ttl), .dflt = 60, .min = 1, .max = 3600,
	    .help = "Seconds that it is kept at most that a name does not exist." },
	{ .path = "discovery.networks", .type = CONF_STRS, .at = AT(discovery_networks),
	    .help = "Networks, as address/bits, in which a server that DNS names may be although they are not public." },
	{ .path = "discovery.idle", .type = CONF_INT, .at = AT(discovery_idle), .dflt = 600, .min = 1, .max = 86400,
	    .help = "Seconds after which a connection to a server that DNS named is closed, if nothing was asked over it." },
	{ .path = "discovered.partners", .type = CONF_INT, .at = DISC(partners), .dflt = 4096, .min = 1, .max = 1000000,
	    .help = "Unlisted partners, by certificate, of which a record is kept; when all are in use, who is new is refused." },
	{ .path = "discovered.rate", .type = CONF_INT, .at = DISC(rate), .dflt = 20, .min = 1, .max = 100000,
	    .help = "Requests a second of one unlisted partner, whatever the number of its connections." },
	{ .path = "discovered.suspicious_rate", .type = CONF_INT, .at = DISC(suspicious_rate), .dflt = 1, .min = 1, .max = 100000,
	    .help = "Requests a second of one that is suspicious, since most of what it sends fails." },
	{ .path = "discovered.window", .type = CONF_INT, .at = DISC(window), .dflt = 100, .min = 1, .max = 10000,
	    .help = "The last final responses to one that are looked at." },
	{ .path = "discovered.window_time", .type = CONF_INT, .at = DISC(window_time), .dflt = 600, .min = 1, .max = 86400,
	    .help = "Seconds after which a response is looked at no more." },
	{ .path = "discovered.failures", .type = CONF_INT, .at = DISC(failures), .dflt = 50, .min = 1, .max = 10000,
	    .help = "Failures among these that make it suspicious, if they are failure_share as well." },
	{ .path = "discovered.failure_share", .type = CONF_INT, .at = DISC(failure_share), .dflt = 50, .min = 1, .max = 100,
	    .help = "Failures of 100 responses that make it suspicious, if they are as many as failures as well." },
	{ .path = "discovered.clean", .type = CONF_INT, .at = DISC(clean), .dflt = 3600, .min = 1, .max = 604800,
	    .help = "Seconds without that, after which it is suspicious no more." },
	{ .path = "discovered.addressees", .type = CONF_INT, .at = DISC(addressees), .dflt = 1000, .min = 1, .max = 1000000,
	    .help = "Different users of ours that one may address, existing or not; then only those it has addressed before." },
	{ .path = "discovered.forget", .type = CONF_INT, .at = DISC(forget), .dflt = 86400, .min = 1, .max = 31536000,
	    .help = "Seconds of silence after which a record may make room for another, if nothing speaks against it." },
	{ .path = "discovered.report", .type = CONF_INT, .at = DISC(report), .dflt = 3600, .min = 0, .max = 604800,
	    .help = "Seconds between reports in the log on those that were busy; 0: none." },
	{ .path = "keep_alive", .type = CONF_INT, .at = AT(keep_alive), .dflt = 300, .min = 30, .max = 3600,
	    .help = "Seconds between keep-alives that clients are told (MS-CONMGMT); a silent one is cut 32 seconds later." },
	{ .path = "limits.connections", .type = CONF_INT, .at = LIM(connections), .dflt = 50000, .min = 1, .max = 1000000,
	    .help = "Connections of the whole daemon." },
	{ .path = "limits.connections_block", .type = CONF_INT, .at = LIM(connections_block), .dflt = 2000, .min = 0, .max = 1000000,
	    .help = "Connections from outside of one block of addresses; 0: no limit." },
	{ .path = "limits.block_v4", .type = CONF_INT, .at = LIM(block_v4), .dflt = 24, .min = 8, .max = 32,
	    .help = "Bits of an IPv4 address that a block has in common." },
	{ .path = "limits.block_v6", .type = CONF_INT, .at = LIM(block_v6), .dflt = 64, .min = 16, .max = 128,
	    .help = "Bits of an IPv6 address that a block has in common." },
	{ .path = "limits.connections_partner", .type = CONF_INT, .at = LIM(connections_partner), .dflt = 100, .min = 0, .max = 1000000,
	    .help = "Connections that a server outside may make to us, by the first name in its certificate; 0: no limit." },
	{ .path = "limits.handshakes", .type = CONF_INT, .at = LIM(handshakes), .dflt = 2000, .min = 0, .max = 1000000,
	    .help = "TLS handshakes of who connects that may be in progress; the oldest gives way to one more; 0: no limit." },
	{ .path = "limits.user_rate", .type = CONF_INT, .at = LIM(user_rate), .dflt = 50, .min = 0, .max = 1000000,
	    .help = "Requests a second of one user, and of one connection on which nobody has signed in; 0: no limit." },
	{ .path = "limits.partner_rate", .type = CONF_INT, .at = LIM(partner_rate), .dflt = 1000, .min = 0, .max = 1000000,
	    .help = "Requests a second of one server outside, over all of its connections; 0: no limit." },
	{ .path = "limits.burst", .type = CONF_INT, .at = LIM(burst), .dflt = 10, .min = 0, .max = 3600,
	    .help = "Seconds: as many requests as their rate allows in this time may come at once." },
	{ .path = "limits.user_requests", .type = CONF_INT, .at = LIM(user_requests), .dflt = 500, .min = 0, .max = 1000000,
	    .help = "Requests in flight of one user's connection; 0: no limit." },
	{ .path = "limits.partner_requests", .type = CONF_INT, .at = LIM(partner_requests), .dflt = 10000, .min = 0, .max = 1000000,
	    .help = "Requests in flight of one connection of a server outside; 0: no limit." },
	{ .path = "limits.transactions", .type = CONF_INT, .at = LIM(transactions), .dflt = 100000, .min = 1, .max = 10000000,
	    .help = "Requests in flight of the whole daemon." },
	{ .path = "limits.hop_queue", .type = CONF_INT, .at = LIM(hop_queue), .dflt = 1000, .min = 1, .max = 1000000,
	    .help = "Requests that wait for one next hop to come up." },
	{ .path = "limits.held", .type = CONF_INT, .at = LIM(held), .dflt = 1000, .min = 1, .max = 100000,
	    .help = "Requests of each worker and side that wait until DNS has said something of their domain." },
	{ .path = "limits.held_per_domain", .type = CONF_INT, .at = LIM(held_per_domain), .dflt = 50, .min = 1, .max = 100000,
	    .help = "Of these, those that wait for one domain." },
	{ .path = "limits.proxy_header", .type = CONF_INT, .at = LIM(proxy_header), .dflt = 5, .min = 1, .max = 60,
	    .help = "Seconds in which a load balancer's PROXY header must be there." },
	{ .path = "limits.handshake", .type = CONF_INT, .at = LIM(handshake), .dflt = 10, .min = 1, .max = 300,
	    .help = "Seconds that a TLS handshake may take." },
	{ .path = "limits.first_message", .type = CONF_INT, .at = LIM(first_message), .dflt = 30, .min = 1, .max = 3600,
	    .help = "Seconds from the handshake to the first message of who connected." },
	{ .path = "limits.message", .type = CONF_INT, .at = LIM(message), .dflt = 10, .min = 1, .max = 300,
	    .help = "Seconds in which a message that was begun must be whole." },
	{ .path = "limits.sign_in", .type = CONF_INT, .at = LIM(sign_in), .dflt = 60, .min = 1, .max = 3600,
	    .help = "Seconds in which a user must have signed in over a new connection." },
	{ .path = "limits.idle", .type = CONF_INT, .at = LIM(idle), .dflt = 0, .min = 0, .max = 86400,
	    .help = "Seconds of silence after which a user's connection is closed; 0: keep_alive and 32." },
	{ .path = "limits.server_idle", .type = CONF_INT, .at = LIM(server_idle), .dflt = 3600, .min = 0, .max = 86400,
	    .help = "Seconds of silence after which a server's inbound connection is closed; 0: never." },
	{ .path = "limits.start_line", .type = CONF_INT, .at = LIM(start_line), .dflt = 4096, .min = 64, .max = 8192,
	    .help = "Bytes of a start line." },
	{ .path = "limits.header", .type = CONF_INT, .at = LIM(header), .dflt = 8192, .min = 256, .max = 16384,
	    .help = "Bytes of one header with its folded lines." },
	{ .path = "limits.credentials", .type = CONF_INT, .at = LIM(credentials), .dflt = 16384, .min = 256, .max = 16384,
	    .help = "The same of an Authorization of a REGISTER, if that is more." },
	{ .path = "limits.headers", .type = CONF_INT, .at = LIM(headers), .dflt = SIP_HEADERS_MAX - SIP_HEADERS_ADDED, .min = 8, .max = SIP_HEADERS_MAX - SIP_HEADERS_ADDED,
	    .help = "Number of headers of a message." },
	{ .path = "limits.head", .type = CONF_INT, .at = LIM(head), .dflt = 16384, .min = 1024, .max = 16384,
	    .help = "Bytes of start line and headers together." },
	{ .path = "limits.message_size", .type = CONF_INT, .at = LIM(message_size), .dflt = 65536, .min = 4096, .max = 5242880,
	    .help = "Bytes of a whole message." },
	{ .path = "limits.user_queue", .type = CONF_INT, .at = LIM(user_queue), .dflt = 256, .min = 16, .max = 65536,
	    .help = "KiB that may wait for a user who does not read; beyond it the connection is closed." },
	{ .path = "limits.link_queue", .type = CONF_INT, .at = LIM(link_queue), .dflt = 4096, .min = 64, .max = 262144,
	    .help = "KiB that may wait for a server before those who feed it are held back." },
	{ .path = "limits.request", .type = CONF_INT, .at = LIM(request), .dflt = 30, .min = 1, .max = 300,
	    .help = "Seconds for the final response to a request other than INVITE; then 504." },
	{ .path = "limits.failover", .type = CONF_INT, .at = LIM(failover), .dflt = 8, .min = 1, .max = 300,
	    .help = "Seconds of silence after which the next target is tried, while there is one." },
	{ .path = "limits.invite_first", .type = CONF_INT, .at = LIM(invite_first), .dflt = 30, .min = 1, .max = 300,
	    .help = "Seconds for the first response to an INVITE; then 504." },
	{ .path = "limits.invite", .type = CONF_INT, .at = LIM(invite), .dflt = 200, .min = 10, .max = 3600,
	    .help = "Seconds that a call may ring (timer C); then it is cancelled and answered 408." },
	{ .path = "timers.drain", .type = CONF_INT, .at = AT(drain), .dflt = 5, .min = 0, .max = 3600,
	    .help = "Seconds that requests in flight are given when the program is stopped." },
	{ .path = "timers.hung", .type = CONF_INT, .at = AT(hung), .dflt = 30, .min = 0, .max = 3600,
	    .help = "Seconds after which one of our processes that does not answer is killed and replaced, at least 4; 0: never." },
	{ .path = "limits.connect", .type = CONF_INT, .at = LIM(connect), .dflt = 6, .min = 1, .max = 60,
	    .help = "Seconds to resolve, connect and shake hands with one next hop." },
	{ .path = NULL }
};

static void
check_address(struct edge_door_conf *d, const char *file, int line, const char *path, struct conf_errors *errs)
{
	if (d->listen == NULL || d->listen[0] == '\0')
		return;	/* said already */
	if (net_addr_parse(&d->addr, span_str(d->listen), 0) != SP_OK)
		conf_error(errs, file, line, "%s: expects an IP address and a port, like 203.0.113.10:5061", path);
	else if (net_addr_is_any(&d->addr))
		conf_error(errs, file, line, "%s: expects the address of one interface, not the unspecified address", path);
}

static bool
same_address(const struct net_addr *a, const struct net_addr *b)
{
	return a->len != 0 && b->len != 0 && net_addr_same_host(a, b);
}

static void
check_dialling(const struct edge_config *c, const struct edge_door_conf *d, int line, const char *where,
    struct conf_errors *errs)
{
	if ((d->dial_certificate != NULL) != (d->dial_key != NULL))
		conf_error(errs, c->file, line, "%s: dial_certificate and dial_key are given together or not at all", where);
}

static void
check_balancers(const struct edge_config *c, const struct edge_door_conf *d, const char *where, struct conf_errors *errs)
{
	for (size_t i = 0; i < d->balancers.n; i++)
		if (net_prefix_parse(&(struct net_prefix){ .bits = 0 }, span_str(d->balancers.v[i].s)) != SP_OK)
			conf_error(errs, c->file, d->balancers.v[i].line,
			    "%s.balancers: expects an IP address, or a network as address/bits", where);
}

/*
 * All of the inside or nothing of it. Whether this edge may do without, policy says:
 * only a clearing house that has no domain of its own.
 */
static void
check_inside(const struct edge_config *c, struct conf_errors *errs)
{
	const struct {
		const char	*path, *value, *help;
	} needed[] = {
		{ "inner.listen", c->inner.listen, "address and port of the door that faces inside" },
		{ "inner.name", c->inner.name, "our host name on the inside" },
		{ "inner.certificate", c->inner.certificate, "PEM file with our certificate for the inside" },
		{ "inner.key", c->inner.key, "PEM file with the private key of that certificate" },
		{ "inner.trust", c->inner.trust, "PEM file with the certification authorities of inside servers" },
		{ "directors", conf_line_of(errs, "directors") != 0 || c->directors.n != 0 ? "" : NULL, "the inside next hops" },
	};
	bool any = c->inner.crl != NULL || c->inner.dial_certificate != NULL || c->inner.dial_key != NULL;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		any |= needed[i].value != NULL;
	for (size_t i = 0; any && i < sizeof(needed) / sizeof(needed[0]); i++)
		if (needed[i].value == NULL)
			conf_error(errs, c->file, 0, "%s: is missing and has no default: %s", needed[i].path, needed[i].help);
	for (size_t i = 0; !any && i < c->outer.n; i++)
		if (edge_outer(c, i)->users)
			conf_error(errs, c->file, c->outer.line[i],
			    "outer[%zu]: admits users, and there is no inside for them: inner and directors are missing", i);
}

bool
edge_has_inside(const struct edge_config *c)
{
	return c->inner.listen != NULL;
}

static void
check_doors(struct edge_config *c, struct conf_errors *errs)
{
	check_inside(c, errs);
	check_address(&c->inner, c->file, conf_line_of(errs, "inner.listen"), "inner.listen", errs);
	check_dialling(c, &c->inner, conf_line_of(errs, "inner.listen"), "inner", errs);
	check_balancers(c, &c->inner, "inner", errs);
	if (c->outer.n > EDGE_DOORS_MAX)
		conf_error(errs, c->file, c->outer.line[EDGE_DOORS_MAX], "outer: at most %d doors", EDGE_DOORS_MAX);
	for (size_t i = 0; i < c->outer.n; i++) {
		struct edge_door_conf *d = edge_outer(c, i);
		char path[64];

		snprintf(path, sizeof(path), "outer[%zu].listen", i);
		check_address(d, c->file, conf_line_of(errs, path), path, errs);
		if (same_address(&d->addr, &c->inner.addr))
			conf_error(errs, c->file, c->outer.line[i],
			    "outer[%zu].listen: is on the address of inner.listen (line %d); the two doors must not share an interface",
			    i, conf_line_of(errs, "inner.listen"));
		if (!d->users && !d->partners)
			conf_error(errs, c->file, c->outer.line[i],
			    "outer[%zu]: admits nobody; set users or partners to true", i);
		if (d->partners && d->ask == NET_TLS_ASK_NONE)
			conf_error(errs, c->file, c->outer.line[i],
			    "outer[%zu]: partners prove themselves by certificate; set client_certificate to "
			    "\"required\" or, with users on the same port, \"optional\"", i);
		if (d->users && d->ask == NET_TLS_ASK_REQUIRED)
			conf_error(errs, c->file, c->outer.line[i],
			    "outer[%zu]: users have no certificate; set client_certificate to \"none\" or \"optional\"", i);
		if (d->partners && d->trust == NULL)
			conf_error(errs, c->file, c->outer.line[i],
			    "outer[%zu].trust: expects the authorities of the partners' certificates", i);
		snprintf(path, sizeof(path), "outer[%zu]", i);
		check_balancers(c, d, path, errs);
		check_dialling(c, d, c->outer.line[i], path, errs);
		for (size_t j = 0; j < i; j++)
			if (edge_outer(c, j)->listen != NULL && d->listen != NULL && d->listen[0] != '\0' &&
			    strcmp(edge_outer(c, j)->listen, d->listen) == 0)
				conf_error(errs, c->file, c->outer.line[i],
				    "outer[%zu].listen: is used already (line %d)", i, c->outer.line[j]);
	}
}

static void
check_networks(struct edge_config *c, struct conf_errors *errs)
{
	struct net_guard *g = net_guard_new();

	if (c->discovered.failures > c->discovered.window)
		conf_error(errs, c->file, conf_line_of(errs, "discovered.failures"),
		    "discovered.failures: more than discovered.window (%d) never come together", c->discovered.window);
	for (size_t i = 0; i < c->discovery_networks.n; i++)
		if (net_guard_allow(g, span_str(c->discovery_networks.v[i].s)) != SP_OK)
			conf_error(errs, c->file, c->discovery_networks.v[i].line,
			    "discovery.networks: expects a network as address/bits, like 10.0.0.0/8");
	net_guard_free(g);
	if (c->hep_server != NULL && net_addr_parse(&(struct net_addr){ .len = 0 }, span_str(c->hep_server), 0) != SP_OK)
		conf_error(errs, c->file, conf_line_of(errs, "hep.server"), "hep.server: expects an IP address and a port");
	if (c->dns_ttl_min > c->dns_ttl_max)
		conf_error(errs, c->file, conf_line_of(errs, "dns.ttl_min"), "dns.ttl_min: is more than dns.ttl_max");
	if (c->hung != 0 && c->hung < MASTER_HUNG_MIN_S)
		conf_error(errs, c->file, conf_line_of(errs, "timers.hung"), "timers.hung: expects 0, or at least %d seconds",
		    MASTER_HUNG_MIN_S);
}

/* Routes name the node that wrote them, so no two have one name. */
static void
check_array(struct edge_config *c, struct conf_errors *errs)
{
	if (c->array.n > EDGE_ARRAY_MAX)
		conf_error(errs, c->file, c->array.line[EDGE_ARRAY_MAX], "array: at most %d other nodes", EDGE_ARRAY_MAX);
	if (c->array.n != 0 && (c->flow_keys == NULL || c->flow_keys[0] == '\0'))
		conf_error(errs, c->file, c->array.line[0], "array: the nodes share a file of flow_keys, which is not given");
	for (size_t i = 0; i < c->array.n; i++) {
		const struct edge_director_conf *d = edge_node(c, i);

		if (d->address != NULL && net_addr_parse(&(struct net_addr){ .len = 0 }, span_str(d->address), 1) != SP_OK)
			conf_error(errs, c->file, c->array.line[i], "array[%zu].address: expects an IP address", i);
		if (d->name == NULL || c->inner.name == NULL)
			continue;
		if (strcasecmp(d->name, c->inner.name) == 0)
			conf_error(errs, c->file, c->array.line[i],
			    "array[%zu]: is our own inner.name (line %d); each node has a name of its own", i,
			    conf_line_of(errs, "inner.name"));
		for (size_t j = 0; j < i; j++)
			if (edge_node(c, j)->name != NULL && strcasecmp(edge_node(c, j)->name, d->name) == 0)
				conf_error(errs, c->file, c->array.line[i], "array[%zu]: the same node as in line %d", i, c->array.line[j]);
	}
}

static void
check_shared(const struct edge_config *c, struct conf_errors *errs)
{
	const struct edge_shared_conf *s = &c->shared;
	int line = conf_line_of(errs, "shared.server");

	if (s->server == NULL)
		return;
	if (net_addr_parse(&(struct net_addr){ .len = 0 }, span_str(s->server), 0) != SP_OK)
		conf_error(errs, c->file, line, "shared.server: expects an IP address and a port, like 10.1.0.41:6379");
	if (s->name == NULL || s->trust == NULL)
		conf_error(errs, c->file, line, "shared: name and trust say which certificate the server has; both are needed");
	if ((s->certificate != NULL) != (s->key != NULL))
		conf_error(errs, c->file, line, "shared: certificate and key are given together or not at all");
	if (s->user != NULL && s->password == NULL)
		conf_error(errs, c->file, line, "shared.user: has no shared.password");
	/* the short form would give all nodes the same */
	if (c->inner.name == NULL || conf_line_of(errs, "inner.name") == 0)
		conf_error(errs, c->file, line, "shared.server: nodes are told apart by inner.name, which is not given");
	if (strlen(s->prefix) > 40)
		conf_error(errs, c->file, conf_line_of(errs, "shared.prefix"), "shared.prefix: at most 40 bytes");
}

static void
check_directors(struct edge_config *c, struct conf_errors *errs)
{
	if (c->directors.n > EDGE_DIRECTORS_MAX)
		conf_error(errs, c->file, c->directors.line[EDGE_DIRECTORS_MAX], "directors: at most %d",
		    EDGE_DIRECTORS_MAX);
	for (size_t i = 0; i < c->directors.n; i++) {
		struct edge_director_conf *d = edge_director(c, i);
		struct net_addr a;

		if (d->address != NULL && net_addr_parse(&a, span_str(d->address), 1) != SP_OK)
			conf_error(errs, c->file, c->directors.line[i], "directors[%zu].address: expects an IP address", i);
		for (size_t j = 0; j < i; j++)
			if (d->name != NULL && edge_director(c, j)->name != NULL && d->port == edge_director(c, j)->port &&
			    strcasecmp(d->name, edge_director(c, j)->name) == 0)
				conf_error(errs, c->file, c->directors.line[i],
				    "directors[%zu]: the same next hop as in line %d", i, c->directors.line[j]);
	}
	check_array(c, errs);
	check_shared(c, errs);
	check_networks(c, errs);
	for (size_t i = 0; i < c->dns_servers.n; i++) {
		struct net_addr a;

		if (net_addr_parse(&a, span_str(c->dns_servers.v[i].s), 53) != SP_OK)
			conf_error(errs, c->file, c->dns_servers.v[i].line,
			    "dns.servers: expects an IP address, or address and port");
	}
}

struct edge_config *
edge_config_load(const char *file, struct conf_errors *errs)
{
	struct edge_config *c = xcalloc(1, sizeof(*c));
	size_t before = conf_errors_count(errs);

	c->file = xstrdup(file);
	if (conf_load(file, items, c, errs) == SP_EIO) {
		edge_config_free(c);
		return NULL;
	}
	edge_short_fill(c, errs);
	check_doors(c, errs);
	check_directors(c, errs);
	conf_errors_sort(errs, before, file);
	c->inner.ask = NET_TLS_ASK_REQUIRED;
	return c;
}

void
edge_config_free(struct edge_config *c)
{
	if (c == NULL)
		return;
	conf_unload(items, c);
	free(c->file);
	free(c);
}

const char *
edge_config_differs(const struct edge_config *a, const struct edge_config *b)
{
	return conf_differs(items, a, b);
}

void
edge_config_print_options(FILE *f)
{
	conf_print_options(items, f);
}

static struct sip_frame_limits
frame_limits(const struct edge_config *c)
{
	return (struct sip_frame_limits){ (uint32_t)c->limits.start_line, (uint32_t)c->limits.header,
	    (uint32_t)c->limits.headers, (uint32_t)c->limits.head, (uint32_t)c->limits.message_size, (uint32_t)c->limits.credentials, 0 };
}

struct sip_link_limits
edge_client_limits(const struct edge_config *c)
{
	const struct edge_limits_conf *l = &c->limits;
	unsigned idle = (unsigned)(l->idle != 0 ? l->idle : c->keep_alive + 32);
	size_t queue = (size_t)l->user_queue * 1024;

	return (struct sip_link_limits){
		.stream = { .handshake_ms = (unsigned)l->handshake * 1000, .queue_high = queue / 2, .queue_max = queue,
		    .linger_ms = 1000 },
		.frame = frame_limits(c),
		.first_message_ms = (unsigned)l->first_message * 1000, .message_ms = (unsigned)l->message * 1000,
		.signin_ms = (unsigned)l->sign_in * 1000, .idle_ms = idle * 1000,
		.rate = { (uint32_t)l->user_rate, (uint32_t)l->burst * 1000 }, .requests = (uint32_t)l->user_requests
	};
}

struct sip_link_limits
edge_server_limits(const struct edge_config *c)
{
	struct sip_link_limits l = edge_client_limits(c);

	/* a partner's requests have what a user's have; its answers have grown on their way */
	l.request = l.frame;
	l.frame = sip_frame_limits_of_servers(l.frame);
	l.stream.queue_high = (size_t)c->limits.link_queue * 1024;
	l.stream.queue_max = l.stream.queue_high * 4;
	l.idle_ms = (unsigned)c->limits.server_idle * 1000;
	l.rate.per_second = (uint32_t)c->limits.partner_rate;
	l.requests = (uint32_t)c->limits.partner_requests;
	return l;
}

struct sip_link_limits
edge_inner_limits(const struct edge_config *c)
{
	struct sip_link_limits l = edge_server_limits(c);

	l.request = l.frame;
	l.rate.per_second = 0;
	/* a Director that floods leaves room for what the others, and those outside, have to say */
	l.requests = edge_relay_limits(c).transactions / 2 + 1;
	return l;
}

struct edge_discovered_limits
edge_discovered_limits(const struct edge_config *c)
{
	const struct edge_discovered_conf *d = &c->discovered;

	return (struct edge_discovered_limits){
		.partners = (unsigned)d->partners, .rate = (unsigned)d->rate, .suspicious_rate = (unsigned)d->suspicious_rate,
		.window = (unsigned)d->window, .window_ms = (unsigned)d->window_time * 1000,
		.failures = (unsigned)d->failures, .failure_share = (unsigned)d->failure_share,
		.clean_ms = (uint64_t)d->clean * 1000, .addressees = (unsigned)d->addressees,
		.forget_ms = (uint64_t)d->forget * 1000
	};
}

/* Bounds of the whole daemon are shared out evenly, rounded up. */
struct sip_relay_limits
edge_relay_limits(const struct edge_config *c)
{
	struct sip_relay_limits l = SIP_RELAY_LIMITS_DEFAULT;
	uint32_t n = c->workers > 0 ? (uint32_t)c->workers : 1;

	l.links = ((uint32_t)c->limits.connections + n - 1) / n;
	l.handshakes = ((uint32_t)c->limits.handshakes + n - 1) / n;
	l.transactions = ((uint32_t)c->limits.transactions + n - 1) / n;
	l.hop_queue = (uint32_t)c->limits.hop_queue;
	l.failover_ms = (unsigned)c->limits.failover * 1000;
	l.request_ms = (unsigned)c->limits.request * 1000;
	l.invite_first_ms = (unsigned)c->limits.invite_first * 1000;
	l.invite_ms = (unsigned)c->limits.invite * 1000;
	l.connect_ms = (unsigned)c->limits.connect * 1000;
	return l;
}
