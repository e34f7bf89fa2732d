// SPDX-License-Identifier: GPL-2.0
/*
 * One tick: rows of a trace to claims, claims to targets, targets to balloons.
 *
 * DOC: A balloon that was recorded is taken as it was; one that was not is as
 * large as it was told to be in the tick before.  Free memory that was not
 * recorded is what the pool has beyond all that balloons leave to their VMs,
 * as if every guest used all it may.  What a balloon cannot take is held, as
 * the module's engine does it.
 */
#include <stdlib.h>

#include "host.h"

/**
 * struct balloon - what one VM's balloon is told
 * @vm: which
 * @tick: number of the last tick it was seen in, from 1; 0: an empty slot
 * @pages: the balloon then
 */
struct balloon {
	u64 vm;
	u64 tick;
	u64 pages;
};

static size_t first_slot(const struct host *h, u64 vm)
{
	return (vm * 0x9e3779b97f4a7c15ULL >> 32) & (h->balloon_slots - 1);
}

/* Its slot, or the empty one where it belongs. */
static struct balloon *find_balloon(const struct host *h, u64 vm)
{
	size_t i = first_slot(h, vm);

	while (h->balloons[i].tick && h->balloons[i].vm != vm)
		i = (i + 1) & (h->balloon_slots - 1);
	return &h->balloons[i];
}

/* Room for @more; VMs that are gone are forgotten. */
static void reserve_balloons(struct host *h, size_t more)
{
	struct balloon *old = h->balloons;
	size_t i, slots = h->balloon_slots;

	if (2 * (h->balloon_count + more) <= slots)
		return;
	h->balloon_count = 0;
	for (h->balloon_slots = 1024; h->balloon_slots < 8 * more; h->balloon_slots *= 2)
		;
	h->balloons = calloc(h->balloon_slots, sizeof(*h->balloons));
	if (!h->balloons)
		die(1, "out of memory");
	for (i = 0; i < slots; i++)
		if (old[i].tick && old[i].tick == h->ticks) {
			*find_balloon(h, old[i].vm) = old[i];
			h->balloon_count++;
		}
	free(old);
}

/* The balloon as it was left; dies if the VM was in this tick already. */
static u64 balloon_before(struct host *h, const struct row *row)
{
	u64 vm = row->value[TRACE_VM];
	struct balloon *b = find_balloon(h, vm);
	u64 pages = b->tick == h->ticks ? b->pages : 0;

	if (b->tick == h->ticks + 1)
		die(1, "tick %llu: VM %llu is there twice",
		    (unsigned long long)row->value[TRACE_TICK], (unsigned long long)vm);
	h->balloon_count += !b->tick;
	b->vm = vm;
	b->tick = h->ticks + 1;
	return pages;
}

static void reserve_vms(struct host *h, size_t count)
{
	if (count <= h->room)
		return;
	h->room = 2 * count;
	h->claims = realloc(h->claims, h->room * sizeof(*h->claims));
	h->moves = realloc(h->moves, h->room * sizeof(*h->moves));
	if (!h->claims || !h->moves)
		die(1, "out of memory");
}

static u64 pages_of(const struct row *row, enum column column)
{
	return row->value[column] / PAGE_BYTES;
}

/* What was recorded, else the usual. */
static u64 given(const struct row *row, enum column column, u64 usual)
{
	return row->value[column] == NOT_GIVEN ? usual : row->value[column];
}

static u64 size_of(const struct row *row)
{
	return pages_of(row, TRACE_SIZE);
}

static bool is_movable(const struct host *h, const struct row *row)
{
	u64 state = given(row, TRACE_BALLOON_STATE, BALLOON_UNKNOWN);

	return state == BALLOON_OK || (state == BALLOON_UNKNOWN && !h->settings.enforce);
}

static void set_move(struct host *h, struct ballast_move *move, const struct row *row)
{
	u64 balloon = balloon_before(h, row), size = size_of(row);
	u64 floor = pages_of(row, TRACE_FLOOR);

	if (!h->settings.own_balloons)
		balloon = given(row, TRACE_BALLOON, balloon * PAGE_BYTES) / PAGE_BYTES;
	if (balloon > size)
		balloon = size;
	*move = (struct ballast_move) {
		.id = row->value[TRACE_VM],
		.size_pages = size,
		.balloon_pages = balloon,
		.movable = is_movable(h, row),
		.pressed = floor && size - balloon <= floor,
	};
}

/* What cannot be taken from a VM, and why: its pins, or what its balloon leaves. */
static void hold(const struct host *h, struct ballast_claim *claim,
		 const struct ballast_move *move, const struct row *row)
{
	u64 pinned = pages_of(row, TRACE_HELD), size = claim->size_pages;
	u64 left = (size - move->balloon_pages) * PAGE_BYTES;

	if (move->movable) {
		claim->held_pages = size - ballast_balloon_max_pages(size,
						h->settings.pace.balloon_max_bp);
		claim->held_reason = BALLAST_REASON_BALLOON_LIMIT;
	} else {
		/* what is resident is the process's, its guest has no more than is left */
		claim->held_pages = given(row, TRACE_RESIDENT, left) / PAGE_BYTES;
		if (claim->held_pages > left / PAGE_BYTES)
			claim->held_pages = left / PAGE_BYTES;
		claim->held_reason = row->value[TRACE_BALLOON_STATE] == BALLOON_FROZEN ?
			BALLAST_REASON_FROZEN : BALLAST_REASON_NO_BALLOON;
	}
	if (pinned > claim->held_pages) {
		claim->held_pages = pinned;
		claim->held_reason = BALLAST_REASON_PINNED;
	}
}

