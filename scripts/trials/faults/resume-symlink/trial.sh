# -resume followed a link at metrics.jsonl out of the run's folder, and emptied its target.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -quiet -out run
status_is 0
echo precious >victim
for name in metrics.jsonl .lock checkpoint.safetensors config.toml data.json summary.json model.safetensors; do
	rm -rf linked
	cp -r run linked
	ln -sf ../victim "linked/$name"
	run "$TRAINER" -resume linked -quiet
	[ "$(cat victim)" = precious ] || fail "the target of $name was changed"
done
rm -rf linked
cp -r run linked
ln -s ../elsewhere linked/figures
mkdir elsewhere
run "$TRAINER" draw run linked
status_is 2
[ -z "$(ls elsewhere)" ] || fail "pictures were written out of the folder"
