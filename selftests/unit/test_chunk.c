// SPDX-License-Identifier: GPL-2.0
/*
 * The packed page of the sharing index against a plain list.
 * sources: sharing/chunk.c
 *
 * DOC: The list (struct model) knows nothing of buckets and bits.  Every entry
 * gets a location that no other has, so that what the chunk lost can be told
 * from a walk over it.  What chunk.c promises about places (two buckets per
 * hash, ten places each) is computed here anew, not with the chunk's helpers,
 * and every insertion is held against it place by place.
 */
#include "unit.h"
#include "sharing/chunk.h"

/* Most tests are of one turn. */
static int insert(struct ballast_chunk *c, u64 hash, struct ballast_entry e)
{
	return ballast_chunk_insert(c, hash, e, 0);
}

_Static_assert(sizeof(struct ballast_bucket) == 64, "a cache line");
_Static_assert(sizeof(struct ballast_chunk) == BALLAST_CHUNK_BYTES, "a page");
_Static_assert(BALLAST_CHUNK_BYTES == 4096, "a page");
_Static_assert(BALLAST_CHUNK_ENTRIES == 640, "ten in each of 64");
_Static_assert(BALLAST_ENTRY_BYTES * 8 == 48, "34 + 1 + 13 bits");
_Static_assert(sizeof(((struct ballast_bucket *)0)->entry) ==
	       BALLAST_BUCKET_ENTRIES * BALLAST_ENTRY_BYTES, "packed");
_Static_assert(BALLAST_LOCATION_MAX == 0x3ffffffffULL, "2^34 - 1");

struct known {
	u64 hash;
	struct ballast_entry entry;
};

struct model {
	struct known list[BALLAST_CHUNK_ENTRIES];
	unsigned int count;
	u64 last_location;
};

/* One for all tests, not allocated: a test that fails leaks nothing. */
static struct model *empty_model(void)
{
	static struct model model;

	memset(&model, 0, sizeof(model));
	return &model;
}

/* A location per call, never twice, all over the 34 bits. */
static u64 fresh_location(struct model *m)
{
	/* an odd factor permutes the numbers below 2^34; 0 stays the unused one */
	return ++m->last_location * 0x2545f4915ULL & BALLAST_LOCATION_MAX;
}

enum { BUCKET_BITS = 6, TAG_BITS = 13, TAGS = 1 << TAG_BITS };

static unsigned int tag_of(u64 hash)
{
	return hash >> BUCKET_BITS & (TAGS - 1);
}

/* Of the two buckets of a hash either follows from the other and the tag. */
static unsigned int beside(unsigned int bucket, unsigned int tag)
{
	return bucket ^ (1 + tag % 63);
}

static unsigned int name_of(u64 hash, unsigned int which)
{
	return which ? beside(hash % 64, tag_of(hash)) : hash % 64;
}

/* A hash with these buckets in this order; @salt makes hashes of other tags. */
static u64 hash_naming(unsigned int first, unsigned int second, unsigned int salt)
{
	return first | ((first ^ second) - 1 + 63ULL * salt) << BUCKET_BITS;
}

static bool may_lie_in(u64 hash, unsigned int bucket)
{
	return name_of(hash, 0) == bucket || name_of(hash, 1) == bucket;
}

/* What the 13 bits cannot tell apart. */
static bool may_be_taken_for(u64 hash, u64 other)
{
	return tag_of(hash) == tag_of(other) &&
	       (may_lie_in(hash, name_of(other, 0)) ||
		may_lie_in(hash, name_of(other, 1)));
}

static bool same(struct ballast_entry a, struct ballast_entry b)
{
	return a.location == b.location && a.shared == b.shared;
}

static int model_index(const struct model *m, u64 location)
{
	unsigned int i;

	for (i = 0; i < m->count; i++)
		if (m->list[i].entry.location == location)
			return i;
	return -1;
}

static void model_drop(struct model *m, unsigned int i)
{
	m->list[i] = m->list[--m->count];
}

static void model_add(struct model *m, u64 hash, struct ballast_entry e)
{
	assert_true(m->count < BALLAST_CHUNK_ENTRIES);
	m->list[m->count++] = (struct known){ hash, e };
}

static unsigned int free_in(const struct ballast_chunk *c, unsigned int bucket)
{
	struct ballast_entry e;
	unsigned int i, n = 0;

	for (i = 0; i < BALLAST_BUCKET_ENTRIES; i++)
		n += !ballast_chunk_at(c, bucket * BALLAST_BUCKET_ENTRIES + i, &e);
	return n;
}

