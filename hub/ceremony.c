#include "hub/ceremony.h"

#include "core/base/fs.h"
#include "core/base/i18n.h"
#include "hub/hubdb.h"

#define LOCK_WAIT_MS 10000 /* another command may be putting things in place: five renames */

/* In the order in which they take their places. */
enum { ROOT, ISSUING_KEY, ISSUING, SIGN, TLS, FILES };
static const char *const names[FILES] = {"ca/root.crt", "ca/issuing.key", "ca/issuing.crt", "keys/hub-sign.crt", "keys/hub-tls.crt"};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* What a hub is made of: the files in use or, when it is asked for the new ones, those that lie beside them as far as there are any. */
struct set {
	bool fresh[FILES];
	struct trib_cert *root, *issuing, *sign, *tls;
};

static void set_cleanup(struct set *s)
{
	struct trib_cert *certs[] = {s->root, s->issuing, s->sign, s->tls};
	for (size_t i = 0; i < TRIB_COUNT(certs); i++)
		trib_cert_free(certs[i]);
}

static char *path_of(const struct trib_hub *hub, const struct set *s, int which) { return trib_pathf("%s/%s%s", hub->dir, names[which], s->fresh[which] ? ".new" : ""); }

static bool any_fresh(const struct set *s)
{
	bool any = false;
	for (int i = 0; i < FILES; i++)
		any |= s->fresh[i];
	return any;
}

static int look(const struct trib_hub *hub, struct set *s, struct trib_err *err)
{
	for (int i = 0; i < FILES; i++) {
		s->fresh[i] = true;
		TRIB_AUTO(trib_mem) char *path = path_of(hub, s, i);
		if (!path)
			return oom(err);
		s->fresh[i] = trib_fs_exists(path);
	}
	return 0;
}

static int load_cert(const struct trib_hub *hub, const struct set *s, int which, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = path_of(hub, s, which);
	if (!path)
		return oom(err);
	return which == ROOT ? trib_roots_load(path, ret, err) : trib_cert_load(path, ret, err) ? trib_ctx(err, "%s", path) : 0;
}

/* A new root counts when its own key signed the issuing certificate: one that lies there alone is from a renewal that was cut off before it was announced. */
static int set_load(const struct trib_hub *hub, struct set *s, struct trib_err *err)
{
	if (load_cert(hub, s, ISSUING, &s->issuing, err) || load_cert(hub, s, SIGN, &s->sign, err) || load_cert(hub, s, TLS, &s->tls, err) ||
	    load_cert(hub, s, ROOT, &s->root, err))
		return -1;
	if (!s->fresh[ROOT] || trib_roots_signer(s->root, s->issuing) == s->root)
		return 0;
	trib_cert_free(s->root);
	s->root = NULL;
	s->fresh[ROOT] = false;
	return load_cert(hub, s, ROOT, &s->root, err);
}

static int key_fits(const struct trib_hub *hub, const char *name, const struct trib_cert *cert, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, name);
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	if (!path)
		return oom(err);
	return trib_key_load(path, &key, err) || trib_cert_matches(cert, key, err) ? trib_ctx(err, "%s", name) : 0;
}

/* At the hour when the leaves were made: that they have expired since is another matter. */
static int set_check(const struct trib_hub *hub, const struct set *s, struct trib_err *err)
{
	struct trib_cert_id sign, tls, id;
	if (trib_cert_identity(s->sign, &sign, err) || trib_cert_identity(s->tls, &tls, err))
		return -1;
	if (trib_cert_verify(s->sign, s->issuing, s->root, TRIB_USE_SIGN, sign.not_before, false, &id, err))
		return trib_ctx(err, "%s", names[SIGN]);
	if (trib_cert_verify(s->tls, s->issuing, s->root, TRIB_USE_TLS_SERVER, tls.not_before, false, &id, err))
		return trib_ctx(err, "%s", names[TLS]);
	return key_fits(hub, s->fresh[ISSUING_KEY] ? "ca/issuing.key.new" : names[ISSUING_KEY], s->issuing, err) || key_fits(hub, "keys/hub-sign.key", s->sign, err) ||
			       key_fits(hub, "keys/hub-tls.key", s->tls, err)
		       ? -1
		       : 0;
}

