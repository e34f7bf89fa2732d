// SPDX-License-Identifier: GPL-2.0
/*
 * The store: what a pool keeps of guest pages without a frame for each.
 *
 * DOC: Reclaim puts a private page here.  It becomes a struct ballast_stored:
 * compressed in zsmalloc, or one repeated word, or, if it does not become half as
 * large and there is a swap file, the frame itself, on its way there.  The next
 * touch brings it back into a frame.  The oldest entries of a file go to the swap
 * file when their ceiling is reached (write.c).
 *
 * What the store takes (zsmalloc's pages and the entries themselves) is
 * charged to the pool.  It is charged after it was taken: to refuse it would
 * keep a full pool full.  So the pool may be over its size by what one page's
 * compression takes, at most one zspage, until the frame is given back.
 *
 * Locks: a slot's content changes under the slot lock.  map->stored_lock
 * (spinlock) is for the lists and sums of entries only, inside slot locks.
 * zsmalloc locks itself.  Made by one thread a pool, its reclaim thread; taken
 * and dropped by anybody.
 */
#include <linux/highmem.h>
#include <linux/mempool.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/zsmalloc.h>

#include "store.h"

#define CEILING_BP	1000	/* of a file's size: ESX's 10 % */
#define ENTRIES_RESERVE	BALLAST_SWAP_BATCH
/*
 * For reclaim: no direct reclaim, which would come back to us.  The host's reserves are
 * opened to zsmalloc by the caller (memalloc_noreclaim_save()), for little and to free
 * more; entries have a reserve of their own.
 */
#define STORE_GFP	(__GFP_KSWAPD_RECLAIM | __GFP_NOWARN)

static struct kmem_cache *entry_cache;

int __init ballast_store_init(void)
{
	entry_cache = KMEM_CACHE(ballast_stored, 0);
	return entry_cache ? 0 : -ENOMEM;
}

void ballast_store_exit(void)
{
	kmem_cache_destroy(entry_cache);
}

/**
 * ballast_store_settle() - make the pool's account what the store takes
 * @store: whose; zsmalloc may have given pages back by itself, to the host's reclaim or
 *	later than zs_free()
 *
 * Context: process or atomic, not interrupts.
 */
void ballast_store_settle(struct ballast_store *store)
{
	unsigned long now, before;
	size_t entries;

	spin_lock(&store->charge_lock);
	entries = atomic_long_read(&store->entries_nr) * sizeof(struct ballast_stored);
	now = DIV_ROUND_UP(entries, PAGE_SIZE);
	if (store->zs)
		now += zs_get_total_pages(store->zs);
	before = store->charged_pages;
	WRITE_ONCE(store->charged_pages, now);
	if (now > before)
		ballast_pool_charge_over(store->pool, now - before);
	else if (now < before)
		ballast_pool_uncharge(store->pool, before - now);
	spin_unlock(&store->charge_lock);
}

static void free_entry(struct ballast_store *store, struct ballast_stored *entry)
{
	mempool_free(entry, store->entries);
	atomic_long_dec(&store->entries_nr);
}

static struct ballast_stored *alloc_entry(struct ballast_store *store)
{
	struct ballast_stored *entry = mempool_alloc(store->entries, STORE_GFP);

	if (entry)
		atomic_long_inc(&store->entries_nr);
	return entry;
}

static void enlist(struct ballast_slot *slot, struct ballast_stored *entry)
{
	struct ballast_map *map = slot->block->map;

	entry->block = slot->block;
	entry->index = slot->pgoff & (BALLAST_BLOCK_SLOTS - 1);
	INIT_LIST_HEAD(&entry->node);
	spin_lock(&map->stored_lock);
	if (entry->length == PAGE_SIZE) {
		list_add_tail(&entry->node, &map->unwritten);
	} else if (entry->length) {
		/* one repeated word takes less here than anywhere */
		list_add_tail(&entry->node, &map->stored);
		map->stored_bytes += entry->length;
	}
	spin_unlock(&map->stored_lock);
}

static void delist(struct ballast_map *map, struct ballast_stored *entry)
{
	spin_lock(&map->stored_lock);
	list_del(&entry->node);
	if (entry->length != PAGE_SIZE)
		map->stored_bytes -= entry->length;
	spin_unlock(&map->stored_lock);
}

/**
 * ballast_store_drop() - an entry is of no use any more
 * @map: of its slot
 * @entry: which no slot's word names now; its frame, if it has one, goes too
 *
 * Context: atomic or process, the slot locked.
 */
