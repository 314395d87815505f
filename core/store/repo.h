/* repo.h: git repositories through libgit2: bare, fsynced, and only with objects of the shape F6.
 *
 * libgit2 1.5.1 hangs on truncated loose objects: trib_repo_read reads loose objects with our own bounded inflate
 * (size from the header, at most `max`) and hashes what it read; what a pack holds, libgit2 hashes. Open one handle per process; never across fork. */
#ifndef TRIB_REPO_H
#define TRIB_REPO_H

#include <git2.h>

#include "core/base/sync.h"
#include "core/format/commitraw.h"

struct trib_repo; /* opaque */

/* Once per process: git_libgit2_init, GIT_OPT_ENABLE_FSYNC_GITDIR on, strict hash verification on, no system or global config. */
int trib_repo_lib_init(struct trib_err *err) TRIB_MUST_CHECK;
/* Creates a bare repository (HEAD -> refs/heads/main) with the settings we need; existing is opened. */
int trib_repo_create(const char *path, struct trib_repo **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Opens. Removes ref locks left by a killed process: the caller must hold the state lock when `clean_locks`. */
int trib_repo_open(const char *path, bool clean_locks, struct trib_repo **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_repo_free(struct trib_repo *r);
static inline void trib_repo_cleanup(struct trib_repo **r) { trib_repo_free(*r); }
git_repository *trib_repo_git(struct trib_repo *r);
const char *trib_repo_path(const struct trib_repo *r);

/* Reads an object of the given type into *ret (appends), at most `max` bytes; verifies its id. TRIB_E_NOT_FOUND, TRIB_E_LIMIT,
 * TRIB_E_VERIFY when the bytes do not hash to the id or the object is torn. */
enum trib_obj { TRIB_OBJ_COMMIT = 1, TRIB_OBJ_TREE = 2, TRIB_OBJ_BLOB = 3 };
int trib_repo_read(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, size_t max, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same when the type is not known. TRIB_E_NOT_FOUND when there is no such object; what is damaged is another error. */
int trib_repo_read_any(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], enum trib_obj *ret_type, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Whether there is an object of this id, whole or not. A pack that appeared meanwhile may be missed. */
bool trib_repo_has(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN]);
/* Takes a loose object away that was written for nothing; no ref may lead to it. */
int trib_repo_drop(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Writes a loose object, fsynced; existing is fine when it reads back right, a damaged loose one is replaced. */
int trib_repo_write(struct trib_repo *r, enum trib_obj type, struct trib_span bytes, uint8_t ret_oid[TRIB_OID_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* From now on objects are written into the group: they are there for readers after trib_syncs_files, durable after trib_syncs_end. NULL: each by itself. */
void trib_repo_group(struct trib_repo *r, struct trib_syncs *g);
/* The commit a ref points to; TRIB_E_NOT_FOUND. */
int trib_repo_ref(struct trib_repo *r, const char *ref, uint8_t ret_oid[TRIB_OID_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Compare-and-swap: old NULL = the ref must not exist yet. TRIB_E_CHAIN when it is something else. new NULL deletes. fsynced. */
int trib_repo_ref_cas(struct trib_repo *r, const char *ref, const uint8_t *old_oid, const uint8_t *new_oid, struct trib_err *err) TRIB_MUST_CHECK;
/* The same as a part of a group, for refs/heads/NAME: the ref stays locked, and moves with the group's renames. `point` as trib_syncs_rename has it. */
int trib_repo_ref_cas_in(struct trib_repo *r, struct trib_syncs *g, const char *ref, const uint8_t *old_oid, const uint8_t new_oid[TRIB_OID_LEN],
			 const char *point, struct trib_err *err) TRIB_MUST_CHECK;
/* Sets a ref unconditionally (private refs only). */
int trib_repo_ref_set(struct trib_repo *r, const char *ref, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Makes freshly added packs visible. */
void trib_repo_refresh(struct trib_repo *r);

/* A whole commit read and parsed in form (F6), not judged. Owned by trib_commit_release. */
struct trib_commit {
	uint8_t oid[TRIB_OID_LEN];
	struct trib_buf raw;
	struct trib_commitraw c; /* points into raw */
	struct trib_tree_entry entries[TRIB_TREE_MAX];
	size_t nentries;
	struct trib_buf manifest; /* the blob's bytes */
};
void trib_commit_release(struct trib_commit *c);
static inline void trib_commit_cleanup(struct trib_commit *c) { trib_commit_release(c); }
/* *ret zeroed. Reads commit, tree and manifest blob. */
int trib_commit_read(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], struct trib_commit *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The bytes of another blob of the tree by name; TRIB_E_NOT_FOUND when the tree has none. */
int trib_commit_blob(struct trib_repo *r, const struct trib_commit *c, const char *name, size_t max, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The commit before `oid`: 1 with *ret, 0 when it is the first. Reads the raw commit only. */
int trib_repo_parent(struct trib_repo *r, const uint8_t oid[TRIB_OID_LEN], uint8_t ret[TRIB_OID_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Lists the chain from `tip` back to but not including `stop` (NULL: to the root), oldest first. *ret malloc'd array of
 * TRIB_OID_LEN bytes each. TRIB_E_LIMIT beyond `max` commits, TRIB_E_CHAIN when `stop` is not an ancestor. Reads raw commits only.
 * tip == stop gives an empty list (*ret is then NULL). */
int trib_repo_chain(struct trib_repo *r, const uint8_t tip[TRIB_OID_LEN], const uint8_t *stop, size_t max,
		    uint8_t (**ret)[TRIB_OID_LEN], size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;

/* Building a commit: the tree's blobs by name. */
struct trib_blob_in { const char *name; struct trib_span bytes; };
/* Writes blobs and tree; returns the tree id. Blobs must be rising by name. */
int trib_repo_write_tree(struct trib_repo *r, const struct trib_blob_in *blobs, size_t n, uint8_t ret_tree[TRIB_OID_LEN], struct trib_err *err) TRIB_MUST_CHECK;

/* Packs: writes all objects reachable from `want` and not from `hide` (may be NULL, n = 0; ids that are not here hide nothing) as one pack
 * without deltas, to a callback, in chunks of at most 64 KiB. Nothing to send is a pack of no objects. A failure after the first chunk leaves the
 * pack cut short. Used by upload-pack, bundles and (through libgit2's own) push. */
typedef int (*trib_pack_sink)(void *ctx, struct trib_span bytes, struct trib_err *err);
int trib_repo_pack(struct trib_repo *r, const uint8_t (*want)[TRIB_OID_LEN], size_t nwant, const uint8_t (*hide)[TRIB_OID_LEN], size_t nhide,
		   trib_pack_sink sink, void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
/* Indexes a scanned pack file (packscan.h has passed it) into `dir` (made when missing) as pack-*.pack/.idx, fsynced. Every object that
 * the pack's objects name must be in the pack or in `base`. TRIB_E_FORMAT when libgit2 refuses it. */
int trib_repo_index_pack(struct trib_repo *base, const char *pack_file, const char *dir, char ret_name[TRIB_OID_HEX + 1], struct trib_err *err) TRIB_MUST_CHECK;
/* Opens `r`'s objects plus those of a quarantine directory (holding `pack/`) as one read-only view. */
int trib_repo_open_quarantine(const char *repo_path, const char *quarantine_dir, struct trib_repo **ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
