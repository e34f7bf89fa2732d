// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's balloon driver: pace, floor, pressure, hold-off, and what follows from them.
 * guest: policy/pace.c policy/floor.c policy/pressure.c policy/hold.c policy/self.c policy/step.c
 */
#include "unit.h"
#include "virtio-balloon-guest/policy/floor.h"
#include "virtio-balloon-guest/policy/self.h"
#include "virtio-balloon-guest/policy/step.h"

#define GIB	(1024 * BALLAST_MIB)
#define PAGE	4096

/* ---- pace */

static void pace_grows_while_it_is_easy(void **state)
{
	struct ballast_pace p;
	u64 last;
	int i;

	(void)state;
	ballast_pace_init(&p);
	for (i = 0; i < 20; i++) {
		last = p.step_bytes;
		ballast_pace_note(&p, BALLAST_OUTCOME_EASY, 0);
		assert_int_equal(p.step_bytes, ballast_min(last * 2, BALLAST_PACE_MAX_BYTES));
		assert_int_equal(p.pause_ms, 0);
	}
	assert_int_equal(p.step_bytes, BALLAST_PACE_MAX_BYTES);
}

static void pace_shrinks_with_reclaim(void **state)
{
	struct ballast_pace p;
	int i;

	(void)state;
	ballast_pace_init(&p);
	for (i = 0; i < 20; i++) {
		ballast_pace_note(&p, BALLAST_OUTCOME_RECLAIM, i);
		assert_in_range(p.step_bytes, BALLAST_PACE_MIN_BYTES, BALLAST_PACE_RECLAIM_BYTES);
		assert_int_equal(p.pause_ms, BALLAST_PACE_RECLAIM_MS);
	}
	assert_int_equal(p.step_bytes, BALLAST_PACE_MIN_BYTES);
	/* a fifth of the time is the guest's */
	ballast_pace_note(&p, BALLAST_OUTCOME_RECLAIM, 200);
	assert_int_equal(p.pause_ms, 50);
	ballast_pace_note(&p, BALLAST_OUTCOME_RECLAIM, ~(u64)0);
	assert_int_equal(p.pause_ms, BALLAST_PACE_LONGEST_MS);
}

