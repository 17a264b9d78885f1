#!/usr/bin/env bash
# Trains with several ranks under one MPI after the other, and compares the weights bit for bit with those of one process.
#
#   scripts/ranks.sh openmpi mpich      the whole: 1, 2, 4 and 8 ranks, faults, and 50 kills for each MPI
#   KILLS=2 scripts/ranks.sh openmpi    with 2 kills
#   SEED=7 scripts/ranks.sh mpich       7 is the seed of the moments
#   scripts/ranks.sh openmpi5=/opt/openmpi mpich5=/opt/mpich     those in these folders; the names begin with openmpi or mpich
#   CIFAR10=DIR scripts/ranks.sh mpich  a fifth of an epoch on CIFAR-10, whose files DIR has; otherwise on digits in their format
#
# For openmpi it runs mpirun.openmpi, for mpich mpirun.mpich, or mpirun if there is no such program; an MPI without either is
# skipped with a line. TRAINER is the program to try (by default it is built from this tree, with C). A kill is a SIGKILL of
# one rank at a random moment; all ranks must end within 30 s, and the run, resumed with another number of ranks, must end
# with the bits of the undisturbed one.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || { echo 'usage: scripts/ranks.sh openmpi|mpich ...' >&2; exit 2; }
kills=${KILLS:-50}
RANDOM=${SEED:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${TRAINER:-}" ]; then
	TRAINER=$work/trainer
	(cd "$root" && CGO_ENABLED=1 go build -ldflags '-X main.version=this' -o "$TRAINER" ./cmd/trainer)
	(cd "$root" && CGO_ENABLED=1 go build -ldflags '-X main.version=another' -o "$work/another/trainer" ./cmd/trainer)
fi
name=$(basename "$TRAINER" | cut -c1-15) # as the kernel calls the process
(cd "$root" && go run ./scripts/trials/digits "$work/digits" 4 50)

cat >"$work/ranks.toml" <<'RECIPE'
name = "ranks"
epochs = 40
batch = 16
shards = 8
[augment]
flip = "alternating"
crop = 2
[loss]
kind = "cross-entropy"
smoothing = 0.1
[optimizer]
kind = "adamw"
lr = 0.003
[optimizer.ema]
decay = 0.9
[optimizer.clip]
max-norm = 5
[schedule]
kind = "one-cycle"
[[network]]
layer = "conv2d"
out = 8
kernel = 3
[[network]]
layer = "batch-norm"
[[network]]
layer = "gelu"
[[network]]
layer = "max-pool2d"
kernel = 2
[[network]]
layer = "flatten"
[[network]]
layer = "dropout"
rate = 0.3
[[network]]
layer = "dense"
out = "classes"
RECIPE

# new OUT [FLAG...]: the arguments of a training that begins.
new() { echo -device cpu -data "$work/digits" -recipe "$work/ranks.toml" -val 0.2 -checkpoint-every 5steps -quiet -out "$@"; }

# launcher MPI[=FOLDER]: sets run to the command that starts ranks, without their number, or returns 1.
launcher() {
	local program=mpirun.$1
	case $1 in *=*) program=${1#*=}/bin/mpirun ;; esac
	if ! command -v "$program" >/dev/null; then
		program=mpirun
		case $1-$(mpirun --version 2>/dev/null || true) in
		openmpi-*'Open MPI'* | mpich-*HYDRA*) ;;
		*) return 1 ;;
		esac
	fi
	run=("$program")
	case $1 in openmpi*) ;; *) return 0 ;; esac
	run+=(--oversubscribe)
	[ "$(id -u)" != 0 ] || run+=(--allow-run-as-root)
}

# ranks OUT: the processes of the ranks that write to a folder.
ranks() {
	local p
	for p in $(pgrep -f -- "-(out|resume) $1( |\$)" || true); do
		[ "$(cat "/proc/$p/comm" 2>/dev/null)" != "$name" ] || echo "$p"
	done
}

