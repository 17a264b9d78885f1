#!/usr/bin/env bash
# Writes the page of trainer serve as static files, with the engine as WebAssembly: see docs/serve.md.
#
#   scripts/site.sh FOLDER [MODEL]    MODEL is a model for MNIST's pictures; without it, mnist-basic is trained
set -euo pipefail
[ $# -ge 1 ] || { echo 'usage: site.sh FOLDER [MODEL]' >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
model=${2:+$(realpath "$2")}
cd "$(dirname "$0")/.."

go=${GO:-go}
web=cmd/trainer/internal/serve/web
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# The engine. wasm_exec.js is of the same release of Go as the compiler.
GOOS=js GOARCH=wasm CGO_ENABLED=0 $go build -trimpath -ldflags '-s -w' -o "$made/engine.wasm" ./cmd/trainer/internal/site/wasm
gzip -9 -n -c "$made/engine.wasm" >"$out/engine.wasm.gz"
$go tool esbuild $web/src/site/worker.js --bundle --minify --format=iife --target=es2022 --charset=utf8 --log-level=warning --outfile="$made/worker.js"
$go tool esbuild "$($go env GOROOT)/lib/wasm/wasm_exec.js" --minify --target=es2022 --log-level=warning --outfile="$made/wasm_exec.js"
cat "$made/wasm_exec.js" "$made/worker.js" >"$out/worker.js"

# The page. Only the module that carries requests differs from that of trainer serve.
[ -d $web/node_modules ] || GO=$go ./scripts/web.sh
$go tool esbuild $web/src/main.js --bundle --minify --format=esm --target=es2022 --charset=utf8 --log-level=warning --alias:connection=./$web/src/connection/worker.js --outfile="$out/app.js"
cp $web/dist/app.css $web/dist/umap.js "$out/"
policy="default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'"
sed "s|<meta charset=\"utf-8\">|&\n<meta http-equiv=\"Content-Security-Policy\" content=\"$policy\">|" $web/dist/index.html >"$out/index.html"

# The text.
mkdir -p "$out/text/figures"
cp docs/backpropagation*.md "$out/text/"
cp docs/figures/mnist-basic*.svg docs/figures/mnist-basic*.png docs/figures/cifar10-basic.svg "$out/text/figures/"

# The pictures, a trained model, and the licences.
mkdir -p "$out/mnist"
$go run ./cmd/trainer/internal/site/pictures "$out/mnist"
if [ -z "$model" ]; then
	$go run ./cmd/trainer -recipe mnist-basic -device cpu -quiet -out "$made/run"
	model=$made/run/model.safetensors
fi
[ "$model" -ef "$out/model.safetensors" ] || cp "$model" "$out/model.safetensors"
cp nn/data/mnist/README.md "$out/mnist/README.md"
cat LICENSE NOTICE $web/LICENSES >"$out/LICENSES.txt"

size=0
for file in $(cd "$out" && find . -type f ! -name '*.txt' ! -name README.md); do
	size=$((size + $(gzip -9 -c "$out/$file" | wc -c)))
done
echo "$out: $size bytes compressed"
[ "$size" -le 8000000 ] || { echo 'site.sh: want at most 8000000 bytes' >&2; exit 1; }
