#include "agent/private.h"

#include "agent/capture/pending.h"
#include "agent/outbox.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"
#include "core/trust/hash.h"

#define TIP_FILE_MAX (2 * TRIB_LANES_MAX + 64 * TRIB_KIB)
#define NAMES_FILE_MAX TRIB_MIB
#define CHAIN_MAX ((size_t)16 * 1024 * 1024)
#define SELF_SIGNED_YEARS 50 /* nobody but this office ever asks */

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

int trib_private_open(struct trib_state *s, bool write, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *tip = trib_state_path(s, "private-tip");
	TRIB_AUTO(trib_mem) char *repo = trib_state_path(s, "private.git");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TIP_FILE_MAX);
	if (!tip || !repo)
		return oom(err);
	if (!trib_fs_exists(tip))
		return 0;
	if (trib_fs_read(tip, &b, err) || trib_tip_parse(trib_buf_span(&b), &s->private_tip, err))
		return trib_ctx(err, "%s", tip);
	return trib_repo_open(repo, write, &s->private_repo, err);
}

int trib_private_save_tip(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "private-tip");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TIP_FILE_MAX);
	trib_tip_put(&b, &s->private_tip);
	if (!path)
		return oom(err);
	return trib_buf_check(&b, "private tip file", err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* The key first, its certificate second: killed in between, the next try makes the certificate. */
static int ready_keys(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *key = trib_state_path(s, "keys/private.key");
	TRIB_AUTO(trib_mem) char *crt = trib_state_path(s, "keys/private.crt");
	TRIB_AUTO(trib_mem) char *san = trib_pathf("%s/%s", s->node.node, s->node.app);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	int64_t now = trib_now();
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = san, .subject = s->node.name, .use = TRIB_USE_SIGN,
				      .not_before = now - 3600, .not_after = now + (int64_t)SELF_SIGNED_YEARS * 366 * 86400};
	if (!key || !crt || !san)
		return oom(err);
	if (s->private_key && s->private_cert)
		return 0;
	if (!trib_fs_exists(key) && s->private_tip.exists)
		return trib_fail(err, TRIB_E_CERT, "%s is missing, and only it can sign what follows in private.git; nothing was changed; put it back from a copy of "
				 "this folder", key);
	if (!s->private_key) {
		if (trib_fs_exists(key) ? trib_key_load(key, &s->private_key, err) :
		    trib_key_make(TRIB_KEY_P256, &s->private_key, err) || trib_key_save(s->private_key, key, err))
			return -1;
	}
	if (trib_fs_exists(crt))
		return trib_cert_load(crt, &s->private_cert, err) || trib_cert_matches(s->private_cert, s->private_key, err) ? -1 : 0;
	if (trib_cert_make_self(&spec, s->private_key, &s->private_cert, err) || trib_cert_pem(s->private_cert, &pem, err))
		return -1;
	return trib_fs_write(crt, trib_buf_span(&pem), 0644, err);
}

int trib_private_ready(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *repo = trib_state_path(s, "private.git");
	if (!repo)
		return oom(err);
	if (ready_keys(s, err))
		return trib_ctx(err, "the private half");
	if (s->private_repo)
		return 0;
	/* Whatever an unfinished or lost one left behind has no tip, so nothing of it counts. */
	if (trib_fs_exists(repo) && trib_fs_remove_tree(repo, err))
		return -1;
	if (trib_repo_create(repo, &s->private_repo, err) || trib_random(s->private_tip.salt, TRIB_SALT_LEN, err))
		return trib_ctx(err, "the private half");
	memcpy(s->private_tip.group_salt, s->private_tip.salt, TRIB_SALT_LEN);
	return trib_private_save_tip(s, err);
}

struct trib_trust trib_private_trust(const struct trib_state *s)
{
	return (struct trib_trust){.city = "-", .node = s->node.node, .app = s->node.app, .self_signed = true, .at = trib_now(), .two_threads = true};
}

void trib_private_text(char ret[48], uint64_t own_seq) { (void)snprintf(ret, 48, TRIB_OWN_SEQ "%llu", (unsigned long long)own_seq); }

int trib_private_base(const struct trib_state *s, uint64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	TRIB_AUTO(trib_mem) uint8_t (*chain)[TRIB_OID_LEN] = NULL;
	uint8_t before[TRIB_OID_LEN];
	size_t n;
	*ret = 0;
	if (!s->tip.exists)
		return 0;
	if (trib_repo_ref(s->repo, TRIB_REF_BEFORE, before, err))
		return err->code == TRIB_E_NOT_FOUND ? 0 : -1;
	/* Fetched, but not followed yet: then this folder's own numbers count. */
	if (trib_repo_chain(s->repo, s->tip.oid, before, CHAIN_MAX, &chain, &n, err))
		return err->code == TRIB_E_CHAIN ? 0 : -1;
	if (trib_commit_read(s->repo, before, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err))
		return trib_ctx(err, "the history of the machine before");
	*ret = m.seq;
	return 0;
}

/* ---- names ---- */

static int load_names(const struct trib_state *s, const char *file, struct trib_private_list *l, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, file);
	if (!path)
		return oom(err);
	return trib_private_load(path, l, err) ? trib_ctx(err, _("nothing was captured, so that nothing private leaves")) : 0;
}

