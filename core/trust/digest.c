#include "core/trust/digest.h"

#include <endian.h>
#include <pthread.h>

#include <openssl/evp.h>

#include "core/trust/hash.h"

#define VECTOR (2 * TRIB_LANES)
#define BLOCK 64 /* SHA-256's */
#define SMALL 512 /* an element of at most this many bytes is hashed in one call */

/* Per element: HMAC from two copied midstates (183 ns; EVP_MAC with a kept key 240), ChaCha20 with all handles kept
 * (470 ns), 1,024 additions (57 ns). */
struct trib_digester {
	EVP_MD *sha256;
	EVP_CIPHER *chacha20;
	EVP_MD_CTX *inner, *outer, *work; /* inner and outer have absorbed the padded key */
	EVP_CIPHER_CTX *cipher;
	char app[TRIB_APP_MAX + 1];
	bool two;             /* may be used with a twin in another thread */
	struct trib_buf head; /* lp(app) lp(table) lp(key) of the row at hand */
	struct trib_buf key;
};

void trib_digester_free(struct trib_digester *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->inner);
	EVP_MD_CTX_free(d->outer);
	EVP_MD_CTX_free(d->work);
	EVP_CIPHER_CTX_free(d->cipher);
	EVP_MD_free(d->sha256);
	EVP_CIPHER_free(d->chacha20);
	trib_buf_release(&d->head);
	trib_buf_release(&d->key);
	free(d);
}

static bool absorb_key(EVP_MD_CTX *c, const EVP_MD *md, const uint8_t salt[TRIB_SALT_LEN], uint8_t pad)
{
	uint8_t block[BLOCK];
	for (size_t i = 0; i < BLOCK; i++)
		block[i] = (uint8_t)((i < TRIB_SALT_LEN ? salt[i] : 0) ^ pad);
	return EVP_DigestInit_ex(c, md, NULL) == 1 && EVP_DigestUpdate(c, block, BLOCK) == 1;
}

static const uint8_t zeros[VECTOR];

/* Fills what trib_digester_new left zero; frees d on failure. `salt` NULL: as `twin` has it. */
static bool open_digester(struct trib_digester *d, const uint8_t *salt, const struct trib_digester *twin)
{
	/* The key of a row of TRIB_ROW_MAX bytes, with room for type bytes and lengths. */
	trib_buf_init(&d->key, TRIB_ROW_MAX + 16 * TRIB_COLUMNS_MAX);
	trib_buf_init(&d->head, TRIB_ROW_MAX + 16 * TRIB_COLUMNS_MAX + 4 * TRIB_KIB);
	d->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	d->chacha20 = EVP_CIPHER_fetch(NULL, "ChaCha20", NULL);
	d->inner = EVP_MD_CTX_new();
	d->outer = EVP_MD_CTX_new();
	d->work = EVP_MD_CTX_new();
	d->cipher = EVP_CIPHER_CTX_new();
	bool ok = d->sha256 && d->chacha20 && d->inner && d->outer && d->work && d->cipher;
	if (ok && salt)
		ok = absorb_key(d->inner, d->sha256, salt, 0x36) && absorb_key(d->outer, d->sha256, salt, 0x5c);
	else if (ok)
		ok = EVP_MD_CTX_copy_ex(d->inner, twin->inner) == 1 && EVP_MD_CTX_copy_ex(d->outer, twin->outer) == 1;
	ok = ok && EVP_EncryptInit_ex(d->cipher, d->chacha20, NULL, zeros, zeros) == 1;
	if (!ok)
		trib_digester_free(d);
	return ok;
}

struct trib_digester *trib_digester_new(const uint8_t salt[TRIB_SALT_LEN], const char *app)
{
	struct trib_digester *d = calloc(1, sizeof(*d));
	size_t n = strlen(app);
	if (!d || n > TRIB_APP_MAX) {
		free(d);
		return NULL;
	}
	memcpy(d->app, app, n + 1);
	return open_digester(d, salt, NULL) ? d : NULL;
}

void trib_digester_two(struct trib_digester *d) { d->two = true; }

