/* changeset.h: the bounded reader and the writer of SQLite session changesets (F2, F3).
 *
 * Peers' bytes never reach SQLite before this reader has walked them to the end. Both sides are pure:
 * no I/O, no clock, no recursion; memory is the caller's buffer plus a fixed struct. The reader
 * accepts only the canonical form of F3, so one set of changes has exactly one encoding. A record's
 * encoded bytes may be TRIB_ROW_MAX, its columns TRIB_COLUMNS_MAX (a bag's count included). A real that
 * is no number is refused: SQLite has none and would store NULL. */
#ifndef TRIB_CHANGESET_H
#define TRIB_CHANGESET_H

#include "core/base/buf.h"
#include "core/base/limits.h"

enum trib_type {
	TRIB_UNDEF = 0, /* "not given", only in update records */
	TRIB_INT = 1,
	TRIB_REAL = 2,
	TRIB_TEXT = 3,
	TRIB_BLOB = 4,
	TRIB_NULL = 5,
};

/* One SQLite value. Text and blob bytes are borrowed. */
struct trib_value {
	enum trib_type type;
	union {
		int64_t i;
		double r;
	};
	struct trib_span s; /* text, blob */
};

enum trib_op { TRIB_DELETE = 9, TRIB_INSERT = 18, TRIB_UPDATE = 23 };

/* A table header. name and pk are borrowed from the changeset's bytes. */
struct trib_cs_table {
	struct trib_span name; /* as spelled, without NUL; "sqlite_bag_X" for a bag */
	size_t ncol;
	const uint8_t *pk;     /* ncol bytes: 0, or the 1-based place in the key (all 1 in a bag) */
	size_t npk;
	bool bag;
};

/* One change. `old`/`new` have table->ncol values; `new` is unset for deletes, `old` for inserts. */
struct trib_change {
	enum trib_op op;
	const struct trib_cs_table *table;
	const struct trib_value *old;
	const struct trib_value *new;
	struct trib_span key; /* canonical key (F2), borrowed until the next call */
};

struct trib_cs_reader; /* opaque */

/* `bytes` must outlive the reader. NULL out of memory. */
struct trib_cs_reader *trib_cs_reader_new(struct trib_span bytes);
void trib_cs_reader_free(struct trib_cs_reader *r);
static inline void trib_cs_reader_cleanup(struct trib_cs_reader **r) { trib_cs_reader_free(*r); }
/* The next change: 1 and *ret filled (valid until the next call), 0 at the end, -1 with TRIB_E_FORMAT or
 * TRIB_E_LIMIT naming the offset. After an error every call fails again. */
int trib_cs_next(struct trib_cs_reader *r, struct trib_change *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Walks all of `bytes`; 0 when canonical. *ret_changes may be NULL. Rejects empty input. */
int trib_cs_check(struct trib_span bytes, uint64_t *ret_changes, struct trib_err *err) TRIB_MUST_CHECK;

/* Writer. Appends to the caller's buffer; the caller gives tables and changes in F3's order, and
 * trib_cs_check is the proof. Values of records are arrays of ncol. */
void trib_cs_put_table(struct trib_buf *b, struct trib_span name, size_t ncol, const uint8_t *pk);
void trib_cs_put_delete(struct trib_buf *b, size_t ncol, const struct trib_value *old);
void trib_cs_put_insert(struct trib_buf *b, size_t ncol, const struct trib_value *new_row);
/* A delete or an insert whose values are encoded already (F2), ncol of them. */
void trib_cs_put_encoded(struct trib_buf *b, enum trib_op op, struct trib_span row);
/* Writes the minimal update: key and differing columns. Returns false (and writes nothing) when no
 * non-key column differs. */
bool trib_cs_put_update(struct trib_buf *b, size_t ncol, const uint8_t *pk, const struct trib_value *old,
			const struct trib_value *new_row);

/* Equality by storage class and bytes (D4.4): reals by bit pattern, so -0.0 != 0.0. */
bool trib_value_eq(const struct trib_value *a, const struct trib_value *b);
/* Appends one encoded value (F2). */
void trib_value_put(struct trib_buf *b, const struct trib_value *v);
/* Takes one value; type 0 is allowed only when `undef_ok`. */
int trib_value_take(struct trib_reader *r, bool undef_ok, struct trib_value *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_varint_put(struct trib_buf *b, uint64_t v);
/* Appends the canonical key of a row: key columns in the order of their pk byte (column order where equal). */
void trib_key_put(struct trib_buf *b, size_t ncol, const uint8_t *pk, const struct trib_value *row);

/* True when the folded name begins with "sqlite_bag_". */
bool trib_is_bag(struct trib_span table_name);
#define TRIB_BAG_PREFIX "sqlite_bag_"
#define TRIB_BAG_COUNT "_count"

#endif