int trib_private_names(const struct trib_state *s, struct trib_private_list *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list l = {0};
	if (load_names(s, "policy.conf", &l, err) || load_names(s, "private.conf", &l, err))
		return -1;
	*ret = l;
	l = (struct trib_private_list){0};
	return 0;
}

int trib_private_own_names(const struct trib_state *s, struct trib_private_list *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list l = {0};
	if (load_names(s, "private.conf", &l, err))
		return -1;
	*ret = l;
	l = (struct trib_private_list){0};
	return 0;
}

int trib_private_save_names(const struct trib_state *s, const struct trib_private_list *l, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "private.conf");
	TRIB_AUTO(trib_mem) char *last = trib_state_path(s, "last-capture");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(NAMES_FILE_MAX);
	if (!path || !last)
		return oom(err);
	/* Without what the last capture knew the file by, the next one looks at it even if no program wrote to it. */
	if (trib_fs_remove(last, err))
		return -1;
	trib_buf_puts(&b, "# What never leaves this office; the city's own list is in policy.conf, and both count.\n");
	trib_private_put(&b, l);
	return trib_buf_check(&b, "list of private names", err) ? -1 : trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* Such a table is in neither half. */
static bool is_left_out(const struct trib_manifest *m, const char *table)
{
	for (size_t i = 0; i < m->nleft_out; i++)
		if (strcmp(m->left_out[i].reason, "no-collation") == 0 && trib_fold_cmp(trib_span_str(m->left_out[i].name), trib_span_str(table)) == 0)
			return true;
	return false;
}

/* Its tables, made by its SQL. Where only the application can make them (a function of its own in a CHECK), those of this folder's database stand for them: what is new
 * there counts as private, too, until a person says otherwise. */
static int tables_of(struct trib_state *s, const struct trib_schematext *lines, struct trib_schema *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (trib_schema_of_sql(lines->sql, ret, err) == 0)
		return 0;
	if (err->code != TRIB_E_SCHEMA)
		return -1;
	return trib_delta_open_old(s, &db, err) ? -1 : trib_schema_read(db, ret, err);
}

int trib_private_of_commit(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_private_list *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext lines = {0};
	TRIB_AUTO(trib_private_list) struct trib_private_list all = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_schema) struct trib_schema tables = {0};
	TRIB_AUTO(trib_veil) struct trib_veil veil = {0};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX);
	if (trib_commit_read(s->repo, oid, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err) ||
	    trib_commit_blob(s->repo, &c, "schema.sql", TRIB_SCHEMA_MAX, &text, err) || trib_schematext_parse(trib_buf_span(&text), &lines, err) ||
	    tables_of(s, &lines, &tables, err) || trib_veil_by_lines(&tables, &lines, &veil, err) || trib_veil_names(&tables, &veil, &all, err))
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (!is_left_out(&m, all.names[i].table) && trib_private_add(ret, all.names[i].table, all.names[i].column, err))
			return -1;
	return 0;
}

int trib_private_keep_names(const struct trib_state *s, const struct trib_private_list *more, struct trib_err *err)
{
	TRIB_AUTO(trib_private_list) struct trib_private_list own = {0};
	if (!more->n)
		return 0;
	if (trib_private_own_names(s, &own, err))
		return -1;
	for (size_t i = 0; i < more->n; i++)
		if (trib_private_add(&own, more->names[i].table, more->names[i].column, err))
			return -1;
	return trib_private_save_names(s, &own, err);
}

static const struct trib_table *table_named(const struct trib_schema *s, const char *name, size_t n)
{
	for (size_t i = 0; i < s->ntables; i++)
		if (trib_fold_cmp(trib_span_str(s->tables[i].name), trib_span(name, n)) == 0)
			return &s->tables[i];
	return NULL;
}

static int add_column(const struct trib_table *t, const char *column, struct trib_private_list *l, struct trib_err *err)
{
	const struct trib_column *c = NULL;
	for (size_t i = 0; i < t->ncols && !c; i++)
		if (trib_fold_cmp(trib_span_str(t->cols[i].name), trib_span_str(column)) == 0)
			c = &t->cols[i];
	if (!c)
		return trib_fail(err, TRIB_E_USAGE, _("table %s has no column %s that could be private; nothing was changed"), t->name, column);
	if (!t->keyed)
		return trib_fail(err, TRIB_E_USAGE, _("table %s has no PRIMARY KEY, so its columns cannot be told apart by row; nothing was changed; make the "
				 "whole table private: %s"), t->name, t->name);
	if (c->pk)
		return trib_fail(err, TRIB_E_USAGE, _("%s is part of the key of %s, and rows without their key cannot be told apart; nothing was changed; make the "
				 "whole table private: %s"), c->name, t->name, t->name);
	return trib_private_add(l, t->name, column, err);
}

int trib_private_resolve(const struct trib_schema *s, const char *text, struct trib_private_list *l, struct trib_err *err)
{
	const struct trib_table *t = table_named(s, text, strlen(text));
	if (t)
		return trib_private_add(l, t->name, NULL, err);
	for (const char *dot = strchr(text, '.'); dot; dot = strchr(dot + 1, '.'))
		if ((t = table_named(s, text, (size_t)(dot - text))) != NULL)
			return add_column(t, dot + 1, l, err);
	return trib_fail(err, TRIB_E_USAGE, _("the database has no table for the private %s; nothing was changed; write TABLE or TABLE.COLUMN"), text);
}
