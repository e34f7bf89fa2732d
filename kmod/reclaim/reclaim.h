/* SPDX-License-Identifier: GPL-2.0 */
/* Taking memory from VMs: by sharing, compressing and swapping. */
#ifndef BALLAST_RECLAIM_RECLAIM_H
#define BALLAST_RECLAIM_RECLAIM_H

#include <linux/prandom.h>
#include <linux/wait.h>

#include "../memory/map.h"
#include "../memory/pool.h"

#define BALLAST_RECLAIM_FRUITLESS_MAX	64U	/* rounds in a row; then it is stuck */

/**
 * struct ballast_round - what the thread is at
 * @victims: slots of one block
 * @spared: pages that were passed over because they had just come
 */
struct ballast_round {
	DECLARE_BITMAP(victims, BALLAST_BLOCK_SLOTS);
	unsigned int spared;
};

/**
 * struct ballast_sweep - how far the thread has come with shared frames, see sweep.c
 * @file: id of the file that the walk is at; 0: it begins
 * @pgoff: where in it
 * @turn: which part of all hashes is taken
 * @walks: of the cycle of all parts, those that were needed before it among them
 * @zeal: enum zeal
 * @freed: the cycle has freed a frame
 * @begun: the others are of use
 * @met: slots met in the walk whose frames are for its zeal
 * @need: places that a part would take, by the last walk
 * @places: that there were when the walk began
 * @narrowed: how much of the part is taken, of 65536
 * @last: jiffies when it was last at work
 * @patient_until: jiffies until which it may go on with nothing taken
 * @vain: a cycle with all zeal has freed none, and none was since
 * @vain_until: jiffies until which that is believed
 */
struct ballast_sweep {
	unsigned long file;
	pgoff_t pgoff;
	unsigned int turn;
	unsigned int walks;
	unsigned int zeal;
	bool freed;
	bool begun;
	bool vain;
	u64 met;
	u64 need;
	u64 places;
	u32 narrowed;
	unsigned long last;
	unsigned long patient_until;
	unsigned long vain_until;
};

/**
 * struct ballast_reclaim - a pool's reclaim thread
 * @pool: whose
 * @task: the thread
 * @wait: where it sleeps
 * @progress: woken when it has done something, or could not
 * @kicked: there may be something to do
 * @asked_pages: to be taken from VMs above their target, whatever is free
 * @host_pages: to be taken because the host is short, from whomever
 * @taken_pages: taken in all
 * @low_pages: free pages below which VMs above their target are held back
 * @hard_pages: below which it sets to work
 * @soft_pages: at which it stops
 * @striving: it has set to work and has not stopped; the thread's
 * @late: it goes on, but nobody is to wait for it; the thread's
 * @fruitless: rounds in a row that took nothing; the thread's
 * @stuck: there was nothing to take, or not found for long, and that was said; the
 *	thread's
 * @stuck_at: jiffies, the last time
 * @stuck_times: how often that was so
 * @round: the thread's
 * @sweep: the thread's
 * @shrinker: by which the host asks
 * @random: to choose victims; the thread's
 *
 * The thresholds are single words, written by the engine.
 */
struct ballast_reclaim {
	struct ballast_pool *pool;
	struct task_struct *task;
	wait_queue_head_t wait;
	wait_queue_head_t progress;
	atomic_t kicked;
	atomic_long_t asked_pages;
	atomic_long_t host_pages;
	unsigned long taken_pages;
	unsigned long low_pages;
	unsigned long hard_pages;
	unsigned long soft_pages;
	bool striving;
	bool late;
	unsigned int fruitless;
	bool stuck;
	unsigned long stuck_at;
	unsigned int stuck_times;
	struct ballast_round round;
	struct ballast_sweep sweep;
	struct ballast_shrinker shrinker;
	struct rnd_state random;
};

int ballast_reclaim_add_pool(struct ballast_pool *pool);
void ballast_reclaim_remove_pool(struct ballast_pool *pool);
void ballast_reclaim_set_thresholds(struct ballast_pool *pool, u64 soft_pages,
				    u64 hard_pages, u64 low_pages);
void ballast_reclaim_forget_thresholds(struct ballast_pool *pool);
bool ballast_reclaim_can_swap(struct ballast_pool *pool);
void ballast_reclaim_ask(struct ballast_pool *pool, unsigned long pages);
void ballast_reclaim_ask_for_host(struct ballast_pool *pool, unsigned long pages);
bool ballast_reclaim_makes_room(struct ballast_pool *pool);
int ballast_reclaim_to_limit(struct ballast_pool *pool, unsigned long pages);

/* shrink.c */
bool ballast_reclaim_host_is_short(void);
int ballast_reclaim_add_shrinker(struct ballast_reclaim *reclaim);
void ballast_reclaim_remove_shrinker(struct ballast_reclaim *reclaim);

/* victim.c */
long ballast_reclaim_round(struct ballast_reclaim *reclaim, bool anybody);

/* sweep.c */
bool ballast_reclaim_may_sweep(struct ballast_reclaim *reclaim);
bool ballast_reclaim_is_mostly_shared(struct ballast_reclaim *reclaim);
long ballast_reclaim_sweep(struct ballast_reclaim *reclaim);
void ballast_reclaim_be_patient(struct ballast_reclaim *reclaim);
bool ballast_reclaim_is_late(struct ballast_reclaim *reclaim);
bool ballast_reclaim_swap_is_full(struct ballast_reclaim *reclaim);

#endif /* BALLAST_RECLAIM_RECLAIM_H */
