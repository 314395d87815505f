#include "agent/capture/store.h"

#include "core/base/limits.h"
#include "core/store/db.h"

#define CHUNK (256 * TRIB_KIB)
#define ROWS_MAX (UINT32_MAX / 4)

struct chunk {
	struct chunk *before;
	size_t n, cap;
	uint8_t p[];
};

struct row {
	uint64_t prefix;      /* of the key, in its order */
	const uint8_t *p;     /* the key, then the row; a bag's content is the key */
	uint32_t key, row;    /* bytes */
	uint32_t hash, next;  /* with the same place, 1-based */
	int64_t old, new, base; /* a bag's */
};

struct table {
	struct row *rows;
	uint32_t n, cap;
	bool hashed;          /* else: strictly rising so far */
	uint32_t *heads, mask; /* 1-based */
};

enum { KEYED_OLD, KEYED_NEW, BAG, NTABLES };

enum { ADD_OLD, ADD_NEW, DELETES, UPDATES, INSERTS, BAG_ADD, BAG_SETTLE, BAG_LEFT, BAG_COUNT, BAG_DELETES, BAG_UPDATES, BAG_INSERTS, NSQL };

#define STORE_SQL_CACHE "PRAGMA cache_size=-65536" /* TRIB_LEFTOVER_MEM in KiB */
_Static_assert(TRIB_LEFTOVER_MEM == 65536 * TRIB_KIB, "the cache is the limit");

static const char *const store_sql[NSQL] = {
	[ADD_OLD] = "INSERT OR IGNORE INTO o(k, r) VALUES(?1, ?2)",
	[ADD_NEW] = "INSERT OR IGNORE INTO n(k, r) VALUES(?1, ?2)",
	[DELETES] = "SELECT o.r, NULL FROM o LEFT JOIN n ON n.k = o.k WHERE n.k IS NULL ORDER BY o.k",
	[UPDATES] = "SELECT o.r, n.r FROM o CROSS JOIN n ON n.k = o.k WHERE o.r <> n.r ORDER BY o.k",
	[INSERTS] = "SELECT NULL, n.r FROM n LEFT JOIN o ON o.k = n.k WHERE o.k IS NULL ORDER BY n.k",
	[BAG_ADD] = "INSERT INTO b(k, old, new, base) VALUES(?1, ?2, ?3, 0) ON CONFLICT(k) DO UPDATE SET old = old + ?2, new = new + ?3",
	[BAG_SETTLE] = "DELETE FROM b WHERE old = new",
	[BAG_LEFT] = "SELECT 1 FROM b LIMIT 1",
	[BAG_COUNT] = "UPDATE b SET base = base + 1 WHERE k = ?1",
	[BAG_DELETES] = "SELECT k, base, 0 FROM b WHERE base - old + new = 0 ORDER BY k",
	[BAG_UPDATES] = "SELECT k, base, base - old + new FROM b WHERE base > 0 AND base - old + new > 0 ORDER BY k",
	[BAG_INSERTS] = "SELECT k, 0, base - old + new FROM b WHERE base = 0 ORDER BY k",
};

struct trib_store {
	struct table t[NTABLES];
	struct chunk *chunks, *spare; /* spare: of tables before, CHUNK each */
	size_t used, memory;    /* bytes in memory, and the most */
	uint64_t seed;
	bool spilled;           /* this table's rows are in db */
	sqlite3 *db;            /* NULL until needed once */
	sqlite3_stmt *st[NSQL];
	bool bag;               /* the pass */
	enum trib_pass pass;
	uint32_t at[2];         /* rows to come, of the old and the new side */
	sqlite3_stmt *read;
};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- in memory ---- */

static void free_chunks(struct chunk **list)
{
	while (*list) {
		struct chunk *c = *list;
		*list = c->before;
		free(c);
	}
}

static void forget(struct trib_store *s)
{
	free_chunks(&s->chunks);
	free_chunks(&s->spare);
	for (int i = 0; i < NTABLES; i++) {
		free(s->t[i].rows);
		free(s->t[i].heads);
		s->t[i] = (struct table){0};
	}
	s->used = 0;
}

/* Forgets the rows and keeps their room: what the kernel gave and zeroed once serves the next table. */
static void forget_rows(struct trib_store *s)
{
	while (s->chunks) {
		struct chunk *c = s->chunks;
		s->chunks = c->before;
		c->before = s->spare;
		if (c->cap == CHUNK)
			s->spare = c;
		else
			free(c);
	}
	s->used = 0;
	for (int i = 0; i < NTABLES; i++) {
		struct table *t = &s->t[i];
		free(t->heads);
		*t = (struct table){.rows = t->rows, .cap = t->cap};
		s->used += t->cap * sizeof(*t->rows);
	}
}

