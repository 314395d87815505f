/* measure.h: lanes of many rows, by two threads. Internal to core/replay.
 *
 * The state digest is a sum, so rows may be added in any order by anybody: full batches go to one helper thread when it is idle, else the
 * caller adds them itself. The thread starts with the first full batch; where none can be started the caller does everything. */
#ifndef TRIB_MEASURE_H
#define TRIB_MEASURE_H

#include "core/trust/digest.h"

struct trib_measure;

/* For one application under one salt; *ret is freed by trib_measure_free. */
int trib_measure_new(const uint8_t salt[TRIB_SALT_LEN], const char *app, struct trib_measure **ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_measure_free(struct trib_measure *m);
static inline void trib_measure_cleanup(struct trib_measure **m) { trib_measure_free(*m); }
/* Adds a row; row NULL only names the table, so that it appears even when empty. Nothing is borrowed afterwards. */
int trib_measure_row(struct trib_measure *m, const char *folded_table, const struct trib_digest_cols *cols, const struct trib_value *row,
		     struct trib_err *err) TRIB_MUST_CHECK;
/* The rows that follow may have other columns, though the table has the same name. */
int trib_measure_turn(struct trib_measure *m, struct trib_err *err) TRIB_MUST_CHECK;
/* Waits for the helper and hands the lanes over. */
int trib_measure_end(struct trib_measure *m, struct trib_lanes *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
