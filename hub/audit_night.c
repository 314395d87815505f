/* The nightly lists: made again from the leaves, and compared. Who was silent cannot be hidden by whoever writes the lists. */
#include "hub/audit_impl.h"

#include "core/base/clock.h"
#include "core/trust/hash.h"
#include "hub/night.h"
#include "hub/tiles.h"

struct nights {
	struct trib_audit *a;
	int64_t to;      /* end of the list before */
	uint64_t first;  /* first leaf of this night */
	char when[17];
	bool named;      /* a node was named for this list */
};

static int compare_node(void *ctx, const char *node, const char *app, bool reported, struct trib_err *err)
{
	struct nights *n = ctx;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_where w = {.node = node, .app = app};
	if (trib_audit_sql(n->a->own, &st, err, "SELECT reported FROM nn WHERE node = ? AND app = ?", "ss", node, app))
		return -1;
	int row = trib_db_step(n->a->own, st, err);
	if (row < 0)
		return -1;
	bool truly = row && sqlite3_column_int(st, 0);
	if (row && trib_audit_exec(n->a->own, err, "UPDATE nn SET listed = 1 WHERE node = ? AND app = ?", "ss", node, app))
		return -1;
	if (row && truly == reported)
		return 0;
	n->named = true;
	if (!row)
		return trib_audit_find(n->a, &w, err, "the nightly list of %s names it, but the log never made it expected", n->when);
	return trib_audit_find(n->a, &w, err, truly ? "the nightly list of %s calls it silent, but a commit of it is in the log" :
						      "the nightly list of %s says it reported, but it was silent: the log has no commit of it", n->when);
}

static int name_missing(struct nights *n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(n->a->own, "SELECT node, app, reported FROM nn WHERE listed = 0 ORDER BY node, app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(n->a->own, st, err)) > 0) {
		struct trib_where w = {.node = (const char *)sqlite3_column_text(st, 0), .app = (const char *)sqlite3_column_text(st, 1)};
		n->named = true;
		if (trib_audit_find(n->a, &w, err, "the nightly list of %s leaves it out; it %s", n->when, sqlite3_column_int(st, 2) ? "reported" : "was silent"))
			return -1;
	}
	return row;
}

/* What differs, by name; the text itself may be gone. */
static int explain(struct nights *n, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_NAMED_MAX);
	struct trib_where w = {0};
	struct trib_err why;
	n->named = false;
	if (trib_named_read(n->a->hub->dir, sha256, &text, &why) == 0) {
		if (trib_night_walk(trib_buf_span(&text), compare_node, n, &why)) {
			if (TRIB_OWN_TROUBLE(why.code)) {
				*err = why;
				return -1;
			}
			return trib_audit_find(n->a, &w, err, "the nightly list of %s: %s", n->when, why.msg);
		}
		if (name_missing(n, err))
			return -1;
	}
	return n->named ? 0 : trib_audit_find(n->a, &w, err, "the nightly list of %s is not what the log says of that night", n->when);
}

static int derive(struct nights *n, const struct trib_night *night, uint8_t ret[TRIB_SHA256_LEN], struct trib_night *ret_counts, struct trib_err *err)
{
	sqlite3 *own = n->a->own;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_NAMED_MAX);
	*ret_counts = *night;
	if (trib_db_exec(own, "DELETE FROM nn", err) ||
	    trib_audit_exec(own, err,
			    "INSERT INTO nn(node, app, reported, listed) SELECT node, app, EXISTS(SELECT 1 FROM h WHERE h.node = x.node AND h.app = x.app AND h.idx >= ?1 AND "
			    "h.idx < ?2), 0 FROM x WHERE since < ?2 AND (until IS NULL OR until > ?2)",
			    "ii", (int64_t)night->first, (int64_t)night->end) ||
	    trib_db_prepare(own, "SELECT node, app, reported FROM nn ORDER BY node, app", &st, err) ||
	    trib_night_put(&text, n->a->hub->city, ret_counts, own, st, err))
		return -1;
	trib_sha256(ret, trib_buf_span(&text));
	return 0;
}

