/* oldreceipts.h: what an office holds of a log that was cut off (F8): receipts files of earlier epochs, as one file. Pure: form only;
 * core/trust/oldlog.h judges. */
#ifndef TRIB_OLDRECEIPTS_H
#define TRIB_OLDRECEIPTS_H

#include "core/format/note.h"

struct trib_old_receipts {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1]; /* who says it */
	bool report;           /* all that the office holds; false: some of it, found elsewhere */
	uint64_t omitted;      /* receipts files that did not fit: the oldest */
	struct trib_span rest; /* files not taken yet */
};
/* Takes all of `file`, every receipts file in it too, or fails (TRIB_E_FORMAT, TRIB_E_LIMIT). Borrows from `file`. */
int trib_old_receipts_parse(struct trib_span file, struct trib_old_receipts *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* 1 and the next receipts file (its frame read), 0 at the end, -1. */
int trib_old_receipts_next(struct trib_old_receipts *o, struct trib_receipts *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Writer: begin, then 1 to TRIB_OLD_FILES_MAX files. */
void trib_old_receipts_begin(struct trib_buf *b, const char *node, const char *app, bool report, uint64_t omitted);
void trib_old_receipts_put(struct trib_buf *b, struct trib_span receipts_file);

#endif
