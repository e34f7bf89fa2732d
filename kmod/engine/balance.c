// SPDX-License-Identifier: GPL-2.0
/*
 * Targets: what each pool has, who gets it, which balloon moves.
 *
 * DOC: The memory that a pool's VMs divide is what they have now and what is
 * free, less what state high wants free (ESX paper, section 6).  A pool that
 * shares has more of it: what VMs have is counted as the guests see it.
 *
 * Everything here runs in the engine's tick, under ballast_vms_lock; pools are
 * walked under ballast_pools_lock.
 */
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../policy/plan.h"
#include "../reclaim/reclaim.h"
#include "engine.h"

/**
 * struct view - one pool, as the policy sees it
 * @pool: NULL: "host"
 * @size_pages: its size
 * @used_pages: of the host's memory, by its VMs
 * @granted_pages: what its VMs have, as their guests see it
 * @free_pages: free now
 * @excess_pages: what its VMs have above its size; 0 where @free_pages is not
 * @thresholds: of its states
 * @count: VMs in it
 */
struct view {
	struct ballast_pool *pool;
	u64 size_pages;
	u64 used_pages;
	u64 granted_pages;
	u64 free_pages;
	u64 excess_pages;
	struct ballast_thresholds thresholds;
	size_t count;
};

struct ballast_host ballast_host;

/* Scratch, as long as the list of VMs. */
static struct ballast_claim *claims;
static struct ballast_move *moves;
static struct ballast_vm **vm_at;
static size_t room;

void ballast_balance_exit(void)
{
	kvfree(claims);
	kvfree(moves);
	kvfree(vm_at);
	claims = NULL;
	moves = NULL;
	vm_at = NULL;
	room = 0;
}

/**
 * ballast_balance_reserve() - room for so many VMs
 * @vms: how many; above BALLAST_VMS_MAX the targets stay as they are
 *
 * Return: 0, -E2BIG or -ENOMEM: no balancing now, later perhaps.
 */
int ballast_balance_reserve(size_t vms)
{
	size_t want = roundup_pow_of_two(max_t(size_t, vms, 16));

	if (vms > BALLAST_VMS_MAX)
		return -E2BIG;
	if (vms <= room)
		return 0;
	ballast_balance_exit();
	claims = kvcalloc(want, sizeof(*claims), GFP_KERNEL);
	moves = kvcalloc(want, sizeof(*moves), GFP_KERNEL);
	vm_at = kvcalloc(want, sizeof(*vm_at), GFP_KERNEL);
	if (!claims || !moves || !vm_at) {
		ballast_balance_exit();
		return -ENOMEM;
	}
	room = want;
	return 0;
}

/*
 * A process has memory of its own beside its guest's: where all of it is counted, a
 * guest is not taken to have what its balloon holds, or what a balloon gives back
 * would be counted twice, as free and as still the guest's.
 */
static u64 granted_pages(const struct ballast_vm *vm)
{
	u64 size = vm->usage.size_pages;
	u64 balloon = min(READ_ONCE(vm->settings.balloon_pages), size);

	return min(vm->usage.resident_pages + vm->usage.zero_pages, size - balloon);
}

static void set_thresholds(struct view *view)
{
	if (READ_ONCE(ballast_policy_tunables.sliding))
		ballast_thresholds_sliding(&view->thresholds, view->size_pages, PAGE_SIZE);
	else
		ballast_thresholds_set(&view->thresholds, view->size_pages,
				       ballast_policy_tunables.state_bp);
}

static void look_at_host(struct view *view)
{
	u64 limit = READ_ONCE(ballast_policy_tunables.host_limit_pages);
	u64 total = totalram_pages();

	view->size_pages = limit ? min(limit, total) : total;
	view->free_pages = max(si_mem_available(), 0L);
	if (limit > view->used_pages)
		view->free_pages = min(view->free_pages, limit - view->used_pages);
	else if (limit)
		view->free_pages = 0;
	if (limit && limit < view->used_pages)
		view->excess_pages = view->used_pages - limit;
	WRITE_ONCE(ballast_host.size_pages, view->size_pages);
	WRITE_ONCE(ballast_host.used_pages, view->used_pages);
	WRITE_ONCE(ballast_host.free_pages, view->free_pages);
}