static uint8_t *room_for(struct trib_store *s, size_t n)
{
	if (!s->chunks || s->chunks->cap - s->chunks->n < n) {
		size_t cap = n > CHUNK ? n : CHUNK;
		struct chunk *c = n > CHUNK ? NULL : s->spare;
		if (c)
			s->spare = c->before;
		else if (!(c = malloc(sizeof(*c) + cap)))
			return NULL;
		*c = (struct chunk){.before = s->chunks, .cap = cap};
		s->chunks = c;
		s->used += cap;
	}
	s->chunks->n += n;
	return s->chunks->p + s->chunks->n - n;
}

static uint64_t prefix_of(struct trib_span key)
{
	uint8_t first[8] = {0};
	if (key.n)
		memcpy(first, key.p, key.n < sizeof(first) ? key.n : sizeof(first));
	return trib_be64(first);
}

static int cmp_rows(const struct row *a, const struct row *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	return trib_span_cmp(trib_span(a->p, a->key), trib_span(b->p, b->key));
}

static int by_key(const void *a, const void *b) { return cmp_rows(a, b); }

/* Heads for the rows that are there, and as many again. */
static bool index_rows(struct trib_store *s, struct table *t)
{
	uint32_t size = 1024;
	while (size < 2 * t->cap)
		size *= 2;
	uint32_t *heads = calloc(size, sizeof(*heads));
	if (!heads)
		return false;
	for (uint32_t i = 0; i < t->n; i++) {
		struct row *r = &t->rows[i];
		if (!t->hashed)
			r->hash = (uint32_t)trib_bytes_hash(trib_span(r->p, r->key), s->seed);
		r->next = heads[r->hash & (size - 1)];
		heads[r->hash & (size - 1)] = i + 1;
	}
	free(t->heads);
	t->heads = heads;
	t->mask = size - 1;
	t->hashed = true;
	return true;
}

static struct row *find(const struct table *t, struct trib_span key, uint32_t hash)
{
	for (uint32_t i = t->heads[hash & t->mask]; i; i = t->rows[i - 1].next)
		if (t->rows[i - 1].hash == hash && trib_span_eq(trib_span(t->rows[i - 1].p, t->rows[i - 1].key), key))
			return &t->rows[i - 1];
	return NULL;
}

static bool grow(struct trib_store *s, struct table *t)
{
	if (t->n < t->cap)
		return true;
	uint32_t cap = t->cap ? 2 * t->cap : 256;
	struct row *rows = t->n < ROWS_MAX ? reallocarray(t->rows, cap, sizeof(*rows)) : NULL;
	if (!rows)
		return false;
	s->used += (cap - t->cap) * sizeof(*rows);
	t->rows = rows;
	t->cap = cap;
	return !t->hashed || index_rows(s, t);
}

static struct row *append(struct trib_store *s, struct table *t, struct trib_span key, struct trib_span row, uint32_t hash)
{
	uint8_t *p = key.n + row.n <= UINT32_MAX && grow(s, t) ? room_for(s, key.n + row.n) : NULL;
	if (!p)
		return NULL;
	if (key.n)
		memcpy(p, key.p, key.n);
	if (row.n)
		memcpy(p + key.n, row.p, row.n);
	struct row *r = &t->rows[t->n++];
	*r = (struct row){.prefix = prefix_of(key), .p = p, .key = (uint32_t)key.n, .row = (uint32_t)row.n, .hash = hash};
	if (t->hashed) {
		r->next = t->heads[hash & t->mask];
		t->heads[hash & t->mask] = t->n;
	}
	return r;
}

/* The row with this key, or a new one. Only keys that do not rise need the hash. */
static struct row *put(struct trib_store *s, struct table *t, struct trib_span key, struct trib_span row, bool *ret_new)
{
	uint32_t hash = 0;
	struct row *r = NULL;
	if (!t->hashed && t->n && trib_span_cmp(trib_span(t->rows[t->n - 1].p, t->rows[t->n - 1].key), key) >= 0 && !index_rows(s, t))
		return NULL;
	if (t->hashed) {
		hash = (uint32_t)trib_bytes_hash(key, s->seed);
		r = find(t, key, hash);
	}
	*ret_new = !r;
	return r ? r : append(s, t, key, row, hash);
}

/* ---- in a temporary database ---- */

static int bind_blob(struct trib_store *s, sqlite3_stmt *st, int i, struct trib_span v, struct trib_err *err)
{
	if (sqlite3_bind_blob64(st, i, v.p ? v.p : (const void *)"", v.n, SQLITE_STATIC))
		return trib_db_fail(err, s->db, "comparing");
	return 0;
}

static int run(struct trib_store *s, sqlite3_stmt *st, struct trib_err *err)
{
	int rc = trib_db_step(s->db, st, err);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc < 0 ? -1 : 0;
}

