# Several runs (-runs) that were killed could not be continued.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -quiet -runs 3 -out whole
status_is 0
last=$(tail -n 1 <<<"$out")
cp -r whole killed
rm -r killed/summary.json killed/seed-1/summary.json killed/seed-1/model.safetensors killed/seed-1/checkpoint.safetensors killed/seed-2
run "$TRAINER" -resume killed -quiet
status_is 0
expect "$last"
for n in 0 1 2; do
	cmp whole/seed-$n/model.safetensors killed/seed-$n/model.safetensors || fail "the model of seed $n differs"
done
