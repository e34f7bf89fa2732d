// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a balloon obeys: ballastd's state machine, over made-up time.
 * tools: ballastd/balloon.c
 */
#include "unit.h"
#include "tools/ballastd/balloon.h"

#define MIB	(1ULL << 20)
#define T0	1000000ULL

static struct balloon b;

static void assert_state(u64 now_ms, enum balloon_state want)
{
	assert_string_equal(balloon_state_token(balloon_state(&b, now_ms)),
			    balloon_state_token(want));
}

/* A driver that has shown itself, balloon at 0. */
static int obeying(void **state)
{
	(void)state;
	balloon_init(&b, BALLOON_DRIVER_FIND_OUT, T0);
	balloon_driver_seen(&b);
	balloon_holds(&b, 0, T0);
	return 0;
}

static void driver_shows_itself_or_is_none(void **state)
{
	(void)state;
	balloon_init(&b, BALLOON_DRIVER_FIND_OUT, T0);
	assert_state(T0, BALLOON_UNKNOWN);
	assert_false(balloon_should_ask(&b, MIB, false, T0));
	assert_true(balloon_waits(&b));
	assert_state(T0 + BALLOON_GRACE_MS - 1, BALLOON_UNKNOWN);
	assert_state(T0 + BALLOON_GRACE_MS, BALLOON_NONE);
	/* late is not never */
	balloon_driver_seen(&b);
	assert_state(T0 + BALLOON_GRACE_MS, BALLOON_OK);
	assert_true(balloon_should_ask(&b, MIB, false, T0 + BALLOON_GRACE_MS));
}

static void balloon_that_holds_something_has_a_driver(void **state)
{
	(void)state;
	balloon_init(&b, BALLOON_DRIVER_FIND_OUT, T0);
	balloon_holds(&b, 64 * MIB, T0);
	assert_state(T0, BALLOON_OK);
}

static void admin_has_the_last_word(void **state)
{
	(void)state;
	balloon_init(&b, BALLOON_DRIVER_ASSUME, T0);
	assert_state(T0, BALLOON_OK);
	balloon_init(&b, BALLOON_DRIVER_IGNORE, T0);
	balloon_driver_seen(&b);
	assert_state(T0, BALLOON_NONE);
	assert_false(balloon_should_ask(&b, MIB, false, T0));
}

static void no_device_is_none_at_once(void **state)
{
	(void)state;
	balloon_set_device(&b, false);
	assert_state(T0, BALLOON_NONE);
	assert_false(balloon_should_ask(&b, MIB, false, T0));
	assert_false(balloon_waits(&b));
	balloon_set_device(&b, true);
	assert_state(T0, BALLOON_OK);
}

static void arrives_and_rests(void **state)
{
	(void)state;
	assert_true(balloon_should_ask(&b, 64 * MIB, false, T0));
	balloon_ask(&b, 64 * MIB, T0);
	assert_false(balloon_should_ask(&b, 64 * MIB, false, T0));
	assert_true(balloon_waits(&b));
	balloon_holds(&b, 64 * MIB, T0 + 4000);
	assert_false(balloon_waits(&b));
	assert_state(T0 + 1000000, BALLOON_OK);
}

static void stuck_then_uncooperative_to_the_millisecond(void **state)
{
	(void)state;
	balloon_ask(&b, 64 * MIB, T0);
	assert_state(T0 + 4999, BALLOON_OK);
	assert_state(T0 + 5000, BALLOON_STUCK);
	assert_state(T0 + 19999, BALLOON_STUCK);
	assert_state(T0 + 20000, BALLOON_UNCOOPERATIVE);
	assert_false(balloon_waits(&b));
}

static void steady_movement_is_never_stuck(void **state)
{
	u64 held = 0, now = T0;

	(void)state;
	balloon_ask(&b, 64 * MIB, T0);
	while (held < 64 * MIB) {
		now += 4000;
		held += 2 * MIB;
		balloon_holds(&b, held, now);
		assert_state(now + 999, BALLOON_OK);
	}
	assert_false(balloon_waits(&b));
}

