/*
 * net/tlsline.c - see tlsline.h.
 */
#include "net/tlsline.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

struct net_tlsline {
	struct net_addr	 to;
	char		*name;
	unsigned	 ms;
	uint64_t	 until;		/* of all that is under way; 0: none */
	SSL_CTX		*ctx;
	SSL		*ssl;
	int		 fd;
};

struct net_tlsline *
net_tlsline_new(const struct net_tlsline_spec *spec, const char **why)
{
	struct net_tlsline *l = xcalloc(1, sizeof(*l));

	*why = NULL;
	l->to = spec->to;
	l->name = xstrdup(spec->name);
	l->ms = spec->ms;
	l->fd = -1;
	if ((l->ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(l->ctx, TLS1_2_VERSION) != 1)
		*why = "no TLS";
	else if (SSL_CTX_load_verify_locations(l->ctx, spec->trust, NULL) != 1)
		*why = "the authorities cannot be read";
	else if (spec->certificate != NULL && (SSL_CTX_use_certificate_chain_file(l->ctx, spec->certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(l->ctx, spec->key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(l->ctx) != 1))
		*why = "our certificate or its key cannot be read";
	ERR_clear_error();
	if (*why != NULL) {
		net_tlsline_free(l);
		return NULL;
	}
	SSL_CTX_set_verify(l->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(l->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(l->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return l;
}

void
net_tlsline_free(struct net_tlsline *l)
{
	if (l == NULL)
		return;
	net_tlsline_close(l);
	SSL_CTX_free(l->ctx);
	free(l->name);
	free(l);
}

void
net_tlsline_close(struct net_tlsline *l)
{
	SSL_free(l->ssl);
	l->ssl = NULL;
	if (l->fd != -1)
		close(l->fd);
	l->fd = -1;
	ERR_clear_error();
}

bool
net_tlsline_is_open(const struct net_tlsline *l)
{
	return l->ssl != NULL;
}

void
net_tlsline_until(struct net_tlsline *l, uint64_t until)
{
	l->until = until;
}

/* When a call that begins now has to be over. */
static uint64_t
end_of(const struct net_tlsline *l)
{
	uint64_t end = clock_ms() + l->ms;

	return l->until != 0 && l->until < end ? l->until : end;
}

/* Until the socket is ready for that; false: not in time. */
static bool
wait_for(const struct net_tlsline *l, short events, uint64_t until)
{
	struct pollfd p = { l->fd, events, 0 };
	uint64_t now;

	while ((now = clock_ms()) < until) {
		int n = poll(&p, 1, (int)(until - now));

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
	return false;
}

/* What an operation that did not go through waits for. SP_OK: it may be tried again. */
static int
again(const struct net_tlsline *l, int r, uint64_t until)
{
	switch (SSL_get_error(l->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(l, POLLIN, until) ? SP_OK : SP_ETIME;
	case SSL_ERROR_WANT_WRITE:
		return wait_for(l, POLLOUT, until) ? SP_OK : SP_ETIME;
	default:
		return SP_ECLOSED;
	}
}

static int
connect_to(struct net_tlsline *l, uint64_t until)
{
	socklen_t len = sizeof(int);
	int error = 0, one = 1;

	l->fd = socket(l->to.ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd == -1)
		return SP_EIO;
	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(l->fd, (const struct sockaddr *)&l->to.ss, l->to.len) == 0)
		return SP_OK;
	if (errno != EINPROGRESS)
		return SP_EIO;
	if (!wait_for(l, POLLOUT, until))
		return SP_ETIME;
	return getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 ? SP_OK : SP_EIO;
}

/* As net/verify.c has it for SIP: the name in the SAN, in full, and never the CN. */
static bool
expect_name(struct net_tlsline *l)
{
	SSL_set_hostflags(l->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	    X509_CHECK_FLAG_NO_WILDCARDS);
	return SSL_set1_host(l->ssl, l->name) == 1 && SSL_set_tlsext_host_name(l->ssl, l->name) == 1;
}

int
net_tlsline_open(struct net_tlsline *l, const char **why)
{
	uint64_t until = end_of(l);
	int err, r;

	*why = "connection refused or not possible";
	net_tlsline_close(l);
	if ((err = connect_to(l, until)) != SP_OK) {
		if (err == SP_ETIME)
			*why = "connecting took too long";
	} else if ((l->ssl = SSL_new(l->ctx)) == NULL || SSL_set_fd(l->ssl, l->fd) != 1 || !expect_name(l)) {
		*why = "no TLS";
		err = SP_ETLS;
	} else {
		do {
			ERR_clear_error();
			if ((r = SSL_connect(l->ssl)) == 1)
				return SP_OK;
		} while ((err = again(l, r, until)) == SP_OK);
		if (err == SP_ETIME) {
			*why = "the TLS handshake took too long";
		} else {
			*why = SSL_get_verify_result(l->ssl) != X509_V_OK ?
			    X509_verify_cert_error_string(SSL_get_verify_result(l->ssl)) : "the TLS handshake failed";
			err = SP_ETLS;
		}
	}
	net_tlsline_close(l);
	return err;
}

int
net_tlsline_write(struct net_tlsline *l, const void *p, size_t n)
{
	uint64_t until = end_of(l);
	size_t done = 0, k;
	int err;

	if (l->ssl == NULL)
		return SP_ECLOSED;
	while (done < n) {
		ERR_clear_error();
		if (SSL_write_ex(l->ssl, (const char *)p + done, n - done, &k) == 1)
			done += k;
		else if ((err = again(l, 0, until)) != SP_OK)
			return err;
	}
	return SP_OK;
}

int
net_tlsline_read(struct net_tlsline *l, void *p, size_t max, size_t *n)
{
	uint64_t until = end_of(l);
	int err;

	*n = 0;
	if (l->ssl == NULL)
		return SP_ECLOSED;
	for (;;) {
		/* what is there already counts as late, too */
		if (clock_ms() >= until)
			return SP_ETIME;
		ERR_clear_error();
		if (SSL_read_ex(l->ssl, p, max, n) == 1)
			return SP_OK;
		if ((err = again(l, 0, until)) != SP_OK)
			return err;
	}
}
