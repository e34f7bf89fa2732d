// SPDX-License-Identifier: GPL-2.0
/*
 * The balloon plan: one call against its promises, many calls on a pool.
 * sources: policy/plan.c policy/state.c policy/allocation.c
 *
 * DOC: The simulated pool is the worst there is: each guest uses at once all
 * that its balloon leaves it, so that a promise is memory gone.
 */
#include "unit.h"
#include "policy/allocation.h"
#include "policy/plan.h"

#define MOST_VMS	40

static const struct ballast_thresholds some_thresholds = { 600, 400, 200, 100 };
static const struct ballast_pace no_limits = {
	.step_bp = 10000, .dead_band_bp = 0, .balloon_max_bp = 10000,
};

static u64 least(u64 a, u64 b) { return a < b ? a : b; }
static u64 less(u64 a, u64 b) { return a > b ? a - b : 0; }

/* A VM of 1000 pages. */
static struct ballast_move vm(u64 id, u64 target, u64 balloon)
{
	return (struct ballast_move) {
		.id = id, .size_pages = 1000, .target_pages = target,
		.balloon_pages = balloon, .movable = true,
		.balloon_target_pages = (u64)-1,
	};
}

static struct ballast_plan_pool pool(u64 free, enum ballast_state state)
{
	return (struct ballast_plan_pool) {
		.free_pages = free, .thresholds = some_thresholds, .state = state,
	};
}

/* One VM by itself. */
static u64 plan_one(struct ballast_move m, struct ballast_plan_pool p,
		    struct ballast_pace pace)
{
	ballast_plan(&m, 1, &p, &pace);
	assert_int_equal(p.settled, m.balloon_target_pages == m.balloon_pages);
	return m.balloon_target_pages;
}

/* ---- single rules ---- */

static void high_takes_nothing(void **state)
{
	(void)state;
	assert_int_equal(plan_one(vm(1, 700, 0), pool(600, BALLAST_STATE_HIGH), no_limits), 0);
	assert_int_equal(plan_one(vm(1, 700, 0), pool(400, BALLAST_STATE_HIGH), no_limits), 0);
	assert_int_equal(plan_one(vm(1, 700, 0), pool(600, BALLAST_STATE_SOFT), no_limits), 0);
}

static void short_of_memory_takes_to_the_target(void **state)
{
	(void)state;
	assert_int_equal(plan_one(vm(1, 700, 0), pool(599, BALLAST_STATE_SOFT), no_limits), 300);
	assert_int_equal(plan_one(vm(1, 700, 0), pool(199, BALLAST_STATE_HARD), no_limits), 300);
	assert_int_equal(plan_one(vm(1, 700, 0), pool(0, BALLAST_STATE_LOW), no_limits), 300);
	assert_int_equal(plan_one(vm(1, 700, 300), pool(0, BALLAST_STATE_LOW), no_limits), 300);
	/* target above the size, as if there were no balloon */
	assert_int_equal(plan_one(vm(1, 1700, 5), pool(0, BALLAST_STATE_SOFT), no_limits), 5);
}

/* The pool is in state high, but not once it has paid what it owes. */
static void debts_make_it_take(void **state)
{
	struct ballast_move moves[2] = { vm(1, 700, 0), vm(2, 800, 500) };
	struct ballast_plan_pool p = pool(650, BALLAST_STATE_HIGH);

	(void)state;
	ballast_plan(moves, 2, &p, &no_limits);
	assert_int_equal(moves[0].balloon_target_pages, 300);	/* 650 - 300 < 400 */
	assert_int_equal(moves[1].balloon_target_pages, 500 - 250);
	assert_false(p.settled);
	p.free_pages = 700;
	ballast_plan(moves, 2, &p, &no_limits);
	assert_int_equal(moves[0].balloon_target_pages, 0);
	assert_int_equal(moves[1].balloon_target_pages, 200);
	/* to the pressed no less, although they can be paid from below soft */
	p.free_pages = 650;
	moves[1].pressed = true;
	ballast_plan(moves, 2, &p, &no_limits);
	assert_int_equal(moves[0].balloon_target_pages, 300);
	assert_int_equal(moves[1].balloon_target_pages, 200);
}