static void look_at_pool(struct view *view)
{
	unsigned long used = ballast_pool_used_pages(view->pool);

	view->size_pages = READ_ONCE(view->pool->limit_pages);
	view->free_pages = view->size_pages > used ? view->size_pages - used : 0;
}

/* The VMs of @pool, and what they have in all. */
static void look(struct view *view, struct ballast_pool *pool)
{
	struct ballast_vm *vm;

	memset(view, 0, sizeof(*view));
	view->pool = pool;
	list_for_each_entry(vm, &ballast_vms, node) {
		if (vm->pool != pool)
			continue;
		vm_at[view->count++] = vm;
		view->used_pages += vm->usage.resident_pages;
		view->granted_pages += granted_pages(vm);
	}
	if (pool)
		look_at_pool(view);
	else
		look_at_host(view);
	set_thresholds(view);
}

static u32 *state_of(struct ballast_pool *pool)
{
	return pool ? &pool->state : &ballast_host.state;
}

static bool is_enforced(void)
{
	return READ_ONCE(ballast_policy_tunables.mode) == BALLAST_MODE_ENFORCE;
}

/* While nothing is enforced, a balloon that nobody speaks for is assumed to work. */
static bool is_movable(u32 balloon_state)
{
	return balloon_state == BALLAST_BALLOON_OK ||
	       (balloon_state == BALLAST_BALLOON_UNKNOWN && !is_enforced());
}

/* What cannot be taken from a VM, and why. */
static void hold(struct ballast_claim *claim, const struct ballast_vm *vm, u32 balloon_state)
{
	u64 ceiling = ballast_balloon_max_pages(claim->size_pages,
			READ_ONCE(ballast_policy_tunables.balloon_max_bp));

	/* what no balloon gives is swapped */
	if (vm->pool && ballast_reclaim_can_swap(vm->pool)) {
		claim->held_pages = 0;
		claim->held_reason = BALLAST_REASON_PINNED;
	} else if (is_movable(balloon_state)) {
		claim->held_pages = claim->size_pages - ceiling;
		claim->held_reason = BALLAST_REASON_BALLOON_LIMIT;
	} else {
		claim->held_pages = granted_pages(vm);
		claim->held_reason = balloon_state == BALLAST_BALLOON_FROZEN ?
				     BALLAST_REASON_FROZEN : BALLAST_REASON_NO_BALLOON;
	}
	if (vm->usage.held_pages > claim->held_pages) {
		claim->held_pages = vm->usage.held_pages;
		claim->held_reason = BALLAST_REASON_PINNED;
	}
}

static u32 tax_of(const struct ballast_vm *vm)
{
	u32 tax_bp = READ_ONCE(vm->settings.tax_bp);

	return tax_bp == BALLAST_DEFAULT_U32 ? READ_ONCE(ballast_policy_tunables.tax_bp) : tax_bp;
}

static void fill_claim(struct ballast_claim *claim, const struct ballast_vm *vm)
{
	u32 active_bp = ballast_estimate_active_bp(&vm->estimate);

	*claim = (struct ballast_claim) {
		.id = vm->pid,
		.size_pages = vm->usage.size_pages,
		.min_pages = READ_ONCE(vm->settings.min_pages),
		.max_pages = ballast_vm_max_pages(vm),
		.floor_pages = READ_ONCE(vm->settings.floor_pages),
		.active_pages = mul_u64_u32_div(vm->usage.size_pages, active_bp, BALLAST_BP),
		.shares = ballast_vm_shares(vm),
		.tax_bp = tax_of(vm),
	};
	hold(claim, vm, READ_ONCE(vm->settings.balloon_state));
}

static u64 available_pages(const struct view *view)
{
	u64 have = view->granted_pages + view->free_pages;
	u64 not_for_them = view->thresholds.high_pages + view->excess_pages;

	return have > not_for_them ? have - not_for_them : 0;
}

