/* pktline.h: git's pkt-line framing and the receive-pack / upload-pack requests, bounded. Pure. */
#ifndef TRIB_PKTLINE_H
#define TRIB_PKTLINE_H

#include "core/base/buf.h"
#include "core/base/limits.h"

enum trib_pkt { TRIB_PKT_DATA, TRIB_PKT_FLUSH };

/* Takes one pkt-line: 1 and (*ret_kind, *ret_data without a final LF when it has one), 0 when `in` holds
 * no whole line yet (nothing consumed), -1 TRIB_E_FORMAT. Lengths must be four lower- or upper-case hex digits;
 * 0001-0003 (protocol v2) are refused. */
int trib_pkt_take(struct trib_span *in, enum trib_pkt *ret_kind, struct trib_span *ret_data, struct trib_err *err) TRIB_MUST_CHECK;
void trib_pkt_put(struct trib_buf *b, struct trib_span data);
void trib_pkt_printf(struct trib_buf *b, const char *fmt, ...) TRIB_PRINTF(2, 3);
void trib_pkt_flush(struct trib_buf *b);
/* side-band-64k: wraps `data` into band packets. */
void trib_pkt_band(struct trib_buf *b, int band, struct trib_span data);

struct trib_push_command { uint8_t old_oid[TRIB_OID_LEN], new_oid[TRIB_OID_LEN]; char ref[128]; };
struct trib_push_request {
	struct trib_push_command cmds[TRIB_PUSH_COMMANDS_MAX];
	size_t ncmds;
	bool report_status, side_band_64k;
	size_t head_len; /* bytes before the pack */
};
/* 1 parsed, 0 needs more bytes, -1. Zero commands (git's probe "0000") parse with ncmds == 0. */
int trib_push_request_parse(struct trib_span in, struct trib_push_request *ret, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_fetch_request {
	uint8_t (*wants)[TRIB_OID_LEN]; size_t nwants;
	uint8_t (*haves)[TRIB_OID_LEN]; size_t nhaves;
	bool done, multi_ack_detailed, no_done, side_band_64k, ofs_delta, no_progress;
};
void trib_fetch_request_release(struct trib_fetch_request *r);
/* The whole body of one stateless POST. */
int trib_fetch_request_parse(struct trib_span body, struct trib_fetch_request *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
