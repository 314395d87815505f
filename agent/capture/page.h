/* page.h: the bounded reader of SQLite's pages (https://www.sqlite.org/fileformat2.html); internal to agent/capture.
 *
 * Pure functions over one page's bytes: no I/O, no allocation, no recursion. Every number in a page is checked before it is used, so a page of a
 * damaged or crafted file gives an error (TRIB_E_SCHEMA) and no other harm. What is returned borrows from the page. A value's bytes are as the file has them. */
#ifndef TRIB_CAPTURE_PAGE_H
#define TRIB_CAPTURE_PAGE_H

#include "core/base/err.h"
#include "core/base/limits.h"
#include "core/base/span.h"
#include "core/format/changeset.h"

#define TRIB_PAGE_MIN 512
#define TRIB_PAGE_MAX 65536
#define TRIB_USABLE_MIN 480
#define TRIB_DEPTH_MAX 20          /* SQLite's own limit: a tree this deep has more rows than a file can hold */
#define TRIB_PAYLOAD_MAX 0x7fffffffu
#define TRIB_FIELDS_MAX 32767      /* SQLite's hard limit of columns */

/* What holds for all pages of a file. */
struct trib_geometry {
	uint32_t page_size, usable; /* usable: without the reserved bytes at a page's end */
	uint32_t page_count;
	uint32_t freelist, nfree;   /* first trunk page, or 0 */
	bool auto_vacuum;           /* the file has pointer-map pages */
	uint8_t encoding;           /* 1 UTF-8, 2 UTF-16le, 3 UTF-16be; 0 while the file is empty */
};
/* Reads the first 100 bytes of page 1. `page_count` is the caller's: the header's field is not believed. */
int trib_geometry_parse(struct trib_span page1, uint32_t page_count, struct trib_geometry *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The pages that belong to no tree by their number: the lock byte's and, with auto_vacuum, the pointer maps. */
uint32_t trib_page_lock(const struct trib_geometry *g);
bool trib_page_is_map(const struct trib_geometry *g, uint32_t pgno);

/* A b-tree page. */
struct trib_page {
	const uint8_t *p;
	const struct trib_geometry *g;
	uint32_t pgno;
	bool leaf, table;  /* table: a rowid tree; else an index or WITHOUT ROWID tree */
	uint32_t head;     /* offset of the page header: 100 on page 1 */
	uint32_t first;    /* offset of the cell pointers */
	uint32_t ncells;
	uint32_t right;    /* last child of an interior page */
};
/* `bytes` are the whole page, g->page_size of them. */
int trib_page_open(struct trib_span bytes, uint32_t pgno, const struct trib_geometry *g, struct trib_page *ret, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_cell {
	uint32_t child;          /* interior pages */
	int64_t rowid;           /* rowid trees */
	uint32_t payload;        /* bytes in all; 0 for cells that have none (interior pages of rowid trees) */
	struct trib_span local;  /* those of them that are in this page */
	uint32_t overflow;       /* page with the rest, or 0 */
	bool has_payload;
};
/* Cell i < page->ncells. Numbers of other pages are checked to be within the file, no more. */
int trib_page_cell(const struct trib_page *page, uint32_t i, struct trib_cell *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Pages that the rest of a payload takes: the length of its chain. */
uint32_t trib_cell_chain(const struct trib_geometry *g, const struct trib_cell *c);

/* A trunk page of the freelist: *ret_next is 0 or the next trunk, *ret_leaves 4 bytes a page. */
int trib_page_trunk(struct trib_span bytes, const struct trib_geometry *g, uint32_t *ret_next, struct trib_span *ret_leaves, struct trib_err *err) TRIB_MUST_CHECK;

/* The fields of one record, in turn. */
struct trib_record {
	struct trib_reader head, body;
	uint32_t fields; /* taken so far */
};
int trib_record_open(struct trib_span payload, struct trib_record *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* 1 and a value as the file has it (a NaN is NULL, as SQLite reads it), 0 after the last one, -1. */
int trib_record_next(struct trib_record *r, struct trib_value *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
