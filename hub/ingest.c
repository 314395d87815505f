#include "hub/ingest_impl.h"

#include "core/base/clock.h"
#include "core/store/db.h"
#include "core/store/unpack.h"
#include "hub/restore.h"

static const char own_schema[] = "CREATE TABLE q(oid BLOB PRIMARY KEY, type INTEGER, bytes BLOB);"
				 "CREATE TABLE o(oid BLOB PRIMARY KEY, type INTEGER, state INTEGER, known INTEGER);";

/* ---- looking at one object ---- */

char *trib_ingest_loose(const struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN])
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	return trib_pathf("%s/objects/%.2s/%s", trib_repo_path(repo), hex, hex + 2);
}

static int look(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, enum ingest_state *ret_state, struct trib_err *err)
{
	struct trib_err why;
	if (trib_repo_read(g->repo, oid, type, trib_pack_type_max((unsigned)type), ret, &why) == 0) {
		*ret_state = OBJ_GOOD;
		return 0;
	}
	trib_buf_reset(ret);
	if (why.code == TRIB_E_NOMEM) {
		*err = why;
		return -1;
	}
	TRIB_AUTO(trib_mem) char *path = trib_ingest_loose(g->repo, oid);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	*ret_state = trib_fs_exists(path) ? OBJ_BAD_LOOSE : why.code == TRIB_E_NOT_FOUND ? OBJ_MISSING : OBJ_BAD_PACKED;
	return 0;
}

int trib_ingest_read(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, struct trib_err *err)
{
	enum ingest_state state;
	if (look(g, oid, type, ret, &state, err))
		return -1;
	return state == OBJ_GOOD ? 1 : trib_ingest_take(g, oid, type, ret, err);
}

int trib_ingest_seen(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->own, "SELECT state <> 0 AND NOT known FROM o WHERE oid = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	int row = trib_db_step(g->own, st, err);
	return row > 0 && sqlite3_column_int(st, 0) ? 2 : row;
}

static int note(struct ingest *g, const struct trib_ingest_item *item, enum trib_obj type, enum ingest_state state, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->own, "INSERT INTO o(oid, type, state, known) VALUES(?,?,?,?)", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, item->oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int(st, 2, (int)type);
	sqlite3_bind_int(st, 3, (int)state);
	sqlite3_bind_int(st, 4, item->replaced);
	if (trib_db_step(g->own, st, err) < 0)
		return -1;
	g->in->objects++;
	if (state == OBJ_GOOD)
		return 0;
	g->in->replaced += item->replaced;
	g->in->lost += !item->replaced && item->seq;
	g->down_lost = g->down_lost || (!item->replaced && !item->seq);
	return g->in->item ? g->in->item(g->in->ctx, item, err) : 0;
}

/* *ret receives the bytes, from the repository or the bundle: 1, 0 in neither, -1. An object that was looked at before (blobs are shared
 * by commits) is not looked at again when its bytes are not wanted. */
static int object(struct ingest *g, uint64_t seq, const char *name, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, struct trib_err *err)
{
	static const char *const types[] = {[TRIB_OBJ_COMMIT] = "commit", [TRIB_OBJ_TREE] = "tree", [TRIB_OBJ_BLOB] = "blob"};
	TRIB_AUTO(trib_buf) struct trib_buf own = TRIB_BUF(TRIB_OBJECT_MAX);
	struct trib_ingest_item item = {.seq = seq, .type = types[type], .name = name};
	enum ingest_state state;
	int known = trib_ingest_seen(g, oid, err);
	g->down_lost = g->down_lost || (known == 2 && seq == 0);
	if (known < 0 || (known && !ret))
		return known;
	struct trib_buf *b = ret ? ret : &own;
	if (look(g, oid, type, b, &state, err))
		return -1;
	int have = state == OBJ_GOOD ? 1 : trib_ingest_take(g, oid, type, b, err);
	if (have < 0 || known)
		return have;
	memcpy(item.oid, oid, TRIB_OID_LEN);
	item.missing = state == OBJ_MISSING;
	item.replaced = state != OBJ_GOOD && have;
	return note(g, &item, type, state, err) ? -1 : have;
}

