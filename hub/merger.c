/* merger.c: the process that alone writes the city database (D8.5): no keys, no network, histories and hub.db read-only. */
#include <errno.h>
#include <poll.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "hub/ipc.h"
#include "hub/merge.h"

#define RETRY_MS 10000     /* after trouble: a full disk, a damaged city file; then twice as long each time */
#define RETRY_MAX_MS 300000
#define PATIENCE 3         /* runs that may fail since files cannot be read: a minute in all */

struct merger {
	struct trib_hubdb db;
	struct trib_merge merge;
	struct trib_patience patience;
	int keeper_fd;
	bool woken; /* a wake arrived while we waited for an answer */
	bool open;  /* `merge` is */
	bool keeper_lost;
};

/* Waits for the keeper's answer; wakes that cross it are kept in mind. */
static int await(struct merger *m, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(64 * TRIB_KIB);
	for (;;) {
		enum trib_ipc_type type;
		struct trib_ipc_result r;
		int got = trib_ipc_recv(m->keeper_fd, TRIB_REQUEST_MS, &type, &in, err);
		m->keeper_lost = got <= 0;
		if (got < 0)
			return -1;
		if (got == 0)
			return trib_fail(err, TRIB_E_FAILED, "the keeper has gone");
		if (type == TRIB_IPC_WAKE) {
			m->woken = true;
			continue;
		}
		m->keeper_lost = type != TRIB_IPC_PUBLISHED || in.len != sizeof(r); /* a word that makes no sense: the set starts anew */
		if (m->keeper_lost)
			return trib_fail(err, TRIB_E_FORMAT, "the keeper sent message %d", (int)type);
		memcpy(&r, in.p, sizeof(r));
		r.msg[sizeof(r.msg) - 1] = '\0';
		return r.code == TRIB_OK ? 0 : trib_fail(err, (enum trib_code)r.code, "%s", r.msg);
	}
}

static void fill_result(sqlite3_stmt *st, const char *app, struct trib_ipc_merge_result *r)
{
	*r = (struct trib_ipc_merge_result){.merged = sqlite3_column_type(st, 6) == SQLITE_NULL, .seq = (uint64_t)sqlite3_column_int64(st, 2)};
	(void)snprintf(r->node, sizeof(r->node), "%s", (const char *)sqlite3_column_text(st, 1));
	(void)snprintf(r->app, sizeof(r->app), "%s", app);
	if (sqlite3_column_bytes(st, 3) == TRIB_SHA256_LEN)
		memcpy(r->manifest, sqlite3_column_blob(st, 3), TRIB_SHA256_LEN);
	if (r->merged)
		return;
	(void)snprintf(r->table, sizeof(r->table), "%s", (const char *)sqlite3_column_text(st, 4));
	r->key_len = (uint32_t)sqlite3_column_bytes(st, 5) <= sizeof(r->key) ? (uint32_t)sqlite3_column_bytes(st, 5) : (uint32_t)sizeof(r->key);
	if (r->key_len)
		memcpy(r->key, sqlite3_column_blob(st, 5), r->key_len);
	(void)snprintf(r->reason, sizeof(r->reason), "%s", (const char *)sqlite3_column_text(st, 6));
}

/* Collects at most `max` verdicts; *ret_last per city says what may be deleted after the answer. */
static int collect(struct merger *m, size_t max, struct trib_buf *ret, uint32_t *ret_n, int64_t *last, struct trib_err *err)
{
	*ret_n = 0;
	for (size_t i = 0; i < m->merge.ncities; i++) {
		struct trib_city *c = &m->merge.cities[i];
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		last[i] = -1;
		if (trib_db_prepare(c->db, "SELECT leaf, node, seq, manifest, tbl, key, reason FROM _t_result ORDER BY leaf", &st, err))
			return -1;
		int row;
		while (*ret_n < max && (row = trib_db_step(c->db, st, err)) != 0) {
			struct trib_ipc_merge_result r;
			if (row < 0)
				return -1;
			fill_result(st, c->app, &r);
			trib_buf_put(ret, &r, sizeof(r));
			last[i] = sqlite3_column_int64(st, 0);
			++*ret_n;
		}
	}
	return trib_buf_check(ret, "verdicts", err);
}

static int forget(struct merger *m, const int64_t *last, struct trib_err *err)
{
	for (size_t i = 0; i < m->merge.ncities; i++) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		if (last[i] < 0)
			continue;
		if (trib_db_prepare(m->merge.cities[i].db, "DELETE FROM _t_result WHERE leaf <= ?", &st, err))
			return -1;
		sqlite3_bind_int64(st, 1, last[i]);
		if (trib_db_step(m->merge.cities[i].db, st, err) < 0)
			return -1;
	}
	return 0;
}

/* Tells the keeper all verdicts, in bounded messages, until none is left. */
static int report(struct merger *m, uint64_t size, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_IPC_MAX);
	TRIB_AUTO(trib_mem) int64_t *last = calloc(m->merge.ncities + 1, sizeof(*last));
	struct trib_ipc_merged head = {.upto = size};
	if (!last)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_merge_digest(&m->merge, head.city_digest, err))
		return -1;
	for (;;) {
		trib_buf_reset(&out);
		if (collect(m, 1024, &out, &head.nresults, last, err))
			return -1;
		if (head.nresults == 0)
			return 0;
		m->keeper_lost = trib_ipc_send(m->keeper_fd, TRIB_IPC_MERGED, trib_span(&head, sizeof(head)), trib_buf_span(&out), (struct trib_span){0}, err) != 0;
		if (m->keeper_lost || await(m, err))
			return trib_ctx(err, "reporting the merge");
		trib_crash_point("merge-reported");
		if (forget(m, last, err))
			return -1;
	}
}

