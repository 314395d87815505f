#include "core/base/log.h"

#include <stdarg.h>

#include "core/base/clock.h"

static const char *log_who = "tributary";
static enum trib_level log_level = TRIB_LOG_WARN;

void trib_log_open(const char *who, enum trib_level level)
{
	log_who = who;
	log_level = level;
}

void trib_log_as(const char *who) { log_who = who; }

void trib_log(enum trib_level level, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	if (level > log_level)
		return;
	char line[TRIB_ERR_MSG + 256], when[TRIB_TIME_LEN + 1];
	trib_time_text(when, trib_now());
	int n = snprintf(line, sizeof(line), "%s %s %s: ", when, log_who, names[level]);
	size_t len = n > 0 && (size_t)n < sizeof(line) ? (size_t)n : 0;
	va_list ap;
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = ' ';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}