/* For another thread. NULL out of memory. */
static struct trib_digester *twin_of(const struct trib_digester *d)
{
	struct trib_digester *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	memcpy(t->app, d->app, sizeof(t->app));
	return open_digester(t, NULL, d) ? t : NULL;
}

static void add_lanes(uint16_t *restrict lanes, const uint16_t *restrict v)
{
	for (size_t i = 0; i < TRIB_LANES; i++)
		lanes[i] = (uint16_t)(lanes[i] + le16toh(v[i]));
}

static void sub_lanes(uint16_t *restrict lanes, const uint16_t *restrict v)
{
	for (size_t i = 0; i < TRIB_LANES; i++)
		lanes[i] = (uint16_t)(lanes[i] - le16toh(v[i]));
}

/* The element's bytes have gone into d->work: finish the HMAC, expand, add or subtract. */
static int move_element(struct trib_digester *d, struct trib_lanes_table *t, int sign, struct trib_err *err)
{
	uint8_t seed[TRIB_SHA256_LEN];
	uint16_t v[TRIB_LANES];
	int n;
	/* The IV must be given again: with the key alone OpenSSL lets the block counter run on. */
	if (EVP_DigestFinal_ex(d->work, seed, NULL) != 1 || EVP_MD_CTX_copy_ex(d->work, d->outer) != 1 ||
	    EVP_DigestUpdate(d->work, seed, sizeof(seed)) != 1 || EVP_DigestFinal_ex(d->work, seed, NULL) != 1 ||
	    EVP_EncryptInit_ex(d->cipher, NULL, NULL, seed, zeros) != 1 ||
	    EVP_EncryptUpdate(d->cipher, (uint8_t *)v, &n, zeros, VECTOR) != 1 || n != VECTOR)
		return trib_fail(err, TRIB_E_CRYPTO, "OpenSSL cannot compute the state digest; nothing was published");
	t->known = false;
	if (sign > 0)
		add_lanes(t->lanes, v);
	else
		sub_lanes(t->lanes, v);
	return 0;
}

static int element(struct trib_digester *d, struct trib_lanes_table *t, uint8_t kind, const struct trib_span *parts, size_t nparts, int sign,
		   struct trib_err *err)
{
	uint8_t small[SMALL];
	size_t n = 1;
	small[0] = kind;
	bool ok = EVP_MD_CTX_copy_ex(d->work, d->inner) == 1;
	for (size_t i = 0; i < nparts && ok; i++) {
		if (parts[i].n > SMALL - n) {
			ok = EVP_DigestUpdate(d->work, small, n) == 1;
			n = 0;
		}
		if (parts[i].n > SMALL) {
			ok = ok && EVP_DigestUpdate(d->work, parts[i].p, parts[i].n) == 1;
		} else if (parts[i].n) {
			memcpy(small + n, parts[i].p, parts[i].n);
			n += parts[i].n;
		}
	}
	if (!ok || EVP_DigestUpdate(d->work, small, n) != 1)
		return trib_fail(err, TRIB_E_CRYPTO, "OpenSSL cannot compute the state digest; nothing was published");
	return move_element(d, t, sign, err);
}

static void put_lp(struct trib_buf *b, const void *p, size_t n)
{
	trib_buf_be32(b, (uint32_t)n);
	trib_buf_put(b, p, n);
}