static void pace_backs_off(void **state)
{
	static const u32 pauses[] = { 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
	struct ballast_pace p;
	size_t i;

	(void)state;
	ballast_pace_init(&p);
	for (i = 0; i < ARRAY_SIZE(pauses); i++) {
		ballast_pace_note(&p, BALLAST_OUTCOME_SHORT, 0);
		assert_int_equal(p.pause_ms, pauses[i]);
		assert_int_equal(p.step_bytes, BALLAST_PACE_MIN_BYTES);
	}
	ballast_pace_note(&p, BALLAST_OUTCOME_EASY, 0);
	assert_int_equal(p.pause_ms, 0);
	ballast_pace_note(&p, BALLAST_OUTCOME_SHORT, 8000);
	assert_int_equal(p.pause_ms, 2000);
	/* which is not what is doubled */
	ballast_pace_note(&p, BALLAST_OUTCOME_SHORT, 0);
	assert_int_equal(p.pause_ms, 400);
	ballast_pace_note(&p, BALLAST_OUTCOME_RECLAIM, 8000);
	ballast_pace_note(&p, BALLAST_OUTCOME_SHORT, 0);
	assert_int_equal(p.pause_ms, 200);
}

/* ---- floor */

static void floor_by_size(void **state)
{
	static const struct {
		u64 guest_mib, floor_mib;
	} row[] = {
		{ 0, 8 }, { 64, 40 }, { 127, 71 }, { 128, 72 }, { 256, 104 }, { 512, 168 },
		{ 1024, 232 }, { 2048, 360 }, { 4096, 488 }, { 8192, 744 }, { 65536, 2536 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(row); i++)
		assert_int_equal(ballast_floor_default_bytes(row[i].guest_mib * BALLAST_MIB) /
				 BALLAST_MIB, row[i].floor_mib);
}

static void a_larger_guest_has_no_lower_floor(void **state)
{
	u64 mib, last = 0, floor;

	(void)state;
	for (mib = 0; mib < 20000; mib++) {
		floor = ballast_floor_default_bytes(mib * BALLAST_MIB);
		assert_true(floor >= last);
		assert_true(floor <= last + BALLAST_MIB || !mib);
		last = floor;
	}
	/* no overflow */
	assert_true(ballast_floor_default_bytes(~(u64)0) > 0);
}

static void room_above_the_floor(void **state)
{
	(void)state;
	assert_int_equal(ballast_floor_room_bytes(10, 3), 7);
	assert_int_equal(ballast_floor_room_bytes(3, 3), 0);
	assert_int_equal(ballast_floor_room_bytes(0, ~(u64)0), 0);
}

static void part_of_the_floor(void **state)
{
	const u64 floor = 744 * BALLAST_MIB, pages = 1 << 21;

	(void)state;
	assert_int_equal(ballast_floor_part_bytes(floor, pages / 8, pages), 93 * BALLAST_MIB);
	assert_int_equal(ballast_floor_part_bytes(floor, 0, pages), 0);
	assert_int_equal(ballast_floor_part_bytes(floor, pages, pages), floor);
	assert_int_equal(ballast_floor_part_bytes(floor, 7, 0), floor);
	/* small and large guests */
	assert_int_equal(ballast_floor_part_bytes(8 * BALLAST_MIB, 1000, 4000), 2 * BALLAST_MIB);
	assert_in_range(ballast_floor_part_bytes(~(u64)0, (u64)1 << 33, ((u64)1 << 34) - 1),
			((u64)1 << 45) - BALLAST_MIB, ((u64)1 << 45) + 8192 * BALLAST_MIB);
}

/* ---- pressure */

static void psi_is_read(void **state)
{
	struct ballast_psi psi;

	(void)state;
	assert_true(ballast_psi_parse("some avg10=12.34 avg60=0.00 avg300=0.00 total=123456\n"
				      "full avg10=0.07 avg60=1.00 avg300=0.00 total=789\n", &psi));
	assert_int_equal(psi.some_avg10_bp, 1234);
	assert_int_equal(psi.full_avg10_bp, 7);
	assert_int_equal(psi.some_total_us, 123456);
	assert_int_equal(psi.full_total_us, 789);
	assert_true(ballast_psi_parse("full avg10=100.00 total=18446744073709551\n"
				      "some avg10=100.00 total=0", &psi));
	assert_int_equal(psi.full_avg10_bp, 10000);
}

static void psi_that_is_none(void **state)
{
	static const char *const text[] = {
		"", "\n", "some", "some ", "some avg10=", "some avg10=1.00 total=1\n",
		"some avg10=1.00\nfull avg10=1.00 total=1\n",
		"some avg10=1 total=1\nfull avg10=1.00 total=1\n",
		"some avg10=1.0 total=1\nfull avg10=1.00 total=1\n",
		"some avg10=101.00 total=1\nfull avg10=1.00 total=1\n",
		"some avg10=-1.00 total=1\nfull avg10=1.00 total=1\n",
		"some avg10=1.00 total=x\nfull avg10=1.00 total=1\n",
		"some avg10=1.00 total=99999999999999999999999\nfull avg10=1.00 total=1\n",
		"some avg10=1.00 total=1\nfull avg10=1.00 tot",
	};
	struct ballast_psi psi;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(text); i++)
		assert_false(ballast_psi_parse(text[i], &psi));
	assert_false(ballast_psi_parse(NULL, &psi));
}

/* Cut off anywhere, on memory of exactly that length: ASan looks on. */
static void psi_cut_off(void **state)
{
	static const char whole[] = "some avg10=12.34 avg60=0.00 avg300=0.00 total=123456\n"
				    "full avg10=0.07 avg60=1.00 avg300=0.00 total=789\n";
	struct ballast_psi psi;
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(whole); n++) {
		char *text = malloc(n + 1);

		memcpy(text, whole, n);
		text[n] = 0;
		(void)ballast_psi_parse(text, &psi);
		free(text);
	}
}

