#!/usr/bin/env bash
# Runs the trials: each is a small input that once gave a wrong result, or hurt, and the behaviour that is wanted.
#
#   scripts/trials.sh                   all groups
#   scripts/trials.sh faults            one group of scripts/trials: faults, pictures
#   scripts/trials.sh pictures one-class nested-folders    some trials of a group
#
# TRAINER is the program to try (by default it is built from this tree). A trial is a folder with a script trial.sh,
# which runs in an empty folder with the functions of scripts/trials/lib.sh; INPUT is the trial's own folder. Trials run
# two at a time; each ends with the status 0, or with a line that says what is wrong.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${TRAINER:-}" ]; then
	TRAINER=$work/trainer
	(cd "$root" && CGO_ENABLED=0 go build -o "$TRAINER" ./cmd/trainer)
fi
export TRAINER
export TRAINER_ROOT=$root

groups=(faults pictures)
names=()
if [ $# -gt 0 ]; then
	groups=("$1")
	shift
	names=("$@")
fi

# try runs one trial; its output stays in $work/GROUP-NAME.log.
try() {
	local group=$1 name=$2
	local folder=$work/$group-$name
	mkdir -p "$folder"
	export INPUT=$root/scripts/trials/$group/$name
	if (cd "$folder" && timeout 120 bash -c 'source "$TRAINER_ROOT/scripts/trials/lib.sh"; source "$INPUT/trial.sh"') >"$folder.log" 2>&1; then
		echo "ok    $group/$name"
	else
		echo "FAIL  $group/$name"
		sed 's/^/      /' "$folder.log" | tail -n 12
		touch "$work/failed"
	fi
	chmod -R u+rwX "$folder" && rm -rf "$folder"
}

count=0
for group in "${groups[@]}"; do
	if [ ! -d "$root/scripts/trials/$group" ]; then
		echo "trials.sh: there is no group $group" >&2
		exit 2
	fi
	if [ ${#names[@]} -gt 0 ]; then
		trials=("${names[@]}")
	else
		trials=()
		for folder in "$root/scripts/trials/$group"/*/; do
			trials+=("$(basename "$folder")")
		done
	fi
	for name in "${trials[@]}"; do
		if [ ! -f "$root/scripts/trials/$group/$name/trial.sh" ]; then
			echo "trials.sh: there is no trial $group/$name" >&2
			exit 2
		fi
		while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
		try "$group" "$name" &
		count=$((count + 1))
	done
done
wait

if [ -e "$work/failed" ]; then
	exit 1
fi
echo "$count trials passed"
