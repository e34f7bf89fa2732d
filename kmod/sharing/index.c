// SPDX-License-Identifier: GPL-2.0
/*
 * The index of a pool: where content has been seen.
 *
 * DOC: One table holds hints and shared frames, in chunks of 4 KiB (chunk.c).
 * The upper bits of a content's hash name its chunk, the lower ones its places
 * in it.  A hint says where the scanner saw the content last, and may be
 * wrong: nothing keeps the page from changing or going.  An entry of a shared
 * frame is right as long as it is there: the frame leaves the index before it
 * changes hands, under the chunk's lock.
 *
 * Who writes: only the scanner inserts and resizes, so there is one of it for
 * a pool at a time (scan_lock of scan.c).  Faults take entries of shared frames
 * out, with the last sharer.
 *
 * Resizing: the new table is filled chunk by chunk while scanning goes on;
 * a chunk that has moved says so, and is looked for in the new table.  The
 * whole hash of an entry, which it needs to find its place there, lies in the
 * frame it names.  Tables are freed after an RCU grace period.
 *
 * Locks: chunk->lock, a spinlock, innermost but for the new table's chunk's
 * lock while moving.
 */
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "index.h"

/* Entries that a chunk is planned for, of BALLAST_CHUNK_ENTRIES */
#define PLANNED_ENTRIES		600
#define GROW_ABOVE_PERCENT	104	/* of what was planned for */
/* with the 8.1 bytes of its slot, a page then has less than 16 */
#define GROW_TO_PERCENT		112
#define SHRINK_BELOW_PERCENT	50
#define CHUNKS_MIN		4
#define MOVE_AT_ONCE		2	/* chunks moved a call */
#define PURGE_AFTER_LOST	16	/* hints; see purge() */

/**
 * struct table_chunk - a chunk and its lock
 * @lock: protects the others
 * @moved: look in the next table
 * @lost: hints overwritten since wrong ones were last looked for
 * @data: the entries; NULL until the first
 */
struct table_chunk {
	spinlock_t lock;
	bool moved;
	u8 lost;
	struct ballast_chunk *data;
};

/**
 * struct table - one size of an index
 * @rcu: to free it by
 * @chunks: how many
 * @planned: pages it was made for
 * @next: the table being filled from this one, or NULL; set once, by the scanner
 * @chunk: they
 */
struct table {
	struct rcu_head rcu;
	struct table __rcu *next;
	unsigned long chunks;
	unsigned long planned;
	struct table_chunk chunk[];
};

/**
 * struct ballast_index - the index of a pool
 * @now: the table; replaced by the scanner when all has moved
 * @moved: chunks of @now that have moved
 * @turn: insertions; the scanner's own
 * @bytes: memory of all tables and chunks
 * @hints: entries that are hints
 */
struct ballast_index {
	struct table __rcu *now;
	unsigned long moved;
	unsigned int turn;
	atomic_long_t bytes;
	atomic_long_t hints;
};

static size_t table_bytes(unsigned long chunks)
{
	return struct_size((struct table *)NULL, chunk, chunks);
}

static struct table *alloc_table(struct ballast_index *index, unsigned long pages)
{
	unsigned long i, chunks = max_t(unsigned long, CHUNKS_MIN,
					DIV_ROUND_UP(pages, PLANNED_ENTRIES));
	size_t bytes = table_bytes(chunks);
	struct table *table;

	/* nobody is killed for it, and little is done to have it in one piece */
	table = kzalloc(bytes, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN) ?:
		__vmalloc(bytes, GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_ZERO | __GFP_NOWARN);
	if (!table)
		return NULL;
	table->chunks = chunks;
	table->planned = max(pages, chunks * PLANNED_ENTRIES);
	for (i = 0; i < chunks; i++)
		spin_lock_init(&table->chunk[i].lock);
	atomic_long_add(bytes, &index->bytes);
	return table;
}

static void free_chunk_data(struct ballast_index *index, struct table_chunk *chunk)
{
	if (!chunk->data)
		return;
	free_page((unsigned long)chunk->data);
	chunk->data = NULL;
	atomic_long_sub(BALLAST_CHUNK_BYTES, &index->bytes);
}

static void free_table_now(struct ballast_index *index, struct table *table)
{
	unsigned long i;

	if (!table)
		return;
	for (i = 0; i < table->chunks; i++)
		free_chunk_data(index, &table->chunk[i]);
	atomic_long_sub(table_bytes(table->chunks), &index->bytes);
	kvfree(table);
}

/* ballast_index_create() - an empty index, or NULL */
struct ballast_index *ballast_index_create(void)
{
	struct ballast_index *index = kzalloc(sizeof(*index), GFP_KERNEL);
	struct table *table;