static void pays_out_of_what_is_above_soft(void **state)
{
	(void)state;
	assert_int_equal(plan_one(vm(1, 900, 500), pool(1000, BALLAST_STATE_HIGH), no_limits), 100);
	assert_int_equal(plan_one(vm(1, 900, 500), pool(430, BALLAST_STATE_SOFT), no_limits), 470);
	assert_int_equal(plan_one(vm(1, 900, 500), pool(400, BALLAST_STATE_SOFT), no_limits), 500);
	assert_int_equal(plan_one(vm(1, 900, 500), pool(150, BALLAST_STATE_HARD), no_limits), 500);
	/* a state that does not fit the free memory is believed */
	assert_int_equal(plan_one(vm(1, 900, 500), pool(900, BALLAST_STATE_HARD), no_limits), 500);
}

static void pays_in_proportion(void **state)
{
	struct ballast_move moves[3] = { vm(1, 1000, 600), vm(2, 1000, 300), vm(3, 500, 500) };
	struct ballast_plan_pool p = pool(400 + 450, BALLAST_STATE_HIGH);

	(void)state;
	ballast_plan(moves, 3, &p, &no_limits);
	assert_int_equal(moves[0].balloon_target_pages, 300);
	assert_int_equal(moves[1].balloon_target_pages, 150);
	assert_int_equal(moves[2].balloon_target_pages, 500);
}

static void pressed_come_first(void **state)
{
	struct ballast_move moves[2] = { vm(1, 1000, 300), vm(2, 1000, 300) };
	struct ballast_plan_pool p = pool(500, BALLAST_STATE_SOFT);

	(void)state;
	moves[1].pressed = true;
	ballast_plan(moves, 2, &p, &no_limits);
	assert_int_equal(moves[0].balloon_target_pages, 300);
	assert_int_equal(moves[1].balloon_target_pages, 0);
	/* the pressed first, the other from the rest above soft */
	p.free_pages = 400 + 300 + 40;
	ballast_plan(moves, 2, &p, &no_limits);
	assert_int_equal(moves[0].balloon_target_pages, 260);
	assert_int_equal(moves[1].balloon_target_pages, 0);
	/* down to the threshold of low, but never below */
	p = pool(150, BALLAST_STATE_HARD);
	ballast_plan(moves, 2, &p, &no_limits);
	assert_int_equal(moves[0].balloon_target_pages, 300);
	assert_int_equal(moves[1].balloon_target_pages, 250);
	p = pool(100, BALLAST_STATE_LOW);
	ballast_plan(moves, 2, &p, &no_limits);
	assert_int_equal(moves[1].balloon_target_pages, 300);
}

static void pressed_are_never_squeezed(void **state)
{
	struct ballast_move m = vm(1, 200, 100);

	(void)state;
	m.pressed = true;
	assert_int_equal(plan_one(m, pool(0, BALLAST_STATE_LOW), no_limits), 100);
}

static void what_does_not_move_stays(void **state)
{
	struct ballast_move m = vm(1, 200, 100);

	(void)state;
	m.movable = false;
	assert_int_equal(plan_one(m, pool(0, BALLAST_STATE_LOW), no_limits), 100);
	m.target_pages = 1000;
	assert_int_equal(plan_one(m, pool(5000, BALLAST_STATE_HIGH), no_limits), 100);
}

static void a_balloon_has_a_ceiling(void **state)
{
	struct ballast_pace pace = no_limits;

	(void)state;
	pace.balloon_max_bp = 6500;
	assert_int_equal(plan_one(vm(1, 0, 0), pool(0, BALLAST_STATE_LOW), pace), 650);
	assert_int_equal(plan_one(vm(1, 0, 700), pool(5000, BALLAST_STATE_HIGH), pace), 650);
	assert_int_equal(ballast_balloon_max_pages(1000, 6500), 650);
	assert_int_equal(ballast_balloon_max_pages(3, 6500), 1);
	assert_int_equal(ballast_balloon_max_pages(1000, 20000), 1000);
}

