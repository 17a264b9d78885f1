# The matrix of answers takes the square of the number of classes: 80 GB for 100,000. Above 2,048 there is none.
digits "$PWD/one" 1 1
for i in $(seq 3000); do mkdir -p "many/c$i" && ln one/0/*.png "many/c$i/1.png"; done
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