static int open_db(struct trib_store *s, struct trib_err *err)
{
	if (s->db)
		return trib_db_exec(s->db, "DELETE FROM o; DELETE FROM n; DELETE FROM b", err);
	/* The empty name: a file of its own in the temporary folder, made only when the cache is full and gone when closed. */
	if (sqlite3_open_v2("", &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		return trib_db_fail(err, s->db, "opening temporary space");
	if (trib_db_exec(s->db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; " STORE_SQL_CACHE "; BEGIN;"
			 "CREATE TABLE o(k BLOB PRIMARY KEY, r BLOB) WITHOUT ROWID; CREATE TABLE n(k BLOB PRIMARY KEY, r BLOB) WITHOUT ROWID;"
			 "CREATE TABLE b(k BLOB PRIMARY KEY, old INT, new INT, base INT) WITHOUT ROWID", err))
		return -1;
	for (size_t i = 0; i < NSQL; i++)
		if (trib_db_prepare(s->db, store_sql[i], &s->st[i], err))
			return -1;
	return 0;
}

static int db_row(struct trib_store *s, enum trib_side side, struct trib_span key, struct trib_span row, bool *ret_twice, struct trib_err *err)
{
	sqlite3_stmt *st = s->st[side == TRIB_OLD ? ADD_OLD : ADD_NEW];
	if (bind_blob(s, st, 1, key, err) || bind_blob(s, st, 2, row, err) || run(s, st, err))
		return -1;
	*ret_twice = sqlite3_changes(s->db) == 0;
	return 0;
}

static int db_bag(struct trib_store *s, struct trib_span row, int64_t old, int64_t new, struct trib_err *err)
{
	sqlite3_stmt *st = s->st[BAG_ADD];
	if (bind_blob(s, st, 1, row, err) || sqlite3_bind_int64(st, 2, old) || sqlite3_bind_int64(st, 3, new))
		return trib_db_fail(err, s->db, "comparing");
	return run(s, st, err);
}

/* Once the limit is passed, all rows of this table go there. */
static int maybe_spill(struct trib_store *s, struct trib_err *err)
{
	bool twice;
	if (s->spilled || s->used <= s->memory)
		return 0;
	if (open_db(s, err))
		return -1;
	for (int side = 0; side < BAG; side++)
		for (uint32_t i = 0; i < s->t[side].n; i++) {
			const struct row *r = &s->t[side].rows[i];
			if (db_row(s, side == KEYED_OLD ? TRIB_OLD : TRIB_NEW, trib_span(r->p, r->key), trib_span(r->p + r->key, r->row), &twice, err))
				return -1;
		}
	for (uint32_t i = 0; i < s->t[BAG].n; i++) {
		const struct row *r = &s->t[BAG].rows[i];
		if (db_bag(s, trib_span(r->p, r->key), r->old, r->new, err))
			return -1;
	}
	forget(s);
	s->spilled = true;
	return 0;
}

/* ---- either ---- */

void trib_store_free(struct trib_store *s)
{
	if (!s)
		return;
	forget(s);
	for (size_t i = 0; i < NSQL; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	free(s);
}

int trib_store_new(size_t memory, struct trib_store **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_store) struct trib_store *s = calloc(1, sizeof(*s));
	if (!s)
		return oom(err);
	s->memory = memory;
	if (getentropy(&s->seed, sizeof(s->seed))) /* no secret: OpenSSL's generator would take longer to start than a small night's rows */
		return trib_fail_errno(err, "asking the system for a random number");
	*ret = s;
	s = NULL;
	return 0;
}

int trib_store_reset(struct trib_store *s, struct trib_err *err)
{
	forget_rows(s);
	for (size_t i = 0; i < NSQL; i++)
		sqlite3_reset(s->st[i]);
	bool was = s->spilled;
	s->spilled = false;
	s->read = NULL;
	return was ? open_db(s, err) : 0;
}

int trib_store_row(struct trib_store *s, enum trib_side side, struct trib_span key, struct trib_span row, bool *ret_twice, struct trib_err *err)
{
	bool is_new;
	if (s->spilled)
		return db_row(s, side, key, row, ret_twice, err);
	if (!put(s, &s->t[side == TRIB_OLD ? KEYED_OLD : KEYED_NEW], key, row, &is_new))
		return oom(err);
	*ret_twice = !is_new;
	return maybe_spill(s, err);
}

int trib_store_bag(struct trib_store *s, enum trib_side side, struct trib_span row, struct trib_err *err)
{
	bool is_new;
	if (s->spilled)
		return db_bag(s, row, side == TRIB_OLD, side == TRIB_NEW, err);
	struct row *r = put(s, &s->t[BAG], row, trib_span(NULL, 0), &is_new);
	if (!r)
		return oom(err);
	r->old += side == TRIB_OLD;
	r->new += side == TRIB_NEW;
	return maybe_spill(s, err);
}

int trib_store_bag_settle(struct trib_store *s, bool *ret_left, struct trib_err *err)
{
	struct table *t = &s->t[BAG];
	uint32_t n = 0;
	if (s->spilled) {
		if (run(s, s->st[BAG_SETTLE], err))
			return -1;
		int rc = trib_db_step(s->db, s->st[BAG_LEFT], err);
		sqlite3_reset(s->st[BAG_LEFT]);
		if (rc < 0)
			return -1;
		*ret_left = rc == 1;
		return 0;
	}
	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].old != t->rows[i].new)
			t->rows[n++] = t->rows[i];
	t->n = n;
	*ret_left = n > 0;
	return n && !index_rows(s, t) ? oom(err) : 0;
}

