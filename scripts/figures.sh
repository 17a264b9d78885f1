#!/usr/bin/env bash
# Draws the figures in docs/figures: the architecture of the built-in recipes' networks, and
# what the teaching network for MNIST has learnt. Needs ./trainer (make build) or the
# program named in TRAINER; trains for a minute.
set -euo pipefail
cd "$(dirname "$0")/.."

trainer=${TRAINER:-./trainer}
out=docs/figures
mkdir -p "$out"

for recipe in mnist-basic mnist cifar10-basic cifar10; do
  "$trainer" draw network -recipe "$recipe" -o "$out/$recipe.svg"
done

run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
"$trainer" -recipe mnist-basic -seed 0 -device cpu -quiet -out "$run/mnist-basic"
"$trainer" draw run -device cpu -o "$run/figures" "$run/mnist-basic" >/dev/null
for figure in filters features predictions; do
  cp "$run/figures/$figure.png" "$out/mnist-basic-$figure.png"
done

"$trainer" lr -device cpu -quiet -out "$run/lr" >/dev/null
cp "$run/lr/lr.png" "$out/lr-mnist.png"
"$trainer" tune -recipe mnist-basic -strategy halving -trials 8 -set optimizer.lr=1e-3..1 -set batch=32,64,128 \
  -device cpu -quiet -out "$run/tune" >/dev/null
cp "$run/tune/tune.png" "$out/tune-mnist-basic.png"