static void share_of_a_time(void **state)
{
	(void)state;
	assert_int_equal(ballast_pressure_share_bp(0, 0, 0), 0);
	assert_int_equal(ballast_pressure_share_bp(0, 1000000, 0), 0);
	assert_int_equal(ballast_pressure_share_bp(1000, 51000, 500), 1000);
	assert_int_equal(ballast_pressure_share_bp(0, 500000, 500), 10000);
	assert_int_equal(ballast_pressure_share_bp(0, ~(u64)0, 1), 10000);
	/* a counter that went back */
	assert_int_equal(ballast_pressure_share_bp(5000, 4000, 500), 0);
}

static void the_graver_reason_is_named(void **state)
{
	const struct ballast_pressure_limits limits = { 1000, 500, BALLAST_MIB };
	const struct ballast_pressure_limits none = { 0, 0, 0 };
	struct ballast_pressure p = { .some_now_bp = 1000, .full_now_bp = 500,
				      .swap_in_bytes_per_s = BALLAST_MIB };

	(void)state;
	assert_int_equal(ballast_pressure_now(&p, &limits), BALLAST_REASON_NONE);
	p.swap_in_bytes_per_s++;
	assert_int_equal(ballast_pressure_now(&p, &limits), BALLAST_REASON_SWAP_IN);
	p.some_now_bp++;
	assert_int_equal(ballast_pressure_now(&p, &limits), BALLAST_REASON_PSI_SOME);
	p.full_now_bp++;
	assert_int_equal(ballast_pressure_now(&p, &limits), BALLAST_REASON_PSI_FULL);
	assert_int_equal(ballast_pressure_now(&p, &none), BALLAST_REASON_NONE);
	assert_int_equal(ballast_pressure_lasting(&p, &limits), BALLAST_REASON_NONE);
	p.some_avg10_bp = 1001;
	assert_int_equal(ballast_pressure_lasting(&p, &limits), BALLAST_REASON_PSI_SOME);
	p.full_avg10_bp = 501;
	assert_int_equal(ballast_pressure_lasting(&p, &limits), BALLAST_REASON_PSI_FULL);
	assert_int_equal(ballast_pressure_lasting(&p, &none), BALLAST_REASON_NONE);
}

static void own_waiting_is_not_the_guests(void **state)
{
	struct ballast_pressure p;
	u32 own;
	int i;

	(void)state;
	own = ballast_pressure_average_bp(0, 5000, 500);
	assert_in_range(own, 230, 240);
	/* for long: all of it */
	for (i = 0; i < 400; i++)
		own = ballast_pressure_average_bp(own, 5000, 500);
	assert_in_range(own, 4900, 5000);
	p = (struct ballast_pressure){ 5000, 6000, 4000, 7000, 1 };
	ballast_pressure_without_own(&p, own, own / 2);
	assert_in_range(p.some_avg10_bp, 0, 100);
	assert_in_range(p.full_avg10_bp, 3500, 3600);
	assert_int_equal(p.some_now_bp, 4000);
	assert_int_equal(p.full_now_bp, 7000);
	assert_int_equal(p.swap_in_bytes_per_s, 1);
	/* over: it decays as PSI does, to a third in ten seconds */
	for (i = 0; i < 20; i++)
		own = ballast_pressure_average_bp(own, 0, 500);
	assert_in_range(own, 1700, 2000);
	assert_in_range(ballast_pressure_average_bp(~(u32)0, 10000, ~(u64)0), 0, ~(u32)0);
}

