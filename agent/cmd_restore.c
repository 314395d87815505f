/* cmd_restore.c: `restore` and `check`: what the history proves. */
#include <sys/stat.h>

#include "agent/capture/baseline.h"
#include "agent/commands.h"
#include "agent/private_copy.h"
#include "core/base/clock.h"
#include "core/trust/epoch.h"

const struct trib_opt agent_opts_restore[] = {
	{"at", 0, "WHEN", N_("which moment: a date, an instant, HEAD~2, #12, a hash, \"3 days ago\", latest")},
	{"to", 0, "FILE", N_("the new file")},
	{"table", 't', "TABLE", N_("only this table")},
	{"private", 0, "BUNDLE", N_("join this decrypted copy of the private half, for a machine that has none of its own")},
	{"force", 'f', NULL, N_("replace FILE when it exists")},
	{0},
};
const struct trib_opt agent_opts_check[] = {
	{"read-data", 0, NULL, N_("also replay the history and compare every row with the baseline")},
	{0},
};

/* ---- restore ---- */

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int check_target(struct trib_cli *cli, const char *to)
{
	const struct trib_state *s = trib_cli_state(cli);
	if (same_file(to, s->node.db_path))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s is the application's own database; restore to another file, and look at it first"), to);
	return trib_restore_target(to, trib_cli_flag(cli, "force"), s->dir, &cli->err);
}

static void print_restored(struct trib_cli *cli, const struct trib_restored *r, const char *echo, const char *to)
{
	char hex[TRIB_SHA256_HEX + 1];
	trib_hex(hex, r->digest, TRIB_SHA256_LEN);
	trib_say(cli, _("restored     %s\nas of        %s\nsigned by    %s (%s)\nrows         %llu in %zu tables\ndigest       %s, proven on the file\n"), to, echo, r->signer.subject,
		 r->signer.id, (unsigned long long)r->rows, r->tables, hex);
	if (r->absent.len)
		trib_say(cli, _("left out:\n%s"), trib_buf_str(&r->absent));
	if (r->stand_ins.len)
		trib_say(cli, _("indexes      made without %s, which only the application has: run REINDEX in it once, before anybody works with this file\n"), trib_buf_str(&r->stand_ins));
	if (r->unmet.len)
		trib_say(cli, _("these name a virtual table, whose content no history holds; make it in the file as the application does, before anybody writes to it:\n%s"),
			 trib_buf_str(&r->unmet));
	trib_json(cli, "unmet", trib_json_text(trib_buf_str(&r->unmet)));
	trib_json(cli, "reindex", trib_json_text(trib_buf_str(&r->stand_ins)));
	trib_json(cli, "file", trib_json_text(to));
	trib_json(cli, "as_of", trib_json_text(echo));
	trib_json(cli, "seq", json_integer((json_int_t)r->seq));
	trib_json(cli, "commit", agent_json_hex(r->oid, TRIB_OID_LEN));
	trib_json(cli, "captured_at", agent_json_time(r->captured_at));
	trib_json(cli, "signer", trib_json_text(r->signer.id));
	trib_json(cli, "rows", json_integer((json_int_t)r->rows));
	trib_json(cli, "tables", json_integer((json_int_t)r->tables));
	trib_json(cli, "digest", trib_json_text(hex));
	trib_json(cli, "proven", json_true());
	trib_json(cli, "private_seq", r->private_seq ? json_integer((json_int_t)r->private_seq) : json_null());
	trib_json(cli, "absent", trib_json_text(trib_buf_str(&r->absent)));
	if (r->private_seq)
		trib_say(cli, _("private      joined from private.git #%llu, proven on the file\n"), (unsigned long long)r->private_seq);
}

