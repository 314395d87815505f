#include "hub/slip.h"

#include <qrencode.h>

#include "core/base/i18n.h"

#define QUIET 4     /* modules of light around the code (ISO/IEC 18004) */
#define QUIET_TTY 2
#define SIDE_MM 70  /* of the printed code: a phone reads 0.8 mm modules */
#define CODE_GROUP 5
#define CA_GROUP 8

static int make(struct trib_span text, QRcode **ret, struct trib_err *err)
{
	QRcode *q = text.n <= INT32_MAX ? QRcode_encodeData((int)text.n, text.p, 0, QR_ECLEVEL_M) : NULL;
	if (!q)
		return trib_fail(err, TRIB_E_LIMIT, "the slip's %zu bytes do not fit into a QR code", text.n);
	*ret = q;
	return 0;
}

static bool dark(const QRcode *q, int x, int y)
{
	return x >= 0 && y >= 0 && x < q->width && y < q->width && q->data[y * q->width + x] & 1;
}

int trib_slip_qr(struct trib_span text, bool colours, struct trib_buf *ret, struct trib_err *err)
{
	/* upper light: 1, lower light: 2 */
	static const char *const cells[] = {" ", "\u2580", "\u2584", "\u2588"};
	QRcode *q = NULL;
	if (make(text, &q, err))
		return -1;
	for (int y = -QUIET_TTY; y < q->width + QUIET_TTY; y += 2) {
		trib_buf_puts(ret, colours ? "\033[40;97m" : "");
		for (int x = -QUIET_TTY; x < q->width + QUIET_TTY; x++)
			trib_buf_puts(ret, cells[!dark(q, x, y) + 2 * !dark(q, x, y + 1)]);
		trib_buf_puts(ret, colours ? "\033[0m\n" : "\n");
	}
	QRcode_free(q);
	return trib_buf_check(ret, "QR code", err);
}

/* ---- the sheet ---- */

static void put_xml(struct trib_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '&' || *s == '<' || *s == '>' || *s == '"')
			trib_buf_printf(b, "&#%d;", *s);
		else
			trib_buf_putc(b, (uint8_t)*s < 0x20 || *s == 0x7f ? '?' : (uint8_t)*s);
	}
}

static void put_line(struct trib_buf *b, int y, const char *style, const char *text)
{
	trib_buf_printf(b, "<text x=\"10\" y=\"%d\" %s>", y, style);
	put_xml(b, text);
	trib_buf_puts(b, "</text>\n");
}

static void put_field(struct trib_buf *b, int y, const char *label, const char *value)
{
	put_line(b, y, "class=\"l\"", label);
	trib_buf_printf(b, "<text x=\"42\" y=\"%d\" class=\"v\">", y);
	put_xml(b, value);
	trib_buf_puts(b, "</text>\n");
}

/* "AAAAA BBBBB ...": `per` letters a group, from `from` on. */
static void grouped(char *ret, size_t size, const char *s, size_t n, size_t per)
{
	size_t at = 0;
	for (size_t i = 0; i < n && s[i] && at + 2 < size; i++) {
		if (i && i % per == 0)
			ret[at++] = ' ';
		ret[at++] = s[i];
	}
	ret[at] = '\0';
}

static void put_code(struct trib_buf *b, const QRcode *q)
{
	int all = q->width + 2 * QUIET;
	trib_buf_printf(b, "<svg x=\"39\" y=\"96\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n<path d=\"",
			SIDE_MM, SIDE_MM, all, all, all, all);
	for (int y = 0; y < q->width; y++)
		for (int x = 0; x < q->width; x++)
			if (dark(q, x, y))
				trib_buf_printf(b, "M%d %dh1v1h-1z", x + QUIET, y + QUIET);
	trib_buf_puts(b, "\"/>\n</svg>\n");
}

int trib_slip_sheet(const struct trib_slip *s, const char *city, const char *name, struct trib_span text, struct trib_buf *ret, struct trib_err *err)
{
	char when[17], code[64], hex[TRIB_SHA256_HEX + 1], ca[128], who[TRIB_NODE_MAX + TRIB_APP_MAX + 8];
	QRcode *q = NULL;
	if (make(text, &q, err))
		return -1;
	trib_time_city(when, s->expires);
	grouped(code, sizeof(code), s->code, TRIB_CODE_LEN, CODE_GROUP);
	trib_hex(hex, s->ca, TRIB_SHA256_LEN);
	(void)snprintf(who, sizeof(who), "%s / %s", s->node, s->app);
	trib_buf_puts(ret, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"148mm\" height=\"210mm\" viewBox=\"0 0 148 210\">\n"
			   "<style>text{font-family:'Noto Sans CJK SC','WenQuanYi Micro Hei',sans-serif;font-size:4px}.t{font-size:7px;font-weight:bold}.l{fill:#555}.v{font-size:4.2px}</style>\n"
			   "<rect width=\"148\" height=\"210\" fill=\"#fff\"/>\n");
	put_line(ret, 16, "class=\"t\"", _("Enrolment slip"));
	put_field(ret, 28, _("city"), city);
	put_field(ret, 36, _("community"), name);
	put_field(ret, 44, _("node / app"), who);
	put_field(ret, 52, _("hub"), s->url);
	put_field(ret, 60, _("valid until"), when);
	put_field(ret, 68, _("code"), code);
	grouped(ca, sizeof(ca), hex, TRIB_SHA256_HEX / 2, CA_GROUP);
	put_field(ret, 76, _("CA (SHA-256)"), ca);
	grouped(ca, sizeof(ca), hex + TRIB_SHA256_HEX / 2, TRIB_SHA256_HEX / 2, CA_GROUP);
	put_field(ret, 82, "", ca);
	put_line(ret, 91, "class=\"l\"", _("What the QR code holds is the slip. Save it as a file, then:"));
	put_code(ret, q);
	QRcode_free(q);
	put_line(ret, 176, "class=\"v\"", "tributary-agent enrol --slip FILE --wait 600");
	put_line(ret, 186, "class=\"l\"", _("The slip serves one machine, once. Whoever has it can ask in the office's name:"));
	put_line(ret, 192, "class=\"l\"", _("hand it over in person, and call the city when the request was sent."));
	trib_buf_puts(ret, "</svg>\n");
	return trib_buf_check(ret, "slip", err);
}
