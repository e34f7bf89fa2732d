// SPDX-License-Identifier: GPL-2.0
/*
 * Scanning one slot: zero? known? shared with whom?
 *
 * DOC: A page is hashed where it lies, mapped and perhaps being written; the
 * hash only says where to look.  Before it is given away it is isolated:
 * unmapped from every process and guest, and its reference count frozen, so
 * that nobody can change it or start to.  Then it is compared in full, once.
 *
 *  - A shared frame with the hash: compare, take part, free the own frame.
 *  - A hint: the page it names is isolated too and compared; the content goes
 *    to a fresh frame that neither guest could have chosen (as Flip Feng Shui
 *    would have one do), and that frame takes the hint's place in the index.
 *  - Nothing: a hint is left.
 *
 * Two flags of a private slot keep pages from costing much and bringing
 * nothing.  FALSE: its hash met that of other content; not tried again until
 * it hashes differently, so that whoever can make collisions gains one compare
 * by each.  BROKEN: it was shared until it was written to; not tried until a
 * pass finds it unchanged.
 *
 * A page that is the same as at the last look, and like no other, grows older;
 * the scanner looks at old pages less often (scan.c).
 *
 * Sharers are counted, not listed: to break or drop a share costs the same
 * whether two slots share or a hundred thousand.
 */
#include <linux/highmem.h>
#include <linux/random.h>
#include <linux/string.h>

#include <trace/events/ballast.h>

#include "merge.h"

static struct ballast_hash_key hash_key __ro_after_init;

/* ballast_merge_init() - a new secret for each load */
void __init ballast_merge_init(void)
{
	get_random_bytes(&hash_key, sizeof(hash_key));
}

/**
 * ballast_sharing_domain() - with whom a map may share
 * @map: whose
 * @mode: in this mode of its pool
 */
u32 ballast_sharing_domain(const struct ballast_map *map,
			   enum ballast_sharing_mode mode)
{
	switch (mode) {
	case BALLAST_SHARING_VM:
		return map->id;
	case BALLAST_SHARING_POOL:
		return BALLAST_DOMAIN_POOL;
	default:
		return BALLAST_DOMAIN_NONE;
	}
}

static u64 hash_frame(struct page *frame, u32 domain)
{
	void *addr = kmap_local_page(frame);
	u64 hash = ballast_hash_page(&hash_key, addr, domain);

	kunmap_local(addr);
	/* 0 in a frame says that it was never hashed */
	return hash ?: 1;
}

static bool is_zero(struct page *frame)
{
	void *addr = kmap_local_page(frame);
	bool zero = !memchr_inv(addr, 0, PAGE_SIZE);

	kunmap_local(addr);
	return zero;
}

static bool same_content(struct page *a, struct page *b)
{
	void *pa = kmap_local_page(a), *pb = kmap_local_page(b);
	bool same = !memcmp(pa, pb, PAGE_SIZE);

	kunmap_local(pb);
	kunmap_local(pa);
	return same;
}

static void trace_shared(struct ballast_slot *slot, struct page *frame)
{
	trace_ballast_share(slot->block->map->id, slot->pgoff,
			    frame ? page_to_pfn(frame) : 0);
}

static void skip(struct ballast_slot *slot, enum ballast_skip reason)
{
	trace_ballast_skip(slot->block->map->id, slot->pgoff, reason);
}

static bool isolate(struct ballast_slot *slot)
{
	if (ballast_slot_isolate(slot))
		return true;
	skip(slot, BALLAST_SKIP_PINNED);
	return false;
}

/* The compare was in vain: not again before the content changes. */
static void false_match(struct ballast_scan *scan, struct ballast_slot *slot)
{
	ballast_slot_set_flags(slot, BALLAST_SLOT_FALSE, true);
	ballast_pool_count(scan->pool, BALLAST_EVENT_FALSE_MATCHES);
	skip(slot, BALLAST_SKIP_FALSE_MATCH);
}

static void try_zero(struct ballast_scan *scan, struct ballast_slot *slot)
{
	if (!isolate(slot))
		return;
	if (!is_zero(ballast_word_frame(*slot->word))) {
		ballast_slot_putback(slot);
		return;
	}
	ballast_slot_zero(slot);
	ballast_pool_count(scan->pool, BALLAST_EVENT_ZEROED);
	trace_shared(slot, NULL);
}

/* The look-up counted the slot among @shared's sharers; make that true or undo it. */
static void join(struct ballast_scan *scan, struct ballast_slot *slot,
		 struct page *shared)
{
	if (!isolate(slot))
		goto undo;
	if (!same_content(ballast_word_frame(*slot->word), shared)) {
		ballast_slot_putback(slot);
		false_match(scan, slot);
		goto undo;
	}
	ballast_slot_share(slot, shared);
	ballast_pool_count(scan->pool, BALLAST_EVENT_MERGED);
	trace_shared(slot, shared);
	return;
undo:
	ballast_frame_unshare(scan->pool, shared);
}

