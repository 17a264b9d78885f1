# A run that was killed before its first checkpoint could neither be resumed nor begun again in its folder.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -quiet -out whole
status_is 0
mkdir run
cp whole/config.toml whole/data.json run
touch run/config.toml.123.tmp run/checkpoint.safetensors.9.tmp
run "$TRAINER" -resume run -quiet
status_is 0
cmp whole/model.safetensors run/model.safetensors || fail "the model differs"
[ -z "$(ls run | grep tmp)" ] || fail "temporary files are left"
