#!/usr/bin/env bash
# Runs every fuzz target of the repository, two at a time (FUZZJOBS).
#
#   scripts/fuzz.sh              5 s each
#   FUZZTIME=10m scripts/fuzz.sh
#   scripts/fuzz.sh FuzzParse FuzzText    some targets
#   FUZZJOBS=4 scripts/fuzz.sh            four at a time
#
# A line per target: its package, executions, executions per second. A failure prints the input's file, which go test
# keeps in testdata/fuzz. Minimising each new input of the corpus is bounded to 10 executions: Go's default is up to 60 s
# each, in which a slow target executed 12 inputs a minute. New inputs stay in Go's build cache.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-5s}
jobs=${FUZZJOBS:-2}
go=${GO:-go}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# targets prints package and name of every target.
targets() {
	grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9]*\(f ' . --with-filename |
		sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9]*)\(f $|\1 \2|' | sort
}

# fuzz runs one target.
fuzz() {
	local package=$1 name=$2 log=$work/$2
	# At the end of the time a worker that is busy can be reported as "context deadline exceeded" (golang.org/issue/48591);
	# without a failing input that is no failure.
	if $go test "$package" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 10x -parallel 1 >"$log" 2>&1 ||
		{ grep -q '^ *context deadline exceeded$' "$log" && ! grep -qE 'Failing input|seed corpus|panic' "$log"; }; then
		# The last line with a count has all executions and the time. There is none if the known inputs took all of the time.
		sed -nE 's/^fuzz: elapsed: ([0-9a-z]+), execs: ([0-9]+) .*/\1 \2/p' "$log" | tail -n 1 |
			awk -v p="$package" -v n="$name" '{ t = $1; s = 0; if (match(t, /[0-9]+m/)) s += 60 * substr(t, RSTART, RLENGTH - 1); if (match(t, /[0-9]+s/)) s += substr(t, RSTART, RLENGTH - 1); count = $2 }
				END { if (NR) printf("ok    %-44s %-24s %9d executions, %7d per second\n", p, n, count, (s > 0) ? count / s : count); else printf("ok    %-44s %-24s only known inputs in %s\n", p, n, time) }' time="$time"
	else
		echo "FAIL  $package $name"
		sed 's/^/      /' "$log" | tail -n 20
		touch "$work/failed"
	fi
}

targets >"$work/list"
while read -r package name; do
	if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
	fuzz "$package" "$name" &
done <"$work/list"
wait
[ ! -e "$work/failed" ]
