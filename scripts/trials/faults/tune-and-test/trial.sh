# A search never scores on the test images: with other ones, here with exchanged labels, it has the same results, and no
# trial has a result on them.
digits "$PWD/a" 2 30 train test
cp -r a b
mv b/test/0 b/test/x && mv b/test/1 b/test/0 && mv b/test/x b/test/1
tiny_recipe tiny.toml
for data in a b; do
	run "$TRAINER" tune -device cpu -data $data -recipe tiny.toml -trials 3 -set optimizer.lr=1e-3..0.2 -out found-$data
	status_is 0
	expect "held out, as by -val 0.1), never on test images"
	if grep -h '"test_count": [1-9]' found-$data/trial-*/summary.json; then fail "a trial was tested"; fi
	sed 's/"seconds":[^,]*,//' found-$data/trials.jsonl >results-$data
done
cmp results-a results-b || fail "the results depend on the test images"