	if (!index)
		return NULL;
	table = alloc_table(index, 0);
	if (!table) {
		kfree(index);
		return NULL;
	}
	rcu_assign_pointer(index->now, table);
	return index;
}

/**
 * ballast_index_destroy() - free an index
 * @index: no frame is in it any more, nobody looks into it; or NULL
 */
void ballast_index_destroy(struct ballast_index *index)
{
	struct table *now;

	if (!index)
		return;
	now = rcu_dereference_protected(index->now, true);
	free_table_now(index, rcu_dereference_protected(now->next, true));
	free_table_now(index, now);
	kfree(index);
}

/* ballast_index_bytes() - memory that the index takes now */
u64 ballast_index_bytes(struct ballast_index *index)
{
	return index ? atomic_long_read(&index->bytes) : 0;
}

/* ballast_index_hints() - entries that are hints, now */
u64 ballast_index_hints(struct ballast_index *index)
{
	return index ? atomic_long_read(&index->hints) : 0;
}

static struct table_chunk *chunk_of(struct table *table, u64 hash)
{
	return &table->chunk[mul_u64_u64_shr(hash, table->chunks, 64)];
}

/* The chunk where @hash is now, locked; inside an RCU section until unlocked. */
static struct table_chunk *lock_chunk(struct ballast_index *index, u64 hash)
	__acquires(RCU) __acquires(chunk)
{
	struct table_chunk *chunk;
	struct table *table;

	rcu_read_lock();
	table = rcu_dereference(index->now);
	chunk = chunk_of(table, hash);
	spin_lock(&chunk->lock);
	/* table by table: two resizes may have passed since we read the first */
	while (unlikely(chunk->moved)) {
		spin_unlock(&chunk->lock);
		table = rcu_dereference(table->next);
		chunk = chunk_of(table, hash);
		spin_lock(&chunk->lock);
	}
	return chunk;
}

static void unlock_chunk(struct table_chunk *chunk)
	__releases(chunk) __releases(RCU)
{
	spin_unlock(&chunk->lock);
	rcu_read_unlock();
}

static bool has_data(struct ballast_index *index, struct table_chunk *chunk)
{
	unsigned long data;

	if (likely(chunk->data))
		return true;
	/* only the scanner comes here; without memory the entry is lost */
	data = __get_free_page(GFP_NOWAIT | __GFP_ZERO | __GFP_NOWARN);
	if (!data)
		return false;
	chunk->data = (struct ballast_chunk *)data;
	atomic_long_add(BALLAST_CHUNK_BYTES, &index->bytes);
	return true;
}

/* The hash that the page an entry names had when the entry was made. */
static u64 entry_hash(struct ballast_pool *pool, struct ballast_entry entry)
{
	struct ballast_block *block;
	struct ballast_slot slot;
	unsigned long word;

	if (entry.shared)
		return ballast_frame_hash(pfn_to_page(entry.location));
	block = ballast_pool_block(pool, entry.location >> BALLAST_BLOCK_SHIFT);
	if (!block)
		return 0;
	ballast_slot_init(&slot, block, entry.location & (BALLAST_BLOCK_SLOTS - 1));
	word = ballast_slot_peek(&slot);
	if (ballast_word_state(word) != BALLAST_PRIVATE)
		return 0;
	/* the frame may be another's by now: then the hint is wrong, as hints are */
	return ballast_frame_hash(ballast_word_frame(word));
}

/*
 * The chunk is full.  Some hints in it name pages that have changed, or gone
 * with their file: nobody takes those out where it happens.
 */
static void purge(struct ballast_pool *pool, struct table_chunk *chunk)
{
	struct ballast_entry entry;
	unsigned int place;

	chunk->lost = 0;
	for (place = 0; place < BALLAST_CHUNK_ENTRIES; place++)
		if (ballast_chunk_at(chunk->data, place, &entry) && !entry.shared &&
		    !ballast_chunk_keep(chunk->data, place, entry_hash(pool, entry)))
			atomic_long_dec(&pool->index->hints);
}

/* The chunk is locked and has data.  Returns false if there is no place. */
static bool insert(struct ballast_pool *pool, struct table_chunk *chunk, u64 hash,
		   struct ballast_entry entry)
{
	int result = ballast_chunk_insert(chunk->data, hash, entry, pool->index->turn++);

	if (result < 0) {
		ballast_pool_count(pool, BALLAST_EVENT_INDEX_FULL);
		return false;
	}
	atomic_long_add(!entry.shared - result, &pool->index->hints);
	if (result > 0) {
		ballast_pool_count(pool, BALLAST_EVENT_HINTS_LOST);
		if (++chunk->lost >= PURGE_AFTER_LOST)
			purge(pool, chunk);
	}
	return true;
}

