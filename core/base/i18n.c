#include "core/base/i18n.h"

#include <limits.h>
#include <locale.h>

#include "core/base/fs.h"

static bool wants_chinese(const char *lang)
{
	if (lang)
		return strncmp(lang, "zh", 2) == 0;
	static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		const char *v = getenv(names[i]);
		if (v && *v)
			return strncmp(v, "zh", 2) == 0;
	}
	return false;
}

static char *catalogue_dir(void)
{
	const char *env = getenv("TRIBUTARY_LOCALEDIR");
	if (env)
		return strdup(env);
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = '\0';
		char *slash = strrchr(exe, '/');
		if (slash)
			*slash = '\0';
		char *beside = trib_path(exe, "locale");
		if (beside && trib_fs_exists(beside))
			return beside;
		free(beside);
	}
	return strdup(TRIB_LOCALEDIR);
}

void trib_i18n_init(const char *lang)
{
	/* LANGUAGE is gettext's own override; it works under C.UTF-8, so no system locale need exist. */
	if (wants_chinese(lang)) {
		setenv("LANGUAGE", "zh_CN", 1);
		if (!setlocale(LC_CTYPE, "") || !setlocale(LC_MESSAGES, "zh_CN.UTF-8")) {
			setlocale(LC_CTYPE, "C.UTF-8");
			setlocale(LC_MESSAGES, "C.UTF-8");
		}
	} else {
		unsetenv("LANGUAGE");
		setlocale(LC_CTYPE, "C.UTF-8");
	}
	TRIB_AUTO(trib_mem) char *dir = catalogue_dir();
	if (dir)
		bindtextdomain("tributary", dir);
	bind_textdomain_codeset("tributary", "UTF-8");
	textdomain("tributary");
}
