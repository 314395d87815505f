/* cmd_init.c: `init`: verdict per table, state folder, first commit. */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "agent/capture/measure.h"
#include "agent/commands.h"
#include "agent/private.h"
#include "agent/verdict.h"
#include "core/base/clock.h"
#include "core/base/embed.h"
#include "core/store/db.h"

/* The community model: tables, reference data, divisions (schema/README.md). */
static const char *const community_sql[] = {"schema/community/0001_community.sql", "schema/community/0002_reference.sql", "schema/community/0003_divisions.sql"};

const struct trib_opt agent_opts_init[] = {
	{"node", 0, "ID", N_("the community's code, as the city uses it")},
	{"app", 0, "NAME", N_("the application's name (default: main)")},
	{"name", 0, "NAME", N_("the community's name, as people write it (default: the code)")},
	{"private", 0, "TABLE[.COLUMN]", N_("never leaves this office: a table or a column; may be repeated")},
	{"schema", 0, "NAME", N_("make the database first: community = the office's model of community governance")},
	{0},
};

struct subject { /* what `init` takes under care */
	const char *file;
	sqlite3 *made;              /* the database in memory that would be made; NULL: the file is there */
	struct trib_schema schema;
	struct trib_survey found;   /* of a dry run */
	struct trib_private_list private;
	struct trib_veil veil;
};

static void subject_cleanup(struct subject *u)
{
	trib_veil_release(&u->veil);
	trib_private_release(&u->private);
	trib_survey_release(&u->found);
	trib_schema_release(&u->schema);
	trib_db_cleanup(&u->made);
}

static int fill_node(struct trib_cli *cli, struct trib_node *n)
{
	const char *id = trib_cli_opt(cli, "node"), *app = trib_cli_opt(cli, "app"), *name = trib_cli_opt(cli, "name");
	app = app ? app : "main";
	if (!id)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--node ID is missing: the community's code, as the city uses it"));
	if (!trib_id_valid(trib_span_str(id)) || !trib_id_valid(trib_span_str(app)))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("node and app are 1 to %d of 0-9 A-Z a-z . _ -"), TRIB_NODE_MAX);
	name = name ? name : id;
	if (!*name || strlen(name) > TRIB_TITLE_MAX || !trib_cli_is_name(name) || strpbrk(name, "<>"))
		return trib_fail(&cli->err, TRIB_E_USAGE, _("--name takes 1 to %d bytes of UTF-8 in one line, without < and >"), TRIB_TITLE_MAX);
	(void)snprintf(n->node, sizeof(n->node), "%s", id);
	(void)snprintf(n->app, sizeof(n->app), "%s", app);
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	(void)snprintf(n->city, sizeof(n->city), "-");
	return 0;
}

static int fill_community(sqlite3 *db, struct trib_err *err)
{
	if (trib_db_exec(db, "PRAGMA trusted_schema = ON", err) || trib_db_exec(db, "BEGIN", err)) /* a CHECK calls json_valid() */
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(community_sql); i++) {
		struct trib_span sql = trib_embed(community_sql[i]);
		if (!sql.p)
			return trib_fail(err, TRIB_E_SCHEMA, _("this program was built without %s; nothing was changed; give a database file that exists"), community_sql[i]);
		if (trib_db_exec(db, (const char *)sql.p, err))
			return trib_ctx(err, "%s", community_sql[i]);
	}
	return trib_db_exec(db, "COMMIT", err);
}

/* The office's database, made whole under another name first. */
static int make_database(struct trib_cli *cli, const char *path)
{
	TRIB_AUTO(trib_mem) char *tmp = trib_pathf("%s.new", path);
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (!tmp)
		return trib_fail(&cli->err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_remove(tmp, &cli->err) || trib_db_open_own(tmp, false, &db, &cli->err) || fill_community(db, &cli->err))
		return trib_ctx(&cli->err, "making %s", tmp);
	trib_db_cleanup(&db);
	if (trib_fs_rename(tmp, path, &cli->err))
		return -1;
	trib_talk(cli, _("made the database %s\n"), path);
	return 0;
}

