/* One real city file against its derivation: schema, catalogue, ledger, marks, every row of every mirror, and the rows' digests. */
#include "core/trust/hash.h"
#include "hub/audit_impl.h"

#define SHOW_MAX 96      /* bytes of a text that a finding shows */
#define SHOW_BLOB_MAX 32 /* a longer blob shows its beginning: hashes are shown whole */

enum node_state {
	NODE_FINE,       /* both files hold it: compare */
	NODE_UNPROVABLE, /* its history is damaged now, so nothing right can be derived beyond that */
	NODE_WAITING,    /* the real file stopped at damage that has been mended since */
};

struct cmp {
	struct trib_audit *a;
	struct trib_audit_file *real;
	struct trib_city *made;
	const char *table;    /* as findings name it */
	int nkey, node_col;   /* first nkey columns are the key; node_col -1: no node in it */
	bool bag;
	char node[TRIB_NODE_MAX + 1]; /* that `state` is about */
	enum node_state state;
	sqlite3_stmt *told; /* kept: is_told */
};

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

/* ---- showing values ---- */

/* Length of a well-formed UTF-8 sequence at p, 0 when it is none or a control character. */
static size_t utf8_len(const uint8_t *p, size_t n)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
	if (len == 0 || len > n || p[0] < 0x20 || p[0] == 0x7f)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

static void show_text(struct trib_buf *b, struct trib_span s)
{
	trib_buf_putc(b, '\'');
	for (size_t i = 0; i < s.n;) {
		size_t len = utf8_len(s.p + i, s.n - i);
		if (i >= SHOW_MAX) {
			trib_buf_printf(b, "'... (%zu bytes)", s.n);
			return;
		}
		if (len)
			trib_buf_put(b, s.p + i, len);
		else
			trib_buf_printf(b, "\\x%02x", s.p[i]);
		i += len ? len : 1;
	}
	trib_buf_putc(b, '\'');
}

static void show(struct trib_buf *b, const struct trib_value *v)
{
	switch (v->type) {
	case TRIB_INT:
		trib_buf_printf(b, "%lld", (long long)v->i);
		break;
	case TRIB_REAL:
		trib_buf_printf(b, "%.17g (real)", v->r);
		break;
	case TRIB_TEXT:
		show_text(b, v->s);
		break;
	case TRIB_BLOB:
		trib_buf_puts(b, "x'");
		trib_buf_hex(b, v->s.p, v->s.n > SHOW_BLOB_MAX ? 8 : v->s.n);
		if (v->s.n > SHOW_BLOB_MAX)
			trib_buf_printf(b, "'... (%zu bytes)", v->s.n);
		else
			trib_buf_putc(b, '\'');
		break;
	default:
		trib_buf_puts(b, "NULL");
	}
}

/* `name=value name=value`: the key without the node; of a bag, whose key is a hash, the row itself. */
static void show_key(const struct cmp *c, sqlite3_stmt *st, struct trib_buf *b)
{
	int from = c->bag ? c->nkey : 0, to = c->bag ? sqlite3_column_count(st) : c->nkey;
	for (int i = from; i < to && b->len < 512; i++) {
		struct trib_value v;
		const char *name = sqlite3_column_name(st, i);
		if (i == c->node_col || (c->bag && strcmp(name, "_count") == 0))
			continue;
		trib_value_column(st, i, &v);
		trib_buf_printf(b, "%s%s=", b->len ? " " : "", name);
		show(b, &v);
	}
	if (!b->len)
		trib_buf_putc(b, '-');
}

/* ---- nodes ---- */

static int history_of(sqlite3 *db, const char *node, sqlite3_stmt **ret, struct trib_err *err)
{
	return trib_audit_sql(db, ret, err, "SELECT tip, coalesce(out_of_step, '') FROM _t_history WHERE node = ?", "s", node);
}

