#include "agent/record.h"

#include "agent/outbox.h"
#include "core/base/clock.h"
#include "core/trust/hash.h"

#define DAY 86400
#define SLOT_FIRST 3600         /* 01:00 */
#define SLOT_SPAN_MIN 240       /* to 05:00 */
#define FILE_MAX (64 * TRIB_KIB)

static int64_t floor_day(int64_t t) { return t / DAY - (t % DAY < 0); }

int64_t trib_local_day(int64_t t) { return floor_day(t + TRIB_CITY_ZONE_S); }

static int64_t slot_of_day(const struct trib_state *s, int64_t day)
{
	char id[TRIB_NODE_MAX + TRIB_APP_MAX + 2];
	uint8_t hash[TRIB_SHA256_LEN];
	(void)snprintf(id, sizeof(id), "%s/%s", s->node.node, s->node.app);
	trib_sha256(hash, trib_span_str(id));
	return day * DAY - TRIB_CITY_ZONE_S + SLOT_FIRST + (int64_t)(trib_be32(hash) % SLOT_SPAN_MIN) * 60;
}

int64_t trib_slot_before(const struct trib_state *s, int64_t now)
{
	int64_t today = slot_of_day(s, trib_local_day(now));
	return today <= now ? today : slot_of_day(s, trib_local_day(now) - 1);
}

int64_t trib_slot_after(const struct trib_state *s, int64_t now)
{
	int64_t today = slot_of_day(s, trib_local_day(now));
	return today > now ? today : slot_of_day(s, trib_local_day(now) + 1);
}

static int save(const struct trib_state *s, const char *name, struct trib_buf *b, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_buf_check(b, path, err) ? -1 : trib_fs_write(path, trib_buf_span(b), 0600, err);
}

/* After a loss of power it may be the old one, or none. */
static int save_fleeting(const struct trib_state *s, const char *name, struct trib_buf *b, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	TRIB_AUTO(trib_syncs) struct trib_syncs g = {0};
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_buf_check(b, path, err) || trib_syncs_write(&g, path, trib_buf_span(b), 0600, NULL, err))
		return -1;
	return trib_syncs_names(&g, err);
}

static bool can_put(const struct trib_mark *m)
{
	return m->set && m->dev <= INT64_MAX && m->ino <= INT64_MAX && m->size >= 0 && m->mtime_s >= 0 && m->ctime_s >= 0;
}

static void put_mark(struct trib_buf *b, const struct trib_mark *m, const uint8_t tip[TRIB_OID_LEN])
{
	if (!can_put(m))
		return;
	trib_buf_printf(b, "file %llu %llu %llu %llu %llu %llu %llu\nposition %u ", (unsigned long long)m->dev, (unsigned long long)m->ino,
			(unsigned long long)m->size, (unsigned long long)m->mtime_s, (unsigned long long)m->mtime_ns, (unsigned long long)m->ctime_s,
			(unsigned long long)m->ctime_ns, m->counter);
	if (m->wal)
		trib_buf_hex(b, m->salts, sizeof(m->salts));
	else
		trib_buf_putc(b, '-');
	trib_buf_printf(b, " %u ", m->frames);
	trib_buf_hex(b, tip, TRIB_OID_LEN);
	trib_buf_putc(b, '\n');
}

#define FILE_N 7   /* numbers that tell which file it was */
#define FRAMES_N 4 /* numbers that tell how far its -wal was; then the salts */

static void put_listed(struct trib_buf *b, const struct trib_mark *m)
{
	if (!can_put(m) || !m->wal || !m->frames)
		return;
	const uint64_t file[FILE_N] = {m->dev, m->ino, (uint64_t)m->size, (uint64_t)m->mtime_s, (uint64_t)m->mtime_ns, (uint64_t)m->ctime_s, (uint64_t)m->ctime_ns};
	trib_buf_puts(b, "listed");
	for (size_t i = 0; i < FILE_N; i++)
		trib_buf_printf(b, " %llu", (unsigned long long)file[i]);
	trib_buf_printf(b, "\nlisted-frames %u %u %u %u ", m->frames, m->sums[0], m->sums[1], m->backfill);
	trib_buf_hex(b, m->salts, sizeof(m->salts));
	trib_buf_putc(b, '\n');
}