static void since(struct ballast_pressure *p, u64 some_us, u64 full_us, u64 elapsed_ms,
		  const struct ballast_own_wait *own)
{
	const struct ballast_psi before = { .some_total_us = 7000000, .full_total_us = 5000000 };
	const struct ballast_psi now = { .some_total_us = 7000000 + some_us,
					 .full_total_us = 5000000 + full_us };

	ballast_pressure_since(p, &before, &now, elapsed_ms, own);
}

/* The guest is judged by the time in which the driver took nothing, however little that is. */
static void own_waiting_hides_nothing(void **state)
{
	struct ballast_own_wait own = { 0, 0, 0 };
	struct ballast_pressure p = { 0, 0, 0, 0, 0 };

	(void)state;
	since(&p, 50000, 25000, 500, &own);
	assert_int_equal(p.some_now_bp, 1000);
	assert_int_equal(p.full_now_bp, 500);
	/* 400 ms the driver waited, which counted as much; in the other 100 the guest did */
	own = (struct ballast_own_wait){ 400000, 400000, 400 };
	since(&p, 500000, 450000, 500, &own);
	assert_int_equal(p.some_now_bp, 10000);
	assert_int_equal(p.full_now_bp, 5000);
	/* it did not; or less was counted, on several CPUs */
	since(&p, 400000, 400000, 500, &own);
	assert_int_equal(p.some_now_bp, 0);
	own = (struct ballast_own_wait){ 100000, 0, 400 };
	since(&p, 150000, 20000, 500, &own);
	assert_int_equal(p.some_now_bp, 5000);
	assert_int_equal(p.full_now_bp, 2000);
	/* of no time nothing can be said */
	own = (struct ballast_own_wait){ 475000, 475000, 500 };
	since(&p, 500000, 500000, 500, &own);
	assert_int_equal(p.some_now_bp, 0);
	own = (struct ballast_own_wait){ ~(u64)0, ~(u64)0, ~(u64)0 };
	since(&p, ~(u64)0 - 7000000, ~(u64)0 - 7000000, 500, &own);
	assert_int_equal(p.some_now_bp, 0);
}