static int set_node(struct cmp *c, const char *node, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *r = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *m = NULL;
	if (c->node[0] && strcmp(c->node, node) == 0)
		return 0;
	(void)snprintf(c->node, sizeof(c->node), "%s", node);
	c->state = NODE_FINE;
	if (history_of(c->real->db, node, &r, err) || history_of(c->made->db, node, &m, err))
		return -1;
	int has_r = trib_db_step(c->real->db, r, err), has_m = has_r < 0 ? -1 : trib_db_step(c->made->db, m, err);
	if (has_r < 0 || has_m < 0)
		return -1;
	bool same = has_r && has_m && trib_span_eq(trib_span(sqlite3_column_blob(r, 0), (size_t)sqlite3_column_bytes(r, 0)),
						   trib_span(sqlite3_column_blob(m, 0), (size_t)sqlite3_column_bytes(m, 0)));
	if (has_m && !same && strcmp(text(m, 1), "damaged") == 0)
		c->state = NODE_UNPROVABLE;
	else if (has_r && !same && strcmp(text(r, 1), "damaged") == 0)
		c->state = NODE_WAITING;
	return 0;
}

static int tip_of(sqlite3 *db, const char *node, struct trib_tip *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (history_of(db, node, &st, err))
		return -1;
	int row = trib_db_step(db, st, err);
	if (row <= 0 || sqlite3_column_bytes(st, 0) == 0)
		return row < 0 ? -1 : 0; /* a node that was stopped at its first commit has no tip */
	return trib_tip_parse(trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), ret, err);
}

/* Names a row, with the commit that the node's derivation stands at. */
static int find_row(struct cmp *c, sqlite3_stmt *st, const char *what, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf key = TRIB_BUF(16 * TRIB_KIB);
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	struct trib_where w = {.app = c->real->app, .table = c->table};
	struct trib_err ignored;
	show_key(c, st, &key);
	if (c->node_col >= 0) {
		w.node = c->node;
		if (tip_of(c->made->db, c->node, &tip, &ignored) == 0 && tip.exists) {
			w.seq = tip.seq;
			w.oid = tip.oid;
		}
	}
	w.key = trib_buf_str(&key);
	return trib_audit_find(c->a, &w, err, "%s", what);
}

/* ---- two cursors in key order ---- */

static int cmp_int_real(int64_t i, double r)
{
	if (r < -9223372036854775808.0)
		return 1;
	if (r >= 9223372036854775808.0)
		return -1;
	int64_t t = (int64_t)r;
	if (i != t)
		return i < t ? -1 : 1;
	double s = (double)i;
	return s < r ? -1 : s > r;
}

/* SQLite's order: NULL, numbers, text, blobs; bytes decide. */
static int cmp_value(const struct trib_value *x, const struct trib_value *y)
{
	static const int rank[] = {[TRIB_NULL] = 0, [TRIB_INT] = 1, [TRIB_REAL] = 1, [TRIB_TEXT] = 2, [TRIB_BLOB] = 3};
	if (rank[x->type] != rank[y->type])
		return rank[x->type] < rank[y->type] ? -1 : 1;
	switch (rank[x->type]) {
	case 0:
		return 0;
	case 1:
		if (x->type == TRIB_INT && y->type == TRIB_INT)
			return x->i < y->i ? -1 : x->i > y->i;
		if (x->type == TRIB_REAL && y->type == TRIB_REAL)
			return x->r < y->r ? -1 : x->r > y->r;
		return x->type == TRIB_INT ? cmp_int_real(x->i, y->r) : -cmp_int_real(y->i, x->r);
	default:
		return trib_span_cmp(x->s, y->s);
	}
}

static int cmp_keys(sqlite3_stmt *x, sqlite3_stmt *y, int n)
{
	int c = 0;
	for (int i = 0; i < n && c == 0; i++) {
		struct trib_value p, q;
		trib_value_column(x, i, &p);
		trib_value_column(y, i, &q);
		c = cmp_value(&p, &q);
	}
	return c;
}

