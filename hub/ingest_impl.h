/* ingest_impl.h: what the files of ingest share. Not for others. */
#ifndef TRIB_HUB_INGEST_IMPL_H
#define TRIB_HUB_INGEST_IMPL_H

#include "core/format/bundle.h"
#include "hub/ingest.h"

enum ingest_state { OBJ_GOOD, OBJ_MISSING, OBJ_BAD_LOOSE, OBJ_BAD_PACKED };

struct ingest {
	const struct trib_hub *hub;
	struct trib_hubdb db;
	struct trib_repo *repo;
	sqlite3 *own; /* q: objects of the bundle; o: objects of the history */
	char *dir;    /* DIR/quarantine/ingest-PID */
	char *aside;  /* DIR/damaged/TIME/NODE/APP, made when needed */
	struct trib_ingest *in;
	struct trib_bundle head;
	bool down_lost, published;
};

/* Reads the bundle into q. */
int trib_ingest_bundle(struct ingest *g, const char *path, struct trib_err *err) TRIB_MUST_CHECK; /* ingest_bundle.c */
/* Bytes of an object of the bundle: 1, 0, -1. */
int trib_ingest_take(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Puts replacements into the repository. */
/* Packs whose index is damaged go to DIR/damaged before the repository is opened: what was in them counts as missing. */
int trib_ingest_set_aside(struct ingest *g, const char *repo, struct trib_err *err) TRIB_MUST_CHECK;
int trib_ingest_replace(struct ingest *g, struct trib_err *err) TRIB_MUST_CHECK; /* ingest_replace.c */
/* Path of an object's loose file; malloc'd. */
char *trib_ingest_loose(const struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN]) TRIB_MUST_CHECK;

#endif
