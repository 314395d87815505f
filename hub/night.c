#include "hub/night.h"

#include "core/base/clock.h"
#include "hub/tiles.h"

#define DAY 86400

int64_t trib_night_close(int64_t t)
{
	int64_t since = t + TRIB_CITY_ZONE_S - TRIB_NIGHT_CLOSE_S;
	int64_t days = since / DAY - (since % DAY < 0);
	return days * DAY - TRIB_CITY_ZONE_S + TRIB_NIGHT_CLOSE_S;
}

int trib_night_put(struct trib_buf *b, const char *city, struct trib_night *n, sqlite3 *db, sqlite3_stmt *st, struct trib_err *err)
{
	char from[TRIB_TIME_LEN + 1], to[TRIB_TIME_LEN + 1];
	trib_time_text(from, n->from);
	trib_time_text(to, n->to);
	trib_buf_puts(b, "format tributary-night-1\ncity ");
	trib_pct(b, trib_span_str(city));
	trib_buf_printf(b, "\nfrom %s\nto %s\nleaves %llu %llu\n", from, to, (unsigned long long)n->first, (unsigned long long)n->end);
	n->expected = n->reported = n->silent = 0;
	int row;
	while ((row = trib_db_step(db, st, err)) > 0) {
		bool reported = sqlite3_column_int(st, 2) != 0;
		trib_buf_printf(b, "node %s %s %s\n", (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1), reported ? "reported" : "silent");
		n->expected++;
		++*(reported ? &n->reported : &n->silent);
	}
	return row < 0 ? -1 : trib_buf_check(b, "nightly list", err);
}

/* Where the list before ended; the log's first leaf when there is none. */
static int begin_of(struct trib_hubdb *h, struct trib_night *n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT idx + 1, to_at FROM night ORDER BY idx DESC LIMIT 1", &st, err))
		return -1;
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	if (row) {
		n->first = (uint64_t)sqlite3_column_int64(st, 0);
		n->from = sqlite3_column_int64(st, 1);
		return 0;
	}
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf open;
	if (trib_log_leaf(h, 0, &bytes, err) || trib_leaf_parse(trib_buf_span(&bytes), &open, err))
		return -1;
	n->from = open.time;
	return 0;
}

int trib_night_row(struct trib_hubdb *h, const struct trib_night *n, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "INSERT INTO night(idx, from_at, to_at, expected, reported, silent, sha256) VALUES(?,?,?,?,?,?,?)", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)n->end);
	sqlite3_bind_int64(st, 2, n->from);
	sqlite3_bind_int64(st, 3, n->to);
	sqlite3_bind_int64(st, 4, (int64_t)n->expected);
	sqlite3_bind_int64(st, 5, (int64_t)n->reported);
	sqlite3_bind_int64(st, 6, (int64_t)n->silent);
	sqlite3_bind_blob(st, 7, sha256, TRIB_SHA256_LEN, SQLITE_STATIC);
	return trib_db_step(h->db, st, err) < 0 ? -1 : 0;
}

static int make(struct trib_hubdb *h, int64_t now, struct trib_night *n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_NAMED_MAX);
	struct trib_leaf leaf = {.kind = TRIB_LEAF_NIGHT, .time = now, .from = n->from, .to = n->to};
	if (trib_log_size(h, &n->end, err) ||
	    trib_db_prepare(h->db,
			    "SELECT node, app, (node, app) IN (SELECT node, app FROM held WHERE idx >= ? AND idx < ?) FROM node WHERE status <> 'closed' ORDER BY node, app",
			    &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)n->first);
	sqlite3_bind_int64(st, 2, (int64_t)n->end);
	if (trib_night_put(&text, h->hub->city, n, h->db, st, err) || trib_named_write(h->hub, trib_buf_span(&text), leaf.sha256, err))
		return -1;
	leaf.expected = n->expected;
	leaf.reported = n->reported;
	leaf.silent = n->silent;
	return trib_log_append(h, &leaf, NULL, err) || trib_night_row(h, n, leaf.sha256, err) ? -1 : 0;
}

int trib_night_make(struct trib_hubdb *h, int64_t now, struct trib_err *err)
{
	struct trib_night n = {.to = trib_night_close(now)};
	if (begin_of(h, &n, err))
		return -1;
	if (n.to <= n.from)
		return 0;
	if (trib_hubdb_begin(h, err))
		return -1;
	if (make(h, now, &n, err) || trib_hubdb_commit(h, err)) {
		trib_hubdb_rollback(h);
		return trib_ctx(err, "making the nightly list");
	}
	return 1;
}

int trib_night_walk(struct trib_span text, int (*fn)(void *ctx, const char *node, const char *app, bool reported, struct trib_err *err), void *ctx,
		    struct trib_err *err)
{
	struct trib_kv kv = trib_kv(text);
	struct trib_span f[3];
	if (trib_kv_take_is(&kv, "format", "tributary-night-1", err) || trib_kv_take(&kv, "city", 1, f, err) || trib_kv_take(&kv, "from", 1, f, err) ||
	    trib_kv_take(&kv, "to", 1, f, err) || trib_kv_take(&kv, "leaves", 2, f, err))
		return trib_ctx(err, "nightly list");
	while (trib_kv_at(&kv, "node")) {
		char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
		if (trib_kv_take(&kv, "node", 3, f, err) || trib_kv_id(&kv, f[0], "node", node, sizeof(node), err) || trib_kv_id(&kv, f[1], "app", app, sizeof(app), err))
			return trib_ctx(err, "nightly list");
		bool reported = trib_span_is(f[2], "reported");
		if (!reported && !trib_span_is(f[2], "silent"))
			return trib_fail(err, TRIB_E_FORMAT, "nightly list: line %u: neither reported nor silent", kv.line);
		if (fn(ctx, node, app, reported, err))
			return -1;
	}
	return trib_kv_end(&kv, err);
}
