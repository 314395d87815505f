/* measure.h: what a first capture of a database will take, measured on the database itself: sizes, and a timed sample of its pages. */
#ifndef TRIB_CAPTURE_MEASURE_H
#define TRIB_CAPTURE_MEASURE_H

#include "core/store/db.h"

struct trib_measure {
	uint64_t bytes;            /* of the database, what is still in its -wal included */
	uint64_t page_size, pages;
	uint64_t sampled;          /* bytes of the sample: all of a small database */
	uint64_t sample_us;        /* to read it and to do with it what a capture does with each row */
	uint64_t history_bytes;    /* what the first commit will take, by how far the sample was compressed */
	uint64_t seconds;          /* what the first commit will take; at least 1 */
};
/* Reads at most TRIB_MEASURE_BYTES, in pieces spread over the file, holding no lock meanwhile. Errors as those of trib_capture_inspect. */
#define TRIB_MEASURE_BYTES (4u * 1024 * 1024)
int trib_capture_measure(const char *db_path, struct trib_measure *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same of a database in memory. */
int trib_measure_memory(sqlite3 *db, struct trib_measure *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
