# trainer import refuses files that would make half a model: weights missing in the file, a recipe of another network, an
# ONNX file with an operator that no recipe can describe, which is named with its node.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -epochs 1 -quiet -out run
status_is 0
run "$TRAINER" export run -to pytorch -o torch
status_is 0
size=(-set data.size=28 -set data.grayscale=true -set 'augment.mean=[0.5]' -set 'augment.std=[0.5]')
refused() {
	run "$TRAINER" import "$@" "${size[@]}" -o model.safetensors
	status_is 2
	one_line
	[ ! -e model.safetensors ] || fail "a model was written"
}
refused torch/model_pytorch.safetensors -recipe tiny.toml -set network.0.bias=false -set 'network.4.out=7' -classes 7
expect "the model would be incomplete"
refused torch/model_pytorch.safetensors -recipe mnist
expect "nothing in it fits the network"
# Names in a file of a stranger don't reach the terminal as they are.
header='{"conv1.weight":{"dtype":"F32","shape":[4,1,3,3],"data_offsets":[0,144]},"a\u001b[31m\nforged":{"dtype":"F32","shape":[1],"data_offsets":[144,148]}}'
{ printf "\\x$(printf %x ${#header})\0\0\0\0\0\0\0%s" "$header"; head -c 148 /dev/zero; } >strange.safetensors
run "$TRAINER" -device cpu -data data -recipe tiny.toml -init-from strange.safetensors -dry-run
status_is 0
expect "loaded 1 of 4 tensors"
[[ $out != *$'\e'* && $out != *$'\nforged'* ]] || fail "a name was shown as it is"
# ModelProto 7 (graph) of a node, 1, with the name, 3, and the operator, 4.
printf '\x3a\x11\x0a\x0f\x1a\x05/attn\x22\x06Einsum' >other.onnx
refused other.onnx -recipe tiny.toml
expect 'the operator "Einsum" of its node "/attn" is not supported'