static void a_page_now_and_then_is_no_movement(void **state)
{
	u64 now;

	(void)state;
	balloon_ask(&b, 64 * MIB, T0);
	for (now = T0; now < T0 + 20000; now += 1000)
		balloon_holds(&b, (now - T0) * 4, now);
	assert_state(now, BALLOON_UNCOOPERATIVE);
}

static void movement_the_wrong_way_is_none(void **state)
{
	(void)state;
	balloon_holds(&b, 32 * MIB, T0);
	balloon_ask(&b, 0, T0);
	balloon_holds(&b, 48 * MIB, T0 + 4000);
	assert_state(T0 + 5000, BALLOON_STUCK);
}

/* holds 64 MiB, as it was asked to at T0 */
static void full(void)
{
	balloon_ask(&b, 64 * MIB, T0);
	assert_false(balloon_holds(&b, 64 * MIB, T0));
}

static void who_takes_from_it_is_left_alone_for_a_while(void **state)
{
	(void)state;
	full();
	assert_true(balloon_holds(&b, 40 * MIB, T0 + 1000));
	assert_state(T0 + 20999, BALLOON_OK);
	assert_true(balloon_waits(&b));
	assert_true(b.resting);
	/* its driver has done what it was asked for, and is not woken */
	assert_false(balloon_should_ask(&b, 40 * MIB, false, T0 + 1000));
	assert_false(balloon_should_ask(&b, 40 * MIB, true, T0 + 1000));
	assert_false(balloon_should_ask(&b, 64 * MIB, false, T0 + 20999));
	/* to get more is another matter */
	assert_true(balloon_should_ask(&b, 32 * MIB, false, T0 + 20999));
	assert_state(T0 + 21000, BALLOON_OK);
	assert_false(b.resting);
	assert_false(balloon_waits(&b));
	assert_true(balloon_should_ask(&b, 64 * MIB, false, T0 + 21000));
}

static void on_its_way_too(void **state)
{
	(void)state;
	balloon_ask(&b, 64 * MIB, T0);
	assert_false(balloon_holds(&b, 32 * MIB, T0 + 1000));
	assert_true(balloon_holds(&b, 16 * MIB, T0 + 2000));
	/* the driver goes on with what it was asked for */
	assert_false(balloon_holds(&b, 32 * MIB, T0 + 3000));
	assert_true(balloon_should_ask(&b, 32 * MIB, false, T0 + 3000));
	balloon_ask(&b, 32 * MIB, T0 + 3000);
	assert_false(balloon_should_ask(&b, 32 * MIB, false, T0 + 3000));
	/* and takes again: at rest now */
	assert_true(balloon_holds(&b, 16 * MIB, T0 + 4000));
	assert_false(balloon_should_ask(&b, 16 * MIB, false, T0 + 4000));
	assert_state(T0 + 23999, BALLOON_OK);
}

/* While nobody may ask: it is stopped later. */
static void on_its_way_while_frozen(void **state)
{
	(void)state;
	balloon_ask(&b, 64 * MIB, T0);
	balloon_holds(&b, 32 * MIB, T0 + 1000);
	balloon_freeze(&b, true, T0 + 1000);
	assert_true(balloon_holds(&b, 16 * MIB, T0 + 2000));
	assert_false(balloon_should_ask(&b, 16 * MIB, false, T0 + 2000));
	assert_state(T0 + 100000, BALLOON_FROZEN);
	assert_false(b.resting);
	balloon_freeze(&b, false, T0 + 100000);
	assert_true(balloon_should_ask(&b, 16 * MIB, false, T0 + 100000));
}

/* What it has been asked for before is not known. */
static void what_was_there_before_can_be_taken(void **state)
{
	(void)state;
	assert_false(balloon_holds(&b, 64 * MIB, T0));
	assert_true(balloon_holds(&b, 40 * MIB, T0 + 1000));
	assert_false(balloon_should_ask(&b, 64 * MIB, false, T0 + 1000));
	assert_false(balloon_should_ask(&b, 40 * MIB, false, T0 + 1000));
	/* short of memory, and perhaps at work */
	assert_true(balloon_should_ask(&b, 40 * MIB, true, T0 + 1000));
	balloon_ask(&b, 40 * MIB, T0 + 1000);
	assert_false(balloon_should_ask(&b, 40 * MIB, true, T0 + 1000));
}