static unsigned int hints_in(const struct ballast_chunk *c, unsigned int bucket)
{
	struct ballast_entry e;
	unsigned int i, n = 0;

	for (i = 0; i < BALLAST_BUCKET_ENTRIES; i++)
		n += ballast_chunk_at(c, bucket * BALLAST_BUCKET_ENTRIES + i, &e) &&
		     !e.shared;
	return n;
}

static unsigned int entries_in(const struct ballast_chunk *c)
{
	unsigned int b, n = BALLAST_CHUNK_ENTRIES;

	for (b = 0; b < BALLAST_CHUNK_BUCKETS; b++)
		n -= free_in(c, b);
	return n;
}

/* How often a search for @hash comes by exactly @e. */
static unsigned int times_found(const struct ballast_chunk *c, u64 hash,
				struct ballast_entry e)
{
	struct ballast_chunk_cursor cursor = { 0 };
	struct ballast_entry found;
	unsigned int n = 0;

	while (ballast_chunk_find(c, hash, &cursor, &found))
		n += same(found, e);
	return n;
}

/*
 * Everything the chunk holds is on the list, in a bucket its hash names, and
 * everything on the list is found by its hash.
 */
static void assert_holds_the_list(const struct ballast_chunk *c,
				  const struct model *m)
{
	static const u8 zero[4];
	struct ballast_entry e;
	unsigned int place;

	for (place = 0; place < BALLAST_CHUNK_ENTRIES; place++) {
		int i;

		if (!ballast_chunk_at(c, place, &e))
			continue;
		i = model_index(m, e.location);
		assert_true(i >= 0);
		assert_true(same(e, m->list[i].entry));
		assert_true(may_lie_in(m->list[i].hash, place / BALLAST_BUCKET_ENTRIES));
	}
	assert_int_equal(entries_in(c), m->count);
	for (place = 0; place < m->count; place++)
		assert_int_equal(times_found(c, m->list[place].hash,
					     m->list[place].entry), 1);
	for (place = 0; place < BALLAST_CHUNK_BUCKETS; place++)
		assert_memory_equal(c->bucket[place].unused, zero, sizeof(zero));
}

static const u8 *place_at(const struct ballast_chunk *c, unsigned int place)
{
	return c->bucket[place / BALLAST_BUCKET_ENTRIES]
		.entry[place % BALLAST_BUCKET_ENTRIES];
}

/* How many places changed; the first two of them. */
static unsigned int changes(const struct ballast_chunk *before,
			    const struct ballast_chunk *after,
			    unsigned int changed[2])
{
	unsigned int place, n = 0;

	for (place = 0; place < BALLAST_CHUNK_ENTRIES; place++) {
		if (!memcmp(place_at(before, place), place_at(after, place),
			    BALLAST_ENTRY_BYTES))
			continue;
		if (n < 2)
			changed[n] = place;
		n++;
	}
	return n;
}

/* Has the bucket an entry that there is room for in the entry's other one? */
static bool one_can_leave(const struct ballast_chunk *c, const struct model *m,
			  unsigned int bucket)
{
	struct ballast_entry e;
	unsigned int i;

	for (i = 0; i < BALLAST_BUCKET_ENTRIES; i++) {
		int k;

		if (!ballast_chunk_at(c, bucket * BALLAST_BUCKET_ENTRIES + i, &e))
			continue;
		k = model_index(m, e.location);
		assert_true(k >= 0);
		if (free_in(c, beside(bucket, tag_of(m->list[k].hash))))
			return true;
	}
	return false;
}

/* What an insertion may come to, by falling preference. */
enum outcome { INTO_FREE, BY_MOVE, OVER_HINT, NO_SPACE, OUTCOMES };

static enum outcome expected_outcome(const struct ballast_chunk *c,
				     const struct model *m, u64 hash)
{
	unsigned int b0 = name_of(hash, 0), b1 = name_of(hash, 1);

	if (free_in(c, b0) || free_in(c, b1))
		return INTO_FREE;
	if (one_can_leave(c, m, b0) || one_can_leave(c, m, b1))
		return BY_MOVE;
	return hints_in(c, b0) || hints_in(c, b1) ? OVER_HINT : NO_SPACE;
}

/* @place was an empty one of the emptier bucket. */
static void assert_into_free(const struct ballast_chunk *before,
			     unsigned int place, u64 hash)
{
	unsigned int b0 = name_of(hash, 0), b1 = name_of(hash, 1);
	unsigned int bucket = place / BALLAST_BUCKET_ENTRIES;
	struct ballast_entry e;

	assert_false(ballast_chunk_at(before, place, &e));
	assert_true(free_in(before, bucket) >= free_in(before, b0));
	assert_true(free_in(before, bucket) >= free_in(before, b1));
}