static void move_entry(struct ballast_pool *pool, struct table *to,
		       struct ballast_entry entry)
{
	struct ballast_index *index = pool->index;
	u64 hash = entry_hash(pool, entry);
	struct table_chunk *chunk;

	if (!entry.shared)
		atomic_long_dec(&index->hints);
	if (!hash)
		return;
	/*
	 * A shared frame that finds no place keeps its sharers and gets no new
	 * one; release() does not insist on finding it.
	 */
	chunk = chunk_of(to, hash);
	spin_lock_nested(&chunk->lock, SINGLE_DEPTH_NESTING);
	if (has_data(index, chunk))
		insert(pool, chunk, hash, entry);
	spin_unlock(&chunk->lock);
}

static void move_chunk(struct ballast_pool *pool, struct table_chunk *from,
		       struct table *to)
{
	struct ballast_entry entry;
	unsigned int place;

	spin_lock(&from->lock);
	if (from->data)
		for (place = 0; place < BALLAST_CHUNK_ENTRIES; place++)
			if (ballast_chunk_at(from->data, place, &entry))
				move_entry(pool, to, entry);
	from->moved = true;
	free_chunk_data(pool->index, from);
	spin_unlock(&from->lock);
}

/* Some chunks further; when all have moved, the next table is the one. */
static void move_some(struct ballast_pool *pool)
{
	struct ballast_index *index = pool->index;
	struct table *now = rcu_dereference_protected(index->now, true);
	struct table *next = rcu_dereference_protected(now->next, true);
	int i;

	for (i = 0; i < MOVE_AT_ONCE && index->moved < now->chunks; i++)
		move_chunk(pool, &now->chunk[index->moved++], next);
	if (index->moved < now->chunks)
		return;
	rcu_assign_pointer(index->now, next);
	atomic_long_sub(table_bytes(now->chunks), &index->bytes);
	kvfree_rcu(now, rcu);
}

/**
 * ballast_index_move() - a little of what a resize has to move
 * @pool: whose index
 *
 * Context: as ballast_index_fit(), but for whoever scans and must not allocate.
 * Return: false if there is no resize.
 */
bool ballast_index_move(struct ballast_pool *pool)
{
	struct table *now = rcu_dereference_protected(pool->index->now, true);

	if (!rcu_dereference_protected(now->next, true))
		return false;
	move_some(pool);
	return true;
}

/**
 * ballast_index_fit() - have the index fit what is scanned
 * @pool: whose index
 * @pages: populated pages of the pool
 *
 * Moves a little each time it is called, so that nobody waits for a resize.
 *
 * Context: the scanner, in an SRCU section of ballast_map_srcu; may allocate, but
 * kills nobody for it.
 */
void ballast_index_fit(struct ballast_pool *pool, unsigned long pages)
{
	struct ballast_index *index = pool->index;
	struct table *now = rcu_dereference_protected(index->now, true), *next;

	if (ballast_index_move(pool))
		return;
	if (pages > now->planned / 100 * GROW_ABOVE_PERCENT)
		/* from nothing: a static population is met exactly */
		pages = now->chunks == CHUNKS_MIN ? pages :
			pages / 100 * GROW_TO_PERCENT;
	else if (now->chunks == CHUNKS_MIN ||
		 pages > now->planned / 100 * SHRINK_BELOW_PERCENT)
		return;
	next = alloc_table(index, pages);
	if (!next)
		return;	/* a fuller table loses hints; asked again next time */
	index->moved = 0;
	rcu_assign_pointer(now->next, next);
}

/* A shared frame that is what is looked for: become its sharer. */
static bool get_shared(struct page *frame, u64 hash, u32 domain)
{
	if (ballast_frame_hash(frame) != hash ||
	    ballast_frame_domain(frame) != domain || ballast_frame_is_poisoned(frame))
		return false;
	/* at most one sharer a slot; a count that is full makes no new one */
	return atomic_add_unless(ballast_frame_sharers(frame), 1, INT_MAX);
}

/* Returns true if the candidate's own hint is there. */
static bool search_chunk(struct ballast_chunk *data, u64 hash, u32 domain,
			 u64 own, struct ballast_index_match *match)
{
	struct ballast_chunk_cursor cursor = { 0 };
	struct ballast_entry entry;
	bool own_found = false;

	while (ballast_chunk_find(data, hash, &cursor, &entry)) {
		if (entry.shared) {
			struct page *frame = pfn_to_page(entry.location);

			if (!get_shared(frame, hash, domain))
				continue;
			match->shared = frame;
			break;
		}
		if (entry.location == own)
			own_found = true;
		else
			match->hints[match->hint_count++] = entry.location;
	}
	return own_found;
}

