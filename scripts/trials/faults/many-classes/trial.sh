# The matrix of answers takes the square of the number of classes: 80 GB for 100,000. Above 2,048 there is none.
digits "$PWD/one" 1 1
mv one/0/*.png one.png
seq -f 'many/train/c%.0f' 3000 >folders
seq -f 'many/test/c%.0f' 3000 >>folders
xargs mkdir -p <folders
# shellcheck disable=SC2016 # the inner shell expands it
sed 's|$|/1.png|' folders | xargs -n 500 sh -c 'tee "$@" <one.png >/dev/null' tee
cat >many.toml <<'END'
name = "many"
epochs = 0.01
batch = 8
[loss]
kind = "cross-entropy"
[optimizer]
kind = "sgd"
lr = 0.1
[[network]]
layer = "flatten"
[[network]]
layer = "dense"
out = "classes"
END
memory_below 250 "$TRAINER" -data many -recipe many.toml -device cpu -out run
status_is 0
run "$TRAINER" draw run run
status_is 0
expect 'no confusion matrix for 3000 classes'
