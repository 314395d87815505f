#include "core/replay/replay.h"

#include "core/replay/halves.h"

/* Single commits are put into transactions of this many: a group is never split from its savepoint. */
#define BATCH 512
#define CHAIN_MAX ((size_t)16 * 1024 * 1024)

struct replay {
	sqlite3 *db;
	struct trib_mirror *mirror;
	bool in_transaction, in_group;
	unsigned pending;
	struct trib_err stopped; /* a commit did not fit: all after it wait for a reset, as in the city (D6.3); its code is TRIB_OK while nothing is wrong */
	bool in_reset;           /* the group that is read is one */
	const uint8_t *upto;
	/* Of the commit `upto`, copied. */
	struct trib_buf manifest, schema;
	struct trib_cert_id signer;
	uint8_t salt[TRIB_SALT_LEN];
};

void trib_restored_release(struct trib_restored *r)
{
	trib_buf_release(&r->absent);
	trib_buf_release(&r->stand_ins);
	trib_buf_release(&r->unmet);
	*r = (struct trib_restored){0};
}

/* A group's parts wait in a savepoint; a part that begins another, or a single commit, gives the open one up (D5.1). */
static int begin_commit(struct replay *r, const struct trib_manifest *m, struct trib_err *err)
{
	if (m->part == 1 && r->in_group) {
		if (trib_db_exec(r->db, "ROLLBACK TO part; RELEASE part", err) < 0)
			return -1;
		trib_mirror_forget(r->mirror);
		r->in_group = false;
	}
	if (!r->in_transaction) {
		if (trib_db_exec(r->db, "BEGIN", err) < 0)
			return -1;
		r->in_transaction = true;
	}
	if (m->part == 1 && m->parts > 1) {
		if (trib_db_exec(r->db, "SAVEPOINT part", err) < 0)
			return -1;
		r->in_group = true;
	}
	return 0;
}

static int end_commit(struct replay *r, bool complete, bool last, struct trib_err *err)
{
	if (!complete)
		return 0;
	if (r->in_group) {
		if (trib_db_exec(r->db, "RELEASE part", err) < 0)
			return -1;
		r->in_group = false;
	}
	if (++r->pending < BATCH && !last)
		return 0;
	if (trib_db_exec(r->db, "COMMIT", err) < 0)
		return -1;
	r->in_transaction = false;
	r->pending = 0;
	return 0;
}

static int keep(struct replay *r, const struct trib_judged *j, const struct trib_tip *tip, struct trib_err *err)
{
	trib_buf_put_span(&r->manifest, trib_buf_span(&j->commit.manifest));
	trib_buf_put_span(&r->schema, trib_buf_span(&j->schema_bytes));
	r->signer = j->signer;
	memcpy(r->salt, tip->salt, sizeof(r->salt));
	if (trib_buf_check(&r->manifest, "manifest", err) < 0)
		return -1;
	return trib_buf_check(&r->schema, "schema.sql", err);
}

static int replay_commit(void *ctx, const struct trib_judged *j, const struct trib_tip *tip, bool complete, struct trib_err *err)
{
	struct replay *r = ctx;
	struct trib_mismatch why;
	bool last = memcmp(j->commit.oid, r->upto, TRIB_OID_LEN) == 0;

	if (last && !complete)
		return trib_fail(err, TRIB_E_NOT_FOUND, "commit #%llu is part %llu/%llu of a group; name the group's last part",
				 (unsigned long long)j->manifest.seq, (unsigned long long)j->manifest.part, (unsigned long long)j->manifest.parts);
	if (j->manifest.part == 1)
		r->in_reset = j->manifest.kind == TRIB_KIND_RESET;
	if (r->stopped.code != TRIB_OK && !r->in_reset) {
		*err = r->stopped;
		return last ? -1 : 0;
	}
	if (begin_commit(r, &j->manifest, err) < 0)
		return -1;
	if (trib_mirror_apply_judged(r->mirror, j, &why, err) < 0) {
		r->stopped = *err; /* what it left half done, a reset clears */
		r->in_reset = false;
		return err->code == TRIB_E_OUT_OF_STEP && !last ? 0 : -1;
	}
	if (end_commit(r, complete, last, err) < 0)
		return -1;
	if (complete)
		r->stopped.code = TRIB_OK;
	return last ? keep(r, j, tip, err) : 0;
}