int trib_store_bag_count(struct trib_store *s, struct trib_span row, struct trib_err *err)
{
	if (s->spilled)
		return bind_blob(s, s->st[BAG_COUNT], 1, row, err) ? -1 : run(s, s->st[BAG_COUNT], err);
	struct row *r = s->t[BAG].n ? find(&s->t[BAG], row, (uint32_t)trib_bytes_hash(row, s->seed)) : NULL;
	if (r)
		r->base++;
	return 0;
}

/* ---- passes ---- */

void trib_store_begin(struct trib_store *s, bool bag, enum trib_pass pass)
{
	static const int sql[2][3] = {{DELETES, UPDATES, INSERTS}, {BAG_DELETES, BAG_UPDATES, BAG_INSERTS}};
	s->bag = bag;
	s->pass = pass;
	s->at[0] = s->at[1] = 0;
	s->read = s->spilled ? s->st[sql[bag][pass]] : NULL;
	for (int i = 0; i < NTABLES; i++) {
		struct table *t = &s->t[i];
		if (t->hashed && t->n > 1)
			qsort(t->rows, t->n, sizeof(*t->rows), by_key);
		t->hashed = false; /* it rises now */
	}
}

static struct trib_span row_of(const struct row *r) { return trib_span(r->p + r->key, r->row); }

static int next_keyed(struct trib_store *s, struct trib_hit *ret)
{
	const struct table *o = &s->t[KEYED_OLD], *n = &s->t[KEYED_NEW];
	while (s->at[0] < o->n || s->at[1] < n->n) {
		const struct row *a = s->at[0] < o->n ? &o->rows[s->at[0]] : NULL, *b = s->at[1] < n->n ? &n->rows[s->at[1]] : NULL;
		int c = !a ? 1 : !b ? -1 : cmp_rows(a, b);
		s->at[0] += c <= 0;
		s->at[1] += c >= 0;
		if (s->pass == TRIB_PASS_DELETES ? c >= 0 : s->pass == TRIB_PASS_INSERTS ? c <= 0 : c || trib_span_eq(row_of(a), row_of(b)))
			continue;
		*ret = (struct trib_hit){.old = a && c <= 0 ? row_of(a) : trib_span(NULL, 0), .new = b && c >= 0 ? row_of(b) : trib_span(NULL, 0)};
		return 1;
	}
	return 0;
}

static int next_bag(struct trib_store *s, struct trib_hit *ret)
{
	const struct table *t = &s->t[BAG];
	while (s->at[0] < t->n) {
		const struct row *r = &t->rows[s->at[0]++];
		int64_t is = r->base - r->old + r->new;
		enum trib_pass pass = is == 0 ? TRIB_PASS_DELETES : r->base ? TRIB_PASS_UPDATES : TRIB_PASS_INSERTS;
		if (pass != s->pass)
			continue;
		struct trib_span row = trib_span(r->p, r->key);
		*ret = (struct trib_hit){row, row, r->base, is};
		return 1;
	}
	return 0;
}

static struct trib_span column(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(st, i);
	return trib_span(p, (size_t)sqlite3_column_bytes(st, i));
}

int trib_store_next(struct trib_store *s, struct trib_hit *ret, struct trib_err *err)
{
	if (!s->spilled)
		return s->bag ? next_bag(s, ret) : next_keyed(s, ret);
	int row = trib_db_step(s->db, s->read, err);
	if (row != 1) {
		sqlite3_reset(s->read);
		return row;
	}
	struct trib_span first = column(s->read, 0);
	if (s->bag)
		*ret = (struct trib_hit){first, first, sqlite3_column_int64(s->read, 1), sqlite3_column_int64(s->read, 2)};
	else
		*ret = (struct trib_hit){.old = first, .new = column(s->read, 1)};
	return 1;
}