static int compare_columns(struct cmp *c, sqlite3_stmt *real, sqlite3_stmt *made, struct trib_err *err)
{
	for (int i = 0; i < sqlite3_column_count(made); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
		struct trib_value p, q;
		trib_value_column(real, i, &p);
		trib_value_column(made, i, &q);
		if (trib_value_eq(&p, &q))
			continue;
		trib_buf_printf(&b, "column %s is ", sqlite3_column_name(made, i));
		show(&b, &p);
		trib_buf_puts(&b, " in the city, and by the histories ");
		show(&b, &q);
		if (find_row(c, made, trib_buf_str(&b), err))
			return -1;
	}
	return 0;
}

static int step_pair(struct cmp *c, sqlite3_stmt *real, sqlite3_stmt *made, int order, struct trib_err *err)
{
	sqlite3_stmt *st = order > 0 ? made : real;
	if (c->node_col >= 0) {
		if (set_node(c, text(st, c->node_col), err))
			return -1;
		if (c->state != NODE_FINE)
			return 0;
	}
	if (order == 0)
		return compare_columns(c, real, made, err);
	return find_row(c, st, order < 0 ? "the city has this row, no history does" : "the city lacks this row of the histories", err);
}

/* Runs the same query on both files; a real file that cannot answer is a finding. */
static int compare_query(struct cmp *c, const char *sql, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *real = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *made = NULL;
	struct trib_where w = {.app = c->real->app, .table = c->table};
	struct trib_err why;
	c->node[0] = '\0';
	if (trib_db_prepare(c->made->db, sql, &made, err))
		return -1;
	if (trib_db_prepare(c->real->db, sql, &real, &why))
		return trib_audit_find(c->a, &w, err, "the city database has no such table or not its columns: %s", why.msg);
	int r = trib_db_step(c->real->db, real, &why), m = trib_db_step(c->made->db, made, err);
	while (m >= 0 && r >= 0 && (r > 0 || m > 0)) {
		int order = r <= 0 ? 1 : m <= 0 ? -1 : cmp_keys(real, made, c->nkey);
		if (step_pair(c, real, made, order, err))
			return -1;
		if (order <= 0)
			r = trib_db_step(c->real->db, real, &why);
		if (order >= 0)
			m = trib_db_step(c->made->db, made, err);
	}
	if (m < 0)
		return -1;
	return r < 0 ? trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg) : 0;
}

/* ---- what is compared ---- */

static int compare_fixed(struct cmp *c, struct trib_err *err)
{
	static const struct {
		const char *table, *sql;
		int nkey, node_col;
	} fixed[] = {
		{"-", "SELECT user_version, application_id, one FROM pragma_user_version, pragma_application_id, _t_merged", 0, -1},
		{"_t_merged", "SELECT upto FROM _t_merged", 0, -1},
		/* An index of plain columns holds no rows and refuses none: more of them do no harm (check_indexes). Those of keys come with their tables. */
		{"sqlite_schema", "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type <> 'index' OR sql IS NULL ORDER BY type, name", 2, -1},
		{"_t_mirror", "SELECT mirror, name, tbl, shape FROM _t_mirror ORDER BY mirror", 1, -1},
		{"_t_column", "SELECT mirror, col, city_col, pk, place FROM _t_column ORDER BY mirror, col", 2, -1},
		{"_t_made", "SELECT node, tables, columns FROM _t_made ORDER BY node", 1, 0},
		{"_t_view", "SELECT name, view FROM _t_view ORDER BY name", 1, -1},
		{"_t_history", "SELECT node, out_of_step, tip FROM _t_history ORDER BY node", 1, 0},
		{"_t_digest", "SELECT node, digest FROM _t_digest ORDER BY node", 1, 0},
		{"_t_ledger", "SELECT leaf, node, seq, tbl, key, reason, at FROM _t_ledger ORDER BY leaf, id", 1, 1},
	};
	for (size_t i = 0; i < TRIB_COUNT(fixed); i++) {
		/* The derivation that goes on from an earlier audit may begin behind a file that has nothing more to take in. */
		if (c->real->upto < c->a->from && strcmp(fixed[i].table, "_t_merged") == 0)
			continue;
		c->table = fixed[i].table;
		c->nkey = fixed[i].nkey;
		c->node_col = fixed[i].node_col;
		c->bag = false;
		if (compare_query(c, fixed[i].sql, err))
			return -1;
	}
	return 0;
}

