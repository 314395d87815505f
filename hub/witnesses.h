/* witnesses.h: the outside witnesses that this hub asks (C2SP tlog-witness), in DIR/witness/ID (ID: 16 hex digits of SHA-256 of the verifier key):
 *
 *   conf       kv: `format tributary-witness-peer-1 / key VKEY / url URL / http yes|no / added TIME`       ca.pem    its authorities, when given
 *   state      kv: `format tributary-witness-state-1 / seen N / asked TIME|- / failing TIME|- / warned TIME|- / why TEXT` (percent-encoded)
 *   cosigned   the newest checkpoint with its cosignature, each verified before it is kept
 *
 * Asking is work for a process of its own, which has no key and no database: it reads DIR/log and writes here. Nobody waits for it: receipts go out at
 * once, and what was cosigned is put beside them when it is there. */
#ifndef TRIB_HUB_WITNESSES_H
#define TRIB_HUB_WITNESSES_H

#include "core/format/witness.h"
#include "core/trust/cosign.h"
#include "hub/hubdb.h"
#include "hub/web.h"

struct trib_witness_peer {
	char id[17];
	struct trib_vkey key;
	char url[TRIB_WEB_URL_MAX];
	bool http; /* plain HTTP to another machine was allowed */
	int64_t added;
	/* state */
	uint64_t seen;                        /* leaves that the witness is thought to have cosigned last */
	int64_t asked, failing, warned;       /* times; 0: never, not, not yet */
	char why[512];
	/* cosigned: 0 and empty when there is nothing, or nothing readable */
	uint64_t size;
	uint8_t root[TRIB_SHA256_LEN];
	int64_t time;
};
/* Those of this hub, rising by id. A damaged folder is an error that names it. */
int trib_witnesses_load(const char *hub_dir, struct trib_witness_peer ret[TRIB_WITNESSES_MAX], size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
/* `p` has key, url, http, added; `ca_file` may be NULL. The same key again changes address and authorities. */
int trib_witnesses_add(const struct trib_hub *hub, const struct trib_witness_peer *p, const char *ca_file, struct trib_err *err) TRIB_MUST_CHECK;
int trib_witnesses_remove(const struct trib_hub *hub, const struct trib_witness_peer *p, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends the cosigned note as it is kept, parsed and with a good cosignature; 1, 0 none, -1 damaged. ret may point into *note. */
int trib_witness_cosigned(const char *hub_dir, const struct trib_witness_peer *p, struct trib_buf *note, struct trib_checkpoint *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Changes when any cosigned note does; mostly 0 only when there is no witness. For the keeper, which looks often. */
int64_t trib_witnesses_stamp(const char *hub_dir);
/* Is there any witness to ask? */
bool trib_witnesses_any(const char *hub_dir);
/* Appends the cosignatures of the very text that *note begins with. */
int trib_witnesses_append(const char *hub_dir, struct trib_buf *note, struct trib_err *err) TRIB_MUST_CHECK;
/* The blob `witnessed` of a down commit whose checkpoint has `size` leaves; empty when nothing fits. */
int trib_witnesses_blob(struct trib_hubdb *h, uint64_t size, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Asks those that are due, or with `force` all, about the published log. *ret_failed: how many have not cosigned it. An error is the hub's own trouble.
 * Shuts the process in first, for good: for a process of its own. */
int trib_witnesses_ask(const char *hub_dir, const char *origin, bool force, size_t *ret_failed, struct trib_err *err) TRIB_MUST_CHECK;
/* The process that `serve` starts every TRIB_WITNESS_ROUND_MS. */
#define TRIB_WITNESS_ROUND_MS 120000
int trib_witnesses_main(const struct trib_hub *h);
/* A time that is still to come says nothing of today: as good as none. */
bool trib_cosig_ahead(int64_t at, int64_t now);
bool trib_cosig_stale(int64_t at, int64_t now);
/* How old a cosignature may be before somebody must know: whoever pins the witness raises the alarm then. */
bool trib_witness_stale(const struct trib_witness_peer *p, int64_t now);

#endif