static void inflates_step_by_step(void **state)
{
	struct ballast_pace pace = no_limits;
	struct ballast_move tiny = vm(1, 0, 0);

	(void)state;
	pace.step_bp = 500;
	assert_int_equal(plan_one(vm(1, 700, 0), pool(0, BALLAST_STATE_LOW), pace), 50);
	assert_int_equal(plan_one(vm(1, 700, 270), pool(0, BALLAST_STATE_LOW), pace), 300);
	/* what is given back is given at once */
	assert_int_equal(plan_one(vm(1, 1000, 700), pool(5000, BALLAST_STATE_HIGH), pace), 0);
	/* a step is at least a page, or none at all */
	tiny.size_pages = 10;
	assert_int_equal(plan_one(tiny, pool(0, BALLAST_STATE_LOW), pace), 1);
	pace.step_bp = 0;
	assert_int_equal(plan_one(tiny, pool(0, BALLAST_STATE_LOW), pace), 0);
}

static void dead_band(void **state)
{
	struct ballast_pace pace = no_limits;

	(void)state;
	pace.dead_band_bp = 100;	/* 10 of 1000 pages */
	assert_int_equal(plan_one(vm(1, 791, 200), pool(450, BALLAST_STATE_SOFT), pace), 200);
	assert_int_equal(plan_one(vm(1, 790, 200), pool(450, BALLAST_STATE_SOFT), pace), 210);
	assert_int_equal(plan_one(vm(1, 809, 200), pool(450, BALLAST_STATE_SOFT), pace), 200);
	assert_int_equal(plan_one(vm(1, 810, 200), pool(450, BALLAST_STATE_SOFT), pace), 190);
	/* to nothing always, and always when memory is scarce */
	assert_int_equal(plan_one(vm(1, 1000, 9), pool(450, BALLAST_STATE_SOFT), pace), 0);
	assert_int_equal(plan_one(vm(1, 791, 200), pool(150, BALLAST_STATE_HARD), pace), 209);
	assert_int_equal(plan_one(vm(1, 791, 200), pool(50, BALLAST_STATE_LOW), pace), 209);
}

static void nobody_there(void **state)
{
	struct ballast_plan_pool p = pool(0, BALLAST_STATE_LOW);

	(void)state;
	ballast_plan(NULL, 0, &p, &no_limits);
	assert_true(p.settled);
}

/* ---- random calls ---- */

struct call {
	struct ballast_move moves[MOST_VMS];
	size_t count;
	struct ballast_plan_pool pool;
	struct ballast_pace pace;
};

static void random_call(u64 *seed, struct call *c)
{
	u64 most = 1ULL << (2 + unit_random_below(seed, 34)), all = 0;
	size_t i;

	c->count = 1 + unit_random_below(seed, MOST_VMS);
	for (i = 0; i < c->count; i++) {
		struct ballast_move *m = &c->moves[i];

		*m = (struct ballast_move) {
			.id = i, .size_pages = unit_random_below(seed, most),
			.movable = unit_random_below(seed, 8) != 0,
			.pressed = unit_random_below(seed, 4) == 0,
		};
		m->target_pages = unit_random_below(seed, m->size_pages + 2);
		m->balloon_pages = unit_random_below(seed, m->size_pages + 1);
		all += m->size_pages;
	}
	c->pace.step_bp = (u32)unit_random_below(seed, 3000);
	c->pace.dead_band_bp = (u32)unit_random_below(seed, 300);
	c->pace.balloon_max_bp = (u32)unit_random_below(seed, 10001);
	c->pool.free_pages = unit_random_below(seed, all + 1) / (1 + unit_random_below(seed, 20));
	ballast_thresholds_sliding(&c->pool.thresholds, all, 4096);
	c->pool.state = ballast_state_next(unit_random_below(seed, BALLAST_STATE_NR),
					   c->pool.free_pages, &c->pool.thresholds);
}

static u64 ideal(const struct call *c, const struct ballast_move *m)
{
	return least(less(m->size_pages, m->target_pages),
		     m->size_pages * c->pace.balloon_max_bp / 10000);
}

