/* The bytes of C2SP tlog-witness and tlog-cosignature: known answers from the texts and from a public log, and every refusal of the parsers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/format/witness.h"
#include "core/trust/cosign.h"
#include "core/trust/receipt.h"

#define DASH "\xe2\x80\x94 "

/* The example of c2sp.org/tlog-cosignature (its key is not published with it). */
static const char example[] = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
	DASH "example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
	DASH "witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

static void the_example_of_the_text_is_read_as_it_says(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint c;
	TRIB_AUTO(trib_buf) struct trib_buf msg = TRIB_BUF(1024), again = TRIB_BUF(1024);
	assert_int_equal(trib_checkpoint_parse(trib_span_str(example), &c, &err), 0);
	assert_int_equal(c.nsigs, 1);
	assert_int_equal(c.ncosigs, 1);
	assert_true(trib_span_is(c.cosigs[0].key_name, "witness.example.com/w1"));
	assert_memory_equal(c.cosigs[0].key_id, "\x8d\x66\xcf\x3f", 4);
	assert_int_equal(c.cosigs[0].time, 1679315147);
	trib_cosig_message(&msg, c.cosigs[0].time, c.text);
	assert_string_equal(trib_buf_str(&msg), "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
	trib_checkpoint_put_text(&again, "example.com/behind-the-sofa", c.size, c.root);
	trib_note_put_sig(&again, "example.com/behind-the-sofa", c.sigs[0].key_id, c.sigs[0].sig);
	trib_note_put_cosig(&again, "witness.example.com/w1", c.cosigs[0].key_id, c.cosigs[0].time, c.cosigs[0].sig);
	assert_string_equal(trib_buf_str(&again), example);
}

/* A checkpoint of a public Certificate Transparency log of 23 May 2026 with the cosignatures of four independent public witnesses. */
static const char public_log[] = "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n"
	DASH "arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n"
	DASH "arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n"
	DASH "transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n"
	DASH "witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n"
	DASH "remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n"
	DASH "witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";
static const char *const public_witnesses[] = {
	"transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
	"witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
	"remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
	"witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
};

static void public_witnesses_verify(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint c;
	struct trib_vkey k;
	int64_t at;
	assert_int_equal(trib_checkpoint_parse(trib_span_str(public_log), &c, &err), 0);
	assert_int_equal(c.nsigs, 1); /* the RFC 6962 signature is of another length */
	assert_int_equal(c.ncosigs, 4);
	for (size_t i = 0; i < TRIB_COUNT(public_witnesses); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_VKEY_TEXT_MAX);
		assert_int_equal(trib_vkey_parse(trib_span_str(public_witnesses[i]), TRIB_VKEY_WITNESS, &k, &err), 0);
		trib_vkey_put(&text, &k);
		assert_string_equal(trib_buf_str(&text), public_witnesses[i]);
		assert_int_equal(trib_cosig_verify(&c, &k, &at, &err), 1);
		assert_int_equal(at, 1779573024);
		/* Another size, another time, another key: none of it is what was signed. */
		struct trib_checkpoint other = c;
		other.cosigs[i].time++;
		assert_int_equal(trib_cosig_verify(&other, &k, &at, &err), -1);
		assert_int_equal(err.code, TRIB_E_SIGNATURE);
		k.pub[0] ^= 1;
		assert_int_equal(trib_cosig_verify(&c, &k, &at, &err), -1);
		k.pub[0] ^= 1;
		k.id[0] ^= 1; /* a stranger's line is passed over */
		assert_int_equal(trib_cosig_verify(&c, &k, &at, &err), 0);
	}
	assert_int_equal(trib_vkey_parse(trib_span_str("arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"), TRIB_VKEY_LOG, &k, &err), 0);
	assert_memory_equal(k.id, c.sigs[0].key_id, 4);
	assert_int_equal(trib_ed25519_verify(k.pub, c.text, c.sigs[0].sig, &err), 0);
}