static int take_listed(struct trib_kv *kv, struct trib_mark *m, struct trib_err *err)
{
	struct trib_span f[FILE_N], g[FRAMES_N + 1];
	uint64_t v[FILE_N], w[FRAMES_N];
	if (!trib_kv_at(kv, "listed"))
		return 0;
	if (trib_kv_take(kv, "listed", FILE_N, f, err) || trib_kv_take(kv, "listed-frames", FRAMES_N + 1, g, err))
		return -1;
	for (size_t i = 0; i < FILE_N; i++)
		if (trib_kv_u64(kv, f[i], "listed", &v[i], err))
			return -1;
	for (size_t i = 0; i < FRAMES_N; i++)
		if (trib_kv_u64(kv, g[i], "listed-frames", &w[i], err))
			return -1;
	*m = (struct trib_mark){.set = true, .wal = true, .dev = v[0], .ino = v[1], .size = (int64_t)v[2], .mtime_s = (int64_t)v[3], .mtime_ns = (int64_t)v[4],
				.ctime_s = (int64_t)v[5], .ctime_ns = (int64_t)v[6], .frames = (uint32_t)w[0], .sums = {(uint32_t)w[1], (uint32_t)w[2]},
				.backfill = (uint32_t)w[3]};
	return trib_unhex(m->salts, sizeof(m->salts), g[FRAMES_N]) ? 0 : trib_fail(err, TRIB_E_FORMAT, "bad salts");
}

/* Of which mark is the baseline the file, page for page? A capture that found no changed row leaves the baseline as it was, also where pages differ. */
static struct trib_mark listed_now(const struct trib_state *s, const struct trib_capture *c, const char *outcome, const struct trib_last_capture *before)
{
	bool moved = strcmp(outcome, "committed") == 0 || strcmp(outcome, "loss-accepted") == 0;
	if (moved || c->same_pages)
		return c->mark;
	bool same_tip = before->known.listed.set && memcmp(before->mark_tip, s->tip.oid, TRIB_OID_LEN) == 0;
	return same_tip ? before->known.listed : (struct trib_mark){0};
}

static int take_mark(struct trib_kv *kv, struct trib_last_capture *l, struct trib_err *err)
{
	struct trib_span file[7], pos[4];
	uint64_t v[7], counter, frames;
	struct trib_mark *m = &l->known.mark;
	if (!trib_kv_at(kv, "file"))
		return 0;
	if (trib_kv_take(kv, "file", TRIB_COUNT(file), file, err) || trib_kv_take(kv, "position", TRIB_COUNT(pos), pos, err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(file); i++)
		if (trib_kv_u64(kv, file[i], "file", &v[i], err))
			return -1;
	if (trib_kv_u64(kv, pos[0], "counter", &counter, err) || trib_kv_u64(kv, pos[2], "frames", &frames, err))
		return -1;
	*m = (struct trib_mark){.set = true, .wal = pos[1].n != 1, .dev = v[0], .ino = v[1], .size = (int64_t)v[2], .mtime_s = (int64_t)v[3],
				.mtime_ns = (int64_t)v[4], .ctime_s = (int64_t)v[5], .ctime_ns = (int64_t)v[6], .counter = (uint32_t)counter,
				.frames = (uint32_t)frames};
	if ((m->wal && !trib_unhex(m->salts, sizeof(m->salts), pos[1])) || !trib_unhex(l->mark_tip, TRIB_OID_LEN, pos[3]))
		return trib_fail(err, TRIB_E_FORMAT, "bad position");
	return 0;
}

/* ---- how often the full engine stepped in ---- */

const char *trib_record_reason(const char *engine)
{
	static const char both[] = "page+full:";
	return strncmp(engine, both, sizeof(both) - 1) == 0 ? engine + sizeof(both) - 1 : NULL;
}

/* What was counted before, and this capture. */
static void put_stepped(struct trib_buf *b, struct trib_last_capture l, const struct trib_capture *c, int64_t now)
{
	const char *why = trib_record_reason(c->engine);
	char at[TRIB_TIME_LEN + 1];
	size_t i = 0;
	bool by_pages = strcmp(c->snapshot, "skipped") != 0 && strncmp(c->engine, "page", 4) == 0;
	for (; why && i < l.nstepped && strcmp(l.stepped[i].reason, why) != 0; i++)
		;
	if (why && i < TRIB_RECORD_REASONS_MAX) {
		l.nstepped += i == l.nstepped;
		(void)snprintf(l.stepped[i].reason, sizeof(l.stepped[i].reason), "%s", why);
		l.stepped[i].times++;
		l.stepped[i].at = now;
	}
	trib_buf_printf(b, "runs-by-pages %llu\n", (unsigned long long)l.runs + by_pages);
	for (i = 0; i < l.nstepped; i++) {
		trib_time_text(at, l.stepped[i].at);
		trib_buf_printf(b, "stepped-in %s %llu %s\n", l.stepped[i].reason, (unsigned long long)l.stepped[i].times, at);
	}
}

static int take_stepped(struct trib_kv *kv, struct trib_last_capture *l, struct trib_err *err)
{
	if (trib_kv_take_u64(kv, "runs-by-pages", &l->runs, err))
		return -1;
	while (trib_kv_at(kv, "stepped-in") && l->nstepped < TRIB_RECORD_REASONS_MAX) {
		struct trib_stepped *to = &l->stepped[l->nstepped++];
		struct trib_span f[3];
		if (trib_kv_take(kv, "stepped-in", 3, f, err) || trib_kv_u64(kv, f[1], "times", &to->times, err) || trib_kv_time(kv, f[2], "last", &to->at, err))
			return -1;
		if (f[0].n >= sizeof(to->reason))
			return trib_fail(err, TRIB_E_FORMAT, "a reason is too long");
		memcpy(to->reason, f[0].p, f[0].n);
	}
	return 0;
}

static const char *const failures[] = {
	[TRIB_DEED_CAPTURE] = "last-failure", [TRIB_DEED_EXCHANGE] = "last-exchange-failure", [TRIB_DEED_RENEWAL] = "last-renewal-failure"};

void trib_record_success(const struct trib_state *s, enum trib_deed deed)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, failures[deed]);
	if (path)
		(void)unlink(path);
}

