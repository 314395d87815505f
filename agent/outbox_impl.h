/* outbox_impl.h: making one signed commit on top of a running tip. Shared by outbox.c, resign.c and squash.c; not for others. */
#ifndef TRIB_OUTBOX_IMPL_H
#define TRIB_OUTBOX_IMPL_H

#include "agent/outbox.h"

/* The commits being made: `tip` is a copy that advances with each judged one; nothing outside of the object store changes. */
struct trib_maker {
	struct trib_state *s;
	struct trib_tip tip;
	struct trib_buf signer; /* signer.pem of every commit made */
	int64_t now;            /* signing time */
	int64_t captured_at;    /* of what trib_maker_parts makes; now, unless set */
	const char *idle;       /* the subject's words there when no row changes */
	bool private;           /* of private.git: self-signed, of no city */
	struct trib_repo *repo;
	const struct trib_key *key;
	const struct trib_cert *cert;
	const uint8_t *salt;
	enum trib_kind kind;    /* of trib_maker_parts: change, or reset */
};
/* The private half's; makes private.git when there is none. */
int trib_maker_init_private(struct trib_maker *k, struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
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
/* The same for both halves under one commit point. `p` NULL, or without a commit made: the private half stays. */
int trib_maker_finish_both(struct trib_maker *k, struct trib_maker *p, struct trib_delta *d, struct trib_err *err) TRIB_MUST_CHECK;
/* The private parts of a capture, as commits that go with the public one #public_seq. */
int trib_maker_hidden(struct trib_maker *p, const struct trib_capture *c, uint64_t public_seq, struct trib_committed *done, struct trib_err *err) TRIB_MUST_CHECK;
/* The public parts. */
int trib_maker_parts(struct trib_maker *k, const struct trib_capture *c, const char *text, struct trib_committed *done, struct trib_err *err) TRIB_MUST_CHECK;

#endif