/* 1: exists, 0: to be made by --schema, -1. */
static int find_database(struct trib_cli *cli, const char *file)
{
	const char *schema = trib_cli_opt(cli, "schema");
	struct stat st;
	if (schema && strcmp(schema, "community") != 0)
		return trib_fail(&cli->err, TRIB_E_USAGE, _("there is no schema %s; try: --schema community"), schema);
	if (stat(file, &st) == 0)
		return S_ISREG(st.st_mode) ? 1 : trib_fail(&cli->err, TRIB_E_USAGE, _("%s is not a file"), file);
	if (errno != ENOENT || !schema)
		return trib_fail(&cli->err, TRIB_E_NOT_FOUND, _("database %s: %s; nothing was changed"), file, strerror(errno));
	return 0;
}

/* What is captured and could not be made again is better known today than on the day of a restore. */
static int try_restore(struct trib_cli *cli, const struct trib_schema *s)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	struct trib_err why;
	if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE, NULL))
		return trib_db_fail(&cli->err, db, "opening temporary space");
	bool can = !trib_db_harden(db, &why) && !trib_schema_run(db, s->text.sql, 't', NULL, &why) && !trib_schema_run(db, s->text.sql, 'r', NULL, &why);
	trib_json(cli, "restorable", json_boolean(can));
	if (!can)
		trib_say(cli, _("careful: no restore could make this database again: %s\n"), why.msg);
	return 0;
}

static double mib(uint64_t bytes) { return (double)bytes / (double)TRIB_MIB; }

/* Where the state folder will be made: of the nearest folder above it that exists. */
static bool free_there(const char *state, uint64_t *ret)
{
	struct trib_err none;
	TRIB_AUTO(trib_mem) char *at = strdup(state);
	char *slash;
	while (at && !trib_fs_exists(at) && (slash = strrchr(at, '/')) != NULL)
		*slash = '\0';
	if (!at)
		return false;
	return trib_fs_free(trib_fs_exists(at) ? at : *state == '/' ? "/" : ".", ret, &none) == 0;
}

/* Measured on the database itself: its pages, and a sample of them read, compressed and hashed as the first commit will. */
static int print_needs(struct trib_cli *cli, const struct subject *u)
{
	struct trib_measure m;
	uint64_t free_bytes = 0;
	if (u->made ? trib_measure_memory(u->made, &m, &cli->err) : trib_capture_measure(u->file, &m, &cli->err))
		return -1;
	bool known = free_there(cli->state, &free_bytes);
	uint64_t need = (u->made ? 3 : 2) * m.bytes + m.history_bytes;
	trib_say(cli, _("the database: %.1f MiB, %llu pages of %llu bytes\n"), mib(m.bytes), (unsigned long long)m.pages, (unsigned long long)m.page_size);
	trib_say(cli, _("disk: baseline %.1f MiB, pending at worst as much again during a commit, first history about %.1f MiB\n"), mib(m.bytes), mib(m.history_bytes));
	if (known)
		trib_say(cli, need > free_bytes ? _("free there: %.1f MiB: that is too little\n") : _("free there: %.1f MiB\n"), mib(free_bytes));
	trib_say(cli, _("the first commit will take about %llu s (a sample of %.1f MiB was tried in %.2f s); the application may go on working\n"),
		 (unsigned long long)m.seconds, mib(m.sampled), (double)m.sample_us / 1e6);
	trib_json(cli, "database_bytes", json_integer((json_int_t)m.bytes));
	trib_json(cli, "pages", json_integer((json_int_t)m.pages));
	trib_json(cli, "page_size", json_integer((json_int_t)m.page_size));
	trib_json(cli, "baseline_bytes", json_integer((json_int_t)m.bytes));
	trib_json(cli, "pending_bytes", json_integer((json_int_t)m.bytes));
	trib_json(cli, "history_bytes", json_integer((json_int_t)m.history_bytes));
	trib_json(cli, "free_bytes", known ? json_integer((json_int_t)free_bytes) : json_null());
	trib_json(cli, "enough", known ? json_boolean(need <= free_bytes) : json_null());
	trib_json(cli, "sampled_bytes", json_integer((json_int_t)m.sampled));
	trib_json(cli, "sample_us", json_integer((json_int_t)m.sample_us));
	trib_json(cli, "seconds", json_integer((json_int_t)m.seconds));
	return 0;
}

