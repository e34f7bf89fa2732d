// SPDX-License-Identifier: GPL-2.0
/*
 * The map of a swap file's slots against a plain array.
 * sources: store/swapmap.c
 *
 * DOC: The array (struct model) has a byte for each slot: free, used or bad.  What
 * an allocation may return follows from it alone: slots that were free, one behind
 * the other, as many as wanted wherever the map promises to find a run that long.
 * The memory is exactly as large as the map says it needs, from malloc(): a word too
 * many is ASan's to find.  What cannot be tried here is the time of a search; that
 * the number of runs looked at has a limit is seen by what it then misses.
 */
#include "unit.h"
#include "store/swapmap.h"

enum { FREE, USED, BAD };
enum { RUNS_LOOKED_AT = 32, MANY_SLOTS = 300000 };

_Static_assert(BALLAST_SWAPMAP_MAX == UINT32_MAX, "a slot and an end fit 32 bits");

struct model {
	struct ballast_swapmap map;
	void *memory;
	u32 slots;
	u32 next;
	u8 state[MANY_SLOTS];
};

/* One for all tests; its memory goes with the next test, or with the last. */
static struct model *new_model(u32 slots)
{
	static struct model model;

	assert_true(slots <= MANY_SLOTS);
	free(model.memory);
	memset(&model, 0, sizeof(model));
	model.slots = slots;
	model.memory = calloc(1, ballast_swapmap_bytes(slots));
	assert_non_null(model.memory);
	ballast_swapmap_init(&model.map, slots, model.memory);
	return &model;
}

static int drop_model(void **state)
{
	(void)state;
	free(new_model(0)->memory);
	return 0;
}

static u32 in_state(const struct model *m, u8 state)
{
	u32 slot, count = 0;

	for (slot = 0; slot < m->slots; slot++)
		count += m->state[slot] == state;
	return count;
}

static void counts_agree(const struct model *m)
{
	assert_int_equal(m->map.free, in_state(m, FREE));
	assert_int_equal(m->map.bad, in_state(m, BAD));
	assert_int_equal(ballast_swapmap_used(&m->map), in_state(m, USED));
}

/* Free slots from @slot on, up to @want. */
static u32 free_from(const struct model *m, u32 slot, u32 want)
{
	u32 count = 0;

	while (count < want && slot + count < m->slots && m->state[slot + count] == FREE)
		count++;
	return count;
}

/* What the map promises, computed one slot at a time; 0: none is free. */
static u32 expected(const struct model *m, u32 want, u32 *first)
{
	u32 pass, slot, longest = 0, runs = RUNS_LOOKED_AT;

	for (pass = 0; pass < 2; pass++) {
		u32 end = pass ? m->next : m->slots;

		for (slot = pass ? 0 : m->next; slot < end; slot++) {
			u32 count = free_from(m, slot, want);

			if (!count)
				continue;
			if (longest < want && runs && count > longest) {
				longest = count;
				*first = slot;
			}
			if (runs)
				runs--;
			slot += count;	/* that one is not free, or the run is enough */
		}
	}
	return longest;
}

static u32 alloc(struct model *m, u32 want, u32 *first)
{
	u32 n, wanted = 0, where = 0xdeadbeef;
	u32 count = expected(m, want, &wanted);

	assert_int_equal(ballast_swapmap_alloc(&m->map, want, &where), count);
	if (!count) {
		assert_int_equal(where, 0xdeadbeef);
		return 0;
	}
	assert_int_equal(where, wanted);
	for (n = 0; n < count; n++) {
		assert_int_equal(m->state[where + n], FREE);
		m->state[where + n] = USED;
	}
	m->next = where + count;
	*first = where;
	return count;
}

static void give_back(struct model *m, u32 slot)
{
	int err = slot >= m->slots ? -ERANGE : m->state[slot] == USED ? 0 : -EINVAL;

	assert_int_equal(ballast_swapmap_free(&m->map, slot), err);
	if (!err)
		m->state[slot] = FREE;
}

static void mark_bad(struct model *m, u32 slot)
{
	int err = slot >= m->slots ? -ERANGE : m->state[slot] == USED ? 0 : -EINVAL;

	assert_int_equal(ballast_swapmap_mark_bad(&m->map, slot), err);
	if (!err)
		m->state[slot] = BAD;
}