int trib_record_capture(const struct trib_state *s, const struct trib_capture *c, const char *outcome, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	char at[TRIB_TIME_LEN + 1];
	int64_t now = trib_now();
	struct trib_last_capture before = {0};
	(void)trib_record_last_capture(s, &before);
	trib_time_text(at, now);
	trib_buf_printf(&b, "format tributary-last-capture-3\nat %s\nengine %s\nsnapshot %s\noutcome %s\npages-read %llu\npages-changed %llu\nrows %llu\nms %llu\nleft-out %zu\n", at,
			c->engine, c->snapshot, outcome, (unsigned long long)c->pages_read, (unsigned long long)c->pages_changed, (unsigned long long)c->rows_found,
			(unsigned long long)c->ms, c->nleft_out);
	if (c->full_tables)
		trib_buf_printf(&b, "full-tables %llu\n", (unsigned long long)c->full_tables);
	put_stepped(&b, before, c, now);
	if (s->tip.exists && strcmp(outcome, "braked") != 0) {
		struct trib_mark listed = listed_now(s, c, outcome, &before);
		put_mark(&b, &c->mark, s->tip.oid);
		if (can_put(&c->mark))
			put_listed(&b, &listed);
	}
	if (c->nbraked > TRIB_RECORD_BRAKED_MAX)
		trib_buf_printf(&b, "braked-tables %zu\n", c->nbraked);
	for (size_t i = 0; i < c->nbraked && i < TRIB_RECORD_BRAKED_MAX; i++) {
		trib_buf_puts(&b, "braked ");
		trib_pct(&b, trib_span_str(c->braked[i].table));
		trib_buf_printf(&b, " %llu\n", (unsigned long long)c->braked[i].lost);
	}
	trib_record_success(s, TRIB_DEED_CAPTURE);
	/* No fsync: it says what was seen, and a capture that finds none reads every page. */
	return save_fleeting(s, "last-capture", &b, err);
}

static int take_word(struct trib_kv *kv, const char *key, char *ret, size_t size, struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, key, 1, &f, err))
		return -1;
	if (f.n >= size)
		return trib_fail(err, TRIB_E_FORMAT, "%s is too long", key);
	memcpy(ret, f.p, f.n);
	ret[f.n] = '\0';
	return 0;
}

static int take_braked(struct trib_kv *kv, struct trib_last_capture *l, struct trib_err *err)
{
	if (trib_kv_at(kv, "braked-tables") && trib_kv_take_u64(kv, "braked-tables", &l->braked_tables, err))
		return -1;
	while (trib_kv_at(kv, "braked") && l->nbraked < TRIB_RECORD_BRAKED_MAX) {
		TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(TRIB_NAME_MAX + 15);
		struct trib_span f[2];
		if (trib_kv_take(kv, "braked", 2, f, err) || trib_kv_name(kv, f[0], "table", TRIB_NAME_MAX + 15, &name, err) ||
		    trib_kv_u64(kv, f[1], "rows", &l->braked[l->nbraked].lost, err))
			return -1;
		(void)snprintf(l->braked[l->nbraked].table, sizeof(l->braked[0].table), "%s", trib_buf_str(&name));
		l->nbraked++;
	}
	if (l->braked_tables < l->nbraked)
		l->braked_tables = l->nbraked;
	return trib_kv_end(kv, err);
}