static int open_scratch(const char *path, struct replay *r, struct trib_err *err)
{
	/* Rebuildable, so nothing is fsynced; the journal is there for groups that are given up. */
	if (trib_db_open_own(path, false, &r->db, err) < 0 || trib_db_exec(r->db, "PRAGMA journal_mode=PERSIST", err) < 0 ||
	    trib_db_exec(r->db, "PRAGMA synchronous=OFF", err) < 0 || trib_db_exec(r->db, "PRAGMA locking_mode=EXCLUSIVE", err) < 0 ||
	    trib_db_exec(r->db, "PRAGMA cache_size=-65536", err) < 0)
		return -1;
	return trib_mirror_new(r->db, &r->mirror, err);
}

/* ---- what the caller is told ---- */

static void list_absent(const struct trib_material *material, struct trib_buf *b)
{
	const struct trib_manifest *m = material->manifest;
	const struct trib_schematext *s = material->schema;
	const char *table = material->table;

	trib_buf_init(b, TRIB_MANIFEST_MAX * 2 + TRIB_SCHEMA_MAX);
	trib_whole_list(material->whole, material, b);
	for (size_t i = 0; i < m->nleft_out; i++)
		trib_buf_printf(b, "%s %s\n", m->left_out[i].name, m->left_out[i].reason);
	for (size_t i = 0; table && i < s->ntables; i++)
		if (!s->tables[i].bag && trib_fold_cmp(trib_span_str(s->tables[i].name), trib_span_str(table)) != 0)
			trib_buf_printf(b, "%s not-asked-for\n", s->tables[i].name);
}

/* The digest of one table: that of its table line or, when it has none, of its bag. */
static void table_digest(const struct trib_material *m, const struct trib_lanes *lanes, uint8_t ret[TRIB_SHA256_LEN])
{
	const struct trib_lanes_table empty = {0}, *t = trib_lanes_find(lanes, m->table);

	for (size_t i = 0; !t && i < lanes->ntables; i++) {
		const char *name = lanes->tables[i]->name;

		if (trib_is_bag(trib_span_str(name)) && strcmp(name + strlen(TRIB_BAG_PREFIX), m->table) == 0)
			t = lanes->tables[i];
	}
	trib_digest_table(t ? t : &empty, ret);
}

/* Tables and bags that the private half has alone. */
static void report_private(const struct trib_material *m, struct trib_restored *ret)
{
	const struct trib_schematext *lines = m->other->schema;

	for (size_t i = 0; i < lines->ntables; i++) {
		const struct trib_st_table *t = &lines->tables[i];
		bool here = trib_line_of(m->schema, t->name, false), counted = t->bag && trib_line_of(lines, t->name, false);

		ret->tables += trib_material_wants(m, t->name) && !here && !counted;
	}
	for (size_t i = 0; i < m->other->manifest->ntables; i++) {
		const struct trib_mf_table *t = &m->other->manifest->tables[i];
		bool bag = trib_is_bag(trib_span_str(t->name));

		if (trib_material_wants(m, bag ? t->name + strlen(TRIB_BAG_PREFIX) : t->name) && (bag || !trib_line_of(m->schema, t->name, false)))
			ret->rows += t->rows;
	}
	ret->private_seq = m->other->manifest->seq;
}