/* The tree says what the bits below it say. */
static void tree_is_true(const struct ballast_swapmap *map)
{
	unsigned int level;
	u32 n;

	for (level = 1; level < map->levels; level++)
		for (n = 0; n < map->bits[level]; n++)
			assert_int_equal(map->full[level][n / 64] >> n % 64 & 1,
					 map->full[level - 1][n] == ~0ULL);
	assert_true(map->bits[map->levels - 1] <= 64);
}

static void take_all(struct model *m)
{
	u32 first, sum = 0, count;

	while ((count = alloc(m, m->slots, &first)))
		sum += count;
	assert_true(sum <= m->slots);
	assert_int_equal(m->map.free, 0);
	tree_is_true(&m->map);
}

static const u32 sizes[] = {
	1, 2, 63, 64, 65, 127, 128, 129, 64 * 64 - 1, 64 * 64, 64 * 64 + 1,
	64 * 65, 64 * 64 * 64 - 1, 64 * 64 * 64, 64 * 64 * 64 + 1,
};

/* All of it in one piece, then nothing; back one by one, and again. */
static void every_size_fills_and_empties(void **state)
{
	u32 i, slot, first;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct model *m = new_model(sizes[i]);

		counts_agree(m);
		assert_int_equal(alloc(m, UINT32_MAX, &first), sizes[i]);
		assert_int_equal(first, 0);
		tree_is_true(&m->map);
		assert_int_equal(alloc(m, 1, &first), 0);
		for (slot = sizes[i]; slot--;)
			give_back(m, slot);
		counts_agree(m);
		tree_is_true(&m->map);
		assert_int_equal(alloc(m, sizes[i], &first), sizes[i]);
	}
}

static void one_by_one_is_in_order(void **state)
{
	u32 i, slot, first;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ballast_swapmap *map;

		if (sizes[i] > 64 * 65)
			continue;
		map = &new_model(sizes[i])->map;
		for (slot = 0; slot < sizes[i]; slot++) {
			assert_int_equal(ballast_swapmap_alloc(map, 1, &first), 1);
			assert_int_equal(first, slot);
		}
		assert_int_equal(ballast_swapmap_alloc(map, 1, &first), 0);
		tree_is_true(map);
	}
}

/* The only free slot is found, wherever it is and wherever the search begins. */
static void the_last_free_slot_is_found(void **state)
{
	u64 seed = 1;
	u32 i, n, first;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct model *m = new_model(sizes[i]);

		take_all(m);
		for (n = 0; n < 50; n++) {
			u32 slot = n < 2 ? n * (sizes[i] - 1) :
				   unit_random_below(&seed, sizes[i]);

			/* not by alloc(): the plain array is slow here */
			assert_int_equal(ballast_swapmap_free(&m->map, slot), 0);
			assert_int_equal(ballast_swapmap_alloc(&m->map, 32, &first), 1);
			assert_int_equal(first, slot);
			assert_int_equal(ballast_swapmap_alloc(&m->map, 1, &first), 0);
		}
		tree_is_true(&m->map);
	}
}

static void no_slots_and_none_wanted(void **state)
{
	struct model *m = new_model(0);
	u32 first = 7;

	(void)state;
	assert_int_equal(ballast_swapmap_bytes(0), 0);
	assert_int_equal(alloc(m, 1, &first), 0);
	give_back(m, 0);
	mark_bad(m, 0);
	m = new_model(100);
	assert_int_equal(alloc(m, 0, &first), 0);
	assert_int_equal(first, 7);
	counts_agree(m);
}

/* What was freed is passed by until the end has been reached. */
static void goes_on_where_it_was(void **state)
{
	struct model *m = new_model(100);
	u32 first, slot;

	(void)state;
	assert_int_equal(alloc(m, 40, &first), 40);
	for (slot = 0; slot < 30; slot++)
		give_back(m, slot);
	assert_int_equal(alloc(m, 30, &first), 30);
	assert_int_equal(first, 40);
	/* 30 are left at the end, 30 at the beginning: a run does not go round */
	assert_int_equal(alloc(m, 31, &first), 30);
	assert_int_equal(first, 70);
	assert_int_equal(alloc(m, 31, &first), 30);
	assert_int_equal(first, 0);
	assert_int_equal(alloc(m, 1, &first), 0);
}

