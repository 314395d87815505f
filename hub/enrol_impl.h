/* enrol_impl.h: what the files of the enrolment process share. Not for others. */
#ifndef TRIB_HUB_ENROL_IMPL_H
#define TRIB_HUB_ENROL_IMPL_H

#include "core/format/enrol.h"
#include "hub/enrol.h"
#include "hub/ipc.h"

struct enroller {
	const struct trib_hub *hub;
	sqlite3 *db;
	struct trib_key *issuing_key;
	uint8_t log_pub[32];
	int keeper_fd;
};

/* A certificate of NODE/APP for the key of a request. */
int trib_enroller_leaf(struct enroller *e, const char *node, const char *app, const char *name, struct trib_span csr_pem, enum trib_cert_use use, int64_t now,
		       struct trib_buf *ret_pem, struct trib_cert_id *ret_id, struct trib_err *err) TRIB_MUST_CHECK;
int trib_enroller_identity(struct trib_span pem, struct trib_cert_id *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends the chain of what is issued now: issuing, root. */
int trib_enroller_chain(struct enroller *e, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The keeper writes certificates into hub.db and the log; told twice, it changes nothing. */
int trib_enroller_tell(struct enroller *e, const struct trib_ipc_enrolled *en, struct trib_err *err) TRIB_MUST_CHECK;

/* POST /renew, whole bodies (enrol_renew.c): a TLS certificate for the same key; a certificate for a new signing key. */
int trib_enroller_renew(struct enroller *e, struct trib_span body, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_enroller_rotate(struct enroller *e, struct trib_span body, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
