# A run was continued with another instruction set, which changes the last bits, without a word.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -quiet -out run
status_is 0
sed -i "s/^features = .*/features = 'abacus'/" run/config.toml
run "$TRAINER" -resume run -exact -quiet
status_is 2
one_line
expect "the run computed with abacus"
run "$TRAINER" -resume run -quiet
status_is 0
expect "results will not be bit-identical"
