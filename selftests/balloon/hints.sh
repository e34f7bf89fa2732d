# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2154	# names are plain; the files share them
#
# Hints: what is free need not be migrated.  A migration is slow until the test has seen what
# the guest does; then it is cancelled, or let go.

# A block that is zeroed before it is offered (init_on_alloc) is in the dirty log, and sent, as
# zero pages: not in this guest.  While it takes hints QEMU's I/O thread asks the queue without a pause, on the lab's one CPU:
# the guest, which has to answer, goes first.
start_hinted()
{
	start hinted ,free-page-reporting=on,free-page-hint=on,iothread=io --module $module \
		--append "$low_floor $loud init_on_alloc=0" \
		--qemu-arg -object --qemu-arg iothread,id=io "$@"
	guests_wait_until 60 give_way
}

give_way()
{
	local thread
	thread=$(guest_qmp hinted '{"execute":"query-iothreads"}' 2>/dev/null |
		grep -o '"thread-id": [0-9]*' | grep -o '[0-9]*$') || return 1
	renice -n 19 -p "$thread" >/dev/null
}

test_hinting_guest_runs()
{
	start_hinted
	guest_wait_ready hinted 400
	[ "$(value hinted ranges_reported)" = 1 ]
	[ "$(value hinted hinted_total_bytes)" = 0 ]
}

qmp()
{
	guest_qmp hinted "$1" | tee $scratch/qmp.answer
	! grep '"error"' $scratch/qmp.answer || false
}

# migrate COMMAND: begin, at 64 KiB a second, and wait for hints
migrate()
{
	qmp '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":65536}}'
	qmp "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"exec:$1\"}}"
	guests_wait_until 120 has_hinted 16 || explain hinted
}

has_hinted()
{
	[ "$(value hinted hinted_bytes)" -ge $(($1 * mib)) ]
}

cancel()
{
	qmp '{"execute":"migrate_cancel"}'
	guests_wait_until 60 has_hinted_nothing || explain hinted
}

has_hinted_nothing()
{
	[ "$(value hinted hinted_bytes)" = 0 ]
}

# migration VALUE: a number of query-migrate's
migration()
{
	guest_qmp hinted '{"execute":"query-migrate"}' >$scratch/migration
	grep -o "\"$1\": [0-9]*" $scratch/migration | head -n 1 | grep -o '[0-9]*$'
}

has_migrated()
{
	guest_qmp hinted '{"execute":"query-migrate"}' >$scratch/migration
	! grep '"status": "failed"' $scratch/migration || return 2
	grep -q '"status": "completed"' $scratch/migration
}

# interrupts: of the balloon's line, so far
interrupts()
{
	local irq
	irq=$(guest_command hinted read /sys/bus/virtio/devices/virtio0/../irq) || return 1
	guest_command hinted read "/sys/kernel/irq/$irq/per_cpu_count"
}

# QEMU's I/O thread can leave the line up that it raises: some thousand interrupts a second
# then, for nothing.
test_hints_are_kept_until_the_end()
{
	local free before
	free=$(guest_mib hinted MemFree)
	migrate 'cat >/dev/null'
	echo "hinted: $(value hinted hinted_bytes) bytes of $free MiB that were free"
	[ "$(guest_mib hinted MemFree)" -le $((free - 14)) ]
	[ "$(actual hinted)" = $((memory * mib)) ]
	before=$(interrupts)
	guest_verify hinted
	echo "interrupts: $before, $(interrupts) later"
	[ "$(interrupts)" -le $((before + 100)) ]
	cancel
	# what is being reported as free is not free just then
	guests_wait_until 30 has_free $((free - 6))
	echo "free: $free MiB before, $(guest_mib hinted MemFree) MiB after"
}

has_free()
{
	[ "$(guest_mib hinted MemFree)" -ge "$1" ]
}

# What the host asks with may be read before it tells of it: one round in thirty then ended
# before it had begun.
test_every_migration_gets_hints()
{
	local i
	for i in {1..30}; do
		migrate 'cat >/dev/null' || { echo "migration $i"; return 1; }
		cancel
	done
	guest_verify hinted
}

