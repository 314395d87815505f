/* cmd_audit.c: `audit`. */
#include "core/base/clock.h"
#include "core/trust/cosign.h"
#include "hub/audit.h"
#include "hub/audit_bundle.h"
#include "hub/commands.h"

#define JSON_FINDINGS_MAX 100000 /* the list is one document in memory; the count is always whole */

const struct trib_opt hub_opts_audit[] = {
	{"since", 0, "last|FILE", N_("go on from the last proven audit (\"last\"), or from the record of one that was kept elsewhere, and judge only what is new; or the file of a kept checkpoint: all is judged, and that the log has only grown since is proven too")},
	{"full", 0, NULL, N_("judge everything anew, also with --since")},
	{"jobs", 0, "N", N_("threads that check commits (default: as many as there are processors); the findings are the same")},
	{"witness", 0, "VKEY", N_("also demand that this outside witness has cosigned the log within 36 hours")},
	{"bundle", 0, "DIR", N_("also write what an auditor takes away: histories, log, certificates, city, and the stock commands that prove them")},
	{0},
};

struct base { /* what --since names */
	bool is_record, is_note;
	struct trib_audited record;
	char *beside; /* folder of a record that was kept elsewhere */
	struct trib_buf file;
	char why[256]; /* nothing to go on from */
};

static int read_base(struct trib_cli *cli, struct base *b)
{
	const char *arg = trib_cli_opt(cli, "since");
	struct trib_err err;
	if (!arg)
		return 0;
	if (strcmp(arg, "last") == 0) {
		b->is_record = trib_audited_load(trib_cli_hub(cli), &b->record, &err) == 0;
		if (!b->is_record)
			(void)snprintf(b->why, sizeof(b->why), "%s", err.code == TRIB_E_NOT_FOUND ? _("no audit of this hub was proven yet") : err.msg);
		return 0;
	}
	if (trib_fs_read(arg, &b->file, &cli->err))
		return -1;
	b->is_record = trib_span_starts(trib_buf_span(&b->file), "format tributary-audited-");
	b->is_note = !b->is_record;
	if (b->is_note)
		return 0;
	const char *slash = strrchr(arg, '/');
	b->beside = slash ? strndup(arg, (size_t)(slash - arg) + 1) : strdup(".");
	if (!b->beside)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	return trib_audited_parse(trib_buf_span(&b->file), &b->record, &cli->err) ? trib_ctx(&cli->err, "%s", arg) : 0;
}

static int jobs(struct trib_cli *cli, unsigned *ret)
{
	const char *arg = trib_cli_opt(cli, "jobs");
	char *end = NULL;
	unsigned long n = arg && *arg >= '0' && *arg <= '9' ? strtoul(arg, &end, 10) : 0;
	if (arg && (n < 1 || n > TRIB_JOBS_MAX || *end))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--jobs takes a number from 1 to %d"), TRIB_JOBS_MAX);
	*ret = (unsigned)n;
	return 0;
}

static int by_witness(struct trib_cli *cli, struct trib_audit *a)
{
	const char *arg = trib_cli_opt(cli, "witness");
	struct trib_vkey key;
	if (!arg)
		return 0;
	return trib_vkey_parse(trib_span_str(arg), TRIB_VKEY_WITNESS, &key, &cli->err) || trib_audit_by_witness(a, &key, trib_now(), &cli->err) ? -1 : 0;
}

static int run(struct trib_cli *cli, const struct base *b, struct trib_audit **ret)
{
	struct trib_audit_how how = {.quiet = cli->quiet || cli->json};
	if (jobs(cli, &how.jobs))
		return -1;
	if (b->is_record && !trib_cli_flag(cli, "full"))
		return trib_audit_run_since(trib_cli_hub(cli), &how, &b->record, b->beside, ret, &cli->err);
	if (trib_audit_run(trib_cli_hub(cli), &how, ret, &cli->err))
		return -1;
	if (b->is_record && b->beside)
		return trib_audit_record(*ret, &b->record, &cli->err);
	return b->is_note ? trib_audit_since(*ret, trib_buf_span(&b->file), &cli->err) : 0;
}

struct out { struct trib_cli *cli; json_t *list; char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; bool begun; };

