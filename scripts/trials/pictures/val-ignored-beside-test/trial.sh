# With train, val and test, every epoch was scored on test, and val was never read.
digits "$PWD/pictures" 2 6 train val test
# The labels of the test set are wrong, so that the sets can be told apart.
mv pictures/test/0 pictures/test/x && mv pictures/test/1 pictures/test/0 && mv pictures/test/x pictures/test/1
tiny pictures -epochs 20
status_is 0
expect "test accuracy 0.00%"
refuse "were made on test"
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
# Without validation images, the last lines and the summary say that choices were made on test; with them, or with one
# epoch, they don't.
refuse "were made on test"
mkdir two && cp -r pictures/train pictures/test two
mv run first
tiny two -epochs 2
status_is 0
expect "choices made by these scores were made on test"
grep -q '"choices_on_test": true' run/summary.json || fail "the summary doesn't say so"
mv run second
tiny two -epochs 2 -json
expect '"choices_on_test":true'
mv run third
for flags in "-epochs 2 -val 0.2" "-epochs 1"; do
	tiny two $flags
	status_is 0
	refuse "were made on test"
	grep -q '"choices_on_test": false' run/summary.json || fail "$flags: the summary says that choices were made on test"
	mv run "run $flags"
done
