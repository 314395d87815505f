/* enrol.h: enrol.db, shared by the enrolment process and the `node` commands. */
#ifndef TRIB_HUB_ENROL_H
#define TRIB_HUB_ENROL_H

#include "core/store/db.h"
#include "hub/hub.h"

/* Opens (and migrates) DIR/enrol.db. */
int trib_enroldb_open(const struct trib_hub *hub, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
