/* keeper.c: the one process that publishes (D8.4, D8.5): hub.db, refs, the log, the hub's keys.
 *
 * It reads only fixed-size records of what a worker judged. Publication is one transaction in hub.db; packs are in
 * place and durable before it, refs and receipts follow and are redone at start. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/param.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "hub/acts.h"
#include "hub/chain.h"
#include "hub/crl.h"
#include "hub/keeper.h"
#include "hub/line.h"
#include "hub/oldlog.h"
#include "hub/pack_in.h"
#include "hub/recover.h"

#define SIBLING_MS 10000 /* merger and enrolment write their records whole */

#define STRANGER_MSG_MAX (4 * TRIB_KIB) /* HELLO; records of a history are for an office that is known */
#define SLICE_MS 1000
#define DOWN_MAX 64       /* down commits for one history in one go */

struct conn {
	struct trib_line line;
	bool greeted, has_cert; /* the first HELLO binds the connection to its peer */
	uint8_t cert[TRIB_SHA256_LEN];
	bool known;
	uint64_t incarnation;
	enum trib_role role;
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	char person[TRIB_TITLE_MAX + 1]; /* not of an office, whose name may change */
};

struct keeper {
	struct trib_hubdb db;
	struct trib_hub_signer signer;
	uint8_t log_key[32];
	int control_fd, merger_fd, enrol_fd;
	struct conn conns[TRIB_LINES_MAX];
	size_t nconns, turn;
	bool packs_left; /* of a push that failed, something could not be removed from its history */
	struct trib_keeper_refs refs;
	struct trib_keeper_policy policy;
	struct trib_keeper_log log;
	struct trib_keeper_fold fold;
	struct trib_buf in;
};

static int take(const struct trib_buf *in, size_t at, void *ret, size_t n, struct trib_err *err)
{
	size_t end;
	if (trib_add_overflow(at, n, &end) || end > in->len)
		return trib_fail(err, TRIB_E_FORMAT, "a record of %zu bytes is too short", in->len);
	memcpy(ret, in->p + at, n);
	return 0;
}

static struct trib_ipc_result result(const struct trib_err *e, bool ok)
{
	struct trib_ipc_result r = {.code = ok ? TRIB_OK : (int32_t)e->code};
	if (!ok)
		(void)snprintf(r.msg, sizeof(r.msg), "%s", e->msg);
	return r;
}

static int seen(struct keeper *k, const char *node, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(k->db.db, "UPDATE node SET seen_at = ?3 WHERE node = ?1 AND app = ?2 AND coalesce(seen_at, 0) < ?3 - 10", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, trib_now());
	return trib_db_step(k->db.db, st, err) < 0 ? -1 : 0;
}

/* A worker says HELLO first before it reads a byte of HTTP. One that was taken over later could name any certificate (they stand in every
 * history), so the first word counts. */
static int bind_peer(struct conn *c, const struct trib_ipc_hello *hello, struct trib_err *err)
{
	bool has = hello->has_cert != 0;
	if (c->greeted && (c->has_cert != has || memcmp(c->cert, hello->cert_sha256, sizeof(c->cert)) != 0))
		return trib_fail(err, TRIB_E_REFUSED, "a worker speaks for another peer than at first");
	c->greeted = true;
	c->has_cert = has;
	memcpy(c->cert, hello->cert_sha256, sizeof(c->cert));
	return 0;
}

/* Connections besides `c` of the same office or person, with whichever certificates: an office has a new one whenever it asks. One whose worker
 * is gone does not count, though its end has not been read yet. */
static size_t others_of(const struct keeper *k, const struct conn *c, const struct trib_peer *peer)
{
	const char *person = peer->role == TRIB_ROLE_NODE ? "" : peer->name;
	size_t n = 0;
	for (size_t i = 0; i < k->nconns; i++) {
		const struct conn *o = &k->conns[i];
		struct pollfd p = {.fd = o->line.fd};
		bool same = o->role == peer->role && strcmp(o->node, peer->node) == 0 && strcmp(o->app, peer->app) == 0 && strcmp(o->person, person) == 0;
		if (o != c && o->known && same && poll(&p, 1, 0) == 0)
			n++;
	}
	return n;
}

