#include "hub/crl.h"

#include "core/base/clock.h"
#include "core/trust/crl.h"
#include "hub/tiles.h"

#define ENTRIES_MAX 60000 /* TRIB_CRL_MAX in text */

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

int trib_crl_in_force(struct trib_hubdb *h, uint64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64);
	if (trib_hubdb_meta(h, "crl-number", &b, err))
		return -1;
	*ret = 0;
	for (size_t i = 0; i < b.len && i < 19; i++)
		*ret = *ret * 10 + (uint64_t)(b.p[i] - '0');
	return 0;
}

/* All that is revoked; those of the present authority first, as trib_crl_make wants it. A TLS certificate that has expired opens no connection any more and is left
 * out, so that lists do not grow for ever. One for signing stays: what counts for a commit is the list in force when it was held, whenever somebody asks. */
static int gather(struct trib_hubdb *h, const char *own, int64_t now, struct trib_crl_entry **ret, size_t *ret_n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_mem) struct trib_crl_entry *list = NULL;
	size_t n = 0, room = 0;
	if (trib_db_prepare(h->db,
			    "SELECT serial, CASE WHEN issuer = ?1 THEN '' ELSE issuer END AS other, revoked_at FROM (SELECT serial, issuer, revoked_at, usage, not_after FROM cert UNION ALL "
			    "SELECT serial, issuer, revoked_at, usage, not_after FROM person) WHERE revoked_at IS NOT NULL AND serial IS NOT NULL AND issuer IS NOT NULL AND "
			    "NOT (usage = 'tls' AND not_after < ?2) ORDER BY other, serial",
			    &st, err))
		return -1;
	sqlite3_bind_text(st, 1, own, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, now - TRIB_CRL_EXPIRED_FOR);
	int row;
	while ((row = trib_db_step(h->db, st, err)) > 0) {
		if (n == room) {
			room = room ? 2 * room : 64;
			struct trib_crl_entry *more = n < ENTRIES_MAX ? realloc(list, room * sizeof(*list)) : NULL;
			if (!more)
				return n < ENTRIES_MAX ? oom(err) : trib_fail(err, TRIB_E_LIMIT, "more than %d certificates are revoked", ENTRIES_MAX);
			list = more;
		}
		list[n] = (struct trib_crl_entry){.at = sqlite3_column_int64(st, 2)};
		(void)snprintf(list[n].serial, sizeof(list[n].serial), "%s", (const char *)sqlite3_column_text(st, 0));
		(void)snprintf(list[n].issuer, sizeof(list[n].issuer), "%s", (const char *)sqlite3_column_text(st, 1));
		n++;
	}
	if (row < 0)
		return -1;
	*ret = list;
	list = NULL;
	*ret_n = n;
	return 0;
}

int trib_crl_issue(struct trib_hubdb *h, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "ca/issuing.key");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_mem) struct trib_crl_entry *list = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_CRL_MAX), number = TRIB_BUF(32);
	struct trib_leaf leaf = {.kind = TRIB_LEAF_CRL};
	struct trib_cert_id own;
	size_t n = 0;
	if (!path)
		return oom(err);
	if (trib_log_time(h, trib_now(), &leaf.time, err) || trib_crl_in_force(h, &leaf.number, err) || trib_cert_identity(h->hub->issuing, &own, err) ||
	    gather(h, own.subject, leaf.time, &list, &n, err) ||
	    trib_key_load(path, &key, err))
		return trib_ctx(err, "making the list of revoked certificates");
	leaf.number++;
	trib_buf_printf(&number, "%llu", (unsigned long long)leaf.number);
	if (trib_crl_make(key, h->hub->issuing, leaf.number, list, n, leaf.time, &text, err) || trib_buf_check(&text, "list of revoked certificates", err) ||
	    trib_named_write(h->hub, trib_buf_span(&text), leaf.sha256, err) || trib_log_append(h, &leaf, NULL, err) ||
	    trib_hubdb_meta_set(h, "crl-number", trib_buf_span(&number), err) || trib_hubdb_meta_set(h, "crl-sha256", trib_span(leaf.sha256, sizeof(leaf.sha256)), err))
		return trib_ctx(err, "making the list of revoked certificates");
	return 0;
}

int trib_crl_try(struct trib_hubdb *h, struct trib_err *ret_why, struct trib_err *err)
{
	*ret_why = (struct trib_err){0};
	if (trib_db_exec(h->db, "SAVEPOINT list", err))
		return -1;
	if (trib_crl_issue(h, ret_why) && trib_db_exec(h->db, "ROLLBACK TO list", err))
		return -1;
	return trib_db_exec(h->db, "RELEASE list", err);
}

int trib_crl_publish(struct trib_hubdb *h, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "ca/crl.pem");
	TRIB_AUTO(trib_buf) struct trib_buf sha = TRIB_BUF(TRIB_SHA256_LEN), text = TRIB_BUF(TRIB_CRL_MAX);
	if (!path)
		return oom(err);
	if (trib_hubdb_meta(h, "crl-sha256", &sha, err))
		return -1;
	if (sha.len != TRIB_SHA256_LEN)
		return 0;
	return trib_named_read(h->hub->dir, sha.p, &text, err) ? -1 : trib_fs_write(path, trib_buf_span(&text), 0644, err);
}
