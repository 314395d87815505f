/* history.c: long histories for bench/audit, and how fast they are judged.
 *
 *   history make STATE COMMITS ROWS              appends signed commits of ROWS new rows of workload W's table visit to an office's history, without a
 *                                                database behind them; what the agent makes, but for the fsync of each object
 *   history judge REPO HUB NODE APP hashes|digests JOBS  judges every commit that the hub's log holds, in its order, in REPO, with JOBS threads: signatures, hashes
 *                                                and chain, or also the digests derived from every changeset. Prints the number of commits. */
#include <err.h>

#include "agent/outbox_impl.h"
#include "core/base/clock.h"
#include "core/format/gzip.h"
#include "core/replay/ahead.h"
#include "core/replay/signer.h"
#include "core/trust/merkle.h"
#include "hub/hubdb.h"

static struct trib_err e;
#define MUST(call)                                                   \
	do {                                                         \
		if (call)                                            \
			errx(1, "history: %s: %s", #call, e.msg);    \
	} while (0)

/* ---- make ---- */

static const uint8_t pk[] = {1, 0, 0, 0};

static void put_rows(struct trib_buf *raw, int64_t id, unsigned rows)
{
	trib_cs_put_table(raw, trib_span_str("visit"), 4, pk);
	for (unsigned i = 0; i < rows; i++, id++) {
		struct trib_value row[4] = {{.type = TRIB_INT, .i = id}, {.type = TRIB_INT, .i = 1 + id * 7919 % 100000},
					    {.type = TRIB_TEXT, .s = trib_span_str("2025-02-03 09:30:00")}, {.type = TRIB_TEXT, .s = trib_span_str("入户走访，情况正常")}};
		trib_cs_put_insert(raw, 4, row);
	}
}

/* Table lines and digests after the changeset. */
static void put_state(const struct trib_maker *k, const struct trib_schematext *schema, struct trib_digester *digester, struct trib_span raw, struct trib_manifest *m)
{
	TRIB_AUTO(trib_lanes) struct trib_lanes lanes = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest counts = {0};
	MUST(trib_lanes_copy(&k->tip.lanes, &lanes, &e));
	MUST(trib_digest_changeset(digester, &lanes, schema, raw, &counts, &e));
	trib_digest_overall(&lanes, k->s->node.app, m->digest);
	for (size_t i = 0; i < lanes.ntables; i++) {
		struct trib_lanes_table *t = lanes.tables[i];
		struct trib_mf_table line = {.name = t->name, .rows = t->rows};
		for (size_t j = 0; j < counts.ntables; j++)
			if (strcmp(counts.tables[j].name, t->name) == 0)
				line.inserted = counts.tables[j].inserted;
		trib_digest_table_keep(t, line.digest);
		MUST(trib_manifest_add_table(m, &line, &e));
	}
}

static void make_one(struct trib_maker *k, struct trib_span schema, const struct trib_schematext *text, struct trib_digester *digester, unsigned rows)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_MIB), gz = TRIB_BUF(TRIB_MIB);
	struct trib_draft d = {.schema = schema, .text = "", .idle = ""};
	put_rows(&raw, (int64_t)(k->tip.seq << 24), rows);
	MUST(trib_gzip(trib_buf_span(&raw), &gz, &e));
	d.gz = trib_buf_span(&gz);
	d.m.kind = TRIB_KIND_CHANGE;
	d.m.part = d.m.parts = 1;
	d.m.captured_at = k->now;
	d.m.raw_len = raw.len;
	d.m.gz_len = gz.len;
	trib_merkle_empty(d.m.checkpoint_root);
	put_state(k, text, digester, trib_buf_span(&raw), &d.m);
	MUST(trib_maker_write(k, &d, &e));
	trib_manifest_release(&d.m);
}