static void every_reason_has_a_word(void **state)
{
	int i, j;

	(void)state;
	for (i = 0; i < BALLAST_REASON_NR; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(ballast_reason_token(i), ballast_reason_token(j));
	assert_string_equal(ballast_reason_token(BALLAST_REASON_NR), "?");
	assert_string_equal(ballast_reason_token(BALLAST_REASON_OOM), "oom");
}

/* ---- hold-off */

static void hold_off_doubles_while_pressure_returns(void **state)
{
	struct ballast_hold h = { 0, 0 };
	u64 now = 1000, length = BALLAST_HOLD_FIRST_MS;
	int i;

	(void)state;
	assert_int_equal(ballast_hold_left_ms(&h, now), 0);
	for (i = 0; i < 12; i++) {
		ballast_hold_begin(&h, now);
		assert_int_equal(h.length_ms, length);
		assert_int_equal(ballast_hold_left_ms(&h, now), length);
		now += length + 1;
		assert_int_equal(ballast_hold_left_ms(&h, now), 0);
		length = ballast_min(length * 2, BALLAST_HOLD_LONGEST_MS);
	}
	assert_int_equal(h.length_ms, BALLAST_HOLD_LONGEST_MS);
}

static void pressure_that_lasts_does_not_double(void **state)
{
	struct ballast_hold h = { 0, 0 };
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		ballast_hold_begin(&h, 5000 + (u64)i * 500);
	assert_int_equal(h.length_ms, BALLAST_HOLD_FIRST_MS);
	assert_int_equal(h.until_ms, 5000 + 99 * 500 + BALLAST_HOLD_FIRST_MS);
}

static void calm_makes_it_forget(void **state)
{
	struct ballast_hold h = { 0, 0 };

	(void)state;
	ballast_hold_begin(&h, 0);
	ballast_hold_begin(&h, 2001);
	assert_int_equal(h.length_ms, 4000);
	/* four times as long after its end, and one more */
	ballast_hold_begin(&h, h.until_ms + 4 * 4000 + 1);
	assert_int_equal(h.length_ms, BALLAST_HOLD_FIRST_MS);
}

/* ---- own target */

static void own_target(void **state)
{
	u64 target = 0;
	int i;

	(void)state;
	/* up by a 16th a period, to what is neither committed nor reserve */
	for (i = 0; i < 100; i++)
		target = ballast_self_target_bytes(target, 16 * GIB, 3 * GIB, GIB);
	assert_in_range(target, 12 * GIB - 16 * GIB / 64, 12 * GIB);
	assert_int_equal(ballast_self_target_bytes(0, 16 * GIB, 3 * GIB, GIB), GIB);
	/* down at once */
	assert_int_equal(ballast_self_target_bytes(target, 16 * GIB, 10 * GIB, GIB), 5 * GIB);
	assert_int_equal(ballast_self_target_bytes(target, 16 * GIB, 17 * GIB, GIB), 0);
	/* a guest that breathes moves nothing */
	target = 5 * GIB;
	assert_int_equal(ballast_self_target_bytes(target, 16 * GIB, 10 * GIB - 100 * BALLAST_MIB,
						   GIB), target);
	assert_int_equal(ballast_self_target_bytes(0, GIB, ~(u64)0, ~(u64)0), 0);
}

/* ---- the decision */

static struct ballast_view calm_guest(void)
{
	struct ballast_view v = {
		.now_ms = 1000000,
		.guest_bytes = 4 * GIB,
		.available_bytes = 3 * GIB,
		.floor_bytes = GIB / 2,
		.limits = { 1000, 500, BALLAST_MIB },
		.page_bytes = PAGE,
		.may_give_back = true,
	};

	return v;
}

static void an_empty_balloon_rests(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;

	(void)state;
	ballast_decider_init(&d);
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_REST);
	assert_int_equal(s.look_ms, BALLAST_STEP_NEVER_MS);
	assert_false(s.veto);
	/* pressure is none of its business then */
	v.pressure.full_now_bp = v.pressure.full_avg10_bp = 10000;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_REST);
	assert_false(s.veto);
}

static void it_inflates_at_the_pace(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;
	int steps = 0;

	(void)state;
	ballast_decider_init(&d);
	v.host_target_bytes = 2 * GIB + 5 * PAGE;
	while (v.held_bytes < v.host_target_bytes && steps++ < 10) {
		s = ballast_step_decide(&d, &v);
		assert_int_equal(s.move, BALLAST_MOVE_INFLATE);
		assert_int_equal(s.reason, BALLAST_REASON_HOST);
		assert_int_equal(s.refused_bytes, 0);
		v.held_bytes += s.bytes;
		v.available_bytes -= s.bytes;
		ballast_step_done(&d, v.now_ms, BALLAST_OUTCOME_EASY, 0);
	}
	assert_int_equal(v.held_bytes, v.host_target_bytes);
	assert_int_equal(steps, 6);	/* 64, 128, 256, 512, 1024 MiB and the rest */
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_REST);
	assert_int_equal(s.look_ms, BALLAST_STEP_LOOK_MS);
}

static void a_short_step_waits(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;

	(void)state;
	ballast_decider_init(&d);
	v.host_target_bytes = GIB;
	ballast_step_done(&d, v.now_ms, BALLAST_OUTCOME_SHORT, 0);
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_REST);
	assert_int_equal(s.look_ms, BALLAST_PACE_SHORT_MS);
	assert_int_equal(s.refused_bytes, GIB);
	v.now_ms += BALLAST_PACE_SHORT_MS;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_INFLATE);
	assert_int_equal(s.bytes, BALLAST_PACE_MIN_BYTES);
}

