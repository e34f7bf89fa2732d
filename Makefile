# SPDX-License-Identifier: GPL-2.0
#
# What a person types.  How the module is put together is in Kbuild.
#
#   make                 the module, for KVER= (default: the running kernel if
#                        its headers are here, else the newest installed)
#   make modules KVER=…  the same, for one kernel; KVER=debug is the debug kernel
#   make balloon         the guest's balloon driver, for KVER=
#   make tools           the programs beside it, to .build/tools
#   make demo            guests under a lab host, sharing memory, in a table
#   make check           lint, unit and tool tests, lab tests on both Debian kernels; tests of lab and guests
#   make check-all       the same, with what does not depend on the kernel on both, too
#   make check-tools     the tests of tools/
#   make check-debug     the lab tests on a kernel with KASAN, lockdep, kmemleak
#   make bench           the numbers, against KSM and tmpfs, as table and CSV
#   make bench-sampling  what idle sampling costs, and how well it estimates
#   make check-balloon   the guest's balloon driver, in guests of kernel KVER= (6.12), or debug
#   make check-dkms      its DKMS packaging, on both Debian kernels
#   make fig2            dbench, ballooned and configured small, as the paper shows it
#   make bench-balloon   the guest's balloon driver against the kernel's
#   make check-pressure  VMs with more memory than their pool, all of these tests; KVER= (6.12)
#   make bench-store     overcommitted VMs, on ballastfs and on the host's swap
#   make fig7            the idle memory tax with two guests, as the paper shows it
#   make fig8            five VMs after their boot, as the paper shows it, with a picture
#   make install         module, mount helper and man pages of the running kernel

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

KERNEL_HELPER := selftests/vm/kernel
KVER ?= $(shell $(KERNEL_HELPER) --default)
W ?= 1

# Objects of two kernels never meet: each is built from its own tree of links.
BUILD = $(CURDIR)/.build/$(KVER)
SOURCES := Kbuild kmod include
# the lab host loads what is in BUILD; this is for its guests
BALLOON_BUILD = $(CURDIR)/.build/balloon-$(KVER)
TEST_BUILD = $(CURDIR)/.build/tests-$(KVER)

.PHONY: all modules balloon test-modules tools clean install demo check check-all check-debug check-tools bench bench-sampling bench-balloon bench-store check-balloon check-dkms check-pressure fig2 fig7 fig8 lint unit packages build-packages
all: modules balloon

# $(call kbuild,TREE OF LINKS,SOURCES,WHERE ITS KBUILD IS)
define kbuild
@selftests/vm/link-tree "$(1)" $(2)
@kdir=$$($(KERNEL_HELPER) --build-dir "$(KVER)") || exit; \
$(MAKE) -C "$$kdir" M="$(3)" W=$(W) $(if $(C),C=$(C) CF="-D__CHECK_ENDIAN__") modules \
	| sed -u -e '/Entering directory\|Leaving directory/d'; exit $${PIPESTATUS[0]}
endef

# before KVER's default is looked for: on a new machine there is none
build-packages:
	@selftests/packages build

modules: build-packages
	$(call kbuild,$(BUILD),$(SOURCES),$(BUILD))

balloon: build-packages
	$(call kbuild,$(BALLOON_BUILD),virtio-balloon-guest,$(BALLOON_BUILD)/virtio-balloon-guest)

# what tests in the lab load beside it
test-modules: build-packages
	$(call kbuild,$(TEST_BUILD),selftests/modules,$(TEST_BUILD)/selftests/modules)

tools:
	@selftests/packages tools
	@$(MAKE) -C tools

clean:
	rm -rf .build

install: modules
	@kdir=$$($(KERNEL_HELPER) --build-dir "$(KVER)") || exit; \
	$(MAKE) -C "$$kdir" M="$(BUILD)" modules_install
	depmod "$$($(KERNEL_HELPER) --release "$(KVER)")"
	@selftests/packages tools
	@$(MAKE) -C tools install

packages:
	@selftests/packages build lint unit tools lab

lint: packages
	@selftests/lint/run
unit:
	@selftests/unit/run
check-tools:
	@selftests/tools/run
demo: packages
	@selftests/demo/run
check: packages
	@selftests/run --short lint unit guests tools runner lab:6.1 lab:6.12
check-all: packages
	@selftests/run lint unit guests tools runner lab:6.1 lab:6.12
check-debug: packages
	@selftests/vm/debug-kernel >/dev/null
	@selftests/run leaks lab:debug:fs,guests,kvm lab:debug:-fs,guests,kvm
bench: packages
	@selftests/packages bench
	@selftests/bench/run
bench-sampling: packages
	@selftests/kvm/accuracy-run
check-balloon: packages
	@selftests/balloon/run
check-dkms:
	@selftests/balloon/dkms
fig2: packages
	@selftests/balloon/fig2
bench-balloon: packages
	@selftests/balloon/bench
fig7: packages
	@selftests/tools/fig7-run
check-pressure: packages
	@BALLAST_PRESSURE=all selftests/run lab:$${KVER:-6.12} -- store/lab_store store/lab_pressure
bench-store: packages
	@selftests/store/compare-run
fig8: packages
	@selftests/packages bench
	@selftests/tools/fig8-run