static void report(const struct trib_material *m, const struct replay *r, const struct trib_lanes *lanes, struct trib_restored *ret)
{
	const char *last = "";

	ret->rows = 0;
	ret->tables = 0;
	for (size_t i = 0; i < lanes->ntables; i++)
		ret->rows += lanes->tables[i]->rows;
	if (m->other)
		report_private(m, ret);
	/* A table may have a `table` and a `bag` line; it counts once. */
	for (size_t i = 0; i < m->schema->ntables; i++) {
		const struct trib_st_table *t = &m->schema->tables[i];
		const struct trib_st_table *main_line = t->bag ? trib_schematext_find(m->schema, trib_span_str(t->name)) : NULL;

		if (trib_material_wants(m, t->name) && !main_line && strcmp(t->name, last) != 0)
			ret->tables++;
		last = t->name;
	}
	ret->seq = m->manifest->seq;
	memcpy(ret->oid, r->upto, TRIB_OID_LEN);
	ret->captured_at = m->manifest->captured_at;
	ret->signer = r->signer;
	if (m->table)
		table_digest(m, lanes, ret->digest);
	else
		trib_digest_overall(lanes, m->app, ret->digest);
	list_absent(m, &ret->absent);
}

/* ---- the whole ---- */

static bool has_table(const struct trib_schematext *s, const char *table)
{
	for (size_t i = 0; i < s->ntables; i++)
		if (trib_fold_cmp(trib_span_str(s->tables[i].name), trib_span_str(table)) == 0)
			return true;
	return false;
}

int trib_restore_table(const struct trib_history *h, const uint8_t oid[TRIB_OID_LEN], const char *table, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_schematext) struct trib_schematext lines = {0};
	TRIB_AUTO(trib_schema) struct trib_schema whole = {0};

	if (!table)
		return 0;
	if (trib_commit_read(h->repo, oid, &c, err) < 0 || trib_commit_blob(h->repo, &c, "schema.sql", TRIB_SCHEMA_MAX, &text, err) < 0 ||
	    trib_schematext_parse(trib_buf_span(&text), &lines, err) < 0)
		return -1;
	/* A private table is in the statements alone. */
	if (has_table(&lines, table))
		return 0;
	if (trib_schema_of_sql(lines.sql, &whole, err) < 0)
		return -1;
	return has_table(&whole.text, table) ? 0 : trib_fail(err, TRIB_E_NOT_FOUND, "there was no table %s at that moment", table);
}

/* The private half, ready to be joined; nothing when r has no mirror. */
struct private_half {
	struct replay r;
	struct trib_manifest manifest;
	struct trib_schematext schema;
	struct trib_material m;
};

static int finish(const struct trib_history *h, struct replay *r, struct private_half *p, const char *table, const char *tmp, const char *to,
		  struct trib_restored *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_manifest) struct trib_manifest manifest = {0};
	TRIB_AUTO(trib_schematext) struct trib_schematext schema = {0};
	TRIB_AUTO(trib_lanes) struct trib_lanes lanes = {0};
	TRIB_AUTO(trib_whole) struct trib_whole whole = {0};
	TRIB_AUTO(trib_buf) struct trib_buf stand_ins = TRIB_BUF(TRIB_SCHEMA_MAX), unmet = TRIB_BUF(TRIB_SCHEMA_MAX);
	struct trib_material m = {.mirror = r->mirror, .node = h->trust.node, .app = h->trust.app, .manifest = &manifest, .schema = &schema,
				  .salt = r->salt, .table = table, .other = p->r.mirror ? &p->m : NULL, .whole = &whole, .stand_ins = &stand_ins,
				  .unmet = &unmet};

	if (trib_manifest_parse(trib_buf_span(&r->manifest), &manifest, err) < 0 ||
	    trib_schematext_parse(trib_buf_span(&r->schema), &schema, err) < 0)
		return -1;
	if (trib_whole_make(&m, &whole, err) < 0)
		return -1;
	if (table && !has_table(&schema, table) && !trib_whole_table(&whole, table))
		return trib_fail(err, TRIB_E_NOT_FOUND, "there was no table %s at #%llu", table, (unsigned long long)manifest.seq);
	if (trib_materialise(&m, tmp, &lanes, err) < 0)
		return -1;
	struct trib_restored out = {0};
	report(&m, r, &lanes, &out);
	if (trib_buf_check(&out.absent, "list of what is absent", err) < 0 || trib_buf_check(&stand_ins, "list of what only the application has", err) < 0 ||
	    trib_fs_rename(tmp, to, err) < 0) {
		trib_restored_release(&out);
		return -1;
	}
	out.stand_ins = stand_ins;
	stand_ins = (struct trib_buf){0};
	out.unmet = unmet;
	unmet = (struct trib_buf){0};
	*ret = out;
	return 0;
}

