/* reencode.h: what every changeset that the reader accepts must obey: written again from what was read,
 * it is the same bytes. Used by the fuzz target and by the unit tests. */
#ifndef TRIB_TEST_REENCODE_H
#define TRIB_TEST_REENCODE_H

#include "core/format/changeset.h"

/* 1: accepted and the same bytes again; 0: refused with *err; -1: accepted but different. */
static inline int cs_reencode(struct trib_span in, struct trib_err *err)
{
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(in);
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_CHANGESET_RAW_MAX), key = TRIB_BUF(TRIB_ROW_MAX);
	struct trib_change c;
	const uint8_t *table = NULL;
	int rc;
	if (!r)
		abort();
	while ((rc = trib_cs_next(r, &c, err)) > 0) {
		const struct trib_cs_table *t = c.table;
		if (t->name.p != table)
			trib_cs_put_table(&out, t->name, t->ncol, t->pk);
		table = t->name.p;
		trib_buf_reset(&key);
		trib_key_put(&key, t->ncol, t->pk, c.old ? c.old : c.new);
		if (!trib_span_eq(trib_buf_span(&key), c.key))
			return -1;
		if (c.op == TRIB_DELETE)
			trib_cs_put_delete(&out, t->ncol, c.old);
		else if (c.op == TRIB_INSERT)
			trib_cs_put_insert(&out, t->ncol, c.new);
		else if (!trib_cs_put_update(&out, t->ncol, t->pk, c.old, c.new))
			return -1;
	}
	if (rc < 0) {
		struct trib_err again;
		return err->msg[0] && trib_cs_next(r, &c, &again) < 0 ? 0 : -1;
	}
	return trib_span_eq(trib_buf_span(&out), in) ? 1 : -1;
}

#endif
