/* cmd_recover.c: `recover`: a hub that came back from an old copy opens a new epoch of its log; then the offices' receipts prove what is there again. */
#include "core/base/clock.h"
#include "hub/commands.h"
#include "hub/oldlog.h"
#include "hub/rebuild.h"
#include "hub/recover.h"

const struct trib_opt hub_opts_recover[] = {
	{"admin-key", 0, "FILE", N_("an administrator's sign.key; its sign.crt is beside it (tributary-hub user add)")},
	{"epoch", 0, "N", N_("with --admin-key: the number of the new epoch; for a copy that was recovered before, one that no office and no witness has seen")},
	{"check", 0, NULL, N_("prove by the offices' receipts of the old log that all it held is here again, or name what is missing")},
	{"receipts", 0, "FILE", N_("take an office's old receipts by hand: old-receipts of its state folder, or one file of its receipts/")},
	{0},
};
#define SHOWN 50 /* lines of each list on a screen; --json lists all */

/* FILE.crt beside FILE.key: leaf, then issuing certificate. */
static int load_admin(struct trib_cli *cli, const char *key_file, struct trib_key **key, struct trib_cert *certs[2])
{
	size_t n = strlen(key_file), got = 0;
	if (n < 4 || strcmp(key_file + n - 4, ".key") != 0)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--admin-key takes a file that ends in .key, with its .crt beside it"));
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%.*s.crt", (int)(n - 4), key_file);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (!path)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_key_load(key_file, key, &cli->err) || trib_fs_read(path, &pem, &cli->err) || trib_certs_parse_pem(trib_buf_span(&pem), certs, 2, &got, &cli->err))
		return trib_ctx(&cli->err, "%s", path);
	if (got != 2)
		return trib_fail(&cli->err, TRIB_E_CERT, _("%s must hold the administrator's certificate and the issuing one"), path);
	return trib_cert_matches(certs[0], *key, &cli->err);
}

static void say(struct trib_cli *cli, const struct trib_recovered *r)
{
	char when[17], last[TRIB_TIME_LEN + 1];
	trib_time_city(when, r->last);
	trib_time_text(last, r->last);
	trib_json(cli, "origin", trib_json_text(r->origin));
	trib_json(cli, "leaves", json_integer((json_int_t)r->leaves));
	trib_json(cli, "last_leaf", trib_json_text(last));
	trib_json(cli, "administrator", trib_json_text(r->admin.subject));
	trib_json(cli, "histories", json_integer((json_int_t)r->histories));
	trib_json(cli, "city_commits_set_aside", json_integer((json_int_t)r->city_commits));
	trib_say(cli, _("The log goes on as %s behind the %llu leaves of this copy, which ends at %s; opened by %s.\n"), r->origin, (unsigned long long)r->leaves, when, r->admin.subject);
	trib_say(cli, _("At their next sync the offices of %llu histories see the new epoch and send again what this copy lacks.\n"), (unsigned long long)r->histories);
	if (r->city_commits)
		trib_say(cli, _("The city history was newer than hub.db: its last %llu commits are no longer part of it; they stay in city.git as %s.\n"), (unsigned long long)r->city_commits,
			 r->city_ref);
	trib_say(cli, "%s", _("An office that still refuses names a higher number, for this copy was recovered before: tributary-hub recover --epoch N.\n"));
	trib_say(cli, _("What administrators did since this copy was made is lost: repeat enrolments and, before anything else, revocations. Its last entry is of %s; if it was served since it was put back, it was made before that.\nNext: tributary-hub rebuild, tributary-hub serve; when the offices have synced: tributary-hub recover --check\n"), when);
}

/* ---- --check ---- */

struct list { struct trib_cli *cli; struct trib_oldlog *o; json_t *json; size_t n; };

