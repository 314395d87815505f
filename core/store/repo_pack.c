#include "core/store/repo_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <zlib.h>

#include "core/trust/hash.h"

#define CHUNK 65536
#define WALK_MAX ((size_t)1 << 20)  /* commits visited for one pack: a node makes a few hundred a year */
#define TREE_RAW_MAX (4 * TRIB_KIB)

/* A growing table of ids, found by hash. Histories are linear, so a node has one parent. */
enum { WANTED = 1, HIDDEN = 2, LOADED = 4, ROOT = 8 };
struct node {
	uint8_t oid[TRIB_OID_LEN], parent[TRIB_OID_LEN], tree[TRIB_OID_LEN];
	unsigned flags;
	enum trib_obj type; /* in the list of objects */
};
struct table {
	struct node *nodes;
	size_t n, cap;
	uint32_t *slots; /* index + 1, 0 = free; a power of two, at least 2 * cap */
	size_t nslots;
};
static void table_cleanup(struct table *t)
{
	free(t->nodes);
	free(t->slots);
}

/* Ids are hashes already; whoever chooses them to collide wins a slower push, bounded by WALK_MAX and the CPU limit. */
static size_t slot_of(const struct table *t, const uint8_t *oid)
{
	size_t at = (size_t)trib_be64(oid) & (t->nslots - 1);
	while (t->slots[at] && memcmp(t->nodes[t->slots[at] - 1].oid, oid, TRIB_OID_LEN) != 0)
		at = (at + 1) & (t->nslots - 1);
	return at;
}

static int table_grow(struct table *t, struct trib_err *err)
{
	size_t cap = t->cap ? t->cap * 2 : 256;
	if (t->n >= 4 * WALK_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a pack of more than %zu objects is over the limit", 4 * WALK_MAX);
	struct node *nodes = reallocarray(t->nodes, cap, sizeof(*nodes));
	if (nodes)
		t->nodes = nodes;
	uint32_t *slots = nodes ? calloc(cap * 2, sizeof(*slots)) : NULL;
	if (!slots)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory making a pack");
	free(t->slots);
	t->slots = slots;
	t->nslots = cap * 2;
	t->cap = cap;
	for (size_t i = 0; i < t->n; i++)
		t->slots[slot_of(t, t->nodes[i].oid)] = (uint32_t)i + 1;
	return 0;
}

/* The index of the id's node, added when new. */
static int table_put(struct table *t, const uint8_t *oid, size_t *ret, bool *ret_new, struct trib_err *err)
{
	if (t->n == t->cap && table_grow(t, err))
		return -1;
	size_t at = slot_of(t, oid);
	*ret_new = t->slots[at] == 0;
	if (*ret_new) {
		t->nodes[t->n] = (struct node){0};
		memcpy(t->nodes[t->n].oid, oid, TRIB_OID_LEN);
		t->slots[at] = (uint32_t)++t->n;
	}
	*ret = t->slots[at] - 1;
	return 0;
}

static const struct node *table_find(const struct table *t, const uint8_t *oid)
{
	size_t at = t->nslots ? slot_of(t, oid) : 0;
	return t->nslots && t->slots[at] ? &t->nodes[t->slots[at] - 1] : NULL;
}

static int load(struct trib_repo *r, struct node *n, struct trib_err *err)
{
	if (n->flags & LOADED)
		return 0;
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	struct trib_commitraw c;
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, n->oid, TRIB_OID_LEN);
	if (trib_repo_read(r, n->oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &raw, err) || trib_commitraw_parse(trib_buf_span(&raw), &c, err))
		return trib_ctx(err, "commit %s", hex);
	memcpy(n->tree, c.tree, TRIB_OID_LEN);
	if (c.has_parent)
		memcpy(n->parent, c.parent, TRIB_OID_LEN);
	n->flags |= LOADED | (c.has_parent ? 0 : (unsigned)ROOT);
	return 0;
}

/* One end of a walk back from a want or a hide. */
struct walker {
	uint8_t at[TRIB_OID_LEN];
	bool done;
};

