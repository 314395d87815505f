/* line.h: one worker's socket as the keeper and the enrolment process hold it. Nothing that a worker does or leaves undone makes them wait: reads and
 * writes take what there is, half a message stays here until the rest comes, and a line that is late or hoards memory is dropped by its owner.
 *
 * The messages are those of ipc.h; a worker speaks first and gets one answer before it is heard again. */
#ifndef TRIB_HUB_LINE_H
#define TRIB_HUB_LINE_H

#include "hub/ipc.h"

#define TRIB_LINES_MAX (2 * TRIB_WORKERS_MAX) /* workers, and those just ended whose end has not been read yet */

struct trib_line {
	int fd;
	int64_t pid;   /* the worker behind it, by the supervisor's word */
	struct trib_ipc_head head;
	size_t nhead;  /* bytes of `head` that have come */
	struct trib_buf in, out;
	size_t sent;   /* bytes of `out` that have gone */
	int64_t since; /* monotonic ms when an unfinished message or answer began; 0: none */
};
/* Takes over fd. `max`: bytes of the largest message that this reader understands. */
void trib_line_init(struct trib_line *l, int fd, int64_t pid, size_t max);
void trib_line_release(struct trib_line *l);

/* What to poll for: POLLOUT while an answer is on its way, else POLLIN. */
short trib_line_events(const struct trib_line *l);
/* After poll has reported something. 1 with a whole message in *ret (what it held before is released), 0 nothing whole yet, -1 the line is to be
 * dropped: its end (TRIB_E_NOT_FOUND), or a message that is none. `max` as now wanted, at most that of trib_line_init. */
int trib_line_turn(struct trib_line *l, size_t max, enum trib_ipc_type *ret_type, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Puts an answer (`a`, then `b`) on its way; what the socket does not take at once goes with later turns. */
int trib_line_answer(struct trib_line *l, enum trib_ipc_type type, struct trib_span a, struct trib_span b, struct trib_err *err) TRIB_MUST_CHECK;

/* Monotonic ms when its unfinished business is late: TRIB_IPC_REST_MS after it began. INT64_MAX: there is none. */
int64_t trib_line_due(const struct trib_line *l);
/* Of n lines, the index of one to be dropped: one that is late at `now`, else, when all hold more than TRIB_LINES_MEM together, the one whose business
 * has been open longest. n: none. */
size_t trib_lines_excess(struct trib_line *const *lines, size_t n, int64_t now);

#endif
