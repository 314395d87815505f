/* cmd_restore.c: `restore`: a community's database as it was, proven, in a new file. */
#include "core/base/clock.h"
#include "core/trust/hash.h"
#include "hub/acts.h"
#include "hub/commands.h"
#include "hub/restore.h"

const struct trib_opt hub_opts_restore[] = {
	{"node", 0, "ID", N_("the community")},
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{"at", 0, "WHEN", N_("which moment: a date, an instant, HEAD~2, #12, a hash, \"3 days ago\", latest")},
	{"to", 0, "FILE", N_("the new file")},
	{"table", 't', "TABLE", N_("only this table")},
	{"force", 'f', NULL, N_("replace FILE when it exists")},
	{0},
};

/* A commit's manifest, hashed against its trailer. */
static int read_manifest(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], struct trib_commit *c, struct trib_manifest *ret, struct trib_err *err)
{
	uint8_t sha[TRIB_SHA256_LEN];
	if (trib_commit_read(repo, oid, c, err))
		return -1;
	trib_sha256(sha, trib_buf_span(&c->manifest));
	if (memcmp(sha, c->c.manifest_sha256, sizeof(sha)) != 0)
		return trib_fail(err, TRIB_E_TREE, "the commit names another manifest than its tree holds");
	return trib_manifest_parse(trib_buf_span(&c->manifest), ret, err);
}

static int signer_of(struct trib_repo *repo, const struct trib_commit *c, struct trib_cert_id *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_cert *certs[2] = {0};
	size_t n = 0;
	int rc = trib_commit_blob(repo, c, "signer.pem", TRIB_SIGNER_MAX, &pem, err);
	if (!rc)
		rc = trib_certs_parse_pem(trib_buf_span(&pem), certs, 2, &n, err);
	if (!rc)
		rc = trib_cert_identity(certs[0], ret, err);
	trib_cert_free(certs[0]);
	trib_cert_free(certs[1]);
	return rc;
}

static const struct trib_mf_table *find_table(const struct trib_manifest *m, const char *name)
{
	for (size_t i = 0; i < m->ntables; i++)
		if (strcmp(m->tables[i].name, name) == 0)
			return &m->tables[i];
	return NULL;
}

static bool wanted(struct trib_cli *cli, const char *folded)
{
	const char *only = trib_cli_opt(cli, "table"), *base = trib_is_bag(trib_span_str(folded)) ? folded + strlen(TRIB_BAG_PREFIX) : folded;
	return !only || trib_fold_cmp(trib_span_str(base), trib_span_str(only)) == 0;
}

static void say_tables(struct trib_cli *cli, const struct trib_manifest *then, const struct trib_manifest *now)
{
	json_t *list = json_array();
	for (int pass = 0; pass < 2; pass++) {
		const struct trib_manifest *m = pass ? now : then;
		for (size_t i = 0; i < m->ntables; i++) {
			const char *name = m->tables[i].name;
			const struct trib_mf_table *t = find_table(then, name), *n = find_table(now, name);
			if ((pass && t) || !wanted(cli, name))
				continue;
			trib_say(cli, _("  %-32s %llu rows then, %llu now\n"), name, (unsigned long long)(t ? t->rows : 0), (unsigned long long)(n ? n->rows : 0));
			json_array_append_new(list, json_pack("{s:o, s:I, s:I}", "table", trib_json_text(name), "then", (json_int_t)(t ? t->rows : 0), "now", (json_int_t)(n ? n->rows : 0)));
		}
	}
	trib_json(cli, "tables", list);
}

static int plan(struct trib_cli *cli, struct trib_hub_history *h, const uint8_t oid[TRIB_OID_LEN], const char *echo)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0}, last = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest then = {0}, now = {0};
	TRIB_AUTO(trib_mem) char *dir = strdup(trib_cli_opt(cli, "to"));
	struct trib_cert_id signer;
	struct trib_leaf leaf;
	uint8_t tip[TRIB_OID_LEN];
	uint64_t room = 0;
	char captured[TRIB_TIME_LEN + 1], held[TRIB_TIME_LEN + 1];
	if (!dir)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	char *slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	if (trib_restore_table(&h->h, oid, trib_cli_opt(cli, "table"), &cli->err) || trib_repo_ref(h->repo, "refs/heads/main", tip, &cli->err) || read_manifest(h->repo, oid, &c, &then, &cli->err) ||
	    read_manifest(h->repo, tip, &last, &now, &cli->err) || signer_of(h->repo, &c, &signer, &cli->err) || trib_hub_held_leaf(h->db, oid, &leaf, &cli->err) ||
	    trib_fs_free(slash ? dir : ".", &room, &cli->err))
		return -1;
	trib_time_text(captured, then.captured_at);
	trib_time_text(held, leaf.time);
	trib_say(cli, _("would restore %s/%s, %s\nsigned by     %s (%s)\ncaptured at   %s\nreceived at   %s\nfree space    %llu MiB\n"), h->node, h->app, echo, signer.subject,
		 signer.id, captured, held, (unsigned long long)(room / TRIB_MIB));
	trib_json(cli, "as_of", trib_json_text(echo));
	trib_json(cli, "signer", trib_json_text(signer.id));
	trib_json(cli, "captured_at", trib_json_text(captured));
	trib_json(cli, "held_at", trib_json_text(held));
	trib_json(cli, "free_bytes", json_integer((json_int_t)room));
	say_tables(cli, &then, &now);
	return 0;
}