static void damaged_verifier_keys_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		"+",
		"x",
		"x+da77ade7",
		"+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
		"remora.n621.de+da77ade8+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
		"remora.n621.dE+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
		"remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw",
		"remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2\n",
		"remora.n621.de+DA77ADE7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
		"re mora+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
		"arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f", /* a log's */
	};
	struct trib_err err;
	struct trib_vkey k;
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		assert_int_equal(trib_vkey_parse(trib_span_str(wrong[i]), TRIB_VKEY_WITNESS, &k, &err), -1);
		assert_int_equal(err.code, TRIB_E_USAGE);
	}
}

static void what_we_cosign_verifies(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_key *key = NULL;
	struct trib_vkey self;
	struct trib_checkpoint c;
	uint8_t pub[32], root[TRIB_SHA256_LEN] = {3};
	int64_t at;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	assert_int_equal(trib_key_make(TRIB_KEY_ED25519, &key, &err), 0);
	assert_int_equal(trib_key_ed25519_public(key, pub, &err), 0);
	assert_int_equal(trib_vkey_make("province.example/w", TRIB_VKEY_WITNESS, pub, &self, &err), 0);
	trib_checkpoint_put_text(&note, "zunyi/1", 9, root);
	size_t text = note.len;
	TRIB_AUTO(trib_buf) struct trib_buf copy = TRIB_BUF(TRIB_NOTE_MAX);
	trib_buf_put(&copy, note.p, text);
	assert_int_equal(trib_cosign(key, &self, 1764097200, trib_buf_span(&copy), &note, &err), 0);
	assert_int_equal(trib_cosign(key, &self, 1764097300, trib_buf_span(&copy), &note, &err), 0);
	assert_int_equal(trib_checkpoint_parse(trib_buf_span(&note), &c, &err), 0);
	assert_int_equal(trib_cosig_verify(&c, &self, &at, &err), 1);
	assert_int_equal(at, 1764097300); /* the newest of both */
	c.cosigs[0].sig[5] ^= 1;          /* one that does not verify condemns the note */
	assert_int_equal(trib_cosig_verify(&c, &self, &at, &err), -1);
	assert_int_equal(trib_cosign(key, &self, 0, trib_buf_span(&copy), &note, &err), -1);
	/* The witness's key over the bare text is no cosignature. */
	c.cosigs[0].time = 0;
	assert_int_equal(trib_cosig_verify(&c, &self, &at, &err), -1);
	trib_key_free(key);
}

static const char request[] = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
			      "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n";

/* The example of c2sp.org/tlog-witness: its hashes are the ones that lead from 20852014 leaves to the root it names. */
static void the_request_of_the_text_is_read_as_it_says(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_add_checkpoint r;
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(TRIB_ADD_CHECKPOINT_MAX), again = TRIB_BUF(TRIB_ADD_CHECKPOINT_MAX);
	trib_buf_puts(&body, request);
	trib_buf_puts(&body, example);
	assert_int_equal(trib_add_checkpoint_parse(trib_buf_span(&body), &r, &err), 0);
	assert_int_equal(r.old, 20852014);
	assert_int_equal(r.nproof, 4);
	assert_int_equal(r.proof[0][0], 0x3e);
	assert_true(trib_span_is(r.note, example));
	trib_add_checkpoint_put(&again, r.old, (const uint8_t(*)[TRIB_SHA256_LEN])r.proof, r.nproof, r.note);
	assert_true(trib_span_eq(trib_buf_span(&again), trib_buf_span(&body)));
	for (size_t n = 0; n < strlen(request); n++)
		assert_int_equal(trib_add_checkpoint_parse(trib_span(body.p, n), &r, &err), -1);
}

