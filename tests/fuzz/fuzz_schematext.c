/* Any text: refused, or written again as the same bytes, already sorted, and each table is found. */
#include "core/format/schematext.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_err err = {0};
	TRIB_AUTO(trib_schematext) struct trib_schematext s = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SCHEMA_MAX);
	if (trib_schematext_parse(trib_span(data, size), &s, &err)) {
		MUST(err.msg[0] && !s.tables);
		return 0;
	}
	trib_schematext_sort(&s);
	trib_schematext_put(&b, &s);
	MUST(trib_span_eq(trib_buf_span(&b), trib_span(data, size)));
	for (size_t i = 0; i < s.ntables && i < 16; i++) {
		trib_buf_reset(&b);
		trib_buf_printf(&b, "%s%s", s.tables[i].bag ? "SQLITE_bag_" : "", s.tables[i].name);
		MUST(trib_schematext_find(&s, trib_buf_span(&b)) == &s.tables[i]);
	}
	return 0;
}
