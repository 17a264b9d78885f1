# A damaged picture in a folder too large for memory ended the run, after an epoch and without a checkpoint.
digits "$PWD/pictures" 2 10
head -c 150 pictures/0/003.png >cut && mv cut pictures/0/003.png
export XDG_CACHE_HOME=$PWD/cache
for memory in "" 1; do # 1 byte: every folder is too large, and its pictures are decoded when they are needed
	export TRAINER_PICTURE_MEMORY=$memory
	for start in first second; do # the second finds the picture in the index
		tiny pictures -epochs 2
		status_is 0
		expect "skipped pictures/0/003.png"
		grep -q 003.png run/skipped.txt || fail "skipped.txt lacks the picture"
		[ -e run/checkpoint.safetensors ] || fail "there is no checkpoint"
		mv run "run-$start-$memory"
	done
done
for run in run-*; do
	cmp run-first-/model.safetensors "$run/model.safetensors" || fail "the weights depend on the memory"
done