static void it_stops_at_the_floor(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;

	(void)state;
	ballast_decider_init(&d);
	v.host_target_bytes = 4 * GIB;
	v.available_bytes = v.floor_bytes + 10 * BALLAST_MIB + 100;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_INFLATE);
	assert_int_equal(s.bytes, 10 * BALLAST_MIB);
	assert_int_equal(s.refused_bytes, 4 * GIB - 10 * BALLAST_MIB);
	v.available_bytes = v.floor_bytes + 2 * BALLAST_MIB - 1;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_REST);
	assert_int_equal(s.reason, BALLAST_REASON_FLOOR);
	assert_int_equal(s.refused_bytes, 4 * GIB);
	assert_int_equal(s.look_ms, BALLAST_STEP_LOOK_MS);
	/* the little that is missing may be taken to the byte */
	v.host_target_bytes = BALLAST_MIB;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_INFLATE);
	assert_int_equal(s.bytes, BALLAST_MIB);
}

static void pressure_gives_back_in_doubling_units(void **state)
{
	static const u64 units[] = { 1, 2, 4, 8, 16, 32 };
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;
	size_t i;

	(void)state;
	ballast_decider_init(&d);
	v.host_target_bytes = v.held_bytes = 100 * BALLAST_MIB;
	v.pressure.some_now_bp = 1001;
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		s = ballast_step_decide(&d, &v);
		assert_int_equal(s.move, BALLAST_MOVE_DEFLATE);
		assert_int_equal(s.reason, BALLAST_REASON_PSI_SOME);
		assert_int_equal(s.bytes, ballast_min(units[i] * BALLAST_UNIT_BYTES, v.held_bytes));
		assert_int_equal(s.look_ms, BALLAST_STEP_LOOK_MS);
		assert_true(s.veto);
		v.held_bytes -= s.bytes;
		v.now_ms += BALLAST_STEP_LOOK_MS;
	}
	assert_int_equal(v.held_bytes, 0);
	/* it is over: nothing for the hold-off, then it begins anew */
	v.pressure.some_now_bp = 0;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_REST);
	assert_int_equal(s.refused_bytes, v.host_target_bytes);
	v.now_ms += BALLAST_HOLD_FIRST_MS;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_INFLATE);
	v.held_bytes = v.host_target_bytes;
	v.pressure.some_now_bp = 1001;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.bytes, BALLAST_UNIT_BYTES);
	assert_int_equal(d.hold.length_ms, 2 * BALLAST_HOLD_FIRST_MS);
}

/* The host asks again and again within one look: each time is not a step. */
static void one_look_gives_back_once(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;
	int i;

	(void)state;
	ballast_decider_init(&d);
	v.host_target_bytes = v.held_bytes = 100 * BALLAST_MIB;
	v.pressure.some_now_bp = 1001;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.bytes, BALLAST_UNIT_BYTES);
	v.held_bytes -= s.bytes;
	v.pressure_is_old = true;
	for (i = 0; i < 40; i++) {
		v.now_ms++;
		v.host_target_bytes ^= BALLAST_MIB;
		s = ballast_step_decide(&d, &v);
		assert_int_equal(s.move, BALLAST_MOVE_REST);
		assert_int_equal(s.reason, BALLAST_REASON_PSI_SOME);
		assert_int_equal(s.look_ms, BALLAST_STEP_LOOK_MS);
		assert_false(s.veto);
	}
	assert_int_equal(d.hold.until_ms, v.now_ms - 40 + BALLAST_HOLD_FIRST_MS);
	v.pressure_is_old = false;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.bytes, 2 * BALLAST_UNIT_BYTES);
	assert_true(s.veto);
}