/* The entry that was at @left is now at @to, which was free, and the same. */
static void assert_moved(const struct ballast_chunk *before,
			 const struct ballast_chunk *after,
			 unsigned int left, unsigned int to)
{
	struct ballast_entry e;

	assert_true(ballast_chunk_at(before, left, &e));
	assert_false(ballast_chunk_at(before, to, &e));
	assert_memory_equal(place_at(before, left), place_at(after, to),
			    BALLAST_ENTRY_BYTES);
}

/* Take what was at @place before off the list: it was a hint, and is gone. */
static void drop_the_overwritten(struct model *m, const struct ballast_chunk *before,
				 const struct ballast_chunk *after,
				 unsigned int place)
{
	struct ballast_entry e;
	int i;

	assert_true(ballast_chunk_at(before, place, &e));
	assert_false(e.shared);
	i = model_index(m, e.location);
	assert_true(i >= 0);
	assert_int_equal(times_found(after, m->list[i].hash, e), 0);
	model_drop(m, i);
}

static enum outcome check_insert(struct ballast_chunk *c, struct model *m,
				 u64 hash, bool shared)
{
	static const int returned[] = { 0, 0, 1, -ENOSPC };
	static const unsigned int places[] = { 1, 2, 1, 0 };
	struct ballast_entry e = { fresh_location(m), shared }, there;
	struct ballast_chunk before = *c;
	enum outcome outcome = expected_outcome(c, m, hash);
	unsigned int at[2], put, other;

	assert_int_equal(insert(c, hash, e), returned[outcome]);
	assert_int_equal(changes(&before, c, at), places[outcome]);
	if (outcome == NO_SPACE) {
		assert_int_equal(times_found(c, hash, e), 0);
		return outcome;
	}
	put = !(ballast_chunk_at(c, at[0], &there) && same(there, e));
	other = at[!put];
	put = at[put];
	assert_true(ballast_chunk_at(c, put, &there) && same(there, e));
	assert_true(may_lie_in(hash, put / BALLAST_BUCKET_ENTRIES));
	if (outcome == INTO_FREE)
		assert_into_free(&before, put, hash);
	else if (outcome == BY_MOVE)
		assert_moved(&before, c, put, other);
	else
		drop_the_overwritten(m, &before, c, put);
	model_add(m, hash, e);
	assert_int_equal(times_found(c, hash, e), 1);
	if (outcome == BY_MOVE) {
		int k;

		assert_true(ballast_chunk_at(c, other, &there));
		k = model_index(m, there.location);
		assert_true(k >= 0);
		assert_true(may_lie_in(m->list[k].hash, other / BALLAST_BUCKET_ENTRIES));
		assert_int_equal(times_found(c, m->list[k].hash, there), 1);
	}
	return outcome;
}

static void check_find(const struct ballast_chunk *c, const struct model *m,
		       u64 hash)
{
	struct ballast_chunk_cursor cursor = { 0 };
	struct ballast_entry e;
	unsigned int i, exact = 0;
	bool seen[BALLAST_CHUNK_ENTRIES] = { false };

	while (ballast_chunk_find(c, hash, &cursor, &e)) {
		int k = model_index(m, e.location);

		assert_true(k >= 0 && same(e, m->list[k].entry));
		assert_false(seen[k]);
		assert_true(may_be_taken_for(hash, m->list[k].hash));
		exact += m->list[k].hash == hash;
		seen[k] = true;
	}
	assert_false(ballast_chunk_find(c, hash, &cursor, &e));
	for (i = 0; i < m->count; i++)
		exact -= m->list[i].hash == hash;
	assert_int_equal(exact, 0);
}

static void check_remove(struct ballast_chunk *c, struct model *m, u64 *seed)
{
	unsigned int i;
	struct known k;

	if (!m->count)
		return;
	i = unit_random_below(seed, m->count);
	k = m->list[i];
	/* the other kind is another entry */
	k.entry.shared = !k.entry.shared;
	assert_false(ballast_chunk_remove(c, k.hash, k.entry));
	k.entry.shared = !k.entry.shared;
	assert_true(ballast_chunk_remove(c, k.hash, k.entry));
	assert_false(ballast_chunk_remove(c, k.hash, k.entry));
	model_drop(m, i);
}

static void check_replace(struct ballast_chunk *c, struct model *m, u64 *seed)
{
	struct ballast_entry new = { fresh_location(m), unit_random(seed) & 1 };
	struct ballast_chunk before = *c;
	struct known *k;

	if (!m->count)
		return;
	k = &m->list[unit_random_below(seed, m->count)];
	assert_false(ballast_chunk_replace(c, k->hash, new, k->entry));
	assert_memory_equal(c, &before, sizeof(before));
	assert_true(ballast_chunk_replace(c, k->hash, k->entry, new));
	assert_int_equal(times_found(c, k->hash, k->entry), 0);
	assert_int_equal(times_found(c, k->hash, new), 1);
	k->entry = new;
}