int trib_ingest_commit(struct ingest *g, uint64_t seq, const uint8_t oid[TRIB_OID_LEN], bool *ret_has_parent, uint8_t ret_parent[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX), tree = TRIB_BUF(TRIB_COMMIT_MAX);
	struct trib_commitraw c;
	struct trib_tree_entry entries[TRIB_TREE_MAX];
	struct trib_err why;
	size_t n = 0;
	*ret_has_parent = false;
	int have = object(g, seq, "", oid, TRIB_OBJ_COMMIT, &raw, err);
	/* A commit that is whole and yet not in our form would never have been published: the judge will say so. */
	if (have <= 0 || trib_commitraw_parse(trib_buf_span(&raw), &c, &why))
		return have < 0 ? -1 : 0;
	*ret_has_parent = c.has_parent;
	memcpy(ret_parent, c.parent, TRIB_OID_LEN);
	have = object(g, seq, "", c.tree, TRIB_OBJ_TREE, &tree, err);
	if (have <= 0 || trib_tree_parse(trib_buf_span(&tree), entries, &n, &why))
		return have < 0 ? -1 : 0;
	for (size_t i = 0; i < n; i++)
		if (object(g, seq, entries[i].name, entries[i].oid, TRIB_OBJ_BLOB, NULL, err) < 0)
			return -1;
	return 0;
}

/* ---- whose history, and all of it ---- */

static int find_owner(struct ingest *g, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *held = NULL;
	struct trib_ingest *in = g->in;
	bool asked = in->node[0] != '\0';
	if (trib_db_prepare(g->own, "SELECT oid FROM q WHERE type = 1", &st, err) || trib_db_prepare(g->db.db, "SELECT node, app FROM held WHERE oid = ?", &held, err))
		return -1;
	int row;
	while ((row = trib_db_step(g->own, st, err)) > 0) {
		sqlite3_reset(held);
		sqlite3_bind_blob(held, 1, sqlite3_column_blob(st, 0), sqlite3_column_bytes(st, 0), SQLITE_TRANSIENT);
		int found = trib_db_step(g->db.db, held, err);
		if (found < 0)
			return -1;
		if (!found)
			continue;
		const char *node = (const char *)sqlite3_column_text(held, 0), *app = (const char *)sqlite3_column_text(held, 1);
		if (!in->node[0]) {
			(void)snprintf(in->node, sizeof(in->node), "%s", node);
			(void)snprintf(in->app, sizeof(in->app), "%s", app);
		} else if (strcmp(in->node, node) != 0 || strcmp(in->app, app) != 0) {
			return trib_fail(err, TRIB_E_USAGE, "the bundle holds commits of %s/%s, %s %s/%s; nothing was changed", node, app, asked ? "not of" : "and others of", in->node,
					 in->app);
		}
	}
	return row;
}

/* Nothing of it was ever held: whose it would be, by the author of its last commit. A hint only; the judge of the push asks the signature. */
static int name_by_author(struct ingest *g, const uint8_t tip[TRIB_OID_LEN], struct trib_err *err)
{
	static const char tail[] = "@tributary";
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	struct trib_commitraw c;
	char who[TRIB_NODE_MAX + TRIB_APP_MAX + sizeof(tail) + 1];
	int have = trib_ingest_take(g, tip, TRIB_OBJ_COMMIT, &raw, err);
	if (have <= 0)
		return have < 0 ? -1 : trib_fail(err, TRIB_E_FORMAT, "the bundle does not hold the commit that its refs/heads/main names; nothing was changed");
	if (trib_commitraw_parse(trib_buf_span(&raw), &c, err))
		return trib_ctx(err, "the bundle's last commit (nothing was changed)");
	(void)snprintf(who, sizeof(who), "%.*s", c.author_email.n < sizeof(who) ? (int)c.author_email.n : 0, (const char *)c.author_email.p);
	char *slash = strchr(who, '/'), *at = strrchr(who, '@');
	if (!slash || !at || at < slash || strcmp(at, tail) != 0)
		return trib_fail(err, TRIB_E_FORMAT, "the bundle's last commit does not say of which community it is; nothing was changed");
	*slash = *at = '\0';
	if (!trib_id_valid(trib_span_str(who)) || !trib_id_valid(trib_span_str(slash + 1)) || strlen(who) > TRIB_NODE_MAX || strlen(slash + 1) > TRIB_APP_MAX)
		return trib_fail(err, TRIB_E_FORMAT, "the bundle's last commit names an impossible community; nothing was changed");
	(void)snprintf(g->in->node, sizeof(g->in->node), "%s", who);
	(void)snprintf(g->in->app, sizeof(g->in->app), "%s", slash + 1);
	return 0;
}

