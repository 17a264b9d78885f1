# Training images that grow over the epochs: a network for one size only is refused with its place, a run stopped in any epoch
# ends as one that was not, and other sizes are refused when it is resumed.
cat >grow.toml <<'RECIPE'
name = "grow"
epochs = 3
batch = 16
resolution = [[0, 14], [1, 20], [2, 28]]

[loss]
kind = "cross-entropy"

[optimizer]
kind = "adam"
lr = 0.01

[evaluate]
views-share = 0.25
views = [{}, { mirror = true }]

[[network]]
layer = "conv2d"
out = 4
kernel = 3

[[network]]
layer = "batch-norm"

[[network]]
layer = "global-max-pool"

[[network]]
layer = "dense"
out = "classes"
RECIPE
digits "$PWD/data" 3 40
train() { run "$TRAINER" -device cpu -data data -val 0.2 "$@"; }

sed 's/global-max-pool/flatten/' grow.toml >flat.toml
train -recipe flat.toml -dry-run
status_is 2
expect 'images of 14x14 (resolution = 14): flat.toml:28: layer dense1: dense1.weight is'
expect 'use global pooling before dense layers'

train -recipe grow.toml -set 'resolution=[[0, 64]]' -dry-run
status_is 2
expect 'resolution: 64 pixels from epoch 0 on, want 1 to 28'

train -recipe grow.toml -dry-run
status_is 0
expect 'from epoch 1 on: training images of 20x20'

train -recipe grow.toml -out whole -quiet
status_is 0
# Interrupted by a step of the first epoch, and as late as it comes.
for seconds in 0.2 0.6; do
	rm -rf part
	run timeout -s INT "$seconds" "$TRAINER" -device cpu -data data -val 0.2 -recipe grow.toml -out part -checkpoint-every 2steps -quiet
	[ -f part/config.toml ] || continue # it had not begun
	while [ ! -f part/model.safetensors ] || ! grep -q '"complete": *true' part/summary.json; do
		run "$TRAINER" -resume part -quiet
		status_is 0
	done
	cmp whole/model.safetensors part/model.safetensors || fail 'stopped and resumed, the weights differ'
done