/* Key columns first, in key order, then the others. */
static int mirror_sql(struct cmp *c, const char *mirror, struct trib_buf *sql, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf order = TRIB_BUF(TRIB_MIB);
	if (trib_audit_sql(c->made->db, &st, err, "SELECT name, pk FROM pragma_table_info(?) ORDER BY pk = 0, pk, cid", "s", mirror))
		return -1;
	int row;
	c->nkey = 0;
	trib_buf_puts(sql, "SELECT ");
	for (int i = 0; (row = trib_db_step(c->made->db, st, err)) > 0; i++) {
		trib_buf_puts(sql, i ? "," : "");
		trib_sql_ident(sql, text(st, 0));
		if (sqlite3_column_int(st, 1) == 0)
			continue;
		trib_buf_puts(&order, i ? "," : "");
		trib_sql_ident(&order, text(st, 0));
		c->nkey++;
	}
	trib_buf_puts(sql, " FROM ");
	trib_sql_ident(sql, mirror);
	trib_buf_puts(sql, " ORDER BY ");
	trib_buf_put_span(sql, trib_buf_span(&order));
	return row < 0 ? -1 : trib_buf_check(sql, "SQL statement", err);
}

static int compare_mirrors(struct cmp *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(c->made->db, "SELECT mirror, tbl, name FROM _t_mirror ORDER BY mirror", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(c->made->db, st, err)) > 0) {
		TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(2 * TRIB_MIB);
		c->bag = trib_is_bag(trib_span_str(text(st, 2)));
		c->table = text(st, 1);
		c->node_col = 0;
		if (mirror_sql(c, text(st, 0), &sql, err) || compare_query(c, trib_buf_str(&sql), err))
			return -1;
	}
	return row;
}

/* ---- verdicts that wait for the keeper ---- */

#define RESULTS "SELECT leaf, node, seq, manifest, tbl, key, reason FROM _t_result"

/* The log's verdict about the commit of `st` (RESULTS): 1 there is one, 0 none, -1. `same`: with that manifest, and merged or not as the row says. */
static int is_told(struct cmp *c, sqlite3_stmt *st, bool same, struct trib_err *err)
{
	if (trib_db_keep(c->a->own, "SELECT 1 FROM v WHERE node = ?1 AND app = ?2 AND seq = ?3 AND (NOT ?4 OR (manifest IS ?5 AND merged = ?6))", &c->told, err))
		return -1;
	TRIB_AUTO(trib_rest) sqlite3_stmt *v = c->told;
	sqlite3_bind_value(v, 1, sqlite3_column_value(st, 1));
	sqlite3_bind_text(v, 2, c->real->app, -1, SQLITE_STATIC);
	sqlite3_bind_value(v, 3, sqlite3_column_value(st, 2));
	sqlite3_bind_int(v, 4, same);
	sqlite3_bind_value(v, 5, sqlite3_column_value(st, 3));
	sqlite3_bind_int(v, 6, sqlite3_column_type(st, 6) == SQLITE_NULL);
	return trib_db_step(c->a->own, v, err);
}

/* st: RESULTS. */
static int find_result(struct cmp *c, sqlite3_stmt *st, const char *what, struct trib_err *err)
{
	struct trib_where w = {.node = text(st, 1), .app = c->real->app, .seq = (uint64_t)sqlite3_column_int64(st, 2), .table = c->table};
	return trib_audit_find(c->a, &w, err, "%s", what);
}