static int say_history(void *ctx, const struct trib_oldlog_history *h, struct trib_err *err)
{
	static const char *const states[] = {[TRIB_OLDLOG_WAITING] = "waiting", [TRIB_OLDLOG_COMPLETE] = "complete", [TRIB_OLDLOG_LACKS] = "missing",
					     [TRIB_OLDLOG_UNKNOWN] = "unknown"};
	static const char *const texts[] = {[TRIB_OLDLOG_WAITING] = N_("WAITING: it has not synced since; what it holds is not known"),
					    [TRIB_OLDLOG_COMPLETE] = N_("complete: whatever it has a receipt for is here again"),
					    [TRIB_OLDLOG_LACKS] = N_("MISSING commits, see below"),
					    [TRIB_OLDLOG_UNKNOWN] = N_("enrolled, and this copy had no commit of it")};
	struct list *l = ctx;
	(void)err;
	if (l->n++ < SHOWN) {
		trib_say(l->cli, "  %-14s %-10s %s", h->node, h->app, _(texts[h->state]));
		if (h->state != TRIB_OLDLOG_WAITING && h->state != TRIB_OLDLOG_UNKNOWN)
			trib_say(l->cli, _(" (%llu lost leaves proven, %llu of them commits)"), (unsigned long long)h->receipts, (unsigned long long)h->commits);
		if (h->omitted)
			trib_say(l->cli, _("; its oldest %llu receipts files were too many to bring"), (unsigned long long)h->omitted);
		trib_say(l->cli, "\n");
	}
	json_array_append_new(l->json, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "node", h->node, "app", h->app, "state", states[h->state], "receipts", (json_int_t)h->receipts,
						 "commits", (json_int_t)h->commits, "missing", (json_int_t)h->missing, "omitted", (json_int_t)h->omitted));
	return 0;
}

static int say_finding(void *ctx, const struct trib_oldlog_finding *f, struct trib_err *err)
{
	static const char *const kinds[] = {[TRIB_OLDLOG_MISSING] = "missing", [TRIB_OLDLOG_OTHER] = "other-commit", [TRIB_OLDLOG_BAD_FILE] = "bad-file"};
	struct list *l = ctx;
	char hex[TRIB_OID_HEX + 1];
	(void)err;
	trib_hex(hex, f->oid, TRIB_OID_LEN);
	bool shown = l->n++ < SHOWN, commit = f->what == TRIB_OLDLOG_MISSING || f->what == TRIB_OLDLOG_OTHER;
	if (shown && f->what == TRIB_OLDLOG_MISSING)
		trib_say(l->cli, _("  %s/%s #%llu (%.12s) is missing: a receipt of leaf %llu proves that the hub held it\n"), f->node, f->app, (unsigned long long)f->seq, hex,
			 (unsigned long long)f->index);
	else if (shown && f->what == TRIB_OLDLOG_OTHER)
		trib_say(l->cli, _("  %s/%s #%llu (%.12s) is missing: its history has another commit of this number; a receipt of leaf %llu proves that the hub held it\n"), f->node, f->app,
			 (unsigned long long)f->seq, hex, (unsigned long long)f->index);
	else if (shown)
		trib_say(l->cli, _("  proves nothing: %s\n"), f->text);
	json_array_append_new(l->json, json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o}", "kind", kinds[f->what], "node", f->node, "app", f->app, "epoch", (json_int_t)f->epoch, "index",
						 (json_int_t)f->index, "seq", commit ? json_integer((json_int_t)f->seq) : json_null(), "commit",
						 commit ? json_string(hex) : json_null(), "message", trib_json_text(f->text)));
	return 0;
}

static int say_run(void *ctx, uint64_t first, uint64_t last, struct trib_err *err)
{
	struct list *l = ctx;
	(void)err;
	if (l->n++ < SHOWN)
		trib_say(l->cli, l->n > 1 ? ", %llu" : " %llu", (unsigned long long)first);
	if (l->n <= SHOWN && last > first)
		trib_say(l->cli, "-%llu", (unsigned long long)last);
	json_array_append_new(l->json, json_pack("[I, I]", (json_int_t)first, (json_int_t)last));
	return 0;
}