struct mix {
	unsigned int ops;
	unsigned int wanted_entries;	/* about how full */
	unsigned int shared_percent;
	u64 (*hash_of)(u64 chance);
};

/* Returns, as bits, the outcomes of insertions that occurred. */
static unsigned int against_the_list(u64 seed, const struct mix *mix)
{
	unsigned int times[OUTCOMES] = { 0 };
	struct ballast_chunk chunk = { 0 };
	struct model *m = empty_model();
	unsigned int n;

	for (n = 0; n < mix->ops; n++) {
		u64 hash = mix->hash_of(unit_random(&seed));
		unsigned int dice = unit_random_below(&seed, 100);
		unsigned int insert_percent = m->count < mix->wanted_entries ? 60 : 30;
		bool shared = unit_random_below(&seed, 100) < mix->shared_percent;

		if (dice < insert_percent)
			times[check_insert(&chunk, m, hash, shared)]++;
		else if (dice < 80)
			check_remove(&chunk, m, &seed);
		else if (dice < 90)
			check_replace(&chunk, m, &seed);
		else if (m->count && dice < 95)
			check_find(&chunk, m,
				   m->list[unit_random_below(&seed, m->count)].hash);
		else
			check_find(&chunk, m, hash);
		if (n % 64 == 0)
			assert_holds_the_list(&chunk, m);
	}
	assert_holds_the_list(&chunk, m);
	while (m->count)
		check_remove(&chunk, m, &seed);
	assert_int_equal(entries_in(&chunk), 0);
	unit_note("insertions: %u into free places, %u by a move, %u over a hint, %u refused",
		  times[INTO_FREE], times[BY_MOVE], times[OVER_HINT], times[NO_SPACE]);
	return !!times[INTO_FREE] << INTO_FREE | !!times[BY_MOVE] << BY_MOVE |
	       !!times[OVER_HINT] << OVER_HINT | !!times[NO_SPACE] << NO_SPACE;
}

static u64 any_hash(u64 chance)
{
	return chance;
}

static void random_operations_half_full(void **state)
{
	const struct mix mix = { 40000, 320, 30, any_hash };

	(void)state;
	against_the_list(1, &mix);
}

static void random_operations_full(void **state)
{
	const struct mix mix = { 40000, 640, 10, any_hash };

	(void)state;
	assert_int_equal(against_the_list(2, &mix),
			 1 << INTO_FREE | 1 << BY_MOVE | 1 << OVER_HINT);
}

/* eight buckets only, of all tags that keep to them */
static u64 crowded_hash(u64 chance)
{
	unsigned int first = chance & 7, distance = 1 + (chance >> 3) % 7;

	return hash_naming(first, first ^ distance, chance >> 10 & 127) |
	       (chance >> 32) << (BUCKET_BITS + TAG_BITS);
}

/* moves, overwriting and -ENOSPC are the rule */
static void random_operations_crowded(void **state)
{
	const struct mix mix = { 30000, 640, 70, crowded_hash };

	(void)state;
	assert_int_equal(against_the_list(3, &mix), (1 << OUTCOMES) - 1);
}

static u64 two_bucket_hash(u64 chance)
{
	bool turned = chance & 1;

	return hash_naming(turned ? 51 : 9, turned ? 9 : 51, chance >> 1 & 127) |
	       (chance >> 32) << (BUCKET_BITS + TAG_BITS);
}

/* both names always the same two, in either order: nowhere to move to */
static void random_operations_two_buckets(void **state)
{
	const struct mix mix = { 10000, 640, 50, two_bucket_hash };

	(void)state;
	assert_int_equal(against_the_list(4, &mix),
			 1 << INTO_FREE | 1 << OVER_HINT | 1 << NO_SPACE);
}

static u64 hash_of_two_tags(u64 chance)
{
	return chance & ~((TAGS - 2ULL) << BUCKET_BITS);
}

/* tags of one bit: nearly every search meets entries of other hashes */
static void random_operations_equal_tags(void **state)
{
	const struct mix mix = { 10000, 640, 30, hash_of_two_tags };

	(void)state;
	against_the_list(5, &mix);
}