void ballast_store_drop(struct ballast_map *map, struct ballast_stored *entry)
{
	struct ballast_store *store = map->pool->store;

	delist(map, entry);
	if (entry->length == PAGE_SIZE) {
		atomic_long_dec(&store->unwritten_nr);
		if (entry->frame)
			ballast_frame_free(store->pool, entry->frame);
	} else if (entry->length) {
		zs_free(store->zs, entry->handle);
	}
	free_entry(store, entry);
	ballast_store_settle(store);
}

/* A place that has lost a page is not used again, nor promised to anybody. */
static void give_up_place(struct ballast_pool *pool, u32 place)
{
	ballast_swap_mark_bad(pool->store->swap, place);
	atomic_long_dec(&pool->swap_pages);
}

static void release(struct ballast_slot *slot, unsigned long word)
{
	struct ballast_map *map = slot->block->map;

	if (ballast_word_state(word) == BALLAST_COMPRESSED)
		ballast_store_drop(map, ballast_stored_entry(word));
	else if (word & BALLAST_SLOT_LOST)
		give_up_place(map->pool, ballast_stored_swap_slot(word));
	else
		ballast_swap_free(map->pool->store->swap, ballast_stored_swap_slot(word));
}

/* Compress into zsmalloc.  0, -E2BIG if the page does not become small, -ENOMEM. */
static int compress(struct ballast_store *store, struct ballast_stored *entry,
		    const void *content)
{
	unsigned int length;
	void *to;

	if (!store->codec)
		return -E2BIG;
	length = ballast_codec_compress(store->codec, content, store->scratch,
					BALLAST_STORE_LENGTH_MAX);
	if (!length)
		return -E2BIG;
	entry->handle = zs_malloc(store->zs, length,
				  STORE_GFP | __GFP_HIGHMEM | __GFP_MOVABLE);
	if (!entry->handle || IS_ERR_VALUE(entry->handle))
		return -ENOMEM;
	to = zs_map_object(store->zs, entry->handle, ZS_MM_WO);
	memcpy(to, store->scratch, length);
	zs_unmap_object(store->zs, entry->handle);
	entry->length = length;
	return 0;
}

/* What the entry is to hold of @frame, which nobody can change; -EDQUOT: not in @nothing. */
static int fill_entry(struct ballast_store *store, struct ballast_stored *entry,
		      struct page *frame, bool nothing)
{
	void *content = kmap_local_page(frame);
	int err = 0;

	if (ballast_page_same_filled(content, &entry->fill)) {
		entry->length = 0;
		ballast_pool_count(store->pool, BALLAST_EVENT_SAME_FILLED);
	} else {
		err = nothing ? -EDQUOT : compress(store, entry, content);
	}
	kunmap_local(content);
	return err;
}

/**
 * ballast_store_takes_no_room() - may ballast_store_put() have it with nothing to spare?
 * @slot: locked, private; its page may change meanwhile: a guess
 */
bool ballast_store_takes_no_room(struct ballast_slot *slot)
{
	struct page *frame = ballast_word_frame(ballast_slot_peek(slot));
	unsigned long fill;
	void *content;
	bool same;

	if (ballast_frame_is_poisoned(frame))
		return false;
	content = kmap_local_page(frame);
	same = ballast_page_same_filled(content, &fill);
	kunmap_local(content);
	return same;
}

static bool swap_is_full(struct ballast_store *store)
{
	return store->swap &&
	       ballast_store_swap_free(store) <= atomic_long_read(&store->unwritten_nr);
}

/* May one more frame wait to be written? */
static bool may_be_written(struct ballast_store *store)
{
	return store->swap && !ballast_store_writes_rest(store) && !swap_is_full(store);
}

/**
 * ballast_store_put() - private -> compressed
 * @slot: locked, isolated
 * @nothing: only what takes no room: the file has all that it may
 *
 * Context: the pool's reclaim thread.
 * Return: 0: the slot has changed.  -E2BIG, the page does not become small and
 * there is no place for it in the swap file, -EDQUOT, it takes room, or -ENOMEM: put the
 * slot back.
 */