/* With --private the other half comes from a file; it is unpacked beside the target for as long as it is read. */
static int replay_halves(struct trib_cli *cli, struct trib_history *h, const uint8_t oid[TRIB_OID_LEN], const char *to, struct trib_restored *ret)
{
	const char *copy = trib_cli_opt(cli, "private"), *table = trib_cli_opt(cli, "table");
	TRIB_AUTO(trib_mem) char *dir = trib_pathf("%s.private", to);
	struct trib_repo *repo = NULL;
	struct trib_err ignored;
	if (!copy)
		return trib_replay_to_file(h, oid, table, to, ret, &cli->err);
	if (!dir)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_exists(dir))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("%s exists; nothing was changed; remove it, or choose another name"), dir);
	int rc = trib_private_copy_open(trib_cli_state(cli), copy, dir, oid, h, &repo, &cli->err) || trib_replay_to_file(h, oid, table, to, ret, &cli->err) ? -1 : 0;
	trib_repo_free(repo);
	if (trib_fs_remove_tree(dir, rc ? &ignored : &cli->err) && !rc)
		rc = -1;
	return rc;
}

/* Replays beside the target and moves the proven file over it. */
static int replay(struct trib_cli *cli, const uint8_t oid[TRIB_OID_LEN], const char *to, struct trib_restored *ret)
{
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_mem) char *fresh = trib_pathf("%s.restored", to);
	struct trib_progress progress;
	struct trib_state *s = trib_cli_state(cli);
	if (!fresh)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_held_load(s, false, &r, &cli->err))
		return -1;
	struct trib_history h = trib_own_history(s, &r);
	trib_progress_init(&progress, _("replaying"), cli->quiet);
	h.progress = &progress;
	int64_t until;
	if (trib_history_instant(trib_cli_opt(cli, "at"), trib_now(), TRIB_CITY_ZONE_S, &until))
		h.private_until = until;
	bool over = trib_fs_exists(to);
	if (over && trib_fs_remove(fresh, &cli->err))
		return -1;
	if (replay_halves(cli, &h, oid, over ? fresh : to, ret))
		return -1;
	return over ? trib_fs_rename(fresh, to, &cli->err) : 0;
}

int agent_cmd_restore(struct trib_cli *cli)
{
	const char *at = trib_cli_opt(cli, "at"), *to = trib_cli_opt(cli, "to");
	TRIB_AUTO(trib_buf) struct trib_buf echo = TRIB_BUF(1024);
	struct trib_restored r = {0};
	uint8_t oid[TRIB_OID_LEN];
	if (!at || !to)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("restore needs --at WHEN and --to FILE"));
	if (trib_history_at(trib_cli_state(cli)->repo, MAIN_REF, at, trib_now(), TRIB_CITY_ZONE_S, oid, &echo, &cli->err) || check_target(cli, to))
		return -1;
	if (cli->dry_run) {
		struct trib_history h = {.repo = trib_cli_state(cli)->repo};
		if (trib_restore_table(&h, oid, trib_cli_opt(cli, "table"), &cli->err))
			return -1;
		trib_say(cli, _("would restore %s to %s\n"), trib_buf_str(&echo), to);
		trib_json(cli, "as_of", trib_json_text(trib_buf_str(&echo)));
		return 0;
	}
	if (replay(cli, oid, to, &r)) {
		trib_restored_release(&r);
		return trib_ctx(&cli->err, _("nothing was restored"));
	}
	print_restored(cli, &r, trib_buf_str(&echo), to);
	trib_restored_release(&r);
	return 0;
}

/* ---- check ---- */

struct seen {
	const struct trib_held_list *receipts;
	uint64_t commits, held, changes;
};

static int count(void *ctx, const struct trib_judged *j, const struct trib_tip *tip, bool complete, struct trib_err *err)
{
	struct seen *n = ctx;
	uint64_t c[3];
	(void)tip;
	(void)complete;
	(void)err;
	trib_manifest_counts(&j->manifest, &c[0], &c[1], &c[2]);
	n->commits++;
	n->changes += c[0] + c[1] + c[2];
	n->held += trib_held_find(n->receipts, j->commit.oid) != NULL;
	return 0;
}

