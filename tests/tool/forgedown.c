/* forgedown.c: makes the hub's last word to an office anew, with the hub's own keys, as a hub that lies about its witness would.
 *
 * forgedown HUB NODE APP none | false | note FILE: without what a witness cosigned; with its signature changed by one bit; with the note in FILE and no proof.
 * Everything else is right: receipts, manifest, hashes, signature, and hub.db names it. */
#include <err.h>

#include "core/base/clock.h"
#include "core/format/down.h"
#include "core/format/witness.h"
#include "core/store/repo.h"
#include "core/trust/hash.h"
#include "core/trust/sign.h"
#include "hub/chain.h"

static struct trib_err e;
#define MUST(call)                                                  \
	do {                                                        \
		if (call)                                           \
			errx(9, "forgedown: %s: %s", #call, e.msg); \
	} while (0)

/* The blob as it was, its last cosignature changed by one bit. */
static void falsify(struct trib_buf *b)
{
	struct trib_buf all = TRIB_BUF(TRIB_WITNESSED_MAX), note = TRIB_BUF(TRIB_NOTE_MAX);
	static struct trib_witnessed_note n;
	struct trib_witnessed w;
	struct trib_checkpoint cp;
	MUST(trib_witnessed_parse(trib_buf_span(b), &w, &e));
	if (trib_witnessed_next(&w, &n, &e) != 1)
		errx(9, "forgedown: nothing is cosigned");
	MUST(trib_checkpoint_parse(n.note, &cp, &e));
	trib_buf_put_span(&note, cp.text);
	for (size_t i = 0; i < cp.nsigs; i++) {
		TRIB_AUTO(trib_mem) char *name = strndup((const char *)cp.sigs[i].key_name.p, cp.sigs[i].key_name.n);
		trib_note_put_sig(&note, name, cp.sigs[i].key_id, cp.sigs[i].sig);
	}
	for (size_t i = 0; i < cp.ncosigs; i++) {
		TRIB_AUTO(trib_mem) char *name = strndup((const char *)cp.cosigs[i].key_name.p, cp.cosigs[i].key_name.n);
		cp.cosigs[i].time++; /* as if it had looked a second later */
		trib_note_put_cosig(&note, name, cp.cosigs[i].key_id, cp.cosigs[i].time, cp.cosigs[i].sig);
	}
	trib_witnessed_begin(&all);
	trib_witnessed_put(&all, (const uint8_t(*)[TRIB_SHA256_LEN])n.proof, n.nproof, trib_buf_span(&note));
	trib_buf_reset(b);
	trib_buf_put_span(b, trib_buf_span(&all));
	trib_buf_release(&all);
	trib_buf_release(&note);
}

static void witnessed(struct trib_repo *repo, const struct trib_commit *c, const char *kind, const char *file, struct trib_buf *ret)
{
	struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	if (strcmp(kind, "none") == 0)
		return;
	if (strcmp(kind, "note") == 0) {
		MUST(trib_fs_read(file, &note, &e));
		trib_witnessed_begin(ret);
		trib_witnessed_put(ret, NULL, 0, trib_buf_span(&note));
	} else {
		MUST(trib_commit_blob(repo, c, "witnessed", TRIB_WITNESSED_MAX, ret, &e));
		falsify(ret);
	}
	trib_buf_release(&note);
}

static void record(struct trib_hubdb *db, const char *node, const char *app, const uint8_t oid[TRIB_OID_LEN], const uint8_t manifest[TRIB_SHA256_LEN])
{
	sqlite3_stmt *st = NULL;
	MUST(trib_db_prepare(db->db, "UPDATE history SET down_oid = ?, down_manifest = ? WHERE node = ? AND app = ?", &st, &e));
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 2, manifest, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, app, -1, SQLITE_STATIC);
	MUST(trib_db_step(db->db, st, &e) < 0);
	sqlite3_finalize(st);
}

int main(int argc, char **argv)
{
	struct trib_hub hub;
	struct trib_hubdb db;
	struct trib_hub_signer s;
	struct trib_repo *repo = NULL;
	struct trib_commit c = {0};
	struct trib_down d;
	static const char *const names[] = {"consistency", "manifest", "receipts", "signer.pem", "witnessed"};
	struct trib_buf bytes[TRIB_COUNT(names)], payload = TRIB_BUF(TRIB_COMMIT_MAX), pem = TRIB_BUF(TRIB_SIG_MAX), raw = TRIB_BUF(TRIB_COMMIT_MAX);
	struct trib_blob_in in[TRIB_COUNT(names)];
	uint8_t oid[TRIB_OID_LEN], tree[TRIB_OID_LEN], sha[TRIB_SHA256_LEN];
	size_t n = 0;
	if (argc < 5)
		errx(2, "forgedown HUB NODE APP KIND [FILE]");
	MUST(trib_repo_lib_init(&e) || trib_hub_open(argv[1], &hub, &e) || trib_hubdb_open(&hub, true, &db, &e) || trib_hub_signer_load(&hub, &s, &e));
	char *path = trib_hub_repo_path(&hub, argv[2], argv[3]);
	MUST(trib_repo_open(path, false, &repo, &e) || trib_repo_ref(repo, "refs/heads/down", oid, &e) || trib_commit_read(repo, oid, &c, &e) ||
	     trib_down_parse(trib_buf_span(&c.manifest), &d, &e));
	d.nblobs = 0;
	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		bytes[i] = TRIB_BUF(TRIB_RECEIPTS_MAX);
		if (strcmp(names[i], "witnessed") == 0)
			witnessed(repo, &c, argv[4], argc > 5 ? argv[5] : "", &bytes[i]);
		else if (strcmp(names[i], "manifest") != 0 && trib_commit_blob(repo, &c, names[i], TRIB_RECEIPTS_MAX, &bytes[i], &e) && e.code != TRIB_E_NOT_FOUND)
			errx(9, "forgedown: %s", e.msg);
		if (!bytes[i].len)
			continue;
		struct trib_mf_blob *b = &d.blobs[d.nblobs++];
		(void)snprintf(b->name, sizeof(b->name), "%s", names[i]);
		trib_sha256(b->sha256, trib_buf_span(&bytes[i]));
	}
	trib_down_put(&bytes[1], &d);
	for (size_t i = 0; i < TRIB_COUNT(names); i++)
		if (bytes[i].len)
			in[n++] = (struct trib_blob_in){names[i], trib_buf_span(&bytes[i])};
	trib_sha256(sha, trib_buf_span(&bytes[1]));
	MUST(trib_repo_write_tree(repo, in, n, tree, &e));
	trib_commitraw_put(&payload, tree, c.c.has_parent ? c.c.parent : NULL, hub.city, "hub@tributary", d.time, "receipts", "", sha);
	MUST(trib_sign(trib_buf_span(&payload), s.sign_key, hub.sign_cert, d.time, &pem, &e));
	trib_commitraw_sign(&raw, trib_buf_span(&payload), trib_buf_span(&pem));
	MUST(trib_repo_write(repo, TRIB_OBJ_COMMIT, trib_buf_span(&raw), oid, &e) || trib_repo_ref_set(repo, "refs/heads/down", oid, &e));
	record(&db, argv[2], argv[3], oid, sha);
	trib_hubdb_close(&db);
	(void)fflush(NULL);
	_exit(0); /* the rest goes with the process */
}
