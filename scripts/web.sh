#!/usr/bin/env bash
# Bundles the page of trainer serve: cmd/trainer/internal/serve/web becomes web/dist, which is part of the program.
#
#   scripts/web.sh            write web/dist
#   scripts/web.sh --check    fail if web/dist is not what would be written, or is larger than 400 KB compressed
#
# esbuild is a tool of go.mod, so that neither needs Node.
set -euo pipefail
cd "$(dirname "$0")/../cmd/trainer/internal/serve/web"

go=${GO:-go}
dist=dist
if [ "${1:-}" = --check ]; then
	dist=$(mktemp -d)
	trap 'rm -rf "$dist"' EXIT
fi
$go tool esbuild src/main.js --bundle --minify --format=esm --target=es2022 --charset=utf8 --log-level=warning --outfile="$dist/app.js"
$go tool esbuild app.css --minify --log-level=warning --outfile="$dist/app.css"
cp index.html "$dist/index.html"
if [ "${1:-}" = --check ]; then
	diff -rq dist "$dist" >&2 || { echo 'web.sh: web/dist is not current: run make web' >&2; exit 1; }
	size=$(cat dist/* | gzip -9 | wc -c)
	[ "$size" -le 409600 ] || { echo "web.sh: web/dist takes $size bytes compressed, want at most 409600" >&2; exit 1; }
fi
