# Sizes whose product no memory can hold ended in an internal error (makeslice), or in pages of Go's own messages.
try() {
	{
		printf '%s\n' 'name = "x"' 'epochs = 1' 'batch = 8' '[loss]' 'kind = "cross-entropy"' '[optimizer]' 'kind = "sgd"' 'lr = 0.1'
		printf '[[network]]\n%s\n' "$2"
		printf '[[network]]\nlayer = "%s"\n' flatten
		printf '[[network]]\n%s\n' 'layer = "dense"
out = "classes"'
	} >"$1.toml"
	run "$TRAINER" -recipe "$1.toml" -device cpu -dry-run
	status_is 2
	one_line
	expect "$3"
	expect "needs at most 2147483647 values"
	refuse internal
}
big=16777216
try kernel 'layer = "conv2d"
out = '$big'
kernel = ['$big', '$big']
padding = '$big conv1
try padding 'layer = "conv2d"
out = 1
kernel = 1
padding = '$big conv1
try stride 'layer = "conv2d-transpose"
out = 1
kernel = 1
stride = '$big conv-transpose1
try pool 'layer = "avg-pool2d"
kernel = ['$big', '$big']
stride = 1
padding = 16777215' pool1
try units 'layer = "flatten"
[[network]]
layer = "dense"
out = '$big dense1
