/* SPDX-License-Identifier: GPL-2.0 */
/* What a guest's statistics say about how much memory it must keep. */
#ifndef BALLASTD_PRESSURE_H
#define BALLASTD_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/guest_stats.h"

/**
 * struct pressure_rules - when a guest is short of memory, and what it gets then
 * @available_low_bp: available memory below this share of its memory
 * @swap_in_bytes_per_s: swapped in at least this fast
 * @major_faults_per_s: at least so many
 * @step_bp: the floor lies above what it has by this share of its size
 * @ceiling_bp: no floor above this share of its size
 * @hold_ms: how long the floor stays when pressure is gone
 * @decay_bp_per_min: how much of its size the floor then sinks a minute
 */
struct pressure_rules {
	uint32_t available_low_bp;
	uint64_t swap_in_bytes_per_s;
	uint64_t major_faults_per_s;
	uint32_t step_bp;
	uint32_t ceiling_bp;
	uint64_t hold_ms;
	uint32_t decay_bp_per_min;
};

#define PRESSURE_RULES_DEFAULT { \
	.available_low_bp = 500, .swap_in_bytes_per_s = 1 << 20, \
	.major_faults_per_s = 100, .step_bp = 1000, .ceiling_bp = 10000, \
	.hold_ms = 30000, .decay_bp_per_min = 1000 }

enum pressure_sign {
	PRESSURE_NO,
	PRESSURE_AVAILABLE,
	PRESSURE_SWAP_IN,
	PRESSURE_MAJOR_FAULTS,
	PRESSURE_OOM,
	PRESSURE_TOOK,
};

/**
 * struct pressure - one VM
 * @last: the report before
 * @last_ms: when it came; 0: none yet
 * @sunk_ms: until when the floor has sunk
 * @sign: what the last report showed
 * @floor_bytes: what the VM must keep; 0: nothing said
 */
struct pressure {
	struct ballast_guest_stats last;
	uint64_t last_ms;
	uint64_t sunk_ms;
	enum pressure_sign sign;
	uint64_t floor_bytes;
};

uint64_t pressure_report(struct pressure *pressure, const struct pressure_rules *rules,
			 const struct ballast_guest_stats *stats, uint64_t size_bytes,
			 uint64_t present_bytes, uint64_t now_ms);
uint64_t pressure_decay(struct pressure *pressure, const struct pressure_rules *rules,
			uint64_t size_bytes, uint64_t now_ms);
uint64_t pressure_took(struct pressure *pressure, const struct pressure_rules *rules,
		       uint64_t size_bytes, uint64_t present_bytes, uint64_t now_ms);
uint64_t pressure_adopt(struct pressure *pressure, const struct pressure_rules *rules,
			uint64_t size_bytes, uint64_t floor_bytes, uint64_t now_ms);
const char *pressure_sign_words(enum pressure_sign sign);

#endif /* BALLASTD_PRESSURE_H */
