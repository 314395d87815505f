#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>

static const struct {
	const char *name;
	int status;
} codes[] = {
#define X(code, exit_status, wire) [code] = {wire, exit_status},
	TRIB_CODES(X)
#undef X
};

static void __attribute__((format(printf, 3, 0))) set_msg(struct trib_err *err, enum trib_code code, const char *fmt, va_list ap)
{
	err->code = code;
	if (vsnprintf(err->msg, sizeof(err->msg), fmt, ap) < 0)
		err->msg[0] = '\0';
}

int trib_fail(struct trib_err *err, enum trib_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_msg(err, code, fmt, ap);
	va_end(ap);
	return -1;
}

int trib_fail_errno(struct trib_err *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	set_msg(err, saved == ENOSPC || saved == EDQUOT			     ? TRIB_E_NO_SPACE :
			     saved == ENOMEM					     ? TRIB_E_NOMEM :
			     saved == EMFILE || saved == ENFILE || saved == EAGAIN ? TRIB_E_BUSY :
										     TRIB_E_IO,
		fmt, ap);
	va_end(ap);
	size_t len = strlen(err->msg);
	char text[128];
	const char *why = strerror_r(saved, text, sizeof(text));
	(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", why);
	errno = saved;
	return -1;
}

bool trib_passing(enum trib_code code)
{
	return code == TRIB_E_BUSY || code == TRIB_E_NO_SPACE || code == TRIB_E_NOMEM || code == TRIB_E_LOCKED || code == TRIB_E_DB;
}

int trib_ctx(struct trib_err *err, const char *fmt, ...)
{
	char old[TRIB_ERR_MSG];
	memcpy(old, err->msg, sizeof(old));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	size_t len = (size_t)n < sizeof(err->msg) ? (size_t)n : sizeof(err->msg) - 1;
	size_t room = sizeof(err->msg) - len;
	if (room > 2) {
		err->msg[len++] = ':';
		err->msg[len++] = ' ';
		room -= 2;
	}
	size_t keep = strnlen(old, sizeof(old));
	if (keep > room - 1)
		keep = room - 1;
	memcpy(err->msg + len, old, keep);
	err->msg[len + keep] = '\0';
	return -1;
}

int trib_exit_status(enum trib_code code)
{
	return (unsigned)code < TRIB_CODE_COUNT ? codes[code].status : 1;
}

const char *trib_code_name(enum trib_code code)
{
	return (unsigned)code < TRIB_CODE_COUNT ? codes[code].name : "failed";
}

enum trib_code trib_code_from_name(const char *name, size_t n)
{
	for (unsigned i = 0; i < TRIB_CODE_COUNT; i++)
		if (strlen(codes[i].name) == n && memcmp(codes[i].name, name, n) == 0)
			return (enum trib_code)i;
	return TRIB_E_FAILED;
}