static void every_location_and_kind_round_trips(void **state)
{
	static const u64 hashes[] = { 0, ~0ULL, 0x7ffffULL, 0x3f, 0x7ffc0ULL, ~0x7ffffULL };
	unsigned int h, bit, shared;

	(void)state;
	for (h = 0; h < ARRAY_SIZE(hashes); h++) {
		for (bit = 0; bit <= BALLAST_LOCATION_BITS; bit++) {
			for (shared = 0; shared < 2; shared++) {
				struct ballast_chunk c = { 0 };
				struct ballast_entry e = {
					bit == BALLAST_LOCATION_BITS ?
						BALLAST_LOCATION_MAX : 1ULL << bit,
					shared };

				assert_int_equal(insert(&c, hashes[h], e), 0);
				assert_int_equal(times_found(&c, hashes[h], e), 1);
				assert_true(ballast_chunk_remove(&c, hashes[h], e));
				assert_int_equal(entries_in(&c), 0);
			}
		}
	}
}

/* All bits set beside all bits set: none leaks into the next entry. */
static void neighbours_keep_apart(void **state)
{
	const unsigned int places = 2 * BALLAST_BUCKET_ENTRIES;
	struct ballast_chunk c = { 0 }, before;
	struct ballast_entry e, was;
	unsigned int i, place, left = 0;

	(void)state;
	for (i = 0; i < places; i++)
		assert_int_equal(insert(&c, ~0ULL,
			(struct ballast_entry){ BALLAST_LOCATION_MAX - i, true }), 0);
	before = c;
	for (place = 0; place < BALLAST_CHUNK_ENTRIES; place += 2)
		if (ballast_chunk_at(&before, place, &e))
			assert_true(ballast_chunk_remove(&c, ~0ULL, e));
	/* what is left is every second one, whole, in the two buckets */
	for (place = 0; place < BALLAST_CHUNK_ENTRIES; place++) {
		if (!ballast_chunk_at(&c, place, &e))
			continue;
		assert_int_equal(place % 2, 1);
		assert_true(may_lie_in(~0ULL, place / BALLAST_BUCKET_ENTRIES));
		assert_true(ballast_chunk_at(&before, place, &was) && same(e, was));
		assert_true(e.shared);
		assert_in_range(BALLAST_LOCATION_MAX - e.location, 0, places - 1);
		assert_int_equal(times_found(&c, ~0ULL, e), 1);
		left++;
	}
	assert_int_equal(left, places / 2);
	/* and putting them back disturbs none of those */
	for (place = 0; place < BALLAST_CHUNK_ENTRIES; place += 2)
		if (ballast_chunk_at(&before, place, &e))
			assert_int_equal(insert(&c, ~0ULL, e), 0);
	for (i = 0; i < places; i++)
		assert_int_equal(times_found(&c, ~0ULL,
			(struct ballast_entry){ BALLAST_LOCATION_MAX - i, true }), 1);
}

/* A tag of zeros is no empty place. */
static void hash_zero_is_a_hash(void **state)
{
	struct ballast_chunk c = { 0 };
	struct ballast_entry e = { 1, false };

	(void)state;
	assert_int_equal(times_found(&c, 0, e), 0);
	assert_int_equal(insert(&c, 0, e), 0);
	assert_int_equal(times_found(&c, 0, e), 1);
	assert_int_equal(entries_in(&c), 1);
}

/* One content in two guest pages: two entries; one page twice: also two. */
static void each_insertion_is_an_entry(void **state)
{
	struct ballast_chunk c = { 0 };
	struct ballast_entry e = { 77, false }, f = { 78, false };

	(void)state;
	assert_int_equal(insert(&c, 5, e), 0);
	assert_int_equal(insert(&c, 5, f), 0);
	assert_int_equal(insert(&c, 5, e), 0);
	assert_int_equal(times_found(&c, 5, e), 2);
	assert_int_equal(times_found(&c, 5, f), 1);
	assert_true(ballast_chunk_remove(&c, 5, e));
	assert_int_equal(times_found(&c, 5, e), 1);
	assert_true(ballast_chunk_remove(&c, 5, e));
	assert_false(ballast_chunk_remove(&c, 5, e));
	assert_int_equal(entries_in(&c), 1);
}

/* Of every tag in every bucket: twenty places, and the way back is the way. */
static void two_buckets_for_each_hash(void **state)
{
	unsigned int first, tag;

	(void)state;
	for (first = 0; first < BALLAST_CHUNK_BUCKETS; first++) {
		for (tag = 0; tag < TAGS; tag++) {
			u64 hash = first | (u64)tag << BUCKET_BITS;
			u64 back = beside(first, tag) | (u64)tag << BUCKET_BITS;
			struct ballast_entry e = { 1, true }, f = { 2, true };
			struct ballast_chunk c = { 0 };

			assert_int_equal(insert(&c, hash, e), 0);
			assert_int_equal(insert(&c, hash, f), 0);
			assert_int_not_equal(name_of(hash, 0), name_of(hash, 1));
			assert_int_equal(free_in(&c, name_of(hash, 0)), 9);
			assert_int_equal(free_in(&c, name_of(hash, 1)), 9);
			/* the first of one is the second of the other */
			assert_int_equal(times_found(&c, back, e), 1);
			assert_int_equal(times_found(&c, back, f), 1);
		}
	}
}

