# SPDX-License-Identifier: GPL-2.0
#
# Draws fig8.csv: gnuplot -e "csv='FILE'; svg='FILE'" fig8.gnuplot
set terminal svg size 900,900 background "white"
set output svg
set datafile separator ","
set multiplot layout 3,1
set key outside right
set xlabel "seconds after the first touch"
set ylabel "MiB"
set yrange [0:]
mib(x) = x / 1048576.0
of(vm, x) = strcol(3) eq vm ? mib(x) : NaN
total(c) = strcol(3) eq "pool" ? NaN : mib(column(c))

set title "five VMs that use 8 MiB each, in a pool of 32: the pool"
plot csv using ($1/1000.0):(of("pool", $5)) with lines lw 2 title "used", \
     csv using ($1/1000.0):(of("pool", $6)) with lines lw 2 title "saved by sharing", \
     csv using ($1/1000.0):(of("pool", $8)) with lines lw 2 title "compressed", \
     csv using ($1/1000.0):(of("pool", $9)) with lines lw 2 title "swapped"

set title "balloons"
plot for [vm in "a b c d e"] csv using ($1/1000.0):(of(vm, $7)) with lines lw 2 title vm

set title "resident; a goes on working, the others rest"
plot for [vm in "a b c d e"] csv using ($1/1000.0):(of(vm, $5)) with lines lw 2 title vm
unset multiplot