static void what_turns_round_takes_nothing(void **state)
{
	(void)state;
	full();
	balloon_ask(&b, 16 * MIB, T0 + 1000);
	assert_false(balloon_holds(&b, 40 * MIB, T0 + 2000));
	balloon_ask(&b, 48 * MIB, T0 + 3000);
	/* this far it had come when it heard of that */
	assert_false(balloon_holds(&b, 32 * MIB, T0 + 3500));
	assert_false(balloon_holds(&b, 20 * MIB, T0 + 4000));
	assert_false(b.resting);
	assert_false(balloon_holds(&b, 48 * MIB, T0 + 5000));
	assert_true(balloon_holds(&b, 40 * MIB, T0 + 6000));
}

/* Further down than anybody knew, and asked twice meanwhile. */
static void what_has_turned_round_unseen_takes_nothing(void **state)
{
	(void)state;
	full();
	balloon_ask(&b, 16 * MIB, T0 + 1000);
	balloon_ask(&b, 48 * MIB, T0 + 2000);
	balloon_ask(&b, 80 * MIB, T0 + 2500);
	assert_false(balloon_holds(&b, 20 * MIB, T0 + 3000));
	assert_false(b.resting);
	assert_false(balloon_holds(&b, 48 * MIB, T0 + 4000));
	assert_true(balloon_holds(&b, 40 * MIB, T0 + 5000));
}

static void little_by_little_is_taken_as_well(void **state)
{
	u64 kib, taken = 0;

	(void)state;
	full();
	for (kib = 256; kib <= 4096; kib += 256)
		taken += balloon_holds(&b, 64 * MIB - (kib << 10), T0 + kib);
	assert_int_equal(taken, 4);
}

static void what_is_given_is_not_taken(void **state)
{
	(void)state;
	full();
	balloon_ask(&b, 16 * MIB, T0 + 1000);
	assert_false(balloon_holds(&b, 32 * MIB, T0 + 2000));
	assert_false(balloon_holds(&b, 16 * MIB, T0 + 3000));
	assert_true(balloon_should_ask(&b, 64 * MIB, false, T0 + 3000));
	/* a balloon that is larger than asked for is the guest's own affair */
	assert_false(balloon_holds(&b, 32 * MIB, T0 + 4000));
	assert_false(balloon_holds(&b, 17 * MIB, T0 + 5000));
}

static void a_guest_that_boots_has_taken_nothing(void **state)
{
	(void)state;
	full();
	assert_false(balloon_holds(&b, 0, T0 + 1000));
	assert_true(b.resting);
	/* the kernel's driver tells of what it has only when it is asked for the first MiB */
	balloon_ask(&b, 64 * MIB, T0 + 30000);
	balloon_holds(&b, 64 * MIB, T0 + 30000);
	assert_false(balloon_holds(&b, MIB, T0 + 31000));
	assert_true(b.resting);
}

static void who_is_short_of_memory_is_excused(void **state)
{
	(void)state;
	balloon_ask(&b, 64 * MIB, T0);
	balloon_holds(&b, 32 * MIB, T0);
	assert_state(T0 + 5000, BALLOON_STUCK);
	/* without pressure the request stays */
	assert_false(balloon_should_ask(&b, 32 * MIB, false, T0 + 5000));
	assert_true(balloon_should_ask(&b, 32 * MIB, true, T0 + 5000));
	balloon_ask(&b, 32 * MIB, T0 + 5000);
	assert_state(T0 + 5000, BALLOON_OK);
	assert_false(balloon_should_ask(&b, 32 * MIB, true, T0 + 5000));
	/* the same when it has failed; and it can fail again */
	balloon_ask(&b, 64 * MIB, T0 + 6000);
	assert_state(T0 + 26000, BALLOON_UNCOOPERATIVE);
	assert_true(balloon_should_ask(&b, 32 * MIB, true, T0 + 26000));
	balloon_ask(&b, 32 * MIB, T0 + 26000);
	assert_state(T0 + 26000, BALLOON_OK);
	balloon_ask(&b, 64 * MIB, T0 + 27000);
	assert_state(T0 + 47000, BALLOON_UNCOOPERATIVE);
}