/* Text that is no UTF-8 (a hostile name) must not lose the finding. */
static json_t *json_any(const char *s)
{
	json_t *j = trib_json_text(s);
	if (j)
		return j;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(16 * TRIB_KIB);
	for (; *s; s++)
		if ((unsigned char)*s < 0x80)
			trib_buf_putc(&b, (uint8_t)*s);
		else
			trib_buf_printf(&b, "\\x%02x", (unsigned char)*s);
	return trib_json_text(trib_buf_str(&b));
}

static int say_finding(void *ctx, const struct trib_finding *f, struct trib_err *err)
{
	struct out *o = ctx;
	(void)err;
	if (!o->begun || strcmp(o->node, f->node) != 0 || strcmp(o->app, f->app) != 0) {
		(void)snprintf(o->node, sizeof(o->node), "%s", f->node);
		(void)snprintf(o->app, sizeof(o->app), "%s", f->app);
		o->begun = true;
		if (strcmp(f->node, "-") == 0)
			trib_say(o->cli, _("The city%s%s:\n"), strcmp(f->app, "-") == 0 ? "" : ", ", strcmp(f->app, "-") == 0 ? "" : f->app);
		else
			trib_say(o->cli, "%s/%s:\n", f->node, f->app);
	}
	trib_say(o->cli, "  ");
	if (f->seq)
		trib_say(o->cli, "#%llu ", (unsigned long long)f->seq);
	if (strcmp(f->commit, "-") != 0)
		trib_say(o->cli, "%.12s ", f->commit);
	if (strcmp(f->table, "-") != 0)
		trib_say(o->cli, "%s ", f->table);
	if (strcmp(f->key, "-") != 0)
		trib_say(o->cli, "[%s] ", f->key);
	trib_say(o->cli, "%s\n", f->what);
	if (o->cli->json && json_array_size(o->list) < JSON_FINDINGS_MAX)
		json_array_append_new(o->list, json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "node", json_any(f->node), "app", json_any(f->app), "seq",
							 (json_int_t)f->seq, "commit", json_any(f->commit), "table", json_any(f->table), "key", json_any(f->key),
							 "what", json_any(f->what)));
	return 0;
}

static int say_node(void *ctx, const struct trib_audit_node *n, struct trib_err *err)
{
	struct out *o = ctx;
	(void)err;
	if (o->cli->verbose)
		trib_say(o->cli, _("%s/%s: %llu of %llu commits proven, %llu rows, %llu findings\n"), n->node, n->app, (unsigned long long)n->proven,
			 (unsigned long long)n->commits, (unsigned long long)n->rows, (unsigned long long)n->findings);
	if (o->cli->json)
		json_array_append_new(o->list, json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "node", json_any(n->node), "app", json_any(n->app), "commits",
							 (json_int_t)n->commits, "proven", (json_int_t)n->proven, "rows", (json_int_t)n->rows, "findings",
							 (json_int_t)n->findings));
	return 0;
}

static int report(struct trib_cli *cli, struct trib_audit *a)
{
	struct out findings = {.cli = cli, .list = json_array()}, nodes = {.cli = cli, .list = json_array()};
	int rc = trib_audit_findings(a, say_finding, &findings, &cli->err);
	if (!rc)
		rc = trib_audit_nodes(a, say_node, &nodes, &cli->err);
	trib_json(cli, "findings", findings.list);
	trib_json(cli, "nodes", nodes.list);
	return rc;
}

/* What the bundle has not got, by name. */
static void say_absent(struct trib_cli *cli, struct trib_buf *absent)
{
	json_t *list = json_array();
	trib_buf_putc(absent, '\0');
	for (char *line = absent->failed ? NULL : (char *)absent->p, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		char *why = strstr(line, ": ");
		*end = '\0';
		trib_say(cli, _("Not in the bundle: %s\n"), line);
		if (why)
			*why = '\0';
		json_array_append_new(list, json_pack("{s:o, s:o}", "name", json_any(line), "why", json_any(why ? why + 2 : "")));
	}
	trib_json(cli, "absent", list);
}

