#include "core/format/manifest.h"

#include "core/base/clock.h"

#define NAME_BYTES_MAX (TRIB_NAME_MAX + 11) /* a bag's name is eleven bytes longer than its table's */

static const char *const kinds[] = {
	[TRIB_KIND_CHANGE] = "change", [TRIB_KIND_ADOPT] = "adopt",   [TRIB_KIND_RESET] = "reset",
	[TRIB_KIND_ROTATE] = "rotate", [TRIB_KIND_CLOSED] = "closed",
};

const char *trib_kind_name(enum trib_kind kind)
{
	return (size_t)kind < TRIB_COUNT(kinds) ? kinds[kind] : "unknown";
}

void trib_manifest_release(struct trib_manifest *m)
{
	for (size_t i = 0; i < m->ntables; i++)
		free(m->tables[i].name);
	for (size_t i = 0; i < m->nsequences; i++)
		free(m->sequences[i].table);
	for (size_t i = 0; i < m->nrenamed; i++) {
		free(m->renamed[i].table);
		free(m->renamed[i].from);
		free(m->renamed[i].to);
	}
	for (size_t i = 0; i < m->nbraked; i++)
		free(m->braked[i].table);
	for (size_t i = 0; i < m->nleft_out; i++)
		free(m->left_out[i].name);
	free(m->tables);
	free(m->sequences);
	free(m->renamed);
	free(m->braked);
	free(m->left_out);
	*m = (struct trib_manifest){0};
}

/* ---- growing the arrays ---- */

/* Makes room for one more element. Capacities are the powers of two, so none is stored. */
static int room(void **array, size_t n, size_t size, const char *what, struct trib_err *err)
{
	if (n >= TRIB_TABLES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "%s lines: more than the limit of %d", what, TRIB_TABLES_MAX);
	if (n & (n - 1))
		return 0;
	void *p = realloc(*array, (n ? 2 * n : 1) * size);
	if (!p)
		return trib_fail(err, TRIB_E_NOMEM, "%s lines: out of memory", what);
	*array = p;
	return 0;
}

/* A copy of a name, folded when asked for; NULL with *err. */
static char *copy_name(const char *name, bool fold, const char *what, struct trib_err *err)
{
	size_t n = strlen(name);
	if (n > NAME_BYTES_MAX) {
		trib_fail(err, TRIB_E_LIMIT, "%s: a name longer than the limit of %d bytes", what, NAME_BYTES_MAX);
		return NULL;
	}
	char *p = strdup(name);
	if (!p)
		trib_fail(err, TRIB_E_NOMEM, "%s: out of memory", what);
	else if (fold)
		trib_fold((uint8_t *)p, n);
	return p;
}

int trib_manifest_add_table(struct trib_manifest *m, const struct trib_mf_table *t, struct trib_err *err)
{
	if (room((void **)&m->tables, m->ntables, sizeof(m->tables[0]), "table", err))
		return -1;
	struct trib_mf_table own = *t;
	if (!(own.name = copy_name(t->name, true, "table", err)))
		return -1;
	m->tables[m->ntables++] = own;
	return 0;
}

int trib_manifest_add_sequence(struct trib_manifest *m, const char *table, uint64_t value, struct trib_err *err)
{
	if (room((void **)&m->sequences, m->nsequences, sizeof(m->sequences[0]), "sequence", err))
		return -1;
	char *own = copy_name(table, true, "sequence", err);
	if (!own)
		return -1;
	m->sequences[m->nsequences++] = (struct trib_mf_sequence){own, value};
	return 0;
}

int trib_manifest_add_renamed(struct trib_manifest *m, const char *table, const char *from, const char *to, struct trib_err *err)
{
	if (room((void **)&m->renamed, m->nrenamed, sizeof(m->renamed[0]), "renamed", err))
		return -1;
	TRIB_AUTO(trib_mem) char *t = NULL;
	TRIB_AUTO(trib_mem) char *f = copy_name(from, false, "renamed", err);
	TRIB_AUTO(trib_mem) char *o = f ? copy_name(to, false, "renamed", err) : NULL;
	if (!f || !o || (table && !(t = copy_name(table, false, "renamed", err))))
		return -1;
	m->renamed[m->nrenamed++] = (struct trib_mf_renamed){t, f, o};
	t = f = o = NULL;
	return 0;
}