static void assert_move_is_allowed(const struct call *c, const struct ballast_move *m)
{
	u64 want = ideal(c, m), now = m->balloon_pages, to = m->balloon_target_pages;
	u64 step = m->size_pages * c->pace.step_bp / 10000;
	u64 band = m->size_pages * c->pace.dead_band_bp / 10000;

	if (to == now)
		return;
	assert_true(m->movable);
	assert_true(to > now ? to <= want : to >= want);
	assert_true(to < now || !m->pressed);
	assert_true(to < now || to - now <= step || (step == 0 && to - now == 1));
	assert_true(to < now || c->pace.step_bp);
	assert_true(to > now || m->pressed || c->pool.state < BALLAST_STATE_HARD);
	if (want && c->pool.state < BALLAST_STATE_HARD)
		assert_true(less(want, now) + less(now, want) >= band);
}

/* What is paid was there; returns the growth of balloons. */
static u64 assert_payments_are_covered(const struct call *c)
{
	const struct ballast_thresholds *t = &c->pool.thresholds;
	u64 pressed = 0, others = 0, grown = 0;
	size_t i;

	for (i = 0; i < c->count; i++) {
		const struct ballast_move *m = &c->moves[i];
		u64 paid = less(m->balloon_pages, m->balloon_target_pages);

		if (m->pressed)
			pressed += paid;
		else
			others += paid;
		grown += less(m->balloon_target_pages, m->balloon_pages);
	}
	assert_true(pressed <= less(c->pool.free_pages, t->low_pages));
	assert_true(!others || pressed + others <= less(c->pool.free_pages, t->soft_pages));
	return grown;
}

static bool is_settled(const struct call *c)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (c->moves[i].balloon_pages != c->moves[i].balloon_target_pages)
			return false;
	return true;
}

static void plan(struct call *c)
{
	ballast_plan(c->moves, c->count, &c->pool, &c->pace);
}

static void every_move_is_allowed(void **state)
{
	unsigned int n, settled = 0, grew = 0;
	static struct call c;
	u64 seed = 1, grown;
	size_t i;

	(void)state;
	unit_note("100000 calls, seed %llu", (unsigned long long)seed);
	for (n = 0; n < 100000; n++) {
		random_call(&seed, &c);
		plan(&c);
		for (i = 0; i < c.count; i++)
			assert_move_is_allowed(&c, &c.moves[i]);
		grown = assert_payments_are_covered(&c);
		assert_int_equal(c.pool.settled, is_settled(&c));
		settled += c.pool.settled;
		grew += grown > 0;
	}
	assert_true(settled > 1000 && grew > 10000 && grew < 95000);
}

static void order_does_not_matter(void **state)
{
	static struct call c, d;
	unsigned int n;
	u64 seed = 2;
	size_t i;

	(void)state;
	for (n = 0; n < 20000; n++) {
		random_call(&seed, &c);
		d = c;
		for (i = 0; i < c.count; i++)
			d.moves[i] = c.moves[c.count - 1 - i];
		plan(&c);
		plan(&d);
		for (i = 0; i < c.count; i++)
			assert_int_equal(d.moves[i].balloon_target_pages,
					 c.moves[c.count - 1 - i].balloon_target_pages);
		assert_int_equal(c.pool.settled, d.pool.settled);
	}
}

/* ---- a pool through time ---- */

struct host {
	struct ballast_claim claims[MOST_VMS];
	struct call call;
	u64 pages;
	int turns[MOST_VMS];		/* how often a balloon changed its direction */
	int direction[MOST_VMS];	/* of its last move */
};

static u64 host_free(const struct host *h)
{
	u64 used = 0;
	size_t i;

	for (i = 0; i < h->call.count; i++)
		used += h->call.moves[i].size_pages - h->call.moves[i].balloon_pages;
	return less(h->pages, used);
}

static void move_balloon(struct host *h, size_t i)
{
	struct ballast_move *m = &h->call.moves[i];
	int direction = (m->balloon_target_pages > m->balloon_pages) -
			(m->balloon_target_pages < m->balloon_pages);

	if (direction && h->direction[i] && direction != h->direction[i])
		h->turns[i]++;
	if (direction)
		h->direction[i] = direction;
	m->balloon_pages = m->balloon_target_pages;
}