static void divide(const struct view *view)
{
	u64 available = available_pages(view);
	struct ballast_division division;
	struct ballast_vm *vm;
	size_t i;

	for (i = 0; i < view->count; i++)
		fill_claim(&claims[i], vm_at[i]);
	ballast_divide(claims, view->count, available, &division);
	for (i = 0; i < view->count; i++) {
		vm = vm_at[i];
		WRITE_ONCE(vm->result.rho_micro, claims[i].rho_micro);
		WRITE_ONCE(vm->result.target_pages, claims[i].target_pages);
		vm->division_reason = claims[i].reason;
		if (is_enforced())
			WRITE_ONCE(vm->result.reason, claims[i].reason);
		vm->divided = view->pool;
		vm->has_target = true;
	}
	if (view->pool) {
		WRITE_ONCE(view->pool->vms_available_pages, available);
		WRITE_ONCE(view->pool->vms_target_pages, division.granted_pages);
	} else {
		WRITE_ONCE(ballast_host.vms_available_pages, available);
		WRITE_ONCE(ballast_host.vms_target_pages, division.granted_pages);
	}
}

static void fill_move(struct ballast_move *move, const struct ballast_vm *vm)
{
	u64 floor = READ_ONCE(vm->settings.floor_pages);

	*move = (struct ballast_move) {
		.id = vm->pid,
		.size_pages = vm->usage.size_pages,
		.target_pages = vm->result.target_pages,
		.balloon_pages = min(READ_ONCE(vm->settings.balloon_pages),
				     vm->usage.size_pages),
		.movable = is_movable(READ_ONCE(vm->settings.balloon_state)) &&
			   vm->has_target && vm->divided == vm->pool,
	};
	move->pressed = floor && move->size_pages - move->balloon_pages <= floor;
}

static void publish(struct ballast_vm *vm, const struct ballast_move *move,
		    const struct ballast_engine_watcher *watcher)
{
	u64 target = is_enforced() ? move->balloon_target_pages : move->balloon_pages;
	u32 reason = vm->division_reason;

	if (target != move->balloon_target_pages)
		reason = BALLAST_REASON_OBSERVE;
	WRITE_ONCE(vm->result.reason, reason);
	if (target == vm->result.balloon_target_pages)
		return;
	WRITE_ONCE(vm->result.balloon_target_pages, target);
	watcher->balloon_moved(vm);
}

static void forget_excess(struct ballast_vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->maps_nr; i++)
		atomic_long_set(&vm->maps[i]->excess_pages, 0);
}

/*
 * What a VM has above its target is reclaim's, each file's part by what it has.  Only
 * where targets are enforced: in mode observe nobody is held to his.
 */
static u64 add_excess(struct ballast_vm *vm)
{
	u64 have = granted_pages(vm), excess = 0, all = 0, sum = 0, part;
	struct ballast_map_counts counts[BALLAST_VM_MAPS_MAX];
	unsigned int i;

	if (is_enforced() && vm->has_target && vm->divided == vm->pool &&
	    have > vm->result.target_pages)
		excess = have - vm->result.target_pages;
	for (i = 0; i < vm->maps_nr; i++) {
		ballast_map_sum(vm->maps[i], &counts[i]);
		all += counts[i].private_slots;
	}
	excess = min(excess, all);	/* what is shared is not its alone to give */
	for (i = 0; i < vm->maps_nr; i++) {
		part = all ? mul_u64_u64_div_u64(excess, counts[i].private_slots, all) : 0;
		atomic_long_add(part, &vm->maps[i]->excess_pages);
		sum += part;
	}
	return sum;
}

static bool has_waited(const struct ballast_pool *pool)
{
	return time_after(jiffies, pool->high_until +
			  msecs_to_jiffies(READ_ONCE(ballast_policy_tunables.soft_wait_ms)));
}

/*
 * Whose pages are reclaim's, and whether it is time: in state soft balloons have
 * soft_wait_ms to bring the pool to high.  The graver states reclaim sees by itself.
 */
