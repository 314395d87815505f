/* enrol_impl.h: what enrolment and renewal share. Not for others. */
#ifndef TRIB_AGENT_ENROL_IMPL_H
#define TRIB_AGENT_ENROL_IMPL_H

#include "agent/link.h"
#include "core/format/enrol.h"

/* An answer that is not 200: the hub's own sentence, in one line. Always -1. */
int trib_enrol_refused(unsigned status, struct trib_buf *answer, struct trib_err *err);
/* A certificate that the hub has just made is good now, whatever this computer's clock says: TRIB_E_CLOCK. */
int trib_enrol_in_time(const struct trib_cert *made, struct trib_err *err) TRIB_MUST_CHECK;

#endif
