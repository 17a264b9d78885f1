# -init-from: what was loaded, what is fresh and what is left over is said in one line; a file of which nothing fits, a
# damaged one, one of another program and one of a newer version are refused in one line, before a folder is made.
digits "$PWD/data" 3 10
digits "$PWD/two" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -epochs 1 -quiet -out run
status_is 0
run "$TRAINER" -device cpu -data two -init-from run -epochs 1 -quiet -out tuned
status_is 0
expect "run: loaded 2 of 4 tensors; fresh: dense1.weight, dense1.bias (other classes)"
mv two/1 two/one # as many classes as before, and one of them is another
cp -r data other
mv other/2 other/two
run "$TRAINER" -device cpu -data other -init-from run -epochs 1 -quiet -out same-number
status_is 0
expect "(other classes)"

refused() {
	run "$TRAINER" -device cpu -data data -recipe tiny.toml "$@" -out refused
	status_is 2
	one_line
	[ ! -e refused ] || fail "a folder was left"
}
head -c 1000 run/model.safetensors >short.safetensors
refused -init-from short.safetensors
expect "damaged"
printf 'PK\3\4 a file of torch.save' >zip.safetensors
refused -init-from zip.safetensors
expect "want a safetensors file"
sed 's/"trainer.model":"1"/"trainer.model":"7"/; s/"crc32c"/"crc32x"/' run/model.safetensors >newer.safetensors
refused -init-from newer.safetensors
expect "newer version"
refused -init-from run -set network.0.out=5 -set network.0.kernel=5
expect "nothing in it fits the network"
refused -init-from https://example.com/model.safetensors
expect "-sha256"
