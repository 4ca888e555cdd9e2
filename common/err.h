/*
 * common/err.h - how functions fail.
 *
 * A function that can fail returns int: SP_OK or one of these, all negative.
 * Questions return bool. Nothing is hidden in a global.
 */
#ifndef SALLYPORT_COMMON_ERR_H
#define SALLYPORT_COMMON_ERR_H

enum sp_err {
	SP_OK		= 0,
	SP_EINVAL	= -1,	/* the caller's or the file's value is wrong */
	SP_ENOENT	= -2,	/* it is not there */
	SP_EIO		= -3,	/* the system refused; errno says why where noted */
	SP_ELIMIT	= -4,	/* a named limit is reached */
	SP_ESYNTAX	= -5,	/* bytes from outside do not follow their grammar */
	SP_ETLS		= -6,	/* OpenSSL refused */
	SP_ECERT	= -7,	/* a certificate or key does not do */
	SP_EDNS		= -8,	/* a name could not be resolved */
	SP_ECLOSED	= -9,	/* the far end or we closed it */
	SP_EAGAIN	= -10,	/* not now; a callback will say when */
	SP_EEXIST	= -11,	/* it is there already */
	SP_ETIME	= -12	/* a deadline passed */
};

/* A short English phrase; never NULL, also for numbers that are none of ours. */
const char *sp_err_name(int);

#endif
