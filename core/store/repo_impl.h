/* repo_impl.h: what the files of the repository module share. Not for others. */
#ifndef TRIB_REPO_IMPL_H
#define TRIB_REPO_IMPL_H

#include "core/store/repo.h"

#define TRIB_REPO_KEPT 3                     /* salt, schema.sql, signer.pem */
#define TRIB_REPO_KEPT_MAX (256 * TRIB_KIB)  /* a larger one is read again */

struct trib_repo {
	git_repository *git;
	git_odb *packs;       /* packs only: through it libgit2 cannot meet a loose object */
	char *path;
	char *objects[2];     /* object directories, the second one of a quarantine or NULL */
	bool read_only;
	struct trib_syncs *group; /* where written objects wait for their fsync; NULL: none waits */
	/* Files that one commit after the other has unchanged, as they were read and verified last (commit.c). */
	struct { uint8_t oid[TRIB_OID_LEN], *p; size_t n; } kept[TRIB_REPO_KEPT];
};

/* Fills err from libgit2's last error; always -1. */
int trib_git_fail(struct trib_err *err, int rc, const char *what);
/* Before libgit2 starts: keeps the system's certificates from it (nobundle.c). */
void trib_no_bundle(void);
/* Is the loose object whole? 1; 0 when there is none or it has more than `max` bytes; TRIB_E_VERIFY when it is damaged. */
int trib_repo_loose_ok(const char *objects_dir, const uint8_t oid[TRIB_OID_LEN], size_t max, struct trib_err *err) TRIB_MUST_CHECK;
const char *trib_obj_name(enum trib_obj type);

#endif
