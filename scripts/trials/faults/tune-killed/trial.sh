# A search that is killed, or stopped by Ctrl-C, continues with the same trials and to the same results.
digits "$PWD/data" 3 30
tiny_recipe tiny.toml
search=("$TRAINER" tune -device cpu -threads 1 -data data -recipe tiny.toml -strategy halving -trials 6 -epochs 40 -min-epochs 10
	-set optimizer.lr=1e-3..0.2 -set batch=4,8 -seed 3)
# outcome FOLDER: the results without their times, which differ.
outcome() { sed 's/"seconds":[^,]*,//' "$1/trials.jsonl"; }

run "${search[@]}" -out whole
status_is 0
expect "6 trials to epoch 13, then 2 trials to epoch 40"
for signal in KILL INT; do
	"${search[@]}" -out $signal >log 2>&1 </dev/null &
	child=$!
	until [ "$(cat $signal/trials.jsonl 2>/dev/null | wc -l)" -ge 2 ]; do
		kill -0 $child 2>/dev/null || { out=$(cat log); fail "the search ended"; }
		sleep 0.01
	done
	kill -$signal $child
	status=0
	{ wait $child || status=$?; } 2>/dev/null
	if [ $signal = INT ]; then
		status_is 130
		out=$(tail -n 1 log)
		expect "interrupted; to continue: trainer tune -resume INT"
	fi
	[ "$(outcome $signal | wc -l)" -lt 8 ] || fail "the search came to its end"
	run "$TRAINER" tune -resume $signal
	status_is 0
	expect "continuing with "
	[ "$(outcome whole)" = "$(outcome $signal)" ] || fail "the results after $signal are others: $(diff <(outcome whole) <(outcome $signal))"
	cmp whole/best.toml $signal/best.toml || fail "another recipe is the best"
done
# The folder of a search is no run, and a search is not overwritten.
run "$TRAINER" -resume whole
status_is 2
expect "trainer tune -resume whole"
run "${search[@]}" -out whole
status_is 2
expect "already holds"
