/* record.h: small files of the state folder that tell `status` and `sync --if-due` what happened last. They are caches: a lost or
 * damaged one only makes `status` know less. */
#ifndef TRIB_AGENT_RECORD_H
#define TRIB_AGENT_RECORD_H

#include "agent/capture/capture.h"

#define TRIB_RECORD_BRAKED_MAX 32 /* named; how many there are is counted */
#define TRIB_RECORD_REASONS_MAX 8

struct trib_last_capture {
	int64_t at;
	char engine[32], outcome[32]; /* committed, unchanged, braked, loss-accepted */
	char snapshot[32];            /* wal-raw, wal-list, optimistic, locked, backup, skipped */
	struct trib_known known;      /* what the live file was known by; set only when the baseline is that state */
	uint8_t mark_tip[TRIB_OID_LEN]; /* the commit that stood then */
	uint64_t pages_read, pages_changed, rows, ms, left_out;
	uint64_t full_tables;         /* tables for which the full engine stepped in */
	uint64_t runs;                /* captures by the page engine, ever */
	struct trib_stepped { char reason[32]; uint64_t times; int64_t at; } stepped[TRIB_RECORD_REASONS_MAX]; /* in how many of them, and when last */
	size_t nstepped;
	struct { char table[TRIB_NAME_MAX + 16]; uint64_t lost; } braked[TRIB_RECORD_BRAKED_MAX];
	size_t nbraked;
	uint64_t braked_tables;       /* nbraked of them are named above */
};
/* Call it when the outcome stands: after the commit. `outcome` tells whether the baseline is now the captured state. */
int trib_record_capture(const struct trib_state *s, const struct trib_capture *c, const char *outcome, struct trib_err *err) TRIB_MUST_CHECK;
/* Why the full engine stepped in, from the name of an engine as captures have it ("page+full:schema"); NULL: it did not. */
const char *trib_record_reason(const char *engine);
/* False when there is none that can be read. */
bool trib_record_last_capture(const struct trib_state *s, struct trib_last_capture *ret);

/* The marks under which the tip that stands now was captured; NULL when none is known. `l` is the caller's room. */
const struct trib_known *trib_record_known(const struct trib_state *s, struct trib_last_capture *l);

/* What came to nothing, kept until the same succeeds. The message is in the language of the run. */
enum trib_deed {
	TRIB_DEED_CAPTURE,  /* forgotten by trib_record_capture */
	TRIB_DEED_EXCHANGE, /* push and pull, alone or in `sync` */
	TRIB_DEED_RENEWAL,  /* of the connection's certificate, while the old one is still good */
};
struct trib_last_failure { int64_t at; char code[32], message[TRIB_ERR_MSG]; };
void trib_record_failure(const struct trib_state *s, enum trib_deed deed, const struct trib_err *why); /* a note that cannot be made is let be */
void trib_record_success(const struct trib_state *s, enum trib_deed deed);
bool trib_record_last_failure(const struct trib_state *s, enum trib_deed deed, struct trib_last_failure *ret);

/* When the last `sync` went through. */
int trib_record_sync(const struct trib_state *s, int64_t at, struct trib_err *err) TRIB_MUST_CHECK;
int64_t trib_record_last_sync(const struct trib_state *s); /* 0: never */

/* When a timer last called `sync --if-due`, whatever came of it: the only sign that there is one. 0: never. */
int trib_record_timer(const struct trib_state *s, int64_t at, struct trib_err *err) TRIB_MUST_CHECK;
int64_t trib_record_last_timer(const struct trib_state *s);

/* Nights: each office has its own minute between 01:00 and 05:00, so that they do not all call at once (D8.2). */
int64_t trib_slot_before(const struct trib_state *s, int64_t now); /* the last one that has passed */
int64_t trib_slot_after(const struct trib_state *s, int64_t now);
/* Days since 1970 in the city's time zone. */
int64_t trib_local_day(int64_t t);

#endif