static int first_commit(struct trib_cli *cli, const struct trib_private_list *private)
{
	struct agent_captured got;
	struct trib_state s;
	if (trib_state_open(cli->state, true, &s, &cli->err))
		return -1;
	cli->ctx = &s;
	int rc = (private->n && trib_private_save_names(&s, private, &cli->err)) || trib_state_keys(&s, &cli->err) ? -1 : agent_capture(cli, NULL, true, false, &got);
	trib_state_close(&s);
	cli->ctx = NULL;
	return rc;
}

/* A folder without a commit is taken away again, so that `init` can simply be repeated. */
static int undo(struct trib_cli *cli)
{
	struct trib_err ignored;
	TRIB_AUTO(trib_mem) char *pending = trib_path(cli->state, "pending");
	if (!pending || trib_fs_exists(pending)) /* the commit point was passed: the next command finishes it */
		return -1;
	if (trib_fs_remove_tree(cli->state, &ignored))
		return trib_ctx(&cli->err, "(the unfinished state folder %s could not be removed)", cli->state);
	return -1;
}

/* The name as it was given: a symbolic link that an application turns to another file one day is followed there. */
static char *absolute(const char *file)
{
	TRIB_AUTO(trib_mem) char *here = *file == '/' ? NULL : realpath(".", NULL);
	return *file == '/' ? strdup(file) : here ? trib_path(here, file) : NULL;
}

static int create(struct trib_cli *cli, struct trib_node *node, const char *file, const struct trib_private_list *private)
{
	char *path = absolute(file);
	if (!path)
		return trib_fail_errno(&cli->err, _("database %s"), file);
	node->db_path = path;
	int rc = trib_state_create(cli->state, node, trib_now(), &cli->err);
	node->db_path = NULL;
	free(path);
	if (rc)
		return -1;
	return first_commit(cli, private) ? undo(cli) : 0;
}

static int take_private(struct trib_cli *cli, const struct trib_schema *s, struct trib_private_list *ret)
{
	for (size_t i = 0; i < cli->nset; i++)
		if (strcmp(cli->set[i].name, "private") == 0 && trib_private_resolve(s, cli->set[i].value, ret, &cli->err))
			return -1;
	return 0;
}

/* What is known of the database, of its rows only when nothing else will look at them. */
static int inspect(struct trib_cli *cli, struct subject *u)
{
	int rc = 0;
	if (u->made)
		rc = trib_schema_read(u->made, &u->schema, &cli->err) || trib_survey_memory(u->made, &u->schema, &u->found, &cli->err);
	else
		rc = cli->dry_run ? trib_capture_survey(u->file, &u->schema, &u->found, &cli->err) : trib_capture_inspect(u->file, &u->schema, &cli->err);
	return rc ? -1 : 0;
}

/* The database that is there, or that will be: a dry run makes it in memory. */
static int find_subject(struct trib_cli *cli, struct subject *u)
{
	int there = find_database(cli, u->file);
	if (there)
		return there < 0 ? -1 : 0;
	if (!cli->dry_run)
		return make_database(cli, u->file);
	if (trib_db_open_own(":memory:", false, &u->made, &cli->err) || fill_community(u->made, &cli->err))
		return trib_ctx(&cli->err, "making the database in memory");
	trib_say(cli, _("would make the database %s with the community schema and take it under care\n"), u->file);
	return 0;
}

int agent_cmd_init(struct trib_cli *cli)
{
	TRIB_AUTO(subject) struct subject u = {.file = cli->argv[0]};
	struct trib_node node = {0};
	if (fill_node(cli, &node) || find_subject(cli, &u) || inspect(cli, &u) || take_private(cli, &u.schema, &u.private) ||
	    trib_veil_by_list(&u.schema, &u.private, &u.veil, &cli->err))
		return -1;
	trib_json(cli, "node", trib_json_text(node.node));
	trib_json(cli, "app", trib_json_text(node.app));
	if (cli->dry_run)
		trib_json(cli, "makes_database", json_boolean(u.made != NULL));
	agent_verdict_print(cli, &u.schema, &u.veil, cli->dry_run ? &u.found : NULL);
	if (try_restore(cli, &u.schema))
		return -1;
	if (cli->dry_run)
		return print_needs(cli, &u);
	if (create(cli, &node, u.file, &u.private))
		return -1;
	trib_say(cli, _("%s is under care in %s. Next: tributary-agent enrol --slip FILE\n"), u.file, cli->state);
	return 0;
}
