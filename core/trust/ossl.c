#include <openssl/err.h>

#include "core/trust/ossl.h"

int trib_ossl_fail(struct trib_err *err, enum trib_code code, const char *what)
{
	unsigned long e = ERR_get_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	if (reason)
		return trib_fail(err, code, "%s: %s", what, reason);
	return trib_fail(err, code, "%s", what);
}