/* A step from a want: ends at what a hide has reached, or another want has. */
static int step_want(struct trib_repo *r, struct table *t, struct walker *w, struct trib_err *err)
{
	size_t i;
	bool added;
	if (table_put(t, w->at, &i, &added, err))
		return -1;
	struct node *n = &t->nodes[i];
	if (n->flags & (WANTED | HIDDEN)) {
		w->done = true;
		return 0;
	}
	if (t->n > WALK_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a history of more than %zu commits is over the limit", WALK_MAX);
	if (load(r, n, err))
		return -1;
	n->flags |= WANTED;
	w->done = (n->flags & ROOT) != 0;
	memcpy(w->at, n->parent, TRIB_OID_LEN);
	return 0;
}

/* A step from a hide: through all commits loaded already, then one more, so that it overtakes a want's walk on the same line. */
static int step_hide(struct trib_repo *r, struct table *t, struct walker *w, struct trib_err *err)
{
	for (bool was_loaded = true; was_loaded && !w->done;) {
		size_t i;
		bool added;
		if (table_put(t, w->at, &i, &added, err))
			return -1;
		struct node *n = &t->nodes[i];
		was_loaded = (n->flags & LOADED) != 0;
		if (n->flags & HIDDEN) {
			w->done = true;
			return 0;
		}
		if (load(r, n, err)) {
			/* A hide that is not here hides nothing. */
			w->done = true;
			return err->code == TRIB_E_NOT_FOUND ? 0 : -1;
		}
		n->flags |= HIDDEN;
		w->done = (n->flags & ROOT) != 0;
		memcpy(w->at, n->parent, TRIB_OID_LEN);
	}
	return 0;
}

static int walk(struct trib_repo *r, struct table *t, struct walker *wants, size_t nwant, struct walker *hides, size_t nhide, struct trib_err *err)
{
	for (bool open = true; open;) {
		open = false;
		for (size_t i = 0; i < nhide; i++)
			if (!hides[i].done && step_hide(r, t, &hides[i], err))
				return -1;
		for (size_t i = 0; i < nwant; i++) {
			if (!wants[i].done && step_want(r, t, &wants[i], err))
				return -1;
			open = open || !wants[i].done;
		}
	}
	/* The lines are known: take back what a hide reached late. */
	for (size_t i = 0; i < nhide; i++)
		for (const struct node *n = hides[i].done ? NULL : table_find(t, hides[i].at); n && (n->flags & LOADED) && !(n->flags & HIDDEN);) {
			t->nodes[n - t->nodes].flags |= HIDDEN;
			n = n->flags & ROOT ? NULL : table_find(t, n->parent);
		}
	return 0;
}

/* Adds the tree and its blobs; `hidden` ones are known to be at the other side. */
static int add_tree(struct trib_repo *r, struct table *objects, const uint8_t *tree, bool hidden, struct trib_err *err)
{
	size_t i;
	bool added;
	if (table_put(objects, tree, &i, &added, err))
		return -1;
	if (!added)
		return 0;
	objects->nodes[i].type = TRIB_OBJ_TREE;
	objects->nodes[i].flags = hidden ? HIDDEN : 0;
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TREE_RAW_MAX);
	struct trib_tree_entry e[TRIB_TREE_MAX];
	size_t n = 0;
	if (trib_repo_read(r, tree, TRIB_OBJ_TREE, TREE_RAW_MAX, &raw, err) || trib_tree_parse(trib_buf_span(&raw), e, &n, err))
		return -1;
	for (size_t k = 0; k < n; k++) {
		if (table_put(objects, e[k].oid, &i, &added, err))
			return -1;
		if (added) {
			objects->nodes[i].type = TRIB_OBJ_BLOB;
			objects->nodes[i].flags = hidden ? HIDDEN : 0;
		}
	}
	return 0;
}

