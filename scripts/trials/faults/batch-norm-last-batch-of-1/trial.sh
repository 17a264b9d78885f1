# One value per channel has no variance: batch normalisation turned it into 0, and its running variance shrank to
# nothing without a word. A last batch that is much smaller than the others is left out, which a line says.
digits "$PWD/pics" 2 9 train test
run "$TRAINER" -device cpu -data pics -recipe "$INPUT/norm.toml" -batch 1 -epochs 2 -out one
status_is 2
expect "layer norm1: a batch of 1 has one value per channel to normalise"
one_line
[ ! -e one ] || fail "the refused run left a folder"

run "$TRAINER" -device cpu -data pics -recipe "$INPUT/norm.toml" -batch 17 -epochs 2 -set last-batch=keep -out keep
status_is 2
expect 'use last-batch = "drop"'
one_line

run "$TRAINER" -device cpu -data pics -recipe "$INPUT/norm.toml" -batch 17 -epochs 2 -out drop
status_is 0
expect "each epoch leaves out its last batch, of 1 image,"
expect "2 steps"

run "$TRAINER" -device cpu -data pics -recipe "$INPUT/norm.toml" -batch 16 -epochs 2 -set drop-last=false -out kept
status_is 0
refuse "leaves out"
expect "4 steps"
