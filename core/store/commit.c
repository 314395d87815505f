#include "core/store/repo_impl.h"

#define TREE_RAW_MAX (4 * TRIB_KIB) /* TRIB_TREE_MAX entries of 60 bytes, with room for being told what is wrong */

void trib_commit_release(struct trib_commit *c)
{
	trib_buf_release(&c->raw);
	trib_buf_release(&c->manifest);
	*c = (struct trib_commit){0};
}

static int read_tree(struct trib_repo *r, struct trib_commit *c, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TREE_RAW_MAX);
	if (trib_repo_read(r, c->c.tree, TRIB_OBJ_TREE, TREE_RAW_MAX, &raw, err)) {
		if (err->code == TRIB_E_LIMIT)
			err->code = TRIB_E_TREE;
		return -1;
	}
	return trib_tree_parse(trib_buf_span(&raw), c->entries, &c->nentries, err);
}

static int read_commit(struct trib_repo *r, struct trib_commit *c, struct trib_err *err)
{
	trib_buf_init(&c->raw, TRIB_COMMIT_MAX);
	trib_buf_init(&c->manifest, TRIB_MANIFEST_MAX);
	if (trib_repo_read(r, c->oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &c->raw, err) ||
	    trib_commitraw_parse(trib_buf_span(&c->raw), &c->c, err) || read_tree(r, c, err))
		return -1;
	if (!trib_commit_blob(r, c, "manifest", TRIB_MANIFEST_MAX, &c->manifest, err))
		return 0;
	if (err->code == TRIB_E_NOT_FOUND)
		err->code = TRIB_E_TREE;
	return -1;
}

int trib_commit_read(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], struct trib_commit *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	memcpy(c.oid, oid, TRIB_OID_LEN);
	if (read_commit(r, &c, err)) {
		char hex[TRIB_OID_HEX + 1];
		trib_hex(hex, oid, TRIB_OID_LEN);
		return trib_ctx(err, "commit %s", hex);
	}
	*ret = c;
	c = (struct trib_commit){0};
	return 0;
}

/* The place of a file that hardly ever changes; -1 for others. */
static int kept_place(const char *name)
{
	static const char *const names[TRIB_REPO_KEPT] = {"salt", "schema.sql", "signer.pem"};
	for (int i = 0; i < TRIB_REPO_KEPT; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

/* An object id stands for its bytes: what was read and hashed once under it need not be read again. */
static int read_blob(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], const char *name, size_t max, struct trib_buf *ret, struct trib_err *err)
{
	int at = kept_place(name);
	size_t start = ret->len;
	if (at >= 0 && r->kept[at].p && r->kept[at].n <= max && memcmp(r->kept[at].oid, oid, TRIB_OID_LEN) == 0) {
		trib_buf_put(ret, r->kept[at].p, r->kept[at].n);
		return trib_buf_check(ret, name, err);
	}
	if (trib_repo_read(r, oid, TRIB_OBJ_BLOB, max, ret, err))
		return -1;
	size_t n = ret->len - start;
	if (at < 0 || n == 0 || n > TRIB_REPO_KEPT_MAX)
		return 0;
	uint8_t *p = realloc(r->kept[at].p, n);
	if (!p)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	memcpy(p, ret->p + start, n);
	memcpy(r->kept[at].oid, oid, TRIB_OID_LEN);
	r->kept[at].p = p;
	r->kept[at].n = n;
	return 0;
}

int trib_commit_blob(struct trib_repo *r, const struct trib_commit *c, const char *name, size_t max, struct trib_buf *ret, struct trib_err *err)
{
	for (size_t i = 0; i < c->nentries; i++)
		if (strcmp(c->entries[i].name, name) == 0)
			return read_blob(r, c->entries[i].oid, name, max, ret, err) ? trib_ctx(err, "%s", name) : 0;
	return trib_fail(err, TRIB_E_NOT_FOUND, "the commit's tree has no %s", name);
}

struct oids {
	uint8_t (*p)[TRIB_OID_LEN];
	size_t n, cap;
};
static void oids_cleanup(struct oids *o) { free(o->p); }

static int oids_add(struct oids *o, const uint8_t *oid, struct trib_err *err)
{
	if (o->n == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 64;
		uint8_t(*p)[TRIB_OID_LEN] = reallocarray(o->p, cap, sizeof(*p));
		if (!p)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory listing commits");
		o->p = p;
		o->cap = cap;
	}
	memcpy(o->p[o->n++], oid, TRIB_OID_LEN);
	return 0;
}

static int read_parent(struct trib_repo *r, const uint8_t *oid, struct trib_buf *raw, struct trib_commitraw *ret, struct trib_err *err)
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	trib_buf_reset(raw);
	if (trib_repo_read(r, oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, raw, err) || trib_commitraw_parse(trib_buf_span(raw), ret, err))
		return trib_ctx(err, "commit %s", hex);
	return 0;
}

int trib_repo_parent(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], uint8_t ret[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	struct trib_commitraw c;
	if (read_parent(r, oid, &raw, &c, err))
		return -1;
	if (c.has_parent)
		memcpy(ret, c.parent, TRIB_OID_LEN);
	return c.has_parent;
}

int trib_repo_chain(struct trib_repo *r, const uint8_t tip[TRIB_OID_LEN], const uint8_t *stop, size_t max, uint8_t (**ret)[TRIB_OID_LEN],
		    size_t *ret_n, struct trib_err *err)
{
	__attribute__((cleanup(oids_cleanup))) struct oids list = {0};
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	uint8_t at[TRIB_OID_LEN];
	memcpy(at, tip, TRIB_OID_LEN);
	while (!stop || memcmp(at, stop, TRIB_OID_LEN) != 0) {
		struct trib_commitraw c;
		if (list.n >= max)
			return trib_fail(err, TRIB_E_LIMIT, "the history is longer than %zu commits here", max);
		if (read_parent(r, at, &raw, &c, err) || oids_add(&list, at, err))
			return -1;
		if (!c.has_parent && stop) {
			char hex[TRIB_OID_HEX + 1];
			trib_hex(hex, stop, TRIB_OID_LEN);
			return trib_fail(err, TRIB_E_CHAIN, "commit %s is not an ancestor of the tip", hex);
		}
		if (!c.has_parent)
			break;
		memcpy(at, c.parent, TRIB_OID_LEN);
	}
	for (size_t i = 0; i < list.n / 2; i++) {
		memcpy(at, list.p[i], TRIB_OID_LEN);
		memcpy(list.p[i], list.p[list.n - 1 - i], TRIB_OID_LEN);
		memcpy(list.p[list.n - 1 - i], at, TRIB_OID_LEN);
	}
	*ret = list.p;
	*ret_n = list.n;
	list.p = NULL;
	return 0;
}