static int say_old_epoch(void *ctx, const struct trib_oldlog_epoch *e, struct trib_err *err)
{
	struct list *l = ctx, runs = {.cli = l->cli, .json = json_array()};
	uint64_t lost = e->upto - e->from;
	trib_say(l->cli, _("Epoch %llu had at least %llu leaves; %llu of them, %llu to %llu, this copy lost. Receipts prove %llu.\n"), (unsigned long long)e->epoch, (unsigned long long)e->upto,
		 (unsigned long long)lost, (unsigned long long)e->from, (unsigned long long)e->upto - 1, (unsigned long long)e->proven);
	if (e->proven < lost)
		trib_say(l->cli, "%s", _("  proven by no office yet (the hub's own entries, or an office's):"));
	if (trib_oldlog_unproven(l->o, e, say_run, &runs, err)) {
		json_decref(runs.json);
		return -1;
	}
	if (e->proven < lost)
		trib_say(l->cli, runs.n > SHOWN ? ", ...\n" : "\n");
	json_array_append_new(l->json, json_pack("{s:I, s:I, s:I, s:I, s:o}", "epoch", (json_int_t)e->epoch, "from", (json_int_t)e->from, "upto", (json_int_t)e->upto, "proven",
						 (json_int_t)e->proven, "unproven", runs.json));
	return 0;
}

static int say_fork(void *ctx, const struct trib_oldlog_fork *f, struct trib_err *err)
{
	struct list *l = ctx;
	(void)err;
	trib_say(l->cli, _("Epoch %llu was shown in two versions, which differ at leaf %llu or before. A copy does that when it is served before recover, or recovered twice under one number; what either version held is asked for below. If neither was done, the hub showed two logs: tell the auditors.\n"),
		 (unsigned long long)f->epoch, (unsigned long long)f->index);
	json_array_append_new(l->json, json_pack("{s:I, s:I, s:s, s:s}", "epoch", (json_int_t)f->epoch, "index", (json_int_t)f->index, "node", f->node, "app", f->app));
	return 0;
}

static void more(struct trib_cli *cli, size_t n)
{
	if (n > SHOWN)
		trib_say(cli, _("  ... and %zu more; --json lists all\n"), n - SHOWN);
}

static void verdict(struct trib_cli *cli, const struct trib_oldlog_totals *t)
{
	const char *word = t->findings ? "not-complete" : t->waiting ? "open" : "complete";
	trib_json(cli, "verdict", json_string(word));
	trib_json(cli, "waiting", json_integer((json_int_t)t->waiting));
	trib_json(cli, "commits", json_integer((json_int_t)t->commits));
	trib_json(cli, "missing", json_integer((json_int_t)t->missing));
	if (t->findings)
		trib_say(cli, _("NOT complete: of %llu commits that receipts prove, %llu are missing. Ask the office for another copy of its history: tributary-hub ingest\n"),
			 (unsigned long long)t->commits, (unsigned long long)t->missing);
	else if (t->waiting)
		trib_say(cli, _("Not decided yet: %llu histories have not reported; all %llu commits that receipts prove are here again.\n"), (unsigned long long)t->waiting,
			 (unsigned long long)t->commits);
	else
		trib_say(cli, _("Complete: every office has reported, and all %llu commits that receipts prove are here again.\n"), (unsigned long long)t->commits);
	if (t->findings)
		cli->status = trib_exit_status(TRIB_E_VERIFY);
	else if (t->waiting)
		cli->status = trib_exit_status(TRIB_E_INCOMPLETE);
}