static int on_hello(struct keeper *k, struct conn *c, struct trib_err *err)
{
	struct trib_ipc_hello hello;
	struct trib_ipc_who who = {.role = TRIB_ROLE_NONE};
	struct trib_peer peer;
	memcpy(who.log_key, k->log_key, sizeof(who.log_key));
	if (take(&k->in, 0, &hello, sizeof(hello), err) || bind_peer(c, &hello, err))
		return -1;
	int found = hello.has_cert ? trib_hubdb_peer(&k->db, hello.cert_sha256, &peer, err) : 0;
	if (found < 0)
		return -1;
	int64_t now = trib_now();
	c->known = false;
	trib_keeper_policy_look(&k->db, &k->policy); /* a stranger's too: it may enrol, and is told the policy */
	memcpy(who.policy, k->policy.now.sha256, sizeof(who.policy));
	if (!hello.has_cert) {
		(void)snprintf(who.reason, sizeof(who.reason), "a client certificate is needed; enrol first: tributary-agent enrol");
	} else if (!found) {
		(void)snprintf(who.reason, sizeof(who.reason), "this certificate is not one that this hub issued; enrol first");
	} else if (peer.revoked_at) {
		(void)snprintf(who.reason, sizeof(who.reason), "this certificate was revoked; ask the city for a new one");
	} else if (!peer.current) {
		(void)snprintf(who.reason, sizeof(who.reason), "this machine was replaced by a newer one of the same office");
	} else if (others_of(k, c, &peer) >= TRIB_PEER_CONNS_MAX) {
		who.busy = true;
		(void)snprintf(who.reason, sizeof(who.reason), "this %s has %d connections already; nothing is lost, try again when one has ended",
			       peer.role == TRIB_ROLE_NODE ? "office" : "person", TRIB_PEER_CONNS_MAX);
	} else if (peer.role == TRIB_ROLE_NODE && k->policy.why.code != TRIB_OK) {
		who.busy = true;
		(void)snprintf(who.reason, sizeof(who.reason), "the city's policy file cannot be read just now; nothing is lost, sync again when the city has mended it");
	} else {
		who.known = c->known = true;
		who.expired = peer.not_after < now;
		who.role = c->role = peer.role;
		who.incarnation = c->incarnation = peer.incarnation;
		memcpy(who.node, peer.node, sizeof(who.node));
		memcpy(who.app, peer.app, sizeof(who.app));
		memcpy(who.name, peer.name, sizeof(who.name));
		memcpy(c->node, peer.node, sizeof(c->node));
		memcpy(c->app, peer.app, sizeof(c->app));
		(void)snprintf(c->person, sizeof(c->person), "%s", peer.role == TRIB_ROLE_NODE ? "" : peer.name);
		if (peer.role == TRIB_ROLE_NODE && seen(k, peer.node, peer.app, err))
			return -1;
	}
	return trib_line_answer(&c->line, TRIB_IPC_WHO, trib_span(&who, sizeof(who)), (struct trib_span){0}, err);
}

/* A worker may only speak of the history that its peer's certificate names. */
static int own_history(const struct conn *c, const char *node, size_t node_size, const char *app, size_t app_size, struct trib_err *err)
{
	if (strnlen(node, node_size) == node_size || strnlen(app, app_size) == app_size)
		return trib_fail(err, TRIB_E_FORMAT, "a record holds an unterminated name");
	if (!c->known || c->role != TRIB_ROLE_NODE || strcmp(c->node, node) != 0 || strcmp(c->app, app) != 0)
		return trib_fail(err, TRIB_E_REFUSED, "this certificate may not write %s/%s", node, app);
	return 0;
}

/* Packs of pushes that a crash cut off, those of first pushes too. */
static int sweep_packs(struct keeper *k, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(k->db.db, "SELECT node, app FROM node", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(k->db.db, st, err)) > 0) {
		if (trib_pack_in_sweep(&k->db, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1), err)) {
			k->packs_left = true;
			trib_log(TRIB_LOG_WARN, "%s", err->msg);
		}
	}
	return row;
}

static int on_state(struct keeper *k, struct conn *c, struct trib_err *err)
{
	struct trib_ipc_history h;
	if (take(&k->in, 0, &h, sizeof(h), err) || own_history(c, h.node, sizeof(h.node), h.app, sizeof(h.app), err))
		return -1;
	if (trib_keeper_refs_now(&k->db, &k->refs, h.node, h.app, err))
		return -1;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(k->db.db, "SELECT tip FROM history WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, h.node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, h.app, -1, SQLITE_STATIC);
	int row = trib_db_step(k->db.db, st, err);
	if (row < 0)
		return -1;
	struct trib_span tip = row ? trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)) : (struct trib_span){0};
	return trib_line_answer(&c->line, TRIB_IPC_STATE_IS, tip, (struct trib_span){0}, err);
}

