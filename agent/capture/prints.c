#include "agent/capture/prints.h"

#include "agent/capture/digests.h"
#include "agent/capture/store.h"
#include "core/trust/hash.h"

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t trib_print_seed(const struct trib_state *s) { return trib_be64(s->salt) | 1; }

static uint64_t hash_value(const struct trib_value *v, uint64_t seed)
{
	uint64_t bits = 0;
	if (v->type == TRIB_TEXT || v->type == TRIB_BLOB)
		bits = trib_bytes_hash(v->s, seed);
	else if (v->type == TRIB_INT)
		bits = (uint64_t)v->i;
	else
		memcpy(&bits, &v->r, sizeof(bits));
	return mix(bits, seed + (uint64_t)v->type);
}

static int enter(struct trib_printer *p, const struct trib_cs_table *t, struct trib_err *err)
{
	const struct trib_st_table *st = trib_schematext_find(p->schema, t->name);
	if (!st || st->ncols + st->bag != t->ncol)
		return trib_fail(err, TRIB_E_SCHEMA, "table %.*s is not as the schema says", t->name.n > 255 ? 255 : (int)t->name.n, (const char *)t->name.p);
	for (size_t i = 0; i < t->ncol; i++) {
		char name[TRIB_NAME_MAX + 1];
		(void)snprintf(name, sizeof(name), "%s", i < st->ncols ? st->cols[i].name : TRIB_BAG_COUNT);
		trib_fold((uint8_t *)name, strlen(name));
		p->cols[i] = trib_bytes_hash(trib_span_str(name), p->seed);
	}
	p->header = t->name.p;
	return 0;
}

static uint64_t cells(const struct trib_printer *p, const struct trib_change *ch, const struct trib_value *row, uint64_t key)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < ch->table->ncol; i++)
		if (!ch->table->pk[i] && row[i].type != TRIB_NULL && row[i].type != TRIB_UNDEF)
			sum += mix(key + p->cols[i], hash_value(&row[i], p->seed));
	return sum;
}

int trib_print_change(struct trib_printer *p, const struct trib_change *ch, uint64_t *sum, struct trib_err *err)
{
	if (p->header != ch->table->name.p && enter(p, ch->table, err))
		return -1;
	uint64_t key = trib_bytes_hash(ch->key, p->seed);
	if (ch->op != TRIB_INSERT)
		*sum -= cells(p, ch, ch->old, key);
	if (ch->op != TRIB_DELETE)
		*sum += cells(p, ch, ch->new, key);
	if (ch->op != TRIB_UPDATE)
		*sum += ch->op == TRIB_INSERT ? mix(key, p->seed) : -mix(key, p->seed);
	return 0;
}

/* ---- kept ---- */

int trib_print_find(sqlite3 *db, const char *table, const uint8_t digest[TRIB_SHA256_LEN], struct trib_print *ret, bool *ret_known, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT origin, sum FROM print WHERE tbl = ?1 AND digest = ?2", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 2, digest, TRIB_SHA256_LEN, SQLITE_STATIC);
	int row = trib_db_step(db, st, err);
	*ret_known = row == 1;
	if (row == 1)
		*ret = (struct trib_print){(uint64_t)sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1)};
	return row < 0 ? -1 : 0;
}

static int keep(sqlite3 *db, const char *table, const uint8_t digest[TRIB_SHA256_LEN], const struct trib_print *print, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "INSERT OR REPLACE INTO print(tbl, digest, origin, sum) VALUES(?1, ?2, ?3, ?4)", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 2, digest, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)print->origin);
	sqlite3_bind_int64(st, 4, (int64_t)print->sum);
	return trib_db_step(db, st, err) < 0 ? -1 : 0;
}

static int learn(const struct trib_state *s, sqlite3 *db, const struct trib_moved *m, struct trib_err *err)
{
	struct trib_print print = {0};
	uint8_t digest[TRIB_SHA256_LEN];
	bool known = false;
	const struct trib_lanes_table *t = trib_lanes_find(&s->tip.lanes, m->table);
	if (!t)
		return 0;
	trib_digest_table(t, digest);
	if (m->was && trib_print_find(db, m->table, m->digest, &print, &known, err))
		return -1;
	if (!known) {
		if (trib_random((uint8_t *)&print.origin, sizeof(print.origin), err) || (m->was && keep(db, m->table, m->digest, &print, err)))
			return -1;
	}
	print.sum += m->sum;
	return keep(db, m->table, digest, &print, err);
}

void trib_prints_learn(const struct trib_state *s, const struct trib_capture *c)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "digests.db");
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	struct trib_err err;
	if (!c->nmoved || !path || !trib_fs_exists(path) || trib_digests_open_kept(s, &db, &err) || trib_db_exec(db, "BEGIN IMMEDIATE", &err))
		return;
	for (size_t i = 0; i < c->nmoved; i++)
		if (learn(s, db, &c->moved[i], &err))
			return;
	(void)!trib_db_exec(db, "COMMIT", &err); /* what was not kept is not known */
}