/* A run that is long enough is worth passing shorter ones, ahead or behind. */
static void a_whole_run_is_preferred(void **state)
{
	struct model *m = new_model(1000);
	u32 first, slot;

	(void)state;
	take_all(m);
	for (slot = 0; slot < 100; slot += 10)
		give_back(m, slot);
	for (slot = 501; slot < 533; slot++)
		give_back(m, slot);
	assert_int_equal(alloc(m, 32, &first), 32);
	assert_int_equal(first, 501);
	/* behind the place where the search begins */
	for (slot = 200; slot < 232; slot++)
		give_back(m, slot);
	for (slot = 600; slot < 700; slot += 10)
		give_back(m, slot);
	assert_int_equal(alloc(m, 32, &first), 32);
	assert_int_equal(first, 200);
	assert_int_equal(alloc(m, 32, &first), 1);
	assert_int_equal(first, 600);
}

static void else_the_longest(void **state)
{
	struct model *m = new_model(1000);
	u32 first, slot;

	(void)state;
	take_all(m);
	give_back(m, 10);
	for (slot = 700; slot < 705; slot++)
		give_back(m, slot);
	for (slot = 126; slot < 130; slot++)
		give_back(m, slot);
	assert_int_equal(alloc(m, 6, &first), 5);
	assert_int_equal(first, 700);
	assert_int_equal(alloc(m, 6, &first), 4);
	assert_int_equal(first, 126);
	assert_int_equal(alloc(m, 6, &first), 1);
	assert_int_equal(alloc(m, 6, &first), 0);
}

/* Every second slot free, and one long run too far away to be looked for. */
static void a_search_gives_up(void **state)
{
	struct model *m = new_model(64 * 64 * 3);
	u32 first, slot;

	(void)state;
	take_all(m);
	for (slot = 0; slot < m->slots; slot += 2)
		give_back(m, slot);
	give_back(m, 2 * RUNS_LOOKED_AT + 1);
	assert_int_equal(alloc(m, 3, &first), 1);
	assert_int_equal(first, 0);
	/* one run nearer */
	assert_int_equal(alloc(m, 3, &first), 3);
	assert_int_equal(first, 2 * RUNS_LOOKED_AT);
}

static void freed_twice_changes_nothing(void **state)
{
	struct model *m = new_model(130);
	u32 first;

	(void)state;
	give_back(m, 0);	/* never allocated */
	assert_int_equal(alloc(m, 130, &first), 130);
	give_back(m, 64);
	give_back(m, 64);
	give_back(m, 130);	/* the bits above the end are set, but no slots */
	give_back(m, 191);
	give_back(m, 192);
	give_back(m, UINT32_MAX);
	counts_agree(m);
	assert_int_equal(alloc(m, 2, &first), 1);
	assert_int_equal(first, 64);
	assert_int_equal(alloc(m, 1, &first), 0);
}

static void bad_is_for_ever(void **state)
{
	struct model *m = new_model(66);
	u32 first, slot;

	(void)state;
	mark_bad(m, 3);		/* free */
	mark_bad(m, 66);	/* none */
	assert_int_equal(alloc(m, 66, &first), 66);
	mark_bad(m, 3);
	mark_bad(m, 3);
	mark_bad(m, 65);
	give_back(m, 3);
	counts_agree(m);
	for (slot = 0; slot < 66; slot++)
		give_back(m, slot);
	counts_agree(m);
	assert_int_equal(m->map.bad, 2);
	assert_int_equal(m->map.free, 64);
	assert_int_equal(alloc(m, 66, &first), 61);
	assert_int_equal(first, 4);
	assert_int_equal(alloc(m, 66, &first), 3);
	assert_int_equal(alloc(m, 66, &first), 0);
}

/* Each slot bad: full, and nothing comes back. */
static void all_bad(void **state)
{
	struct model *m = new_model(64 * 64 + 1);
	u32 first, slot;

	(void)state;
	take_all(m);
	for (slot = 0; slot < m->slots; slot++)
		mark_bad(m, slot);
	counts_agree(m);
	assert_int_equal(ballast_swapmap_used(&m->map), 0);
	assert_int_equal(alloc(m, 1, &first), 0);
}

/*
 * Anything, in any order.  @fill: of 100 steps how many allocate, which sets how
 * full the map becomes; @bad: of 10000 steps how many mark a slot bad.
 */