# Both at once: the target changes in mid-migration.
test_balloon_moves_during_a_migration()
{
	migrate 'cat >/dev/null'
	move hinted 200
	[ "$(value hinted actual_bytes)" = $(((memory - 200) * mib)) ]
	move hinted $memory
	cancel
	guest_verify hinted
}

test_hints_go_to_who_wants_memory()
{
	local shrunk
	shrunk=$(value hinted hints_shrunk_bytes)
	migrate 'cat >/dev/null'
	guest_command hinted hog 140
	echo "hinted: $(value hinted hinted_bytes), shrunk $(value hinted hints_shrunk_bytes)"
	[ "$(value hinted hints_shrunk_bytes)" -gt "$shrunk" ]
	guest_command hinted drop
	cancel
	! grep -a 'Out of memory' "$(guest_log hinted)" || false
	guest_verify hinted
}

test_unload_during_a_migration()
{
	migrate 'cat >/dev/null'
	guest_command hinted unload ballast_balloon
	qmp '{"execute":"migrate_cancel"}'
	guest_command hinted load ballast_balloon.ko floor_mib=24
	[ "$(value hinted hinted_total_bytes)" = 0 ]
	guest_verify hinted
}

has_free_for_seconds()
{
	local i
	for i in {1..5}; do
		has_free "$1" || return 1
		sleep 1
	done
}

# the same at two looks, a second apart
hints_no_more()
{
	local before now
	sleep 1
	before=$(cat $scratch/hinted_before 2>/dev/null || :)
	now=$(value hinted hinted_bytes) || return 2
	echo "$now" >$scratch/hinted_before
	[ "$now" = "$before" ]
}

# The whole way: what was hinted is not sent, and the guest that arrives has all it had.
test_migration()
{
	local hinted sent
	# The module, loaded anew, reports all that is free once more, up to 128 MiB at a time,
	# which is not free just then.
	guests_wait_until 60 has_free_for_seconds 140
	# After all that what is free is in small pieces: 2 MiB and more are in the last two columns.
	guest_command hinted read /proc/buddyinfo
	guest_command hinted write /proc/sys/vm/compact_memory 1
	guest_command hinted read /proc/buddyinfo
	migrate "cat >$scratch/migrated"
	# the whole round: what the guest dirties meanwhile is sent twice, and is less
	rm -f $scratch/hinted_before
	guests_wait_until 60 hints_no_more
	hinted=$(value hinted hinted_bytes)
	qmp '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":1073741824}}'
	guests_wait_until 300 has_migrated
	sent=$((($(migration normal) + $(migration duplicate)) * 4096))
	echo "sent: $((sent / mib)) MiB of $memory, $((hinted / mib)) MiB were hinted," \
		"$(($(stat -c %s $scratch/migrated) / mib)) MiB written"
	[ $hinted -ge $((80 * mib)) ]
	[ $sent -le $(((memory + beside) * mib - hinted / 2)) ]
	guest_stop hinted
	start_hinted --qemu-arg -incoming --qemu-arg "exec:cat $scratch/migrated"
	guests_wait_until 120 has_arrived
	# there the migration is over, and the balloon goes on
	guests_wait_until 60 has_hinted_nothing || explain hinted
	move hinted 200
	[ "$(value hinted actual_bytes)" = $(((memory - 200) * mib)) ]
	move hinted $memory
	passes=$(guest_counter hinted pass)
	guests_wait_until 120 guest_has_passed_since $((passes + 3))
	rm $scratch/migrated
}

has_arrived()
{
	guest_counter hinted pass >/dev/null 2>&1 && return 0
	guest_trouble hinted || return 2
	return 1
}

# guest_check wants to see that a guest became ready, which this one did elsewhere
guest_has_passed_since()
{
	guest_trouble hinted || return 2
	[ "$(guest_counter hinted pass)" -ge "$1" ]
}

part_hints()
{
	ktap_run "a hinting guest runs" test_hinting_guest_runs
	ktap_run "hints are kept until the end" test_hints_are_kept_until_the_end
	ktap_run "every migration gets hints" test_every_migration_gets_hints
	ktap_run "the balloon moves during a migration" test_balloon_moves_during_a_migration
	ktap_run "hints go to who wants memory" test_hints_go_to_who_wants_memory
	ktap_run "unload during a migration" test_unload_during_a_migration
	ktap_run "migration" test_migration
	guest_stop hinted
}