/* What the other side has: the trees of the hidden tips, and of hidden parents of what is sent. */
static int add_boundary(struct trib_repo *r, struct table *commits, struct table *objects, const uint8_t (*hide)[TRIB_OID_LEN], size_t nhide,
			struct trib_err *err)
{
	for (size_t i = 0; i < nhide; i++) {
		const struct node *n = table_find(commits, hide[i]);
		if (n && (n->flags & LOADED) && add_tree(r, objects, n->tree, true, err))
			return -1;
	}
	for (size_t i = 0; i < commits->n; i++) {
		const struct node *n = &commits->nodes[i];
		if ((n->flags & (WANTED | HIDDEN)) != WANTED || (n->flags & ROOT))
			continue;
		const struct node *parent = table_find(commits, n->parent);
		if (parent && (parent->flags & HIDDEN) && add_tree(r, objects, parent->tree, true, err))
			return -1;
	}
	return 0;
}

static int add_objects(struct trib_repo *r, const struct table *commits, struct table *objects, struct trib_err *err)
{
	size_t at;
	bool added;
	for (size_t i = 0; i < commits->n; i++) {
		const struct node *n = &commits->nodes[i];
		if ((n->flags & (WANTED | HIDDEN)) != WANTED)
			continue;
		if (table_put(objects, n->oid, &at, &added, err))
			return -1;
		objects->nodes[at].type = TRIB_OBJ_COMMIT;
		if (add_tree(r, objects, n->tree, false, err))
			return -1;
	}
	return 0;
}

struct writer {
	trib_pack_sink sink;
	void *ctx;
	struct trib_sha1_ctx *sha;
	z_stream z;
	uint8_t out[CHUNK];
};

static int put(struct writer *w, struct trib_span bytes, struct trib_err *err)
{
	trib_sha1_add(w->sha, bytes);
	return bytes.n ? w->sink(w->ctx, bytes, err) : 0;
}

static int put_deflated(struct writer *w, struct trib_span bytes, struct trib_err *err)
{
	/* What gzip made does not get smaller, only slower. */
	bool packed = bytes.n > 2 && bytes.p[0] == 0x1f && bytes.p[1] == 0x8b;
	w->z = (z_stream){0};
	if (deflateInit(&w->z, packed ? 0 : 1) != Z_OK)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory making a pack");
	int rc = Z_OK, failed = 0;
	w->z.next_in = (Bytef *)(uintptr_t)bytes.p;
	w->z.avail_in = (uInt)bytes.n; /* at most TRIB_OBJECT_MAX */
	while (rc != Z_STREAM_END && !failed) {
		w->z.next_out = w->out;
		w->z.avail_out = CHUNK;
		rc = deflate(&w->z, Z_FINISH);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			failed = trib_fail(err, TRIB_E_FAILED, "zlib cannot deflate an object");
		else
			failed = put(w, trib_span(w->out, CHUNK - w->z.avail_out), err);
	}
	(void)deflateEnd(&w->z);
	return failed;
}

static int put_object(struct trib_repo *r, struct writer *w, const struct node *o, struct trib_buf *bytes, struct trib_err *err)
{
	trib_buf_reset(bytes);
	if (trib_repo_read(r, o->oid, o->type, TRIB_OBJECT_MAX, bytes, err))
		return -1;
	uint8_t head[16];
	size_t n = 0, size = bytes->len;
	head[0] = (uint8_t)((unsigned)o->type << 4 | (size & 15));
	for (size >>= 4; size; size >>= 7) {
		head[n++] |= 0x80;
		head[n] = (uint8_t)(size & 0x7f);
	}
	return put(w, trib_span(head, n + 1), err) ? -1 : put_deflated(w, trib_buf_span(bytes), err);
}

static int write_pack(struct trib_repo *r, struct writer *w, const struct table *objects, struct trib_err *err)
{
	static const enum trib_obj order[] = {TRIB_OBJ_COMMIT, TRIB_OBJ_TREE, TRIB_OBJ_BLOB};
	uint8_t head[12] = {'P', 'A', 'C', 'K', 0, 0, 0, 2};
	uint32_t count = 0;
	for (size_t i = 0; i < objects->n; i++)
		count += !(objects->nodes[i].flags & HIDDEN);
	trib_put_be32(head + 8, count);
	if (put(w, trib_span(head, sizeof(head)), err))
		return -1;
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_OBJECT_MAX);
	for (size_t k = 0; k < TRIB_COUNT(order); k++)
		for (size_t i = 0; i < objects->n; i++) {
			const struct node *o = &objects->nodes[i];
			if (o->type == order[k] && !(o->flags & HIDDEN) && put_object(r, w, o, &bytes, err))
				return -1;
		}
	return 0;
}

