# Functions for trials; see scripts/trials.sh. Source this file in bash.
set -uo pipefail

# fail MESSAGE: end the trial.
fail() {
	echo "$1" >&2
	[ -z "${out:-}" ] || printf '%s\n' "--- output:" "$out" >&2
	exit 1
}

# run COMMAND...: run it; status is its exit status and out what it wrote, to both streams.
run() {
	out=$("$@" 2>&1 </dev/null)
	status=$?
}

# status_is N: the last run ended with this status.
status_is() { [ "$status" -eq "$1" ] || fail "the status is $status, want $1"; }

# expect TEXT: the last run wrote this text.
expect() { [[ $out == *"$1"* ]] || fail "the output lacks: $1"; }

# refuse TEXT: the last run did not write this text.
refuse() { [[ $out != *"$1"* ]] || fail "the output has: $1"; }

# one_line: the last run wrote a single line.
one_line() { [ "$(printf '%s\n' "$out" | wc -l)" -eq 1 ] || fail "the output is not one line"; }

# memory_below MIB COMMAND...: run it and fail if it needs more memory at any moment.
memory_below() {
	local limit=$1
	shift
	local peak=0 now child log
	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null &
	child=$!
	while kill -0 "$child" 2>/dev/null; do
		now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$child/status" 2>/dev/null)
		[ "${now:-0}" -le "$peak" ] || peak=$now
		if [ "$((peak / 1024))" -gt "$limit" ]; then
			kill -9 "$child"
			break
		fi
		sleep 0.02
	done
	wait "$child"
	status=$?
	out=$(cat "$log")
	rm -f "$log"
	[ "$((peak / 1024))" -le "$limit" ] || fail "it took more than $limit MiB"
}

# digits FOLDER CLASSES PER_CLASS [PARTS...]: make folders of small PNG digits, FOLDER/[PART/]CLASS/NUMBER.png.
digits() { (cd "$TRAINER_ROOT" && go run ./scripts/trials/digits "$@"); }

# number N: write N as four bytes, the first the highest.
number() { printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"; }

# bytes N...: write numbers as bytes.
bytes() { printf "$(printf '\\x%02x' "$@")"; }

# idx TYPE DIMENSION...: write the head of an IDX file (MNIST's format); TYPE 8 is bytes, 12 int32.
idx() {
	bytes 0 0 "$1" $(($# - 1))
	shift
	for d in "$@"; do number "$d"; done
}

# idx_images N: write an IDX file of N images of 4x4 pixels, dark for even numbers and bright for odd ones.
idx_images() {
	idx 8 "$1" 4 4
	for ((i = 0; i < $1; i++)); do bytes $((i % 2 * 200 + i)){,,,}{,,,}; done
}

# idx_labels N FIRST: write an IDX file of N labels, FIRST and FIRST + 1 by turns.
idx_labels() {
	idx 8 "$1"
	for ((i = 0; i < $1; i++)); do bytes $((i % 2 + $2)); done
}

# tiny FOLDER...: train a tiny network for an epoch; the results are in run.
tiny() {
	local data=$1
	shift
	run "$TRAINER" -device cpu -recipe "$TRAINER_ROOT/scripts/trials/pictures/tiny.toml" -data "$data" -out run "$@"
}

# tiny_recipe FILE: write a recipe that trains in a moment.
tiny_recipe() {
	cat >"$1" <<'RECIPE'
name = "tiny"
epochs = 3
batch = 8
[loss]
kind = "cross-entropy"
[optimizer]
kind = "sgd"
lr = 0.05
momentum = 0.9
[[network]]
layer = "conv2d"
out = 4
kernel = 3
[[network]]
layer = "relu"
[[network]]
layer = "max-pool2d"
kernel = 4
[[network]]
layer = "flatten"
[[network]]
layer = "dense"
out = "classes"
RECIPE
}

# begin OUT [FLAG...]: begin a training of the tiny recipe on the folder data in the background, with so many epochs that it
# doesn't end; wait until it has written two epochs. child is its process.
begin() {
	local folder=$1
	shift
	"$TRAINER" -device cpu -threads 1 -data data -recipe tiny.toml -epochs 100000 -set schedule.kind=constant -out "$folder" "$@" >begin.log 2>&1 </dev/null &
	child=$!
	until [ "$(cat "$folder/metrics.jsonl" 2>/dev/null | wc -l)" -ge 2 ] && [ -e "$folder/checkpoint.safetensors" ]; do
		kill -0 "$child" 2>/dev/null || { out=$(cat begin.log); fail "the training ended"; }
		sleep 0.02
	done
}

# stop SIGNAL: send the process of begin a signal and wait for its end; status is its exit status.
stop() {
	kill -"$1" "$child"
	status=0
	{ wait "$child" || status=$?; } 2>/dev/null
	out=$(cat begin.log)
}
