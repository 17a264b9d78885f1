#!/bin/sh
# Checks that a change of the code leaves the results as they were: the weights of every built-in recipe after
# 20 steps must be bit-identical to the recorded ones, on each instruction set of this processor.
#
#   scripts/baseline.sh check    compare with scripts/baseline.txt; skips instruction sets that this processor lacks
#   scripts/baseline.sh record   write scripts/baseline.txt; the commit that changes it must give the reason
set -eu

cd "$(dirname "$0")/.."
record=scripts/baseline.txt
now=$(mktemp)
trap 'rm -f "$now"' EXIT

case "${1:-}" in
record)
	"${GO:-go}" run ./bench/baseline >"$now"
	cp "$now" "$record"
	;;
check)
	"${GO:-go}" run ./bench/baseline >"$now"
	[ -s "$now" ] || { echo 'baseline.sh: no hashes were made' >&2; exit 1; }
	changed=0
	while read -r recipe set hash; do
		want=$(awk -v r="$recipe" -v s="$set" '$1 == r && $2 == s { print $3 }' "$record")
		[ "$hash" = "$want" ] && continue
		echo "baseline.sh: $recipe on $set gives $hash, recorded is ${want:-nothing}" >&2
		changed=1
	done <"$now"
	[ $changed = 0 ] || exit 1
	echo "the weights of $(wc -l <"$now" | tr -d ' ') trainings are the recorded ones"
	;;
*)
	echo 'usage: scripts/baseline.sh check | record' >&2
	exit 2
	;;
esac
