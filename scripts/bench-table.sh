#!/bin/sh
# Reads the output of `go test -bench ./bench -count N` on standard input and writes Markdown
# tables, one per group, with the median, the minimum and the maximum of the runs.
set -eu

if [ $# -ne 0 ]; then
	echo "usage: go test -run '^\$' -bench ./bench -count 3 . | $0 > docs/results/bench-avx512.md" >&2
	exit 2
fi

awk '
function keep(name, unit, value) {
	if (!((name, unit) in count)) count[name, unit] = 0
	values[name, unit, ++count[name, unit]] = value
}
function sort(name, unit,   i, j, v) {
	for (i = 2; i <= count[name, unit]; i++) {
		v = values[name, unit, i]
		for (j = i - 1; j > 0 && values[name, unit, j] > v; j--) values[name, unit, j+1] = values[name, unit, j]
		values[name, unit, j+1] = v
	}
}
function digits(v) { return v >= 100 ? sprintf("%.0f", v) : v >= 10 ? sprintf("%.1f", v) : sprintf("%.2f", v) }
function cell(name, unit,   n, middle) {
	n = count[name, unit]
	if (!n) return "-"
	sort(name, unit)
	middle = values[name, unit, int((n + 1) / 2)]
	return digits(middle) " (" digits(values[name, unit, 1]) " to " digits(values[name, unit, n]) ")"
}
/^cpu:/ { sub(/^cpu: */, ""); print "Processor: " $0 "." }
/^Benchmark\/bench\// {
	name = $1
	sub(/^Benchmark\/bench\//, "", name)
	sub(/-[0-9]+$/, "", name)
	group = name
	sub(/\/.*/, "", group)
	if (!(name in seen)) {
		seen[name] = 1
		if (!(group in members)) order[++groups] = group
		list[group, ++members[group]] = name
	}
	for (i = 3; i < NF; i += 2) { keep(name, $(i+1), $i); units[group, $(i+1)] = 1 }
}
END {
	split("img/s GFLOP/s %peak GB/s %copy allocs/op", columns, " ")
	for (g = 1; g <= groups; g++) {
		group = order[g]
		head = "| " group " |"; rule = "| --- |"
		for (c = 1; c <= 6; c++) if ((group, columns[c]) in units) { head = head " " columns[c] " |"; rule = rule " ---: |" }
		print "\n" head "\n" rule
		for (m = 1; m <= members[group]; m++) {
			name = list[group, m]
			short = name
			sub(/^[^\/]*\//, "", short)
			row = "| `" short "` |"
			for (c = 1; c <= 6; c++) if ((group, columns[c]) in units) row = row " " cell(name, columns[c]) " |"
			print row
		}
	}
}'
