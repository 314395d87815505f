#include "core/replay/ahead.h"

#include <pthread.h>
#include <sched.h>

#include "core/replay/signer.h"

#define STALE (TRIB_AHEAD_COMMITS / 2) /* so far behind the last one taken, nobody will ask for it */

enum state { EMPTY, QUEUED, RUNNING, DONE };

struct slot {
	enum state state;
	bool dropped; /* while it was running: nobody wants it */
	struct trib_ahead_job job;
	struct trib_fore *fore;
	size_t size;
};

/* One thread's own tools. */
struct worker {
	struct trib_ahead *all;
	pthread_t thread;
	struct trib_signer_cache signers;
	struct { char *path; struct trib_repo *repo; uint64_t used; } repos[TRIB_AHEAD_REPOS];
	uint64_t uses;
};

struct trib_ahead {
	struct trib_trust trust; /* read only */
	/* The ordered thread's. */
	trib_ahead_source source;
	void *ctx;
	bool dry; /* the source has no more */
	struct worker own, *workers;
	unsigned nworkers;
	/* Under the lock. Commits have rising numbers; number i is in slot i % TRIB_AHEAD_COMMITS. */
	pthread_mutex_t lock;
	pthread_cond_t work, done; /* there is something to begin; something was finished */
	struct slot slots[TRIB_AHEAD_COMMITS];
	uint64_t first, start, end; /* first <= start <= end: oldest in the window, first that nobody has begun, one behind the last */
	size_t held;                /* bytes of those that are done */
	bool quit;
};

unsigned trib_jobs_default(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	return n < 1 ? 1 : n > TRIB_JOBS_MAX ? TRIB_JOBS_MAX : (unsigned)n;
}

static struct slot *at(struct trib_ahead *a, uint64_t number) { return &a->slots[number % TRIB_AHEAD_COMMITS]; }

/* ---- looking at one commit ---- */

static struct trib_repo *repo_of(struct worker *w, const char *path)
{
	size_t oldest = 0;
	for (size_t i = 0; i < TRIB_AHEAD_REPOS; i++) {
		if (w->repos[i].path && strcmp(w->repos[i].path, path) == 0) {
			w->repos[i].used = ++w->uses;
			return w->repos[i].repo;
		}
		if (w->repos[i].used < w->repos[oldest].used)
			oldest = i;
	}
	struct trib_err ignored; /* the ordered judge meets it too, and tells */
	struct trib_repo *repo = NULL;
	char *copy = strdup(path);
	if (!copy || trib_repo_open(path, false, &repo, &ignored)) {
		free(copy);
		return NULL;
	}
	free(w->repos[oldest].path);
	trib_repo_free(w->repos[oldest].repo);
	w->repos[oldest].path = copy;
	w->repos[oldest].repo = repo;
	w->repos[oldest].used = ++w->uses;
	return repo;
}

static struct trib_fore *look(struct worker *w, const struct trib_ahead_job *job)
{
	struct trib_trust trust = w->all->trust;
	struct trib_fore *fore = NULL;
	struct trib_err ignored;
	struct trib_repo *repo = repo_of(w, job->repo);
	trust.node = job->node;
	trust.app = job->app;
	trust.at = job->at;
	trust.signers = &w->signers;
	return repo && trib_judge_ahead(repo, job->oid, &trust, &fore, &ignored) == 0 ? fore : NULL;
}

static void worker_release(struct worker *w)
{
	for (size_t i = 0; i < TRIB_AHEAD_REPOS; i++) {
		free(w->repos[i].path);
		trib_repo_free(w->repos[i].repo);
	}
	trib_signer_cache_release(&w->signers);
}

/* ---- the window: all of this under the lock ---- */

static void clear(struct trib_ahead *a, struct slot *s)
{
	if (s->state == DONE) {
		if (a->held >= TRIB_AHEAD_BYTES && a->held - s->size < TRIB_AHEAD_BYTES)
			pthread_cond_broadcast(&a->work);
		a->held -= s->size;
	}
	trib_fore_free(s->fore);
	free(s->job.repo);
	*s = (struct slot){0};
	while (a->first < a->end && at(a, a->first)->state == EMPTY)
		a->first++;
	if (a->start < a->first)
		a->start = a->first;
}

static void drop(struct trib_ahead *a, struct slot *s)
{
	if (s->state == RUNNING)
		s->dropped = true;
	else if (s->state != EMPTY)
		clear(a, s);
}

/* The oldest commit that nobody has begun; NULL when there is none, or no room for what it comes to. */
static struct slot *begin_next(struct trib_ahead *a)
{
	while (a->start < a->end && at(a, a->start)->state != QUEUED)
		a->start++;
	if (a->start == a->end || a->held >= TRIB_AHEAD_BYTES)
		return NULL;
	struct slot *s = at(a, a->start++);
	s->state = RUNNING;
	return s;
}