static int pass(struct merger *m, struct trib_err *err)
{
	uint64_t size;
	do {
		m->woken = false;
		if (trib_log_size(&m->db, &size, err) || trib_merge_run(&m->merge, &m->db, size, err))
			return -1;
		if (m->merge.merged || m->merge.out_of_step || m->merge.damaged)
			trib_log(m->merge.damaged ? TRIB_LOG_ERROR : TRIB_LOG_INFO, "merged %llu, out of step %llu, damaged %llu%s%s",
				 (unsigned long long)m->merge.merged, (unsigned long long)m->merge.out_of_step, (unsigned long long)m->merge.damaged,
				 m->merge.damaged ? "; try: tributary-hub audit; " : "", m->merge.damaged ? m->merge.damage : "");
		if (report(m, size, err))
			return -1;
	} while (m->woken);
	return 0;
}

/* One pass over all that is new, with files opened for it when they are not. */
static int open_and_pass(struct merger *m, const struct trib_hub *h, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_hub_path(h, "city");
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!m->open && trib_merge_open(h, dir, &m->db, &m->merge, err))
		return -1;
	m->open = true;
	m->merge.patience = &m->patience;
	return pass(m, err);
}

/* Until the keeper says something; or, when `wait_ms`, until they are over: what wakes us meanwhile is for then. 1 go on, 0 the keeper has gone, -1. */
static int next_call(struct merger *m, int wait_ms, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(64 * TRIB_KIB);
	int64_t until = trib_mono_ms() + wait_ms;
	for (;;) {
		enum trib_ipc_type type;
		int64_t left = until - trib_mono_ms();
		struct pollfd p = {.fd = m->keeper_fd, .events = POLLIN};
		if (wait_ms && left <= 0)
			return 1;
		int n = poll(&p, 1, wait_ms ? (int)left : -1);
		if (n < 0 && errno != EINTR)
			return trib_fail_errno(err, "waiting for the keeper");
		if (n <= 0)
			continue;
		int got = trib_ipc_recv(m->keeper_fd, -1, &type, &in, err);
		if (got <= 0 || !wait_ms)
			return got;
	}
}

/* The keeper keeps it for `status`: why nothing is merged, or that it goes on. */
static int tell(struct merger *m, const struct trib_err *why)
{
	struct trib_ipc_result r = {.code = why ? (int32_t)why->code : TRIB_OK};
	struct trib_err err;
	if (why)
		(void)snprintf(r.msg, sizeof(r.msg), "%s", why->msg);
	m->keeper_lost = trib_ipc_send(m->keeper_fd, TRIB_IPC_TROUBLE, trib_span(&r, sizeof(r)), (struct trib_span){0}, (struct trib_span){0}, &err) != 0;
	if (!m->keeper_lost && await(m, &err))
		trib_log(TRIB_LOG_WARN, "%s", err.msg); /* `status` does not say it, the log does */
	return m->keeper_lost ? -1 : 0;
}

/* Whatever the trouble: offices push and get receipts meanwhile, and the merge tries again from the files as they stand, ever more seldom. */
static int serve(struct merger *m, const struct trib_hub *h, struct trib_err *err)
{
	int wait_ms = 0;
	bool told = true; /* one of an earlier life may stand there */
	for (;;) {
		bool failed = open_and_pass(m, h, err) != 0;
		if (failed) {
			if (m->open)
				trib_merge_close(&m->merge);
			m->open = false;
			if (m->keeper_lost)
				return 1;
			wait_ms = wait_ms ? wait_ms * 2 : RETRY_MS;
			wait_ms = wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
			trib_log(TRIB_LOG_ERROR, "nothing is merged; trying again in %d s; what is received is safe: %s", wait_ms / 1000, err->msg);
		} else {
			wait_ms = 0;
			m->patience.tries = 0;
		}
		if ((failed || told) && tell(m, failed ? err : NULL))
			return 1;
		told = failed;
		int got = next_call(m, wait_ms, err);
		if (got <= 0)
			return got == 0 ? 0 : 1;
	}
}

int trib_merger_main(const struct trib_hub *h, int keeper_fd)
{
	struct merger m = {.keeper_fd = keeper_fd, .patience = {.max = PATIENCE}};
	struct trib_err err;
	/* The keeper migrates hub.db; its first wake says that it is there. */
	int got = next_call(&m, 0, &err);
	if (got <= 0)
		return got == 0 ? 0 : 1;
	if (trib_repo_lib_init(&err) || trib_hubdb_open(h, false, &m.db, &err)) {
		trib_log(TRIB_LOG_ERROR, "the merger cannot start: %s", err.msg);
		return trib_exit_status(err.code);
	}
	int status = serve(&m, h, &err);
	if (m.open)
		trib_merge_close(&m.merge);
	trib_hubdb_close(&m.db);
	return status;
}
