# With train, val and test, every epoch was scored on test, and val was never read.
digits "$PWD/pictures" 2 6 train val test
# The labels of the test set are wrong, so that the sets can be told apart.
mv pictures/test/0 pictures/test/x && mv pictures/test/1 pictures/test/0 && mv pictures/test/x pictures/test/1
tiny pictures -epochs 20
status_is 0
expect "test accuracy 0.00%"
# Every epoch was scored on val; only the last was scored on test.
epochs() { grep -c "$1" run/metrics.jsonl; }
[ "$(epochs '"val_accuracy":1[,}]')" -ge 10 ] || fail "epochs are not scored on val: $(tail -n 1 run/metrics.jsonl)"
[ "$(epochs '"evaluated":true')" -eq 1 ] || fail "test was scored more than once: $(cat run/metrics.jsonl)"
grep -q '"scored_on": "validation"' run/summary.json || fail "the summary says otherwise"
# The images that were read are those of the folders.
for part in train val test; do
	names=$(sed "s/.*\"$part\"://; s/\"val\":.*//; s/\"test\":.*//" run/data.json | grep -o '"name":"[^"]*"' | sort)
	wanted=$(cd pictures && find "$part" -name '*.png' | sed 's/.*/"name":"&"/' | sort)
	[ "$names" = "$wanted" ] || fail "$part has the files $names"
done
tiny mnist -val 0.1 -dry-run
status_is 0