/* Sets the element head for one row. */
static int begin_row(struct trib_digester *d, const struct trib_lanes_table *t, struct trib_span key, struct trib_err *err)
{
	if (key.n > TRIB_ROW_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a key of %zu bytes is beyond the limit of a row", key.n);
	trib_buf_reset(&d->head);
	put_lp(&d->head, d->app, strlen(d->app));
	put_lp(&d->head, t->name, strlen(t->name));
	put_lp(&d->head, key.p, key.n);
	return trib_buf_check(&d->head, "digest element", err);
}

static int exists(struct trib_digester *d, struct trib_lanes_table *t, int sign, struct trib_err *err)
{
	struct trib_span head = trib_buf_span(&d->head);
	return element(d, t, 0x03, &head, 1, sign, err);
}

/* One cell; a NULL cell is no element. */
static int cell(struct trib_digester *d, struct trib_lanes_table *t, const char *column, const struct trib_value *v, int sign, struct trib_err *err)
{
	uint8_t name_len[4], value[9];
	struct trib_span rest = trib_span(NULL, 0);
	size_t n = 1;
	uint64_t bits;
	value[0] = (uint8_t)v->type;
	switch (v->type) {
	case TRIB_NULL:
		return 0;
	case TRIB_INT:
		trib_put_be64(value + 1, (uint64_t)v->i);
		n = 9;
		break;
	case TRIB_REAL:
		memcpy(&bits, &v->r, sizeof(bits));
		trib_put_be64(value + 1, bits);
		n = 9;
		break;
	case TRIB_TEXT:
	case TRIB_BLOB:
		if (v->s.n > UINT32_MAX)
			return trib_fail(err, TRIB_E_LIMIT, "a value of %zu bytes is beyond the limit of a row", v->s.n);
		trib_put_be32(value + 1, (uint32_t)v->s.n);
		n = 5;
		rest = v->s;
		break;
	default:
		return trib_fail(err, TRIB_E_FORMAT, "a row with an undefined value has no digest");
	}
	size_t column_n = strlen(column);
	trib_put_be32(name_len, (uint32_t)column_n);
	const struct trib_span parts[] = {trib_buf_span(&d->head), trib_span(name_len, 4), trib_span(column, column_n), trib_span(value, n), rest};
	return element(d, t, 0x02, parts, TRIB_COUNT(parts), sign, err);
}

static int move_rows(struct trib_lanes_table *t, uint64_t n, int sign, struct trib_err *err)
{
	if (sign < 0) {
		if (t->rows < n)
			return trib_fail(err, TRIB_E_DIGEST, "table %s: %llu rows removed where %llu are", t->name, (unsigned long long)n,
					 (unsigned long long)t->rows);
		t->rows -= n;
		if (t->rows < t->least)
			t->least = t->rows;
		return 0;
	}
	if (n > INT64_MAX || t->rows > INT64_MAX - n)
		return trib_fail(err, TRIB_E_DIGEST, "table %s: more rows than 2^63-1", t->name);
	t->rows += n;
	if (t->rows > t->most)
		t->most = t->rows;
	return 0;
}

/* How many rows a row stands for: 1, or its _count, the last column of a bag. */
static int weight(const struct trib_lanes_table *t, bool bag, const struct trib_value *count, uint64_t *ret, struct trib_err *err)
{
	if (!bag) {
		*ret = 1;
		return 0;
	}
	if (count->type != TRIB_INT || count->i < 1)
		return trib_fail(err, TRIB_E_FORMAT, "table %s: " TRIB_BAG_COUNT " is not an integer of at least 1", t->name);
	*ret = (uint64_t)count->i;
	return 0;
}

static int whole_row(struct trib_digester *d, struct trib_lanes_table *t, const struct trib_digest_cols *cols, struct trib_span key,
		     const struct trib_value *row, int sign, struct trib_err *err)
{
	uint64_t rows = 0;
	if (begin_row(d, t, key, err) || weight(t, cols->bag, &row[cols->ncol - 1], &rows, err) || move_rows(t, rows, sign, err) ||
	    exists(d, t, sign, err))
		return -1;
	for (size_t i = 0; i < cols->ncol; i++)
		if (!cols->pk[i] && cell(d, t, cols->names[i], &row[i], sign, err))
			return -1;
	return 0;
}

int trib_digest_row(struct trib_digester *d, struct trib_lanes_table *t, const struct trib_digest_cols *cols, const struct trib_value *row, int sign,
		    struct trib_err *err)
{
	if (cols->ncol == 0)
		return trib_fail(err, TRIB_E_SCHEMA, "table %s has no columns", t->name);
	trib_buf_reset(&d->key);
	trib_key_put(&d->key, cols->ncol, cols->pk, row);
	if (trib_buf_check(&d->key, "canonical key", err))
		return -1;
	return whole_row(d, t, cols, trib_buf_span(&d->key), row, sign, err);
}

static int no_rows(const struct trib_lanes_table *t, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_DIGEST, "table %s: an update where no rows are", t->name);
}

