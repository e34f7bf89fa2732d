/* SPDX-License-Identifier: GPL-2.0 */
/* What is asked of libvirt, whose answer may be long in coming. */
#ifndef BALLASTD_VIRT_ASK_H
#define BALLASTD_VIRT_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/virt.h"
#include "../lib/watch.h"

struct virt_asker;

enum {
	VIRT_ASK_LIST = 1,	/* which domains run?  Alone */
	VIRT_ASK_JOB = 2,	/* is a migration, a save or a dump under way? */
	VIRT_ASK_DEVICE = 4,	/* has it a balloon device? */
	VIRT_ASK_METADATA = 8,
	VIRT_ASK_PERIOD = 16,	/* have the guest send statistics */
	VIRT_ASK_RAM = 32,	/* leave the guest so much; not during a job */
	VIRT_ASK_BALLOON = 64,	/* what does it leave it? */
	VIRT_ASK_STATS = 128,	/* the same, and what the guest says */
	VIRT_ASK_END = 256,
};

/**
 * struct virt_question - one, about one domain, or which there are
 * @conn: for VIRT_ASK_LIST, a reference of its own; else NULL
 * @handle: of the domain, a reference of its own; NULL for VIRT_ASK_LIST
 * @about: the asker's; the event loop's alone
 * @what: VIRT_ASK_..., done in that order
 * @period_s: for VIRT_ASK_PERIOD
 * @ram_bytes: for VIRT_ASK_RAM
 * @answered: of @what, those that went well
 * @list: answer: @count domains
 * @count: in @list
 * @job: answer
 * @device: answer
 * @settings: answer to VIRT_ASK_METADATA; those that are readable
 * @settings_err: 0, or what ballast_virt_settings() found wrong
 * @settings_why: the same in words
 * @report: answer to VIRT_ASK_BALLOON and VIRT_ASK_STATS
 * @why: what libvirt said of the last that did not go well
 *
 * Whoever makes it owns it until virt_asker_ask(), and again in the answer's function.
 */
struct virt_question {
	/* private: */
	struct virt_question *next;
	bool dropped;
	/* public: */
	virConnectPtr conn;
	virDomainPtr handle;
	void *about;
	unsigned int what;
	unsigned int period_s;
	uint64_t ram_bytes;
	unsigned int answered;
	virDomainPtr *list;
	int count;
	bool job;
	bool device;
	struct ballast_settings settings;
	int settings_err;
	char settings_why[256];
	struct ballast_virt_report report;
	char why[200];
};

typedef void (*virt_answer_fn)(struct virt_question *question);

struct virt_asker *virt_asker_new(struct ballast_watcher *watcher, virt_answer_fn answer);
void virt_asker_ask(struct virt_asker *asker, struct virt_question *question);
void virt_asker_drop(struct virt_asker *asker, struct virt_question *question);
void virt_asker_tick(struct virt_asker *asker, uint64_t now_ms);
void virt_asker_free(struct virt_asker *asker);
void virt_question_free(struct virt_question *question);

#endif /* BALLASTD_VIRT_ASK_H */