/* The slot is RUNNING and this thread's: its job stays as it is while the lock is open. */
static void run_slot(struct worker *w, struct slot *s)
{
	struct trib_ahead *a = w->all;
	pthread_mutex_unlock(&a->lock);
	struct trib_fore *fore = look(w, &s->job);
	size_t size = fore ? trib_fore_size(fore) : 0;
	pthread_mutex_lock(&a->lock);
	s->fore = fore;
	s->size = size;
	s->state = DONE;
	a->held += size;
	if (s->dropped)
		clear(a, s);
	pthread_cond_signal(&a->done); /* the ordered thread alone waits for it */
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct trib_ahead *a = w->all;
	pthread_mutex_lock(&a->lock);
	while (!a->quit) {
		struct slot *s = begin_next(a);
		if (s)
			run_slot(w, s);
		else
			pthread_cond_wait(&a->work, &a->lock);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* *ret_number becomes its number when it is there. */
static bool find(struct trib_ahead *a, const char *node, const char *app, const uint8_t *oid, uint64_t *ret_number)
{
	for (uint64_t i = a->first; i < a->end; i++) {
		const struct slot *s = at(a, i);
		if (s->state == EMPTY || s->dropped || memcmp(s->job.oid, oid, TRIB_OID_LEN) != 0 || strcmp(s->job.node, node) != 0 || strcmp(s->job.app, app) != 0)
			continue;
		*ret_number = i;
		return true;
	}
	return false;
}

/* Makes way: what was passed over long ago, or, when the window holds nothing that is asked for, its oldest. */
static void make_way(struct trib_ahead *a, bool found, uint64_t number)
{
	uint64_t upto = !found ? a->first + 1 : number > STALE ? number - STALE : 0;
	for (uint64_t i = a->first; i < upto && i < a->end; i++)
		drop(a, at(a, i));
}

/* ---- the ordered thread ---- */

/* Fills the window when a good part of it is free. */
static bool fill(struct trib_ahead *a)
{
	struct trib_ahead_job jobs[TRIB_AHEAD_COMMITS / 4];
	size_t n = 0, room;
	if (a->dry || !a->source)
		return false;
	pthread_mutex_lock(&a->lock);
	room = TRIB_AHEAD_COMMITS - (size_t)(a->end - a->first);
	pthread_mutex_unlock(&a->lock);
	if (room < TRIB_COUNT(jobs))
		return false;
	while (n < TRIB_COUNT(jobs) && a->source(a->ctx, &jobs[n]))
		n++;
	a->dry = n < TRIB_COUNT(jobs);
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < n; i++, a->end++)
		*at(a, a->end) = (struct slot){.state = QUEUED, .job = jobs[i]};
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	return !a->dry;
}

/* Until it is done: looks at it itself when nobody has begun, at others when somebody is at it. */
static void finish(struct trib_ahead *a, struct slot *s)
{
	if (s->state == QUEUED) {
		s->state = RUNNING;
		run_slot(&a->own, s);
	}
	while (s->state == RUNNING) {
		struct slot *other = begin_next(a);
		if (other)
			run_slot(&a->own, other);
		else
			pthread_cond_wait(&a->done, &a->lock);
	}
}

struct trib_fore *trib_ahead_take(struct trib_ahead *a, const char *node, const char *app, const uint8_t oid[TRIB_OID_LEN])
{
	struct trib_fore *fore = NULL;
	uint64_t number = 0;
	while (fill(a))
		;
	pthread_mutex_lock(&a->lock);
	bool found = find(a, node, app, oid, &number);
	make_way(a, found, number);
	if (found) {
		struct slot *s = at(a, number);
		finish(a, s);
		fore = s->fore;
		s->fore = NULL;
		clear(a, s);
	}
	pthread_mutex_unlock(&a->lock);
	return fore;
}

void trib_ahead_pass(struct trib_ahead *a, const char *node, const char *app, const uint8_t oid[TRIB_OID_LEN])
{
	uint64_t number;
	pthread_mutex_lock(&a->lock);
	if (find(a, node, app, oid, &number))
		drop(a, at(a, number));
	pthread_mutex_unlock(&a->lock);
}

void trib_ahead_from(struct trib_ahead *a, trib_ahead_source fn, void *ctx)
{
	pthread_mutex_lock(&a->lock);
	for (uint64_t i = a->first; i < a->end; i++)
		drop(a, at(a, i));
	pthread_mutex_unlock(&a->lock);
	a->source = fn;
	a->ctx = ctx;
	a->dry = false;
}

/* ---- life ---- */

static bool sync_init(struct trib_ahead *a)
{
	if (pthread_mutex_init(&a->lock, NULL))
		return false;
	if (pthread_cond_init(&a->work, NULL) == 0) {
		if (pthread_cond_init(&a->done, NULL) == 0)
			return true;
		pthread_cond_destroy(&a->work);
	}
	pthread_mutex_destroy(&a->lock);
	return false;
}

int trib_ahead_new(unsigned jobs, const struct trib_trust *trust, struct trib_ahead **ret, struct trib_err *err)
{
	struct trib_ahead *a = calloc(1, sizeof(*a));
	unsigned more = jobs > TRIB_JOBS_MAX ? TRIB_JOBS_MAX - 1 : jobs > 1 ? jobs - 1 : 0;
	if (a)
		a->workers = calloc(more ? more : 1, sizeof(*a->workers));
	if (!a || !a->workers || !sync_init(a)) {
		free(a ? a->workers : NULL);
		free(a);
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for %u threads", jobs);
	}
	a->trust = *trust;
	a->trust.cert_ok = NULL;
	a->own.all = a;
	for (; a->nworkers < more; a->nworkers++) {
		a->workers[a->nworkers].all = a;
		if (pthread_create(&a->workers[a->nworkers].thread, NULL, worker_main, &a->workers[a->nworkers]))
			break; /* with fewer it takes longer */
	}
	*ret = a;
	return 0;
}

void trib_ahead_free(struct trib_ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->quit = true;
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	for (unsigned i = 0; i < a->nworkers; i++) {
		(void)pthread_join(a->workers[i].thread, NULL);
		worker_release(&a->workers[i]);
	}
	worker_release(&a->own);
	for (size_t i = 0; i < TRIB_AHEAD_COMMITS; i++) {
		trib_fore_free(a->slots[i].fore);
		free(a->slots[i].job.repo);
	}
	pthread_cond_destroy(&a->done);
	pthread_cond_destroy(&a->work);
	pthread_mutex_destroy(&a->lock);
	free(a->workers);
	free(a);
}