/* What the file still has to tell is what the derivation came to. What an earlier audit derived and the log has told since is not kept. */
static int compare_waiting(struct cmp *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *real = NULL;
	struct trib_where w = {.app = c->real->app, .table = c->table};
	struct trib_err why;
	int row;
	if (trib_db_prepare(c->real->db, RESULTS " ORDER BY leaf", &real, &why))
		return trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg);
	while ((row = trib_db_step(c->real->db, real, &why)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *made = NULL;
		if (set_node(c, text(real, 1), err))
			return -1;
		if (c->state != NODE_FINE)
			continue;
		if (trib_audit_sql(c->made->db, &made, err, RESULTS " WHERE leaf = ?", "i", sqlite3_column_int64(real, 0)))
			return -1;
		int is = trib_db_step(c->made->db, made, err);
		if (is < 0 || (is && compare_columns(c, real, made, err)))
			return -1;
		int told = !is && (uint64_t)sqlite3_column_int64(real, 0) < c->a->from ? is_told(c, real, true, err) : is;
		if (told < 0 || (!told && find_result(c, real, "the city database waits to tell this verdict, the derivation does not come to it", err)))
			return -1;
	}
	return row < 0 ? trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg) : 0;
}

/* What the derivation came to and the log does not tell yet, the file still has to. It was read before hub.db, so that a verdict that is gone from it is in the log. */
static int compare_results(struct cmp *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *made = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *real = NULL;
	struct trib_err why;
	c->table = "_t_result";
	c->nkey = 1;
	c->node_col = 1;
	c->bag = false;
	c->node[0] = '\0';
	if (compare_waiting(c, err) || trib_audit_sql(c->made->db, &made, err, RESULTS " WHERE leaf < ? ORDER BY leaf", "i", (int64_t)c->real->upto))
		return -1;
	if (trib_db_prepare(c->real->db, "SELECT 1 FROM _t_result WHERE leaf = ?", &real, &why))
		return 0; /* named by compare_waiting */
	int row;
	while ((row = trib_db_step(c->made->db, made, err)) > 0) {
		int told = is_told(c, made, false, err);
		if (told < 0 || (!told && set_node(c, text(made, 1), err)))
			return -1;
		if (told || c->state != NODE_FINE)
			continue;
		sqlite3_reset(real);
		sqlite3_bind_int64(real, 1, sqlite3_column_int64(made, 0));
		if (trib_db_step(c->real->db, real, &why) == 0 && find_result(c, made, "neither the log tells this verdict nor does the city database wait to tell it; try: tributary-hub rebuild", err))
			return -1;
	}
	return row;
}

/* ---- digests of the real rows ---- */

static int compare_lanes(struct cmp *c, const struct trib_tip *tip, const struct trib_lanes *rows, struct trib_err *err)
{
	static const struct trib_lanes_table none;
	for (int pass = 0; pass < 2; pass++) {
		const struct trib_lanes *all = pass ? &tip->lanes : rows, *other = pass ? rows : &tip->lanes;
		for (size_t i = 0; i < all->ntables; i++) {
			const struct trib_lanes_table *t = all->tables[i], *o = trib_lanes_find(other, t->name);
			struct trib_where w = {.node = c->node, .app = c->real->app, .seq = tip->seq, .oid = tip->oid, .table = t->name};
			if (pass && o)
				continue; /* seen in the first pass */
			if (!o)
				o = &none;
			if (t->rows == o->rows && memcmp(t->lanes, o->lanes, sizeof(t->lanes)) == 0)
				continue;
			if (trib_audit_find(c->a, &w, err, "%llu rows in the city do not come to the digest of %llu rows that manifest #%llu signed",
					    (unsigned long long)(pass ? o->rows : t->rows), (unsigned long long)(pass ? t->rows : o->rows), (unsigned long long)tip->seq))
				return -1;
		}
	}
	return 0;
}

