#!/usr/bin/env bash
# Compares the benchmarks of two commits: see the text below. It makes worktrees in a
# temporary folder and removes them at the end, even after a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'EOF'
Usage: scripts/compare.sh OLD [NEW] [PATTERN]

Builds the root package's benchmarks at the commit OLD and at NEW, runs both in turn, and
prints benchstat's table. NEW is a commit; without it, or empty, the working tree.
PATTERN is that of go test -bench (./bench/step).

  COUNT=6        how often each is run; below 6 benchstat gives no confidence interval
  BENCHTIME=1s   how long each benchmark runs, as in go test -benchtime
  TRAINER_CPU    the instruction set: avx512, avx2 or generic
EOF
}

fail() {
  echo "compare.sh: $1" >&2
  exit "${2:-2}"
}

case ${1:-} in
-h | --help)
  usage
  exit 0
  ;;
esac
if [ $# -lt 1 ] || [ $# -gt 3 ] || [ -z "$1" ]; then
  usage >&2
  exit 2
fi
old=$1
new=${2:-}
pattern=${3:-./bench/step}
count=${COUNT:-6}
benchtime=${BENCHTIME:-1s}
[[ $count =~ ^[1-9][0-9]*$ ]] || fail "COUNT=$count: want a whole number from 1"

# commit REVISION prints the short hash of a commit.
commit() {
  git rev-parse --verify --quiet --short "$1^{commit}" || fail "$1 is no commit of this repository"
}
old_label=$(commit "$old")
new_label=working-tree
if [ -n "$new" ]; then new_label=$(commit "$new"); fi

temp=$(mktemp -d)
cleanup() {
  for tree in "$temp/old" "$temp/new"; do
    if [ -d "$tree" ]; then git worktree remove --force "$tree" || true; fi
  done
  rm -rf "$temp"
  git worktree prune
}
trap cleanup EXIT

# build NAME TREE builds the benchmarks of a tree.
build() {
  go -C "$2" test -c -o "$temp/$1.test" . || fail "the benchmarks of $1 don't build" 1
  [ -x "$temp/$1.test" ] || fail "the root package of $1 has no benchmarks" 1
}

# measure NAME TREE runs the benchmarks of a tree once.
measure() {
  (cd "$2" && "$temp/$1.test" -test.run '^$' -test.bench "$pattern" -test.benchtime "$benchtime") >>"$temp/$1.txt" ||
    { cat "$temp/$1.txt" >&2; fail "the benchmarks of $1 failed" 1; }
  grep -q '^Benchmark' "$temp/$1.txt" || fail "no benchmark of $1 matches $pattern"
}

old_tree=$temp/old
git worktree add --quiet --detach "$old_tree" "$old_label"
new_tree=$PWD
if [ -n "$new" ]; then
  new_tree=$temp/new
  git worktree add --quiet --detach "$new_tree" "$new_label"
fi
build old "$old_tree"
build new "$new_tree"

for ((i = 1; i <= count; i++)); do
  echo "run $i of $count: $old_label, $new_label" >&2
  measure old "$old_tree"
  measure new "$new_tree"
done
go tool benchstat "$old_label=$temp/old.txt" "$new_label=$temp/new.txt"