int ballast_store_put(struct ballast_slot *slot, bool nothing)
{
	struct ballast_store *store = ballast_slot_pool(slot)->store;
	struct page *frame = ballast_word_frame(ballast_slot_peek(slot));
	struct ballast_stored *entry = alloc_entry(store);
	int err;

	if (!entry)
		return -ENOMEM;
	err = fill_entry(store, entry, frame, nothing);
	if (err == -E2BIG)
		ballast_pool_count(store->pool, BALLAST_EVENT_INCOMPRESSIBLE);
	if (err && !nothing && may_be_written(store)) {
		entry->length = PAGE_SIZE;
		entry->frame = frame;
		atomic_long_inc(&store->unwritten_nr);
		err = 0;
	} else if (err) {
		if (!nothing && swap_is_full(store))
			ballast_pool_count(store->pool, BALLAST_EVENT_SWAP_FULL);
		free_entry(store, entry);
		ballast_store_settle(store);
		return err;
	}
	enlist(slot, entry);
	ballast_slot_store(slot, ballast_entry_stored(entry), entry->length == PAGE_SIZE);
	if (entry->length != PAGE_SIZE)
		ballast_pool_count(store->pool, BALLAST_EVENT_COMPRESSED);
	ballast_store_settle(store);
	return 0;
}

/**
 * ballast_store_fetch() - the content of an entry
 * @store: in which
 * @entry: its slot is locked
 * @to: whole page
 *
 * Return: 0 or -EIO: it is not what was stored.
 */
int ballast_store_fetch(struct ballast_store *store, struct ballast_stored *entry,
			struct page *to)
{
	void *page = kmap_local_page(to), *from;
	int err = 0;

	if (!entry->length) {
		memset_l(page, entry->fill, PAGE_SIZE / sizeof(long));
	} else if (entry->length == PAGE_SIZE) {
		err = ballast_frame_copy(to, entry->frame) ? -EIO : 0;
	} else {
		from = zs_map_object(store->zs, entry->handle, ZS_MM_RO);
		err = ballast_codec_decompress(store->codec, from, entry->length, page);
		zs_unmap_object(store->zs, entry->handle);
	}
	kunmap_local(page);
	return err;
}

/* Read a swapped page and see that it is the right one. */
static int read_swapped(struct ballast_store *store, unsigned long word, struct page *to)
{
	u32 swap_slot = ballast_stored_swap_slot(word);
	int err = ballast_swap_read(store->swap, swap_slot, to);

	if (err)
		return err;
	return ballast_swap_check(store->swap, swap_slot, to) == ballast_stored_check(word) ?
	       0 : -EBADMSG;
}

/* The content cannot be had: whoever touches it is told so, and nobody else. */
static void lose(struct ballast_slot *slot, int err)
{
	ballast_slot_set_flags(slot, BALLAST_SLOT_LOST, true);
	ballast_pool_count(ballast_slot_pool(slot), BALLAST_EVENT_LOST);
	pr_err_ratelimited("ballast: pool %s: page %lu of file %lu is lost: %s\n",
			   ballast_slot_pool(slot)->name, slot->pgoff,
			   slot->block->map->inode->i_ino,
			   err == -EBADMSG ? "the swap file has other content" :
			   err == -EIO ? "it cannot be read" : "error");
}

/**
 * ballast_store_copy() - a copy of a stored page; the slot stays as it is
 * @slot: locked, stored
 * @to: whole page, charged to nobody
 *
 * Context: process; may wait for the swap file.
 * Return: 0; -EHWPOISON: the content is lost; -EAGAIN: it cannot be had now, for want
 * of memory or because of a signal.
 */
int ballast_store_copy(struct ballast_slot *slot, struct page *to)
{
	struct ballast_store *store = ballast_slot_pool(slot)->store;
	unsigned long word = ballast_slot_peek(slot);
	int err;

	if (word & BALLAST_SLOT_LOST)
		return -EHWPOISON;
	if (ballast_word_state(word) == BALLAST_COMPRESSED)
		err = ballast_store_fetch(store, ballast_stored_entry(word), to);
	else
		err = read_swapped(store, word, to);
	if (!err || err == -EAGAIN)
		return err;
	lose(slot, err);
	return -EHWPOISON;
}

/* The frame that waits to be written is the slot's again. */
static struct page *take_back(struct ballast_slot *slot, struct ballast_stored *entry)
{
	struct page *frame = entry->frame;

	entry->frame = NULL;
	ballast_frame_adopt(ballast_slot_pool(slot), frame);
	ballast_slot_unstore(slot, frame);
	ballast_store_drop(slot->block->map, entry);
	return ballast_frame_is_poisoned(frame) ? ERR_PTR(-EHWPOISON) : frame;
}

