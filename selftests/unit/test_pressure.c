// SPDX-License-Identifier: GPL-2.0
/*
 * Floors from guests' statistics, honest and hostile ones.
 * tools: ballastd/pressure.c
 */
#include "unit.h"
#include "tools/ballastd/pressure.h"

#define MIB	(1ULL << 20)
#define SIZE	(1000 * MIB)
#define T0	1000000ULL

static const struct pressure_rules rules = PRESSURE_RULES_DEFAULT;
static struct pressure p;
static struct ballast_guest_stats calm;

static int fresh(void **state)
{
	(void)state;
	memset(&p, 0, sizeof(p));
	calm = (struct ballast_guest_stats){
		.available_bytes = 500 * MIB, .total_bytes = SIZE, .swap_in_bytes = 0,
		.major_faults = 0, .oom_kills = 0, .updated_s = 1,
	};
	return 0;
}

static u64 report(const struct ballast_guest_stats *stats, u64 present, u64 now_ms)
{
	return pressure_report(&p, &rules, stats, SIZE, present, now_ms);
}

static void calm_guest_has_no_floor(void **state)
{
	(void)state;
	assert_int_equal(report(&calm, 600 * MIB, T0), 0);
	assert_int_equal(report(&calm, 600 * MIB, T0 + 10000), 0);
}

static void little_available_gives_present_and_a_step(void **state)
{
	struct ballast_guest_stats s = calm;

	(void)state;
	s.total_bytes = 600 * MIB;
	s.available_bytes = 30 * MIB;	/* 5 %: just enough */
	assert_int_equal(report(&s, 600 * MIB, T0), 0);
	s.available_bytes--;
	assert_int_equal(report(&s, 600 * MIB, T0), 700 * MIB);
	assert_int_equal(p.sign, PRESSURE_AVAILABLE);
}

static void floor_follows_what_arrives(void **state)
{
	struct ballast_guest_stats s = calm;

	(void)state;
	s.available_bytes = 0;
	assert_int_equal(report(&s, 600 * MIB, T0), 700 * MIB);
	assert_int_equal(report(&s, 600 * MIB, T0 + 10000), 700 * MIB);
	assert_int_equal(report(&s, 700 * MIB, T0 + 20000), 800 * MIB);
	/* squeezed by somebody: it does not sink while pressed */
	assert_int_equal(report(&s, 100 * MIB, T0 + 30000), 800 * MIB);
	assert_int_equal(report(&s, 950 * MIB, T0 + 40000), SIZE);
}

static void rates_need_two_reports(void **state)
{
	struct ballast_guest_stats s = calm;

	(void)state;
	s.swap_in_bytes = 5000 * MIB;
	s.major_faults = 1000000;
	s.oom_kills = 9;
	assert_int_equal(report(&s, 600 * MIB, T0), 0);
	assert_int_equal(report(&s, 600 * MIB, T0 + 10000), 0);
	s.swap_in_bytes += 10 * MIB - 1;
	s.major_faults += 999;
	assert_int_equal(report(&s, 600 * MIB, T0 + 20000), 0);
	s.swap_in_bytes += 10 * MIB;
	assert_int_equal(report(&s, 600 * MIB, T0 + 30000), 700 * MIB);
	assert_int_equal(p.sign, PRESSURE_SWAP_IN);
	s.major_faults += 1000;
	report(&s, 600 * MIB, T0 + 40000);
	assert_int_equal(p.sign, PRESSURE_MAJOR_FAULTS);
	s.oom_kills++;
	report(&s, 600 * MIB, T0 + 50000);
	assert_int_equal(p.sign, PRESSURE_OOM);
}

static void counter_that_goes_back_says_nothing(void **state)
{
	struct ballast_guest_stats s = calm;

	(void)state;
	s.swap_in_bytes = s.major_faults = s.oom_kills = 1ULL << 60;
	report(&s, 600 * MIB, T0);
	s.swap_in_bytes = s.major_faults = s.oom_kills = 0;	/* it has rebooted */
	assert_int_equal(report(&s, 600 * MIB, T0 + 10000), 0);
}

static void what_is_unsaid_says_nothing(void **state)
{
	static const struct ballast_guest_stats silent = BALLAST_GUEST_STATS_NONE;

	(void)state;
	report(&calm, 600 * MIB, T0);
	assert_int_equal(report(&silent, 600 * MIB, T0 + 10000), 0);
	assert_int_equal(report(&calm, 600 * MIB, T0 + 20000), 0);
}

static void sign_can_be_switched_off(void **state)
{
	struct pressure_rules off = rules;
	struct ballast_guest_stats s = calm;

	(void)state;
	off.swap_in_bytes_per_s = off.major_faults_per_s = 0;
	pressure_report(&p, &off, &s, SIZE, SIZE, T0);
	s.swap_in_bytes = s.major_faults = 1ULL << 50;
	assert_int_equal(pressure_report(&p, &off, &s, SIZE, SIZE, T0 + 10000), 0);
}