static void make(const char *dir, size_t commits, unsigned rows)
{
	TRIB_AUTO(trib_state) struct trib_state s = {0};
	TRIB_AUTO(trib_maker) struct trib_maker k = {0};
	TRIB_AUTO(trib_commit) struct trib_commit last = {0};
	TRIB_AUTO(trib_buf) struct trib_buf schema = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_schematext) struct trib_schematext text = {0};
	TRIB_AUTO(trib_delta) struct trib_delta none = {0};
	MUST(trib_state_open(dir, true, &s, &e));
	MUST(trib_state_keys(&s, &e));
	MUST(trib_commit_read(s.repo, s.tip.oid, &last, &e));
	MUST(trib_commit_blob(s.repo, &last, "schema.sql", TRIB_SCHEMA_MAX, &schema, &e));
	MUST(trib_schematext_parse(trib_buf_span(&schema), &text, &e));
	MUST(trib_maker_init(&k, &s, &s.tip, &e));
	TRIB_AUTO(trib_digester) struct trib_digester *digester = trib_digester_new(s.salt, s.node.app);
	if (!digester || git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 0))
		errx(1, "history: memory or libgit2");
	for (size_t i = 0; i < commits; i++)
		make_one(&k, trib_buf_span(&schema), &text, digester, rows);
	MUST(trib_maker_finish(&k, &none, &e));
}

/* ---- judge ---- */

struct feed { sqlite3_stmt *st; const char *repo, *node, *app; };

static bool next(void *ctx, struct trib_ahead_job *ret)
{
	struct feed *f = ctx;
	if (sqlite3_step(f->st) != SQLITE_ROW)
		return false;
	snprintf(ret->node, sizeof(ret->node), "%s", f->node);
	snprintf(ret->app, sizeof(ret->app), "%s", f->app);
	memcpy(ret->oid, sqlite3_column_blob(f->st, 0), TRIB_OID_LEN);
	ret->at = trib_now();
	return (ret->repo = strdup(f->repo)) != NULL;
}

static void select_held(struct trib_hubdb *db, const char *node, const char *app, sqlite3_stmt **ret)
{
	MUST(trib_db_prepare(db->db, "SELECT oid FROM held WHERE node = ? AND app = ? ORDER BY seq", ret, &e));
	sqlite3_bind_text(*ret, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(*ret, 2, app, -1, SQLITE_STATIC);
}

static void judge(const char *path, const char *hub_dir, const char *node, const char *app, bool digests, unsigned jobs)
{
	TRIB_AUTO(trib_hub) struct trib_hub hub = {0};
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	TRIB_AUTO(trib_signer_cache) struct trib_signer_cache signers = {0};
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *ahead_of = NULL;
	TRIB_AUTO(trib_ahead) struct trib_ahead *ahead = NULL;
	size_t n = 0;
	int row;
	MUST(trib_hub_open(hub_dir, &hub, &e));
	MUST(trib_repo_open(path, false, &repo, &e));
	MUST(trib_hubdb_open(&hub, false, &db, &e));
	select_held(&db, node, app, &st);
	select_held(&db, node, app, &ahead_of);
	struct feed feed = {.st = ahead_of, .repo = path, .node = node, .app = app};
	struct trib_trust trust = {.city = hub.city, .node = node, .app = app, .root = hub.root, .at = trib_now(), .incarnation = UINT64_MAX,
				   .state_proven_later = !digests, .signers = &signers};
	if (jobs > 1) {
		MUST(trib_ahead_new(jobs, &trust, &ahead, &e));
		trib_ahead_from(ahead, next, &feed);
	}
	for (; (row = trib_db_step(db.db, st, &e)) > 0; n++) {
		TRIB_AUTO(trib_judged) struct trib_judged j = {0};
		TRIB_AUTO(trib_fore) struct trib_fore *fore = ahead ? trib_ahead_take(ahead, node, app, sqlite3_column_blob(st, 0)) : NULL;
		MUST(trib_judge_fore(repo, sqlite3_column_blob(st, 0), &trust, fore, &tip, &j, &e));
	}
	MUST(row);
	printf("%zu\n", n);
}

int main(int argc, char **argv)
{
	MUST(trib_repo_lib_init(&e));
	if (argc == 5 && strcmp(argv[1], "make") == 0)
		make(argv[2], strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
	else if (argc == 8 && strcmp(argv[1], "judge") == 0)
		judge(argv[2], argv[3], argv[4], argv[5], strcmp(argv[6], "digests") == 0, (unsigned)strtoul(argv[7], NULL, 10));
	else
		errx(2, "usage: history make STATE COMMITS ROWS, or history judge REPO HUB NODE APP hashes|digests JOBS");
	return 0;
}
