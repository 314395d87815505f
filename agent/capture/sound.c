#include "agent/capture/sound.h"

#include "core/base/i18n.h"
#include "core/base/limits.h"
#include "core/store/schema.h"

#define READINGS 4 /* of a table in one capture: rows with a key, without one, both parts of a changed schema */

int trib_damaged(struct trib_err *err, struct trib_span what)
{
	return trib_fail(err, TRIB_E_SCHEMA, _("the database file is damaged (%.*s); nothing was changed; look at it with `PRAGMA integrity_check`, or bring "
			 "back its last good state with `tributary-agent restore`"), (int)(what.n < 200 ? what.n : 200), (const char *)what.p);
}

int trib_ask_sqlite(sqlite3 *db, const char *table, struct trib_err *err)
{
	static const char head[] = "*** in database ";
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(4 * TRIB_NAME_MAX);
	trib_buf_puts(&sql, "PRAGMA main.quick_check(");
	if (table)
		trib_sql_ident(&sql, table);
	else
		trib_buf_puts(&sql, "1");
	trib_buf_puts(&sql, ")");
	/* CHECK constraints are the application's affair, and may take any time. */
	if (trib_buf_check(&sql, "a PRAGMA", err) || trib_db_exec(db, "PRAGMA ignore_check_constraints=ON", err))
		return -1;
	if (sqlite3_prepare_v2(db, trib_buf_str(&sql), -1, &st, NULL))
		return (sqlite3_errcode(db) & 0xff) == SQLITE_CORRUPT ? trib_damaged(err, trib_span_str(sqlite3_errmsg(db))) : 0;
	int rc = sqlite3_step(st) & 0xff; /* what is wrong with the pages comes first */
	const char *says = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : rc == SQLITE_CORRUPT ? sqlite3_errmsg(db) : NULL;
	if (!says || (rc == SQLITE_ROW && strncmp(says, head, sizeof(head) - 1) != 0))
		return 0;
	const char *line = strchr(says, '\n');
	line = line ? line + 1 : says;
	return trib_damaged(err, trib_span(line, strcspn(line, "\n")));
}

int trib_spent_init(sqlite3 *db, size_t page_size, bool ask, struct trib_spent *ret, struct trib_err *err)
{
	int64_t pages = 0;
	if (trib_db_int(db, "PRAGMA main.page_count", 0, &pages, err))
		return -1;
	uint64_t size = (uint64_t)pages * page_size;
	*ret = (struct trib_spent){.db = ask ? db : NULL, .ask_at = READINGS * size, .limit = TRIB_READ_FLOOR + TRIB_READ_TIMES * size};
	return 0;
}

int trib_spend(struct trib_spent *s, uint64_t bytes, struct trib_err *err)
{
	s->bytes += bytes;
	if (s->bytes <= s->ask_at)
		return 0;
	if (s->db && trib_ask_sqlite(s->db, NULL, err))
		return -1;
	s->db = NULL;
	if (s->bytes <= s->limit)
		return 0;
	return trib_fail(err, TRIB_E_LIMIT, _("its rows give more than %llu MiB, many times the size of the file, which the default values of added columns can do; nothing was "
			 "changed; give the column a shorter default, or write the values out once (UPDATE table SET column = column)"),
			 (unsigned long long)(s->limit / TRIB_MIB));
}