/* Comes after the verdict: what was found, or lost, does not keep anybody from taking away what there is. */
static int take_away(struct trib_cli *cli)
{
	const char *dir = trib_cli_opt(cli, "bundle");
	TRIB_AUTO(trib_audit_bundle) struct trib_audit_bundle b = {0};
	if (!dir || cli->dry_run)
		return 0;
	if (trib_audit_bundle_write(trib_cli_hub(cli), dir, &b, &cli->err))
		return trib_ctx(&cli->err, _("the auditor's bundle was not written"));
	trib_say(cli, _("%s: %llu histories with %llu commits, log of %llu leaves. How anybody proves it without us: %s/README.md\n"), dir, (unsigned long long)b.histories,
		 (unsigned long long)b.commits, (unsigned long long)b.leaves, dir);
	trib_json(cli, "bundle", trib_json_text(dir));
	if (b.absent.len && !cli->status)
		cli->status = trib_exit_status(TRIB_E_INCOMPLETE);
	say_absent(cli, &b.absent);
	return 0;
}

/* Known before the long work. */
static int check_target(struct trib_cli *cli)
{
	const char *dir = trib_cli_opt(cli, "bundle");
	return dir && trib_fs_exists(dir) ? trib_fail(&cli->err, TRIB_E_USAGE, _("%s exists; nothing was changed; choose another name"), dir) : 0;
}

/* What was judged now, and what an earlier audit had judged. */
static void say_since(struct trib_cli *cli, const struct base *b, const struct trib_audit_totals *t)
{
	const char *why = t->fell_back[0] ? t->fell_back : b->why;
	char when[TRIB_TIME_LEN + 1], hex[TRIB_SHA256_HEX + 1];
	trib_json(cli, "full", json_boolean(t->full));
	trib_json(cli, "commits_judged", json_integer((json_int_t)t->judged));
	trib_json(cli, "commits_kept", json_integer((json_int_t)t->kept));
	if (t->full) {
		trib_json(cli, "since", json_null());
		if (!*why)
			return;
		trib_say(cli, _("All was judged anew: %s.\n"), why);
		trib_json(cli, "fell_back", json_any(why));
		return;
	}
	trib_time_text(when, t->since.time);
	trib_hex(hex, t->since.root, sizeof(t->since.root));
	trib_json(cli, "since", json_pack("{s:s, s:I, s:s}", "time", when, "size", (json_int_t)t->since.size, "root", hex));
	trib_say(cli, _("Since the audit of %s (%llu leaves): %llu commits judged now; %llu were judged then, and their bytes are unchanged; every row of the city is compared by "
			"digests. `audit` without --since trusts nothing kept.\n"),
		 when, (unsigned long long)t->since.size, (unsigned long long)t->judged, (unsigned long long)t->kept);
}

static int conclude(struct trib_cli *cli, const struct base *b, struct trib_audit *a, int64_t now)
{
	struct trib_audit_totals t;
	trib_audit_totals(a, &t);
	trib_json(cli, "verdict", trib_json_text(t.findings ? "not-proven" : "proven"));
	trib_json(cli, "finding_count", json_integer((json_int_t)t.findings));
	trib_json(cli, "leaves", json_integer((json_int_t)t.leaves));
	trib_json(cli, "commits", json_integer((json_int_t)t.commits));
	trib_json(cli, "communities", json_integer((json_int_t)t.communities));
	trib_json(cli, "rows", json_integer((json_int_t)t.rows));
	say_since(cli, b, &t);
	if (t.findings) {
		cli->status = trib_exit_status(TRIB_E_VERIFY);
		trib_say(cli, _("NOT proven: %llu findings (%llu commits of %llu communities are). Damaged objects: tributary-hub ingest BUNDLE. A city database or cache "
				"that differs: tributary-hub rebuild.\n"),
			 (unsigned long long)t.findings, (unsigned long long)t.commits, (unsigned long long)t.communities);
		return 0;
	}
	if (!cli->dry_run && trib_audit_keep(a, now, &cli->err))
		return -1;
	trib_say(cli, _("Proven: %llu commits of %llu communities, %llu rows, log of %llu leaves.\n"), (unsigned long long)t.commits, (unsigned long long)t.communities,
		 (unsigned long long)t.rows, (unsigned long long)t.leaves);
	return 0;
}

int hub_cmd_audit(struct trib_cli *cli)
{
	TRIB_AUTO(trib_audit) struct trib_audit *a = NULL;
	struct base b = {.file = TRIB_BUF(TRIB_NOTE_MAX)};
	int64_t now = trib_now();
	int rc = check_target(cli) || read_base(cli, &b) || run(cli, &b, &a) || by_witness(cli, a) || report(cli, a) || conclude(cli, &b, a, now) || take_away(cli) ? -1 : 0;
	free(b.beside);
	trib_buf_release(&b.file);
	return rc;
}