static int scan_node(struct cmp *c, struct trib_err *err)
{
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes rows = {0};
	struct trib_where w = {.node = c->node, .app = c->real->app};
	struct trib_err why;
	/* Of a history that can no longer be derived, the real file's own state is held against its own rows. */
	if (c->state == NODE_FINE ? tip_of(c->made->db, c->node, &tip, err) != 0 : tip_of(c->real->db, c->node, &tip, &why) != 0)
		return c->state == NODE_FINE ? -1 : trib_audit_find(c->a, &w, err, "the city's state of this history cannot be read: %s", why.msg);
	if (trib_mirror_scan_by(c->real->mirror, c->node, tip.salt, c->real->app, c->a->ahead != NULL, &rows, &why)) {
		if (why.code == TRIB_E_NOMEM)
			*err = why;
		return why.code == TRIB_E_NOMEM ? -1 : trib_audit_find(c->a, &w, err, "%s", why.msg);
	}
	uint64_t n = 0;
	for (size_t i = 0; i < rows.ntables; i++)
		n += rows.tables[i]->rows;
	if (trib_audit_exec(c->a->own, err, "UPDATE n SET rows = ? WHERE node = ? AND app = ?", "iss", (int64_t)n, c->node, c->real->app))
		return -1;
	if (c->state == NODE_UNPROVABLE && trib_audit_find(c->a, &w, err, "its rows in the city are not provable while its history is damaged"))
		return -1;
	if (c->state == NODE_WAITING &&
	    trib_audit_find(c->a, &w, err, "the merge stopped at #%llu for damage that is mended now: later rows are not in the city; try: tributary-hub rebuild",
			    (unsigned long long)tip.seq))
		return -1;
	return compare_lanes(c, &tip, &rows, err);
}

static int scan_nodes(struct cmp *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(c->real->db, "SELECT node FROM _t_history ORDER BY node", &st, err))
		return -1;
	int row;
	c->node[0] = '\0';
	while ((row = trib_db_step(c->real->db, st, err)) > 0)
		if (set_node(c, text(st, 0), err) || scan_node(c, err))
			return -1;
	return row;
}

/* An index that is unique, or that computes, may refuse a right row at the next merge; and what bears the type of an index need not be one. */
static int check_indexes(struct cmp *c, struct trib_err *err)
{
	static const char sql[] =
		"SELECT name, tbl_name FROM sqlite_schema s WHERE type = 'index' AND sql IS NOT NULL AND (sql NOT GLOB 'CREATE INDEX *' OR EXISTS(SELECT 1 FROM pragma_index_xinfo(s.name) "
		"WHERE cid = -2) OR EXISTS(SELECT 1 FROM pragma_index_list(s.tbl_name) l WHERE l.name = s.name AND l.partial)) ORDER BY name";
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_where w = {.app = c->real->app, .table = "sqlite_schema"};
	struct trib_err why;
	int row;
	if (trib_db_prepare(c->real->db, sql, &st, &why))
		return trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg);
	while ((row = trib_db_step(c->real->db, st, &why)) > 0)
		if (trib_audit_find(c->a, &w, err, "the index %.64s on %.64s, which no program of ours makes, can keep right rows out", text(st, 0), text(st, 1)))
			return -1;
	return row < 0 ? trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg) : 0;
}

/* Each history's community has its name. */
static int check_named(struct cmp *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_err why;
	struct trib_where w = {.app = c->real->app, .table = "_t_node"};
	int row;
	if (trib_db_prepare(c->real->db, "SELECT node FROM _t_history WHERE node NOT IN (SELECT node FROM _t_node) ORDER BY node", &st, &why))
		return trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg);
	while ((row = trib_db_step(c->real->db, st, &why)) > 0) {
		w.node = text(st, 0);
		if (trib_audit_find(c->a, &w, err, "the city lacks the community's name; try: tributary-hub rebuild"))
			return -1;
	}
	return row < 0 ? trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg) : 0;
}

