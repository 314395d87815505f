/* A moment, named by people, becomes a commit that completes a group. */
#include "core/replay/replay.h"

#include "core/base/clock.h"

#define CHAIN_MAX ((size_t)16 * 1024 * 1024)
#define DAY 86400
#define PREFIX_MIN 4 /* hex digits, as git */

struct point {
	uint8_t oid[TRIB_OID_LEN];
	uint64_t seq, part, parts;
	int64_t captured_at;
	size_t end; /* index of the last commit of its group; SIZE_MAX: void, or not complete */
};

struct points {
	struct point *p;
	size_t n;
	int64_t now;
	int tz;
};

/* ---- reading the chain ---- */

static int read_point(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], struct point *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	char hex[TRIB_OID_HEX + 1];

	trib_hex(hex, oid, TRIB_OID_LEN);
	if (trib_commit_read(repo, oid, &c, err) < 0 || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err) < 0)
		return trib_ctx(err, "reading commit %.12s", hex);
	*ret = (struct point){.seq = m.seq, .part = m.part, .parts = m.parts, .captured_at = m.captured_at, .end = SIZE_MAX};
	memcpy(ret->oid, oid, TRIB_OID_LEN);
	return 0;
}

/* A group is complete when its parts stand one after the other up to m/m (D5.1). */
static void find_groups(struct points *ps)
{
	size_t start = 0;

	for (size_t i = 0; i < ps->n; i++) {
		if (ps->p[i].part == 1)
			start = i;
		if (ps->p[i].part != ps->p[i].parts || i - start + 1 != ps->p[i].parts)
			continue;
		for (size_t k = start; k <= i; k++)
			ps->p[k].end = i;
	}
}

static int read_points(struct trib_repo *repo, const char *ref, struct points *ps, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t (*oids)[TRIB_OID_LEN] = NULL;
	uint8_t tip[TRIB_OID_LEN];

	if (trib_repo_ref(repo, ref, tip, err) < 0 || trib_repo_chain(repo, tip, NULL, CHAIN_MAX, &oids, &ps->n, err) < 0)
		return -1;
	ps->p = calloc(ps->n ? ps->n : 1, sizeof(*ps->p));
	if (!ps->p)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for %zu commits", ps->n);
	for (size_t i = 0; i < ps->n; i++)
		if (read_point(repo, oids[i], &ps->p[i], err) < 0)
			return -1;
	find_groups(ps);
	return 0;
}

/* ---- words ---- */

/* Takes 1 to 12 digits. */
static bool take_number(struct trib_span *s, int64_t *ret)
{
	size_t n = 0;
	int64_t v = 0;

	while (n < s->n && n < 12 && s->p[n] >= '0' && s->p[n] <= '9')
		v = v * 10 + (s->p[n++] - '0');
	if (n == 0)
		return false;
	*s = trib_span(s->p + n, s->n - n);
	*ret = v;
	return true;
}

/* "DDDD-DD-DD" at the beginning: midnight UTC of that date. */
static bool take_date(struct trib_span *s, int64_t *ret)
{
	char text[TRIB_TIME_LEN + 1];
	struct trib_err ignored;

	if (s->n < 10)
		return false;
	snprintf(text, sizeof(text), "%.10sT00:00:00Z", (const char *)s->p);
	if (trib_time_parse(trib_span(text, TRIB_TIME_LEN), ret, &ignored) < 0)
		return false;
	*s = trib_span(s->p + 10, s->n - 10);
	return true;
}

static bool two_digits(struct trib_span *s, int max, int *ret)
{
	if (s->n < 2 || s->p[0] < '0' || s->p[0] > '9' || s->p[1] < '0' || s->p[1] > '9')
		return false;
	*ret = (s->p[0] - '0') * 10 + (s->p[1] - '0');
	*s = trib_span(s->p + 2, s->n - 2);
	return *ret <= max;
}

static bool take_char(struct trib_span *s, const char *any)
{
	if (s->n == 0 || !s->p[0] || !strchr(any, s->p[0]))
		return false;
	*s = trib_span(s->p + 1, s->n - 1);
	return true;
}

