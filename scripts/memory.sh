#!/usr/bin/env bash
# Measures the memory of each rank with a large dense layer and Adam, with and without zero-stage = 1, and prints a table for
# docs/results/ranks.md: the largest resident set of rank 0, which writes checkpoints, and of the others.
#
#   scripts/memory.sh                   1, 2 and 4 ranks by mpirun.openmpi
#   WIDTH=4096 RANKS='1 2' scripts/memory.sh
#   GOGC=10 scripts/memory.sh           with less garbage waiting to be collected
#
# TRAINER is the program (by default it is built from this tree, with C).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
width=${WIDTH:-16384} counts=${RANKS:-1 2 4}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${TRAINER:-}" ]; then
	TRAINER=$work/trainer
	(cd "$root" && CGO_ENABLED=1 go build -o "$TRAINER" ./cmd/trainer)
fi
(cd "$root" && go run ./scripts/trials/digits "$work/digits" 4 50)
cat >"$work/wide.toml" <<RECIPE
name = "wide"
epochs = 1
batch = 16
[loss]
kind = "cross-entropy"
[optimizer]
kind = "adam"
lr = 0.0001
[[network]]
layer = "flatten"
[[network]]
layer = "dense"
out = $width
[[network]]
layer = "relu"
[[network]]
layer = "dense"
out = 2048
[[network]]
layer = "relu"
[[network]]
layer = "dense"
out = "classes"
RECIPE
# Runs a rank, and notes the largest resident set of its process.
cat >"$work/rank.py" <<'PYTHON'
import os, resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(os.path.join(sys.argv[1], os.environ.get("OMPI_COMM_WORLD_RANK", "0")), "w") as f:
    print(peak, file=f)
sys.exit(status)
PYTHON
launch=(mpirun.openmpi --oversubscribe)
[ "$(id -u)" != 0 ] || launch+=(--allow-run-as-root)

printf '| ranks | zero-stage | rank 0, MB | the others, MB |\n|---:|---:|---:|---:|\n'
for n in $counts; do
	for zero in 0 1; do
		peaks=$work/peaks-$n-$zero
		mkdir "$peaks"
		"${launch[@]}" -n "$n" python3 "$work/rank.py" "$peaks" "$TRAINER" -device cpu -threads 1 -data "$work/digits" -recipe "$work/wide.toml" -val 0.2 \
			-shards "$n" -set zero-stage=$zero -quiet -out "$work/run" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
		others=$(for r in $(seq 1 $((n - 1))); do cat "$peaks/$r"; done | sort -n | tail -1)
		printf '| %d | %d | %d | %s |\n' "$n" "$zero" "$(($(cat "$peaks/0") * 1024 / 1000000))" "${others:+$((others * 1024 / 1000000))}"
		rm -rf "$work/run"
	done
done
