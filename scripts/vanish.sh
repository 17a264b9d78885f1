#!/usr/bin/env bash
# Trains on two machines with a rank each and takes down the link between them: network namespaces, which are removed at the end.
# Prints when the ranks had ended, and when the launcher had, and compares the resumed run with an undisturbed one.
#
#   scripts/vanish.sh openmpi           mpirun.openmpi
#   scripts/vanish.sh mpich             mpirun.mpich
#   scripts/vanish.sh openmpi5=/opt/openmpi --prtemca oob_tcp_keepalive_time 5     the mpirun in a folder, with these arguments
#   LIMIT=60 scripts/vanish.sh openmpi  wait for the launcher for 60 s (default 120)
#
# It needs root and ip. TRAINER is the program (by default it is built from this tree).
set -euo pipefail

mpi=${1:?usage: scripts/vanish.sh openmpi|mpich[=FOLDER] [ARGUMENT OF MPIRUN...]}
shift
. "$(dirname "$0")/machines.sh"
(cd "$root" && go run ./scripts/trials/digits "$work/digits" 4 50)

program=mpirun.$mpi
case $mpi in *=*) program=${mpi#*=}/bin/mpirun ;; esac
case $mpi in
openmpi*)
	launch="$program --allow-run-as-root --host 10.215.0.1,10.215.0.2 --mca plm_rsh_agent $work/agent --mca pml ob1 --mca btl tcp,self --mca btl_tcp_if_include 10.215.0.0/24"
	case $mpi in
	openmpi5*) launch+=" --prtemca plm_ssh_agent $work/agent --prtemca prte_if_include 10.215.0.0/24" ;;
	*) launch+=' --mca oob_tcp_if_include 10.215.0.0/24' ;;
	esac
	;;
*) # not by shared memory, which network namespaces do not divide
	launch="$program -launcher ssh -launcher-exec $work/agent -iface link0 -hosts 10.215.0.1,10.215.0.2 -genv UCX_TLS tcp,self -genv UCX_NET_DEVICES link0 -genv FI_PROVIDER tcp"
	;;
esac
# An undisturbed training takes some seconds.
flags="-device cpu -threads 1 -data $work/digits -recipe mnist -set batch=16 -shards 2 -epochs 100 -checkpoint-every 5steps -quiet"
"$TRAINER" $flags -out "$work/alone" >/dev/null

ip netns exec "$first" unshare -u sh -c "hostname first; exec $launch $* -n 2 $TRAINER $flags -out $work/run" >"$work/log" 2>&1 &
launcher=$!
for _ in $(seq 600); do
	[ ! -e "$work/run/checkpoint.safetensors" ] || break
	sleep 0.1
done
[ -e "$work/run/checkpoint.safetensors" ] || { cat "$work/log"; echo 'no checkpoint after a minute' >&2; exit 1; }
ip -n "$second" link set link0 down
down=$SECONDS
running() { for p in $(processes); do [ "$(cat "/proc/$p/comm" 2>/dev/null)" != "$(basename "$TRAINER" | cut -c1-15)" ] || echo "$p"; done; }
ranks= end=
while [ $((SECONDS - down)) -lt "${LIMIT:-120}" ]; do
	[ -n "$ranks" ] || [ -n "$(running)" ] || ranks=$((SECONDS - down))
	[ -n "$end" ] || kill -0 "$launcher" 2>/dev/null || end=$((SECONDS - down))
	[ -z "$ranks" ] || [ -z "$end" ] || break
	sleep 0.2
done
echo "the ranks had ended after ${ranks:-more than ${LIMIT:-120}} s, mpirun after ${end:-more than ${LIMIT:-120}} s; its output:"
cat "$work/log"
kill -KILL $(running) 2>/dev/null || true # they use the folder
"$TRAINER" -resume "$work/run" -quiet >/dev/null
cmp "$work/run/model.safetensors" "$work/alone/model.safetensors" && echo 'resumed to the bits of an undisturbed training'
