/* schematext.h: the schema.sql blob (F4): parser and writer of its comment lines. Pure; the SQL part is
 * returned as bytes and never run here. */
#ifndef TRIB_SCHEMATEXT_H
#define TRIB_SCHEMATEXT_H

#include "core/format/kv.h"
#include "core/base/limits.h"

struct trib_st_column {
	char *name;  /* as spelled */
	unsigned pk; /* 0, or 1-based place in the PRIMARY KEY */
};

struct trib_st_table {
	char *name; /* as spelled, without the bag prefix */
	bool bag;   /* a `bag` line */
	struct trib_st_column *cols;
	size_t ncols;
};

struct trib_schematext {
	char encoding[16];
	uint64_t page_size, auto_vacuum;
	int64_t user_version, application_id;
	struct trib_st_table *tables; /* `table` lines, then `bag` lines, each rising by folded name */
	size_t ntables;
	struct trib_span sql; /* borrowed from the parsed text */
};

void trib_schematext_release(struct trib_schematext *s);
static inline void trib_schematext_cleanup(struct trib_schematext *s) { trib_schematext_release(s); }
/* *ret must be zeroed. Form only: sorted, unique, key places 1..n each once, bounded. */
int trib_schematext_parse(struct trib_span text, struct trib_schematext *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends the whole text, `s->sql` included. */
void trib_schematext_put(struct trib_buf *b, const struct trib_schematext *s);
/* The table or bag that a changeset's table name means (folded comparison, bag prefix understood), or NULL. */
const struct trib_st_table *trib_schematext_find(const struct trib_schematext *s, struct trib_span changeset_name);
/* Adds a table line; returns the new element (columns are added with the next call) or NULL out of memory. */
struct trib_st_table *trib_schematext_add(struct trib_schematext *s, const char *name, bool bag);
int trib_schematext_add_column(struct trib_st_table *t, const char *name, unsigned pk, struct trib_err *err) TRIB_MUST_CHECK;
/* Sorts tables into F4's order. */
void trib_schematext_sort(struct trib_schematext *s);

#endif