static int is_held(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->db.db, "SELECT 1 FROM held WHERE oid = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	return trib_db_step(g->db.db, st, err);
}

/* Sticks are brought in the order in which they were made. */
static int check_base(struct ingest *g, struct trib_err *err)
{
	for (size_t i = 0; i < g->head.nprerequisites; i++) {
		int held = is_held(g, g->head.prerequisites[i], err);
		if (held <= 0)
			return held < 0 ? -1 :
					  trib_fail(err, TRIB_E_CHAIN, "the bundle goes on from a commit that was not brought yet; nothing was changed; bring the one that was made before it first; "
								       "or, at the office, all: tributary-agent bundle create FILE --whole");
	}
	return 0;
}

/* Whose history the bundle is of, and whether its tip is new to the hub. */
static int find_new(struct ingest *g, struct trib_err *err)
{
	struct trib_ingest *in = g->in;
	const uint8_t *tip = NULL;
	TRIB_AUTO(trib_tip) struct trib_tip published = {0};
	for (size_t i = 0; i < g->head.nrefs; i++)
		if (strcmp(g->head.refs[i].name, "refs/heads/main") == 0)
			tip = g->head.refs[i].oid;
	if (!tip && !in->node[0])
		return trib_fail(err, TRIB_E_NOT_FOUND, "no commit of this bundle was ever held by this hub, and it names no refs/heads/main; nothing was changed");
	if (!in->node[0] && name_by_author(g, tip, err))
		return -1;
	int held = tip ? is_held(g, tip, err) : 1;
	int known = held < 0 ? -1 : trib_hubdb_tip(&g->db, in->node, in->app, &published, err);
	if (known < 0)
		return -1;
	g->published = in->has_old = known > 0;
	in->has_new = !held;
	if (in->has_new && check_base(g, err))
		return -1;
	in->head_len = g->head.head_len;
	if (tip)
		memcpy(in->new_tip, tip, TRIB_OID_LEN);
	if (known) {
		memcpy(in->old_tip, published.oid, TRIB_OID_LEN);
		in->old_seq = published.seq;
	}
	return 0;
}

/* Commits of the bundle that are neither held nor of the hub's own chain. */
static int count_unpublished(struct ingest *g, struct trib_err *err)
{
	int64_t n;
	if (trib_db_int(g->own, "SELECT count(*) FROM q WHERE type = 1 AND oid NOT IN (SELECT oid FROM o)", 0, &n, err))
		return -1;
	g->in->unpublished = (uint64_t)n;
	return 0;
}