/* Removes the old cells that an update gives, adds the new ones; the row itself stays. */
static int update_row(struct trib_digester *d, struct trib_lanes_table *t, const struct trib_digest_cols *cols, const struct trib_change *c,
		      struct trib_err *err)
{
	size_t last = cols->ncol - 1;
	uint64_t was = 0, is = 0;
	if (cols->bag && (weight(t, true, &c->old[last], &was, err) || weight(t, true, &c->new[last], &is, err) || move_rows(t, was, -1, err) ||
			  move_rows(t, is, 1, err)))
		return -1;
	if (!t->rows)
		return no_rows(t, err);
	if (t->rows - 1 < t->least) /* one row at least has to be there */
		t->least = t->rows - 1;
	if (begin_row(d, t, c->key, err))
		return -1;
	for (size_t i = 0; i < cols->ncol; i++) {
		if (cols->pk[i] || c->new[i].type == TRIB_UNDEF)
			continue;
		if (cell(d, t, cols->names[i], &c->old[i], -1, err) || cell(d, t, cols->names[i], &c->new[i], 1, err))
			return -1;
	}
	return 0;
}

/* The table at hand while a changeset is walked. */
struct at_table {
	const uint8_t *header; /* where its name stands in the changeset: tells one header from the next */
	uint64_t base;         /* rows that a table starts with which the lanes do not have yet */
	struct trib_lanes_table *lanes;
	struct trib_digest_cols cols;
	char *folded[TRIB_COLUMNS_MAX + 1];
	struct trib_mf_table counts;
};

static void leave_table(struct at_table *at)
{
	for (size_t i = 0; i < at->cols.ncol; i++)
		free(at->folded[i]);
	at->cols.ncol = 0;
	free(at->counts.name);
	memset(&at->counts, 0, sizeof(at->counts));
}

static void at_table_free_cleanup(struct at_table **at)
{
	if (*at)
		leave_table(*at);
	free(*at);
}

static char *fold_dup(struct trib_span s)
{
	char *p = strndup((const char *)s.p, s.n);
	if (p)
		trib_fold((uint8_t *)p, strlen(p));
	return p;
}

static int check_columns(const struct trib_st_table *st, const struct trib_cs_table *t, struct trib_err *err)
{
	const char *kind = st->bag ? "bag" : "table";
	if (st->ncols + st->bag != t->ncol || st->bag != t->bag)
		return trib_fail(err, TRIB_E_SCHEMA, "%s %s: the changeset has %zu columns, the schema %zu", kind, st->name, t->ncol, st->ncols + st->bag);
	for (size_t i = 0; i < t->ncol; i++) {
		unsigned want = st->bag ? i < st->ncols : st->cols[i].pk;
		if (t->pk[i] != want)
			return trib_fail(err, TRIB_E_SCHEMA, "%s %s: column %zu has key byte %u in the changeset, %u in the schema", kind, st->name,
					 i + 1, t->pk[i], want);
	}
	return 0;
}

static int enter_table(struct at_table *at, struct trib_lanes *lanes, const struct trib_schematext *schema, const struct trib_cs_table *t,
		       struct trib_err *err)
{
	const struct trib_st_table *st = trib_schematext_find(schema, t->name);
	if (!st)
		return trib_fail(err, TRIB_E_SCHEMA, "table %.*s is in the changeset but not in the schema", t->name.n > 255 ? 255 : (int)t->name.n,
				 (const char *)t->name.p);
	if (check_columns(st, t, err))
		return -1;
	at->header = t->name.p;
	for (size_t i = 0; i < t->ncol; i++) {
		const char *name = i < st->ncols ? st->cols[i].name : TRIB_BAG_COUNT;
		at->folded[i] = fold_dup(trib_span_str(name));
		at->cols.ncol = i + 1;
		if (!at->folded[i])
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	}
	at->cols.names = (const char *const *)at->folded;
	at->cols.pk = t->pk;
	at->cols.bag = t->bag;
	at->counts.name = fold_dup(t->name);
	if (!at->counts.name)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	bool is_new = !trib_lanes_find(lanes, at->counts.name);
	if (is_new && lanes->ntables >= TRIB_LANES_TABLES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "this history has had more than %zu tables", (size_t)TRIB_LANES_TABLES_MAX);
	at->lanes = trib_lanes_get(lanes, at->counts.name);
	if (!at->lanes)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (is_new)
		at->lanes->rows = at->lanes->least = at->lanes->most = at->base;
	return 0;
}

