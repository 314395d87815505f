/* survey.h: what of a database's rows will go into a bag or be left out, known before the first capture (`init --dry-run`).
 *
 * Counts are those that the first capture finds, except rows whose keys become one only in UTF-8 ("key-collision"). Only the sizes of values are asked for. A blob
 * is never read; a text is, one at a time, when it is no longer than a row may be. Tables of which the schema tells all are not read. A database in
 * rollback mode is not held: between two looks of PART_MS its writers have their turn, and then counts may be those of two moments. */
#ifndef TRIB_CAPTURE_SURVEY_H
#define TRIB_CAPTURE_SURVEY_H

#include "core/store/schema.h"

#define TRIB_SURVEY_NAMED 5 /* rows too large that are named, of one table */

struct trib_survey_table {
	uint64_t null_keys;  /* rows of a keyed table that go into its bag */
	uint64_t too_large;  /* "row-too-large" */
	uint64_t no_text;    /* "text-not-convertible" */
	char *large[TRIB_SURVEY_NAMED]; size_t nlarge; /* `code = 'D1', n = 2`, `rowid = 7`, or `#12`, counted as they lie in the file; values are cut */
};
struct trib_survey { struct trib_survey_table *tables; size_t n; }; /* in the order of the schema's tables */
void trib_survey_release(struct trib_survey *s);
static inline void trib_survey_cleanup(struct trib_survey *s) { trib_survey_release(s); }

/* As trib_capture_inspect, and its rows (`ret` NULL: without them). TRIB_E_LIMIT as a capture refuses: rows that give many times the size of the file. */
int trib_capture_survey(const char *db_path, struct trib_schema *ret_schema, struct trib_survey *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same of a database in memory with that schema. */
int trib_survey_memory(sqlite3 *db, const struct trib_schema *s, struct trib_survey *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