static struct page *load(struct ballast_slot *slot, struct page **spare)
{
	struct ballast_pool *pool = ballast_slot_pool(slot);
	unsigned long word = ballast_slot_peek(slot);
	bool swapped = ballast_word_state(word) == BALLAST_SWAPPED;
	struct ballast_stored *entry = ballast_stored_entry(word);
	struct page *frame = *spare;
	int err;

	if (word & BALLAST_SLOT_LOST)
		return ERR_PTR(-EHWPOISON);
	if (!swapped && entry->length == PAGE_SIZE)
		return take_back(slot, entry);
	if (!frame)
		return NULL;
	err = ballast_store_copy(slot, frame);
	if (err)
		return ERR_PTR(err);
	*spare = NULL;
	ballast_slot_unstore(slot, frame);
	release(slot, word);
	ballast_pool_count(pool, swapped ? BALLAST_EVENT_SWAPPED_IN :
			   BALLAST_EVENT_DECOMPRESSED);
	return frame;
}

/* ballast_store_is_over() - a file's compressed pages take more than they may */
bool ballast_store_is_over(struct ballast_map *map)
{
	u64 most = mul_u64_u32_div(i_size_read(map->inode),
				   READ_ONCE(map->pool->store->ceiling_bp), 10000);

	return READ_ONCE(map->stored_bytes) > most;
}

static const struct ballast_store_ops store_ops = {
	.release = release,
	.load = load,
};

static int alloc_codec(struct ballast_store *store, int kind)
{
	static atomic_t made;	/* two pools may have one name for a moment */
	struct ballast_codec *codec = ballast_codec_create(kind);

	if (IS_ERR(codec))
		return PTR_ERR(codec);
	store->codec = codec;
	snprintf(store->name, sizeof(store->name), "ballast-%d", atomic_inc_return(&made));
	store->zs = zs_create_pool(store->name);
	return store->zs ? 0 : -ENOMEM;
}

static int alloc_buffers(struct ballast_store *store)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(store->buffers); i++) {
		store->buffers[i] = alloc_page(GFP_KERNEL);
		if (!store->buffers[i])
			return -ENOMEM;
	}
	return 0;
}

/**
 * ballast_store_add_pool() - a mount is being made
 * @pool: its pool, without a frame yet
 * @codec: enum ballast_codec_kind; BALLAST_CODEC_NR: nothing is compressed
 * @swap: its swap file, or NULL; the store's from now on, whatever is returned
 *
 * Return: 0, or -ENOMEM: ballast_store_remove_pool() is to be called all the same.
 */
int ballast_store_add_pool(struct ballast_pool *pool, int codec,
			   struct ballast_swap *swap)
{
	struct ballast_store *store = kzalloc(sizeof(*store), GFP_KERNEL);
	int err = 0;

	if (!store) {
		if (swap)
			ballast_swap_close(swap);
		return -ENOMEM;
	}
	pool->store = store;
	pool->store_ops = &store_ops;
	store->pool = pool;
	store->swap = swap;
	if (swap) {
		atomic_long_set(&pool->swap_pages, ballast_swap_size_pages(swap));
		pool->admission = 1;
	}
	store->batch.store = store;
	spin_lock_init(&store->charge_lock);
	store->ceiling_bp = CEILING_BP;
	store->retry_writes = jiffies;
	store->scratch = kmalloc(PAGE_SIZE, GFP_KERNEL);
	store->entries = mempool_create_slab_pool(ENTRIES_RESERVE, entry_cache);
	if (!store->scratch || !store->entries)
		return -ENOMEM;
	if (swap)
		err = alloc_buffers(store);
	if (!err && codec != BALLAST_CODEC_NR)
		err = alloc_codec(store, codec);
	return err;
}

/* ballast_store_remove_pool() - its files and its reclaim thread are gone */
void ballast_store_remove_pool(struct ballast_pool *pool)
{
	struct ballast_store *store = pool->store;
	unsigned int i;

	if (!store)
		return;
	pool->store = NULL;
	WARN_ON_ONCE(atomic_long_read(&store->entries_nr));
	ballast_pool_uncharge(pool, store->charged_pages);
	if (store->zs)
		zs_destroy_pool(store->zs);
	if (store->codec)
		ballast_codec_destroy(store->codec);
	for (i = 0; i < ARRAY_SIZE(store->buffers); i++)
		if (store->buffers[i])
			__free_page(store->buffers[i]);
	if (store->swap)
		ballast_swap_close(store->swap);
	mempool_destroy(store->entries);
	kfree(store->scratch);
	kfree(store);
}
