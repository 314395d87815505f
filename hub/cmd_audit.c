/* cmd_audit.c: `audit`. */
#include "core/base/clock.h"
#include "core/trust/cosign.h"
#include "hub/audit.h"
#include "hub/audit_bundle.h"
#include "hub/commands.h"

#define JSON_FINDINGS_MAX 100000 /* the list is one document in memory; the count is always whole */

const struct trib_opt hub_opts_audit[] = {
	{"since", 0, "CHECKPOINT", N_("also prove that the log has only grown since: \"last\" (the last proven audit), or the file of a checkpoint that somebody kept")},
	{"jobs", 0, "N", N_("threads that check commits (default: as many as there are processors); the findings are the same")},
	{"witness", 0, "VKEY", N_("also demand that this outside witness has cosigned the log within 36 hours")},
	{"bundle", 0, "DIR", N_("also write what an auditor takes away: histories, log, certificates, city, and the stock commands that prove them")},
	{0},
};

/* That the log has only grown: since the last proven audit, which every run proves, or since a checkpoint that somebody kept. */
static int since(struct trib_cli *cli, struct trib_audit *a)
{
	const char *arg = trib_cli_opt(cli, "since");
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_audited last;
	if (!arg)
		return 0;
	if (strcmp(arg, "last") != 0)
		return trib_fs_read(arg, &note, &cli->err) || trib_audit_since(a, trib_buf_span(&note), &cli->err) ? -1 : 0;
	if (trib_audited_load(trib_cli_hub(cli), &last, &cli->err) && cli->err.code == TRIB_E_NOT_FOUND)
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("no audit of this hub was proven yet; try: tributary-hub audit"));
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

/* What was found does not keep anybody from taking the evidence away. */
static int take_away(struct trib_cli *cli)
{
	const char *dir = trib_cli_opt(cli, "bundle");
	struct trib_audit_bundle b;
	if (!dir || cli->dry_run)
		return 0;
	if (trib_audit_bundle_write(trib_cli_hub(cli), dir, &b, &cli->err))
		return trib_ctx(&cli->err, _("the auditor's bundle was not written"));
	trib_say(cli, _("%s: %llu histories with %llu commits, log of %llu leaves. How anybody proves it without us: %s/README.md\n"), dir, (unsigned long long)b.histories,
		 (unsigned long long)b.commits, (unsigned long long)b.leaves, dir);
	trib_json(cli, "bundle", trib_json_text(dir));
	return 0;
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

int hub_cmd_audit(struct trib_cli *cli)
{
	TRIB_AUTO(trib_audit) struct trib_audit *a = NULL;
	struct trib_audit_totals t;
	struct trib_audit_how how = {.quiet = cli->quiet || cli->json};
	int64_t now = trib_now();
	if (jobs(cli, &how.jobs) || trib_audit_run(trib_cli_hub(cli), &how, &a, &cli->err) || since(cli, a) || by_witness(cli, a) || report(cli, a))
		return -1;
	if (take_away(cli))
		return -1;
	trib_audit_totals(a, &t);
	trib_json(cli, "verdict", trib_json_text(t.findings ? "not-proven" : "proven"));
	trib_json(cli, "finding_count", json_integer((json_int_t)t.findings));
	trib_json(cli, "leaves", json_integer((json_int_t)t.leaves));
	trib_json(cli, "commits", json_integer((json_int_t)t.commits));
	trib_json(cli, "communities", json_integer((json_int_t)t.communities));
	trib_json(cli, "rows", json_integer((json_int_t)t.rows));
	if (t.findings) {
		cli->status = trib_exit_status(TRIB_E_VERIFY);
		trib_say(cli, _("NOT proven: %llu findings (%llu commits of %llu communities are). Damaged objects: tributary-hub ingest BUNDLE. A city database or cache "
				"that differs: tributary-hub rebuild.\n"),
			 (unsigned long long)t.findings, (unsigned long long)t.commits, (unsigned long long)t.communities);
		return 0;
	}
	struct trib_audited done = {.time = now, .size = t.leaves};
	memcpy(done.root, t.root, sizeof(done.root));
	if (!cli->dry_run && trib_audited_save(trib_cli_hub(cli), &done, &cli->err))
		return -1;
	trib_say(cli, _("Proven: %llu commits of %llu communities, %llu rows, log of %llu leaves.\n"), (unsigned long long)t.commits, (unsigned long long)t.communities,
		 (unsigned long long)t.rows, (unsigned long long)t.leaves);
	return 0;
}