/* One tick of an engine; what the guests are left they take at once. */
static void tick(struct host *h)
{
	struct ballast_division division;
	struct call *c = &h->call;
	size_t i;

	c->pool.free_pages = host_free(h);
	c->pool.state = ballast_state_next(c->pool.state, c->pool.free_pages,
					   &c->pool.thresholds);
	ballast_divide(h->claims, c->count, less(h->pages, c->pool.thresholds.high_pages),
		       &division);
	for (i = 0; i < c->count; i++)
		c->moves[i].target_pages = h->claims[i].target_pages;
	plan(c);
	for (i = 0; i < c->count; i++)
		move_balloon(h, i);
}

static void set_activity(u64 *seed, struct host *h)
{
	size_t i;

	for (i = 0; i < h->call.count; i++) {
		h->claims[i].active_pages = unit_random_below(seed, h->claims[i].size_pages + 1);
		h->turns[i] = 0;
		h->direction[i] = 0;
	}
}

/* VMs of 1 to 16 GiB on a host that has @percent of their sum. */
static void make_host(u64 *seed, struct host *h, unsigned int percent)
{
	u64 all = 0;
	size_t i;

	memset(h, 0, sizeof(*h));
	h->call.count = 2 + unit_random_below(seed, MOST_VMS - 1);
	h->call.pace = (struct ballast_pace) { 500, 50, 6500 };
	for (i = 0; i < h->call.count; i++) {
		u64 size = (1 + unit_random_below(seed, 16)) << 18;

		h->claims[i] = (struct ballast_claim) {
			.id = i, .size_pages = size, .tax_bp = 7500,
			.shares = 500 + (u32)unit_random_below(seed, 2000),
			.held_pages = size - ballast_balloon_max_pages(size, 6500),
			.held_reason = BALLAST_REASON_BALLOON_LIMIT,
		};
		h->call.moves[i] = (struct ballast_move) {
			.id = i, .size_pages = size, .movable = true,
		};
		all += size;
	}
	h->pages = all / 100 * percent;
	ballast_thresholds_sliding(&h->call.pool.thresholds, h->pages, 4096);
	set_activity(seed, h);
}

/*
 * Until nothing moves; returns the ticks that took.  Settled is settled: the
 * next calls do not move anything either.
 */
static int run_until_settled(struct host *h)
{
	int ticks, more;

	for (ticks = 0; ticks < 200; ticks++) {
		tick(h);
		if (!h->call.pool.settled)
			continue;
		for (more = 0; more < 5; more++) {
			tick(h);
			assert_true(h->call.pool.settled);
		}
		return ticks;
	}
	fail_msg("does not settle in %d ticks", ticks);
	return -1;
}

static void assert_no_turns(const struct host *h)
{
	size_t i;

	for (i = 0; i < h->call.count; i++)
		assert_int_equal(h->turns[i], 0);
}

/* What a balloon is off its ideal, when nothing moves any more. */
static void assert_near_ideal(const struct host *h)
{
	const struct call *c = &h->call;
	size_t i;

	for (i = 0; i < c->count; i++) {
		const struct ballast_move *m = &c->moves[i];

		if (c->pool.state == BALLAST_STATE_HIGH)
			continue;	/* need not take more */
		assert_true(less(ideal(c, m), m->balloon_pages) <=
			    m->size_pages * c->pace.dead_band_bp / 10000);
	}
}

static void settles_without_turning_round(void **state)
{
	unsigned int n, change;
	static struct host h;
	int ticks, worst = 0;
	u64 seed = 3;

	(void)state;
	for (n = 0; n < 2000; n++) {
		make_host(&seed, &h, 50 + n % 60);
		for (change = 0; change < 3; change++) {
			ticks = run_until_settled(&h);
			assert_no_turns(&h);
			assert_near_ideal(&h);
			assert_true(host_free(&h) >= h.call.pool.thresholds.soft_pages);
			worst = ticks > worst ? ticks : worst;
			set_activity(&seed, &h);
		}
	}
	unit_note("6000 changes of activity, settled after %d ticks at most", worst);
	/* the largest balloon takes 13 steps */
	assert_true(worst <= 30);
}

