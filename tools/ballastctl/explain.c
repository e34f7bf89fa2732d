// SPDX-License-Identifier: GPL-2.0
/*
 * ballastctl explain: why a VM's target is what it is, in words.
 *
 * DOC: The tokens of the file "reason" are documented in the ABI; each has its
 * sentence here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static const struct {
	const char *token;
	const char *sentence;
} reasons[] = {
	{ "at-max", "It has all that it may have: there is room for everybody, or its max "
		    "holds it there." },
	{ "at-min", "By its shares it would get less; its min holds it there." },
	{ "shares", "All VMs of the pool pay the same price for a page, and its shares buy "
		    "this much.  No idle memory of it is taxed." },
	{ "tax", "All VMs of the pool pay the same price for a page; an idle page costs it "
		 "more, by the idle memory tax, and its shares buy this much." },
	{ "pressure", "Its guest says that it is short of memory, and gets what it needs "
		      "before others get what they paid for." },
	{ "balloon-limit", "By its shares it would get less, but no balloon may grow larger." },
	{ "no-balloon", "Nothing can be taken from it: its balloon does not work.  See "
			"balloon_state, and ballastctl doctor." },
	{ "pinned", "Its memory is locked, in huge pages or pinned by a device, and cannot "
		    "be taken." },
	{ "frozen", "It migrates or stands still: it is left alone until that is over." },
	{ "observe", "The target says what it would get.  The mode is observe: nothing "
		     "moves (ballastctl mode enforce)." },
};

static const char *sentence_of(const char *token)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (!strcmp(token, reasons[i].token))
			return reasons[i].sentence;
	return "This version of ballastctl does not know the reason.";
}

static void explain_balloon(const struct vm_view *vm)
{
	if (vm->balloon_target_bytes == vm->balloon_bytes)
		printf("Its balloon holds %s and stays there.\n", size_text(vm->balloon_bytes));
	else
		printf("Its balloon holds %s and is on its way to %s.\n",
		       size_text(vm->balloon_bytes), size_text(vm->balloon_target_bytes));
	if (!strcmp(vm->balloon_state, "stuck") || !strcmp(vm->balloon_state, "uncooperative"))
		printf("But it does not move (%s): the driver in the guest hangs, or has "
		       "nothing left to give.\n", vm->balloon_state);
	else if (!strcmp(vm->balloon_state, "none"))
		puts("It has no balloon that works: no device, or no driver in the guest.");
	else if (!strcmp(vm->balloon_state, "unknown"))
		puts("Nobody has said whether its balloon works: is ballastd running?");
}

static void explain(const struct vm_view *vm)
{
	printf("%s (process %d), in pool %s, has %s of memory, %s of it in use on the host.\n",
	       vm->name, (int)vm->pid, vm->pool, size_text(vm->size_bytes),
	       size_text(vm->resident_bytes));
	if (vm->compressed_bytes || vm->swapped_bytes)
		printf("Of the rest %s is compressed and %s in the swap file: to touch it takes "
		       "longer.\n", size_text(vm->compressed_bytes),
		       size_text(vm->swapped_bytes));
	printf("Its target is %s: %s.\n", size_text(vm->target_bytes), vm->reason);
	puts(sentence_of(vm->reason));
	printf("Of its memory %.1f %% is active, give or take %.1f; its idle memory is taxed at "
	       "%.2f %%.\n", vm->active_bp / 100.0, vm->active_error_bp / 100.0,
	       vm->tax_bp / 100.0);
	printf("It has %" PRIu64 " shares, which is %s shares a page at the price of its target; "
	       "min %s, max %s.\n", vm->shares, *vm->rho ? vm->rho : "?",
	       size_text(vm->min_bytes), size_text(vm->max_bytes));
	if (vm->floor_bytes)
		printf("Its guest has been short of memory: it keeps at least %s.\n",
		       size_text(vm->floor_bytes));
	if (vm->unreclaimable_bytes)
		printf("%s of it cannot be taken.\n", size_text(vm->unreclaimable_bytes));
	explain_balloon(vm);
}

/** ctl_explain() - ballastctl explain VM */
int ctl_explain(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *object;
	struct vm_view vm;

	if (argc != 1)
		return CTL_USAGE;
	if (no_module(ctl) || view_find(ctl, argv[0], &vm))
		return CTL_FAILED;
	if (!ctl->json) {
		explain(&vm);
		return CTL_OK;
	}
	object = view_vm_json(&vm);
	json_object_object_add(object, "explanation",
			       json_object_new_string(sentence_of(vm.reason)));
	return print_json(object);
}