/* What a change does to the number of rows. */
static int count_change(struct at_table *at, const struct trib_change *c, struct trib_err *err)
{
	struct trib_lanes_table *t = at->lanes;
	size_t last = at->cols.ncol - 1;
	uint64_t was = 0, is = 0;
	if (c->op == TRIB_UPDATE && !at->cols.bag)
		return t->rows ? 0 : no_rows(t, err);
	if ((c->op != TRIB_INSERT && (weight(t, at->cols.bag, &c->old[last], &was, err) || move_rows(t, was, -1, err))) ||
	    (c->op != TRIB_DELETE && (weight(t, at->cols.bag, &c->new[last], &is, err) || move_rows(t, is, 1, err))))
		return -1;
	return 0;
}

/* `d` NULL: rows are counted and nothing else. */
static int one_change(struct trib_digester *d, struct at_table *at, const struct trib_change *c, struct trib_err *err)
{
	if (!d) {
		uint64_t *n = c->op == TRIB_DELETE ? &at->counts.deleted : c->op == TRIB_INSERT ? &at->counts.inserted : &at->counts.updated;
		++*n;
		return count_change(at, c, err);
	}
	switch (c->op) {
	case TRIB_DELETE:
		at->counts.deleted++;
		return whole_row(d, at->lanes, &at->cols, c->key, c->old, -1, err);
	case TRIB_INSERT:
		at->counts.inserted++;
		return whole_row(d, at->lanes, &at->cols, c->key, c->new, 1, err);
	case TRIB_UPDATE:
		at->counts.updated++;
		return update_row(d, at->lanes, &at->cols, c, err);
	}
	return trib_fail(err, TRIB_E_FORMAT, "unknown kind of change %d", (int)c->op);
}

/* Whose elements a walk computes; the rows of all changes are counted. */
struct share { unsigned of, mine; }; /* every of'th change, from the mine'th on */
static const struct share everything = {1, 0};

static int walk(struct trib_digester *d, struct share share, struct trib_lanes *lanes, uint64_t base, const struct trib_schematext *schema, struct trib_span changeset,
		struct trib_manifest *ret_counts, struct trib_err *err)
{
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(changeset);
	TRIB_AUTO(at_table_free) struct at_table *at = calloc(1, sizeof(*at));
	if (!r || !at)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	at->base = base;
	for (unsigned i = 0;; i = (i + 1) % share.of) {
		struct trib_change c;
		int got = trib_cs_next(r, &c, err);
		if (got < 0)
			return -1;
		bool leaves = at->header && (!got || c.table->name.p != at->header);
		if (leaves && ret_counts && trib_manifest_add_table(ret_counts, &at->counts, err))
			return -1;
		if (!got)
			return 0;
		if (leaves)
			leave_table(at);
		if ((leaves || !at->header) && enter_table(at, lanes, schema, c.table, err))
			return -1;
		if (one_change(i == share.mine ? d : NULL, at, &c, err))
			return -1;
	}
}

/* ---- two threads ---- */

#define ALONE_MAX (64 * TRIB_KIB) /* bytes of a changeset; below, a thread costs more than it saves */

struct second { /* every other change, as moves */
	struct trib_digester *d;
	const struct trib_schematext *schema;
	struct trib_span changeset;
	struct trib_lanes moves;
	int rc;
	struct trib_err err;
};