/* Names of communities may be older than hub.db's; but none is named that the log does not know, or as the log never named it. */
static int check_names(struct cmp *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_err why;
	struct trib_where w = {.app = c->real->app, .table = "_t_node"};
	int row;
	if (trib_db_prepare(c->real->db, "SELECT node, name FROM _t_node ORDER BY node", &st, &why))
		return trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg);
	while ((row = trib_db_step(c->real->db, st, &why)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *known = NULL;
		w.node = text(st, 0);
		if (trib_audit_sql(c->a->own, &known, err, "SELECT 1 FROM x WHERE node = ? AND app = ?", "ss", w.node, w.app))
			return -1;
		int is = trib_db_step(c->a->own, known, err);
		if (is < 0 || (!is && trib_audit_find(c->a, &w, err, "the city names a community that the log does not know")))
			return -1;
		TRIB_AUTO(trib_stmt) sqlite3_stmt *name = NULL;
		if (trib_audit_sql(c->a->own, &name, err, "SELECT 1 FROM na WHERE node = ? AND app = ? AND name = ?", "sss", w.node, w.app, text(st, 1)))
			return -1;
		int so = is ? trib_db_step(c->a->own, name, err) : 1;
		if (so < 0 || (!so && trib_audit_find(c->a, &w, err, "the city calls it %.96s, the log never did; try: tributary-hub rebuild", text(st, 1))))
			return -1;
	}
	return row < 0 ? trib_audit_find(c->a, &w, err, "the city database cannot be read: %s", why.msg) : 0;
}

/* ---- without the derived rows: what the digests of all histories do not cover ---- */

/* The first node of a mirror after `node`, as SQLite orders them. */
static int next_node(struct cmp *c, const char *mirror, struct trib_buf *node, bool *ret_known, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(2 * TRIB_MIB);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *h = NULL;
	struct trib_err why;
	trib_buf_puts(&sql, "SELECT _node, typeof(_node) FROM ");
	trib_sql_ident(&sql, mirror);
	trib_buf_puts(&sql, node->len ? " WHERE _node > ?1 ORDER BY _node LIMIT 1" : " ORDER BY _node LIMIT 1");
	if (trib_buf_check(&sql, "SQL statement", err))
		return -1;
	if (trib_db_prepare(c->real->db, trib_buf_str(&sql), &st, &why))
		return trib_audit_find(c->a, &(struct trib_where){.app = c->real->app, .table = c->table}, err, "%s", why.msg);
	if (node->len)
		sqlite3_bind_text(st, 1, trib_buf_str(node), -1, SQLITE_STATIC);
	int row = trib_db_step(c->real->db, st, err);
	if (row <= 0)
		return row;
	if (history_of(c->made->db, text(st, 0), &h, err))
		return -1;
	int known = strcmp(text(st, 1), "text") == 0 && *text(st, 0) ? trib_db_step(c->made->db, h, err) : 0;
	trib_buf_reset(node);
	trib_buf_puts(node, text(st, 0));
	*ret_known = known > 0;
	return known < 0 || trib_buf_check(node, "node", err) ? -1 : 1;
}

/* Digests do not tell the mirrors of one table apart: by its schema a node has its rows in one of them alone. */
static int check_mirror(struct cmp *c, const char *node, const char *name, const char *mirror, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit commit = {0};
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(c->a->hub, node, c->real->app);
	TRIB_AUTO(trib_mem) char *is = NULL;
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	struct trib_where w = {.node = node, .app = c->real->app, .table = c->table};
	struct trib_err why;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (tip_of(c->made->db, node, &tip, err))
		return -1;
	if (tip.exists && (trib_repo_open(path, false, &repo, &why) || trib_commit_read(repo, tip.oid, &commit, &why) ||
			   trib_commit_blob(repo, &commit, "schema.sql", TRIB_SCHEMA_MAX, &bytes, &why) || trib_schematext_parse(trib_buf_span(&bytes), &schema, &why)))
		return trib_audit_find(c->a, &w, err, "%s", why.msg);
	const struct trib_st_table *t = trib_schematext_find(&schema, trib_span_str(name));
	if (t && trib_mirror_name(c->made->mirror, t, &is, err))
		return -1;
	return is && strcmp(is, mirror) == 0 ? 0 : trib_audit_find(c->a, &w, err, "the city has its rows in %.128s, where by its schema it has none", mirror);
}

