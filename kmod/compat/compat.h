/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the kernels Ballast builds for; included before every
 * source file.
 *
 * DOC: Each shim names the release that changed and what for.  BALLAST_HAVE_*
 * come from kmod/compat/Makefile, which reads them off the kernel's headers.
 */
#ifndef BALLAST_COMPAT_H
#define BALLAST_COMPAT_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/shrinker.h>
#include <linux/swap.h>

#ifdef CONFIG_PREEMPT_RT
#error "The tracepoint of KVM's faults wakes a thread, which a PREEMPT_RT kernel does not allow there"
#endif

/* 6.3: idmapped mounts got a type of their own. */
#ifdef BALLAST_HAVE_MNT_IDMAP
typedef struct mnt_idmap ballast_idmap_t;
#define ballast_nop_idmap (&nop_mnt_idmap)
#else
typedef struct user_namespace ballast_idmap_t;
#define ballast_nop_idmap (&init_user_ns)
#endif

/* 6.6: getattr tells which attributes it wants. */
static inline void ballast_fillattr(ballast_idmap_t *idmap, u32 request_mask,
				    struct inode *inode, struct kstat *stat)
{
#ifdef BALLAST_HAVE_FILLATTR_MASK
	generic_fillattr(idmap, request_mask, inode, stat);
#else
	generic_fillattr(idmap, inode, stat);
#endif
}

/* 6.6/6.7: inode times became private to helpers. */
static inline void ballast_inode_init_times(struct inode *inode)
{
#ifdef BALLAST_HAVE_INODE_TIME_HELPERS
	simple_inode_init_ts(inode);
#else
	inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
#endif
}

static inline void ballast_inode_touch(struct inode *inode)
{
#ifdef BALLAST_HAVE_INODE_TIME_HELPERS
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
#else
	inode->i_mtime = inode->i_ctime = current_time(inode);
#endif
}

/* 6.3: vm_flags must not be written behind the VMA lock's back. */
static inline void ballast_vm_flags_set(struct vm_area_struct *vma,
					unsigned long flags)
{
#ifdef BALLAST_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

/* 6.4: a fault holds either mmap_lock or the VMA's lock. */
static inline void ballast_release_fault_lock(struct vm_fault *vmf)
{
#ifdef BALLAST_HAVE_RELEASE_FAULT_LOCK
	release_fault_lock(vmf);
#else
	mmap_read_unlock(vmf->vma->vm_mm);
#endif
}

/* 6.5: reading into a pipe by copy got its own function. */
#ifdef BALLAST_HAVE_COPY_SPLICE_READ
#define ballast_splice_read copy_splice_read
#else
#define ballast_splice_read generic_file_splice_read
#endif

/* 6.12: page_mapcount() went; 6.1 does not export what folio_mapcount() is. */
static inline int ballast_page_mapcount(struct page *page)
{
#ifdef BALLAST_HAVE_PAGE_MAPCOUNT
	return page_mapcount(page);
#else
	return folio_mapcount(page_folio(page));
#endif
}

/* 6.3: a range of invalidated addresses no longer names its VMA. */
static inline void ballast_range_init(struct mmu_notifier_range *range,
				      struct mm_struct *mm, unsigned long start,
				      unsigned long end)
{
#ifdef BALLAST_HAVE_RANGE_VMA
	mmu_notifier_range_init(range, MMU_NOTIFY_CLEAR, 0, NULL, mm, start, end);
#else
	mmu_notifier_range_init(range, MMU_NOTIFY_CLEAR, 0, mm, start, end);
#endif
	range->flags |= MMU_NOTIFIER_RANGE_BLOCKABLE;
}

/* 6.7: shrinkers are allocated by the kernel, and have room for a pointer of ours. */
struct ballast_shrinker {
#ifdef BALLAST_HAVE_SHRINKER_ALLOC
	struct shrinker *it;
#else
	struct shrinker it;
	void *data;
#endif
};

typedef unsigned long ballast_shrink_fn(struct shrinker *shrinker,
					struct shrink_control *sc);

static inline void *ballast_shrinker_data(struct shrinker *shrinker)
{
#ifdef BALLAST_HAVE_SHRINKER_ALLOC
	return shrinker->private_data;
#else
	return container_of(shrinker, struct ballast_shrinker, it)->data;
#endif
}

static inline int ballast_shrinker_add(struct ballast_shrinker *shrinker,
				       ballast_shrink_fn *count, ballast_shrink_fn *scan,
				       int seeks, void *data)
{
#ifdef BALLAST_HAVE_SHRINKER_ALLOC
	shrinker->it = shrinker_alloc(0, "ballast");
	if (!shrinker->it)
		return -ENOMEM;
	shrinker->it->count_objects = count;
	shrinker->it->scan_objects = scan;
	shrinker->it->seeks = seeks;
	shrinker->it->private_data = data;
	shrinker_register(shrinker->it);
	return 0;
#else
	shrinker->data = data;
	shrinker->it = (struct shrinker) {
		.count_objects = count,
		.scan_objects = scan,
		.seeks = seeks,
	};
	return register_shrinker(&shrinker->it, "ballast");
#endif
}

static inline void ballast_shrinker_remove(struct ballast_shrinker *shrinker)
{
#ifdef BALLAST_HAVE_SHRINKER_ALLOC
	shrinker_free(shrinker->it);
#else
	unregister_shrinker(&shrinker->it);
#endif
}

/* Whoever is in direct reclaim has got so many pages that were on no LRU list. */
static inline void ballast_account_reclaimed(unsigned long pages)
{
#ifdef BALLAST_HAVE_ACCOUNT_RECLAIMED
	mm_account_reclaimed_pages(pages);
#else
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += pages;
#endif
}

/* Flags of a memslot that is not memory in a VMM's address space. */
#ifdef BALLAST_HAVE_GUEST_MEMFD
#define BALLAST_SLOT_FLAGS_NO_MEMORY	(KVM_MEM_READONLY | KVM_MEM_GUEST_MEMFD)
#else
#define BALLAST_SLOT_FLAGS_NO_MEMORY	KVM_MEM_READONLY
#endif

#endif /* BALLAST_COMPAT_H */
