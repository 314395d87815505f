#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "hub/slots.h"

static struct trib_from address(unsigned n)
{
	struct sockaddr_storage sa = {0};
	struct sockaddr_in four = {.sin_family = AF_INET};
	four.sin_addr.s_addr = htonl(0x0a000000u + n);
	memcpy(&sa, &four, sizeof(four));
	return trib_from_address(&sa);
}

static struct trib_from six(const char *text)
{
	struct sockaddr_storage sa = {0};
	struct sockaddr_in6 a = {.sin6_family = AF_INET6};
	assert_int_equal(inet_pton(AF_INET6, text, &a.sin6_addr), 1);
	memcpy(&sa, &a, sizeof(a));
	return trib_from_address(&sa);
}

static bool equal(struct trib_from a, struct trib_from b) { return memcmp(&a, &b, sizeof(a)) == 0; }

/* What the supervisor does with an answer of trib_slots_next. */
static int start(struct trib_slots *s, int64_t now)
{
	struct trib_queued q;
	size_t end;
	if (!trib_slots_next(s, now, &q, &end))
		return -1;
	assert_true(s->n < TRIB_WORKERS_MAX);
	s->at[s->n++] = (struct trib_slot){.pid = 1000 + q.fd, .said = -1, .from = q.from, .started = now};
	return q.fd;
}

static size_t to_end(struct trib_slots *s, int64_t now)
{
	struct trib_queued q;
	size_t end;
	assert_false(trib_slots_next(s, now, &q, &end));
	return end;
}

static void an_ipv6_network_is_one_peer(void **state)
{
	(void)state;
	assert_true(equal(six("2001:db8:1:2::1"), six("2001:db8:1:2:ffff::9")));
	assert_false(equal(six("2001:db8:1:2::1"), six("2001:db8:1:3::1")));
	assert_true(equal(six("::ffff:10.0.0.7"), address(7)));
	assert_false(equal(address(7), address(8)));
}

static void one_address_cannot_take_all_workers(void **state)
{
	(void)state;
	struct trib_slots s = {.n = 0};
	for (int i = 0; i < 40; i++)
		assert_int_equal(trib_slots_arrive(&s, i, address(1), 0), -1);
	for (int i = 0; i < TRIB_ADDRESS_STRANGERS_MAX; i++)
		assert_int_equal(start(&s, 0), i);
	assert_int_equal(start(&s, 0), -1); /* one over the bound waits */
	assert_int_equal(trib_slots_arrive(&s, 100, address(2), 0), -1);
	assert_int_equal(start(&s, 0), 100); /* somebody else passes by */
}

static void strangers_in_all_leave_room_for_those_who_are_known(void **state)
{
	(void)state;
	struct trib_slots s = {.n = 0};
	for (int i = 0; i < TRIB_STRANGERS_MAX; i++) {
		trib_slots_arrive(&s, i, address((unsigned)i), 0);
		assert_int_equal(start(&s, 0), i);
	}
	trib_slots_arrive(&s, 100, address(100), 0);
	assert_int_equal(start(&s, 0), -1);
	s.at[5].known = true; /* has shown its certificate: not a stranger's place any more */
	assert_int_equal(start(&s, 0), 100);
	for (size_t i = 0; i < s.n; i++)
		s.at[i].known = true;
	for (int i = 200; s.n < TRIB_WORKERS_MAX; i++) {
		trib_slots_arrive(&s, i, address((unsigned)i), 0);
		assert_int_equal(start(&s, 0), i);
	}
	trib_slots_arrive(&s, 300, address(300), 0);
	assert_int_equal(start(&s, 0), -1);
}

