/* replay.c: runs a corpus through a fuzz target under any compiler. Arguments are files and directories
 * (not descended further). One TAP line a file; a small file is also run cut at every byte and with every
 * single bit flipped. A property that fails aborts the program, which the harness sees as a failure;
 * so does a run that ran nothing. */
#include <dirent.h>
#include <sys/stat.h>

#include "core/base/fs.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MAX (16u << 20)
#define SMALL 2048

/* Each run gets a block of its own size, so that a sanitizer sees a read past the end. */
static bool run(const uint8_t *p, size_t n)
{
	TRIB_AUTO(trib_mem) uint8_t *own = malloc(n ? n : 1);
	if (!own)
		return false;
	if (n)
		memcpy(own, p, n);
	(void)LLVMFuzzerTestOneInput(own, n);
	return true;
}

static bool replay_file(const char *path)
{
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(FILE_MAX);
	if (trib_fs_read(path, &b, &err)) {
		printf("# %s\n", err.msg);
		return false;
	}
	bool good = run(b.p, b.len);
	if (b.len >= SMALL)
		return good;
	for (size_t n = 0; n < b.len && good; n++)
		good = run(b.p, n);
	for (size_t bit = 0; bit < b.len * 8 && good; bit++) {
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		good = run(b.p, b.len);
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	return good;
}

struct tally { unsigned ran, failed; };

static void one(struct tally *t, const char *path)
{
	/* Said before the run: an abort then leaves the name of its file behind. */
	printf("# %s\n", path);
	fflush(stdout);
	bool good = replay_file(path);
	t->ran++;
	t->failed += !good;
	printf("%s %u - %s\n", good ? "ok" : "not ok", t->ran, path);
	fflush(stdout);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void argument(struct tally *t, const char *path)
{
	struct stat st;
	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		one(t, path);
		return;
	}
	struct dirent **list = NULL;
	int n = scandir(path, &list, NULL, by_name);
	if (n < 0) {
		printf("# %s: cannot be listed\n", path);
		t->failed++;
	}
	for (int i = 0; i < n; i++) {
		TRIB_AUTO(trib_mem) char *file = list[i]->d_name[0] == '.' ? NULL : trib_path(path, list[i]->d_name);
		if (file && stat(file, &st) == 0 && S_ISREG(st.st_mode))
			one(t, file);
		free(list[i]);
	}
	free(list);
}

int main(int argc, char **argv)
{
	struct tally t = {0};
	for (int i = 1; i < argc; i++)
		argument(&t, argv[i]);
	if (t.ran == 0)
		printf("not ok 1 - nothing to replay\n");
	printf("1..%u\n", t.ran ? t.ran : 1);
	if (fflush(stdout) || ferror(stdout))
		return 1;
	return t.ran == 0 || t.failed ? 1 : 0;
}
