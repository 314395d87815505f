/* badpack.c: writes the body of a POST git-receive-pack with a hostile pack to stdout: badpack KIND OLD-OID NEW-OID. */
#include <err.h>

#include "core/format/pktline.h"
#include "tests/lib/packmaker.h"

static struct trib_buf pack = TRIB_BUF(512 * TRIB_MIB);
static struct trib_buf delta = TRIB_BUF(TRIB_MIB);

static struct trib_span text(const char *s) { return trib_span(s, strlen(s)); }

static void blob_oid(uint8_t ret[TRIB_OID_LEN], const char *s) { trib_git_oid(ret, "blob", text(s)); }

/* A compressed run of zeros that declares `declared` bytes and really has `real`. */
static void zeros(uint64_t declared, uint64_t real)
{
	static uint8_t out[65536], in[65536];
	z_stream z = {0};
	pk_head(&pack, 3, declared);
	if (deflateInit(&z, 9) != Z_OK)
		errx(9, "zlib");
	for (int rc = Z_OK; rc != Z_STREAM_END;) {
		if (z.avail_in == 0 && real) {
			z.next_in = in;
			z.avail_in = real < sizeof(in) ? (uInt)real : (uInt)sizeof(in);
			real -= z.avail_in;
		}
		z.next_out = out;
		z.avail_out = sizeof(out);
		rc = deflate(&z, real ? Z_NO_FLUSH : Z_FINISH);
		trib_buf_put(&pack, out, sizeof(out) - z.avail_out);
	}
	deflateEnd(&z);
}

/* libgit2's indexer never ends on this one: a delta whose result is in the pack already (research of the worker's design). */
static void loop_case(void)
{
	uint8_t base[TRIB_OID_LEN];
	blob_oid(base, "aaaaaaaaaaaaaaaa");
	pk_begin(&pack, 3);
	pk_object(&pack, 3, text("aaaaaaaaaaaaaaaa"));
	pk_object(&pack, 3, text("aaaaaaaaaaaaaaaab"));
	pk_delta(&delta, 16, 17);
	pk_copy(&delta, 0, 16);
	pk_insert(&delta, "b");
	pk_ref_delta(&pack, base, trib_buf_span(&delta));
}

static void missing_base(void)
{
	uint8_t base[TRIB_OID_LEN];
	memset(base, 0x77, sizeof(base));
	pk_begin(&pack, 1);
	pk_delta(&delta, 16, 17);
	pk_copy(&delta, 0, 16);
	pk_insert(&delta, "b");
	pk_ref_delta(&pack, base, trib_buf_span(&delta));
}

/* 17 kB that make 3 GB: copies of the same block again and again. */
static void delta_bomb(void)
{
	struct trib_buf base = TRIB_BUF(TRIB_MIB);
	memset(trib_buf_grow(&base, 0xffff), 'x', 0xffff);
	pk_begin(&pack, 2);
	pk_object(&pack, 3, trib_buf_span(&base));
	pk_delta(&delta, base.len, (uint64_t)0xffff * 46000);
	for (int i = 0; i < 46000; i++)
		pk_copy(&delta, 0, 0xffff);
	uint8_t oid[TRIB_OID_LEN];
	trib_git_oid(oid, "blob", trib_buf_span(&base));
	pk_ref_delta(&pack, oid, trib_buf_span(&delta));
	trib_buf_release(&base);
}

static void make(const char *kind)
{
	if (!strcmp(kind, "bad-type")) {
		pk_begin(&pack, 1);
		pk_object(&pack, 5, text("type five"));
	} else if (!strcmp(kind, "size-too-large")) {
		pk_begin(&pack, 1);
		pk_object_sized(&pack, 3, text("x"), UINT64_C(8) << 30);
	} else if (!strcmp(kind, "size-too-small")) {
		pk_begin(&pack, 1);
		pk_object_sized(&pack, 3, text("more than one byte"), 1);
	} else if (!strcmp(kind, "bomb")) {
		pk_begin(&pack, 1);
		zeros(UINT64_C(2) << 30, UINT64_C(2) << 30);
	} else if (!strcmp(kind, "hidden-bomb")) {
		pk_begin(&pack, 1);
		zeros(100, UINT64_C(1) << 30);
	} else if (!strcmp(kind, "delta-bomb")) {
		delta_bomb();
	} else if (!strcmp(kind, "missing-base")) {
		missing_base();
	} else if (!strcmp(kind, "loop")) {
		loop_case();
	} else if (!strcmp(kind, "count")) {
		pk_begin(&pack, 4294967280u);
		pk_object(&pack, 3, text("x"));
	} else if (!strcmp(kind, "truncated")) {
		pk_begin(&pack, 1);
		pk_object(&pack, 3, text("cut off"));
		pack.len -= 3;
		return;
	} else if (!strcmp(kind, "trailing")) {
		pk_begin(&pack, 1);
		pk_object(&pack, 3, text("x"));
		pk_end(&pack);
		trib_buf_puts(&pack, "junk behind the end");
		return;
	} else if (!strcmp(kind, "unknown-tip")) {
		pk_begin(&pack, 1);
		pk_object(&pack, 3, text("not the commit that was named"));
	} else {
		errx(2, "badpack: no kind %s", kind);
	}
	pk_end(&pack);
}

int main(int argc, char **argv)
{
	TRIB_AUTO(trib_buf) struct trib_buf head = TRIB_BUF(4096);
	if (argc != 4)
		errx(2, "usage: badpack KIND OLD-OID NEW-OID");
	trib_pkt_printf(&head, "%s %s refs/heads/main%c report-status side-band-64k agent=badpack", argv[2], argv[3], 0);
	trib_pkt_flush(&head);
	make(argv[1]);
	if (fwrite(head.p, 1, head.len, stdout) != head.len || fwrite(pack.p, 1, pack.len, stdout) != pack.len || fflush(stdout))
		err(9, "badpack");
	return 0;
}