/*
 * Both are isolated and have the same content.  If it changed after it was
 * hashed, the frame is in the index by a wrong hash, and whoever has that hash
 * finds a false match: a loss of time, and a rare one.
 */
static bool make_shared(struct ballast_scan *scan, struct ballast_slot *slot,
			struct ballast_slot *other, u64 hash, u64 hint)
{
	struct ballast_pool *pool = scan->pool;
	struct page *frame = scan->spare;

	if (ballast_frame_copy(frame, ballast_word_frame(*slot->word)))
		return false;
	ballast_pool_charge_over(pool, 1);
	ballast_frame_adopt(pool, frame);
	ballast_frame_set_shared(frame, hash, scan->domain, 2);
	if (!ballast_index_publish(pool, hint, frame)) {
		ballast_frame_detach(frame);
		ballast_pool_uncharge(pool, 1);
		return false;
	}
	scan->spare = NULL;
	atomic_long_inc(&pool->shared_frames);
	ballast_slot_share(slot, frame);
	ballast_slot_share(other, frame);
	ballast_pool_count(pool, BALLAST_EVENT_MERGED);
	ballast_pool_count(pool, BALLAST_EVENT_MERGED);
	trace_shared(slot, frame);
	trace_shared(other, frame);
	return true;
}

/* What came of a hint */
enum hint_result {
	HINT_TRY,		/* looks right */
	HINT_WRONG,		/* drop it, try the next one */
	HINT_KEEP,		/* right for another content, or not now */
	HINT_COMPARED,		/* the compare of this scan is used up */
};

/* Both slots are locked, the hint's hash was right a moment ago. */
static enum hint_result merge_pair(struct ballast_scan *scan,
				   struct ballast_slot *slot,
				   struct ballast_slot *other, u64 hash, u64 hint)
{
	bool same;

	if (!isolate(other))
		return HINT_KEEP;
	if (!isolate(slot)) {
		ballast_slot_putback(other);
		return HINT_COMPARED;	/* no other hint will do better */
	}
	same = same_content(ballast_word_frame(*slot->word),
			    ballast_word_frame(*other->word));
	if (same && make_shared(scan, slot, other, hash, hint))
		return HINT_COMPARED;
	ballast_slot_putback(slot);
	ballast_slot_putback(other);
	if (!same)
		false_match(scan, slot);
	return HINT_COMPARED;
}

static enum hint_result try_locked_hint(struct ballast_scan *scan,
					struct ballast_slot *slot,
					struct ballast_slot *other,
					u64 hash, u64 hint)
{
	unsigned long word = ballast_slot_peek(other);

	if (ballast_word_state(word) != BALLAST_PRIVATE ||
	    ballast_frame_is_poisoned(ballast_word_frame(word)))
		return HINT_WRONG;
	if (hash_frame(ballast_word_frame(word), scan->domain) != hash) {
		ballast_pool_count(scan->pool, BALLAST_EVENT_VOLATILE);
		skip(other, BALLAST_SKIP_VOLATILE);
		ballast_slot_set_age(other, 0);
		return HINT_WRONG;
	}
	return merge_pair(scan, slot, other, hash, hint);
}

/*
 * What the page was last time says whether to look further.  A hint that some
 * other content left by right and that only looks like ours is kept: two
 * contents that threw out each other's hints would never be shared.
 */
static enum hint_result weigh_hint(struct ballast_scan *scan,
				   struct ballast_slot *other, u64 hash)
{
	unsigned long word = ballast_slot_peek(other);
	u64 last;

	if (ballast_word_state(word) != BALLAST_PRIVATE)
		return HINT_WRONG;
	last = ballast_frame_hash(ballast_word_frame(word));
	if (last != hash)
		return ballast_chunk_alike(hash, last) ? HINT_KEEP : HINT_WRONG;
	if (ballast_sharing_domain_now(other->block->map) != scan->domain)
		return HINT_WRONG;
	return HINT_TRY;
}

static enum hint_result try_hint(struct ballast_scan *scan,
				 struct ballast_slot *slot, u64 hash, u64 hint)
{
	struct ballast_map *map = slot->block->map, *other_map;
	enum hint_result result;
	struct ballast_block *block;
	struct ballast_slot other;

