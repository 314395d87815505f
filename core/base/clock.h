/* clock.h: the wall clock and its one textual form.
 *
 * Times are seconds since 1970 UTC; text is RFC 3339 in UTC with seconds, "2026-11-25T19:00:00Z",
 * always 20 bytes. TRIBUTARY_CLOCK_OFFSET (signed seconds, environment) shifts the clock of one
 * process: tests of nights, expiry and clock lies use it (docs/TESTING.md). */
#ifndef TRIB_CLOCK_H
#define TRIB_CLOCK_H

#include "core/base/err.h"
#include "core/base/span.h"

#define TRIB_TIME_LEN 20
/* The city's time zone: days begin, dates end and people read in it. China has one zone and no summer time. */
#define TRIB_CITY_ZONE_S 28800

/* Seconds since 1970, shifted by TRIBUTARY_CLOCK_OFFSET. */
int64_t trib_now(void);
/* Has nothing newer come since `at` for longer than TRIB_FRESH_S? */
bool trib_stale(int64_t at, int64_t now);
/* Monotonic milliseconds, for deadlines; never shifted. */
int64_t trib_mono_ms(void);
/* Writes 20 bytes and a NUL. Years outside 0000-9999 are written as the nearest end. */
void trib_time_text(char ret[TRIB_TIME_LEN + 1], int64_t t);
/* For people: "2026-11-26 03:00" in the city's zone and a NUL. Never for machines: JSON and formats take trib_time_text. */
void trib_time_city(char ret[17], int64_t t);
/* Strict inverse of trib_time_text: exactly 20 bytes, a real calendar date. */
int trib_time_parse(struct trib_span s, int64_t *ret_t, struct trib_err *err) TRIB_MUST_CHECK;

#endif
