#!/usr/bin/env bash
# Kills trainings at random moments, continues them until they are finished, and compares the results bit for bit with those
# of a training that was left alone.
#
#   scripts/kills.sh 200         200 trainings, each killed once to three times
#   scripts/kills.sh 20 7        20 trainings; 7 is the seed of the moments
#
# TRAINER is the program to try (by default it is built from this tree). A training takes about a second and uses what has
# state: batch normalisation, AdamW, Lookahead, moving averages, dropout, augmentation. A kill is a SIGKILL, SIGTERM, SIGINT
# or SIGHUP, from the first millisecond to the last, and in every fourth training a SIGKILL in the middle of a save. Every
# tenth training is two runs with successive seeds (-runs 2). Two trainings are tried at a time. What must be identical is
# the model, the metrics and the summary, without their times; and nothing may be left behind.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
count=${1:?usage: scripts/kills.sh COUNT [SEED]}
seed=${2:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${TRAINER:-}" ]; then
	TRAINER=$work/trainer
	(cd "$root" && CGO_ENABLED=0 go build -o "$TRAINER" ./cmd/trainer)
fi
(cd "$root" && go run ./scripts/trials/digits "$work/digits" 4 50)

cat >"$work/kills.toml" <<'RECIPE'
name = "kills"
epochs = 8
batch = 16
[augment]
flip = "alternating"
crop = 2
[loss]
kind = "cross-entropy"
smoothing = 0.1
[optimizer]
kind = "adamw"
lr = 0.003
[optimizer.lookahead]
every = 5
base = 0.95
power = 3
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
new() { echo -device cpu -data "$work/digits" -recipe "$work/kills.toml" -val 0.2 -checkpoint-every 5steps -quiet -out "$@"; }

# results FOLDER: what must be identical, one line per file.
results() {
	local file
	(cd "$1" && find . -type f ! -name .lock | sort) | while read -r file; do
		case $file in
		*/checkpoint.safetensors) echo "$file" ;; # it has times in it
		*/metrics.jsonl | */summary.json)
			echo "$file $(sed -E 's/"(images_per_second|seconds|eval_seconds|train_seconds|total_seconds|peak_memory_bytes|threads|cpu)": ?("[^"]*"|[^,}]*)//g' "$1/$file" | sha256sum)"
			;;
		*) echo "$file $(sha256sum <"$1/$file")" ;;
		esac
	done
}

# attempt LIMIT SIGNAL COMMAND...: run it and send the signal after LIMIT ms, or with LIMIT "save" in the middle of a save.
# status is its exit status.
attempt() {
	local limit=$1 signal=$2 child
	shift 2
	"$@" >"$log" 2>&1 </dev/null &
	child=$!
	if [ "$limit" = save ]; then
		while kill -0 "$child" 2>/dev/null; do
			if compgen -G "$out/*.tmp" >/dev/null || compgen -G "$out/*/*.tmp" >/dev/null; then
				break
			fi
		done
	elif [ "$limit" != none ]; then
		sleep "$(printf '%d.%03d' $((limit / 1000)) $((limit % 1000)))"
	fi
	[ "$limit" = none ] || kill -"$signal" "$child" 2>/dev/null || true
	status=0
	{ wait "$child" || status=$?; } 2>/dev/null
}

signals=(KILL TERM INT HUP)

# try NUMBER: one training; its kills and its verdict go to $work/NUMBER.result.
try() {
	local number=$1 kind=one flags=() kills=0 wanted signal limit
	RANDOM=$((seed * 10007 + number))
	out=$work/run-$number log=$work/$number.log
	if [ $((number % 10)) -eq 0 ]; then
		kind=two flags=(-runs 2)
	fi
	wanted=$((RANDOM % 3 + 1))
	while :; do
		limit=none signal=none
		if [ "$kills" -lt "$wanted" ]; then
			signal=${signals[RANDOM % ${#signals[@]}]}
			limit=$((RANDOM % milliseconds))
			if [ $((number % 4)) -eq 1 ]; then
				limit=save signal=KILL
			fi
		fi
		if [ -e "$out/config.toml" ]; then
			attempt "$limit" "$signal" "$TRAINER" -resume "$out" -exact -threads $((RANDOM % 2 + 1)) -checkpoint-every 5steps -quiet
		else
			attempt "$limit" "$signal" "$TRAINER" $(new "$out" "${flags[@]}") -threads $((RANDOM % 2 + 1))
		fi
		case $status in
		0) [ "$kills" -gt 0 ] && break || { rm -rf "$out"; continue; } ;; # it was finished before the kill: once more
		129 | 130 | 137 | 143) kills=$((kills + 1)) ;;
		*)
			echo "$kills failed with the status $status: $(tail -n 1 "$log")" >"$work/$number.result"
			return
			;;
		esac
	done
	if results "$out" | cmp -s - "$work/$kind.results"; then
		echo "$kills identical" >"$work/$number.result"
		rm -rf "$out"
	else
		echo "$kills different: $(results "$out" | diff - "$work/$kind.results" | tr '\n' ' ')" >"$work/$number.result"
	fi
}

begun=$(date +%s%N)
"$TRAINER" $(new "$work/one") >/dev/null
milliseconds=$((($(date +%s%N) - begun) / 1000000 + 20))
"$TRAINER" $(new "$work/two" -runs 2) >/dev/null
results "$work/one" >"$work/one.results"
results "$work/two" >"$work/two.results"

for number in $(seq "$count"); do
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
	try "$number" &
done
wait

kills=0 identical=0
for number in $(seq "$count"); do
	read -r killed verdict <"$work/$number.result"
	kills=$((kills + killed))
	if [ "$verdict" = identical ]; then
		identical=$((identical + 1))
	else
		echo "training $number, killed $killed times: $verdict" >&2
	fi
done
echo "$identical of $count trainings identical after $kills kills"
[ "$identical" -eq "$count" ]
