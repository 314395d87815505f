/* oldlog.h: after the hub came back from an old copy: what this office holds of the log that was cut off goes up to the hub, so that it can prove that
 * nothing is missing (D7.6). It is read from the down chains that an epoch left behind (refs/tributary/down-N) and is evidence: the hub judges it by
 * its own signatures. Sent once for each epoch, and again after the next one. */
#ifndef TRIB_AGENT_OLDLOG_H
#define TRIB_AGENT_OLDLOG_H

#include "agent/link.h"

/* Appends the file (F8, core/format/oldreceipts.h). *ret false, nothing appended: this office has seen one epoch only. The newest fit in any case; what
 * does not is counted in it. */
int trib_oldlog_make(struct trib_state *s, struct trib_buf *ret_file, bool *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* DIR/old-receipts, to be carried by hand, unless the hub has it. *ret: it is there to be carried. */
int trib_oldlog_write(struct trib_state *s, bool *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Brings it to the hub when the hub's log has an epoch that it was not brought to yet. TRIB_E_REFUSED with the hub's sentence; TRIB_E_UNREACHABLE: the next run
 * tries again. */
int trib_oldlog_report(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;

#endif