static void lasting_pressure_only_stops_inflation(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;

	(void)state;
	ballast_decider_init(&d);
	v.host_target_bytes = GIB;
	v.held_bytes = GIB / 2;
	v.pressure.full_avg10_bp = 501;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_REST);
	assert_true(s.veto);
	assert_int_equal(s.reason, BALLAST_REASON_PSI_FULL);
	/* a balloon that is where it should be does not care */
	v.held_bytes = GIB;
	s = ballast_step_decide(&d, &v);
	assert_false(s.veto);
}

static void without_leave_nothing_is_given_back(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;

	(void)state;
	ballast_decider_init(&d);
	v.may_give_back = false;
	v.host_target_bytes = v.held_bytes = GIB;
	v.pressure.full_now_bp = 10000;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_REST);
	assert_true(s.veto);
}

static void what_the_host_gives_is_taken_under_pressure_too(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;

	(void)state;
	ballast_decider_init(&d);
	v.held_bytes = GIB;
	v.pressure.full_now_bp = 10000;
	v.may_give_back = false;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_DEFLATE);
	assert_int_equal(s.bytes, GIB);
	assert_false(s.veto);
}

static void the_higher_target_counts(void **state)
{
	struct ballast_view v = calm_guest();
	struct ballast_decider d;
	struct ballast_step s;

	(void)state;
	ballast_decider_init(&d);
	v.host_target_bytes = 10 * BALLAST_MIB;
	v.self_target_bytes = 20 * BALLAST_MIB + 17;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.bytes, 20 * BALLAST_MIB);
	assert_int_equal(s.reason, BALLAST_REASON_SELF);
	v.self_target_bytes = 5 * BALLAST_MIB;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.bytes, 10 * BALLAST_MIB);
	assert_int_equal(s.reason, BALLAST_REASON_HOST);
	/* and downwards: whose target it goes to */
	v.held_bytes = 30 * BALLAST_MIB;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.move, BALLAST_MOVE_DEFLATE);
	assert_int_equal(s.bytes, 20 * BALLAST_MIB);
	assert_int_equal(s.reason, BALLAST_REASON_HOST);
	v.self_target_bytes = 20 * BALLAST_MIB;
	s = ballast_step_decide(&d, &v);
	assert_int_equal(s.bytes, 10 * BALLAST_MIB);
	assert_int_equal(s.reason, BALLAST_REASON_SELF);
}

static void out_of_memory(void **state)
{
	struct ballast_decider d;

	(void)state;
	ballast_decider_init(&d);
	assert_int_equal(ballast_step_oom_bytes(&d, 1, GIB, 0, 0), 0);
	assert_int_equal(d.hold.length_ms, 0);
	assert_int_equal(ballast_step_oom_bytes(&d, 1, 256 * BALLAST_MIB, GIB, 0),
			 64 * BALLAST_MIB);
	assert_int_equal(ballast_step_oom_bytes(&d, 1, 8 * GIB, 4 * GIB, 0), GIB);
	assert_int_equal(ballast_step_oom_bytes(&d, 1, 8 * GIB, 3 * PAGE, 0), 3 * PAGE);
	assert_int_equal(ballast_hold_left_ms(&d.hold, 1), BALLAST_HOLD_FIRST_MS);
	/* nothing is held yet, and what a step has taken goes back by itself */
	ballast_decider_init(&d);
	assert_int_equal(ballast_step_oom_bytes(&d, 1, 8 * GIB, 0, PAGE), 0);
	assert_int_equal(ballast_hold_left_ms(&d.hold, 1), BALLAST_HOLD_FIRST_MS);
}

/*
 * Whatever the guest looks like: never beyond the target, never below the
 * floor, never more given back than held, whole pages, always progress or a wait.
 */
