/* tips.h: where each history stands in a city file, read and written once a batch and not once a commit; and its repository, opened once.
 *
 * A batch takes the states it needs, moves them in memory, and writes those that moved before its transaction commits; a batch that fails drops them. */
#ifndef TRIB_HUB_TIPS_H
#define TRIB_HUB_TIPS_H

#include "core/replay/judge.h"
#include "core/store/db.h"

#define TRIB_TIPS_MAX 256 /* in a batch */

struct trib_city_tip {
	char node[TRIB_NODE_MAX + 1];
	struct trib_tip tip;    /* of the last commit judged */
	char stopped[16];       /* "": goes on; else why not */
	bool moved, merged;     /* since it was read */
	struct trib_repo *repo; /* its history, once it was opened; NULL */
};
struct trib_tips { struct trib_city_tip *all[TRIB_TIPS_MAX]; size_t n; }; /* zeroed: none */

/* *ret stays with *t. A history that the file does not know yet has an empty tip. */
int trib_tips_get(struct trib_tips *t, sqlite3 *db, const char *node, struct trib_city_tip **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Writes what moved, with the digest that the last merged commit signed; then drops all. */
int trib_tips_flush(struct trib_tips *t, sqlite3 *db, const char *app, struct trib_err *err) TRIB_MUST_CHECK;
void trib_tips_drop(struct trib_tips *t);

#endif