/**
 * ballast_index_lookup() - who has this content?  If nobody: a hint
 * @pool: where to look
 * @hash: of the content
 * @domain: of the candidate
 * @own: the candidate's location; a hint to it is left if nothing is found
 * @match: result
 *
 * Context: the scanner.
 */
void ballast_index_lookup(struct ballast_pool *pool, u64 hash, u32 domain,
			  u64 own, struct ballast_index_match *match)
{
	struct table_chunk *chunk;
	bool own_found = false;

	match->shared = NULL;
	match->hint_count = 0;
	chunk = lock_chunk(pool->index, hash);
	if (likely(has_data(pool->index, chunk))) {
		own_found = search_chunk(chunk->data, hash, domain, own, match);
		if (!match->shared && !match->hint_count && !own_found)
			insert(pool, chunk, hash,
			       (struct ballast_entry) { .location = own });
	}
	unlock_chunk(chunk);
}

/**
 * ballast_index_put_hint() - leave a hint, if it is not there
 * @pool: whose index
 * @hash: of the content
 * @location: where it is
 *
 * Context: the scanner.
 */
void ballast_index_put_hint(struct ballast_pool *pool, u64 hash, u64 location)
{
	struct ballast_entry entry = { .location = location };
	struct table_chunk *chunk;

	chunk = lock_chunk(pool->index, hash);
	if (has_data(pool->index, chunk) &&
	    !ballast_chunk_replace(chunk->data, hash, entry, entry))
		insert(pool, chunk, hash, entry);
	unlock_chunk(chunk);
}

/**
 * ballast_index_drop_hint() - a hint was wrong
 * @pool: whose index
 * @hash: it was found by
 * @location: it named
 *
 * Context: the scanner.
 */
void ballast_index_drop_hint(struct ballast_pool *pool, u64 hash, u64 location)
{
	struct table_chunk *chunk;

	chunk = lock_chunk(pool->index, hash);
	if (chunk->data &&
	    ballast_chunk_remove(chunk->data, hash,
				 (struct ballast_entry) { .location = location }))
		atomic_long_dec(&pool->index->hints);
	unlock_chunk(chunk);
}

/**
 * ballast_index_publish() - a shared frame takes a hint's place
 * @pool: whose index
 * @hint: location of the hint
 * @frame: with its hash, domain and sharers set
 *
 * Context: the scanner.
 * Return: false if there is no place for it: nothing has changed.
 */
bool ballast_index_publish(struct ballast_pool *pool, u64 hint, struct page *frame)
{
	struct ballast_entry old = { .location = hint };
	struct ballast_entry new = { .location = page_to_pfn(frame), .shared = true };
	u64 hash = ballast_frame_hash(frame);
	struct table_chunk *chunk;
	bool done = false;

	if (new.location > BALLAST_LOCATION_MAX) {
		ballast_pool_count(pool, BALLAST_EVENT_INDEX_FULL);
		return false;
	}
	chunk = lock_chunk(pool->index, hash);
	if (has_data(pool->index, chunk)) {
		done = ballast_chunk_replace(chunk->data, hash, old, new);
		if (done)
			atomic_long_dec(&pool->index->hints);
		else
			done = insert(pool, chunk, hash, new);
	}
	unlock_chunk(chunk);
	return done;
}

/* Take a frame out.  It may be missing: a full chunk lost it while moving. */
static void remove_shared(struct table_chunk *chunk, struct page *frame)
{
	struct ballast_entry entry = {
		.location = page_to_pfn(frame),
		.shared = true,
	};

	if (chunk->data)
		ballast_chunk_remove(chunk->data, ballast_frame_hash(frame), entry);
}

/* With the chunk locked nobody can become a sharer. */
static bool release_shared(struct ballast_pool *pool, struct page *frame)
{
	atomic_t *sharers = ballast_frame_sharers(frame);
	struct table_chunk *chunk;
	bool last;

	chunk = lock_chunk(pool->index, ballast_frame_hash(frame));
	last = atomic_dec_and_test(sharers);
	if (last)
		remove_shared(chunk, frame);
	unlock_chunk(chunk);
	return last;
}

static bool claim_shared(struct ballast_pool *pool, struct page *frame, int extra)
{
	atomic_t *sharers = ballast_frame_sharers(frame);
	struct table_chunk *chunk;
	bool only;

	chunk = lock_chunk(pool->index, ballast_frame_hash(frame));
	/* a former sharer's pin came before it left: look for it afterwards */
	only = atomic_read_acquire(sharers) == 1 &&
	       ballast_frame_has_no_pins(frame, extra);
	if (only)
		remove_shared(chunk, frame);
	unlock_chunk(chunk);
	return only;
}

const struct ballast_share_ops ballast_index_share_ops = {
	.release = release_shared,
	.claim = claim_shared,
};
