/* What lies where the hub keeps its own and nobody made: a city file of no application, a repository of no community, a ref that nothing sets. No leaf speaks of it, and
 * whoever is shown it takes it for the city's. */
#include <dirent.h>
#include <errno.h>

#include "hub/audit_impl.h"

struct strays {
	struct trib_audit *a;
	struct trib_hubdb now; /* the present one: `serve` makes files of what it learned after the snapshot */
	sqlite3_stmt *known;
	struct trib_where at;
};

/* 1 hub.db knows the community, or with node NULL the application; 0 not, -1. */
static int is_known(struct strays *s, const char *node, const char *app, struct trib_err *err)
{
	sqlite3_reset(s->known);
	sqlite3_clear_bindings(s->known);
	if (node)
		sqlite3_bind_text(s->known, 1, node, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s->known, 2, app, -1, SQLITE_TRANSIENT);
	int is = trib_db_step(s->now.db, s->known, err);
	sqlite3_reset(s->known);
	return is;
}

/* Calls fn for each name in the folder `rel`; a missing one has none. */
static int each(struct strays *s, const char *rel, int (*fn)(struct strays *s, const char *rel, const char *name, struct trib_err *err), struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(s->a->hub, rel);
	DIR *d = path ? opendir(path) : NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!d)
		return errno == ENOENT || errno == ENOTDIR ? 0 : trib_fail_errno(err, "opening %s", path);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = fn(s, rel, e->d_name, err);
	closedir(d);
	return rc;
}

/* The part of `name` before its ending; false when it ends otherwise. */
static bool cut(const char *name, const char *ending, char ret[TRIB_APP_MAX + 1])
{
	size_t n = strlen(name), e = strlen(ending);
	if (n <= e || strcmp(name + n - e, ending) != 0 || n - e > TRIB_APP_MAX)
		return false;
	(void)snprintf(ret, TRIB_APP_MAX + 1, "%.*s", (int)(n - e), name);
	return true;
}

static int find(struct strays *s, const char *rel, const char *name, struct trib_err *err)
{
	return trib_audit_find(s->a, &s->at, err, "%s/%.200s is nothing that this hub made: take it away", rel, name);
}

static int city_file(struct strays *s, const char *rel, const char *name, struct trib_err *err)
{
	char app[TRIB_APP_MAX + 1];
	if (!cut(name, ".db", app) && !cut(name, ".db-wal", app) && !cut(name, ".db-shm", app) && !cut(name, ".db-journal", app))
		return find(s, rel, name, err);
	int known = is_known(s, NULL, app, err);
	return known ? (known < 0 ? -1 : 0) : find(s, rel, name, err);
}

/* ---- repositories ---- */

/* Does the hub make a ref of this name? The branches; and in the city history what `recover` sets aside. */
static bool is_made(const struct strays *s, const char *name)
{
	static const char aside[] = "refs/tributary/before-";
	if (strcmp(name, "refs/heads/main") == 0)
		return true;
	if (s->at.node)
		return strcmp(name, "refs/heads/down") == 0;
	const char *n = name + sizeof(aside) - 1;
	return strncmp(name, aside, sizeof(aside) - 1) == 0 && *n && strspn(n, "0123456789") == strlen(n);
}

/* A ref's lock lives while it is written. */
static int ref(struct strays *s, const char *rel, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *sub = trib_path(rel, name);
	size_t n = strlen(name);
	if (!sub)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	const char *full = strstr(sub, ".git/refs/");
	if ((n > 5 && strcmp(name + n - 5, ".lock") == 0) || (full && is_made(s, full + 5)))
		return 0;
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(s->a->hub, sub);
	DIR *d = path ? opendir(path) : NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!d)
		return errno == ENOTDIR ? find(s, rel, name, err) : 0;
	closedir(d);
	return each(s, sub, ref, err);
}

/* Refs that stock git has packed. */
static int packed_refs(struct strays *s, const char *repo, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%s/packed-refs", s->a->hub->dir, repo);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	struct trib_err why;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(path))
		return 0;
	if (trib_fs_read(path, &b, &why))
		return trib_audit_find(s->a, &s->at, err, "%s/packed-refs: %s", repo, why.msg);
	trib_buf_putc(&b, '\0');
	if (trib_buf_check(&b, "packed-refs", err))
		return -1;
	for (char *line = (char *)b.p, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		const char *name = strchr(line, ' ');
		if (*line == '#' || *line == '^' || (name && is_made(s, name + 1)))
			continue;
		if (find(s, repo, name ? name + 1 : line, err))
			return -1;
	}
	return 0;
}

static int refs(struct strays *s, const char *repo, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_path(repo, "refs");
	return !dir ? trib_fail(err, TRIB_E_NOMEM, "out of memory") : each(s, dir, ref, err) || packed_refs(s, repo, err) ? -1 : 0;
}

static int repository(struct strays *s, const char *rel, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *sub = trib_path(rel, name);
	char app[TRIB_APP_MAX + 1];
	if (!sub)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int known = cut(name, ".git", app) ? is_known(s, strrchr(rel, '/') + 1, app, err) : 0;
	if (known <= 0)
		return known < 0 ? -1 : find(s, rel, name, err);
	s->at = (struct trib_where){.node = strrchr(rel, '/') + 1, .app = app};
	int rc = refs(s, sub, err);
	s->at = (struct trib_where){0};
	return rc;
}

static int office(struct strays *s, const char *rel, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *sub = trib_path(rel, name);
	return sub ? each(s, sub, repository, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
}

int trib_audit_strays(struct trib_audit *a, struct trib_err *err)
{
	struct strays s = {.a = a};
	int rc = trib_hubdb_open(a->hub, false, &s.now, err) || trib_db_prepare(s.now.db, "SELECT 1 FROM node WHERE app = ?2 AND (?1 IS NULL OR node = ?1) LIMIT 1", &s.known, err) ||
			 each(&s, "city", city_file, err) || each(&s, "repos", office, err) || refs(&s, "city.git", err)
			 ? -1
			 : 0;
	sqlite3_finalize(s.known);
	trib_hubdb_close(&s.now);
	return rc;
}
