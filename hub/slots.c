#include "hub/slots.h"

struct trib_from trib_from_address(const struct sockaddr_storage *sa)
{
	struct trib_from f = {{0}};
	if (sa->ss_family == AF_INET6) {
		struct sockaddr_in6 six;
		memcpy(&six, sa, sizeof(six));
		memcpy(f.b, &six.sin6_addr, IN6_IS_ADDR_V4MAPPED(&six.sin6_addr) ? 16 : 8);
	} else if (sa->ss_family == AF_INET) {
		struct sockaddr_in four;
		memcpy(&four, sa, sizeof(four));
		f.b[10] = f.b[11] = 0xff;
		memcpy(f.b + 12, &four.sin_addr, 4);
	}
	return f;
}

static bool same(const struct trib_from *a, const struct trib_from *b) { return memcmp(a, b, sizeof(*a)) == 0; }

static size_t waiting_from(const struct trib_slots *s, const struct trib_from *from)
{
	size_t n = 0;
	for (size_t i = 0; i < s->nqueue; i++)
		n += same(&s->queue[i].from, from);
	return n;
}

/* The address with the most that wait, and how many they are. */
static size_t most_waiting(const struct trib_slots *s, struct trib_from *ret)
{
	size_t most = 0;
	for (size_t i = 0; i < s->nqueue; i++) {
		size_t n = waiting_from(s, &s->queue[i].from);
		if (n > most) {
			most = n;
			*ret = s->queue[i].from;
		}
	}
	return most;
}

static struct trib_queued take(struct trib_slots *s, size_t i)
{
	struct trib_queued q = s->queue[i];
	memmove(&s->queue[i], &s->queue[i + 1], (s->nqueue - i - 1) * sizeof(q));
	s->nqueue--;
	return q;
}

bool trib_slots_open(const struct trib_slots *s)
{
	struct trib_from hog;
	return s->nqueue < TRIB_WAITING_MAX || most_waiting(s, &hog) > TRIB_ADDRESS_WAITING_MAX;
}

int trib_slots_arrive(struct trib_slots *s, int fd, struct trib_from from, int64_t now)
{
	struct trib_from hog;
	int closed = -1;
	if (s->nqueue == TRIB_WAITING_MAX) {
		if (most_waiting(s, &hog) <= TRIB_ADDRESS_WAITING_MAX || same(&hog, &from))
			return fd;
		for (size_t i = s->nqueue; i > 0 && closed < 0; i--)
			if (same(&s->queue[i - 1].from, &hog))
				closed = take(s, i - 1).fd;
	}
	s->queue[s->nqueue++] = (struct trib_queued){.fd = fd, .from = from, .since = now};
	return closed;
}

/* Strangers of an address, or of all when `from` is NULL; *ret_oldest the oldest of them that has not been told to go (SIZE_MAX: none), *ret_ending
 * whether one is going already. */
static size_t strangers(const struct trib_slots *s, const struct trib_from *from, size_t *ret_oldest, bool *ret_ending)
{
	size_t n = 0;
	*ret_oldest = SIZE_MAX;
	*ret_ending = false;
	for (size_t i = 0; i < s->n; i++) {
		const struct trib_slot *w = &s->at[i];
		if (w->known || (from && !same(&w->from, from)))
			continue;
		n++;
		if (w->killed)
			*ret_ending = true;
		else if (*ret_oldest == SIZE_MAX || w->started < s->at[*ret_oldest].started)
			*ret_oldest = i;
	}
	return n;
}

/* May this one start? When not, *ret_in_the_way is the stranger that must go for it, SIZE_MAX when there is none or one is going already. */
static bool may_start(const struct trib_slots *s, const struct trib_queued *q, size_t *ret_in_the_way)
{
	size_t own_oldest, all_oldest;
	bool own_ending, all_ending;
	size_t own = strangers(s, &q->from, &own_oldest, &own_ending), all = strangers(s, NULL, &all_oldest, &all_ending);
	*ret_in_the_way = SIZE_MAX;
	if (own >= TRIB_ADDRESS_STRANGERS_MAX) {
		*ret_in_the_way = own_ending ? SIZE_MAX : own_oldest;
		return false;
	}
	if (all >= TRIB_STRANGERS_MAX || s->n >= TRIB_WORKERS_MAX) {
		*ret_in_the_way = all_ending ? SIZE_MAX : all_oldest;
		return false;
	}
	return true;
}

bool trib_slots_next(struct trib_slots *s, int64_t now, struct trib_queued *ret, size_t *ret_end)
{
	*ret_end = SIZE_MAX;
	for (size_t i = 0; i < s->nqueue; i++) {
		size_t old;
		if (may_start(s, &s->queue[i], &old)) {
			*ret = take(s, i);
			*ret_end = SIZE_MAX;
			return true;
		}
		if (old != SIZE_MAX && *ret_end == SIZE_MAX && now - s->at[old].started >= TRIB_STRANGER_GRACE_MS)
			*ret_end = old;
	}
	return false;
}

int trib_slots_stale(struct trib_slots *s, int64_t now)
{
	if (s->nqueue == 0 || now - s->queue[0].since < TRIB_WAITING_MS)
		return -1;
	return take(s, 0).fd;
}

int64_t trib_slot_deadline(const struct trib_slot *w) { return w->started + (w->known ? TRIB_CONN_MS : TRIB_STRANGER_MS); }

int64_t trib_slots_due(const struct trib_slots *s, int64_t now)
{
	if (s->nqueue == 0)
		return INT64_MAX;
	int64_t due = s->queue[0].since + TRIB_WAITING_MS;
	for (size_t i = 0; i < s->n; i++) {
		int64_t gone = s->at[i].started + TRIB_STRANGER_GRACE_MS;
		if (!s->at[i].known && !s->at[i].killed && gone > now && gone < due)
			due = gone;
	}
	return due;
}
