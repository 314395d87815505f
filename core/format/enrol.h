/* enrol.h: the texts of enrolment (F11): slip, request, answer. Pure; parser and writer are exact inverses. */
#ifndef TRIB_ENROL_H
#define TRIB_ENROL_H

#include "core/format/kv.h"
#include "core/base/clock.h"
#include "core/base/limits.h"

#define TRIB_CODE_LEN 26 /* Crockford base32 of 130 bits */
#define TRIB_URL_MAX 256

struct trib_slip {
	char url[TRIB_URL_MAX + 1];
	uint8_t ca[TRIB_SHA256_LEN]; /* SHA-256 of the root certificate's DER */
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	char code[TRIB_CODE_LEN + 1];
	int64_t expires;
};
int trib_slip_parse(struct trib_span text, struct trib_slip *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_slip_put(struct trib_buf *b, const struct trib_slip *s);
/* 26 base32 digits of 17 random bytes (130 of 136 bits used). */
void trib_code_text(char ret[TRIB_CODE_LEN + 1], const uint8_t random[17]);

struct trib_enrol_request {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	char code[TRIB_CODE_LEN + 1];
	struct trib_span sign_csr, tls_csr; /* PEM, borrowed */
};
int trib_enrol_request_parse(struct trib_span body, struct trib_enrol_request *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_enrol_request_put(struct trib_buf *b, const struct trib_enrol_request *r);

/* What people compare on the telephone before they allow a request: "1a2b 3c4d 5e6f 7081", of the SHA-256 of the signing key's request. */
#define TRIB_REQUEST_SUM 19
void trib_request_sum(char ret[TRIB_REQUEST_SUM + 1], const uint8_t sha256_of_sign_csr[TRIB_SHA256_LEN]);

/* A TLS certificate nearly or already over is made anew for the same key: `format tributary-renew-1 / node / app / tls-csr LEN`, then the request. */
struct trib_renew_request {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	struct trib_span tls_csr; /* PEM, borrowed */
};
bool trib_is_renew_request(struct trib_span body);
int trib_renew_request_parse(struct trib_span body, struct trib_renew_request *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_renew_request_put(struct trib_buf *b, const struct trib_renew_request *r);

/* A certificate for a new signing key (D5.4): `format tributary-rotate-1 / node / app / sign-csr LEN / proof LEN`, then the request of the new key and
 * the signature of the present one over the request's text (core/trust/sign.h). */
struct trib_rotate_request {
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	struct trib_span sign_csr, proof; /* PEM, borrowed */
};
bool trib_is_rotate_request(struct trib_span body);
int trib_rotate_request_parse(struct trib_span body, struct trib_rotate_request *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_rotate_request_put(struct trib_buf *b, const struct trib_rotate_request *r);

/* The answer to both: `format tributary-renewed-1 / tls-cert LEN / chain LEN` or `format tributary-rotated-1 / sign-cert LEN / chain LEN`, then the
 * certificate and the chain as in an enrolment answer. */
struct trib_renew_answer {
	bool rotated;
	struct trib_span cert, chain; /* PEM, borrowed */
};
int trib_renew_answer_parse(struct trib_span body, struct trib_renew_answer *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_renew_answer_put(struct trib_buf *b, const struct trib_renew_answer *a);

struct trib_enrol_answer {
	bool issued; /* false: waiting for approval, all else unset */
	char city[TRIB_TITLE_MAX + 1], name[TRIB_TITLE_MAX + 1];
	uint64_t incarnation;
	char origin[TRIB_TITLE_MAX + 32];
	uint8_t log_key[32];
	uint64_t policy;
	struct trib_span sign_cert, tls_cert, chain, policy_file; /* borrowed */
};
int trib_enrol_answer_parse(struct trib_span body, struct trib_enrol_answer *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_enrol_answer_put(struct trib_buf *b, const struct trib_enrol_answer *a);

#endif
