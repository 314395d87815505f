/* says.h: what a file of a state folder says, as one hash: equal hashes, equal answers to everybody who asks. The rule by which a change of bytes is harmless. */
#ifndef TRIB_TEST_SAYS_H
#define TRIB_TEST_SAYS_H

#include "core/base/err.h"
#include "core/trust/hash.h"

/* By the kind of file:
 *   a database    its schema, every row of every table, its version numbers, and that SQLite's own check finds nothing wrong with its pages and indexes; but
 *                 for the marks that are for screens only (says.c lists them)
 *   a repository  of the one that the file lies in: HEAD, every ref, and every object that they lead to, as libgit2 reads them
 *   certificates  the certificates, not the text around their base64
 *   keys          the key, not the text around its base64, nor the version numbers that OpenSSL does not ask for
 *   hub.conf, audited, node   all lines but those that name the hub's address, the time of the last audit and the sum of what it kept
 *                 (which --since alone asks for: tests/attack/hub-edits-kept-audit.t), and of an office its name, database and hub,
 *                 the policy that it knows (by which one a commit was judged stands in the log) and the epoch of the log (compared when the hub is asked: tests/e2e/check.t)
 *   all others    the bytes
 * -1: it says nothing, which is told. */
int says(const char *path, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;

/* What the store (core/store) answers of the repository that a file lies in, whatever the bytes are: how opening ends, where refs point, the chains from there, and each
 * object that was there at first, under every limit that one is read with; in the very words of an error. Two states of a file that it answers alike are one to whoever reads through it. */
#define STORE_OBJECTS_MAX 512
struct store_list { char *dir; struct { uint8_t oid[20]; int type; } objects[STORE_OBJECTS_MAX]; size_t n; };
/* 1 the file lies in a repository, whose objects are listed; 0 it does not, -1. Release with store_list_release. */
int store_list(const char *path, struct store_list *ret, struct trib_err *err) TRIB_MUST_CHECK;
void store_list_release(struct store_list *l);
void store_answers(const struct store_list *l, uint8_t ret[TRIB_SHA256_LEN]);

#endif