/* Rows that no history owns, or that lie in another mirror of their table. */
static int check_owners(struct cmp *c, const char *mirror, const char *name, bool shared, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf node = TRIB_BUF(TRIB_MIB);
	bool known = false;
	int row;
	while ((row = next_node(c, mirror, &node, &known, err)) > 0) {
		if (known && shared && check_mirror(c, trib_buf_str(&node), name, mirror, err))
			return -1;
		if (!known)
			return trib_audit_find(c->a, &(struct trib_where){.app = c->real->app, .table = c->table}, err, "the city has rows of \"%s\", which has no history",
					       trib_buf_str(&node));
	}
	return row;
}

/* A bag's row lies under the hash of its values. */
static void bag_hash(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	TRIB_AUTO(trib_buf) struct trib_buf key = TRIB_BUF(TRIB_ROW_MAX);
	uint8_t hash[TRIB_SHA256_LEN];
	for (int i = 0; i < n; i++) {
		struct trib_value val = {.type = (enum trib_type)sqlite3_value_type(v[i])};
		if (val.type == TRIB_INT)
			val.i = sqlite3_value_int64(v[i]);
		else if (val.type == TRIB_REAL)
			val.r = sqlite3_value_double(v[i]);
		else if (val.type != TRIB_NULL)
			val.s = trib_span(sqlite3_value_blob(v[i]), (size_t)sqlite3_value_bytes(v[i]));
		trib_value_put(&key, &val);
	}
	trib_sha256(hash, trib_buf_span(&key));
	sqlite3_result_blob(ctx, hash, sizeof(hash), SQLITE_TRANSIENT);
}

static int check_bag(struct cmp *c, const char *mirror, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(2 * TRIB_MIB);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *cols = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (sqlite3_create_function(c->real->db, "t_bag_hash", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, bag_hash, NULL, NULL) != SQLITE_OK)
		return trib_db_fail(err, c->real->db, "adding a function");
	if (trib_audit_sql(c->made->db, &cols, err, "SELECT city_col FROM _t_column WHERE mirror = ? AND pk > 0 ORDER BY place", "s", mirror))
		return -1;
	trib_buf_puts(&sql, "SELECT 1 FROM ");
	trib_sql_ident(&sql, mirror);
	trib_buf_puts(&sql, " WHERE _hash IS NOT t_bag_hash(");
	int row;
	for (int i = 0; (row = trib_db_step(c->made->db, cols, err)) > 0; i++) {
		trib_buf_puts(&sql, i ? "," : "");
		trib_sql_ident(&sql, text(cols, 0));
	}
	trib_buf_puts(&sql, ") LIMIT 1");
	if (row < 0 || trib_buf_check(&sql, "SQL statement", err) || trib_db_prepare(c->real->db, trib_buf_str(&sql), &st, err))
		return -1;
	row = trib_db_step(c->real->db, st, err);
	return row <= 0 ? row : trib_audit_find(c->a, &(struct trib_where){.app = c->real->app, .table = c->table}, err, "a row does not lie under the hash of its values");
}

static int check_strangers(struct cmp *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(c->made->db, "SELECT mirror, tbl, name, count(*) OVER (PARTITION BY name) > 1 FROM _t_mirror ORDER BY mirror", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(c->made->db, st, err)) > 0) {
		c->table = text(st, 1);
		if (check_owners(c, text(st, 0), text(st, 2), sqlite3_column_int(st, 3) != 0, err) || (trib_is_bag(trib_span_str(text(st, 2))) && check_bag(c, text(st, 0), err)))
			return -1;
	}
	return row;
}

int trib_audit_compare(struct trib_audit *a, struct trib_audit_file *real, struct trib_city *made, struct trib_err *err)
{
	struct cmp c = {.a = a, .real = real, .made = made};
	struct trib_where w = {.app = real->app};
	int rc = trib_audit_pages(a, real->db, &w, "the city database", err) || compare_fixed(&c, err) || (a->from ? check_strangers(&c, err) : compare_mirrors(&c, err)) ||
		 check_indexes(&c, err) || check_names(&c, err) || check_named(&c, err) || compare_results(&c, err) || scan_nodes(&c, err);
	sqlite3_finalize(c.told);
	if (rc)
		return trib_ctx(err, "comparing the city database of %s", real->app);
	return 0;
}