fail() {
	echo "$mpi: $*" >&2
	exit 1
}

# same FOLDER WHAT: the model must be that of the undisturbed training.
same() { cmp "$1/model.safetensors" "$work/alone/model.safetensors" || fail "$2: the weights differ"; }

# finish OUT: resumes a run with random numbers of ranks until it is finished.
finish() {
	local out=$1 arguments
	[ -e "$out/checkpoint.safetensors" ] || [ -e "$out/config.toml" ] || {
		rm -rf "$out"
		arguments=$(new "$out")
	}
	timeout 120 "${run[@]}" -n $((1 << RANDOM % 3)) "$TRAINER" ${arguments:--resume "$out" -quiet} >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; fail "resuming $out failed"; }
}

# refused WANT COMMAND...: the ranks must end within 30 s with a line that has WANT, and no other line of the program.
refused() {
	local want=$1 started=$SECONDS
	shift
	! timeout 60 "$@" >"$work/log" 2>&1 || fail "no error: $*"
	[ $((SECONDS - started)) -le 30 ] || fail "the ranks ended after $((SECONDS - started)) s: $*"
	grep -q "^trainer: .*$want" "$work/log" || { cat "$work/log" >&2; fail "no line with \"$want\""; }
	[ "$(grep -c '^trainer: ' "$work/log")" = 1 ] || { cat "$work/log" >&2; fail 'more than one line'; }
}

# disturb OUT N SIGNAL: starts N ranks and sends one of them a signal at a random moment; they must end within 30 s. It
# counts the signals that came before the end in hits, and keeps the longest time to the end in longest.
disturb() {
	local out=$1 n=$2 signal=$3 started victims job
	"${run[@]}" -n "$n" "$TRAINER" $(new "$out") >"$work/log" 2>&1 &
	job=$!
	sleep "$((RANDOM % 3)).$(printf %03d $((RANDOM % 1000)))"
	mapfile -t victims < <(ranks "$out")
	if [ ${#victims[@]} -gt 0 ] && kill "-$signal" "${victims[RANDOM % ${#victims[@]}]}" 2>/dev/null; then
		hits=$((hits + 1))
	fi
	started=$SECONDS
	while kill -0 "$job" 2>/dev/null; do
		if [ $((SECONDS - started)) -gt 30 ]; then
			kill -KILL "$job" $(ranks "$out") 2>/dev/null || true
			fail "the ranks did not end within 30 s of SIG$signal"
		fi
		sleep 0.05
	done
	wait "$job" 2>/dev/null || true
	[ $((SECONDS - started)) -le "$longest" ] || longest=$((SECONDS - started))
}

# accuracy FOLDER: the test accuracy of a run.
accuracy() { grep -o '"test_accuracy": *[0-9.]*' "$1/summary.json" | grep -o '[0-9.]*$'; }

# trains DATA: the arguments of a short training of its recipe.
trains() {
	case $1-${CIFAR10:+real} in
	cifar10-real) echo -recipe cifar10-basic -data-dir "$CIFAR10" -epochs 0.2 ;;
	cifar10-) echo -recipe cifar10-basic -data-dir "$work/cifar" -epochs 2 -set batch=32 ;;
	*) echo -recipe "$1" -epochs 0.05 ;;
	esac
	echo -device cpu -shards 8 -quiet
}
[ -n "${CIFAR10:-}" ] || (cd "$root" && go run ./scripts/trials/cifar "$work/cifar" 100)

mpi='one process'
"$TRAINER" $(new "$work/alone") >/dev/null
# A library may have something to report when the process ends: MPICH 4.2 and newer do (nn/ranks/mpi/exit.go).
if command -v cc >/dev/null; then
	cc -shared -fPIC -o "$work/libmpi.so" "$root/nn/ranks/mpi/testdata/library.c"
	PMIX_RANK=0 TRAINER_MPI=$work/libmpi.so "$TRAINER" $(new "$work/reports") -epochs 1 >"$work/log" 2>&1 &&
		grep -q '^the library has reported the end$' "$work/log" || { cat "$work/log" >&2; fail 'the library was not told of the end of the process'; }
