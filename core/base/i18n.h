/* i18n.h: user-visible text in English and Chinese through libc's gettext (STYLE habit 19).
 *
 * English is in the source, the zh_CN catalogue in po/zh_CN.po. `_("...")` translates at use, `N_("...")` only marks text
 * in tables. A zh locale works even where the system has not generated it (minimal installations). */
#ifndef TRIB_I18N_H
#define TRIB_I18N_H

#include <libintl.h>

#include "core/base/base.h"

#define _(text) gettext(text)
#define N_(text) text

/* Call first in main. `lang` (may be NULL) is --lang: "zh_CN" or "en"; else LC_ALL, LC_MESSAGES, LANG decide.
 * The catalogue is sought in TRIBUTARY_LOCALEDIR, else beside the running program (build tree), else in the installed place. */
void trib_i18n_init(const char *lang);

#endif
