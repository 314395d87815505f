/* outbox_impl.h: making one signed commit on top of a running tip. Shared by outbox.c and resign.c; not for others. */
#ifndef TRIB_OUTBOX_IMPL_H
#define TRIB_OUTBOX_IMPL_H

#include "agent/outbox.h"

/* The commits being made: `tip` is a copy that advances with each judged one; nothing outside of the object store changes. */
struct trib_maker {
	struct trib_state *s;
	struct trib_tip tip;
	struct trib_buf signer; /* signer.pem of every commit made */
	int64_t now;            /* signing time */
};
int trib_maker_init(struct trib_maker *k, struct trib_state *s, const struct trib_tip *from, struct trib_err *err) TRIB_MUST_CHECK;
void trib_maker_release(struct trib_maker *k);
static inline void trib_maker_cleanup(struct trib_maker *k) { trib_maker_release(k); }

/* One commit to make. The manifest holds what belongs to the content (kind, part, parts, captured_at, checkpoint, counts, lines, digest, lengths);
 * identity, seq, prev and blobs are filled in by trib_maker_write. */
struct trib_draft {
	struct trib_manifest m;
	struct trib_span schema, gz, next; /* gz, next: n == 0 = none */
	const char *text;                  /* of the message, "" = none */
	const char *idle;                  /* the subject's words when no row changes */
};
/* Writes blobs, tree and signed commit, then judges it as everybody else will: k->tip advances. */
int trib_maker_write(struct trib_maker *k, struct trib_draft *d, struct trib_err *err) TRIB_MUST_CHECK;
/* The commit point, then roll forward: ref, baseline, tip, own. `d` is taken over. Updates s->tip. */
int trib_maker_finish(struct trib_maker *k, struct trib_delta *d, struct trib_err *err) TRIB_MUST_CHECK;

#endif
