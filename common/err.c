/*
 * common/err.c - the phrases of enum sp_err.
 */
#include "common/err.h"

const char *
sp_err_name(int err)
{
	switch ((enum sp_err)err) {
	case SP_OK:
		return "no error";
	case SP_EINVAL:
		return "invalid value";
	case SP_ENOENT:
		return "not found";
	case SP_EIO:
		return "refused by the system";
	case SP_ELIMIT:
		return "limit reached";
	case SP_ESYNTAX:
		return "malformed";
	case SP_ETLS:
		return "TLS error";
	case SP_ECERT:
		return "certificate or key not usable";
	case SP_EDNS:
		return "name not resolved";
	case SP_ECLOSED:
		return "closed";
	case SP_EAGAIN:
		return "not yet";
	case SP_EEXIST:
		return "exists already";
	case SP_ETIME:
		return "timed out";
	}
	return "unknown error";
}