/* Fill what @hash names with @count entries of it, locations from @location. */
static void insert_many(struct ballast_chunk *c, u64 hash, unsigned int count,
			u64 location, bool shared)
{
	while (count--) {
		struct ballast_entry e = { location++, shared };

		assert_int_equal(insert(c, hash, e), 0);
		assert_int_equal(times_found(c, hash, e), 1);
	}
}

/*
 * Buckets 9 and 51 are full of @hash but for one entry, @guest, which is at
 * home in 20 also.  As soon as there is a place in 20 it goes there, whatever
 * its kind and theirs, and no sooner.
 */
static void one_moves(u64 hash, u64 guest, bool guest_shared, bool shared)
{
	const u64 filler = hash_naming(20, 33, 5);
	struct ballast_entry visitor = { 500, guest_shared }, more = { 600, shared };
	struct ballast_chunk c = { 0 };
	unsigned int i;

	insert_many(&c, filler, 20, 100, true);	/* 20 is full: not there */
	insert_many(&c, guest, 1, 500, guest_shared);
	insert_many(&c, hash, 19, 200, shared);
	assert_int_equal(entries_in(&c), 40);
	for (i = 0; i < 20 && !free_in(&c, 20); i++)
		assert_true(ballast_chunk_remove(&c, filler,
						 (struct ballast_entry){ 100 + i, true }));

	assert_int_equal(insert(&c, hash, more), 0);
	assert_int_equal(free_in(&c, 20) + free_in(&c, 9) + free_in(&c, 51), 0);
	assert_int_equal(times_found(&c, guest, visitor), 1);
	assert_int_equal(times_found(&c, hash, more), 1);
	for (; i < 20; i++)
		assert_int_equal(times_found(&c, filler,
					     (struct ballast_entry){ 100 + i, true }), 1);
	for (i = 0; i < 19; i++)
		assert_int_equal(times_found(&c, hash,
					     (struct ballast_entry){ 200 + i, shared }), 1);
	/* the next finds twenty that cannot go anywhere */
	more.location++;
	assert_int_equal(insert(&c, hash, more), shared ? -ENOSPC : 1);
	assert_int_equal(times_found(&c, guest, visitor), 1);
	assert_true(ballast_chunk_remove(&c, guest, visitor));
}

static void an_entry_moves_before_one_is_lost(void **state)
{
	unsigned int n, kinds;

	(void)state;
	for (n = 0; n < 8; n++) {
		u64 hash = n & 1 ? hash_naming(51, 9, 7) : hash_naming(9, 51, 7);
		unsigned int from = n & 2 ? 9 : 51;
		u64 guest = n & 4 ? hash_naming(20, from, 3) : hash_naming(from, 20, 3);

		for (kinds = 0; kinds < 4; kinds++)
			one_moves(hash, guest, kinds & 1, kinds & 2);
	}
}

/*
 * Twenty shared frames that cannot move fill a hash's places; nothing less
 * refuses an entry.
 */
static void no_space_only_among_shared(void **state)
{
	const u64 hash = hash_naming(9, 51, 0);
	struct ballast_entry more = { 1000, true };
	unsigned int hint;

	(void)state;
	for (hint = 0; hint <= 20; hint++) {	/* 20: none of them */
		struct ballast_chunk c = { 0 }, before;
		unsigned int i;

		for (i = 0; i < 20; i++)
			assert_int_equal(insert(&c, hash,
				(struct ballast_entry){ i + 1, i != hint }), 0);
		/* one hint among them is room for one more, and only one */
		if (hint < 20)
			assert_int_equal(insert(&c, hash, more), 1);
		for (i = 0; i < 20; i++)
			assert_int_equal(times_found(&c, hash,
				(struct ballast_entry){ i + 1, i != hint }), i != hint);
		assert_int_equal(times_found(&c, hash, more), hint < 20);
		before = c;
		assert_int_equal(insert(&c, hash,
			(struct ballast_entry){ 1001, false }), -ENOSPC);
		assert_memory_equal(&c, &before, sizeof(c));
	}
}

/*
 * Which hint gives way, the hash says, and no place is spared: of twenty hints
 * each is chosen by about as many hashes, always the same by the same.
 */
