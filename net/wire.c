/*
 * net/wire.c - the borrowed-buffer BIO.
 */
#include "net/wire.h"

#include <pthread.h>
#include <string.h>

static BIO_METHOD *method;

static int
wire_read(BIO *bio, char *to, size_t n, size_t *got)
{
	struct net_wire *w = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (w->nin == 0) {
		BIO_set_retry_read(bio);
		*got = 0;
		return 0;
	}
	if (n > w->nin)
		n = w->nin;
	memcpy(to, w->in, n);
	w->in += n;
	w->nin -= n;
	*got = n;
	return 1;
}

static int
wire_write(BIO *bio, const char *from, size_t n, size_t *put)
{
	struct net_wire *w = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n > sizeof(w->out) - w->nout)
		n = sizeof(w->out) - w->nout;
	if (n == 0) {
		BIO_set_retry_write(bio);
		*put = 0;
		return 0;
	}
	memcpy(w->out + w->nout, from, n);
	w->nout += n;
	*put = n;
	return 1;
}

static long
wire_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio, (void)num, (void)ptr;
	/* Flushing is sending, which the stream does. Everything else is not for us. */
	return cmd == BIO_CTRL_FLUSH;
}

static int
wire_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static void
make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");

	if (m != NULL && BIO_meth_set_read_ex(m, wire_read) == 1 && BIO_meth_set_write_ex(m, wire_write) == 1 &&
	    BIO_meth_set_ctrl(m, wire_ctrl) == 1 && BIO_meth_set_create(m, wire_create) == 1)
		method = m;
}

BIO *
net_wire_bio(struct net_wire *w)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, make_method);
	if (method == NULL || (bio = BIO_new(method)) == NULL)
		return NULL;
	BIO_set_data(bio, w);
	return bio;
}
