/* ingest_impl.h: what the files of ingest share. Not for others. */
#ifndef TRIB_HUB_INGEST_IMPL_H
#define TRIB_HUB_INGEST_IMPL_H

#include "core/format/bundle.h"
#include "hub/ingest.h"

enum ingest_state { OBJ_GOOD, OBJ_MISSING, OBJ_BAD_LOOSE, OBJ_BAD_PACKED };

/* Of a commit of the hub's own chain; last: the newest leaf that the chain up to it has delivered. */
struct ingest_down_end { uint8_t manifest[TRIB_SHA256_LEN]; uint64_t seq, size, last; };

struct ingest {
	const struct trib_hub *hub;
	struct trib_hubdb db;
	struct trib_repo *repo;
	sqlite3 *own; /* q: objects of the bundle; o: objects of the history */
	char *dir;    /* DIR/quarantine/ingest-PID */
	char *aside;  /* DIR/damaged/TIME/NODE/APP, made when needed */
	struct trib_ingest *in;
	struct trib_bundle head;
	bool published;
	/* The hub's own chain: where it ends by hub.db; the end that the bundle names, when that is whole and another, or when ours cannot be read. */
	bool has_down, down_lost, down_offered;
	uint8_t down[TRIB_OID_LEN], offered[TRIB_OID_LEN];
	struct ingest_down_end end;
};

/* A commit, its tree, its blobs, looked at and noted in o; *ret_parent for chains whose commits nobody lists. seq 0: of the hub's own chain. */
int trib_ingest_commit(struct ingest *g, uint64_t seq, const uint8_t oid[TRIB_OID_LEN], bool *ret_has_parent, uint8_t ret_parent[TRIB_OID_LEN],
		       struct trib_err *err) TRIB_MUST_CHECK;
/* Bytes that the repository or the bundle has: 1, 0, -1. Nothing is noted. */
int trib_ingest_read(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Whether it was looked at: 1, 2 when it is lost, 0, -1. */
int trib_ingest_seen(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err) TRIB_MUST_CHECK;

/* The hub's own chain (ingest_down.c): looks at it; then, with all replacements in place, lets it go on from what the office has when it must. */
int trib_ingest_down_look(struct ingest *g, struct trib_err *err) TRIB_MUST_CHECK;
int trib_ingest_down_take(struct ingest *g, struct trib_err *err) TRIB_MUST_CHECK;

/* Reads the bundle into q. */
int trib_ingest_bundle(struct ingest *g, const char *path, struct trib_err *err) TRIB_MUST_CHECK; /* ingest_bundle.c */
/* Bytes of an object of the bundle: 1, 0, -1. */
int trib_ingest_take(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Packs whose index is damaged go to DIR/damaged before the repository is opened: what was in them counts as missing. */
int trib_ingest_set_aside(struct ingest *g, const char *repo, struct trib_err *err) TRIB_MUST_CHECK;
/* Puts replacements into the repository. */
int trib_ingest_replace(struct ingest *g, struct trib_err *err) TRIB_MUST_CHECK; /* ingest_replace.c */
/* Path of an object's loose file; malloc'd. */
char *trib_ingest_loose(const struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN]) TRIB_MUST_CHECK;

#endif
