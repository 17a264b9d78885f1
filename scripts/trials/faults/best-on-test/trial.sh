# The best epoch must not be chosen by the test set, and neither may training stop by it.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
for change in weights=best stop.patience=3; do
	run "$TRAINER" -device cpu -data data -recipe tiny.toml -set $change
	status_is 2
	one_line
	expect "hold out some training images, such as a tenth (-val 0.1)"
done
[ ! -e runs ] || fail "a folder was left"
run "$TRAINER" -device cpu -data data -recipe tiny.toml -set weights=best -val 0.2 -quiet -out run
status_is 0
expect "the best on the validation set"
[ -e run/best.safetensors ] || fail "no best.safetensors"