static int send_pack(struct trib_repo *r, const struct table *objects, trib_pack_sink sink, void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) struct writer *w = calloc(1, sizeof(*w));
	if (!w)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory making a pack");
	w->sink = sink;
	w->ctx = ctx;
	w->sha = trib_sha1_new();
	uint8_t sum[TRIB_OID_LEN];
	int rc = write_pack(r, w, objects, err);
	trib_sha1_end(w->sha, sum);
	return rc ? -1 : sink(ctx, trib_span(sum, sizeof(sum)), err);
}

int trib_repo_pack(struct trib_repo *r, const uint8_t (*want)[TRIB_OID_LEN], size_t nwant, const uint8_t (*hide)[TRIB_OID_LEN], size_t nhide,
		   trib_pack_sink sink, void *ctx, struct trib_err *err)
{
	__attribute__((cleanup(table_cleanup))) struct table commits = {0};
	__attribute__((cleanup(table_cleanup))) struct table objects = {0};
	TRIB_AUTO(trib_mem) struct walker *w = calloc(nwant + nhide + 1, sizeof(*w));
	if (!w)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory making a pack");
	for (size_t i = 0; i < nwant; i++)
		memcpy(w[i].at, want[i], TRIB_OID_LEN);
	for (size_t i = 0; i < nhide; i++)
		memcpy(w[nwant + i].at, hide[i], TRIB_OID_LEN);
	if (walk(r, &commits, w, nwant, w + nwant, nhide, err) || add_boundary(r, &commits, &objects, hide, nhide, err) ||
	    add_objects(r, &commits, &objects, err))
		return trib_ctx(err, "making a pack from %s", r->path);
	return send_pack(r, &objects, sink, ctx, err);
}

/* libgit2 1.5 leaks some 300 bytes for each object of the pack that `base` has already: for disposable workers. */
static int feed(git_indexer *ix, const char *pack_file, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(pack_file, O_RDONLY | O_CLOEXEC);
	TRIB_AUTO(trib_mem) uint8_t *chunk = malloc(CHUNK);
	git_indexer_progress progress = {0};
	if (fd < 0)
		return trib_fail_errno(err, "opening %s", pack_file);
	if (!chunk)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory indexing a pack");
	int rc = 0;
	for (ssize_t n = 1; !rc && n > 0;) {
		n = TEMP_FAILURE_RETRY(read(fd, chunk, CHUNK));
		if (n < 0)
			return trib_fail_errno(err, "reading %s", pack_file);
		if (n > 0)
			rc = git_indexer_append(ix, chunk, (size_t)n, &progress);
	}
	if (!rc)
		rc = git_indexer_commit(ix, &progress);
	if (!rc)
		return 0;
	trib_git_fail(err, rc, "indexing the pack");
	if (err->code == TRIB_E_GIT || err->code == TRIB_E_NOT_FOUND)
		err->code = TRIB_E_FORMAT;
	return -1;
}

int trib_repo_index_pack(struct trib_repo *base, const char *pack_file, const char *dir, char ret_name[TRIB_OID_HEX + 1], struct trib_err *err)
{
	git_odb *odb = NULL;
	git_indexer *ix = NULL;
	git_indexer_options opt = {.version = GIT_INDEXER_OPTIONS_VERSION, .verify = 1};
	if (trib_fs_mkdirs(dir, 0700, err))
		return -1;
	int rc = git_repository_odb(&odb, base->git);
	if (!rc)
		rc = git_indexer_new(&ix, dir, 0444, odb, &opt);
	if (rc)
		trib_git_fail(err, rc, dir);
	else
		rc = feed(ix, pack_file, err);
	if (!rc) {
		trib_hex(ret_name, git_indexer_hash(ix)->id, TRIB_OID_LEN);
		rc = trib_fs_sync_dir(dir, err);
	}
	git_indexer_free(ix);
	git_odb_free(odb);
	return rc ? -1 : 0;
}