static void say_restored(struct trib_cli *cli, const struct trib_restored *r, const char *echo, const char *to)
{
	char hex[TRIB_SHA256_HEX + 1], oid[TRIB_OID_HEX + 1], captured[TRIB_TIME_LEN + 1];
	trib_hex(hex, r->digest, TRIB_SHA256_LEN);
	trib_hex(oid, r->oid, TRIB_OID_LEN);
	trib_time_text(captured, r->captured_at);
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
	trib_json(cli, "commit", trib_json_text(oid));
	trib_json(cli, "captured_at", trib_json_text(captured));
	trib_json(cli, "signer", trib_json_text(r->signer.id));
	trib_json(cli, "rows", json_integer((json_int_t)r->rows));
	trib_json(cli, "tables", json_integer((json_int_t)r->tables));
	trib_json(cli, "digest", trib_json_text(hex));
	trib_json(cli, "proven", json_true());
}

/* Who looks at personal data is in the log before he does (D7.5, D12.2). */
static int log_restore(struct trib_cli *cli, const struct trib_hub_history *h, const char *echo, const char *table)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	char detail[TRIB_TITLE_MAX + 1];
	(void)snprintf(detail, sizeof(detail), "%.100s%s%.100s", echo, table ? ", " : "", table ? table : "");
	struct trib_act act = {.what = "restore", .node = h->node, .app = h->app, .detail = detail};
	return trib_hubdb_open(trib_cli_hub(cli), true, &db, &cli->err) || trib_act_log(&db, &act, &cli->err) ? -1 : 0;
}

static int run(struct trib_cli *cli, struct trib_hub_history *h, const uint8_t oid[TRIB_OID_LEN], const char *echo)
{
	const char *to = trib_cli_opt(cli, "to"), *table = trib_cli_opt(cli, "table");
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	struct trib_progress p;
	if (log_restore(cli, h, echo, table))
		return -1;
	trib_progress_init(&p, _("replaying"), cli->quiet || cli->json);
	h->h.progress = &p;
	if (trib_hub_restore(h, oid, table, to, trib_cli_flag(cli, "force"), &r, &cli->err)) {
		struct trib_err ignored;
		/* An attempt is written down too; what went wrong is what the caller must hear. */
		if (trib_hub_restore_note(trib_cli_hub(cli), h, echo, table, to, NULL, &ignored))
			trib_talk(cli, "%s\n", ignored.msg);
		return trib_ctx(&cli->err, _("nothing was restored"));
	}
	if (trib_hub_restore_note(trib_cli_hub(cli), h, echo, table, to, &r, &cli->err))
		return -1;
	say_restored(cli, &r, echo, to);
	return 0;
}

int hub_cmd_restore(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_hub_history) struct trib_hub_history h = {0};
	TRIB_AUTO(trib_buf) struct trib_buf echo = TRIB_BUF(1024);
	const char *at = trib_cli_opt(cli, "at"), *to = trib_cli_opt(cli, "to");
	uint8_t oid[TRIB_OID_LEN];
	if (!trib_cli_opt(cli, "node") || !at || !to)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("restore needs --node ID, --at WHEN and --to FILE"));
	if (hub_cli_history(cli, &db, &h) || trib_history_at(h.repo, "refs/heads/main", at, trib_now(), TRIB_CITY_ZONE_S, oid, &echo, &cli->err))
		return -1;
	if (trib_restore_target(to, trib_cli_flag(cli, "force"), trib_cli_hub(cli)->dir, &cli->err))
		return -1;
	return cli->dry_run ? plan(cli, &h, oid, trib_buf_str(&echo)) : run(cli, &h, oid, trib_buf_str(&echo));
}
