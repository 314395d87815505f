#include "core/base/clock.h"

#include <errno.h>
#include <time.h>

#include "core/base/limits.h"

int64_t trib_now(void)
{
	int64_t t = (int64_t)time(NULL);
	const char *shift = getenv("TRIBUTARY_CLOCK_OFFSET");
	if (shift) {
		char *end;
		errno = 0;
		long long by = strtoll(shift, &end, 10);
		if (!errno && *end == '\0' && end != shift && by > -4000000000LL && by < 4000000000LL)
			t += by;
	}
	return t;
}

bool trib_stale(int64_t at, int64_t now) { return now - at > TRIB_FRESH_S; }

int64_t trib_mono_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void trib_time_text(char ret[TRIB_TIME_LEN + 1], int64_t t)
{
	const int64_t first = -62167219200LL, last = 253402300799LL;
	time_t tt = (time_t)(t < first ? first : t > last ? last : t);
	struct tm tm;
	gmtime_r(&tt, &tm);
	unsigned year = (unsigned)(tm.tm_year + 1900) % 10000;
	char all[64];
	(void)snprintf(all, sizeof(all), "%04u-%02u-%02uT%02u:%02u:%02uZ", year, (unsigned)(tm.tm_mon + 1) % 100,
		       (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		       (unsigned)tm.tm_sec % 100);
	memcpy(ret, all, TRIB_TIME_LEN);
	ret[TRIB_TIME_LEN] = '\0';
}

void trib_time_city(char ret[17], int64_t t)
{
	char text[TRIB_TIME_LEN + 1];
	trib_time_text(text, t + TRIB_CITY_ZONE_S);
	text[10] = ' ';
	text[16] = '\0';
	memcpy(ret, text, 17);
}

static bool two(const uint8_t *p, int *ret)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*ret = (p[0] - '0') * 10 + (p[1] - '0');
	return true;
}

int trib_time_parse(struct trib_span s, int64_t *ret_t, struct trib_err *err)
{
	int c, y, mo, d, h, mi, se;
	if (s.n != TRIB_TIME_LEN || !two(s.p, &c) || !two(s.p + 2, &y) || s.p[4] != '-' || !two(s.p + 5, &mo) ||
	    s.p[7] != '-' || !two(s.p + 8, &d) || s.p[10] != 'T' || !two(s.p + 11, &h) || s.p[13] != ':' ||
	    !two(s.p + 14, &mi) || s.p[16] != ':' || !two(s.p + 17, &se) || s.p[19] != 'Z')
		return trib_fail(err, TRIB_E_FORMAT, "time is not YYYY-MM-DDThh:mm:ssZ");
	struct tm tm = {.tm_year = c * 100 + y - 1900, .tm_mon = mo - 1, .tm_mday = d, .tm_hour = h, .tm_min = mi, .tm_sec = se};
	int64_t t = (int64_t)timegm(&tm);
	char again[TRIB_TIME_LEN + 1];
	trib_time_text(again, t);
	if (memcmp(again, s.p, TRIB_TIME_LEN) != 0)
		return trib_fail(err, TRIB_E_FORMAT, "time %.*s is not in the calendar", TRIB_TIME_LEN, (const char *)s.p);
	*ret_t = t;
	return 0;
}
