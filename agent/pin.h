/* pin.h: the outside witness that this office pins (`config set witness VKEY`): it must have cosigned what the hub shows here (D7.5).
 *
 * The hub puts into its down commits what the witness cosigned last, with the proof that the commit's own checkpoint continues it. A cosignature that does not
 * verify, or of another log, is refused with its commit. None, or an old one, refuses nothing: a dead witness must not stop an office's nights; after 36
 * hours it is an alarm. So is a checkpoint taken here that the witness has not come past for so long: the hub could else keep it before the fork for ever.
 *
 * File `witness` of the state folder, kv: `format tributary-pin-1 / key VKEY / origin O / size N / root HEX64 / time TIME|- / open N / since TIME|-`;
 * `witness.note` is the checkpoint of that time with its cosignature, as evidence. */
#ifndef TRIB_AGENT_PIN_H
#define TRIB_AGENT_PIN_H

#include "agent/receipts.h"
#include "core/trust/cosign.h"

struct trib_pin {
	bool on;
	struct trib_vkey key;
	int64_t pinned; /* when it was set */
	char origin[TRIB_TITLE_MAX + 32];
	uint64_t size; /* newest cosignature taken here */
	uint8_t root[TRIB_SHA256_LEN];
	int64_t time;  /* 0: none yet */
	uint64_t open; /* leaves of the oldest checkpoint taken here that no cosignature has covered; 0: none */
	int64_t since; /* when it was taken */
};
/* What is pinned and how it stands; *ret is zero when nothing is. */
int trib_pin_load(struct trib_state *s, struct trib_pin *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Judges the blob `witnessed` of a down commit whose checkpoint is *cp under j->origin; fills j's cosigned fields. TRIB_E_SIGNATURE, TRIB_E_VERIFY. */
int trib_pin_judge(struct trib_state *s, const struct trib_commit *c, const struct trib_checkpoint *cp, struct trib_down_judged *j, struct trib_err *err) TRIB_MUST_CHECK;
/* Keeps what was judged. Idempotent. */
int trib_pin_keep(struct trib_state *s, const struct trib_down_judged *j, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;
/* TRIB_E_VERIFY with the alarm when the witness's word is too old at `now`. */
int trib_pin_check(struct trib_state *s, int64_t now, struct trib_err *err) TRIB_MUST_CHECK;

#endif
