/* prints.h: knowing cheaply that a table is in a state that it never was in (D4.9); internal to agent/capture.
 *
 * A print is an origin and a sum. The sum adds a keyed 64-bit hash for each row and each cell that is not NULL; a commit carries it on by what its changes
 * take away and bring. The origin is random: a table's first sum starts there from 0. Under one origin, different sums are different states; equal sums
 * prove nothing: then the digest is computed. Prints are kept in digests.db for (table, digest); one that is missing only costs time. */
#ifndef TRIB_CAPTURE_PRINTS_H
#define TRIB_CAPTURE_PRINTS_H

#include "agent/capture/capture.h"

struct trib_printer { /* zero-initialise but for seed and schema */
	uint64_t seed;
	const struct trib_schematext *schema; /* of the changes to come */
	const uint8_t *header;                /* where the current table's name stands */
	uint64_t cols[TRIB_COLUMNS_MAX + 1];  /* hashes of its column names */
};
uint64_t trib_print_seed(const struct trib_state *s);
/* Adds to *sum what a change does to it. */
int trib_print_change(struct trib_printer *p, const struct trib_change *ch, uint64_t *sum, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_print { uint64_t origin, sum; };
/* The print of a table in the state with this digest; *ret_known false: none is kept. */
int trib_print_find(sqlite3 *db, const char *table, const uint8_t digest[TRIB_SHA256_LEN], struct trib_print *ret, bool *ret_known, struct trib_err *err) TRIB_MUST_CHECK;
/* After the commit of `c`: keeps the prints of its tables under their digests at s->tip. A failure keeps nothing. */
void trib_prints_learn(const struct trib_state *s, const struct trib_capture *c);

#endif
