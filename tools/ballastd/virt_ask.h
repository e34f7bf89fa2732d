/* SPDX-License-Identifier: GPL-2.0 */
/* What is asked of libvirt that QEMU has to answer, and may not. */
#ifndef BALLASTD_VIRT_ASK_H
#define BALLASTD_VIRT_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/virt.h"
#include "../lib/watch.h"

struct virt_asker;

enum {
	VIRT_ASK_JOB = 1,	/* is a migration, a save or a dump under way? */
	VIRT_ASK_PERIOD = 2,	/* have the guest send statistics */
	VIRT_ASK_RAM = 4,	/* leave the guest so much; not during a job */
	VIRT_ASK_STATS = 8,
};

/**
 * struct virt_question - one, about one domain
 * @handle: of the domain, a reference of its own
 * @about: the asker's domain; NULL: nobody waits for the answer any more
 * @what: VIRT_ASK_..., done in that order
 * @period_s: for VIRT_ASK_PERIOD
 * @ram_bytes: for VIRT_ASK_RAM
 * @answered: of @what, those that went well
 * @job: answer
 * @report: answer to VIRT_ASK_STATS
 * @why: what libvirt said of the last that did not go well
 *
 * Whoever makes it owns it until virt_asker_ask(), and again in the answer's function.
 */
struct virt_question {
	/* private: */
	struct virt_question *next;
	/* public: */
	virDomainPtr handle;
	void *about;
	unsigned int what;
	unsigned int period_s;
	uint64_t ram_bytes;
	unsigned int answered;
	bool job;
	struct ballast_virt_report report;
	char why[200];
};

typedef void (*virt_answer_fn)(struct virt_question *question);

struct virt_asker *virt_asker_new(struct ballast_watcher *watcher, virt_answer_fn answer);
void virt_asker_ask(struct virt_asker *asker, struct virt_question *question);
void virt_asker_tick(struct virt_asker *asker, uint64_t now_ms);
void virt_asker_free(struct virt_asker *asker);
void virt_question_free(struct virt_question *question);

#endif /* BALLASTD_VIRT_ASK_H */