/* Not even the largest balloons are enough: they stay at their largest. */
static void settles_when_there_is_too_little(void **state)
{
	static struct host h;
	u64 seed = 4;
	size_t i;

	(void)state;
	make_host(&seed, &h, 30);
	run_until_settled(&h);
	assert_no_turns(&h);
	assert_int_equal(h.call.pool.state, BALLAST_STATE_LOW);
	for (i = 0; i < h.call.count; i++)
		assert_int_equal(h.call.moves[i].balloon_pages,
				 h.call.moves[i].size_pages * 6500 / 10000);
}

/* Activity that trembles within the error of its estimate moves little. */
static void trembling_activity_does_not_pump(void **state)
{
	static struct host h;
	u64 seed = 5, before, moved = 0, all = 0, steady[MOST_VMS];
	int n;
	size_t i;

	(void)state;
	make_host(&seed, &h, 70);
	run_until_settled(&h);
	for (i = 0; i < h.call.count; i++)
		steady[i] = h.claims[i].active_pages;
	for (n = 0; n < 200; n++) {
		for (i = 0; i < h.call.count; i++)
			h.claims[i].active_pages = steady[i] -
				unit_random_below(&seed, steady[i] / 100 + 1);
		before = host_free(&h);
		tick(&h);
		moved += less(before, host_free(&h)) + less(host_free(&h), before);
	}
	for (i = 0; i < h.call.count; i++)
		all += h.call.moves[i].size_pages;
	unit_note("%llu of 10^6 of the memory moved in a tick",
		  (unsigned long long)(moved * 1000000 / all / 200));
	assert_true(moved / 200 < all / 1000);
}

/* A guest in need has all memory that it can have, as fast as the others give it. */
static void a_pressed_vm_is_served(void **state)
{
	static struct host h;
	unsigned int n;
	u64 seed = 6;

	(void)state;
	for (n = 0; n < 500; n++) {
		struct ballast_move *m = &h.call.moves[0];
		u64 balloon;
		int ticks;

		make_host(&seed, &h, 75);
		h.claims[0].active_pages = 0;
		run_until_settled(&h);
		balloon = m->balloon_pages;
		m->pressed = true;
		h.claims[0].floor_pages = h.claims[0].size_pages;
		for (ticks = 0; ticks < 30; ticks++) {
			tick(&h);
			assert_true(m->balloon_pages <= balloon);
			balloon = m->balloon_pages;
		}
		/* what is left is within the dead band; not below what is wanted */
		assert_true(m->balloon_pages >= ideal(&h.call, m));
		assert_true(m->balloon_pages - ideal(&h.call, m) <= m->size_pages / 200);
	}
}

/* ---- guests that do not touch what they are given back ---- */

enum { LAZY_VMS = 3, LAZY_SIZE = 4000, LAZY_POOL = 10000 };

/**
 * struct lazy - a pool whose guests use what they are given when they like
 * @call: its VMs; the last one uses all of its memory from the beginning
 * @used: what each has; grows when it touches, shrinks with its balloon
 */
struct lazy {
	struct call call;
	u64 used[LAZY_VMS];
};

static u64 lazy_used(const struct lazy *l)
{
	return l->used[0] + l->used[1] + l->used[2];
}

/* What the guests may use in all, whether they do or not. */
static u64 lazy_allowed(const struct lazy *l)
{
	u64 sum = 0;
	size_t i;

	for (i = 0; i < LAZY_VMS; i++)
		sum += LAZY_SIZE - l->call.moves[i].balloon_pages;
	return sum;
}

/* A second of the engine: all VMs are alike, so each one's target is a third. */
static void lazy_tick(struct lazy *l)
{
	struct call *c = &l->call;
	u64 target;
	size_t i;

	c->pool.free_pages = less(LAZY_POOL, lazy_used(l));
	c->pool.state = ballast_state_next(c->pool.state, c->pool.free_pages,
					   &c->pool.thresholds);
	target = (LAZY_POOL - c->pool.thresholds.high_pages) / LAZY_VMS;
	for (i = 0; i < LAZY_VMS; i++)
		c->moves[i].target_pages = target;
	plan(c);
	for (i = 0; i < LAZY_VMS; i++) {
		c->moves[i].balloon_pages = c->moves[i].balloon_target_pages;
		l->used[i] = least(l->used[i], LAZY_SIZE - c->moves[i].balloon_pages);
	}
}