static void replay_release(struct replay *r)
{
	trib_mirror_free(r->mirror);
	sqlite3_close_v2(r->db);
	trib_buf_release(&r->manifest);
	trib_buf_release(&r->schema);
}

/* Removes a scratch file and what SQLite may have left beside it. */
static int remove_scratch(const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *journal = trib_pathf("%s-journal", path);

	if (!journal)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a path");
	return trib_fs_remove(path, err) < 0 ? -1 : trib_fs_remove(journal, err);
}

/* ---- the private half ---- */

/* "Own-Seq: N" is all the text that a private commit has; *ret_at: when it was captured. */
static int own_seq(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], uint64_t *ret, int64_t *ret_at, struct trib_err *err)
{
	static const char key[] = "\n" TRIB_OWN_SEQ;
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	char text[32] = "";

	if (trib_commit_read(repo, oid, &c, err) < 0 || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err) < 0)
		return -1;
	*ret_at = m.captured_at;
	const uint8_t *at = memmem(c.c.message.p, c.c.message.n, key, sizeof(key) - 1), *end = c.c.message.p + c.c.message.n;
	for (size_t n = 0; at && at + sizeof(key) - 1 + n < end && n + 1 < sizeof(text) && at[sizeof(key) - 1 + n] >= '0' && at[sizeof(key) - 1 + n] <= '9'; n++)
		text[n] = (char)at[sizeof(key) - 1 + n];
	if (!text[0])
		return trib_fail(err, TRIB_E_FORMAT, "a commit of private.git does not say with which commit of the history it goes");
	*ret = strtoull(text, NULL, 10);
	return 0;
}

/* The last private commit that goes with this machine's public one #seq or with one before it; *ret false: none. A night on which only private values changed
 * has no public commit: several go with one, and private_until chooses among them. */
static int find_private(const struct trib_history *h, uint64_t seq, uint8_t ret_oid[TRIB_OID_LEN], bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t (*chain)[TRIB_OID_LEN] = NULL;
	uint8_t tip[TRIB_OID_LEN];
	size_t n = 0;

	*ret = false;
	if (trib_repo_ref(h->repo, h->ref, tip, err) < 0)
		return err->code == TRIB_E_NOT_FOUND ? 0 : -1;
	if (trib_repo_chain(h->repo, tip, NULL, CHAIN_MAX, &chain, &n, err) < 0)
		return -1;
	for (size_t i = n; i-- > 0 && !*ret;) {
		uint64_t with = 0;
		int64_t at = 0;

		if (own_seq(h->repo, chain[i], &with, &at, err) < 0)
			return -1;
		*ret = with < seq || (with == seq && (!h->private_until || at <= h->private_until));
		memcpy(ret_oid, chain[i], TRIB_OID_LEN);
	}
	return 0;
}

static int open_private(const struct trib_history *h, struct private_half *p, struct trib_err *err)
{
	p->m = (struct trib_material){.mirror = p->r.mirror, .node = h->trust.node, .app = h->trust.app, .manifest = &p->manifest, .schema = &p->schema,
				      .salt = p->r.salt, .secret = true};
	return trib_manifest_parse(trib_buf_span(&p->r.manifest), &p->manifest, err) < 0 ? -1 :
	       trib_schematext_parse(trib_buf_span(&p->r.schema), &p->schema, err);
}

