/* enrol.h: enrol.db, shared by the enrolment process and the `node` commands.
 *
 * Both write it and hub.db. Whoever needs both locks enrol.db first (trib_enroldb_begin), then has hub.db written, which the log is part of, then commits
 * enrol.db: a crash between the two leaves an act in the log that was not done, never one that nobody knows of, and nobody waits for the other in a ring. */
#ifndef TRIB_HUB_ENROL_H
#define TRIB_HUB_ENROL_H

#include "core/format/enrol.h"
#include "core/store/db.h"
#include "hub/hub.h"

/* Opens (and migrates) DIR/enrol.db. */
int trib_enroldb_open(const struct trib_hub *hub, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* To look only; *ret is NULL when there is none. */
int trib_enroldb_open_ro(const struct trib_hub *hub, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_enroldb_begin(sqlite3 *db, struct trib_err *err) TRIB_MUST_CHECK;
int trib_enroldb_commit(sqlite3 *db, struct trib_err *err) TRIB_MUST_CHECK;
void trib_enroldb_rollback(sqlite3 *db);

/* A slip by which a machine may still come in: not void, not answered, and not expired before anybody asked with it. */
struct trib_open_slip {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	uint8_t code[TRIB_SHA256_LEN];      /* SHA-256 of its code, as the log names it */
	int64_t expires, asked_at;          /* 0: nobody has asked */
	char request[TRIB_REQUEST_SUM + 1]; /* the sum of the request; "" */
	bool approved;
};
static inline bool trib_slip_waits(const struct trib_open_slip *s) { return s->asked_at && !s->approved; }
/* Those of one office, or of all (`node` NULL), by office, the oldest first. The caller frees *ret. */
int trib_slips_open(sqlite3 *db, const char *node, const char *app, struct trib_open_slip **ret, size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
/* From here on it brings nobody in. */
int trib_slip_void(sqlite3 *db, const uint8_t code[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;

#endif
