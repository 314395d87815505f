/* sync.h: many files made durable at once (D15.8).
 *
 * An fsync of its own for each file makes the file system commit its journal each time, and every program that writes there waits for that, the office's
 * application among them. In a group all data goes out first; then the first fsync commits everything, and the others find nothing left to do.
 * What an fsync must precede still waits for it: temporaries take their names when all content is durable, folders are synced after that. */
#ifndef TRIB_SYNC_H
#define TRIB_SYNC_H

#include "core/base/fs.h"

struct trib_sync_file {
	char *at, *to;     /* to: the name it takes when its content is durable; NULL: it has its name */
	const char *point; /* a crash point behind the rename, or NULL */
};
struct trib_syncs {
	struct trib_sync_file *files;
	size_t nfiles;
	char **dirs;
	size_t ndirs;
};

/* Its content must be durable when the group is. A path that is there already is not added again. */
int trib_syncs_file(struct trib_syncs *g, const char *path, struct trib_err *err) TRIB_MUST_CHECK;
/* `tmp` becomes `path` once the group's content is durable. `point` (may be NULL) must outlive the group. */
int trib_syncs_rename(struct trib_syncs *g, const char *tmp, const char *path, const char *point, struct trib_err *err) TRIB_MUST_CHECK;
/* As trib_fs_write, as a part of the group: writes the temporary now. */
int trib_syncs_write(struct trib_syncs *g, const char *path, struct trib_span bytes, mode_t mode, const char *point, struct trib_err *err) TRIB_MUST_CHECK;
/* The names in this folder must be durable when the group is. */
int trib_syncs_dir(struct trib_syncs *g, const char *dir, struct trib_err *err) TRIB_MUST_CHECK;
int trib_syncs_parent(struct trib_syncs *g, const char *path, struct trib_err *err) TRIB_MUST_CHECK;

/* The renames alone, at once: for what may be lost with the power. */
int trib_syncs_names(struct trib_syncs *g, struct trib_err *err) TRIB_MUST_CHECK;
/* Content and renames; the folders stay for a later call. */
int trib_syncs_files(struct trib_syncs *g, struct trib_err *err) TRIB_MUST_CHECK;
/* All of it; the group is empty afterwards. */
int trib_syncs_end(struct trib_syncs *g, struct trib_err *err) TRIB_MUST_CHECK;
/* Also removes temporaries that got no name. */
void trib_syncs_release(struct trib_syncs *g);
static inline void trib_syncs_cleanup(struct trib_syncs *g) { trib_syncs_release(g); }

#endif
