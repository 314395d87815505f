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
};

/* The chain, newest first, as far back as the question needed. */
struct points {
	struct trib_repo *repo;
	struct point *p;
	size_t n, room;
	uint8_t next[TRIB_OID_LEN];
	bool all; /* the first commit has been read */
	int64_t now;
	int tz;
};

/* ---- reading the chain ---- */

static int read_point(struct points *ps, struct point *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	char hex[TRIB_OID_HEX + 1];

	trib_hex(hex, ps->next, TRIB_OID_LEN);
	if (trib_commit_read(ps->repo, ps->next, &c, err) < 0 || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err) < 0)
		return trib_ctx(err, "reading commit %.12s", hex);
	*ret = (struct point){.seq = m.seq, .part = m.part, .parts = m.parts, .captured_at = m.captured_at};
	memcpy(ret->oid, ps->next, TRIB_OID_LEN);
	ps->all = !c.c.has_parent;
	if (c.c.has_parent)
		memcpy(ps->next, c.c.parent, TRIB_OID_LEN);
	return 0;
}

/* Makes point k known: 1, or 0 when the history has no more than k commits. */
static int reach(struct points *ps, size_t k, struct trib_err *err)
{
	while (ps->n <= k && !ps->all) {
		if (ps->n >= CHAIN_MAX)
			return trib_fail(err, TRIB_E_LIMIT, "the history is longer than %zu commits here", CHAIN_MAX);
		if (ps->n == ps->room) {
			size_t room = ps->room ? 2 * ps->room : 64;
			struct point *p = reallocarray(ps->p, room, sizeof(*p));
			if (!p)
				return trib_fail(err, TRIB_E_NOMEM, "out of memory for %zu commits", room);
			ps->p = p;
			ps->room = room;
		}
		if (read_point(ps, &ps->p[ps->n], err))
			return -1;
		ps->n++;
	}
	return k < ps->n;
}

/* Is point k the last of a complete group? It is when its parts stand one after the other up to m/m (D5.1). */
static int completes(struct points *ps, size_t k, struct trib_err *err)
{
	uint64_t parts = ps->p[k].parts;

	if (ps->p[k].part != parts)
		return 0;
	for (uint64_t i = 0; i < parts; i++) {
		int got = reach(ps, k + (size_t)i, err);

		if (got <= 0)
			return got;
		if (ps->p[k + i].part == 1)
			return i + 1 == parts;
	}
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

/* The commit that completes the group of point k: at k or after it. */
static int at_point(struct points *ps, size_t k, size_t *ret, struct trib_err *err)
{
	size_t end = k;

	while (end > 0 && ps->p[end].part != ps->p[end].parts && ps->p[end - 1].part != 1)
		end--;
	int got = completes(ps, end, err);
	if (got > 0)
		*ret = end;
	return got > 0 ? 0 : got < 0 ? -1 : no_group(&ps->p[k], err);
}

/* HEAD~n: n complete groups back. */
static int at_head(struct points *ps, int64_t back, size_t *ret, struct trib_err *err)
{
	int64_t groups = 0;
	int more;

	for (size_t k = 0; (more = reach(ps, k, err)) > 0; k++) {
		int got = completes(ps, k, err);

		if (got < 0)
			return -1;
		if (got && groups++ == back) {
			*ret = k;
			return 0;
		}
	}
	return more < 0 ? -1 :
			  trib_fail(err, TRIB_E_NOT_FOUND, "this history has %lld complete moments, HEAD~%lld is before the first", (long long)groups,
				    (long long)back);
}

static int nothing_by(int64_t t, const struct point *oldest, struct trib_err *err)
{
	char text[TRIB_TIME_LEN + 1], first[TRIB_TIME_LEN + 1];

	trib_time_text(text, t);
	if (!oldest)
		return trib_fail(err, TRIB_E_NOT_FOUND, "this history has no complete commit yet");
	trib_time_text(first, oldest->captured_at);
	return trib_fail(err, TRIB_E_NOT_FOUND, "nothing was captured by %s; the history begins at %s", text, first);
}

/* The last group in chain order that was captured by then: a clock that once ran ahead hides nothing that came after it was mended. */
static int at_time(struct points *ps, int64_t t, size_t *ret, struct trib_err *err)
{
	size_t oldest = SIZE_MAX;
	int more;

	for (size_t k = 0; (more = reach(ps, k, err)) > 0; k++) {
		int got = completes(ps, k, err);

		if (got < 0)
			return -1;
		if (got && ps->p[k].captured_at <= t) {
			*ret = k;
			return 0;
		}
		if (got)
			oldest = k;
	}
	return more < 0 ? -1 : nothing_by(t, oldest == SIZE_MAX ? NULL : &ps->p[oldest], err);
}

static int at_seq(struct points *ps, int64_t seq, size_t *ret, struct trib_err *err)
{
	int more;

	for (size_t k = 0; (more = reach(ps, k, err)) > 0 && ps->p[k].seq >= (uint64_t)seq; k++)
		if (ps->p[k].seq == (uint64_t)seq)
			return at_point(ps, k, ret, err);
	return more < 0 ? -1 :
			  trib_fail(err, TRIB_E_NOT_FOUND, "there is no #%lld; the history ends with #%llu", (long long)seq, (unsigned long long)ps->p[0].seq);
}

/* Whether it is the beginning of one commit only, the whole chain knows; a whole id needs no more of it. */
static int at_prefix(struct points *ps, struct trib_span prefix, size_t *ret, struct trib_err *err)
{
	size_t found = SIZE_MAX;
	int more;

	for (size_t k = 0; (more = reach(ps, k, err)) > 0; k++) {
		char hex[TRIB_OID_HEX + 1];

		trib_hex(hex, ps->p[k].oid, TRIB_OID_LEN);
		if (strncmp(hex, (const char *)prefix.p, prefix.n) != 0)
			continue;
		if (found != SIZE_MAX)
			return trib_fail(err, TRIB_E_USAGE, "%.*s is the beginning of several commits; give more digits", (int)prefix.n,
					 (const char *)prefix.p);
		found = k;
		if (prefix.n == TRIB_OID_HEX)
			break;
	}
	if (more < 0)
		return -1;
	if (found == SIZE_MAX)
		return trib_fail(err, TRIB_E_NOT_FOUND, "no commit of this history begins with %.*s", (int)prefix.n, (const char *)prefix.p);
	return at_point(ps, found, ret, err);
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

static int choose(struct points *ps, struct trib_span w, size_t *ret, struct trib_err *err)
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

bool trib_history_instant(const char *when, int64_t now, int tz_offset_s, int64_t *ret)
{
	struct trib_span w = trib_span_str(when);

	return parse_ago(w, now, ret) || parse_instant(w, tz_offset_s, ret);
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
	struct points ps = {.repo = repo, .now = now, .tz = tz_offset_s};
	size_t k = 0;
	int r;

	r = trib_repo_ref(repo, ref, ps.next, err);
	if (r == 0)
		r = reach(&ps, 0, err) < 0 ? -1 : 0;
	if (r == 0)
		r = choose(&ps, trib_span_str(when), &k, err);
	if (r == 0)
		r = echo(&ps.p[k], ret_text, err);
	if (r == 0)
		memcpy(ret_oid, ps.p[k].oid, TRIB_OID_LEN);
	free(ps.p);
	return r;
}
