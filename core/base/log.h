/* log.h: one line a message on stderr, for agent/ and hub/ only; core never logs.
 *
 * The sink is the one mutable global of the project (STYLE habit 17). Lines are logfmt-like:
 * "2026-11-25T19:00:00Z hub/keeper info: text". Each line is one write(2), so lines of
 * several processes do not mix. */
#ifndef TRIB_LOG_H
#define TRIB_LOG_H

#include "core/base/err.h"

enum trib_level { TRIB_LOG_ERROR, TRIB_LOG_WARN, TRIB_LOG_INFO, TRIB_LOG_DEBUG };

/* `who` must stay valid ("agent", "hub/worker"). Messages above `level` are dropped. */
void trib_log_open(const char *who, enum trib_level level);
/* Another name, the same level: for a process that was forked. */
void trib_log_as(const char *who);
void trib_log(enum trib_level level, const char *fmt, ...) TRIB_PRINTF(2, 3);

#endif