static int insert_held(struct keeper *k, const struct trib_ipc_publish *p, const struct trib_ipc_held *h, int64_t at, uint64_t crl, struct trib_err *err)
{
	struct trib_leaf leaf = {.kind = TRIB_LEAF_HELD, .time = at, .crl = crl, .incarnation = h->incarnation, .seq = h->seq, .part = h->part, .parts = h->parts};
	(void)snprintf(leaf.node, sizeof(leaf.node), "%s", p->node);
	(void)snprintf(leaf.app, sizeof(leaf.app), "%s", p->app);
	memcpy(leaf.manifest, h->manifest, sizeof(leaf.manifest));
	memcpy(leaf.commit, h->commit, sizeof(leaf.commit));
	memcpy(leaf.oid, h->oid, sizeof(leaf.oid));
	memcpy(leaf.signer, h->signer, sizeof(leaf.signer));
	uint64_t index;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *due = NULL;
	if (trib_log_append(&k->db, &leaf, &index, err) ||
	    trib_db_prepare(k->db.db,
			    "INSERT INTO held(idx, node, app, seq, part, parts, incarnation, oid, manifest, signer, captured_at, held_at, inserted, updated, "
			    "deleted, braked) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			    &st, err) ||
	    trib_db_prepare(k->db.db, "INSERT INTO due(idx, node, app) VALUES(?,?,?)", &due, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)index);
	sqlite3_bind_text(st, 2, p->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, p->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, (int64_t)h->seq);
	sqlite3_bind_int64(st, 5, (int64_t)h->part);
	sqlite3_bind_int64(st, 6, (int64_t)h->parts);
	sqlite3_bind_int64(st, 7, (int64_t)h->incarnation);
	sqlite3_bind_blob(st, 8, h->oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 9, h->manifest, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 10, h->signer, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(st, 11, h->captured_at);
	sqlite3_bind_int64(st, 12, leaf.time);
	sqlite3_bind_int64(st, 13, (int64_t)h->inserted);
	sqlite3_bind_int64(st, 14, (int64_t)h->updated);
	sqlite3_bind_int64(st, 15, (int64_t)h->deleted);
	sqlite3_bind_int64(st, 16, h->nbraked);
	sqlite3_bind_int64(due, 1, (int64_t)index);
	sqlite3_bind_text(due, 2, p->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(due, 3, p->app, -1, SQLITE_STATIC);
	return trib_db_step(k->db.db, st, err) < 0 || trib_db_step(k->db.db, due, err) < 0 ? -1 : 0;
}

/* The published tip must still be the one that the worker judged against. */
static int check_old_tip(struct keeper *k, const struct trib_ipc_publish *p, uint64_t first_seq, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(k->db.db, "SELECT oid, seq FROM history WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, p->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, p->app, -1, SQLITE_STATIC);
	int row = trib_db_step(k->db.db, st, err);
	if (row < 0)
		return -1;
	bool same = row ? p->has_old && memcmp(sqlite3_column_blob(st, 0), p->old_tip, TRIB_OID_LEN) == 0 : !p->has_old;
	uint64_t seq = row ? (uint64_t)sqlite3_column_int64(st, 1) : 0;
	if (same && first_seq != seq + 1)
		return trib_fail(err, TRIB_E_CHAIN, "commit #%llu does not follow #%llu", (unsigned long long)first_seq, (unsigned long long)seq);
	return same ? 0 : trib_fail(err, TRIB_E_CHAIN, "another push of this history came first; fetch, then push again");
}

/* Before anything is moved: a push that came second leaves nothing. */
static int check_still(struct keeper *k, const struct trib_ipc_publish *p, struct trib_err *err)
{
	struct trib_ipc_held first = {0};
	return take(&k->in, sizeof(*p), &first, sizeof(first), err) || check_old_tip(k, p, first.seq, err) ? -1 : 0;
}

static int save_history(struct keeper *k, const struct trib_ipc_publish *p, uint64_t seq, uint32_t braked, struct trib_span tip, int64_t now, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *node = NULL;
	if (trib_db_prepare(k->db.db,
			    "INSERT INTO history(node, app, oid, seq, tip) VALUES(?,?,?,?,?) ON CONFLICT(node, app) DO UPDATE SET oid = excluded.oid, seq = "
			    "excluded.seq, tip = excluded.tip",
			    &st, err) ||
	    trib_db_prepare(k->db.db, "UPDATE node SET reported_at = ?, seen_at = ?, braked = ? WHERE node = ? AND app = ?", &node, err))
		return -1;
	sqlite3_bind_text(st, 1, p->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, p->app, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, p->new_tip, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, (int64_t)seq);
	sqlite3_bind_blob(st, 5, tip.p, (int)tip.n, SQLITE_STATIC);
	sqlite3_bind_int64(node, 1, now);
	sqlite3_bind_int64(node, 2, now);
	sqlite3_bind_int64(node, 3, braked);
	sqlite3_bind_text(node, 4, p->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(node, 5, p->app, -1, SQLITE_STATIC);
	return trib_db_step(k->db.db, st, err) < 0 || trib_db_step(k->db.db, node, err) < 0 ? -1 : 0;
}

/* The peer as it is now, not as it was when the request began: a long push may outlive its certificate's standing. */
static int check_peer(struct keeper *k, const struct conn *c, struct trib_err *err)
{
	struct trib_peer peer;
	int found = trib_hubdb_peer(&k->db, c->cert, &peer, err);
	if (found < 0)
		return -1;
	if (!found || peer.role != TRIB_ROLE_NODE || peer.revoked_at || !peer.current || peer.not_after < trib_now())
		return trib_fail(err, TRIB_E_CERT, "this office's certificate was revoked, replaced or has expired; ask the city for a new enrolment slip");
	return 0;
}

/* What a worker cannot know or need not be believed: signers by hub.db, and that the records are one unbroken run of this incarnation. */
static int check_held(struct keeper *k, const struct conn *c, const struct trib_ipc_publish *p, struct trib_err *err)
{
	struct trib_cert_gate gate = {.db = &k->db, .node = p->node, .app = p->app, .at = INT64_MAX, .incarnation = c->incarnation};
	struct trib_cert_id id = {0};
	struct trib_ipc_held h;
	uint64_t before = 0;
	for (uint32_t i = 0; i < p->nheld; i++) {
		if (take(&k->in, sizeof(*p) + i * sizeof(h), &h, sizeof(h), err))
			return -1;
		if (h.incarnation != c->incarnation || h.seq == 0 || h.seq > INT64_MAX || (i && h.seq != before + 1) || h.part == 0 || h.part > h.parts ||
		    h.parts > TRIB_PARTS_MAX)
			return trib_fail(err, TRIB_E_CHAIN, "the records of a push are not one run of commits");
		if ((i == 0 || memcmp(id.sha256, h.signer, sizeof(h.signer)) != 0)) {
			memcpy(id.sha256, h.signer, sizeof(h.signer));
			if (trib_hubdb_cert_ok(&gate, &id, err))
				return -1;
		}
		before = h.seq;
	}
	return memcmp(h.oid, p->new_tip, TRIB_OID_LEN) == 0 ? 0 : trib_fail(err, TRIB_E_CHAIN, "the records of a push do not end at its tip");
}

static int publish_rows(struct keeper *k, const struct conn *c, const struct trib_ipc_publish *p, struct trib_span tip, struct trib_err *err)
{
	int64_t now;
	struct trib_ipc_held held = {0};
	if (take(&k->in, sizeof(*p), &held, sizeof(held), err) || trib_hubdb_begin(&k->db, err))
		return -1;
	uint64_t crl = 0;
	/* Once more, now that no other process can write: a revocation may have come since, and nothing is held after it. */
	if (check_peer(k, c, err) || check_held(k, c, p, err) || trib_log_time(&k->db, trib_now(), &now, err) || trib_crl_in_force(&k->db, &crl, err) ||
	    check_old_tip(k, p, held.seq, err))
		goto fail;
	for (uint32_t i = 0; i < p->nheld; i++)
		if (take(&k->in, sizeof(*p) + i * sizeof(held), &held, sizeof(held), err) || insert_held(k, p, &held, now, crl, err) ||
		    (held.reset && trib_keeper_fork_over(&k->db, p->node, p->app, err)))
			goto fail;
	if (save_history(k, p, held.seq, held.nbraked, tip, now, err))
		goto fail;
	trib_crash_point("before-publish");
	if (trib_hubdb_commit(&k->db, err))
		goto fail;
	trib_crash_point("published");
	return 0;
fail:
	trib_hubdb_rollback(&k->db);
	return -1;
}

static void wake_merger(struct keeper *k)
{
	struct pollfd p = {.fd = k->merger_fd, .events = POLLOUT};
	struct trib_err err;
	/* A full socket already holds more than one wake: nothing is lost by not adding another. */
	if (k->merger_fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) &&
	    trib_ipc_send(k->merger_fd, TRIB_IPC_WAKE, (struct trib_span){0}, (struct trib_span){0}, (struct trib_span){0}, &err))
		trib_log(TRIB_LOG_WARN, "waking the merger: %s", err.msg);
}

static int on_publish(struct keeper *k, struct conn *c, struct trib_err *err)
{
	struct trib_ipc_publish p;
	if (take(&k->in, 0, &p, sizeof(p), err) || own_history(c, p.node, sizeof(p.node), p.app, sizeof(p.app), err))
		return -1;
	size_t records;
	p.pack[sizeof(p.pack) - 1] = '\0';
	if (p.nheld == 0 || p.nheld > TRIB_PUSH_COMMITS_MAX || trib_mul_overflow(p.nheld, sizeof(struct trib_ipc_held), &records) ||
	    p.tip_len > 2 * TRIB_LANES_MAX + TRIB_MIB || sizeof(p) + records + p.tip_len != k->in.len)
		return trib_fail(err, TRIB_E_FORMAT, "a publication record of impossible size");
	if (check_peer(k, c, err) || check_held(k, c, &p, err))
		return -1;
	if (memcmp(p.policy, k->policy.now.sha256, sizeof(p.policy)) != 0)
		return trib_fail(err, TRIB_E_LOCKED, "the city's policy changed while this push was judged; nothing was changed; push again");
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(k->db.hub, p.node, p.app);
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	struct trib_pack_in pack = {0};
	if (trib_repo_create(path, &repo, err) || (k->packs_left && trib_pack_in_sweep(&k->db, p.node, p.app, err)) || check_still(k, &p, err) ||
	    (p.pack[0] && trib_pack_in(k->db.hub, c->line.pid, p.pack, repo, p.new_tip, &pack, err)))
		return -1;
	trib_crash_point("pack-moved");
	if (publish_rows(k, c, &p, trib_span(k->in.p + sizeof(p) + records, (size_t)p.tip_len), err)) {
		if (!trib_pack_in_undo(&pack))
			k->packs_left = true;
		return -1;
	}
	trib_pack_in_keep(&pack);
	trib_keeper_fold_again(&k->fold);
	/* From here on the commits are held, whatever happens: what follows is redone at start. */
	struct trib_err later;
	trib_repo_refresh(repo);
	if (trib_repo_ref_set(repo, "refs/heads/main", p.new_tip, &later)) {
		trib_keeper_refs_behind(&k->refs, p.node, p.app);
		trib_log(TRIB_LOG_ERROR, "setting refs/heads/main of %s/%s: %s", p.node, p.app, later.msg);
	}
	trib_crash_point("ref-published");
	if (trib_chain_down(&k->db, &k->signer, p.node, p.app, &later)) {
		trib_keeper_refs_behind(&k->refs, p.node, p.app);
		trib_log(TRIB_LOG_ERROR, "%s", later.msg);
	}
	wake_merger(k);
	trib_log(TRIB_LOG_INFO, "held %u commits of %s/%s", p.nheld, p.node, p.app);
	return 0;
}

static int on_refused(struct keeper *k, struct conn *c, struct trib_err *err)
{
	struct trib_ipc_refusal r;
	if (take(&k->in, 0, &r, sizeof(r), err) || own_history(c, r.node, sizeof(r.node), r.app, sizeof(r.app), err))
		return -1;
	r.msg[sizeof(r.msg) - 1] = '\0';
	if (trib_keeper_refused(&k->db, &r, trib_now(), err))
		return -1;
	trib_log(TRIB_LOG_WARN, "refused %s/%s: [%s] %s", r.node, r.app, trib_code_name((enum trib_code)r.code), r.msg);
	return 0;
}

static int on_old(struct keeper *k, struct conn *c, struct trib_err *err)
{
	struct trib_ipc_old o;
	if (take(&k->in, 0, &o, sizeof(o), err) || own_history(c, o.node, sizeof(o.node), o.app, sizeof(o.app), err) || check_peer(k, c, err) ||
	    trib_oldlog_move(k->db.hub, c->line.pid, o.node, o.app, o.sha256, err))
		return -1;
	trib_log(TRIB_LOG_INFO, "kept old receipts of %s/%s", o.node, o.app);
	return 0;
}

static int on_message(struct keeper *k, struct conn *c, enum trib_ipc_type type, struct trib_err *err)
{
	struct trib_ipc_result r;
	struct trib_err why;
	switch (type) {
	case TRIB_IPC_HELLO:
		return on_hello(k, c, err);
	case TRIB_IPC_STATE:
		return on_state(k, c, err);
	case TRIB_IPC_PUBLISH:
		r = result(&why, on_publish(k, c, &why) == 0);
		break;
	case TRIB_IPC_REFUSED:
		r = result(&why, on_refused(k, c, &why) == 0);
		break;
	case TRIB_IPC_OLD:
		r = result(&why, on_old(k, c, &why) == 0);
		break;
	default:
		return trib_fail(err, TRIB_E_REFUSED, "a worker may not send message %d", (int)type);
	}
	return trib_line_answer(&c->line, TRIB_IPC_PUBLISHED, trib_span(&r, sizeof(r)), (struct trib_span){0}, err);
}

/* What a worker's line brings. -1 drops the connection. */
static int on_worker(struct keeper *k, struct conn *c)
{
	struct trib_err err;
	enum trib_ipc_type type;
	/* Only an office publishes: nobody else has anything long to say. */
	int got = trib_line_turn(&c->line, c->known ? TRIB_IPC_MAX : STRANGER_MSG_MAX, &type, &k->in, &err);
	if (got == 1 && on_message(k, c, type, &err))
		got = -1;
	trib_buf_release(&k->in);
	if (got < 0 && err.code != TRIB_E_NOT_FOUND)
		trib_log(TRIB_LOG_WARN, "worker: %s", err.msg);
	return got < 0 ? -1 : 0;
}

static int on_asked(struct keeper *k, struct trib_err *err)
{
	struct trib_ipc_asked a;
	if (take(&k->in, 0, &a, sizeof(a), err))
		return -1;
	a.node[sizeof(a.node) - 1] = a.app[sizeof(a.app) - 1] = a.request[sizeof(a.request) - 1] = '\0';
	struct trib_act act = {.what = a.is_void ? "node-void" : "node-ask", .node = a.node, .app = a.app, .object = a.code, .detail = a.request, .by = a.node};
	return trib_act_log(&k->db, &act, err);
}

static int on_enrolled(struct keeper *k, enum trib_ipc_type type, struct trib_err *err)
{
	struct trib_ipc_enrolled e;
	if (type == TRIB_IPC_ASKED)
		return on_asked(k, err);
	if (type != TRIB_IPC_CERTS)
		return trib_fail(err, TRIB_E_REFUSED, "enrolment may not send message %d", (int)type);
	if (take(&k->in, 0, &e, sizeof(e), err))
		return -1;
	e.node[sizeof(e.node) - 1] = e.app[sizeof(e.app) - 1] = e.name[sizeof(e.name) - 1] = '\0';
	e.sign_serial[sizeof(e.sign_serial) - 1] = e.tls_serial[sizeof(e.tls_serial) - 1] = '\0';
	if (trib_hubdb_begin(&k->db, err))
		return -1;
	if (trib_keeper_enrolled(&k->db, &e, err) || trib_hubdb_commit(&k->db, err)) {
		trib_hubdb_rollback(&k->db);
		return trib_ctx(err, "logging the enrolment of %s/%s", e.node, e.app);
	}
	trib_log(TRIB_LOG_INFO, "enrolled %s/%s (%s), incarnation %llu", e.node, e.app, e.name, (unsigned long long)e.incarnation);
	return 0;
}

/* All that one history is due. */
static int send_history(struct keeper *k, const char *node, const char *app, struct trib_err *err)
{
	for (int i = 0; i < DOWN_MAX; i++) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		if (trib_db_prepare(k->db.db, "SELECT 1 FROM due WHERE node = ? AND app = ? LIMIT 1", &st, err))
			return -1;
		sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
		int row = trib_db_step(k->db.db, st, err);
		if (row <= 0)
			return row;
		/* A statement that is still reading holds a snapshot: after a commit of another process no write could follow it. */
		sqlite3_reset(st);
		if (trib_chain_down(&k->db, &k->signer, node, app, err))
			return -1;
	}
	return 0;
}

/* Every history that has leaves to be sent. One whose repository is damaged keeps none of the others waiting. */
static int send_due(struct keeper *k, struct trib_err *err)
{
	char node[TRIB_NODE_MAX + 1] = "", app[TRIB_APP_MAX + 1] = "";
	for (;;) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		if (trib_db_prepare(k->db.db, "SELECT node, app FROM due d WHERE (node, app) > (?1, ?2) AND EXISTS(SELECT 1 FROM history h WHERE h.node = d.node AND h.app = d.app) ORDER BY node, app LIMIT 1", &st, err))
			return -1;
		sqlite3_bind_text(st, 1, node, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(st, 2, app, -1, SQLITE_TRANSIENT);
		int row = trib_db_step(k->db.db, st, err);
		if (row <= 0)
			return row;
		(void)snprintf(node, sizeof(node), "%s", (const char *)sqlite3_column_text(st, 0));
		(void)snprintf(app, sizeof(app), "%s", (const char *)sqlite3_column_text(st, 1));
		sqlite3_reset(st);
		struct trib_err later;
		if (send_history(k, node, app, &later)) {
			trib_keeper_refs_behind(&k->refs, node, app);
			trib_log(TRIB_LOG_ERROR, "%s; its receipts wait, those of others go on", later.msg);
		}
	}
}

static int merged_rows(struct keeper *k, const struct trib_ipc_merged *m, struct trib_err *err)
{
	if (trib_hubdb_begin(&k->db, err))
		return -1;
	for (uint32_t i = 0; i < m->nresults; i++) {
		struct trib_ipc_merge_result r;
		if (take(&k->in, sizeof(*m) + i * sizeof(r), &r, sizeof(r), err))
			goto fail;
		r.node[sizeof(r.node) - 1] = r.app[sizeof(r.app) - 1] = r.table[sizeof(r.table) - 1] = r.reason[sizeof(r.reason) - 1] = '\0';
		if (trib_keeper_verdict(&k->db, &r, err))
			goto fail;
	}
	if (trib_hubdb_commit(&k->db, err))
		goto fail;
	return 0;
fail:
	trib_hubdb_rollback(&k->db);
	return trib_ctx(err, "logging the merge");
}

static int on_merged(struct keeper *k, struct trib_err *err)
{
	struct trib_ipc_merged m;
	if (take(&k->in, 0, &m, sizeof(m), err))
		return -1;
	if (m.nresults > TRIB_PUSH_COMMITS_MAX || sizeof(m) + m.nresults * sizeof(struct trib_ipc_merge_result) != k->in.len)
		return trib_fail(err, TRIB_E_FORMAT, "a merge record of impossible size");
	if (merged_rows(k, &m, err))
		return -1;
	/* A damaged city history keeps no receipt from an office: the merger is told of it, and tells the same verdicts again later. */
	int rc = trib_chain_city(&k->db, &k->signer, m.upto, m.city_digest, err);
	if (rc)
		trib_ctx(err, "the city history (city.git); try: tributary-hub audit, then bring city.git back from a backup");
	struct trib_err later;
	if (send_due(k, &later))
		trib_log(TRIB_LOG_ERROR, "%s", later.msg);
	return rc;
}

static int on_merger(struct keeper *k, enum trib_ipc_type type, struct trib_err *err)
{
	struct trib_ipc_result r;
	if (type == TRIB_IPC_MERGED)
		return on_merged(k, err);
	if (type != TRIB_IPC_TROUBLE)
		return trib_fail(err, TRIB_E_REFUSED, "the merger may not send message %d", (int)type);
	if (take(&k->in, 0, &r, sizeof(r), err))
		return -1;
	r.msg[sizeof(r.msg) - 1] = '\0';
	return trib_keeper_trouble(&k->db, r.code == TRIB_OK ? NULL : r.msg, trib_now(), err);
}

/* A message of the merger or of the enrolment process; 0 at end of stream, -1 lets the keeper end. */
static int on_sibling(struct keeper *k, int fd, int (*handle)(struct keeper *, enum trib_ipc_type, struct trib_err *))
{
	struct trib_err err, sent;
	enum trib_ipc_type type;
	int got = trib_ipc_recv(fd, SIBLING_MS, &type, &k->in, &err);
	if (got <= 0) {
		if (got < 0)
			trib_log(TRIB_LOG_ERROR, "reading from a sibling process: %s", err.msg);
		return got;
	}
	int rc = handle(k, type, &err);
	if (rc)
		trib_log(TRIB_LOG_ERROR, "%s", err.msg);
	struct trib_ipc_result r = result(&err, rc == 0);
	return trib_ipc_send(fd, TRIB_IPC_PUBLISHED, trib_span(&r, sizeof(r)), (struct trib_span){0}, (struct trib_span){0}, &sent) ? -1 : 1;
}

/* Forgets the connections that were closed. */
static void compact(struct keeper *k)
{
	size_t n = 0;
	for (size_t i = 0; i < k->nconns; i++)
		if (k->conns[i].line.fd >= 0)
			k->conns[n++] = k->conns[i];
	k->nconns = n;
}

/* Workers that have something to say, in turn, for about SLICE_MS: on a slow disk sixty publications take longer than the merger waits
 * for its message to be taken. `p` are the poll results of the first n connections. */
static void serve_workers(struct keeper *k, const struct pollfd *p, size_t n)
{
	int64_t until = trib_mono_ms() + SLICE_MS;
	size_t turn = n ? k->turn % n : 0;
	for (size_t step = 0; step < n && trib_mono_ms() <= until; step++) {
		size_t i = (turn + step) % n;
		k->turn = i + 1;
		if (p[i].revents && on_worker(k, &k->conns[i]))
			trib_line_release(&k->conns[i].line);
	}
	compact(k);
}

/* Drops the lines that are late or take all memory; tells how long until the next could be late. */
static int drop_excess(struct keeper *k)
{
	struct trib_line *lines[TRIB_LINES_MAX];
	int64_t now = trib_mono_ms(), next = now + 60000;
	for (;;) {
		size_t n = k->nconns;
		for (size_t i = 0; i < n; i++)
			lines[i] = &k->conns[i].line;
		size_t one = trib_lines_excess(lines, n, now);
		if (one == n)
			break;
		trib_log(TRIB_LOG_WARN, "worker %lld leaves its message unfinished: its line is cut", (long long)lines[one]->pid);
		trib_line_release(lines[one]);
		compact(k);
	}
	for (size_t i = 0; i < k->nconns; i++) {
		int64_t due = trib_line_due(&k->conns[i].line);
		next = due < next ? due : next;
	}
	return (int)(next - now);
}

/* 1 goes on, 0 ends. */
static int on_control(struct keeper *k)
{
	struct trib_err err;
	int64_t pid;
	int fd, got = trib_ipc_recv_fd(k->control_fd, &fd, &pid, &err);
	if (got <= 0)
		return 0;
	if (k->nconns == TRIB_LINES_MAX) {
		close(fd);
		return 1;
	}
	struct conn *c = &k->conns[k->nconns++];
	*c = (struct conn){.role = TRIB_ROLE_NONE};
	trib_line_init(&c->line, fd, pid, TRIB_IPC_MAX);
	return 1;
}

static int loop(struct keeper *k)
{
	for (;;) {
		struct pollfd p[3 + TRIB_LINES_MAX];
		int wait = trib_keeper_log_turn(&k->db, &k->signer, &k->log), refs = trib_keeper_refs_turn(&k->db, &k->refs);
		wait = MIN(wait, refs);
		wait = MIN(MIN(wait, drop_excess(k)), MIN(trib_keeper_fold_ms(&k->fold), trib_keeper_policy_turn(&k->db, &k->policy)));
		size_t n = k->nconns;
		p[0] = (struct pollfd){.fd = k->control_fd, .events = POLLIN};
		p[1] = (struct pollfd){.fd = k->merger_fd, .events = POLLIN};
		p[2] = (struct pollfd){.fd = k->enrol_fd, .events = POLLIN};
		for (size_t i = 0; i < n; i++)
			p[3 + i] = (struct pollfd){.fd = k->conns[i].line.fd, .events = trib_line_events(&k->conns[i].line)};
		int got = poll(p, (nfds_t)(3 + n), wait);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return 1;
		if (got == 0 && k->fold.running)
			trib_keeper_fold_turn(&k->db, &k->fold);
		if (p[1].revents && on_sibling(k, k->merger_fd, on_merger) <= 0)
			return p[0].revents ? 0 : 1;
		if (p[2].revents && on_sibling(k, k->enrol_fd, on_enrolled) <= 0)
			return p[0].revents ? 0 : 1;
		serve_workers(k, p + 3, n);
		/* All that wait: one a round would leave new workers without an answer in a busy night. */
		for (int more = p[0].revents != 0; more > 0; more = poll(p, 1, 0))
			if (!on_control(k))
				return 0;
	}
}

int trib_keeper_main(const struct trib_hub *h, int control_fd, int merger_fd, int enrol_fd)
{
	static struct keeper k; /* too large for a stack; one keeper a process */
	struct trib_err err;
	k = (struct keeper){.control_fd = control_fd, .merger_fd = merger_fd, .enrol_fd = enrol_fd, .in = TRIB_BUF(TRIB_IPC_MAX)};
	if (trib_repo_lib_init(&err) || trib_hubdb_open(h, true, &k.db, &err) || trib_hub_not_older(&k.db, &err) ||
	    trib_policy_in_force(&k.db, &k.policy.now, &err) || trib_hub_signer_load(h, &k.signer, &err) ||
	    trib_key_ed25519_public(k.signer.log_key, k.log_key, &err) || sweep_packs(&k, &err) || trib_keeper_refs_start(&k.db, &k.refs, &err) || send_due(&k, &err)) {
		trib_log(TRIB_LOG_ERROR, "%s", err.msg);
		return trib_exit_status(err.code);
	}
	wake_merger(&k);
	trib_keeper_fold_again(&k.fold);
	int status = loop(&k);
	(void)trib_keeper_log_turn(&k.db, &k.signer, &k.log);
	free(k.refs.behind);
	trib_hub_signer_release(&k.signer);
	trib_hubdb_close(&k.db);
	return status;
}
