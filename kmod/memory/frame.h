/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames: host pages that hold guest memory.
 *
 * Use of struct page by this module, all of it:
 *	page->mapping	the pool's mapping, from allocation to release
 *	page->private	the content's hash: of a private frame at its last
 *			scan (0: never), of a shared one for its life
 *	page->index	unique to a slot or shared frame: futexes in shared
 *			memory are told apart by it
 *	page->lru.prev	of a shared frame: its sharers and its sharing domain,
 *			32 bits each
 *	PG_dirty	always set: nobody may take a frame for clean page cache
 *	PG_checked	of a shared frame: reclaim has seen that a sharer uses it; the
 *			reclaim thread's, see reclaim/sweep.c
 *	page lock	of a private frame: held from ->fault() until the PTE
 *			is set, and by whoever takes the frame from its slot
 *	reference count	one of the slot (private) or of all sharers together
 *			(shared), one for each PTE, and those of others (pins)
 */
#ifndef BALLAST_MEMORY_FRAME_H
#define BALLAST_MEMORY_FRAME_H

#include <linux/mm.h>
#include <linux/pagemap.h>

#include "pool.h"

/**
 * struct ballast_frame_owners - page->lru.prev of a shared frame
 * @sharers: slots that have the frame; 0 only on its way out
 * @domain: who may become one
 */
struct ballast_frame_owners {
	atomic_t sharers;
	u32 domain;
};

/*
 * The memory under the frame is broken (PG_hwpoison): to read it is a machine
 * check.  The kernel cannot take such a page away from its slot, for a frame is
 * on no LRU: it stays where it is until the page of the file is given back, and
 * whoever asks for its content is told.  May become true at any time.
 */
static inline bool ballast_frame_is_poisoned(struct page *frame)
{
	return unlikely(PageHWPoison(frame));
}

int ballast_frame_copy(struct page *to, struct page *from);
/**
 * enum ballast_frame_use - what a frame is for
 * @BALLAST_FRAME_ZEROED: for a guest to see as it is
 * @BALLAST_FRAME_COPY: all of it is overwritten before a guest can see it
 * @BALLAST_FRAME_LOAD: the same, with what comes back from the store
 */
enum ballast_frame_use {
	BALLAST_FRAME_ZEROED,
	BALLAST_FRAME_COPY,
	BALLAST_FRAME_LOAD,
};

/* What of the pool's reserve is open to it. */
static inline unsigned long ballast_frame_reserve(enum ballast_frame_use use)
{
	return use == BALLAST_FRAME_LOAD ? BALLAST_POOL_RESERVE : 0;
}

struct page *ballast_frame_alloc(struct ballast_pool *pool, enum ballast_frame_use use);
struct page *ballast_frame_alloc_vma(struct ballast_pool *pool,
				     struct vm_area_struct *vma,
				     unsigned long address, enum ballast_frame_use use);
struct page *ballast_frame_alloc_over(struct ballast_pool *pool);
void ballast_frame_adopt(struct ballast_pool *pool, struct page *frame);
void ballast_frame_free(struct ballast_pool *pool, struct page *frame);

/**
 * ballast_frame_freeze() - make sure that nobody else can reach the frame
 * @frame: locked (page lock), unmapped, its slot locked
 *
 * Freezes the reference count at the owner's one.  A concurrent lockless GUP
 * that read the PTE before it went cannot take a reference any more.
 *
 * Return: false if somebody holds a reference: direct I/O, vhost, VFIO, or a
 * fault that has not set its PTE yet.
 */
static inline bool ballast_frame_freeze(struct page *frame)
{
	return page_ref_freeze(frame, 1);
}

static inline void ballast_frame_unfreeze(struct page *frame)
{
	page_ref_unfreeze(frame, 1);
}

/*
 * The frame leaves its slot.  With the page lock held, where there is one:
 * set_page_dirty_lock() of a finishing DMA looks at the mapping under it.
 */
static inline void ballast_frame_detach(struct page *frame)
{
	frame->mapping = NULL;
}

static inline u64 ballast_frame_hash(const struct page *frame)
{
	return READ_ONCE(frame->private);
}

static inline void ballast_frame_set_hash(struct page *frame, u64 hash)
{
	WRITE_ONCE(frame->private, hash);
}

static inline struct ballast_frame_owners *ballast_frame_owners(struct page *frame)
{
	BUILD_BUG_ON(sizeof(frame->lru.prev) != sizeof(struct ballast_frame_owners));
	return (struct ballast_frame_owners *)&frame->lru.prev;
}

static inline atomic_t *ballast_frame_sharers(struct page *frame)
{
	return &ballast_frame_owners(frame)->sharers;
}

static inline u32 ballast_frame_domain(struct page *frame)
{
	return READ_ONCE(ballast_frame_owners(frame)->domain);
}

/*
 * Nobody but the frame's @extra known holders and its PTEs has a reference.
 * Exact for references of other slots' users when the frame is no other slot's:
 * those can only go.  Both are read twice against one's own fork and munmap in
 * between.
 */
static inline bool ballast_frame_has_no_pins(struct page *frame, int extra)
{
	int mapped = ballast_page_mapcount(frame), count;

	smp_rmb();
	count = page_count(frame);
	smp_rmb();
	if (count != 1 + mapped + extra || mapped != ballast_page_mapcount(frame))
		return false;
	smp_rmb();
	return count == page_count(frame);
}

#define BALLAST_FRAME_OF_MANY	BIT(BITS_PER_LONG - 2)	/* in page->index */

/* Apart from the locations of private slots: for a frame that several slots may have. */
static inline void ballast_frame_set_of_many(struct page *frame)
{
	WRITE_ONCE(frame->index, page_to_pfn(frame) | BALLAST_FRAME_OF_MANY);
}

static inline bool ballast_frame_is_of_many(const struct page *frame)
{
	return READ_ONCE(frame->index) & BALLAST_FRAME_OF_MANY;
}

/*
 * Somebody's own?  Of a frame that one has a reference to, found in a page table and
 * locked (page lock): if so then still of the slot that it is mapped for.  It would
 * leave that under its lock, and does not become another's while it has a reference.
 */
static inline bool ballast_frame_is_private(const struct page *frame)
{
	return frame->mapping && !ballast_frame_is_of_many(frame);
}

/* A new frame becomes a shared one: @hash, @domain and @sharers are its own. */
static inline void ballast_frame_set_shared(struct page *frame, u64 hash,
					    u32 domain, int sharers)
{
	ballast_frame_set_hash(frame, hash);
	ballast_frame_set_of_many(frame);
	ballast_frame_owners(frame)->domain = domain;
	atomic_set(ballast_frame_sharers(frame), sharers);
}

#endif /* BALLAST_MEMORY_FRAME_H */
