// SPDX-License-Identifier: GPL-2.0
/*
 * Frames: allocation and release of the host pages that hold guest memory.
 *
 * DOC: A frame is an order-0 page, charged to its pool before it is allocated.
 * It is on no LRU and belongs to no memory cgroup: the pool's size is its
 * limit, and a shared frame has no single owner to charge.  Allocation never
 * calls the host's OOM killer (__GFP_RETRY_MAYFAIL): the process it would
 * choose is likely a VM.
 */
#include <linux/highmem.h>
#include <linux/uaccess.h>

#include "frame.h"

#define FRAME_GFP	(GFP_HIGHUSER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/**
 * ballast_frame_adopt() - make a page a frame
 * @pool: to which it is charged
 * @frame: just allocated
 */
void ballast_frame_adopt(struct ballast_pool *pool, struct page *frame)
{
	frame->mapping = pool->mapping;
	SetPageDirty(frame);
	ballast_frame_set_hash(frame, 0);
}

/* @frame was asked of the host after it was charged; may be NULL. */
static struct page *adopt_charged(struct ballast_pool *pool, struct page *frame)
{
	if (unlikely(!frame)) {
		ballast_pool_uncharge(pool, 1);
		ballast_pool_count(pool, BALLAST_EVENT_HOST_SHORT);
		return NULL;
	}
	ballast_frame_adopt(pool, frame);
	return frame;
}

static gfp_t frame_gfp(enum ballast_frame_use use)
{
	return use == BALLAST_FRAME_ZEROED ? FRAME_GFP | __GFP_ZERO : FRAME_GFP;
}

static bool charge(struct ballast_pool *pool, enum ballast_frame_use use)
{
	return ballast_pool_try_charge(pool, 1, ballast_frame_reserve(use));
}

/**
 * ballast_frame_alloc() - a frame, charged
 * @pool: to whom
 * @use: what for
 *
 * Context: process; may reclaim.  No slot locked.
 * Return: the frame, one reference, or an ERR_PTR: -ENOSPC, no room in the pool;
 * -ENOMEM, the host has none.
 */
struct page *ballast_frame_alloc(struct ballast_pool *pool, enum ballast_frame_use use)
{
	if (!charge(pool, use))
		return ERR_PTR(-ENOSPC);
	return adopt_charged(pool, alloc_page(frame_gfp(use))) ?: ERR_PTR(-ENOMEM);
}

/* Nobody says where its frames are to be: then they are near.  Seen without looking it up. */
static bool has_no_policy(const struct vm_area_struct *vma)
{
#ifdef CONFIG_NUMA
	return !vma->vm_policy && !current->mempolicy;
#else
	return true;
#endif
}

/**
 * ballast_frame_alloc_vma() - the same, on the NUMA node that the VMA asks for
 * @pool: to whom
 * @vma: with the memory policy; QEMU's host-nodes= sets it
 * @address: in it
 * @use: what for
 *
 * Return: the frame, or an ERR_PTR: -ENOSPC, no room in the pool; -ENOMEM, the
 * host has none.
 */
struct page *ballast_frame_alloc_vma(struct ballast_pool *pool,
				     struct vm_area_struct *vma,
				     unsigned long address, enum ballast_frame_use use)
{
	struct folio *folio;

	if (!charge(pool, use))
		return ERR_PTR(-ENOSPC);
	if (has_no_policy(vma))
		folio = __folio_alloc_node(frame_gfp(use), 0, numa_mem_id());
	else
		folio = vma_alloc_folio(frame_gfp(use), 0, vma, address, false);
	return adopt_charged(pool, folio ? folio_page(folio, 0) : NULL) ?: ERR_PTR(-ENOMEM);
}

/**
 * ballast_frame_alloc_over() - a frame, room or not, not zeroed
 * @pool: to whom
 *
 * For cutting a file in the middle of a shared page.
 */
struct page *ballast_frame_alloc_over(struct ballast_pool *pool)
{
	ballast_pool_charge_over(pool, 1);
	return adopt_charged(pool, alloc_page(FRAME_GFP));
}

/**
 * ballast_frame_copy() - copy a frame's content
 * @to: a frame that nobody sees
 * @from: does not change
 *
 * Survives, where the CPU allows it, memory that is found to be broken only now;
 * the kernel then marks it.
 *
 * Return: 0, or -EHWPOISON: what is in @to is of no use.
 */
int ballast_frame_copy(struct page *to, struct page *from)
{
	unsigned long left = PAGE_SIZE;
	char *source, *target;

	if (!ballast_frame_is_poisoned(from)) {
		source = kmap_local_page(from);
		target = kmap_local_page(to);
		left = copy_mc_to_kernel(target, source, PAGE_SIZE);
		kunmap_local(target);
		kunmap_local(source);
		if (unlikely(left))
			memory_failure_queue(page_to_pfn(from), 0);
	}
	return left ? -EHWPOISON : 0;
}

/**
 * ballast_frame_free() - give the owner's reference back
 * @pool: to which it is charged
 * @frame: in no slot, in no index
 *
 * Who else holds a reference (direct I/O in flight) keeps the page until it
 * lets go; the pool does not count it any more.
 *
 * Context: any.
 */
void ballast_frame_free(struct ballast_pool *pool, struct page *frame)
{
	ballast_frame_detach(frame);
	put_page(frame);
	ballast_pool_uncharge(pool, 1);
}