int trib_manifest_add_braked(struct trib_manifest *m, const char *table, uint64_t lost, struct trib_err *err)
{
	if (room((void **)&m->braked, m->nbraked, sizeof(m->braked[0]), "braked", err))
		return -1;
	char *own = copy_name(table, false, "braked", err);
	if (!own)
		return -1;
	m->braked[m->nbraked++] = (struct trib_mf_braked){own, lost};
	return 0;
}

/* 1 to size-1 characters of the alphabet `a-z` and `extra`. */
static bool is_word(struct trib_span w, size_t size, char extra)
{
	if (w.n < 1 || w.n >= size)
		return false;
	for (size_t i = 0; i < w.n; i++)
		if ((w.p[i] < 'a' || w.p[i] > 'z') && w.p[i] != (uint8_t)extra)
			return false;
	return true;
}

int trib_manifest_add_left_out(struct trib_manifest *m, const char *name, const char *reason, uint64_t count, struct trib_err *err)
{
	struct trib_mf_left_out lo = {.count = count};
	if (!is_word(trib_span_str(reason), sizeof(lo.reason), '-'))
		return trib_fail(err, TRIB_E_FORMAT, "left-out: the reason is not a word of a-z and -");
	if (room((void **)&m->left_out, m->nleft_out, sizeof(m->left_out[0]), "left-out", err) ||
	    !(lo.name = copy_name(name, false, "left-out", err)))
		return -1;
	memcpy(lo.reason, reason, strlen(reason));
	m->left_out[m->nleft_out++] = lo;
	return 0;
}

int trib_manifest_add_blob(struct trib_manifest *m, const char *name, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct trib_mf_blob blob = {0};
	if (!is_word(trib_span_str(name), sizeof(blob.name), '.'))
		return trib_fail(err, TRIB_E_FORMAT, "blob: the name is not of a-z and .");
	if (m->nblobs >= TRIB_COUNT(m->blobs))
		return trib_fail(err, TRIB_E_LIMIT, "blob lines: more than the limit of %zu", TRIB_COUNT(m->blobs));
	memcpy(blob.name, name, strlen(name));
	memcpy(blob.sha256, sha256, sizeof(blob.sha256));
	m->blobs[m->nblobs++] = blob;
	return 0;
}

const struct trib_mf_blob *trib_manifest_blob(const struct trib_manifest *m, const char *name)
{
	for (size_t i = 0; i < m->nblobs; i++)
		if (strcmp(m->blobs[i].name, name) == 0)
			return &m->blobs[i];
	return NULL;
}

static void add_capped(uint64_t *sum, uint64_t by)
{
	if (__builtin_add_overflow(*sum, by, sum))
		*sum = UINT64_MAX;
}

void trib_manifest_counts(const struct trib_manifest *m, uint64_t *ret_ins, uint64_t *ret_upd, uint64_t *ret_del)
{
	uint64_t ins = 0, upd = 0, del = 0;
	for (size_t i = 0; i < m->ntables; i++) {
		add_capped(&ins, m->tables[i].inserted);
		add_capped(&upd, m->tables[i].updated);
		add_capped(&del, m->tables[i].deleted);
	}
	*ret_ins = ins;
	*ret_upd = upd;
	*ret_del = del;
}

/* ---- order of lines ---- */