static void drive_reclaim(const struct view *view)
{
	struct ballast_pool *pool = view->pool;
	u64 excess = 0, wanted = 0, mine;
	bool balloons = false;
	size_t i;

	if (!pool || !pool->reclaim)
		return;
	for (i = 0; i < view->count; i++)
		forget_excess(vm_at[i]);
	for (i = 0; i < view->count; i++) {
		mine = add_excess(vm_at[i]);
		excess += mine;
		balloons |= mine && is_movable(READ_ONCE(vm_at[i]->settings.balloon_state));
	}
	if (pool->state != BALLAST_STATE_HIGH && (!balloons || has_waited(pool)))
		wanted = min(excess, view->thresholds.high_pages -
				     min(view->thresholds.high_pages, view->free_pages));
	ballast_reclaim_ask(pool, wanted);
}

static void plan(const struct view *view, const struct ballast_engine_watcher *watcher)
{
	struct ballast_pace pace = {
		.step_bp = READ_ONCE(ballast_policy_tunables.step_bp),
		.dead_band_bp = READ_ONCE(ballast_policy_tunables.dead_band_bp),
		.balloon_max_bp = READ_ONCE(ballast_policy_tunables.balloon_max_bp),
	};
	struct ballast_plan_pool pool = {
		.free_pages = view->free_pages,
		.thresholds = view->thresholds,
		.state = *state_of(view->pool),
	};
	size_t i;

	for (i = 0; i < view->count; i++)
		fill_move(&moves[i], vm_at[i]);
	ballast_plan(moves, view->count, &pool, &pace);
	for (i = 0; i < view->count; i++)
		publish(vm_at[i], &moves[i], watcher);
}

static bool state_changed(struct ballast_pool *pool,
			  const struct ballast_engine_watcher *watcher)
{
	struct view view;
	u32 state;

	look(&view, pool);
	if (pool)
		ballast_reclaim_set_thresholds(pool, view.thresholds.soft_pages,
					       view.thresholds.hard_pages,
					       view.thresholds.low_pages);
	state = ballast_state_next(*state_of(pool), view.free_pages, &view.thresholds);
	if (state == *state_of(pool))
		return false;
	if (pool && pool->state == BALLAST_STATE_HIGH)
		pool->high_until = jiffies;
	WRITE_ONCE(*state_of(pool), state);
	watcher->state_changed(pool);
	return true;
}

/**
 * ballast_balance_states() - find the state of each pool
 * @watcher: whom to tell
 *
 * Return: true if one has changed.
 */
bool ballast_balance_states(const struct ballast_engine_watcher *watcher)
{
	struct ballast_pool *pool;
	bool changed;

	changed = state_changed(NULL, watcher);
	mutex_lock(&ballast_pools_lock);
	list_for_each_entry(pool, &ballast_pools, node)
		changed |= state_changed(pool, watcher);
	mutex_unlock(&ballast_pools_lock);
	return changed;
}

static void balance_pool(struct ballast_pool *pool, bool do_divide, bool do_plan,
			 const struct ballast_engine_watcher *watcher)
{
	struct view view;

	look(&view, pool);
	if (do_divide)
		divide(&view);
	if (do_plan) {
		drive_reclaim(&view);
		plan(&view, watcher);
	}
}

/**
 * ballast_balance() - new targets, or the balloons' next step to them
 * @do_divide: new targets
 * @do_plan: a step
 * @watcher: whom to tell
 *
 * Context: after ballast_balance_reserve() and ballast_balance_states().
 */
void ballast_balance(bool do_divide, bool do_plan,
		     const struct ballast_engine_watcher *watcher)
{
	struct ballast_pool *pool;

	if (!do_divide && !do_plan)
		return;
	balance_pool(NULL, do_divide, do_plan, watcher);
	mutex_lock(&ballast_pools_lock);
	list_for_each_entry(pool, &ballast_pools, node)
		balance_pool(pool, do_divide, do_plan, watcher);
	mutex_unlock(&ballast_pools_lock);
}