static void any_guest(void **state)
{
	u64 seed = 7;
	struct ballast_decider d;
	unsigned int n, outcome;

	(void)state;
	ballast_decider_init(&d);
	for (n = 0; n < 300000; n++) {
		struct ballast_view v = calm_guest();
		struct ballast_step s;
		u64 target;

		v.now_ms = 1000000 + (u64)n * unit_random_below(&seed, 2);
		v.host_target_bytes = PAGE * unit_random_below(&seed, 2 << 20);
		v.self_target_bytes = unit_random_below(&seed, 3) ? 0 :
				      unit_random_below(&seed, 4 * GIB);
		v.held_bytes = v.host_target_bytes;
		if (unit_random_below(&seed, 4))
			v.held_bytes = PAGE * unit_random_below(&seed, 1 << 20);
		v.available_bytes = unit_random_below(&seed, 4 * GIB);
		v.floor_bytes = unit_random_below(&seed, 4 * GIB);
		v.may_give_back = unit_random_below(&seed, 2);
		if (!unit_random_below(&seed, 4)) {
			v.pressure.some_now_bp = unit_random_below(&seed, 2000);
			v.pressure.some_avg10_bp = unit_random_below(&seed, 2000);
		}
		target = ballast_max(v.host_target_bytes, v.self_target_bytes);
		s = ballast_step_decide(&d, &v);
		assert_int_equal(s.bytes % PAGE, 0);
		assert_int_equal(s.move == BALLAST_MOVE_REST, s.bytes == 0);
		assert_true(s.look_ms >= 1);
		switch (s.move) {
		case BALLAST_MOVE_INFLATE:
			assert_true(v.held_bytes + s.bytes <= target);
			assert_true(v.available_bytes >= v.floor_bytes + s.bytes);
			assert_true(s.bytes <= d.pace.step_bytes);
			outcome = unit_random_below(&seed, 3);
			ballast_step_done(&d, v.now_ms, (enum ballast_outcome)outcome,
					  unit_random_below(&seed, 9000));
			break;
		case BALLAST_MOVE_DEFLATE:
			assert_true(s.bytes <= v.held_bytes);
			assert_true(s.veto ? v.may_give_back : v.held_bytes - s.bytes <= target);
			break;
		case BALLAST_MOVE_REST:
			assert_true(s.look_ms <= BALLAST_STEP_LOOK_MS ||
				    (!target && !v.held_bytes));
			break;
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(pace_grows_while_it_is_easy),
	cmocka_unit_test(pace_shrinks_with_reclaim),
	cmocka_unit_test(pace_backs_off),
	cmocka_unit_test(floor_by_size),
	cmocka_unit_test(a_larger_guest_has_no_lower_floor),
	cmocka_unit_test(room_above_the_floor),
	cmocka_unit_test(part_of_the_floor),
	cmocka_unit_test(psi_is_read),
	cmocka_unit_test(psi_that_is_none),
	cmocka_unit_test(psi_cut_off),
	cmocka_unit_test(share_of_a_time),
	cmocka_unit_test(the_graver_reason_is_named),
	cmocka_unit_test(own_waiting_is_not_the_guests),
	cmocka_unit_test(own_waiting_hides_nothing),
	cmocka_unit_test(every_reason_has_a_word),
	cmocka_unit_test(hold_off_doubles_while_pressure_returns),
	cmocka_unit_test(pressure_that_lasts_does_not_double),
	cmocka_unit_test(calm_makes_it_forget),
	cmocka_unit_test(own_target),
	cmocka_unit_test(an_empty_balloon_rests),
	cmocka_unit_test(it_inflates_at_the_pace),
	cmocka_unit_test(a_short_step_waits),
	cmocka_unit_test(it_stops_at_the_floor),
	cmocka_unit_test(pressure_gives_back_in_doubling_units),
	cmocka_unit_test(one_look_gives_back_once),
	cmocka_unit_test(lasting_pressure_only_stops_inflation),
	cmocka_unit_test(without_leave_nothing_is_given_back),
	cmocka_unit_test(what_the_host_gives_is_taken_under_pressure_too),
	cmocka_unit_test(the_higher_target_counts),
	cmocka_unit_test(out_of_memory),
	cmocka_unit_test(any_guest),
};

unit_main(tests)