static void damaged_requests_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"", "\n", "old\n\nx", "old \n\nx", "old 01\n\nx", "old -1\n\nx", "old 9223372036854775808\n\nx", "new 1\n\nx", "old 1\r\n\nx", " old 1\n\nx", "old 1 \n\nx",
		"old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw\n\nx", "old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkax=\n\nx", "old 1\nnonsense\n\nx", "old 1\n\n",
	};
	struct trib_err err;
	struct trib_add_checkpoint r;
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		assert_int_equal(trib_add_checkpoint_parse(trib_span_str(wrong[i]), &r, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
	for (size_t n = 63; n <= 64; n++) { /* at the limit, and one beyond */
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_ADD_CHECKPOINT_MAX);
		trib_buf_puts(&b, "old 1\n");
		for (size_t i = 0; i < n; i++)
			trib_buf_puts(&b, "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n");
		trib_buf_puts(&b, "\nx");
		assert_int_equal(trib_add_checkpoint_parse(trib_buf_span(&b), &r, &err), n == 63 ? 0 : -1);
	}
	TRIB_AUTO(trib_buf) struct trib_buf big = TRIB_BUF(2 * TRIB_ADD_CHECKPOINT_MAX);
	trib_buf_puts(&big, "old 1\n\n");
	while (big.len < TRIB_ADD_CHECKPOINT_MAX)
		trib_buf_putc(&big, 'x');
	assert_int_equal(trib_add_checkpoint_parse(trib_buf_span(&big), &r, &err), 0);
	trib_buf_putc(&big, 'x');
	assert_int_equal(trib_add_checkpoint_parse(trib_buf_span(&big), &r, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

static void sizes_are_decimal_and_a_line(void **state)
{
	(void)state;
	uint64_t v;
	assert_true(trib_tlog_size_parse(trib_span_str("20852014\n"), &v));
	assert_int_equal(v, 20852014);
	assert_true(trib_tlog_size_parse(trib_span_str("0\n"), &v));
	static const char *const wrong[] = {"", "\n", "1", "01\n", "1\n\n", " 1\n", "1 \n", "-1\n", "9223372036854775808\n", "1\r\n", "1x\n"};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_false(trib_tlog_size_parse(trib_span_str(wrong[i]), &v));
}

static void witnessed_blobs_round_trip(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_witnessed w;
	struct trib_witnessed_note one;
	uint8_t proof[2][TRIB_SHA256_LEN] = {{1}, {2}};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_WITNESSED_MAX);
	trib_witnessed_begin(&b);
	trib_witnessed_put(&b, (const uint8_t(*)[TRIB_SHA256_LEN])proof, 2, trib_span_str(example));
	size_t first = b.len;
	trib_witnessed_put(&b, NULL, 0, trib_span_str(public_log));
	assert_int_equal(trib_witnessed_parse(trib_buf_span(&b), &w, &err), 0);
	assert_int_equal(trib_witnessed_next(&w, &one, &err), 1);
	assert_int_equal(one.nproof, 2);
	assert_int_equal(one.proof[1][0], 2);
	assert_true(trib_span_is(one.note, example));
	assert_int_equal(trib_witnessed_next(&w, &one, &err), 1);
	assert_int_equal(one.nproof, 0);
	assert_int_equal(trib_witnessed_next(&w, &one, &err), 0);
	for (size_t n = 0; n < b.len; n++) { /* cut anywhere: refused, or exactly between the notes */
		if (trib_witnessed_parse(trib_span(b.p, n), &w, &err))
			continue;
		int got;
		while ((got = trib_witnessed_next(&w, &one, &err)) > 0)
			;
		assert_int_equal(got, n == first || n == strlen("format tributary-witnessed-1\n") ? 0 : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_text_is_read_as_it_says),
		cmocka_unit_test(public_witnesses_verify),
		cmocka_unit_test(damaged_verifier_keys_are_refused),
		cmocka_unit_test(what_we_cosign_verifies),
		cmocka_unit_test(the_request_of_the_text_is_read_as_it_says),
		cmocka_unit_test(damaged_requests_are_refused),
		cmocka_unit_test(sizes_are_decimal_and_a_line),
		cmocka_unit_test(witnessed_blobs_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
