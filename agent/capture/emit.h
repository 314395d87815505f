/* emit.h: gathered rows written as canonical changesets cut into parts; internal to agent/capture. */
#ifndef TRIB_CAPTURE_EMIT_H
#define TRIB_CAPTURE_EMIT_H

#include "agent/capture/capture.h"
#include "agent/capture/store.h"

struct trib_emit { /* where changes go; zero-initialise, set ret */
	struct trib_capture *ret;
	struct trib_span schema;   /* schema.sql of the parts to come */
	bool before;               /* the old state's */
	struct trib_part *cur;     /* part being filled, NULL before the first change */
	size_t gz, gz_at;          /* estimated compressed bytes of cur, and up to where */
};
/* What the header of a table says. */
struct trib_emit_table {
	struct trib_span name; /* a bag's with its prefix */
	size_t ncol;           /* a bag's with its count */
	uint8_t pk[TRIB_COLUMNS_MAX + 1];
	bool partial; /* rows that are on both sides may have columns that are not given: the same ones */
};
/* Writes what the store holds as changes of one table. `bag`: the bag rows, else the keyed ones. */
int trib_emit_store(struct trib_emit *e, struct trib_store *s, const struct trib_emit_table *t, bool bag, struct trib_err *err) TRIB_MUST_CHECK;
/* A part without rows (a new schema alone). */
int trib_emit_empty(struct trib_emit *e, struct trib_err *err) TRIB_MUST_CHECK;

#endif
