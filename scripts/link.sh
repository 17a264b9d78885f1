#!/usr/bin/env bash
# Measures steps of a recipe on one rank, on two ranks of this machine, and on two ranks in network namespaces whose link tc slows down,
# and compares them with what trainer plan predicts from the first (docs/many.md).
#
#   scripts/link.sh                       mnist over 200 Mbit/s
#   RATE=50mbit RECIPE=cifar10-basic DATA_DIR=... scripts/link.sh
#   PRIORITY='chrt -f 1' scripts/link.sh  on a machine that others use
#
# It needs root, ip, tc with the queue tbf, and Open MPI's mpirun.openmpi. TRAINER is the program (by default it is built from this
# tree). The namespaces and the link are removed at the end.
set -euo pipefail

rate=${RATE:-200mbit} recipe=${RECIPE:-mnist} epochs=${EPOCHS:-0.3} batch=${BATCH:-256}
. "$(dirname "$0")/machines.sh"
for ns in "$first" "$second"; do
	tc -n "$ns" qdisc add dev link0 root tbf rate "$rate" burst 128kb latency 500ms
done
# Each rank has a core of its own. mpirun would bind both to the first, because it takes the namespaces for two machines.
cat >"$work/pinned" <<'PINNED'
#!/bin/sh
exec taskset -c "$OMPI_COMM_WORLD_RANK" "$@"
PINNED
chmod +x "$work/pinned"

flags() { echo "-device cpu -recipe $recipe -threads 1 -set batch=$2 -set eval-every=0 -shards $3 -epochs $epochs -quiet ${DATA_DIR:+-data-dir $DATA_DIR} -out $work/$1"; }
# speed OUT: images per second of a run.
speed() { python3 -c 'import json,sys; s=json.load(open(sys.argv[1])); print(s["images_per_second"])' "$work/$1/summary.json"; }
mpi="mpirun.openmpi --bind-to none --oversubscribe"
[ "$(id -u)" != 0 ] || mpi+=' --allow-run-as-root'

# best OUT COMMAND...: runs a command three times, and keeps the fastest run as OUT: other programs only slow one down.
best() {
	local out=$1 k
	shift
	for k in 1 2 3; do
		rm -rf "$work/$out"
		"$@" >/dev/null
		if [ ! -e "$work/best-$out" ] || [ "$(python3 -c 'import sys; print(float(sys.argv[1]) > float(sys.argv[2]))' "$(speed "$out")" "$(speed "best-$out")")" = True ]; then
			rm -rf "$work/best-$out"
			cp -r "$work/$out" "$work/best-$out"
		fi
	done
}

# One rank has the batch that each of two has.
best one ${PRIORITY:-} taskset -c 0 "$TRAINER" $(flags one $((batch / 2)) 1)
best two ${PRIORITY:-} $mpi -n 2 "$work/pinned" "$TRAINER" $(flags two "$batch" 2)
best link ip netns exec "$first" unshare -u sh -c "hostname first; exec ${PRIORITY:-} $mpi --host 10.215.0.1,10.215.0.2 -n 2 \
	--mca plm_rsh_agent $work/agent --mca btl tcp,self --mca btl_tcp_if_include 10.215.0.0/24 --mca oob_tcp_if_include 10.215.0.0/24 \
	$work/pinned $TRAINER $(flags link "$batch" 2)"

bits=$(python3 -c 'import re,sys; n,u=re.match(r"([\d.]+)(k|m|g)bit",sys.argv[1]).groups(); print(f"{n}{dict(k=chr(107),m=chr(77),g=chr(71))[u]}b")' "$rate")
copy=$("$TRAINER" bench -json -time 200ms -threads 1 | grep '"copy"' || true)
predict() { # LINK LATENCY
	{ echo "$copy"; echo '{"event":"machine","cpu":"one core"}'
	  echo "{\"event\":\"recipe\",\"name\":\"$recipe\",\"batch\":$((batch / 2)),\"images_per_second\":$(speed best-one)}"; } | grep . >"$work/bench.json"
	"$TRAINER" plan -bench "$work/bench.json" -link "$1" -latency "$2" -json | python3 -c 'import json,sys
print([json.loads(l)["images_per_second"] for l in sys.stdin][1])'
}
show() { python3 -c 'import sys; n,m,p=sys.argv[1],float(sys.argv[2]),float(sys.argv[3]); print(f"{n:32} {m:10.0f} {p:10.0f} {100*(p/m-1):+7.0f}%")' "$@"; }
printf '%-32s %10s %10s %8s\n' "$recipe, $batch images a step" measured predicted error
printf '%-32s %10.0f\n' 'one rank, images/s' "$(speed best-one)"
show 'two ranks, one machine' "$(speed best-two)" "$(predict "${MEMORY_LINK:-2GB}" 100us)"
show "two ranks over $rate" "$(speed best-link)" "$(predict "$bits" 300us)"
cmp "$work/best-two/model.safetensors" "$work/best-link/model.safetensors" && echo 'the same weights over both'