static void make_lazy(struct lazy *l)
{
	size_t i;

	memset(l, 0, sizeof(*l));
	l->call.count = LAZY_VMS;
	l->call.pool = pool(0, BALLAST_STATE_HIGH);
	l->call.pace = (struct ballast_pace) { 500, 0, 6500 };
	for (i = 0; i < LAZY_VMS; i++) {
		l->call.moves[i] = vm(i, 0, i == LAZY_VMS - 1 ? 0 : LAZY_SIZE / 2);
		l->call.moves[i].size_pages = LAZY_SIZE;
		l->used[i] = LAZY_SIZE - l->call.moves[i].balloon_pages;
	}
}

/*
 * The same free memory pays two guests in turn, for the first does not touch it.
 * What is promised beyond what there is is what the third holds above its target;
 * it is taken when the others do touch, and no balloon turns round.
 */
static void lazy_guests(void **state)
{
	const u64 target = (LAZY_POOL - 600) / LAZY_VMS;
	static struct lazy l;
	u64 surplus;
	int ticks;

	(void)state;
	make_lazy(&l);
	for (ticks = 0; ticks < 20 && !l.call.pool.settled; ticks++)
		lazy_tick(&l);
	assert_true(l.call.pool.settled);
	assert_int_equal(l.call.moves[0].balloon_pages, LAZY_SIZE - target);
	assert_int_equal(l.call.moves[1].balloon_pages, LAZY_SIZE - target);
	surplus = l.used[2] - target;
	assert_true(surplus > 0);
	assert_int_equal(lazy_allowed(&l), LAZY_VMS * target + surplus);
	/* more than the pool has: without a doubt promised twice */
	assert_true(lazy_allowed(&l) > LAZY_POOL);
	assert_int_equal(l.call.pool.state, BALLAST_STATE_HIGH);

	l.used[0] = l.used[1] = target;
	lazy_tick(&l);
	assert_int_equal(l.call.pool.state, BALLAST_STATE_LOW);
	for (ticks = 1; ticks < 20 && less(LAZY_POOL, lazy_used(&l)) < 400; ticks++) {
		lazy_tick(&l);
		assert_int_equal(l.call.moves[0].balloon_pages, LAZY_SIZE - target);
		assert_int_equal(l.call.moves[1].balloon_pages, LAZY_SIZE - target);
	}
	unit_note("%llu pages above its target; above soft again after %d calls",
		  (unsigned long long)surplus, ticks);
	/* 200 pages a call */
	assert_int_equal(ticks, 3);
	assert_true(lazy_allowed(&l) <= LAZY_POOL - 400);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(high_takes_nothing),
	cmocka_unit_test(short_of_memory_takes_to_the_target),
	cmocka_unit_test(debts_make_it_take),
	cmocka_unit_test(pays_out_of_what_is_above_soft),
	cmocka_unit_test(pays_in_proportion),
	cmocka_unit_test(pressed_come_first),
	cmocka_unit_test(pressed_are_never_squeezed),
	cmocka_unit_test(what_does_not_move_stays),
	cmocka_unit_test(a_balloon_has_a_ceiling),
	cmocka_unit_test(inflates_step_by_step),
	cmocka_unit_test(dead_band),
	cmocka_unit_test(nobody_there),
	cmocka_unit_test(every_move_is_allowed),
	cmocka_unit_test(order_does_not_matter),
	cmocka_unit_test(settles_without_turning_round),
	cmocka_unit_test(settles_when_there_is_too_little),
	cmocka_unit_test(trembling_activity_does_not_pump),
	cmocka_unit_test(a_pressed_vm_is_served),
	cmocka_unit_test(lazy_guests),
};

unit_main(tests)