static void floor_stays_then_sinks_to_nothing(void **state)
{
	struct ballast_guest_stats s = calm;
	u64 now;

	(void)state;
	s.available_bytes = 0;
	report(&s, 600 * MIB, T0);
	assert_int_equal(report(&calm, 700 * MIB, T0 + 10000), 700 * MIB);
	assert_int_equal(report(&calm, 700 * MIB, T0 + 30000), 700 * MIB);
	/* a tenth of its size a minute, whoever asks, however often */
	assert_int_equal(pressure_decay(&p, &rules, SIZE, T0 + 60000), 650 * MIB);
	for (now = T0 + 60000; now < T0 + 90000; now += 1000)
		pressure_decay(&p, &rules, SIZE, now);
	assert_in_range(pressure_decay(&p, &rules, SIZE, T0 + 90000), 600 * MIB - 64,
			600 * MIB + 64);
	assert_int_equal(pressure_decay(&p, &rules, SIZE, T0 + 600000), 0);
	assert_int_equal(pressure_decay(&p, &rules, SIZE, T0 + 700000), 0);
}

static void ceiling_holds(void **state)
{
	struct pressure_rules low = rules;
	struct ballast_guest_stats s = calm;

	(void)state;
	low.ceiling_bp = 5000;
	s.available_bytes = 0;
	assert_int_equal(pressure_report(&p, &low, &s, SIZE, SIZE, T0), SIZE / 2);
}

static void what_it_took_it_keeps(void **state)
{
	(void)state;
	assert_int_equal(pressure_took(&p, &rules, SIZE, 640 * MIB, T0), 640 * MIB);
	assert_int_equal(p.sign, PRESSURE_TOOK);
	/* as long as a floor by statistics */
	assert_int_equal(report(&calm, 640 * MIB, T0 + 30000), 640 * MIB);
	assert_true(report(&calm, 640 * MIB, T0 + 36000) < 640 * MIB);
	assert_int_equal(pressure_took(&p, &rules, SIZE, 2 * SIZE, T0 + 40000), SIZE);
}

static void a_floor_is_taken_over(void **state)
{
	struct pressure_rules low = rules;

	(void)state;
	assert_int_equal(pressure_adopt(&p, &rules, SIZE, 0, T0), 0);
	assert_int_equal(p.sunk_ms, 0);
	assert_int_equal(pressure_adopt(&p, &rules, SIZE, 640 * MIB, T0), 640 * MIB);
	assert_int_equal(report(&calm, 640 * MIB, T0 + 30000), 640 * MIB);
	assert_int_equal(report(&calm, 640 * MIB, T0 + 90000), 540 * MIB);
	/* a lower one is not, nor does it make this one last */
	assert_int_equal(pressure_adopt(&p, &rules, SIZE, 500 * MIB, T0 + 90000), 540 * MIB);
	assert_int_equal(report(&calm, 640 * MIB, T0 + 150000), 440 * MIB);
	low.ceiling_bp = 5000;
	assert_int_equal(pressure_adopt(&p, &low, SIZE, UINT64_MAX, T0 + 150000), SIZE / 2);
}

static u64 any(u64 *seed)
{
	static const u64 edges[] = { 0, 1, SIZE - 1, SIZE, SIZE + 1, 1ULL << 63,
				     UINT64_MAX - 1, UINT64_MAX };

	if (unit_random_below(seed, 3))
		return edges[unit_random_below(seed, ARRAY_SIZE(edges))];
	return unit_random(seed) >> unit_random_below(seed, 64);
}

/* Any numbers from the guest, any time between: 0 <= floor <= the ceiling. */
static void hostile_guest_gets_no_more_than_its_size(void **state)
{
	struct pressure_rules r = rules;
	struct ballast_guest_stats s;
	u64 seed = 7, now = T0, size, floor;
	unsigned int i;

	(void)state;
	for (i = 0; i < 300000; i++) {
		s = (struct ballast_guest_stats){ any(&seed), any(&seed), any(&seed),
						  any(&seed), any(&seed), any(&seed) };
		now += unit_random_below(&seed, 100000);
		size = unit_random_below(&seed, 4) ? SIZE : any(&seed);
		r.ceiling_bp = unit_random_below(&seed, 10001);
		floor = pressure_report(&p, &r, &s, size, any(&seed), now);
		if (p.sign != PRESSURE_NO)
			assert_true(floor <= size / 10000 * r.ceiling_bp + 10000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(calm_guest_has_no_floor, fresh),
		cmocka_unit_test_setup(little_available_gives_present_and_a_step, fresh),
		cmocka_unit_test_setup(floor_follows_what_arrives, fresh),
		cmocka_unit_test_setup(rates_need_two_reports, fresh),
		cmocka_unit_test_setup(counter_that_goes_back_says_nothing, fresh),
		cmocka_unit_test_setup(what_is_unsaid_says_nothing, fresh),
		cmocka_unit_test_setup(sign_can_be_switched_off, fresh),
		cmocka_unit_test_setup(floor_stays_then_sinks_to_nothing, fresh),
		cmocka_unit_test_setup(ceiling_holds, fresh),
		cmocka_unit_test_setup(what_it_took_it_keeps, fresh),
		cmocka_unit_test_setup(a_floor_is_taken_over, fresh),
		cmocka_unit_test_setup(hostile_guest_gets_no_more_than_its_size, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