/* A night that is not over would leave all until its end without a list. `at`: when the leaf was written. */
static int check_hours(struct nights *n, const struct trib_night *night, int64_t at, struct trib_err *err)
{
	struct trib_where w = {0};
	char close[17];
	if (night->from != n->to || night->to <= night->from)
		return trib_audit_find(n->a, &w, err, "the nightly list of %s does not begin where the one before ended", n->when);
	if (night->to > at)
		return trib_audit_find(n->a, &w, err, "the nightly list of %s was made before that night was over", n->when);
	trib_time_city(close, trib_night_close(night->to));
	return trib_night_close(night->to) == night->to ? 0 : trib_audit_find(n->a, &w, err, "the nightly list of %s does not end when a night closes, at %s", n->when, close);
}

/* A commit held well after the close, and no list before it. */
static int check_left_out(struct nights *n, uint64_t end, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int64_t due = trib_night_close(n->to) + 86400;
	char when[17];
	struct trib_where w = {0};
	if (trib_audit_sql(n->a->own, &st, err, "SELECT 1 FROM h WHERE idx >= ? AND idx < ? AND at > ? LIMIT 1", "iii", (int64_t)n->first, (int64_t)end, due + TRIB_NIGHT_LATE_S))
		return -1;
	int row = trib_db_step(n->a->own, st, err);
	if (row <= 0)
		return row;
	trib_time_city(when, due);
	return trib_audit_find(n->a, &w, err, "the nightly list of %s was left out: commits were held after it, and no list says who was silent", when);
}

static int one_night(struct nights *n, sqlite3_stmt *st, struct trib_err *err)
{
	struct trib_night night = {.from = sqlite3_column_int64(st, 1), .to = sqlite3_column_int64(st, 2), .first = n->first, .end = (uint64_t)sqlite3_column_int64(st, 0)};
	struct trib_night counts;
	struct trib_where w = {0};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_NAMED_MAX);
	struct trib_err why;
	uint8_t sha[TRIB_SHA256_LEN], is[TRIB_SHA256_LEN];
	trib_time_city(n->when, night.to);
	trib_audit_bytes(st, 6, sha, sizeof(sha));
	if (check_left_out(n, night.end, err) || derive(n, &night, is, &counts, err))
		return -1;
	int rc = check_hours(n, &night, sqlite3_column_int64(st, 7), err);
	if (!rc && memcmp(sha, is, sizeof(sha)) != 0)
		rc = explain(n, sha, err);
	else if (!rc && (sqlite3_column_int64(st, 3) != (int64_t)counts.expected || sqlite3_column_int64(st, 4) != (int64_t)counts.reported ||
			 sqlite3_column_int64(st, 5) != (int64_t)counts.silent))
		rc = trib_audit_find(n->a, &w, err, "the leaf of the nightly list of %s has other numbers than the list", n->when);
	else if (!rc && trib_named_read(n->a->hub->dir, sha, &text, &why))
		rc = trib_audit_find(n->a, &w, err, "the nightly list of %s: %s", n->when, why.msg);
	n->to = night.to;
	n->first = night.end + 1;
	return rc;
}

int trib_audit_nights(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct nights n = {.a = a, .to = a->from ? a->at.night_to : a->opened, .first = a->from ? a->at.night_first : 0};
	if (!a->has_pub)
		return 0; /* a log without its first leaf is named already */
	if (trib_audit_sql(a->own, &st, err, "SELECT idx, from_at, to_at, expected, reported, silent, sha256, at FROM ng WHERE idx >= ? ORDER BY idx", "i", (int64_t)a->from))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0)
		if (one_night(&n, st, err))
			return -1;
	a->at.night_to = n.to;
	a->at.night_first = n.first;
	return row < 0 ? -1 : check_left_out(&n, a->size, err);
}
