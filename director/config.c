/*
 * director/config.c - director.conf: this Director as one immutable value.
 */
#include "director/config.h"

#include <stdlib.h>
#include <string.h>

#include "admin/master.h"
#include "admin/users.h"
#include "common/err.h"
#include "common/mem.h"
#include "director/routes.h"
#include "director/ticket.h"
#include "net/prefix.h"
#include "policy/domain.h"
#include "policy/rules.h"

#define AT(member)	offsetof(struct director_config, member)
#define DOOR(member)	offsetof(struct director_door, member)
#define SERVER(member)	offsetof(struct director_server, member)
#define ROUTE(member)	offsetof(struct director_route, member)

static const char *const admits_words[] = { "servers", "clients", "both", NULL };
static const char *const accounts_words[] = { "file", "winbind", NULL };
static const char *const homes_words[] = { "file", "ldap", "both", NULL };
static const char *const bind_words[] = { "anonymous", "simple", "gssapi", NULL };
static const char *const level_words[] = { "error", "warning", "notice", "info", "debug", NULL };

static const struct conf_item door_items[] = {
	{ "listen", CONF_STR, DOOR(listen), CONF_REQUIRED, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Address and port of the door, of exactly one interface." },
	{ "admits", CONF_CHOICE, DOOR(admits), 0, DOOR_SERVERS, 0, 0, NULL, admits_words, NULL, 0,
	    "Who is let in: servers (mutual TLS), clients (no certificate), or both." },
	{ "offer", CONF_STRS, DOOR(offers), CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "How clients at this door may sign in, instead of auth.offer." },
	{ "connections", CONF_INT, DOOR(connections), 0, 0, 0, 1000000, NULL, NULL, NULL, 0,
	    "Connections that this door lets in; 0: no limit of its own." },
	{ "certificate", CONF_STR, DOOR(certificate), CONF_OPTIONAL | CONF_RELOADS | CONF_SECRET, 0, 0, 0, NULL, NULL, NULL, 0,
	    "PEM file with this door's certificate chain, instead of tls.certificate." },
	{ "key", CONF_STR, DOOR(key), CONF_OPTIONAL | CONF_RELOADS | CONF_SECRET, 0, 0, 0, NULL, NULL, NULL, 0,
	    "PEM file with this door's private key, instead of tls.key." },
	{ "trust", CONF_STR, DOOR(trust), CONF_OPTIONAL | CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "PEM file with the authorities this door trusts, instead of tls.trust." },
	{ "crl", CONF_STR, DOOR(crl), CONF_OPTIONAL | CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "PEM file or directory with revocation lists for this door, instead of tls.crl." },
	{ "balancers", CONF_STRS, DOOR(balancers), 0, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Load balancers, as address or address/bits, whose connections begin with a PROXY header (version 2)." },
	{ NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, NULL }
};

static const struct conf_item server_items[] = {
	{ "name", CONF_STR, SERVER(name), CONF_REQUIRED | CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Host name that the server's certificate proves." },
	{ "address", CONF_STRS, SERVER(addresses), CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "IP addresses to connect to, in this order; without any the name is looked up in DNS." },
	{ "srv", CONF_STR, SERVER(srv), CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Name of the SRV records in DNS that say where the server is, instead of address and port." },
	{ "port", CONF_INT, SERVER(port), CONF_RELOADS, 5061, 1, 65535, NULL, NULL, NULL, 0,
	    "Port to connect to." },
	{ NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, NULL }
};

static const struct conf_item route_items[] = {
	{ "match", CONF_STR, ROUTE(match), CONF_REQUIRED | CONF_NONEMPTY | CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Pattern of Request-URIs, as sip:user@host or tel:number, in which * is any text." },
	{ "server", CONF_STR, ROUTE(to.name), CONF_REQUIRED | CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Host name that the certificate of the server they go to proves." },
	{ "address", CONF_STRS, ROUTE(to.addresses), CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "IP addresses to connect to, in this order; without any the name is looked up in DNS." },
	{ "srv", CONF_STR, ROUTE(to.srv), CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Name of the SRV records in DNS that say where the server is, instead of address and port." },
	{ "port", CONF_INT, ROUTE(to.port), CONF_RELOADS, 5061, 1, 65535, NULL, NULL, NULL, 0,
	    "Port to connect to." },
	{ "replace_host", CONF_BOOL, ROUTE(replace_host), CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Does the name of the server take the place of the host in the Request-URI?" },
	{ "partners", CONF_BOOL, ROUTE(partners), CONF_RELOADS, 0, 0, 0, NULL, NULL, NULL, 0,
	    "May federated partners use this route, too?" },
	{ NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, NULL }
};

#define STR(path, member, flags, dflt, help) \
	{ path, CONF_STR, AT(member), flags, 0, 0, 0, dflt, NULL, NULL, 0, help }
#define STRS(path, member, flags, help) \
	{ path, CONF_STRS, AT(member), flags, 0, 0, 0, NULL, NULL, NULL, 0, help }
#define CHOICE(path, member, flags, words, help) \
	{ path, CONF_CHOICE, AT(member), flags, 0, 0, 0, NULL, words, NULL, 0, help }
#define BOOL(path, member, flags, dflt, help) \
	{ path, CONF_BOOL, AT(member), flags, dflt, 0, 0, NULL, NULL, NULL, 0, help }
#define INT(path, member, flags, dflt, min, max, help) \
	{ path, CONF_INT, AT(member), flags, dflt, min, max, NULL, NULL, NULL, 0, help }
#define GROUPS(path, member, flags, sub, type, help) \
	{ path, CONF_GROUPS, AT(member), flags, 0, 0, 0, NULL, NULL, sub, sizeof(type), help }

static const struct conf_item items[] = {
	STR("name", name, CONF_REQUIRED | CONF_NONEMPTY, NULL,
	    "Host name of this Director: in Via, Record-Route and Path, and proven by its certificate."),
	STRS("domains", domains, CONF_REQUIRED | CONF_NONEMPTY | CONF_RELOADS,
	    "SIP domains of our own, as lower-case A-labels."),
	STR("user", user, CONF_NONEMPTY, "sallyport",
	    "Account that the network process becomes when started as root."),
	STR("key_user", key_user, 0, NULL, "Account that the process with the private keys becomes, if it is to be another one."),
	BOOL("sandbox", sandbox, 0, true,
	    "Take from the process that faces the network whatever it does not need; false is for debuggers."),
	INT("workers", workers, 0, 0, 0, 64, "Threads that serve connections; 0 is one for each processor."),
	STR("flow_keys", flow_keys, CONF_OPTIONAL | CONF_NONEMPTY, NULL,
	    "File with the keys that sign routes, made when absent; without it, routes end with the process."),
	STR("log.file", log_file, CONF_OPTIONAL, NULL, "Log file; without it the log goes to the journal or to standard error."),
	STR("log.journal", log_journal, CONF_NONEMPTY, "auto",
	    "Without log.file: auto (the journal, if standard error leads there), off, or the path of the journal's socket."),
	{ "log.level", CONF_CHOICE, AT(log_level), CONF_RELOADS, 3, 0, 0, NULL, level_words, NULL, 0,
	    "Least important level that is logged: error, warning, notice, info or debug." },
	INT("log.refusals", log_refusals, CONF_RELOADS, 100, 0, 1000000,
	    "Lines about refusals of one kind and source, of each worker, in log.window; the rest is counted in a summary; 0: no limit."),
	INT("log.window", log_window, CONF_RELOADS, 60, 1, 3600, "Seconds after which log.refusals begins anew."),
	STR("session_log.file", session_file, CONF_OPTIONAL, NULL,
	    "File with a line for the end of each request; without it, there is none."),
	INT("session_log.size", session_size, 0, 100, 0, 1000000,
	    "MiB after which that file is renamed to FILE.1 and begun anew; 0: no bound."),
	STR("hep.server", hep_server, CONF_OPTIONAL, NULL,
	    "Address and UDP port of a Homer server that gets a copy of each message (HEP 3); without it, none."),
	INT("hep.id", hep_id, 0, 2002, 0, 0x7fffffff, "Number of this capture agent."),
	STR("hep.password", hep_password, CONF_OPTIONAL, NULL, "Password of the Homer server; it goes there in clear."),
	BOOL("hep.bodies", hep_bodies, 0, false, "Whether bodies go along; otherwise as many x."),
	STR("control.socket", control_socket, 0, RUNDIR "/director.sock",
	    "The socket on which sallyportctl asks this daemon; \"\" for none."),
	STR("control.group", control_group, CONF_OPTIONAL, NULL,
	    "Group whose members may look at the daemon's state over that socket."),
	STR("control.operators", control_operators, CONF_OPTIONAL, NULL,
	    "Group whose members may change it as well."),
	STR("tls.certificate", certificate, CONF_REQUIRED | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET, NULL,
	    "PEM file with our certificate chain, leaf first."),
	STR("tls.key", key, CONF_REQUIRED | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET, NULL, "PEM file with our private key."),
	STR("tls.trust", trust, CONF_REQUIRED | CONF_NONEMPTY | CONF_RELOADS, NULL,
	    "PEM file with the authorities that sign the certificates of edges and pools."),
	STR("tls.crl", crl, CONF_OPTIONAL | CONF_RELOADS, NULL,
	    "PEM file or directory with revocation lists; without it revocation is not checked."),
	STRS("tls.refused", refused_certificates, CONF_RELOADS,
	    "SHA-256 fingerprints of certificates that nobody may show, at no door and in no direction."),
	GROUPS("doors", doors, CONF_REQUIRED | CONF_NONEMPTY, door_items, struct director_door,
	    "Where connections are accepted."),
	GROUPS("edges", edges, CONF_RELOADS, server_items, struct director_server,
	    "Edges: their marks are believed, and they are the way out to other domains, tried in this order."),
	BOOL("edge_array", edge_array, CONF_RELOADS, false,
	    "Are the edges one array, so that what is for one goes by another while it is down?"),
	GROUPS("pools", pools, CONF_RELOADS, server_items, struct director_server, "Home pools of our users."),
	GROUPS("routes", routes, CONF_RELOADS, route_items, struct director_route,
	    "Static routes: requests for what fits a pattern go to a gateway or an application server."),
	STRS("public_im", public_im, CONF_RELOADS,
	    "Domains of public IM providers: to write there, a user must be enabled for public IM."),
	STRS("servers", servers, CONF_RELOADS,
	    "Names of further servers inside that may speak for users; nobody lives there."),
	STR("auth.users", auth_users, CONF_NONEMPTY | CONF_RELOADS, USERS_DEFAULT_FILE,
	    "The user file, which sallyportctl user keeps; mode 0600."),
	STR("auth.user", auth_user, CONF_OPTIONAL, NULL,
	    "Account that the process with the user file becomes after start; without it, it stays who it is."),
	STR("auth.realm", auth_realm, CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS, NULL,
	    "Realm of challenges; without it, the domain of the user."),
	STRS("auth.offer", auth_offers, CONF_RELOADS,
	    "How users may sign in: kerberos, ntlm, digest; when none is named, all that are possible."),
	STRS("auth.offer_remote", auth_offers_remote, CONF_RELOADS,
	    "How remote users may sign in, instead of auth.offer."),
	STR("auth.keytab", auth_keytab, CONF_OPTIONAL | CONF_NONEMPTY | CONF_RELOADS | CONF_SECRET, NULL,
	    "Keytab with the key of sip/NAME; without it there is no Kerberos. Mode 0600."),
	STRS("auth.kerberos_realms", kerberos_realms, CONF_RELOADS,
	    "Realms whose users are ours, as \"REALM=domain\"; when none is named, a realm is the domain of that name."),
	STRS("auth.digest", auth_digest, CONF_RELOADS,
	    "Digest algorithms that are offered, sha-256 and md5; both when none is named."),
	INT("auth.nonce_lifetime", auth_nonce_lifetime, CONF_RELOADS, 600, 5, 86400,
	    "Seconds for which a challenge may be used."),
	INT("auth.replay_entries", auth_replay_entries, 0, 65536, 16, 4194304,
	    "Challenges whose use is remembered; beyond it the oldest are declared stale."),
	INT("auth.timeout", auth_timeout, CONF_RELOADS, 8000, 100, 60000,
	    "Milliseconds that an answer about a user may take, domain and directory included."),
	INT("guessing.user_and_source", guesses_pair, CONF_RELOADS, 10, 0, 1000000,
	    "Wrong passwords of one user from one address, after which further ones wait; 0: no limit."),
	INT("guessing.source", guesses_source, CONF_RELOADS, 100, 0, 1000000, "The same from one address, whoever the users are."),
	INT("guessing.user", guesses_user, CONF_RELOADS, 50, 0, 1000000,
	    "The same of one user, for addresses from which that user has not signed in before."),
	INT("guessing.forget", guesses_forget, CONF_RELOADS, 60, 1, 86400, "Seconds after which one of them is forgotten."),
	INT("guessing.entries", guesses_entries, CONF_RELOADS, 65536, 64, 16777216,
	    "Counts that are kept, and as many addresses that are known to be a user's."),
	STR("sipae.realm", sipae_realm, CONF_NONEMPTY | CONF_RELOADS, "SIP Communications Service",
	    "Realm of NTLM and Kerberos challenges, which clients of that family expect."),
	INT("sipae.version", sipae_version, CONF_RELOADS, 4, 2, 4,
	    "Version of the signing protocol that is offered; clients may choose an older one."),
	INT("sipae.lifetime", sipae_lifetime, 0, 28800, 10, 86400,
	    "Seconds after which a user who signed in with NTLM or Kerberos must do so again."),
	INT("sipae.idle", sipae_idle, 0, 7500, 60, 86400,
	    "Seconds without a signed message after which the same is the case."),
	INT("sipae.refresh", sipae_refresh, CONF_RELOADS, 60, 1, 86400,
	    "Seconds after which it is looked up again whether such a user is still enabled."),
	INT("sipae.associations", sipae_associations, 0, 100000, 64, 4194304,
	    "Users' devices that may be signed in with NTLM or Kerberos at once."),
	INT("sipae.per_user", sipae_per_user, 0, 16, 1, 1000, "The same for one user."),
	INT("sipae.handshakes", sipae_handshakes, 0, 4096, 64, 1048576, "NTLM handshakes that may be in progress at once."),
	STR("ntlm.domain", ntlm_domain, CONF_OPTIONAL | CONF_NONEMPTY, NULL,
	    "NetBIOS name of the domain that challenges name; without it, the first label of the first domain."),
	{ "ntlm.timestamp", CONF_BOOL, AT(ntlm_timestamp), 0, 0, 0, 0, NULL, NULL, NULL, 0,
	    "Whether challenges tell the time, which makes newer clients protect the handshake." },
	STR("ntlm.computer", ntlm_computer, CONF_OPTIONAL | CONF_NONEMPTY, NULL,
	    "NetBIOS name of this machine that challenges name; without it, the first label of its name."),
	CHOICE("ntlm.accounts", ntlm_accounts, 0, accounts_words,
	    "Who has the accounts that sign in with NTLM: file, or winbind, which asks a Windows domain."),
	STRS("ntlm.domains", ntlm_domains, 0,
	    "Windows domains whose accounts are called as their addresses, as \"DOMAIN=sip-domain\"."),
	INT("winbind.connections", winbind.connections, 0, 4, 1, 64,
	    "Connections to winbind, and questions under way at once."),
	INT("winbind.timeout", winbind.timeout, 0, 3000, 50, 60000, "Milliseconds that an answer of winbind may take."),
	STR("winbind.user", winbind.user, CONF_OPTIONAL | CONF_NONEMPTY, NULL,
	    "Account of the process that asks winbind, of the group winbindd_priv; without it, that of auth.user."),
	CHOICE("directory.homes", directory.homes, CONF_RELOADS, homes_words,
	    "Who says where a user's home is: file, ldap, or both, the file first."),
	INT("directory.ttl", directory.ttl, CONF_RELOADS, 300, 1, 86400, "Seconds for which what LDAP said of a user is used."),
	INT("directory.negative_ttl", directory.negative_ttl, CONF_RELOADS, 30, 1, 86400,
	    "Seconds for which it is remembered that LDAP does not have a user."),
	INT("directory.stale", directory.stale, CONF_RELOADS, 3600, 0, 604800,
	    "Seconds after that for which it is used all the same while no server answers."),
	INT("directory.entries", directory.entries, CONF_RELOADS, 50000, 4, 4194304, "Users that are remembered."),
	INT("directory.timeout", directory.timeout, CONF_RELOADS, 3000, 50, 60000,
	    "Milliseconds that an answer of LDAP may take, all servers included."),
	STRS("ldap.servers", directory.servers, CONF_RELOADS, "URIs of the LDAP servers, in the order in which they are tried."),
	BOOL("ldap.starttls", directory.starttls, CONF_RELOADS, 1, "Is TLS begun on a connection to an ldap:// URI?"),
	STR("ldap.trust", directory.trust, CONF_OPTIONAL | CONF_RELOADS, NULL,
	    "PEM file with the authorities that sign the certificates of LDAP servers."),
	CHOICE("ldap.bind", directory.bind, CONF_RELOADS, bind_words, "As whom we ask: anonymous, simple (a password), or gssapi."),
	STR("ldap.bind_dn", directory.bind_dn, CONF_OPTIONAL | CONF_RELOADS, NULL, "Distinguished name that we bind as, with a password."),
	STR("ldap.password_file", directory.password_file, CONF_OPTIONAL | CONF_RELOADS | CONF_SECRET, NULL,
	    "File whose first line is the password; mode 0600."),
	STR("ldap.keytab", directory.keytab, CONF_OPTIONAL | CONF_RELOADS | CONF_SECRET, NULL, "Keytab with the key of our Kerberos principal."),
	STRS("ldap.bases", directory.bases, CONF_RELOADS, "Distinguished names below which users are looked for."),
	STRS("ldap.logins", directory.logins, CONF_RELOADS,
	    "Where the accounts of a Windows domain or Kerberos realm are, as \"DOMAIN=base\"."),
	STR("ldap.filter", directory.filter, CONF_OPTIONAL | CONF_RELOADS, NULL, "Filter that a user's entry must match besides."),
	BOOL("ldap.proxy_addresses", directory.proxy_addresses, CONF_RELOADS, 0,
	    "Is a user found by a sip: value of proxyAddresses, too?"),
	STR("ldap.default_pool", directory.default_pool, CONF_OPTIONAL | CONF_RELOADS, NULL,
	    "Home pool of users whose entry names none."),
	INT("ldap.connections", directory.connections, CONF_RELOADS, 4, 1, 64, "Connections to LDAP, and questions under way at once."),
	INT("ldap.server_timeout", directory.server_timeout, CONF_RELOADS, 1000, 50, 60000,
	    "Milliseconds that one step of one server may take; then the next is tried."),
	INT("ldap.pause", directory.pause, CONF_RELOADS, 30, 1, 3600, "Longest pause, in seconds, before a server that failed is tried again."),
	STR("ldap.attributes.address", directory.attributes.address, CONF_RELOADS, "msRTCSIP-PrimaryUserAddress",
	    "Attribute with the address, as sip:user@domain."),
	STR("ldap.attributes.account", directory.attributes.account, CONF_RELOADS, "sAMAccountName",
	    "Attribute with the name of an account, without its domain."),
	STR("ldap.attributes.principal", directory.attributes.principal, CONF_RELOADS, "userPrincipalName",
	    "Attribute with the name of an account as user@REALM; when empty, there is none."),
	STR("ldap.attributes.home", directory.attributes.home, CONF_RELOADS, "msRTCSIP-PrimaryHomeServer",
	    "Attribute that names the home pool: the DN of its entry, or its host name."),
	STR("ldap.attributes.pool_name", directory.attributes.pool_name, CONF_RELOADS, "dNSHostName",
	    "Attribute of a pool's entry with its host name; serviceDNSName, if it has none."),
	STR("ldap.attributes.enabled", directory.attributes.enabled, CONF_RELOADS, "msRTCSIP-UserEnabled",
	    "Attribute that is TRUE for enabled users; when empty, all are."),
	STR("ldap.attributes.remote", directory.attributes.remote, CONF_RELOADS, "msRTCSIP-InternetAccessEnabled",
	    "Attribute that is TRUE for users who may come from outside; when empty, all may."),
	STR("ldap.attributes.federation", directory.attributes.federation, CONF_RELOADS, "msRTCSIP-FederationEnabled",
	    "Attribute that is TRUE for users who may reach partners; when empty, all may."),
	STR("ldap.attributes.options", directory.attributes.options, CONF_RELOADS, "msRTCSIP-OptionFlags",
	    "Attribute with a number whose bit 1 lets a user reach public IM; when empty, all may."),
	STR("ldap.attributes.archive", directory.attributes.archive, CONF_RELOADS, "msRTCSIP-ArchivingEnabled",
	    "Attribute that says whose messages are archived."),
	STRS("dns.servers", dns_servers, 0, "Addresses of DNS servers; the system's when none is named."),
	INT("limits.connections", max_connections, 0, 20000, 1, 1000000, "Connections of one worker."),
	INT("limits.connections_block", connections_block, 0, 5000, 0, 1000000,
	    "Connections of one block of addresses; 0: no limit."),
	INT("limits.block_v4", block_v4, 0, 24, 8, 32, "Bits of an IPv4 address that a block has in common."),
	INT("limits.block_v6", block_v6, 0, 64, 16, 128, "Bits of an IPv6 address that a block has in common."),
	INT("limits.connections_server", connections_server, 0, 500, 0, 1000000,
	    "Connections that one server may make to us, by the first name in its certificate; 0: no limit."),
	INT("limits.handshakes", max_handshakes, 0, 2000, 0, 1000000,
	    "TLS handshakes of one worker that may be in progress; the oldest gives way to one more; 0: no limit."),
	INT("limits.user_rate", user_rate, 0, 50, 0, 1000000,
	    "Requests a second of one user, and of one client's connection; 0: no limit."),
	INT("limits.burst", burst, 0, 10, 0, 3600,
	    "Seconds: as many requests as the rate allows in this time may come at once."),
	INT("limits.user_requests", user_requests, 0, 500, 0, 1000000,
	    "Requests in flight of one client's connection; 0: no limit."),
	INT("limits.hop_queue", max_hop_queue, 0, 1000, 1, 1000000, "Requests that wait for one server to come up."),
	INT("limits.transactions", max_transactions, 0, 50000, 1, 1000000, "Requests in flight of one worker."),
	INT("limits.questions", max_questions, 0, 2000, 1, 100000,
	    "Requests of one worker that wait for an answer about a user."),
	INT("limits.message", max_message, 0, 65536, 4096, 1048576, "Bytes of a message."),
	INT("limits.credentials", max_credentials, 0, 16384, 8192, 16384,
	    "Bytes of Authorization in a REGISTER, which a Kerberos ticket with many groups makes long."),
	INT("limits.queue", max_queue, 0, 1024, 16, 1048576,
	    "KiB that may wait to be written to one server; a client may have a quarter of it."),
	INT("timers.proxy_header", proxy_header_time, 0, 5, 1, 60, "Seconds in which a load balancer's PROXY header must be there."),
	INT("timers.handshake", handshake_time, 0, 10, 1, 300, "Seconds that a TLS handshake may take."),
	INT("timers.first_message", first_message_time, 0, 30, 1, 3600,
	    "Seconds in which a client must send its first message."),
	INT("timers.message", message_time, 0, 30, 1, 3600, "Seconds in which a message that was begun must be whole."),
	INT("timers.signin", signin_time, 0, 60, 1, 3600, "Seconds in which a client must have signed in."),
	INT("timers.idle", idle_time, 0, 3600, 10, 86400,
	    "Seconds after which a client that sends nothing, not even keep-alives, is disconnected."),
	INT("timers.connect", connect_time, 0, 6, 1, 300,
	    "Seconds that looking up, connecting to and handshake with one server may take."),
	INT("timers.failover", failover_time, 0, 8, 1, 300,
	    "Seconds of silence after which the next server is tried, if there is one."),
	INT("timers.request", request_time, 0, 30, 1, 300,
	    "Seconds in which a request must have a final answer; a call must have rung by then."),
	INT("timers.drain", drain_time, CONF_RELOADS, 5, 0, 3600,
	    "Seconds that requests in flight are given when the Director is stopped."),
	INT("timers.hung", hung_time, 0, 30, 0, 3600,
	    "Seconds after which one of our processes that does not answer is killed and replaced, at least 4; 0: never."),
	{ NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, NULL }
};

/* --- checks beyond one option -------------------------------------------------------- */

struct checking {
	struct director_config	*c;
	struct conf_errors	*errs;
	const char		*file;
};

#define COMPLAIN(k, path, ...) \
	conf_error((k)->errs, file_of(k, path), conf_line_of((k)->errs, path), __VA_ARGS__)

/* Where an option stands; of one that is not there, where it should. */
static const char *
file_of(const struct checking *k, const char *path)
{
	const char *file = conf_file_of(k->errs, path);

	return file != NULL ? file : k->file;
}

/* Lower-case A-labels in place; false if it is no host name. */
static bool
canon(char *name)
{
	char out[DOMAIN_MAX];
	struct span result;
	bool is_ip = false;

	if (policy_domain_canon(span_str(name), out, &result, &is_ip) != SP_OK || is_ip || result.n > strlen(name))
		return false;
	memcpy(name, result.p, result.n);
	name[result.n] = '\0';
	return true;
}

static void
check_names(struct checking *k)
{
	if (!canon(k->c->name))
		COMPLAIN(k, "name", "name: '%s' is not a host name in A-label form", k->c->name);
	for (size_t i = 0; i < k->c->domains.n; i++)
		if (!canon(k->c->domains.v[i].s))
			conf_error(k->errs, file_of(k, "domains"), k->c->domains.v[i].line,
			    "domains: '%s' is not a domain in A-label form", k->c->domains.v[i].s);
	for (size_t i = 0; i < k->c->servers.n; i++)
		if (!canon(k->c->servers.v[i].s))
			conf_error(k->errs, file_of(k, "servers"), k->c->servers.v[i].line,
			    "servers: '%s' is not a host name in A-label form", k->c->servers.v[i].s);
	for (size_t i = 0; i < k->c->public_im.n; i++)
		if (!canon(k->c->public_im.v[i].s))
			conf_error(k->errs, file_of(k, "public_im"), k->c->public_im.v[i].line,
			    "public_im: '%s' is not a domain in A-label form", k->c->public_im.v[i].s);
}

static void
check_doors(struct checking *k)
{
	bool servers = false;
	char path[64];

	if (k->c->doors.n > DIRECTOR_DOORS_MAX)
		COMPLAIN(k, "doors", "doors: at most %d are possible", DIRECTOR_DOORS_MAX);
	for (size_t i = 0; i < k->c->doors.n; i++) {
		struct director_door *d = &((struct director_door *)k->c->doors.v)[i];

		snprintf(path, sizeof(path), "doors[%zu].listen", i);
		if (net_addr_parse(&d->addr, span_str(d->listen), 0) != SP_OK)
			COMPLAIN(k, path, "%s: expects ADDRESS:PORT, as in \"192.0.2.20:5061\"", path);
		else if (net_addr_is_any(&d->addr))
			COMPLAIN(k, path, "%s: expects the address of one interface; this one means all of them", path);
		for (size_t j = 0; j < d->balancers.n; j++)
			if (net_prefix_parse(&(struct net_prefix){ .bits = 0 }, span_str(d->balancers.v[j].s)) != SP_OK)
				conf_error(k->errs, file_of(k, path), d->balancers.v[j].line,
				    "doors[%zu].balancers: expects an IP address, or a network as address/bits", i);
		if ((d->certificate != NULL) != (d->key != NULL)) {
			snprintf(path, sizeof(path), "doors[%zu].%s", i, d->key != NULL ? "key" : "certificate");
			COMPLAIN(k, path, "%s: certificate and key are given together or not at all", path);
		}
		servers |= d->admits != DOOR_CLIENTS;
	}
	if (!servers && k->c->doors.n != 0)
		COMPLAIN(k, "doors", "doors: none of them admits servers, so no edge and no pool could connect");
}

/* Where one is; list and i name it. */
static void
check_server(struct checking *k, const char *list, size_t i, const char *name_option, struct director_server *s)
{
	struct net_addr addr;
	char path[64];

	snprintf(path, sizeof(path), "%s[%zu].%s", list, i, name_option);
	if (!canon(s->name))
		COMPLAIN(k, path, "%s: '%s' is not a host name in A-label form", path, s->name);
	snprintf(path, sizeof(path), "%s[%zu].address", list, i);
	for (size_t j = 0; j < s->addresses.n; j++)
		if (net_addr_parse(&addr, span_str(s->addresses.v[j].s), 5061) != SP_OK)
			COMPLAIN(k, path, "%s: expects an IP address", path);
	snprintf(path, sizeof(path), "%s[%zu].srv", list, i);
	if (s->srv != NULL && s->addresses.n != 0)
		COMPLAIN(k, path, "%s: is not possible together with an address", path);
	if (s->srv != NULL && (s->srv[0] != '_' || strpbrk(s->srv, " /:@") != NULL))
		COMPLAIN(k, path, "%s: expects the name of SRV records, as in \"_sips._tcp.pool.example.com\"", path);
}

static void
check_servers(struct checking *k, const char *list, struct conf_groups *g)
{
	char path[64];

	for (size_t i = 0; i < g->n; i++) {
		struct director_server *s = &((struct director_server *)g->v)[i];

		check_server(k, list, i, "name", s);
		snprintf(path, sizeof(path), "%s[%zu].name", list, i);
		for (size_t j = 0; j < i; j++)
			if (strcmp(s->name, ((struct director_server *)g->v)[j].name) == 0)
				COMPLAIN(k, path, "%s: '%s' is there already, in line %d", path, s->name, g->line[j]);
	}
}

static void
check_routes(struct checking *k)
{
	char path[64], text[ROUTE_TEXT_MAX];
	struct strbuf sb;

	for (size_t i = 0; i < k->c->routes.n; i++) {
		struct director_route *r = &((struct director_route *)k->c->routes.v)[i];

		check_server(k, "routes", i, "server", &r->to);
		snprintf(path, sizeof(path), "routes[%zu].match", i);
		strbuf_init(&sb, text, sizeof(text));
		if (!route_pattern(&sb, span_str(r->match))) {
			COMPLAIN(k, path, "%s: expects a pattern, as in \"sip:+1*@example.com\"", path);
			continue;
		}
		free(r->match);
		r->match = xstrdup(text);
		for (size_t j = 0; j < i; j++)
			if (strcmp(text, director_route(k->c, j)->match) == 0)
				COMPLAIN(k, path, "%s: %s is there already, in line %d", path, text, k->c->routes.line[j]);
		if (director_edge_named(k->c, span_str(r->to.name)) >= 0)
			conf_error(k->errs, file_of(k, "routes"), k->c->routes.line[i],
			    "routes[%zu]: '%s' is an edge already", i, r->to.name);
	}
}

/* One name cannot be two things: its marks would be believed in one role and not in the other. */
static void
check_roles(struct checking *k)
{
	const struct director_config *c = k->c;

	for (size_t i = 0; i < c->pools.n; i++) {
		int edge = director_edge_named(c, span_str(director_pool(c, i)->name));

		if (edge >= 0)
			conf_error(k->errs, file_of(k, "pools"), c->pools.line[i],
			    "pools[%zu]: '%s' is an edge already, in line %d", i, director_pool(c, i)->name,
			    c->edges.line[edge]);
	}
	for (size_t i = 0; i < c->servers.n; i++) {
		struct span name = span_str(c->servers.v[i].s);

		if (director_edge_named(c, name) >= 0 || director_pool_named(c, name) >= 0)
			conf_error(k->errs, file_of(k, "servers"), c->servers.v[i].line,
			    "servers: '%s' is an edge or a pool already", c->servers.v[i].s);
	}
	if (c->pools.n == 0)
		COMPLAIN(k, "pools", "pools: at least one is needed, since users live in pools");
	if (c->edges.n + c->pools.n + c->servers.n + c->routes.n > DIRECTOR_SERVERS_MAX)
		COMPLAIN(k, "pools", "edges, pools, routes and servers: at most %d in all", DIRECTOR_SERVERS_MAX);
}

/* Words to bits; all of them when there is none and no other list stands for it. */
static unsigned
offer_of(struct checking *k, const char *path, const struct conf_strs *words, unsigned otherwise)
{
	unsigned offer = 0;

	for (size_t i = 0; i < words->n; i++) {
		if (strcasecmp(words->v[i].s, "ntlm") == 0)
			offer |= OFFER_NTLM;
		else if (strcasecmp(words->v[i].s, "digest") == 0)
			offer |= OFFER_DIGEST;
		else if (strcasecmp(words->v[i].s, "kerberos") == 0 && k->c->auth_keytab != NULL)
			offer |= OFFER_KERBEROS;
		else if (strcasecmp(words->v[i].s, "kerberos") == 0)
			conf_error(k->errs, file_of(k, path), words->v[i].line, "%s: kerberos needs auth.keytab", path);
		else
			conf_error(k->errs, file_of(k, path), words->v[i].line, "%s: expects \"kerberos\", \"ntlm\" or \"digest\"",
			    path);
	}
	return words->n == 0 ? otherwise : offer;
}

static void
check_offers(struct checking *k)
{
	struct director_config *c = k->c;
	unsigned all = offer_of(k, "auth.offer", &c->auth_offers,
	    OFFER_NTLM | OFFER_DIGEST | (c->auth_keytab != NULL ? OFFER_KERBEROS : 0));
	char path[64];

	c->offer_remote = offer_of(k, "auth.offer_remote", &c->auth_offers_remote, all);
	for (size_t i = 0; i < c->doors.n; i++) {
		struct director_door *d = &((struct director_door *)c->doors.v)[i];

		snprintf(path, sizeof(path), "doors[%zu].offer", i);
		d->offer = offer_of(k, path, &d->offers, all);
	}
}

/* A text that stands between quotes in headers. */
static void
check_quotable(struct checking *k, const char *path, const char *text)
{
	for (const char *p = text; p != NULL && *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '"' || *p == '\\') {
			COMPLAIN(k, path, "%s: quotes, backslashes and control characters are not possible", path);
			break;
		}
	if (text != NULL && strlen(text) >= USER_NAME_MAX)
		COMPLAIN(k, path, "%s: is too long", path);
}

static void
check_netbios(struct checking *k, const char *path, const char *name)
{
	if (name != NULL && (strlen(name) > 15 || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_") != strlen(name)))
		COMPLAIN(k, path, "%s: '%s' is not a NetBIOS name: at most 15 letters, digits, '-' and '_'", path, name);
}

/* Accounts of a Windows domain need addresses. */
static void
check_winbind(struct checking *k)
{
	const struct director_config *c = k->c;

	for (size_t i = 0; i < c->ntlm_domains.n; i++)
		if (!ticket_realm_is_valid(c->ntlm_domains.v[i].s))
			conf_error(k->errs, file_of(k, "ntlm.domains"), c->ntlm_domains.v[i].line,
			    "ntlm.domains: expects DOMAIN=sip-domain, as in \"CORP=example.com\"");
	if (c->ntlm_accounts == NTLM_BY_WINBIND && c->ntlm_domains.n == 0 && c->directory.logins.n == 0)
		COMPLAIN(k, "ntlm.accounts", "ntlm.domains: it or ldap.logins is needed, since ntlm.accounts is \"winbind\"");
	if (c->ntlm_accounts == NTLM_BY_FILE && c->ntlm_domains.n != 0)
		COMPLAIN(k, "ntlm.domains", "ntlm.domains: has no meaning while ntlm.accounts is \"file\"");
}

/* Who waits for authd must hear which of those that it asks has failed; it may ask them one after the other. */
static void
check_waiting(struct checking *k)
{
	const struct director_config *c = k->c;
	int winbind = c->ntlm_accounts == NTLM_BY_WINBIND ? c->winbind.timeout : 0;
	int directory = c->directory.homes != HOMES_FILE ? c->directory.timeout : 0;

	if (winbind != 0 && winbind >= c->auth_timeout)
		COMPLAIN(k, "winbind.timeout", "winbind.timeout: must be less than auth.timeout, or nobody waits for its end");
	else if (directory != 0 && directory >= c->auth_timeout)
		COMPLAIN(k, "directory.timeout", "directory.timeout: must be less than auth.timeout, or nobody waits for its end");
	else if (winbind + directory != 0 && winbind + directory >= c->auth_timeout)
		COMPLAIN(k, "auth.timeout", "auth.timeout: must be more than winbind.timeout and directory.timeout together, "
		    "%d: one is waited for after the other", winbind + directory);
}

static void
check_hung(struct checking *k)
{
	if (k->c->hung_time != 0 && k->c->hung_time < MASTER_HUNG_MIN_S)
		COMPLAIN(k, "timers.hung", "timers.hung: expects 0, or at least %d seconds", MASTER_HUNG_MIN_S);
}

static void
check_realms(struct checking *k)
{
	const struct conf_strs *realms = &k->c->kerberos_realms;

	for (size_t i = 0; i < realms->n; i++)
		if (!ticket_realm_is_valid(realms->v[i].s))
			conf_error(k->errs, file_of(k, "auth.kerberos_realms"), realms->v[i].line,
			    "auth.kerberos_realms: expects REALM=domain, as in \"EXAMPLE.COM=example.com\"");
}

static void
check_auth(struct checking *k)
{
	struct director_config *c = k->c;

	for (size_t i = 0; i < c->auth_digest.n; i++) {
		if (strcasecmp(c->auth_digest.v[i].s, "sha-256") == 0)
			c->offer_sha256 = true;
		else if (strcasecmp(c->auth_digest.v[i].s, "md5") == 0)
			c->offer_md5 = true;
		else
			conf_error(k->errs, file_of(k, "auth.digest"), c->auth_digest.v[i].line,
			    "auth.digest: expects \"sha-256\" or \"md5\"");
	}
	if (c->auth_digest.n == 0)
		c->offer_sha256 = c->offer_md5 = true;
	check_offers(k);
	check_quotable(k, "auth.realm", c->auth_realm);
	check_quotable(k, "sipae.realm", c->sipae_realm);
	check_netbios(k, "ntlm.domain", c->ntlm_domain);
	check_netbios(k, "ntlm.computer", c->ntlm_computer);
	check_winbind(k);
	check_waiting(k);
	check_hung(k);
	check_realms(k);
}

static void
check_dns(struct checking *k)
{
	struct net_addr addr;

	for (size_t i = 0; i < k->c->dns_servers.n; i++)
		if (net_addr_parse(&addr, span_str(k->c->dns_servers.v[i].s), 53) != SP_OK)
			conf_error(k->errs, file_of(k, "dns.servers"), k->c->dns_servers.v[i].line,
			    "dns.servers: expects IP addresses, with or without port");
}

static void
check_refused(struct checking *k)
{
	const struct conf_strs *list = &k->c->refused_certificates;

	k->c->refused = xcalloc(list->n + 1, sizeof(*k->c->refused));
	for (size_t i = 0; i < list->n; i++)
		if (!policy_read_fingerprint(list->v[i].s, k->c->refused[i]))
			conf_error(k->errs, conf_file_of(k->errs, "tls.refused"), list->v[i].line,
			    "tls.refused: expects SHA-256 fingerprints of 64 hexadecimal digits");
}

static void
complain_of_directory(void *arg, const char *path, const char *sentence)
{
	struct checking *k = arg;

	COMPLAIN(k, path, "%s: %s", path, sentence);
}

/* What is wrong, and what is made of the rest. */
static void
check_all(struct director_config *c, const char *file, struct conf_errors *errs)
{
	struct checking k = { c, errs, file };

	check_names(&k);
	check_doors(&k);
	check_servers(&k, "edges", &c->edges);
	check_servers(&k, "pools", &c->pools);
	check_routes(&k);
	check_roles(&k);
	check_auth(&k);
	check_dns(&k);
	check_refused(&k);
	dirconf_check(&c->directory, complain_of_directory, &k);
}

struct director_config *
director_config_read(const char *file, struct conf_errors *errs)
{
	struct director_config *c = xcalloc(1, sizeof(*c));

	c->refs = 1;
	if (conf_load(file, items, c, errs) == SP_OK)
		check_all(c, file, errs);
	return c;
}

void
director_config_pack(const struct director_config *c, FILE *f)
{
	conf_pack(items, c, f);
}

struct director_config *
director_config_unpack(struct span *rest)
{
	struct conf_errors *errs = conf_errors_new();
	struct director_config *c = xcalloc(1, sizeof(*c));

	c->refs = 1;
	if (conf_unpack(items, rest, c))
		check_all(c, "", errs);
	else
		conf_error(errs, NULL, 0, "cut");
	if (conf_errors_count(errs) != 0) {
		director_config_unref(c);
		c = NULL;
	}
	conf_errors_free(errs);
	return c;
}

struct director_config *
director_config_load(const char *file, struct conf_errors *errs)
{
	struct director_config *c = director_config_read(file, errs);

	if (conf_errors_count(errs) == 0)
		return c;
	director_config_unref(c);
	return NULL;
}

struct director_config *
director_config_ref(struct director_config *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void
director_config_unref(struct director_config *c)
{
	if (c == NULL || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	conf_unload(items, c);
	free(c->refused);
	free(c);
}

void
director_config_print_options(FILE *out)
{
	conf_print_options(items, out);
}

/* --- questions --------------------------------------------------------------------------- */

bool
director_is_ours(const struct director_config *c, struct span domain)
{
	for (size_t i = 0; i < c->domains.n; i++)
		if (span_iis(domain, c->domains.v[i].s))
			return true;
	return false;
}

bool
director_is_public_im(const struct director_config *c, struct span domain)
{
	for (size_t i = 0; i < c->public_im.n; i++)
		if (span_iis(domain, c->public_im.v[i].s))
			return true;
	return false;
}

int
director_route_for(const struct director_config *c, struct span text)
{
	size_t weight = 0;
	int best = -1;

	for (size_t i = 0; i < c->routes.n; i++) {
		struct span pattern = span_str(director_route(c, i)->match);

		if ((best < 0 || route_weight(pattern) > weight) && route_fits(pattern, text)) {
			weight = route_weight(pattern);
			best = (int)i;
		}
	}
	return best;
}

static int
named(const struct conf_groups *g, struct span name)
{
	for (size_t i = 0; i < g->n; i++)
		if (span_iis(name, ((const struct director_server *)g->v)[i].name))
			return (int)i;
	return -1;
}

int
director_pool_named(const struct director_config *c, struct span name)
{
	return named(&c->pools, name);
}

int
director_edge_named(const struct director_config *c, struct span name)
{
	return named(&c->edges, name);
}

enum server_kind
director_server_of(const struct director_config *c, const struct span *names, unsigned n, unsigned *index)
{
	enum server_kind kind = SERVER_NONE;

	*index = 0;
	for (unsigned i = 0; i < n && kind != SERVER_EDGE; i++) {
		int edge = director_edge_named(c, names[i]), pool = director_pool_named(c, names[i]);

		if (edge >= 0) {
			kind = SERVER_EDGE;
			*index = (unsigned)edge;
		} else if (pool >= 0 && kind != SERVER_POOL) {
			kind = SERVER_POOL;
			*index = (unsigned)pool;
		}
		for (size_t j = 0; kind != SERVER_EDGE && kind != SERVER_POOL && kind != SERVER_ROUTE && j < c->routes.n; j++)
			if (span_iis(names[i], director_route(c, j)->to.name)) {
				kind = SERVER_ROUTE;
				*index = (unsigned)j;
			}
		for (size_t j = 0; kind == SERVER_NONE && j < c->servers.n; j++)
			if (span_iis(names[i], c->servers.v[j].s)) {
				kind = SERVER_TRUSTED;
				*index = (unsigned)j;
			}
	}
	return kind;
}

bool
director_config_same_frame(const struct director_config *a, const struct director_config *b, const char **option)
{
	*option = conf_differs(items, a, b);
	return *option == NULL;
}
