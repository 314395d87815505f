/* materialise.h: one node's mirrors become an ordinary database file with the schema of a commit (D12.1). Internal to core/replay. */
#ifndef TRIB_MATERIALISE_H
#define TRIB_MATERIALISE_H

#include "core/replay/replay.h"

struct trib_whole;

struct trib_material {
	struct trib_mirror *mirror;             /* holds the rows */
	const char *node, *app;
	const struct trib_manifest *manifest;   /* what the file must come to */
	const struct trib_schematext *schema;
	const uint8_t *salt;
	const char *table;                      /* folded; NULL: all */
	const struct trib_material *other;      /* the private half of the same file (its own mirror, manifest, schema and salt); NULL: none */
	struct trib_buf *stand_ins;             /* gets the names of collations that only the application has; NULL: not wanted */
	struct trib_buf *unmet;                 /* gets triggers and views that name a table left out; NULL: not wanted */
	bool secret;                            /* its values are not for messages */
	const struct trib_whole *whole;         /* what the statements make (halves.h) */
};

/* Whether a table of the schema is wanted. */
bool trib_material_wants(const struct trib_material *m, const char *name);
/* Creates the file at `path` (must not exist), fills it, proves it and closes it, fsynced. *ret_lanes receives what was measured. On failure a partial file may
 * be left at `path`. */
int trib_materialise(const struct trib_material *m, const char *path, struct trib_lanes *ret_lanes, struct trib_err *err) TRIB_MUST_CHECK;
/* The proof alone: lanes of the file at `path` equal the manifest's, integrity_check is ok, the schema is the commit's. Names table and row. Reads through
 * two connections of its own, at the same time. */
int trib_material_prove(const struct trib_material *m, const char *path, struct trib_lanes *ret_lanes, struct trib_err *err) TRIB_MUST_CHECK;

/* Adds to `ret` a line for each trigger and view of the file that names a virtual table, which no history holds (struct trib_restored). */
int trib_material_unmet(const struct trib_material *m, sqlite3 *db, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