static void the_hash_says_which_hint_goes(void **state)
{
	const unsigned int hashes = 20000;
	const u64 names = hash_naming(9, 51, 0);
	struct ballast_chunk full = { 0 };
	unsigned int n, place, chosen[BALLAST_CHUNK_ENTRIES] = { 0 }, places = 0;
	u64 seed = 11;

	(void)state;
	insert_many(&full, names, 20, 1, false);
	for (n = 0; n < hashes; n++) {
		u64 hash = names | unit_random(&seed) << (BUCKET_BITS + TAG_BITS);
		struct ballast_chunk c = full, again = full;
		unsigned int at[2];

		assert_int_equal(insert(&c, hash,
			(struct ballast_entry){ 100, false }), 1);
		assert_int_equal(insert(&again, hash,
			(struct ballast_entry){ 100, false }), 1);
		assert_memory_equal(&c, &again, sizeof(c));
		assert_int_equal(changes(&full, &c, at), 1);
		chosen[at[0]]++;
	}
	for (place = 0; place < BALLAST_CHUNK_ENTRIES; place++) {
		if (!chosen[place])
			continue;
		places++;
		/* seven standard deviations */
		assert_in_range(chosen[place], hashes / 20 - 220, hashes / 20 + 220);
	}
	assert_int_equal(places, 20);
}

/* Twenty turns in a row overwrite each of the twenty places once. */
static void each_turn_takes_another_hint(void **state)
{
	const u64 hash = hash_naming(9, 51, 0);
	struct ballast_chunk c = { 0 };
	unsigned int turn;

	(void)state;
	insert_many(&c, hash, 20, 1, false);
	for (turn = 7; turn < 27; turn++)
		assert_int_equal(ballast_chunk_insert(&c, hash,
			(struct ballast_entry){ 100 + turn, false }, turn), 1);
	for (turn = 7; turn < 27; turn++)
		assert_int_equal(times_found(&c, hash,
			(struct ballast_entry){ 100 + turn, false }), 1);
}

/* What is kept is what could have been inserted with the hash. */
static void keeps_what_fits_the_hash(void **state)
{
	const unsigned int rounds = 20000;
	unsigned int n, place, kept = 0;
	u64 seed = 12;

	(void)state;
	for (n = 0; n < rounds; n++) {
		u64 hash = unit_random(&seed), other = unit_random(&seed);
		struct ballast_entry e = { 1 + n, n & 1 }, at;
		struct ballast_chunk c = { 0 };
		bool fits;

		if (n & 2)	/* differs above the buckets and the tag only */
			other = (hash & ((1ULL << (BUCKET_BITS + TAG_BITS)) - 1)) |
				other << (BUCKET_BITS + TAG_BITS);
		assert_int_equal(insert(&c, hash, e), 0);
		for (place = 0; !ballast_chunk_at(&c, place, &at); place++)
			;
		fits = tag_of(hash) == tag_of(other) &&
		       may_lie_in(other, place / BALLAST_BUCKET_ENTRIES);
		assert_int_equal(ballast_chunk_keep(&c, place, other), fits);
		assert_int_equal(entries_in(&c), fits);
		kept += fits;
	}
	assert_in_range(kept, rounds / 2, rounds / 2 + 10);
}

/* Alike is what a search would take for the other's entry, and nothing else. */
static void alike_is_found_by_the_other(void **state)
{
	u64 seed = 13;
	unsigned int n, alike = 0;

	(void)state;
	for (n = 0; n < 20000; n++) {
		u64 hash = unit_random(&seed), other = unit_random(&seed);
		struct ballast_entry e = { 1 + n, false };
		struct ballast_chunk c = { 0 };

		if (n & 1)	/* the same tag and either bucket */
			other = name_of(hash, n >> 1 & 1) |
				(u64)tag_of(hash) << BUCKET_BITS |
				other << (BUCKET_BITS + TAG_BITS);
		assert_int_equal(insert(&c, other, e), 0);
		assert_int_equal(ballast_chunk_alike(hash, other),
				 times_found(&c, hash, e) == 1 &&
				 tag_of(hash) == tag_of(other));
		alike += ballast_chunk_alike(hash, other);
	}
	assert_true(alike > 0);
}

/* A storm of hints over a chunk of shared frames loses none of them. */
static void shared_frames_survive_hints(void **state)
{
	struct ballast_chunk c = { 0 };
	struct model *m = empty_model();
	u64 seed = 6;
	unsigned int i;

	(void)state;
	for (i = 0; i < 400; i++) {
		u64 hash = unit_random(&seed);
		struct ballast_entry e = { fresh_location(m), true };

		assert_int_equal(insert(&c, hash, e), 0);
		model_add(m, hash, e);
	}
	for (i = 0; i < 100000; i++) {
		struct ballast_entry e = { fresh_location(m), false };
		int ret = insert(&c, unit_random(&seed), e);

		assert_true(ret == 0 || ret == 1 || ret == -ENOSPC);
	}
	for (i = 0; i < m->count; i++)
		assert_int_equal(times_found(&c, m->list[i].hash, m->list[i].entry), 1);
}

