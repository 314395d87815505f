#include "core/replay/measure.h"

#include <pthread.h>

#define BATCH (256 * TRIB_KIB)

/* One side's tools: nothing in it is touched by the other side. */
struct side {
	struct trib_digester *d;
	struct trib_lanes_table sum; /* of the table at hand; no name of its own */
	struct trib_value *row;
	struct trib_err err;
	bool failed;
};

struct trib_measure {
	struct trib_lanes lanes;
	/* The table at hand; changed only while the helper is idle. */
	struct trib_lanes_table *table;
	struct trib_digest_cols cols;
	char **names;
	uint8_t *pk;
	struct side own, helper;
	struct trib_buf filling, given;
	pthread_t thread;
	bool threaded, no_thread;
	/* Under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool busy, quit;
};

static int add_batch(struct trib_measure *m, struct side *s, struct trib_span rows)
{
	struct trib_reader in = trib_reader(rows);

	while (in.rest.n) {
		for (size_t i = 0; i < m->cols.ncol; i++)
			if (trib_value_take(&in, false, &s->row[i], &s->err) < 0)
				return -1;
		if (trib_digest_row(s->d, &s->sum, &m->cols, s->row, 1, &s->err) < 0)
			return -1;
	}
	return 0;
}

static void *helper_main(void *arg)
{
	struct trib_measure *m = arg;

	pthread_mutex_lock(&m->lock);
	for (;;) {
		while (!m->busy && !m->quit)
			pthread_cond_wait(&m->changed, &m->lock);
		if (!m->busy)
			break;
		pthread_mutex_unlock(&m->lock);
		if (!m->helper.failed && add_batch(m, &m->helper, trib_buf_span(&m->given)) < 0)
			m->helper.failed = true;
		pthread_mutex_lock(&m->lock);
		m->busy = false;
		pthread_cond_broadcast(&m->changed);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static void wait_idle(struct trib_measure *m)
{
	pthread_mutex_lock(&m->lock);
	while (m->busy)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
}

static void start_thread(struct trib_measure *m)
{
	if (m->threaded || m->no_thread)
		return;
	if (pthread_create(&m->thread, NULL, helper_main, m) == 0)
		m->threaded = true;
	else
		m->no_thread = true;
}

/* Gives the full batch away when the helper is idle. */
static bool give(struct trib_measure *m)
{
	bool given = false;

	start_thread(m);
	if (!m->threaded)
		return false;
	pthread_mutex_lock(&m->lock);
	if (!m->busy) {
		struct trib_buf b = m->given;

		m->given = m->filling;
		m->filling = b;
		m->busy = given = true;
		pthread_cond_broadcast(&m->changed);
	}
	pthread_mutex_unlock(&m->lock);
	return given;
}

static int flush(struct trib_measure *m, bool may_give, struct trib_err *err)
{
	if (m->filling.len && !(may_give && give(m)) && add_batch(m, &m->own, trib_buf_span(&m->filling)) < 0) {
		*err = m->own.err;
		return -1;
	}
	trib_buf_reset(&m->filling);
	return 0;
}

static void add_sum(struct trib_lanes_table *to, struct trib_lanes_table *from)
{
	to->rows += from->rows;
	to->known = from->known = false;
	for (size_t i = 0; i < TRIB_LANES; i++)
		to->lanes[i] = (uint16_t)(to->lanes[i] + from->lanes[i]);
	from->rows = 0;
	memset(from->lanes, 0, sizeof(from->lanes));
}

static void drop_columns(struct trib_measure *m)
{
	for (size_t i = 0; m->names && i < m->cols.ncol; i++)
		free(m->names[i]);
	free(m->names);
	free(m->pk);
	free(m->own.row);
	free(m->helper.row);
	m->names = NULL;
	m->pk = NULL;
	m->own.row = m->helper.row = NULL;
	m->cols = (struct trib_digest_cols){0};
}

/* Everything that is on its way goes into the lanes of the table at hand. */
static int leave_table(struct trib_measure *m, struct trib_err *err)
{
	int r = flush(m, false, err);

	wait_idle(m);
	if (r == 0 && m->helper.failed) {
		*err = m->helper.err;
		r = -1;
	}
	if (r == 0 && m->table) {
		add_sum(m->table, &m->own.sum);
		add_sum(m->table, &m->helper.sum);
	}
	drop_columns(m);
	m->table = NULL;
	return r;
}

static int enter_table(struct trib_measure *m, const char *name, const struct trib_digest_cols *cols, struct trib_err *err)
{
	bool ok;

	if (leave_table(m, err) < 0)
		return -1;
	m->table = trib_lanes_get(&m->lanes, name);
	m->names = calloc(cols->ncol + 1, sizeof(*m->names));
	m->pk = calloc(cols->ncol + 1, 1);
	m->own.row = calloc(cols->ncol + 1, sizeof(*m->own.row));
	m->helper.row = calloc(cols->ncol + 1, sizeof(*m->helper.row));
	ok = m->table && m->names && m->pk && m->own.row && m->helper.row;
	m->cols = (struct trib_digest_cols){.ncol = ok ? cols->ncol : 0, .names = (const char *const *)m->names, .pk = m->pk, .bag = cols->bag};
	for (size_t i = 0; ok && i < cols->ncol; i++) {
		m->pk[i] = cols->pk[i];
		m->names[i] = strdup(cols->names[i]);
		ok = m->names[i];
	}
	if (!ok)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest of %s", name);
	m->own.sum.name = m->helper.sum.name = m->table->name;
	return 0;
}

int trib_measure_row(struct trib_measure *m, const char *folded_table, const struct trib_digest_cols *cols, const struct trib_value *row,
		     struct trib_err *err)
{
	if ((!m->table || strcmp(m->table->name, folded_table) != 0) && enter_table(m, folded_table, cols, err) < 0)
		return -1;
	for (size_t i = 0; row && i < cols->ncol; i++)
		trib_value_put(&m->filling, &row[i]);
	if (trib_buf_check(&m->filling, "rows to digest", err) < 0)
		return -1;
	return m->filling.len < BATCH ? 0 : flush(m, true, err);
}

int trib_measure_turn(struct trib_measure *m, struct trib_err *err) { return leave_table(m, err); }

int trib_measure_end(struct trib_measure *m, struct trib_lanes *ret, struct trib_err *err)
{
	if (leave_table(m, err) < 0)
		return -1;
	*ret = m->lanes;
	m->lanes = (struct trib_lanes){0};
	return 0;
}

void trib_measure_free(struct trib_measure *m)
{
	if (!m)
		return;
	if (m->threaded) {
		pthread_mutex_lock(&m->lock);
		m->quit = true;
		pthread_cond_broadcast(&m->changed);
		pthread_mutex_unlock(&m->lock);
		(void)pthread_join(m->thread, NULL);
	}
	drop_columns(m);
	trib_digester_free(m->own.d);
	trib_digester_free(m->helper.d);
	trib_buf_release(&m->filling);
	trib_buf_release(&m->given);
	trib_lanes_release(&m->lanes);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->changed);
	free(m);
}

int trib_measure_new(const uint8_t salt[TRIB_SALT_LEN], const char *app, struct trib_measure **ret, struct trib_err *err)
{
	struct trib_measure *m = calloc(1, sizeof(*m));

	if (!m)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest");
	/* Neither fails with default attributes on the systems we know; an error is treated as memory all the same. */
	if (pthread_mutex_init(&m->lock, NULL) != 0) {
		free(m);
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a lock");
	}
	if (pthread_cond_init(&m->changed, NULL) != 0) {
		pthread_mutex_destroy(&m->lock);
		free(m);
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a lock");
	}
	/* A batch and one row of any size, with its encoding. */
	trib_buf_init(&m->filling, BATCH + TRIB_ROW_MAX + TRIB_MIB);
	trib_buf_init(&m->given, BATCH + TRIB_ROW_MAX + TRIB_MIB);
	m->own.d = trib_digester_new(salt, app);
	m->helper.d = trib_digester_new(salt, app);
	if (!m->own.d || !m->helper.d) {
		trib_measure_free(m);
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest");
	}
	*ret = m;
	return 0;
}