/* The issuing certificate comes last in the announcement, and both are one transaction. */
static int announced(const struct trib_hub *hub, const struct trib_cert *issuing, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_cert_id id;
	char hex[TRIB_SHA256_HEX + 1];
	int row;
	if (trib_cert_identity(issuing, &id, err) || trib_hubdb_open(hub, false, &db, err) ||
	    trib_db_prepare(db.db, "SELECT bytes FROM leaf WHERE instr(bytes, CAST(? AS BLOB)) ORDER BY idx DESC", &st, err))
		return -1;
	trib_hex(hex, id.sha256, TRIB_SHA256_LEN);
	sqlite3_bind_text(st, 1, hex, -1, SQLITE_STATIC);
	*ret = false;
	while ((row = trib_db_step(db.db, st, err)) > 0 && !*ret) {
		struct trib_leaf leaf;
		if (trib_leaf_parse(trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), &leaf, err))
			return trib_ctx(err, "the log");
		*ret = leaf.kind == TRIB_LEAF_ACT && strcmp(leaf.word, "ca-issuing") == 0 && memcmp(leaf.sha256, id.sha256, TRIB_SHA256_LEN) == 0;
	}
	return row < 0 ? -1 : 0;
}

int trib_ceremony_whole(const struct trib_hub *hub, struct trib_err *err)
{
	TRIB_AUTO(set) struct set now = {0};
	struct trib_cert_id root;
	if (set_load(hub, &now, err) == 0 && set_check(hub, &now, err) == 0)
		return 0;
	if (err->code != TRIB_E_CERT || trib_cert_identity(now.root ? now.root : hub->root, &root, err))
		return -1;
	return trib_ctx(err, _("the hub's keys and certificates do not belong together; nothing was changed, and all that was received is safe; try, with the key of the root \"%s\": "
			       "tributary-hub ca renew-issuing --root-key FILE"), root.subject);
}

int trib_ceremony_pending(const struct trib_hub *hub, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(set) struct set next = {0};
	*ret = false;
	if (look(hub, &next, err))
		return -1;
	if (!any_fresh(&next))
		return 0;
	/* Cut off before the announcement, what lies there need not be whole: the hub goes on as it was, if it is whole. */
	if (set_load(hub, &next, err) || set_check(hub, &next, err))
		return trib_passing(err->code) || trib_ceremony_whole(hub, err) ? -1 : 0;
	return any_fresh(&next) ? announced(hub, next.issuing, ret, err) : 0;
}

/* It would only be one more thing to steal. One that cannot be read is not judged. */
static int drop_old_root_key(const struct trib_hub *hub, const struct trib_cert *root, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "ca/root.key");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	struct trib_err why;
	if (!path)
		return oom(err);
	return trib_key_load(path, &key, &why) || trib_cert_matches(root, key, &why) == 0 ? 0 : trib_fs_remove(path, err);
}

int trib_ceremony_put(const struct trib_hub *hub, struct trib_err *err)
{
	TRIB_AUTO(set) struct set next = {0};
	if (look(hub, &next, err) || set_load(hub, &next, err))
		return -1;
	for (int i = 0; i < FILES; i++) {
		TRIB_AUTO(trib_mem) char *from = trib_pathf("%s/%s.new", hub->dir, names[i]);
		TRIB_AUTO(trib_mem) char *to = trib_hub_path(hub, names[i]);
		if (!from || !to)
			return oom(err);
		/* Before the last file, so that whoever is cut off here comes back. */
		if (i == FILES - 1 && drop_old_root_key(hub, next.root, err))
			return -1;
		if (next.fresh[i] && trib_fs_rename(from, to, err))
			return trib_ctx(err, "putting %s in its place (run the command again)", to);
		if (next.fresh[i])
			trib_crash_point("ca-file-in-place");
	}
	return 0;
}

int trib_ceremony_finish(const struct trib_hub *hub, bool *ret_done, struct trib_err *err)
{
	TRIB_AUTO(trib_lock) struct trib_lock lock = TRIB_LOCK_INIT;
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "run/serve.lock");
	bool pending;
	if (!path)
		return oom(err);
	*ret_done = false;
	if (trib_ceremony_pending(hub, &pending, err))
		return -1;
	if (!pending)
		return 0;
	if (trib_lock_take(&lock, path, LOCK_WAIT_MS, err))
		return err->code == TRIB_E_LOCKED ? trib_fail(err, TRIB_E_LOCKED, _("a renewal of the city's certificates was cut off; stop the hub and start it again, which finishes it")) : -1;
	/* Meanwhile another command may have done it: then the hub that was opened before is not the present one, either. */
	if (trib_ceremony_pending(hub, &pending, err) || (pending && trib_ceremony_put(hub, err)))
		return -1;
	*ret_done = true;
	return 0;
}