static void set_claim(const struct host *h, struct ballast_claim *claim,
		      const struct ballast_move *move, const struct row *row)
{
	u64 size = size_of(row);

	*claim = (struct ballast_claim) {
		.id = row->value[TRACE_VM],
		.size_pages = size,
		.min_pages = pages_of(row, TRACE_MIN),
		.max_pages = pages_of(row, TRACE_MAX),
		.floor_pages = pages_of(row, TRACE_FLOOR),
		.active_pages = ballast_part_bp(size, (u32)row->value[TRACE_ACTIVE]),
		.shares = (u32)row->value[TRACE_SHARES],
		.tax_bp = (u32)(h->settings.tax_bp == NOT_GIVEN ?
				row->value[TRACE_TAX] : h->settings.tax_bp),
	};
	hold(h, claim, move, row);
}

/* Of the whole tick: the first row that says it. */
static u64 of_the_tick(const struct rows *rows, enum column column)
{
	size_t i;

	for (i = 0; i < rows->count; i++)
		if (rows->row[i].value[column] != NOT_GIVEN)
			return rows->row[i].value[column];
	return NOT_GIVEN;
}

static u64 pool_pages(const struct host *h, const struct rows *rows)
{
	u64 bytes = h->settings.pool_bytes;

	if (bytes == NOT_GIVEN)
		bytes = of_the_tick(rows, TRACE_POOL);
	if (bytes == NOT_GIVEN)
		die(1, "tick %llu: how large is the pool? There is no column pool_bytes; use --pool-bytes",
		    (unsigned long long)rows->row[0].value[TRACE_TICK]);
	return bytes / PAGE_BYTES;
}

/* What was recorded of a pool is not true of another one. */
static bool is_the_recorded_pool(const struct host *h)
{
	return h->settings.pool_bytes == NOT_GIVEN && !h->settings.own_balloons;
}

static u64 free_pages(const struct host *h, const struct rows *rows, u64 pool)
{
	u64 recorded = of_the_tick(rows, TRACE_FREE), used = 0;
	size_t i;

	if (is_the_recorded_pool(h) && recorded != NOT_GIVEN)
		return recorded / PAGE_BYTES;
	for (i = 0; i < rows->count; i++)
		used += h->moves[i].size_pages - h->moves[i].balloon_pages;
	return pool > used ? pool - used : 0;
}

/* All but what the state high takes. */
static u64 available_pages(const struct host *h, const struct rows *rows, u64 pool)
{
	u64 recorded = of_the_tick(rows, TRACE_AVAILABLE);
	u64 high = h->plan.thresholds.high_pages;

	if (is_the_recorded_pool(h) && recorded != NOT_GIVEN)
		return recorded / PAGE_BYTES;
	return pool > high ? pool - high : 0;
}

static void set_pool(struct host *h, const struct rows *rows, u64 pool)
{
	struct ballast_plan_pool *p = &h->plan;

	if (h->settings.sliding)
		ballast_thresholds_sliding(&p->thresholds, pool, PAGE_BYTES);
	else
		ballast_thresholds_set(&p->thresholds, pool, h->settings.threshold_bp);
	p->free_pages = free_pages(h, rows, pool);
	p->state = ballast_state_next(p->state, p->free_pages, &p->thresholds);
}

static void print_rho(u64 rho_micro)
{
	if (rho_micro == (u64)-1)
		fputs("inf", stdout);
	else
		printf("%llu.%06llu", (unsigned long long)(rho_micro / 1000000),
		       (unsigned long long)(rho_micro % 1000000));
}

static void print_tick(const struct host *h, const struct rows *rows)
{
	const char *state = ballast_state_token(h->plan.state);
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct ballast_claim *c = &h->claims[i];

		printf("%llu,%llu,%llu,", (unsigned long long)rows->row[i].value[TRACE_TICK],
		       (unsigned long long)c->id,
		       (unsigned long long)(c->target_pages * PAGE_BYTES));
		print_rho(c->rho_micro);
		printf(",%s,%llu,%s\n", ballast_reason_token(c->reason),
		       (unsigned long long)(h->moves[i].balloon_target_pages * PAGE_BYTES),
		       state);
	}
}

/**
 * host_tick() - simulate a tick and print what comes of it
 * @host: zeroed before the first, but for its settings
 * @rows: the VMs that are there; at least one
 */
void host_tick(struct host *host, const struct rows *rows)
{
	struct ballast_division division;
	u64 pool = pool_pages(host, rows);
	size_t i;

	reserve_vms(host, rows->count);
	reserve_balloons(host, rows->count);
	for (i = 0; i < rows->count; i++) {
		set_move(host, &host->moves[i], &rows->row[i]);
		set_claim(host, &host->claims[i], &host->moves[i], &rows->row[i]);
	}
	set_pool(host, rows, pool);
	ballast_divide(host->claims, rows->count, available_pages(host, rows, pool),
		       &division);
	for (i = 0; i < rows->count; i++)
		host->moves[i].target_pages = host->claims[i].target_pages;
	ballast_plan(host->moves, rows->count, &host->plan, &host->settings.pace);
	for (i = 0; i < rows->count; i++)
		find_balloon(host, host->moves[i].id)->pages =
			host->moves[i].balloon_target_pages;
	print_tick(host, rows);
	host->ticks++;
}

void host_free(struct host *host)
{
	free(host->claims);
	free(host->moves);
	free(host->balloons);
}
