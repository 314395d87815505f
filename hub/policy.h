/* policy.h: the city's policy as it acts: a text that the log names (leaf `policy`), kept in log/named. DIR/policy.conf is where an administrator writes the
 * next one; it acts on nothing before the keeper has read it, tried it and logged it. */
#ifndef TRIB_HUB_POLICY_H
#define TRIB_HUB_POLICY_H

#include "core/store/veil.h"
#include "hub/hubdb.h"

struct trib_policy {
	uint64_t number; /* 0: the log names none, and nothing is private */
	uint8_t sha256[TRIB_SHA256_LEN];
};

/* What the log's last policy leaf says, as meta (policy-number, policy-sha256) repeats it; of a log that has only the one that `init` wrote, that leaf. */
int trib_policy_in_force(struct trib_hubdb *h, struct trib_policy *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Writes the text in force to log/named again when it is not there and policy.conf still has it; the audit names one that nobody has. */
int trib_policy_mend(struct trib_hubdb *h, struct trib_err *err) TRIB_MUST_CHECK;
/* policy.conf, when it is another text: tried, kept and logged, one transaction. 1 logged, 0 as it was (its text is written to log/named again when it is lost there); *ret is
 * what is in force. -1: it is missing, cannot be read or says nothing that makes sense; *ret is untouched, and nobody may be judged by a policy that its administrator
 * did not want any more. */
int trib_policy_take_up(struct trib_hubdb *h, struct trib_policy *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* What the text with this hash makes private, added to `l`; zeros: nothing. The text is proven first. trib_repo_lib_init was called. */
int trib_policy_private(const struct trib_hub *hub, const uint8_t sha256[TRIB_SHA256_LEN], struct trib_private_list *l, struct trib_err *err) TRIB_MUST_CHECK;

#endif