/* Entries in a chunk before an insertion of kind @shared is not just 0. */
static unsigned int fill(struct ballast_chunk *c, bool shared, u64 *seed)
{
	unsigned int n = 0;

	while (insert(c, unit_random(seed),
				    (struct ballast_entry){ n + 1, shared }) == 0)
		assert_true(++n <= BALLAST_CHUNK_ENTRIES);
	return n;
}

static unsigned int average_fill_bp(bool shared, u64 seed)
{
	unsigned int i, sum = 0, least = BALLAST_CHUNK_ENTRIES;

	for (i = 0; i < 100; i++) {
		struct ballast_chunk c = { 0 };
		unsigned int n = fill(&c, shared, &seed);

		sum += n;
		if (n < least)
			least = n;
	}
	unit_note("%s: full at %u.%02u of 640 on average, %u at least",
		  shared ? "shared frames" : "hints", sum / 100, sum % 100, least);
	return sum * 100 / BALLAST_CHUNK_ENTRIES;
}

static void fills_to_nineteen_twentieths(void **state)
{
	(void)state;
	assert_true(average_fill_bp(false, 7) >= 9500);
	assert_true(average_fill_bp(true, 8) >= 9500);
}

static void hints_fill_every_place(struct ballast_chunk *c, u64 *seed, u64 location)
{
	unsigned int tries = 0;

	while (entries_in(c) < BALLAST_CHUNK_ENTRIES) {
		insert(c, unit_random(seed),
				     (struct ballast_entry){ location, false });
		assert_true(++tries < 100 * BALLAST_CHUNK_ENTRIES);
	}
}

/*
 * A chunk that is full of hints must go on working: the old ones, most of them
 * stale, give way to the new.  If overwriting always hits the same few places,
 * only these are left for all pages to come.
 */
static void old_hints_give_way(void **state)
{
	struct ballast_chunk c = { 0 };
	struct ballast_entry e;
	unsigned int i, old = 0;
	u64 seed = 9;

	(void)state;
	hints_fill_every_place(&c, &seed, 1);
	for (i = 0; i < 10 * BALLAST_CHUNK_ENTRIES; i++)
		insert(&c, unit_random(&seed),
				     (struct ballast_entry){ 2, false });
	for (i = 0; i < BALLAST_CHUNK_ENTRIES; i++)
		old += ballast_chunk_at(&c, i, &e) && e.location == 1;
	unit_note("%u of 640 hints outlive 6400 newer ones", old);
	assert_true(old < BALLAST_CHUNK_ENTRIES / 100);
}

static void wrong_entries_are_few(void **state)
{
	const unsigned int chunks = 20, lookups = 100000;
	const double expected = 20. / TAGS * chunks * lookups;
	unsigned int i, n, wrong = 0;
	u64 seed = 10;

	(void)state;
	for (i = 0; i < chunks; i++) {
		struct ballast_chunk c = { 0 };

		hints_fill_every_place(&c, &seed, 1);
		for (n = 0; n < lookups; n++) {
			struct ballast_chunk_cursor cursor = { 0 };
			struct ballast_entry e;
			u64 hash = unit_random(&seed);

			while (ballast_chunk_find(&c, hash, &cursor, &e))
				wrong++;
		}
	}
	unit_note("%u wrong entries in %u searches of a full chunk, expected %.0f",
		  wrong, chunks * lookups, expected);
	/* seven standard deviations */
	assert_true(wrong > expected * .9 && wrong < expected * 1.1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(random_operations_half_full),
	cmocka_unit_test(random_operations_full),
	cmocka_unit_test(random_operations_crowded),
	cmocka_unit_test(random_operations_two_buckets),
	cmocka_unit_test(random_operations_equal_tags),
	cmocka_unit_test(every_location_and_kind_round_trips),
	cmocka_unit_test(neighbours_keep_apart),
	cmocka_unit_test(hash_zero_is_a_hash),
	cmocka_unit_test(each_insertion_is_an_entry),
	cmocka_unit_test(two_buckets_for_each_hash),
	cmocka_unit_test(an_entry_moves_before_one_is_lost),
	cmocka_unit_test(no_space_only_among_shared),
	cmocka_unit_test(the_hash_says_which_hint_goes),
	cmocka_unit_test(each_turn_takes_another_hint),
	cmocka_unit_test(keeps_what_fits_the_hash),
	cmocka_unit_test(alike_is_found_by_the_other),
	cmocka_unit_test(shared_frames_survive_hints),
	cmocka_unit_test(fills_to_nineteen_twentieths),
	cmocka_unit_test(old_hints_give_way),
	cmocka_unit_test(wrong_entries_are_few),
};

unit_main(tests)