/* "Z", "+08:00" or nothing (the city's own zone). */
static bool take_zone(struct trib_span *s, int tz, int *ret)
{
	bool minus = s->n && s->p[0] == '-';
	int h = 0, m = 0;

	if (s->n == 0) {
		*ret = tz;
		return true;
	}
	if (take_char(s, "Zz")) {
		*ret = 0;
		return s->n == 0;
	}
	if (!take_char(s, "+-") || !two_digits(s, 23, &h) || !take_char(s, ":") || !two_digits(s, 59, &m) || s->n)
		return false;
	*ret = (h * 3600 + m * 60) * (minus ? -1 : 1);
	return true;
}

/* A date means its last second; "2026-11-25T19:00", with or without seconds, fraction and zone, means that instant. */
static bool parse_instant(struct trib_span s, int tz, int64_t *ret)
{
	int h = 0, m = 0, sec = 0, zone = 0;
	int64_t day;

	if (!take_date(&s, &day))
		return false;
	if (s.n == 0) {
		*ret = day + DAY - 1 - tz;
		return true;
	}
	if (!take_char(&s, "Tt ") || !two_digits(&s, 23, &h) || !take_char(&s, ":") || !two_digits(&s, 59, &m))
		return false;
	if (take_char(&s, ":")) {
		int64_t fraction;

		if (!two_digits(&s, 60, &sec) || (take_char(&s, ".") && !take_number(&s, &fraction)))
			return false;
	}
	if (!take_zone(&s, tz, &zone))
		return false;
	*ret = day + h * 3600 + m * 60 + sec - zone;
	return true;
}

/* "3 days ago". */
static bool parse_ago(struct trib_span s, int64_t now, int64_t *ret)
{
	static const struct { const char *one, *many; int64_t seconds; } units[] = {
		{" second ago", " seconds ago", 1},  {" minute ago", " minutes ago", 60},      {" hour ago", " hours ago", 3600},
		{" day ago", " days ago", DAY},      {" week ago", " weeks ago", (int64_t)7 * DAY},
	};
	int64_t n;

	if (!take_number(&s, &n))
		return false;
	for (size_t i = 0; i < TRIB_COUNT(units); i++) {
		if (trib_span_is(s, units[i].one) || trib_span_is(s, units[i].many)) {
			*ret = now - n * units[i].seconds;
			return true;
		}
	}
	return false;
}

/* ---- choosing ---- */

static int no_group(const struct point *p, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_NOT_FOUND, "#%llu is part %llu/%llu of a group that was never completed; name a commit before or after it",
			 (unsigned long long)p->seq, (unsigned long long)p->part, (unsigned long long)p->parts);
}

static int at_index(const struct points *ps, size_t i, size_t *ret, struct trib_err *err)
{
	if (ps->p[i].end == SIZE_MAX)
		return no_group(&ps->p[i], err);
	*ret = ps->p[i].end;
	return 0;
}

/* HEAD~n: n complete groups back. */
static int at_head(const struct points *ps, int64_t back, size_t *ret, struct trib_err *err)
{
	int64_t groups = 0;

	for (size_t i = ps->n; i-- > 0;) {
		if (ps->p[i].end != i)
			continue;
		if (groups++ == back) {
			*ret = i;
			return 0;
		}
	}
	return trib_fail(err, TRIB_E_NOT_FOUND, "this history has %lld complete moments, HEAD~%lld is before the first", (long long)groups,
			 (long long)back);
}

/* The last group in chain order that was captured by then: a clock that once ran ahead hides nothing that came after it was mended. */
static int at_time(const struct points *ps, int64_t t, size_t *ret, struct trib_err *err)
{
	char text[TRIB_TIME_LEN + 1], first[TRIB_TIME_LEN + 1];
	bool any = false;
	size_t oldest = 0;

	for (size_t i = ps->n; i-- > 0;) {
		if (ps->p[i].end != i)
			continue;
		if (ps->p[i].captured_at <= t) {
			*ret = i;
			return 0;
		}
		any = true;
		oldest = i;
	}
	trib_time_text(text, t);
	if (!any)
		return trib_fail(err, TRIB_E_NOT_FOUND, "this history has no complete commit yet");
	trib_time_text(first, ps->p[oldest].captured_at);
	return trib_fail(err, TRIB_E_NOT_FOUND, "nothing was captured by %s; the history begins at %s", text, first);
}