static int look_at_all(struct ingest *g, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	uint8_t oid[TRIB_OID_LEN], parent[TRIB_OID_LEN];
	bool more;
	if (trib_db_prepare(g->db.db, "SELECT oid, seq FROM held WHERE node = ? AND app = ? ORDER BY seq", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, g->in->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, g->in->app, -1, SQLITE_STATIC);
	int row;
	while ((row = trib_db_step(g->db.db, st, err)) > 0) {
		if (sqlite3_column_bytes(st, 0) != TRIB_OID_LEN)
			return trib_fail(err, TRIB_E_VERIFY, "hub.db: a held commit has no id; try: tributary-hub rebuild");
		memcpy(oid, sqlite3_column_blob(st, 0), TRIB_OID_LEN);
		if (trib_ingest_commit(g, (uint64_t)sqlite3_column_int64(st, 1), oid, &more, parent, err))
			return -1;
	}
	/* The hub's own chain shares the repository: its objects must outlive a pack that is moved away. */
	return row < 0 || trib_ingest_down_look(g, err) || count_unpublished(g, err) ? -1 : 0;
}

/* ---- proof ---- */

static int check_leaf(void *ctx, const struct trib_judged *j, const struct trib_tip *tip, bool complete, struct trib_err *err)
{
	struct ingest *g = ctx;
	struct trib_leaf leaf;
	(void)tip;
	(void)complete;
	if (trib_hub_held_leaf(&g->db, j->commit.oid, &leaf, err))
		return -1;
	if (memcmp(leaf.commit, j->commit_sha256, sizeof(leaf.commit)) != 0 || memcmp(leaf.manifest, j->manifest_sha256, sizeof(leaf.manifest)) != 0 ||
	    memcmp(leaf.signer, j->signer.sha256, sizeof(leaf.signer)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "commit #%llu is not what the log says it is", (unsigned long long)leaf.seq);
	g->in->proven++;
	return 0;
}

/* From the first commit to the published tip, against the leaves. */
static int prove(struct ingest *g, struct trib_err *err)
{
	TRIB_AUTO(trib_hub_history) struct trib_hub_history h = {0};
	TRIB_AUTO(trib_tip) struct trib_tip published = {0};
	struct trib_err why;
	int known = trib_hubdb_tip(&g->db, g->in->node, g->in->app, &published, err);
	if (known < 0)
		return -1;
	if (!known) {
		g->in->whole = true; /* nothing is published, so nothing is lost */
		return 0;
	}
	if (!g->in->dry_run && trib_repo_ref_set(g->repo, "refs/heads/main", published.oid, &why)) {
		(void)snprintf(g->in->why, sizeof(g->in->why), "%s", why.msg);
		return 0;
	}
	g->in->whole = trib_hub_history_open(&g->db, g->in->node, g->in->app, &h, &why) == 0 && trib_history_walk(&h.h, published.oid, NULL, check_leaf, g, &why) == 0;
	if (!g->in->whole)
		(void)snprintf(g->in->why, sizeof(g->in->why), "%s", why.msg);
	return 0;
}

/* ---- the run ---- */

static int open_repo(struct ingest *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(g->hub, g->in->node, g->in->app);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!g->published && !trib_fs_exists(path)) /* of a first bundle nothing stays that was not judged */
		return 0;
	if (!g->in->dry_run && trib_ingest_set_aside(g, path, err))
		return -1;
	return g->in->dry_run ? trib_repo_open(path, false, &g->repo, err) : trib_repo_create(path, &g->repo, err);
}

static int published(struct ingest *g, struct trib_err *err)
{
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	int known = trib_hubdb_tip(&g->db, g->in->node, g->in->app, &tip, err);
	g->published = known > 0;
	return known < 0 ? -1 : open_repo(g, err);
}

static int run(struct ingest *g, const char *bundle, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(g->dir, "objects.db");
	bool named = g->in->node[0] != '\0';
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	/* Thin bundles lean on the repository, so it must be known first; a whole one names it by its commits. */
	if (trib_fs_remove_tree(g->dir, err) || trib_fs_mkdirs(g->dir, 0700, err) || trib_db_open_own(path, false, &g->own, err) ||
	    trib_db_exec(g->own, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF", err) || trib_db_exec(g->own, own_schema, err) ||
	    trib_hubdb_open(g->hub, false, &g->db, err) || (named && published(g, err)) || trib_ingest_bundle(g, bundle, err) || find_owner(g, err) || find_new(g, err) ||
	    (!named && open_repo(g, err)) || look_at_all(g, err))
		return -1;
	if (!g->in->dry_run && g->repo && trib_ingest_replace(g, err))
		return -1;
	return prove(g, err) || trib_ingest_down_take(g, err) ? -1 : 0;
}

int trib_ingest_run(const struct trib_hub *hub, const char *bundle, struct trib_ingest *in, struct trib_err *err)
{
	struct ingest g = {.hub = hub, .in = in};
	struct trib_err ignored;
	g.dir = trib_pathf("%s/quarantine/ingest-%ld", hub->dir, (long)getpid());
	int rc = g.dir ? run(&g, bundle, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_repo_free(g.repo);
	sqlite3_close_v2(g.own);
	trib_hubdb_close(&g.db);
	if (g.dir && trib_fs_remove_tree(g.dir, &ignored))
		g.dir[0] = '\0'; /* what stays in quarantine, `serve` clears at its start */
	free(g.dir);
	free(g.aside);
	return rc;
}