static void random_steps(u32 slots, u32 steps, unsigned int fill, unsigned int bad, u64 seed)
{
	struct model *m = new_model(slots);
	u32 step, first, failed = 0;

	for (step = 0; step < steps; step++) {
		if (unit_random_below(&seed, 100) < fill)
			failed += !alloc(m, unit_random_below(&seed, 40), &first);
		else if (unit_random_below(&seed, 10000) < bad)
			mark_bad(m, unit_random_below(&seed, slots + 2));
		else
			give_back(m, unit_random_below(&seed, slots + 2));
		if (step % 256 == 0) {
			counts_agree(m);
			tree_is_true(&m->map);
		}
	}
	counts_agree(m);
	tree_is_true(&m->map);
	unit_note("%u slots: %u free, %u bad at the end, %u requests in vain", slots,
		  m->map.free, m->map.bad, failed);
}

static void random_operations(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		if (sizes[i] <= 64 * 65)
			random_steps(sizes[i], 8000, 5, 20, 100 + i);
}

static void random_operations_nearly_full(void **state)
{
	(void)state;
	random_steps(64 * 64 + 1, 8000, 30, 0, 3);
	random_steps(1000, 20000, 50, 0, 4);
	random_steps(130, 20000, 50, 5, 5);
}

static void random_operations_mostly_free(void **state)
{
	(void)state;
	random_steps(1000, 20000, 3, 0, 6);
	random_steps(64 * 65, 20000, 3, 1, 7);
}

/* The largest map there may be, its memory never touched as a whole. */
static void memory_that_is_asked_for(void **state)
{
	const size_t words = 1U << 26;

	(void)state;
	assert_int_equal(ballast_swapmap_bytes(1), 2 * 8);
	assert_int_equal(ballast_swapmap_bytes(64), 2 * 8);
	assert_int_equal(ballast_swapmap_bytes(65), (2 + 2 + 1) * 8);
	assert_int_equal(ballast_swapmap_bytes(64 * 64), (64 + 64 + 1) * 8);
	assert_int_equal(ballast_swapmap_bytes(64 * 64 + 1), (65 + 65 + 2 + 1) * 8);
	assert_int_equal(ballast_swapmap_bytes(BALLAST_SWAPMAP_MAX),
			 (2 * words + words / 64 + words / 4096 + words / 262144 +
			  words / 16777216 + 1) * 8);
}

/* Only pages that are written to take memory: the two ends, and the tree. */
static void the_largest_map(void **state)
{
	const u32 slots = BALLAST_SWAPMAP_MAX;
	void *memory = calloc(1, ballast_swapmap_bytes(slots));
	struct ballast_swapmap map;
	u32 first, i;

	(void)state;
	if (!memory)
		skip();
	ballast_swapmap_init(&map, slots, memory);
	assert_int_equal(map.levels, 6);
	assert_true(map.levels <= BALLAST_SWAPMAP_LEVELS);
	map.next = slots - 40;
	assert_int_equal(ballast_swapmap_alloc(&map, 32, &first), 32);
	assert_int_equal(first, slots - 40);
	for (i = 0; i < 2; i++) {	/* 8 are left there */
		assert_int_equal(ballast_swapmap_alloc(&map, 4, &first), 4);
		assert_int_equal(first, slots - 8 + 4 * i);
	}
	assert_int_equal(ballast_swapmap_alloc(&map, 32, &first), 32);
	assert_int_equal(first, 0);
	assert_int_equal(ballast_swapmap_free(&map, slots - 1), 0);
	assert_int_equal(ballast_swapmap_free(&map, slots), -ERANGE);
	map.next = slots - 32;
	assert_int_equal(ballast_swapmap_alloc(&map, 1, &first), 1);
	assert_int_equal(first, slots - 1);
	assert_int_equal(map.free, slots - 72);
	free(memory);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_size_fills_and_empties),
	cmocka_unit_test(one_by_one_is_in_order),
	cmocka_unit_test(the_last_free_slot_is_found),
	cmocka_unit_test(no_slots_and_none_wanted),
	cmocka_unit_test(goes_on_where_it_was),
	cmocka_unit_test(a_whole_run_is_preferred),
	cmocka_unit_test(else_the_longest),
	cmocka_unit_test(a_search_gives_up),
	cmocka_unit_test(freed_twice_changes_nothing),
	cmocka_unit_test(bad_is_for_ever),
	cmocka_unit_test(all_bad),
	cmocka_unit_test(random_operations),
	cmocka_unit_test(random_operations_nearly_full),
	cmocka_unit_test(random_operations_mostly_free),
	cmocka_unit_test(memory_that_is_asked_for),
	cmocka_unit_test_teardown(the_largest_map, drop_model),
};

unit_main(tests)