static int check(struct trib_cli *cli)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_oldlog) struct trib_oldlog *o = NULL;
	if (trib_hubdb_open(trib_cli_hub(cli), false, &db, &cli->err) || trib_oldlog_check(&db, &o, &cli->err))
		return -1;
	const struct trib_oldlog_totals *t = trib_oldlog_totals(o);
	if (!t->opened)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("the log of this hub was never cut off: there is nothing to compare; try: tributary-hub audit"));
	struct list epochs = {.cli = cli, .o = o, .json = json_array()}, forks = {.cli = cli, .json = json_array()};
	struct list nodes = {.cli = cli, .json = json_array()}, found = {.cli = cli, .json = json_array()};
	int rc = trib_oldlog_epochs(o, say_old_epoch, &epochs, &cli->err) ||
				 trib_oldlog_forks(o, say_fork, &forks, &cli->err) || trib_oldlog_histories(o, say_history, &nodes, &cli->err)
			 ? -1
			 : 0;
	more(cli, nodes.n);
	if (!rc)
		rc = trib_oldlog_findings(o, say_finding, &found, &cli->err);
	more(cli, found.n);
	trib_json(cli, "epochs", epochs.json);
	trib_json(cli, "forks", forks.json);
	trib_json(cli, "histories", nodes.json);
	trib_json(cli, "findings", found.json);
	if (!rc)
		verdict(cli, t);
	return rc;
}

/* ---- --receipts ---- */

static int take_receipts(struct trib_cli *cli, const char *file)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	if (trib_hubdb_open(trib_cli_hub(cli), false, &db, &cli->err) || trib_oldlog_take(&db, file, !cli->dry_run, node, app, &cli->err))
		return -1;
	trib_json(cli, "node", trib_json_text(node));
	trib_json(cli, "app", trib_json_text(app));
	trib_say(cli, cli->dry_run ? _("would keep the old receipts of %s/%s; they are good\n") : _("The old receipts of %s/%s are good and kept. Next: tributary-hub recover --check\n"), node, app);
	return 0;
}

static int take_number(struct trib_cli *cli, uint64_t *ret)
{
	const char *text = trib_cli_opt(cli, "epoch");
	uint64_t n = 0;
	size_t digits = text ? strspn(text, "0123456789") : 0;
	if (text && (!digits || text[digits] || digits > 18 || !(n = strtoull(text, NULL, 10))))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--%s takes a number"), "epoch");
	*ret = n;
	return 0;
}

static int open_epoch(struct trib_cli *cli, const char *file)
{
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock lock = TRIB_LOCK_INIT;
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	struct trib_cert *certs[2] = {0};
	struct trib_recovered r;
	uint64_t epoch = 0;
	int rc = take_number(cli, &epoch) || trib_hub_stopped(trib_cli_hub(cli), &lock, &cli->err) || load_admin(cli, file, &key, certs) ? -1 : 0;
	if (!rc && cli->dry_run)
		trib_say(cli, _("would open the epoch after %s\n"), trib_cli_hub(cli)->origin);
	else if (!rc)
		rc = trib_recover(trib_cli_hub(cli), key, certs[0], certs[1], trib_now(), epoch, &r, &cli->err);
	trib_cert_free(certs[0]);
	trib_cert_free(certs[1]);
	if (!rc && !cli->dry_run)
		say(cli, &r);
	return rc;
}

int hub_cmd_recover(struct trib_cli *cli)
{
	const char *key = trib_cli_opt(cli, "admin-key"), *receipts = trib_cli_opt(cli, "receipts");
	bool only_check = trib_cli_flag(cli, "check");
	if ((key != NULL) + (receipts != NULL) + only_check > 1)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("one of --admin-key, --check and --receipts at a time"));
	if (!key && trib_cli_opt(cli, "epoch"))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--epoch goes with --admin-key"));
	if (only_check)
		return check(cli);
	if (receipts)
		return take_receipts(cli, receipts);
	if (!key)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--admin-key FILE is needed: only an administrator may open a new epoch"));
	return open_epoch(cli, key);
}
