/* clocks.h: is the computer's clock right, as far as this folder can know?
 *
 * Its certificates were made at the city's time, and that is past; a commit is made before its receipt. (A receipt alone proves no clock to be behind: after a hub's own
 * clock was ahead, its log stands at that time until it has come.) What this computer wrote itself (commits, the last run) has its clock of then, which may have been the
 * wrong one. Nothing that is captured or sent depends on the answer: order and receipts have the city's time (D7.5). */
#ifndef TRIB_AGENT_CLOCKS_H
#define TRIB_AGENT_CLOCKS_H

#include "agent/state.h"

/* TRIB_E_CLOCK with a sentence that says which times contradict each other and what to do; keys are loaded. Cost: the commits without a receipt. */
int trib_clocks_check(const struct trib_state *s, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;
/* Was the last run at a time that is still to come? 0: no. */
int64_t trib_clocks_ahead(const struct trib_state *s, int64_t now);

#endif
