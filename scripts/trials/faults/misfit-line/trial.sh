# A layer that doesn't fit its input was reported without its place in the recipe.
tiny_recipe tiny.toml
sed -i 's/kernel = 4/kernel = 40/' tiny.toml
run "$TRAINER" -device cpu -recipe tiny.toml -data mnist -dry-run
status_is 2
expect 'tiny.toml:16: layer pool1: got an image of 26x26'

# Batches larger than the data get the value that would do.
digits "$PWD/data" 2 4
run "$TRAINER" -device cpu -recipe tiny.toml -data data -batch 64 -dry-run
status_is 2
expect 'as in -batch '

# More threads than processors wait for one another.
run "$TRAINER" -device cpu -threads 9999 -dry-run
status_is 0
expect '-threads 9999: this machine has '