	block = ballast_pool_block(scan->pool, hint >> BALLAST_BLOCK_SHIFT);
	if (!block)
		return HINT_WRONG;
	ballast_slot_init(&other, block, (block->index << BALLAST_BLOCK_SHIFT) |
			  (hint & (BALLAST_BLOCK_SLOTS - 1)));
	result = weigh_hint(scan, &other, hash);
	if (result != HINT_TRY)
		return result;
	result = HINT_KEEP;
	other_map = block->map;
	/* a map's death waits for the scanner, not the scanner for it */
	if (other_map != map && !mutex_trylock(&other_map->scan_lock))
		return HINT_KEEP;
	if (other_map->dead) {
		result = HINT_WRONG;
	} else if (ballast_slot_trylock(&other)) {
		result = try_locked_hint(scan, slot, &other, hash, hint);
		ballast_slot_unlock(&other);
	}
	if (other_map != map)
		mutex_unlock(&other_map->scan_lock);
	return result;
}

static void try_hints(struct ballast_scan *scan, struct ballast_slot *slot,
		      u64 hash, u64 own)
{
	struct ballast_index_match *match = &scan->match;
	enum hint_result result;
	unsigned int i;

	for (i = 0; i < match->hint_count; i++) {
		result = try_hint(scan, slot, hash, match->hints[i]);
		if (result == HINT_WRONG)
			ballast_index_drop_hint(scan->pool, hash, match->hints[i]);
		else if (result == HINT_COMPARED)
			break;
	}
	/* an older hint that holds is as good as one's own */
	if (i == match->hint_count &&
	    ballast_word_state(ballast_slot_peek(slot)) == BALLAST_PRIVATE)
		ballast_index_put_hint(scan->pool, hash, own);
}

/* One look more has found the page as it was. */
static void grow_older(struct ballast_slot *slot, unsigned long word)
{
	unsigned int age = ballast_word_age(word);

	if (age < BALLAST_SLOT_AGE_MAX)
		ballast_slot_set_age(slot, age + 1);
}

/*
 * Is the page to be tried at all, now that its hash is known?  Keeps the hash,
 * the flags and, where it changes or is not to be tried, the age up to date.
 */
static bool eligible(struct ballast_scan *scan, struct ballast_slot *slot,
		     unsigned long word, u64 hash, u64 own)
{
	struct page *frame = ballast_word_frame(word);
	u64 before = ballast_frame_hash(frame);

	if (before == hash) {
		if (word & BALLAST_SLOT_BROKEN)
			ballast_slot_set_flags(slot, BALLAST_SLOT_BROKEN, false);
		if (word & BALLAST_SLOT_FALSE)
			grow_older(slot, word);
		return !(word & BALLAST_SLOT_FALSE);
	}
	if (ballast_word_age(word))
		ballast_slot_set_age(slot, 0);
	ballast_frame_set_hash(frame, hash);
	if (before)
		ballast_index_drop_hint(scan->pool, before, own);
	if (word & BALLAST_SLOT_FALSE)
		ballast_slot_set_flags(slot, BALLAST_SLOT_FALSE, false);
	if (!(word & BALLAST_SLOT_BROKEN))
		return true;
	skip(slot, BALLAST_SKIP_WRITTEN);
	return false;
}

/* The slot is locked and private. */
static void scan_private(struct ballast_scan *scan, struct ballast_slot *slot,
			 unsigned long word)
{
	struct page *frame = ballast_word_frame(word);
	u64 own = ballast_slot_location(slot), hash;
	bool same;

	/* to read it is a machine check */
	if (ballast_frame_is_poisoned(frame))
		return;
	if (is_zero(frame)) {
		try_zero(scan, slot);
		return;
	}
	hash = hash_frame(frame, scan->domain);
	same = ballast_frame_hash(frame) == hash;
	/* 34 bits of location are 64 TiB of guest memory in a pool */
	if (!eligible(scan, slot, word, hash, own) || own > BALLAST_LOCATION_MAX)
		return;
	ballast_index_lookup(scan->pool, hash, scan->domain, own, &scan->match);
	if (scan->match.shared)
		join(scan, slot, scan->match.shared);
	else if (scan->match.hint_count)
		try_hints(scan, slot, hash, own);
	else if (same)
		grow_older(slot, word);
}

/**
 * ballast_scan_slot() - look at one slot and share it if that can be
 * @scan: the scanner's
 * @slot: not locked, private a moment ago
 *
 * Context: the scanner, holding the map's scan_lock, in an SRCU section.
 */
void ballast_scan_slot(struct ballast_scan *scan, struct ballast_slot *slot)
{
	unsigned long word;

	if (!ballast_slot_trylock(slot)) {
		ballast_pool_count(scan->pool, BALLAST_EVENT_SKIPPED_BUSY);
		skip(slot, BALLAST_SKIP_BUSY);
		return;
	}
	word = ballast_slot_peek(slot);
	if (ballast_word_state(word) == BALLAST_PRIVATE)
		scan_private(scan, slot, word);
	ballast_slot_unlock(slot);
}
