# SPDX-License-Identifier: GPL-2.0
#
# Draws fig8.csv: gnuplot -e "csv='FILE'; svg='FILE'" fig8.gnuplot
# A scale for each quantity; dotted lines are where a phase ends.
set terminal svg size 1000,1050 background "white" font "sans,12"
set output svg
set datafile separator ","

# The rows of one VM, or of the pool.
of(vm) = "< awk -F, '$3 == \"".vm."\"' ".csv
ends(phase) = real(system("awk -F, '$2 == \"".phase."\" { t = $1 } END { print t / 1000 }' ".csv))
mib(x) = x / 1048576.0
boot_s = ends("boot")
rest_s = ends("rest")
look_s = ends("look")

set multiplot layout 3,2 title "five VMs of 24 MiB that use 20 at first, in a pool of 64 MiB"
set key top right horizontal samplen 1 width 1
set xlabel "seconds after the first touch"
set ylabel "MiB"
set xrange [0:look_s]
set yrange [0:*]
set offsets 0, 0, graph 0.15, 0
set grid ytics lc rgb "#dddddd"
set arrow 1 from boot_s, graph 0 to boot_s, graph 1 nohead dt 3
set arrow 2 from rest_s, graph 0 to rest_s, graph 1 nohead dt 3
set label 1 "boot" at boot_s / 2, graph 0.12 center
set label 2 "a, b work" at (boot_s + rest_s) / 2, graph 0.12 center
set label 3 "look" at (rest_s + look_s) / 2, graph 0.12 center

set title "the pool"
plot of("pool") using ($1 / 1000.0):(mib($5)) with lines lw 2 title "used", \
     of("pool") using ($1 / 1000.0):(mib($6)) with lines lw 2 title "saved by sharing"
unset label
do for [column in "5 6 7 8 9"] {
	set title word("- - - - resident shared balloon compressed swapped", int(column)).", each VM"
	plot for [vm in "a b c d e"] of(vm) using ($1 / 1000.0):(mib(column(int(column)))) \
		with lines lw 1.5 title vm
}
unset multiplot