static void *walk_second(void *arg)
{
	struct second *s = arg;
	s->rc = walk(s->d, (struct share){2, 1}, &s->moves, TRIB_MOVES_BASE, s->schema, s->changeset, NULL, &s->err);
	return NULL;
}

/* The elements of the other half; its rows are counted already. */
static int join_second(struct second *s, struct trib_lanes *lanes, struct trib_err *err)
{
	if (s->rc) {
		*err = s->err;
		return -1;
	}
	for (size_t i = 0; i < s->moves.ntables; i++) {
		const struct trib_lanes_table *m = s->moves.tables[i];
		struct trib_lanes_table *t = trib_lanes_get(lanes, m->name);
		if (!t)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest of %s", m->name);
		for (size_t j = 0; j < TRIB_LANES; j++)
			t->lanes[j] = (uint16_t)(t->lanes[j] + m->lanes[j]);
	}
	return 0;
}

/* What is wrong is found by the first thread, which sees every change, in the words of a walk alone. */
static int walk_two(struct trib_digester *d, struct second *s, struct trib_lanes *lanes, struct trib_manifest *ret_counts, struct trib_err *err)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, walk_second, s))
		return walk(d, everything, lanes, 0, s->schema, s->changeset, ret_counts, err);
	int rc = walk(d, (struct share){2, 0}, lanes, 0, s->schema, s->changeset, ret_counts, err);
	pthread_join(thread, NULL);
	if (!rc)
		rc = join_second(s, lanes, err);
	return rc;
}

int trib_digest_changeset(struct trib_digester *d, struct trib_lanes *lanes, const struct trib_schematext *schema, struct trib_span changeset,
			  struct trib_manifest *ret_counts, struct trib_err *err)
{
	TRIB_AUTO(trib_digester) struct trib_digester *twin = d->two && changeset.n > ALONE_MAX ? twin_of(d) : NULL;
	if (!twin)
		return walk(d, everything, lanes, 0, schema, changeset, ret_counts, err);
	struct second s = {.d = twin, .schema = schema, .changeset = changeset};
	int rc = walk_two(d, &s, lanes, ret_counts, err);
	trib_lanes_release(&s.moves);
	return rc;
}

int trib_digest_count(struct trib_lanes *lanes, const struct trib_schematext *schema, struct trib_span changeset, struct trib_manifest *ret_counts,
		      struct trib_err *err)
{
	return walk(NULL, everything, lanes, 0, schema, changeset, ret_counts, err);
}

int trib_digest_moves(struct trib_digester *d, const struct trib_schematext *schema, struct trib_span changeset, struct trib_lanes *ret,
		      struct trib_manifest *ret_counts, struct trib_err *err)
{
	struct trib_lanes moves = {0};
	if (walk(d, everything, &moves, TRIB_MOVES_BASE, schema, changeset, ret_counts, err)) {
		trib_lanes_release(&moves);
		return -1;
	}
	*ret = moves;
	return 0;
}

/* Would every step of the changeset have been right on `rows` rows? */
static bool fits(const struct trib_lanes_table *move, uint64_t rows)
{
	return rows >= TRIB_MOVES_BASE - move->least && move->most - TRIB_MOVES_BASE <= INT64_MAX - rows;
}

int trib_lanes_move(struct trib_lanes *to, const struct trib_lanes *moves, struct trib_err *err)
{
	for (size_t i = 0; i < moves->ntables; i++) {
		const struct trib_lanes_table *t = trib_lanes_find(to, moves->tables[i]->name);
		if (!t || t->rows > INT64_MAX || !fits(moves->tables[i], t->rows))
			return 0;
	}
	for (size_t i = 0; i < moves->ntables; i++) {
		const struct trib_lanes_table *m = moves->tables[i];
		struct trib_lanes_table *t = trib_lanes_get(to, m->name);
		if (!t)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest of %s", m->name);
		t->rows += m->rows - TRIB_MOVES_BASE; /* modulo 2^64: may be a fall */
		for (size_t j = 0; j < TRIB_LANES; j++)
			t->lanes[j] = (uint16_t)(t->lanes[j] + m->lanes[j]);
	}
	return 1;
}