static void failure_that_nobody_knows_is_probed(void **state)
{
	(void)state;
	balloon_holds(&b, 32 * MIB, T0);
	assert_false(balloon_is_to_be_probed(&b));
	balloon_has_failed(&b);
	assert_true(balloon_is_to_be_probed(&b));
	assert_true(balloon_should_ask(&b, 34 * MIB, false, T0));
	balloon_ask(&b, 34 * MIB, T0);
	assert_false(balloon_is_to_be_probed(&b));
	assert_state(T0, BALLOON_UNCOOPERATIVE);
	assert_false(balloon_should_ask(&b, 32 * MIB, false, T0 + 1000));
	balloon_holds(&b, 34 * MIB, T0 + 2000);
	assert_state(T0 + 2000, BALLOON_OK);
	/* its own failures are known */
	balloon_ask(&b, 64 * MIB, T0 + 3000);
	assert_state(T0 + 23000, BALLOON_UNCOOPERATIVE);
	assert_false(balloon_is_to_be_probed(&b));
}

static void who_does_not_take_what_is_given_is_not_excused(void **state)
{
	(void)state;
	balloon_holds(&b, 32 * MIB, T0);
	balloon_ask(&b, 0, T0);
	assert_state(T0 + 20000, BALLOON_UNCOOPERATIVE);
	assert_false(balloon_should_ask(&b, 32 * MIB, true, T0 + 20000));
}

static void an_old_failure_is_known(void **state)
{
	(void)state;
	balloon_holds(&b, 32 * MIB, T0);
	balloon_has_failed(&b);
	balloon_holds(&b, 32 * MIB, T0 + 100000);
	assert_state(T0 + 100000, BALLOON_UNCOOPERATIVE);
	assert_false(balloon_should_ask(&b, 32 * MIB, false, T0 + 100000));
	/* it moves, by a request that nobody here knows */
	balloon_holds(&b, 34 * MIB, T0 + 101000);
	assert_state(T0 + 101000, BALLOON_OK);
	/* downwards, too */
	balloon_has_failed(&b);
	balloon_holds(&b, 30 * MIB, T0 + 101500);
	assert_state(T0 + 101500, BALLOON_OK);
	balloon_holds(&b, 34 * MIB, T0 + 101600);
	/* or is excused */
	balloon_has_failed(&b);
	assert_true(balloon_should_ask(&b, 34 * MIB, true, T0 + 102000));
	balloon_ask(&b, 34 * MIB, T0 + 102000);
	assert_state(T0 + 102000, BALLOON_OK);
}

static void asking_for_more_gives_no_more_time(void **state)
{
	u64 i;

	(void)state;
	for (i = 0; i < 20; i++)
		balloon_ask(&b, (64 + i) * MIB, T0 + i * 1000);
	assert_state(T0 + 20000, BALLOON_UNCOOPERATIVE);
	/* the other way is another matter */
	balloon_holds(&b, 32 * MIB, T0 + 20001);
	balloon_ask(&b, 0, T0 + 20001);
	assert_state(T0 + 25000, BALLOON_OK);
	assert_state(T0 + 25001, BALLOON_STUCK);
}

static void resignation_is_no_obedience(void **state)
{
	(void)state;
	balloon_ask(&b, 64 * MIB, T0);
	assert_state(T0 + 20000, BALLOON_UNCOOPERATIVE);
	/* the module now wants what it has */
	assert_false(balloon_should_ask(&b, 0, false, T0 + 21000));
	balloon_holds(&b, 0, T0 + 22000);
	assert_state(T0 + 22000, BALLOON_UNCOOPERATIVE);
	/* the driver wakes up, with the old request before it */
	balloon_holds(&b, 8 * MIB, T0 + 30000);
	assert_state(T0 + 30000, BALLOON_OK);
	balloon_holds(&b, 64 * MIB, T0 + 31000);
	assert_state(T0 + 99000, BALLOON_OK);
}

static void memory_can_be_given_back_to_one_that_failed(void **state)
{
	(void)state;
	balloon_holds(&b, 32 * MIB, T0);
	balloon_ask(&b, 64 * MIB, T0);
	assert_state(T0 + 20000, BALLOON_UNCOOPERATIVE);
	assert_true(balloon_should_ask(&b, 0, false, T0 + 21000));
}

