/* progress.h: one line of progress on a terminal, nothing on a pipe. Goes to stderr. */
#ifndef TRIB_PROGRESS_H
#define TRIB_PROGRESS_H

#include "core/base/base.h"

struct trib_progress {
	const char *label; /* borrowed, already translated */
	int64_t last_ms;
	bool on;
	bool shown;
};

/* `quiet` switches it off even on a terminal. */
void trib_progress_init(struct trib_progress *p, const char *label, bool quiet);
/* Draws at most ten times a second. total 0 = unknown. */
void trib_progress_step(struct trib_progress *p, uint64_t done, uint64_t total);
/* Clears the line. */
void trib_progress_done(struct trib_progress *p);

#endif