/* Says which table differs. `what` is where the rows are. */
static int compare_lanes(const struct trib_lanes *proven, const struct trib_lanes *found, const char *what, struct trib_err *err)
{
	static const struct trib_lanes_table nothing = {0};
	for (size_t side = 0; side < 2; side++) {
		const struct trib_lanes *from = side ? found : proven;
		for (size_t i = 0; i < from->ntables; i++) {
			const char *name = from->tables[i]->name;
			const struct trib_lanes_table *a = trib_lanes_find(proven, name), *b = trib_lanes_find(found, name);
			a = a ? a : &nothing;
			b = b ? b : &nothing;
			if (a->rows != b->rows || memcmp(a->lanes, b->lanes, sizeof(a->lanes)) != 0)
				return trib_fail(err, TRIB_E_VERIFY, _("table %s: the signed history has %llu rows, %s has %llu, or their content differs; the history is safe: restore from it"),
						 name, (unsigned long long)a->rows, what, (unsigned long long)b->rows);
		}
	}
	return 0;
}

/* From here on no commit may move the baseline; one that was made since the folder was opened is told. */
static int stand_still(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_mem) char *lock = trib_state_path(s, "lock");
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "tip");
	TRIB_AUTO(trib_mem) char *pending = trib_state_path(s, "pending");
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(2 * TRIB_LANES_MAX + 64 * TRIB_KIB);
	TRIB_AUTO(trib_tip) struct trib_tip now = {0};
	if (!lock || !path || !pending)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_lock_take(&s->lock, lock, TRIB_LOCK_WAIT_MS, &cli->err) || trib_fs_read(path, &bytes, &cli->err) ||
	    trib_tip_parse(trib_buf_span(&bytes), &now, &cli->err))
		return -1;
	if (memcmp(now.oid, s->tip.oid, TRIB_OID_LEN) != 0)
		return trib_fail(&cli->err, TRIB_E_LOCKED, _("a commit was made while this ran; try again: tributary-agent check"));
	if (trib_fs_exists(pending))
		return trib_fail(&cli->err, TRIB_E_INCOMPLETE, _("a commit was cut off; nothing is lost; finish it first: tributary-agent commit"));
	return 0;
}

static int check_tip(struct trib_cli *cli, const struct trib_tip *walked)
{
	struct trib_state *s = trib_cli_state(cli);
	bool same = walked->seq == s->tip.seq && memcmp(walked->oid, s->tip.oid, TRIB_OID_LEN) == 0;
	if (!same && stand_still(cli))
		return -1;
	if (!same)
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("the history stands at #%llu, but this folder remembers #%llu; something else wrote to repo.git or tip"),
				 (unsigned long long)walked->seq, (unsigned long long)s->tip.seq);
	if (compare_lanes(&walked->lanes, &s->tip.lanes, _("the remembered state"), &cli->err))
		return -1;
	TRIB_AUTO(trib_buf) struct trib_buf is = TRIB_BUF(2 * TRIB_LANES_MAX + TRIB_MIB), should = TRIB_BUF(2 * TRIB_LANES_MAX + TRIB_MIB);
	trib_tip_put(&is, &s->tip);
	trib_tip_put(&should, walked);
	if (trib_buf_check(&is, "tip", &cli->err) || trib_buf_check(&should, "tip", &cli->err))
		return -1;
	if (!trib_span_eq(trib_buf_span(&is), trib_buf_span(&should)))
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("the remembered state is not what the signed history comes to; the history is safe; bring the file tip back from a backup"));
	return 0;
}

/* A private key with its certificate, and that with the city's. Whether it is still valid today is for `status`. */
static int check_pair(struct trib_state *s, const struct trib_key *key, const struct trib_cert *cert, const struct trib_cert *issuing, enum trib_cert_use use, const char *name,
		      struct trib_err *err)
{
	struct trib_cert_id id;
	int rc = trib_key_check(key, err) || trib_cert_identity(cert, &id, err) ? -1 : 0;
	if (!rc)
		rc = s->node.enrolled ? trib_cert_verify(cert, issuing, s->root, use, id.not_before + 3600, false, &id, err) : trib_cert_verify_self(cert, &id, err);
	return rc ? trib_ctx(err, "keys/%s", name) : 0;
}