bool trib_record_last_capture(const struct trib_state *s, struct trib_last_capture *ret)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "last-capture");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	struct trib_err none;
	struct trib_last_capture l = {0};
	if (!path || trib_fs_read(path, &b, &none))
		return false;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	if (trib_kv_take_is(&kv, "format", "tributary-last-capture-3", &none) || trib_kv_take_time(&kv, "at", &l.at, &none) ||
	    take_word(&kv, "engine", l.engine, sizeof(l.engine), &none) ||
	    take_word(&kv, "snapshot", l.snapshot, sizeof(l.snapshot), &none) || take_word(&kv, "outcome", l.outcome, sizeof(l.outcome), &none) ||
	    trib_kv_take_u64(&kv, "pages-read", &l.pages_read, &none) || trib_kv_take_u64(&kv, "pages-changed", &l.pages_changed, &none) ||
	    trib_kv_take_u64(&kv, "rows", &l.rows, &none) || trib_kv_take_u64(&kv, "ms", &l.ms, &none) ||
	    trib_kv_take_u64(&kv, "left-out", &l.left_out, &none) ||
	    (trib_kv_at(&kv, "full-tables") && trib_kv_take_u64(&kv, "full-tables", &l.full_tables, &none)) ||
	    take_stepped(&kv, &l, &none) || take_mark(&kv, &l, &none) || take_listed(&kv, &l.known.listed, &none) || take_braked(&kv, &l, &none))
		return false;
	*ret = l;
	return true;
}

const struct trib_known *trib_record_known(const struct trib_state *s, struct trib_last_capture *l)
{
	bool known = s->tip.exists && trib_record_last_capture(s, l) && l->known.mark.set && memcmp(l->mark_tip, s->tip.oid, TRIB_OID_LEN) == 0;
	return known ? &l->known : NULL;
}

void trib_record_failure(const struct trib_state *s, enum trib_deed deed, const struct trib_err *why)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	struct trib_err none;
	char at[TRIB_TIME_LEN + 1];
	trib_time_text(at, trib_now());
	trib_buf_printf(&b, "format tributary-last-failure-1\nat %s\ncode %s\nmessage ", at, trib_code_name(why->code));
	trib_pct(&b, trib_span_str(why->msg));
	trib_buf_putc(&b, '\n');
	(void)save_fleeting(s, failures[deed], &b, &none);
}

bool trib_record_last_failure(const struct trib_state *s, enum trib_deed deed, struct trib_last_failure *ret)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, failures[deed]);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX), text = TRIB_BUF(sizeof(ret->message) - 1);
	struct trib_err none;
	struct trib_last_failure f = {0};
	struct trib_span field;
	if (!path || trib_fs_read(path, &b, &none))
		return false;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	if (trib_kv_take_is(&kv, "format", "tributary-last-failure-1", &none) || trib_kv_take_time(&kv, "at", &f.at, &none) ||
	    take_word(&kv, "code", f.code, sizeof(f.code), &none) || trib_kv_take(&kv, "message", 1, &field, &none) ||
	    trib_kv_name(&kv, field, "message", sizeof(f.message) - 1, &text, &none) || trib_kv_end(&kv, &none))
		return false;
	(void)snprintf(f.message, sizeof(f.message), "%s", trib_buf_str(&text));
	*ret = f;
	return true;
}

/* Files that hold one moment. */
static int save_moment(const struct trib_state *s, const char *name, int64_t at, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(256);
	char text[TRIB_TIME_LEN + 1];
	trib_time_text(text, at);
	trib_buf_printf(&b, "format tributary-%s-1\nat %s\n", name, text);
	return save(s, name, &b, err);
}

static int64_t load_moment(const struct trib_state *s, const char *name)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(256);
	struct trib_err none;
	char format[64];
	int64_t at;
	(void)snprintf(format, sizeof(format), "tributary-%s-1", name);
	if (!path || trib_fs_read(path, &b, &none))
		return 0;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	return trib_kv_take_is(&kv, "format", format, &none) || trib_kv_take_time(&kv, "at", &at, &none) ? 0 : at;
}

int trib_record_sync(const struct trib_state *s, int64_t at, struct trib_err *err) { return save_moment(s, "last-sync", at, err); }
int64_t trib_record_last_sync(const struct trib_state *s) { return load_moment(s, "last-sync"); }
int trib_record_timer(const struct trib_state *s, int64_t at, struct trib_err *err) { return save_moment(s, "last-timer", at, err); }
int64_t trib_record_last_timer(const struct trib_state *s) { return load_moment(s, "last-timer"); }