static int at_seq(const struct points *ps, int64_t seq, size_t *ret, struct trib_err *err)
{
	for (size_t i = 0; i < ps->n; i++)
		if (ps->p[i].seq == (uint64_t)seq)
			return at_index(ps, i, ret, err);
	return trib_fail(err, TRIB_E_NOT_FOUND, "there is no #%lld; the history ends with #%llu", (long long)seq,
			 (unsigned long long)(ps->n ? ps->p[ps->n - 1].seq : 0));
}

static int at_prefix(const struct points *ps, struct trib_span prefix, size_t *ret, struct trib_err *err)
{
	size_t found = SIZE_MAX;

	for (size_t i = 0; i < ps->n; i++) {
		char hex[TRIB_OID_HEX + 1];

		trib_hex(hex, ps->p[i].oid, TRIB_OID_LEN);
		if (strncmp(hex, (const char *)prefix.p, prefix.n) != 0)
			continue;
		if (found != SIZE_MAX)
			return trib_fail(err, TRIB_E_USAGE, "%.*s is the beginning of several commits; give more digits", (int)prefix.n,
					 (const char *)prefix.p);
		found = i;
	}
	if (found == SIZE_MAX)
		return trib_fail(err, TRIB_E_NOT_FOUND, "no commit of this history begins with %.*s", (int)prefix.n, (const char *)prefix.p);
	return at_index(ps, found, ret, err);
}

static bool is_prefix(struct trib_span s)
{
	if (s.n < PREFIX_MIN || s.n > TRIB_OID_HEX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

static int choose(const struct points *ps, struct trib_span w, size_t *ret, struct trib_err *err)
{
	struct trib_span rest = w;
	int64_t v = 0;

	if (trib_span_is(w, "HEAD") || trib_span_is(w, "latest"))
		return at_head(ps, 0, ret, err);
	if (trib_span_starts(w, "HEAD~")) {
		rest = trib_span(w.p + 5, w.n - 5);
		if (take_number(&rest, &v) && rest.n == 0)
			return at_head(ps, v, ret, err);
	} else if (trib_span_starts(w, "#")) {
		rest = trib_span(w.p + 1, w.n - 1);
		if (take_number(&rest, &v) && rest.n == 0)
			return at_seq(ps, v, ret, err);
	} else if (parse_ago(w, ps->now, &v) || parse_instant(w, ps->tz, &v)) {
		return at_time(ps, v, ret, err);
	} else if (is_prefix(w)) {
		return at_prefix(ps, w, ret, err);
	}
	return trib_fail(err, TRIB_E_USAGE,
			 "\"%.*s\" names no moment; use a date, 2026-11-25T19:00:00Z, \"3 days ago\", HEAD, HEAD~2, #12, a hash or latest",
			 w.n > 60 ? 60 : (int)w.n, (const char *)w.p);
}

static int echo(const struct point *p, struct trib_buf *ret, struct trib_err *err)
{
	char hex[TRIB_OID_HEX + 1], time[TRIB_TIME_LEN + 1];

	trib_hex(hex, p->oid, TRIB_OID_LEN);
	trib_time_text(time, p->captured_at);
	trib_buf_printf(ret, "commit %.12s #%llu of %s", hex, (unsigned long long)p->seq, time);
	return trib_buf_check(ret, "name of the moment", err);
}

int trib_history_at(struct trib_repo *repo, const char *ref, const char *when, int64_t now, int tz_offset_s, uint8_t ret_oid[TRIB_OID_LEN],
		    struct trib_buf *ret_text, struct trib_err *err)
{
	struct points ps = {.now = now, .tz = tz_offset_s};
	size_t i = 0;
	int r;

	r = read_points(repo, ref, &ps, err);
	if (r == 0)
		r = choose(&ps, trib_span_str(when), &i, err);
	if (r == 0)
		r = echo(&ps.p[i], ret_text, err);
	if (r == 0)
		memcpy(ret_oid, ps.p[i].oid, TRIB_OID_LEN);
	free(ps.p);
	return r;
}