/* What the next commit is signed with, the next connection made with, and the next receipts compared with. */
static int check_keys(struct trib_cli *cli)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "checkpoint");
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (check_pair(s, s->sign_key, s->sign_cert, s->issuing, TRIB_USE_SIGN, "sign", &cli->err) ||
	    (s->node.enrolled && check_pair(s, s->tls_key, s->tls_cert, s->tls_issuing, TRIB_USE_TLS_CLIENT, "tls", &cli->err)))
		return -1;
	if (trib_fs_exists(path) && (trib_fs_read(path, &note, &cli->err) || trib_checkpoint_verify_upto(trib_buf_span(&note), s->node.origin, s->node.log_key, &cp, &cli->err)))
		return trib_ctx(&cli->err, "checkpoint");
	return 0;
}

/* The baseline is a cache of the history, so whatever is wrong with it the next commit mends. */
static int bad_baseline(struct trib_cli *cli, const char *why)
{
	return trib_fail(&cli->err, TRIB_E_VERIFY, _("the baseline %s; the history is proven and the database is not touched; a commit that reads every page makes the baseline again: "
						     "tributary-agent commit --full-scan"), why);
}

static int last_lines(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], struct trib_buf *text, struct trib_schematext *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	return trib_commit_read(repo, oid, &c, err) || trib_commit_blob(repo, &c, "schema.sql", TRIB_SCHEMA_MAX, text, err) ||
			       trib_schematext_parse(trib_buf_span(text), ret, err) ? -1 : 0;
}

/* Both halves of the baseline, each by its own lines. */
static int scan_both(struct trib_state *s, sqlite3 *db, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf a = TRIB_BUF(TRIB_SCHEMA_MAX), b = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_schematext) struct trib_schematext x = {0}, y = {0};
	struct trib_scan_half half[] = {{.lines = &x, .salt = s->salt}, {.lines = &y, .salt = s->private_tip.salt}};
	if (last_lines(s->repo, s->tip.oid, &a, &x, err) || last_lines(s->private_repo, s->private_tip.oid, &b, &y, err) ||
	    trib_scan_halves(db, s->node.app, half, TRIB_COUNT(half), err))
		return -1;
	int rc = compare_lanes(&s->tip.lanes, &half[0].lanes, _("the baseline"), err) ||
		 compare_lanes(&s->private_tip.lanes, &half[1].lanes, _("the private half of the baseline"), err) ? -1 : 0;
	trib_lanes_release(&half[0].lanes);
	trib_lanes_release(&half[1].lanes);
	return rc;
}

/* The private half has its own chain. */
static int check_private(struct trib_cli *cli, uint64_t *ret_n)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	struct trib_history h = {.repo = s->private_repo, .ref = MAIN_REF, .trust = trib_private_trust(s)};
	*ret_n = 0;
	if (!s->private_tip.exists)
		return 0;
	if (trib_history_walk(&h, NULL, &tip, NULL, NULL, &cli->err))
		return trib_ctx(&cli->err, "private.git");
	*ret_n = tip.seq;
	if (tip.seq != s->private_tip.seq || memcmp(tip.oid, s->private_tip.oid, TRIB_OID_LEN) != 0)
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("private.git stands at #%llu, but this folder remembers #%llu; something else wrote to private.git or private-tip"),
				 (unsigned long long)tip.seq, (unsigned long long)s->private_tip.seq);
	return compare_lanes(&tip.lanes, &s->private_tip.lanes, _("the remembered state"), &cli->err);
}

static int scan_baseline(struct trib_cli *cli)
{
	TRIB_AUTO(trib_lanes) struct trib_lanes found = {0};
	struct trib_state *s = trib_cli_state(cli);
	struct trib_err *err = &cli->err;
	const char *why = NULL;
	sqlite3 *db = NULL;
	if (trib_baseline_pages(s, NULL, &why, err))
		return -1;
	if (why)
		return bad_baseline(cli, _(why));
	if (trib_delta_open_old(s, &db, err))
		return err->code == TRIB_E_DB ? bad_baseline(cli, _("cannot be read")) : -1;
	int rc = s->private_tip.exists ? scan_both(s, db, err) : trib_scan_database(db, s->salt, s->node.app, &found, err);
	sqlite3_close(db);
	if (rc)
		return err->code == TRIB_E_DB ? bad_baseline(cli, _("cannot be read")) : -1;
	return s->private_tip.exists ? 0 : compare_lanes(&s->tip.lanes, &found, _("the baseline"), err);
}

