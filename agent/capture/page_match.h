/* page_match.h: the differing rows of one table, from the pages that differ; internal to agent/capture. */
#ifndef TRIB_CAPTURE_PAGE_MATCH_H
#define TRIB_CAPTURE_PAGE_MATCH_H

#include "agent/capture/compare.h"
#include "agent/capture/page_rows.h"
#include "agent/capture/page_walk.h"

/* One table in both states, its CREATE text the same. */
struct trib_pair {
	const struct trib_table *old, *new;
	struct trib_layout layout;
	struct trib_pglist pages[2];
	const char *refused;        /* why its rows are read by the full engine, or NULL */
	bool looked;                /* its differing rows were seen once: */
	bool keyed, bag;            /* some belong to the keyed table, some to the bag */
};

/* Puts the differing rows of `part`. A row that is left out sets pair->refused. TRIB_E_SCHEMA, TRIB_E_LIMIT: the pages are not what they must be. */
int trib_pair_match(struct trib_pages *p, struct trib_pair *pair, enum trib_rows_part part, struct trib_gather *g, struct trib_err *err) TRIB_MUST_CHECK;

#endif
