/* fold.h: few packs instead of thousands of small files, so that opening a repository and finding an object cost the same after ten years as after a week.
 *
 * A commit leaves four loose files, a push or a pull one pack. When loose objects or packs have become many, they are put into one new pack, with deltas; what it
 * then holds for certain is removed. Larger packs are left alone: each object is rewritten a number of times that follows the logarithm of the history. */
#ifndef TRIB_FOLD_H
#define TRIB_FOLD_H

#include "core/store/repo.h"

#define TRIB_FOLD_LOOSE 256                   /* about so many loose objects are worth a fold */
#define TRIB_FOLD_PACKS 16                    /* so many packs */
#define TRIB_FOLD_OBJECTS 8192                /* a pack of more objects is not folded again, and no fold takes more loose ones */
#define TRIB_FOLD_BYTES (8 * TRIB_MIB)        /* the same for a pack's size */
#define TRIB_FOLD_OBJECT_MAX (256 * TRIB_KIB) /* a larger loose object stays as it is */

struct trib_fold { size_t objects, packs, loose; }; /* in the new pack; files that it replaced */

/* Folds when it is worth it; *ret says what was done, all 0 for nothing. Nobody else may write to the repository meanwhile; readers may be at work, also with handles
 * opened before. Killed at any point, nothing is lost: the same objects are then there twice, until the next fold. A damaged object ends it with an error, and stays. */
int trib_repo_fold(const char *repo_path, struct trib_fold *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