static int read_data(struct trib_cli *cli, const struct trib_history *h)
{
	struct trib_state *s = trib_cli_state(cli);
	TRIB_AUTO(trib_mem) char *scratch = trib_state_path(s, "check.db");
	struct trib_restored r = {0};
	if (!scratch)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (stand_still(cli) || trib_fs_remove(scratch, &cli->err))
		return -1;
	int rc = trib_replay_to_file(h, s->tip.oid, NULL, scratch, &r, &cli->err);
	trib_restored_release(&r);
	struct trib_err keep = cli->err;
	if (trib_fs_remove(scratch, &cli->err))
		return -1;
	cli->err = keep;
	if (rc)
		return trib_ctx(&cli->err, _("replaying the history"));
	return scan_baseline(cli);
}

int agent_cmd_check(struct trib_cli *cli)
{
	TRIB_AUTO(trib_held_list) struct trib_held_list r = {0};
	TRIB_AUTO(trib_tip) struct trib_tip tip = {0};
	struct trib_progress progress;
	struct trib_state *s = trib_cli_state(cli);
	if (!s->tip.exists) {
		trib_say(cli, "%s\n", _("no commit yet: nothing to check"));
		return 0;
	}
	if (trib_held_load(s, true, &r, &cli->err))
		return -1;
	struct seen n = {.receipts = &r};
	struct trib_history h = trib_own_history(s, &r);
	trib_progress_init(&progress, _("checking"), cli->quiet);
	h.progress = &progress;
	if (trib_history_walk(&h, NULL, &tip, count, &n, &cli->err)) {
		if (cli->err.code != TRIB_E_NOT_FOUND)
			return -1;
		cli->err.code = TRIB_E_VERIFY;
		return trib_ctx(&cli->err, _("the history is not whole; put repo.git back from a copy of this folder"));
	}
	if (check_tip(cli, &tip))
		return -1;
	if (s->node.enrolled && tip.incarnation != s->node.incarnation && trib_held_find(&r, tip.oid))
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("the file node says that this is machine %llu of the office, the last commit that the hub holds of it is of machine %llu: "
				 "that file was changed; put it back from a copy of this folder"), (unsigned long long)s->node.incarnation, (unsigned long long)tip.incarnation);
	if (n.held < r.n)
		return trib_fail(&cli->err, TRIB_E_VERIFY, _("the hub has given receipts for %zu commits, but this history holds only %llu of them: it is an old copy or was changed"),
				 r.n, (unsigned long long)n.held);
	uint64_t private;
	if (check_keys(cli))
		return -1;
	if (check_private(cli, &private))
		return -1;
	bool deep = trib_cli_flag(cli, "read-data");
	if (deep && read_data(cli, &h))
		return -1;
	trib_json(cli, "commits", json_integer((json_int_t)n.commits));
	trib_json(cli, "receipts", json_integer((json_int_t)n.held));
	trib_json(cli, "changes", json_integer((json_int_t)n.changes));
	trib_json(cli, "read_data", json_boolean(deep));
	trib_json(cli, "verdict", json_string("proven"));
	trib_say(cli, _("%llu commits with %llu changes are in one unbroken, signed chain; %llu have the hub's receipt.\n"), (unsigned long long)n.commits,
		 (unsigned long long)n.changes, (unsigned long long)n.held);
	trib_json(cli, "private_commits", json_integer((json_int_t)private));
	if (private)
		trib_say(cli, _("The private half has %llu commits in a chain of its own.\n"), (unsigned long long)private);
	if (deep)
		trib_say(cli, "%s\n", _("Replayed from the beginning, they give the baseline, row for row."));
	return 0;
}
