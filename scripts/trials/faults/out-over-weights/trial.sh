# -out replaced a model or a checkpoint in a folder without metrics.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
for name in weights.safetensors model.safetensors checkpoint.safetensors; do
	rm -rf out
	mkdir out
	echo precious >out/$name
	run "$TRAINER" -device cpu -data data -recipe tiny.toml -quiet -out out
	status_is 2
	one_line
	[ "$(cat out/$name)" = precious ] || fail "$name was replaced"
done
