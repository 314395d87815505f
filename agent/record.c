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

int trib_record_capture(const struct trib_state *s, const struct trib_capture *c, const char *outcome, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	char at[TRIB_TIME_LEN + 1];
	trib_time_text(at, trib_now());
	trib_buf_printf(&b, "format tributary-last-capture-1\nat %s\nengine %s\noutcome %s\npages-read %llu\npages-changed %llu\nrows %llu\nms %llu\nleft-out %zu\n", at,
			c->engine, outcome, (unsigned long long)c->pages_read, (unsigned long long)c->pages_changed, (unsigned long long)c->rows_found,
			(unsigned long long)c->ms, c->nleft_out);
	for (size_t i = 0; i < c->nbraked && i < TRIB_RECORD_BRAKED_MAX; i++) {
		trib_buf_puts(&b, "braked ");
		trib_pct(&b, trib_span_str(c->braked[i].table));
		trib_buf_printf(&b, " %llu\n", (unsigned long long)c->braked[i].lost);
	}
	return save(s, "last-capture", &b, err);
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
	while (trib_kv_at(kv, "braked") && l->nbraked < TRIB_RECORD_BRAKED_MAX) {
		TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(TRIB_NAME_MAX + 15);
		struct trib_span f[2];
		if (trib_kv_take(kv, "braked", 2, f, err) || trib_kv_name(kv, f[0], "table", TRIB_NAME_MAX + 15, &name, err) ||
		    trib_kv_u64(kv, f[1], "rows", &l->braked[l->nbraked].lost, err))
			return -1;
		(void)snprintf(l->braked[l->nbraked].table, sizeof(l->braked[0].table), "%s", trib_buf_str(&name));
		l->nbraked++;
	}
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
	if (trib_kv_take_is(&kv, "format", "tributary-last-capture-1", &none) || trib_kv_take_time(&kv, "at", &l.at, &none) ||
	    take_word(&kv, "engine", l.engine, sizeof(l.engine), &none) || take_word(&kv, "outcome", l.outcome, sizeof(l.outcome), &none) ||
	    trib_kv_take_u64(&kv, "pages-read", &l.pages_read, &none) || trib_kv_take_u64(&kv, "pages-changed", &l.pages_changed, &none) ||
	    trib_kv_take_u64(&kv, "rows", &l.rows, &none) || trib_kv_take_u64(&kv, "ms", &l.ms, &none) ||
	    trib_kv_take_u64(&kv, "left-out", &l.left_out, &none) || take_braked(&kv, &l, &none))
		return false;
	*ret = l;
	return true;
}

int trib_record_sync(const struct trib_state *s, int64_t at, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(256);
	char text[TRIB_TIME_LEN + 1];
	trib_time_text(text, at);
	trib_buf_printf(&b, "format tributary-last-sync-1\nat %s\n", text);
	return save(s, "last-sync", &b, err);
}

int64_t trib_record_last_sync(const struct trib_state *s)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "last-sync");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(256);
	struct trib_err none;
	int64_t at;
	if (!path || trib_fs_read(path, &b, &none))
		return 0;
	struct trib_kv kv = trib_kv(trib_buf_span(&b));
	return trib_kv_take_is(&kv, "format", "tributary-last-sync-1", &none) || trib_kv_take_time(&kv, "at", &at, &none) ? 0 : at;
}