fi
for argument in "$@"; do
	mpi=${argument%%=*}
	launcher "$argument" || { echo "$mpi: skipped, no mpirun"; continue; }
	for n in 2 4 8; do
		timeout 120 "${run[@]}" -n $n "$TRAINER" $(new "$work/$mpi-$n") >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$n ranks failed"; }
		same "$work/$mpi-$n" "$n ranks"
	done
	echo "$mpi: 1, 2, 4 and 8 ranks: $(sha256sum <"$work/alone/model.safetensors" | cut -c1-16)"

	for data in mnist cifar10; do
		[ -e "$work/$data" ] || "$TRAINER" $(trains $data) -out "$work/$data" >/dev/null
		timeout 600 "${run[@]}" -n 2 "$TRAINER" $(trains $data) -out "$work/$mpi-$data" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$data failed"; }
		cmp "$work/$mpi-$data/model.safetensors" "$work/$data/model.safetensors" || fail "$data on 2 ranks: the weights differ"
		[ "$(accuracy "$work/$mpi-$data")" = "$(accuracy "$work/$data")" ] || fail "$data on 2 ranks: another accuracy"
		echo "$mpi: $data on 1 and 2 ranks: $(sha256sum <"$work/$data/model.safetensors" | cut -c1-16), test accuracy $(accuracy "$work/$data")"
	done

	host=$(hostname)
	refused "rank 1 on $host: seed is 7, on rank 0 0" "${run[@]}" -n 1 "$TRAINER" $(new "$work/other") : -n 1 "$TRAINER" $(new "$work/other") -seed 7
	refused "rank 1 on $host: data set \"/no/such\" not found" "${run[@]}" -n 1 "$TRAINER" $(new "$work/other") : -n 1 "$TRAINER" $(new "$work/other") -data /no/such
	refused "3 ranks can't share the 8 parts" "${run[@]}" -n 3 "$TRAINER" $(new "$work/other")
	if [ -x "$work/another/trainer" ]; then
		refused "rank 1 on $host: its program is version another" "${run[@]}" -n 1 "$TRAINER" $(new "$work/other") : -n 1 "$work/another/trainer" $(new "$work/other")
	fi
	[ ! -e "$work/other" ] || fail 'a run that did not begin has left a folder'
	echo "$mpi: another recipe, program or data set on one rank is named"

	hits=0 longest=0
	for k in $(seq "$kills"); do
		disturb "$work/$mpi-kill" $((2 << RANDOM % 2)) KILL
		[ -e "$work/$mpi-kill/model.safetensors" ] || finish "$work/$mpi-kill"
		same "$work/$mpi-kill" "kill $k"
		rm -rf "$work/$mpi-kill"
	done
	echo "$mpi: $kills kills of a rank, $hits of them before the end, none lost; all ranks ended within $longest s"

	hits=0 longest=0 signals='TERM STOP'
	[ "$kills" -ge 10 ] || signals=TERM # a hang takes 20 s to be found; go test ./nn/ranks/mpi has one too
	for signal in $signals; do
		before=$hits
		while [ "$hits" = "$before" ]; do # until the signal comes before the end
			rm -rf "$work/$mpi-$signal"
			disturb "$work/$mpi-$signal" 2 $signal
		done
		[ -e "$work/$mpi-$signal/summary.json" ] && grep -q '"complete": true' "$work/$mpi-$signal/summary.json" || finish "$work/$mpi-$signal"
		same "$work/$mpi-$signal" "SIG$signal"
	done
	echo "$mpi: $signals of a rank, resumed to the same bits; all ranks ended within $longest s"
done