static int replay_private(const struct trib_history *h, const struct replay *public, const char *scratch, struct private_half *p, struct trib_err *err)
{
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	struct trib_history walk = {.repo = h->private_repo, .ref = "refs/heads/main", .trust = h->private_trust, .private_until = h->private_until};
	uint8_t upto[TRIB_OID_LEN];
	bool found = false;
	int rc;

	if (!walk.repo)
		return 0;
	walk.trust.state_proven_later = true;
	if (trib_manifest_parse(trib_buf_span(&public->manifest), &m, err) < 0)
		return -1;
	if (m.seq > h->private_base && find_private(&walk, m.seq - h->private_base, upto, &found, err) < 0)
		return -1;
	if (!found)
		return 0;
	p->r.upto = upto;
	rc = open_scratch(scratch, &p->r, err);
	if (rc == 0)
		rc = trib_history_walk(&walk, upto, NULL, replay_commit, &p->r, err);
	p->r.upto = NULL;
	return rc < 0 ? -1 : open_private(h, p, err);
}

static void private_release(struct private_half *p)
{
	replay_release(&p->r);
	trib_manifest_release(&p->manifest);
	trib_schematext_release(&p->schema);
}

static int to_file(const struct trib_history *h, const uint8_t upto[TRIB_OID_LEN], const char *table, const char *const scratch[2], const char *tmp,
		   const char *to, struct trib_restored *ret, struct trib_err *err)
{
	struct replay r = {.upto = upto, .manifest = TRIB_BUF(TRIB_MANIFEST_MAX), .schema = TRIB_BUF(TRIB_SCHEMA_MAX)};
	struct private_half p = {.r = {.manifest = TRIB_BUF(TRIB_MANIFEST_MAX), .schema = TRIB_BUF(TRIB_SCHEMA_MAX)}};
	struct trib_history walk = *h;
	int rc;

	/* The finished file is measured against the signed digest: to add every night's sum up as well would prove nothing more. */
	walk.trust.state_proven_later = true;
	rc = open_scratch(scratch[0], &r, err);
	if (rc == 0)
		rc = trib_history_walk(&walk, upto, NULL, replay_commit, &r, err);
	if (rc == 0 && replay_private(h, &r, scratch[1], &p, err) < 0)
		rc = trib_ctx(err, "the private half");
	if (rc == 0)
		rc = finish(h, &r, &p, table, tmp, to, ret, err);
	private_release(&p);
	replay_release(&r);
	return rc;
}

int trib_replay_to_file(const struct trib_history *h, const uint8_t upto[TRIB_OID_LEN], const char *table, const char *to,
			struct trib_restored *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *scratch = trib_pathf("%s.tributary-scratch", to);
	TRIB_AUTO(trib_mem) char *private_scratch = trib_pathf("%s.tributary-private", to);
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.tributary-new", to);
	TRIB_AUTO(trib_mem) char *folded = table ? strdup(table) : NULL;
	struct trib_err ignored = {0};
	int rc;

	if (!scratch || !private_scratch || !tmp || (table && !folded))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a path");
	if (trib_fs_exists(to))
		return trib_fail(err, TRIB_E_FAILED, "%s exists already and was not touched; name another file", to);
	if (folded)
		trib_fold((uint8_t *)folded, strlen(folded));
	const char *const both[] = {scratch, private_scratch};
	if (remove_scratch(scratch, err) < 0 || remove_scratch(private_scratch, err) < 0 || remove_scratch(tmp, err) < 0)
		return -1;
	rc = to_file(h, upto, folded, both, tmp, to, ret, err);
	/* A scratch file that cannot be removed is no reason to withhold a proven file. */
	if (remove_scratch(scratch, &ignored) < 0 || remove_scratch(private_scratch, &ignored) < 0 || (rc < 0 && remove_scratch(tmp, &ignored) < 0))
		return rc;
	return rc < 0 ? trib_ctx(err, "restoring to %s", to) : 0;
}