static void frozen_time_does_not_count(void **state)
{
	(void)state;
	balloon_ask(&b, 64 * MIB, T0);
	balloon_freeze(&b, true, T0 + 4000);
	assert_state(T0 + 100000, BALLOON_FROZEN);
	assert_false(balloon_should_ask(&b, 32 * MIB, false, T0 + 100000));
	balloon_freeze(&b, false, T0 + 100000);
	assert_state(T0 + 104999, BALLOON_OK);
	assert_state(T0 + 105000, BALLOON_STUCK);
}

/* Whatever happens, in whatever order: no state but those, and obedience ends well. */
static void any_history_ends_well(void **state)
{
	u64 seed = 4, now = T0, i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		now += unit_random_below(&seed, 6000);
		switch (unit_random_below(&seed, 5)) {
		case 0:
			balloon_holds(&b, unit_random(&seed) >> unit_random_below(&seed, 64), now);
			break;
		case 1:
			balloon_ask(&b, unit_random(&seed) >> unit_random_below(&seed, 64), now);
			break;
		case 2:
			balloon_freeze(&b, unit_random_below(&seed, 2), now);
			break;
		case 3:
			balloon_set_device(&b, unit_random_below(&seed, 8));
			break;
		default:
			assert_true(balloon_state(&b, now) < BALLOON_STATES);
		}
	}
	balloon_set_device(&b, true);
	balloon_freeze(&b, false, now);
	balloon_ask(&b, 64 * MIB, now);
	balloon_holds(&b, 0, now);
	balloon_holds(&b, 64 * MIB, now);
	assert_state(now, BALLOON_OK);
	balloon_ask(&b, 32 * MIB, now);
	balloon_holds(&b, 32 * MIB, now);
	assert_state(now + 100000, BALLOON_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(driver_shows_itself_or_is_none),
		cmocka_unit_test(balloon_that_holds_something_has_a_driver),
		cmocka_unit_test(admin_has_the_last_word),
		cmocka_unit_test_setup(no_device_is_none_at_once, obeying),
		cmocka_unit_test_setup(arrives_and_rests, obeying),
		cmocka_unit_test_setup(stuck_then_uncooperative_to_the_millisecond, obeying),
		cmocka_unit_test_setup(steady_movement_is_never_stuck, obeying),
		cmocka_unit_test_setup(a_page_now_and_then_is_no_movement, obeying),
		cmocka_unit_test_setup(movement_the_wrong_way_is_none, obeying),
		cmocka_unit_test_setup(who_takes_from_it_is_left_alone_for_a_while, obeying),
		cmocka_unit_test_setup(on_its_way_too, obeying),
		cmocka_unit_test_setup(what_was_there_before_can_be_taken, obeying),
		cmocka_unit_test_setup(what_has_turned_round_unseen_takes_nothing, obeying),
		cmocka_unit_test_setup(what_turns_round_takes_nothing, obeying),
		cmocka_unit_test_setup(failure_that_nobody_knows_is_probed, obeying),
		cmocka_unit_test_setup(on_its_way_while_frozen, obeying),
		cmocka_unit_test_setup(little_by_little_is_taken_as_well, obeying),
		cmocka_unit_test_setup(what_is_given_is_not_taken, obeying),
		cmocka_unit_test_setup(a_guest_that_boots_has_taken_nothing, obeying),
		cmocka_unit_test_setup(who_is_short_of_memory_is_excused, obeying),
		cmocka_unit_test_setup(who_does_not_take_what_is_given_is_not_excused, obeying),
		cmocka_unit_test_setup(an_old_failure_is_known, obeying),
		cmocka_unit_test_setup(asking_for_more_gives_no_more_time, obeying),
		cmocka_unit_test_setup(resignation_is_no_obedience, obeying),
		cmocka_unit_test_setup(memory_can_be_given_back_to_one_that_failed, obeying),
		cmocka_unit_test_setup(frozen_time_does_not_count, obeying),
		cmocka_unit_test_setup(any_history_ends_well, obeying),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