static int blob_cmp(const void *a, const void *b)
{
	const struct trib_mf_blob *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static int table_cmp(const void *a, const void *b)
{
	const struct trib_mf_table *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static int sequence_cmp(const void *a, const void *b)
{
	const struct trib_mf_sequence *x = a, *y = b;
	return strcmp(x->table, y->table);
}

static int renamed_cmp(const void *a, const void *b)
{
	const struct trib_mf_renamed *x = a, *y = b;
	if (!x->table != !y->table)
		return x->table ? 1 : -1;
	int c = x->table ? strcmp(x->table, y->table) : 0;
	return c ? c : strcmp(x->from, y->from);
}

static int braked_cmp(const void *a, const void *b)
{
	const struct trib_mf_braked *x = a, *y = b;
	return strcmp(x->table, y->table);
}

static int left_out_cmp(const void *a, const void *b)
{
	const struct trib_mf_left_out *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	return c ? c : strcmp(x->reason, y->reason);
}

static void sort(void *array, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	if (n)
		qsort(array, n, size, cmp);
}

void trib_manifest_sort(struct trib_manifest *m)
{
	sort(m->blobs, m->nblobs, sizeof(m->blobs[0]), blob_cmp);
	sort(m->tables, m->ntables, sizeof(m->tables[0]), table_cmp);
	sort(m->sequences, m->nsequences, sizeof(m->sequences[0]), sequence_cmp);
	sort(m->renamed, m->nrenamed, sizeof(m->renamed[0]), renamed_cmp);
	sort(m->braked, m->nbraked, sizeof(m->braked[0]), braked_cmp);
	sort(m->left_out, m->nleft_out, sizeof(m->left_out[0]), left_out_cmp);
}

/* ---- parser ---- */

struct name { char text[NAME_BYTES_MAX + 1]; };

/* Decodes a name into a C string. */
static int take_name(const struct trib_kv *kv, struct trib_span f, bool folded, struct name *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
	if (trib_kv_name(kv, f, "name", NAME_BYTES_MAX, &b, err))
		return -1;
	if (b.len && memchr(b.p, 0, b.len))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: NUL in a name", kv->line);
	for (size_t i = 0; folded && i < b.len; i++)
		if (b.p[i] >= 'A' && b.p[i] <= 'Z')
			return trib_fail(err, TRIB_E_FORMAT, "line %u: a name that is not folded", kv->line);
	memcpy(ret->text, trib_buf_str(&b), b.len + 1);
	return 0;
}

static int rising(const struct trib_kv *kv, int cmp, struct trib_err *err)
{
	if (cmp >= 0)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: lines are not rising", kv->line);
	return 0;
}

static int take_city(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	struct trib_span f;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
	if (trib_kv_take(kv, "city", 1, &f, err) || trib_kv_name(kv, f, "city", TRIB_TITLE_MAX, &b, err))
		return -1;
	if (b.len && memchr(b.p, 0, b.len))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: NUL in a name", kv->line);
	memcpy(m->city, trib_buf_str(&b), b.len + 1);
	return 0;
}

static int take_kind(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, "kind", 1, &f, err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(kinds); i++) {
		if (trib_span_is(f, kinds[i])) {
			m->kind = (enum trib_kind)i;
			return 0;
		}
	}
	return trib_fail(err, TRIB_E_FORMAT, "line %u: unknown kind", kv->line);
}

static int take_part(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	struct trib_span f;
	if (trib_kv_take(kv, "part", 1, &f, err))
		return -1;
	const uint8_t *slash = memchr(f.p, '/', f.n);
	if (!slash)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: part is not N/M", kv->line);
	size_t n = (size_t)(slash - f.p);
	if (trib_kv_u64(kv, trib_span(f.p, n), "part", &m->part, err) ||
	    trib_kv_u64(kv, trib_span(slash + 1, f.n - n - 1), "parts", &m->parts, err))
		return -1;
	if (m->part < 1 || m->part > m->parts)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: part is not within 1 and the number of parts", kv->line);
	if (m->parts > TRIB_PARTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "line %u: parts: more than the limit of %d", kv->line, TRIB_PARTS_MAX);
	return 0;
}

static int take_head(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	struct trib_span f[2];
	if (trib_kv_take_is(kv, "format", "tributary-manifest-1", err) || take_city(kv, m, err) ||
	    trib_kv_take_id(kv, "node", m->node, sizeof(m->node), err) ||
	    trib_kv_take_id(kv, "app", m->app, sizeof(m->app), err) ||
	    trib_kv_take_u64(kv, "incarnation", &m->incarnation, err) || trib_kv_take_u64(kv, "seq", &m->seq, err))
		return -1;
	if (m->seq == 0)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: seq begins with 1", kv->line);
	if (trib_kv_take_hex(kv, "prev", m->prev, sizeof(m->prev), err) || take_kind(kv, m, err) || take_part(kv, m, err) ||
	    trib_kv_take_time(kv, "captured-at", &m->captured_at, err) || trib_kv_take(kv, "checkpoint", 2, f, err) ||
	    trib_kv_u64(kv, f[0], "checkpoint size", &m->checkpoint_size, err) ||
	    trib_kv_hex(kv, f[1], "checkpoint root", m->checkpoint_root, sizeof(m->checkpoint_root), err) ||
	    trib_kv_take_u64(kv, "policy", &m->policy, err) || trib_kv_take_u64(kv, "broadcast", &m->broadcast, err))
		return -1;
	if (!trib_kv_at(kv, "adopts"))
		return 0;
	if (trib_kv_take_hex(kv, "adopts", m->adopts, sizeof(m->adopts), err))
		return -1;
	m->has_adopts = true;
	if (m->kind != TRIB_KIND_ADOPT)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: adopts in a manifest of another kind", kv->line);
	return 0;
}

static int take_blobs(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	while (trib_kv_at(kv, "blob")) {
		struct trib_span f[2];
		struct trib_mf_blob b = {0};
		if (trib_kv_take(kv, "blob", 2, f, err))
			return -1;
		if (!is_word(f[0], sizeof(b.name), '.'))
			return trib_fail(err, TRIB_E_FORMAT, "line %u: blob: the name is not of a-z and .", kv->line);
		memcpy(b.name, f[0].p, f[0].n);
		if (trib_kv_hex(kv, f[1], "blob", b.sha256, sizeof(b.sha256), err) ||
		    (m->nblobs && rising(kv, blob_cmp(&m->blobs[m->nblobs - 1], &b), err)))
			return -1;
		if (trib_manifest_add_blob(m, b.name, b.sha256, err))
			return trib_ctx(err, "line %u", kv->line);
	}
	return 0;
}

static int take_lengths(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	struct trib_span f[2];
	if (trib_kv_take(kv, "changeset", 2, f, err) || trib_kv_u64(kv, f[0], "changeset length", &m->raw_len, err) ||
	    trib_kv_u64(kv, f[1], "compressed length", &m->gz_len, err))
		return -1;
	if (m->raw_len > TRIB_CHANGESET_RAW_MAX || m->gz_len > TRIB_CHANGESET_GZ_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "line %u: changeset: over the limit of %zu bytes, %zu compressed", kv->line,
				 TRIB_CHANGESET_RAW_MAX, TRIB_CHANGESET_GZ_MAX);
	if (!m->raw_len != !m->gz_len)
		return trib_fail(err, TRIB_E_FORMAT, "line %u: changeset: one of the two lengths is 0", kv->line);
	if (!m->gz_len != !trib_manifest_blob(m, "changeset.gz"))
		return trib_fail(err, TRIB_E_FORMAT, "line %u: changeset: the lengths and the blob lines contradict", kv->line);
	return 0;
}

static int take_tables(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	while (trib_kv_at(kv, "table")) {
		struct trib_span f[6];
		struct name name;
		struct trib_mf_table t = {.name = name.text};
		if (trib_kv_take(kv, "table", 6, f, err) || take_name(kv, f[0], true, &name, err) ||
		    (m->ntables && rising(kv, table_cmp(&m->tables[m->ntables - 1], &t), err)) ||
		    trib_kv_u64(kv, f[1], "inserted", &t.inserted, err) || trib_kv_u64(kv, f[2], "updated", &t.updated, err) ||
		    trib_kv_u64(kv, f[3], "deleted", &t.deleted, err) || trib_kv_u64(kv, f[4], "rows", &t.rows, err) ||
		    trib_kv_hex(kv, f[5], "table digest", t.digest, sizeof(t.digest), err))
			return -1;
		if (trib_manifest_add_table(m, &t, err))
			return trib_ctx(err, "line %u", kv->line);
	}
	return 0;
}

static int take_sequences(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	while (trib_kv_at(kv, "sequence")) {
		struct trib_span f[2];
		struct name name;
		struct trib_mf_sequence s = {.table = name.text};
		if (trib_kv_take(kv, "sequence", 2, f, err) || take_name(kv, f[0], true, &name, err) ||
		    (m->nsequences && rising(kv, sequence_cmp(&m->sequences[m->nsequences - 1], &s), err)) ||
		    trib_kv_u64(kv, f[1], "sequence", &s.value, err))
			return -1;
		if (trib_manifest_add_sequence(m, s.table, s.value, err))
			return trib_ctx(err, "line %u", kv->line);
	}
	return 0;
}

static int take_renamed(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	while (trib_kv_at(kv, "renamed")) {
		struct trib_span f[3];
		struct name table, from, to;
		if (trib_kv_take(kv, "renamed", 3, f, err) || take_name(kv, f[0], false, &table, err) ||
		    take_name(kv, f[1], false, &from, err) || take_name(kv, f[2], false, &to, err))
			return -1;
		struct trib_mf_renamed r = {trib_span_is(f[0], "-") ? NULL : table.text, from.text, to.text};
		if (m->nrenamed && rising(kv, renamed_cmp(&m->renamed[m->nrenamed - 1], &r), err))
			return -1;
		if (trib_manifest_add_renamed(m, r.table, r.from, r.to, err))
			return trib_ctx(err, "line %u", kv->line);
	}
	return 0;
}

static int take_braked(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	while (trib_kv_at(kv, "braked")) {
		struct trib_span f[2];
		struct name name;
		struct trib_mf_braked b = {.table = name.text};
		if (trib_kv_take(kv, "braked", 2, f, err) || take_name(kv, f[0], false, &name, err) ||
		    (m->nbraked && rising(kv, braked_cmp(&m->braked[m->nbraked - 1], &b), err)) ||
		    trib_kv_u64(kv, f[1], "braked", &b.lost, err))
			return -1;
		if (trib_manifest_add_braked(m, b.table, b.lost, err))
			return trib_ctx(err, "line %u", kv->line);
	}
	return 0;
}

static int take_left_out(struct trib_kv *kv, struct trib_manifest *m, struct trib_err *err)
{
	while (trib_kv_at(kv, "left-out")) {
		struct trib_span f[3];
		struct name name;
		struct trib_mf_left_out lo = {.name = name.text};
		if (trib_kv_take(kv, "left-out", 3, f, err) || take_name(kv, f[0], false, &name, err) ||
		    trib_kv_u64(kv, f[2], "left-out", &lo.count, err))
			return -1;
		if (!is_word(f[1], sizeof(lo.reason), '-'))
			return trib_fail(err, TRIB_E_FORMAT, "line %u: left-out: the reason is not a word of a-z and -", kv->line);
		memcpy(lo.reason, f[1].p, f[1].n);
		if (m->nleft_out && rising(kv, left_out_cmp(&m->left_out[m->nleft_out - 1], &lo), err))
			return -1;
		if (trib_manifest_add_left_out(m, lo.name, lo.reason, lo.count, err))
			return trib_ctx(err, "line %u", kv->line);
	}
	return 0;
}

int trib_manifest_parse(struct trib_span text, struct trib_manifest *ret, struct trib_err *err)
{
	if (text.n > TRIB_MANIFEST_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "manifest: larger than the limit of %zu bytes", TRIB_MANIFEST_MAX);
	struct trib_kv kv = trib_kv(text);
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	if (take_head(&kv, &m, err) || take_blobs(&kv, &m, err) || take_lengths(&kv, &m, err) || take_tables(&kv, &m, err) ||
	    take_sequences(&kv, &m, err) || take_renamed(&kv, &m, err) || take_braked(&kv, &m, err) ||
	    take_left_out(&kv, &m, err) || trib_kv_take_hex(&kv, "digest", m.digest, sizeof(m.digest), err) ||
	    trib_kv_end(&kv, err))
		return trib_ctx(err, "manifest");
	*ret = m;
	m = (struct trib_manifest){0};
	return 0;
}

/* ---- writer ---- */

static void put_name(struct trib_buf *b, const char *key, const char *name)
{
	trib_buf_printf(b, "%s ", key);
	trib_pct(b, trib_span_str(name));
}

static void put_hex(struct trib_buf *b, const char *key, const uint8_t *p, size_t n)
{
	trib_buf_printf(b, "%s ", key);
	trib_buf_hex(b, p, n);
	trib_buf_putc(b, '\n');
}

static void put_u64(struct trib_buf *b, const char *key, uint64_t v)
{
	trib_buf_printf(b, "%s %llu\n", key, (unsigned long long)v);
}

static void put_head(struct trib_buf *b, const struct trib_manifest *m)
{
	char when[TRIB_TIME_LEN + 1];
	trib_time_text(when, m->captured_at);
	trib_buf_puts(b, "format tributary-manifest-1\n");
	put_name(b, "city", m->city);
	trib_buf_printf(b, "\nnode %s\napp %s\n", m->node, m->app);
	put_u64(b, "incarnation", m->incarnation);
	put_u64(b, "seq", m->seq);
	put_hex(b, "prev", m->prev, sizeof(m->prev));
	trib_buf_printf(b, "kind %s\npart %llu/%llu\ncaptured-at %s\ncheckpoint %llu ", trib_kind_name(m->kind),
			(unsigned long long)m->part, (unsigned long long)m->parts, when,
			(unsigned long long)m->checkpoint_size);
	trib_buf_hex(b, m->checkpoint_root, sizeof(m->checkpoint_root));
	trib_buf_putc(b, '\n');
	put_u64(b, "policy", m->policy);
	put_u64(b, "broadcast", m->broadcast);
	if (m->has_adopts)
		put_hex(b, "adopts", m->adopts, sizeof(m->adopts));
	for (size_t i = 0; i < m->nblobs; i++) {
		trib_buf_puts(b, "blob ");
		put_hex(b, m->blobs[i].name, m->blobs[i].sha256, sizeof(m->blobs[i].sha256));
	}
	trib_buf_printf(b, "changeset %llu %llu\n", (unsigned long long)m->raw_len, (unsigned long long)m->gz_len);
}

void trib_manifest_put(struct trib_buf *b, const struct trib_manifest *m)
{
	put_head(b, m);
	for (size_t i = 0; i < m->ntables; i++) {
		const struct trib_mf_table *t = &m->tables[i];
		put_name(b, "table", t->name);
		trib_buf_printf(b, " %llu %llu %llu %llu ", (unsigned long long)t->inserted, (unsigned long long)t->updated,
				(unsigned long long)t->deleted, (unsigned long long)t->rows);
		trib_buf_hex(b, t->digest, sizeof(t->digest));
		trib_buf_putc(b, '\n');
	}
	for (size_t i = 0; i < m->nsequences; i++) {
		put_name(b, "sequence", m->sequences[i].table);
		put_u64(b, "", m->sequences[i].value);
	}
	for (size_t i = 0; i < m->nrenamed; i++) {
		const struct trib_mf_renamed *r = &m->renamed[i];
		put_name(b, "renamed", r->table ? r->table : "-");
		put_name(b, "", r->from);
		put_name(b, "", r->to);
		trib_buf_putc(b, '\n');
	}
	for (size_t i = 0; i < m->nbraked; i++) {
		put_name(b, "braked", m->braked[i].table);
		put_u64(b, "", m->braked[i].lost);
	}
	for (size_t i = 0; i < m->nleft_out; i++) {
		put_name(b, "left-out", m->left_out[i].name);
		trib_buf_printf(b, " %s", m->left_out[i].reason);
		put_u64(b, "", m->left_out[i].count);
	}
	put_hex(b, "digest", m->digest, sizeof(m->digest));
}