static void the_oldest_stranger_makes_room_after_its_grace(void **state)
{
	(void)state;
	struct trib_slots s = {.n = 0};
	for (int i = 0; i < TRIB_ADDRESS_STRANGERS_MAX; i++) {
		trib_slots_arrive(&s, i, address(1), i);
		assert_int_equal(start(&s, i), i);
	}
	assert_int_equal(trib_slots_due(&s, 20), INT64_MAX); /* nobody waits: nobody is looked at */
	trib_slots_arrive(&s, 100, address(1), 20);
	assert_int_equal(to_end(&s, TRIB_STRANGER_GRACE_MS - 1), SIZE_MAX);
	assert_int_equal(trib_slots_due(&s, 20), TRIB_STRANGER_GRACE_MS);
	assert_int_equal(to_end(&s, TRIB_STRANGER_GRACE_MS), 0);
	s.at[0].killed = true;
	assert_int_equal(to_end(&s, TRIB_STRANGER_GRACE_MS + 9), SIZE_MAX); /* one is going: no second for the same place */
	s.at[0] = s.at[--s.n];
	assert_int_equal(start(&s, TRIB_STRANGER_GRACE_MS + 9), 100);
}

static void an_office_at_work_is_never_ended_for_others(void **state)
{
	(void)state;
	struct trib_slots s = {.n = 0};
	for (int i = 0; s.n < TRIB_WORKERS_MAX; i++) {
		trib_slots_arrive(&s, i, address((unsigned)i), 0);
		assert_int_equal(start(&s, 0), i);
		s.at[i].known = true;
	}
	trib_slots_arrive(&s, 100, address(100), 0);
	assert_int_equal(to_end(&s, TRIB_CONN_MS), SIZE_MAX);
}

static void a_full_queue_is_shared(void **state)
{
	(void)state;
	struct trib_slots s = {.n = 0};
	int fd = 0;
	for (unsigned a = 1; a <= 3; a++)
		for (int i = 0; i < 60; i++)
			assert_int_equal(trib_slots_arrive(&s, fd++, address(a), 0), -1);
	while (s.nqueue < TRIB_WAITING_MAX)
		assert_int_equal(trib_slots_arrive(&s, fd++, address(9), 0), -1);
	assert_true(trib_slots_open(&s));
	assert_int_equal(trib_slots_arrive(&s, 1000, address(9), 0), 1000);      /* the one who has most gets no more */
	assert_int_equal(trib_slots_arrive(&s, 1001, address(5), 0), fd - 1);   /* and gives way to others, his newest first */
	assert_int_equal(s.nqueue, TRIB_WAITING_MAX);
	struct trib_slots fair = {.n = 0};
	for (int i = 0; i < TRIB_WAITING_MAX; i++)
		assert_int_equal(trib_slots_arrive(&fair, i, address((unsigned)i % 4), 0), -1);
	assert_false(trib_slots_open(&fair)); /* nobody has more than his share: the kernel's queue is next */
}

static void who_waited_too_long_is_told(void **state)
{
	(void)state;
	struct trib_slots s = {.n = 0};
	trib_slots_arrive(&s, 3, address(1), 100);
	assert_int_equal(trib_slots_stale(&s, 100 + TRIB_WAITING_MS - 1), -1);
	assert_int_equal(trib_slots_stale(&s, 100 + TRIB_WAITING_MS), 3);
	assert_int_equal(trib_slots_stale(&s, 100 + TRIB_WAITING_MS), -1);
}

static void a_stranger_has_a_shorter_life(void **state)
{
	(void)state;
	struct trib_slot w = {.started = 7};
	assert_int_equal(trib_slot_deadline(&w), 7 + TRIB_STRANGER_MS);
	w.known = true;
	assert_int_equal(trib_slot_deadline(&w), 7 + TRIB_CONN_MS);
	assert_true(TRIB_STRANGER_MS < TRIB_CONN_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv6_network_is_one_peer),
		cmocka_unit_test(one_address_cannot_take_all_workers),
		cmocka_unit_test(strangers_in_all_leave_room_for_those_who_are_known),
		cmocka_unit_test(the_oldest_stranger_makes_room_after_its_grace),
		cmocka_unit_test(an_office_at_work_is_never_ended_for_others),
		cmocka_unit_test(a_full_queue_is_shared),
		cmocka_unit_test(who_waited_too_long_is_told),
		cmocka_unit_test(a_stranger_has_a_shorter_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
