#include "core/base/progress.h"

#include "core/base/clock.h"

void trib_progress_init(struct trib_progress *p, const char *label, bool quiet)
{
	const char *term = getenv("TERM");
	*p = (struct trib_progress){.label = label};
	p->on = !quiet && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

void trib_progress_step(struct trib_progress *p, uint64_t done, uint64_t total)
{
	if (!p->on)
		return;
	int64_t now = trib_mono_ms();
	if (now - p->last_ms < 100)
		return;
	p->last_ms = now;
	p->shown = true;
	if (total)
		fprintf(stderr, "\r%s %llu/%llu (%u %%)\033[K", p->label, (unsigned long long)done,
			(unsigned long long)total, (unsigned)(done * 100 / total));
	else
		fprintf(stderr, "\r%s %llu\033[K", p->label, (unsigned long long)done);
	fflush(stderr);
}

void trib_progress_done(struct trib_progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
