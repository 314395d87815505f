/* sound.h: is the application's file whole, and does reading it stay within bounds? Internal to agent/capture.
 *
 * A crafted file can hold the same pages for many rows, so that reading it gives any number of bytes; a sound one gives each page once. Only the default
 * values of added columns give more than the file holds. */
#ifndef TRIB_CAPTURE_SOUND_H
#define TRIB_CAPTURE_SOUND_H

#include "core/store/db.h"

/* The one word for a damaged file, with what shows it: TRIB_E_SCHEMA. */
int trib_damaged(struct trib_err *err, struct trib_span what);
/* What SQLite says of the whole file, or of one table with its indexes (then pages that two tables share are not seen). A check that cannot run (for a
 * collation or function of the application's own) says nothing. TRIB_E_SCHEMA: damaged. */
int trib_ask_sqlite(sqlite3 *db, const char *table, struct trib_err *err) TRIB_MUST_CHECK;

/* Bytes of values that one capture has read from one state. */
struct trib_spent {
	sqlite3 *db;     /* asked at `ask_at`; NULL: not asked */
	uint64_t bytes, ask_at, limit;
};
int trib_spent_init(sqlite3 *db, size_t page_size, bool ask, struct trib_spent *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* TRIB_E_SCHEMA: damaged. TRIB_E_LIMIT: sound, and beyond the limit all the same. */
int trib_spend(struct trib_spent *s, uint64_t bytes, struct trib_err *err) TRIB_MUST_CHECK;

#endif
