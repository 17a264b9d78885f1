#!/usr/bin/env bash
# Bundles the page of trainer serve: cmd/trainer/internal/serve/web becomes web/dist, which is part of the program.
#
#   scripts/web.sh            write web/dist, web/LICENSES and web/sources.sha256
#   scripts/web.sh --check    fail if they are not what would be written, or if web/dist is larger than 400 KB compressed
#
# esbuild is a tool of go.mod. The libraries of package.json come from npm, in the versions and with the checksums of
# package-lock.json. Without npm, --check compares the sources with the checksum that was written with web/dist.
set -euo pipefail
cd "$(dirname "$0")/../cmd/trainer/internal/serve/web"

go=${GO:-go}
export LC_ALL=C

# sources prints the checksum of everything that web/dist is made of.
sources() { find src app.css index.html package.json package-lock.json -type f | sort | xargs sha256sum | sha256sum | cut -d' ' -f1; }

# libraries makes node_modules what package-lock.json says.
libraries() {
	command -v npm >/dev/null || return 1
	cmp -s package-lock.json node_modules/.lock && return 0
	timeout 120 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || return 1
	cp package-lock.json node_modules/.lock
}

# licences prints the licences of the libraries that the bundle contains, each once.
licences() {
	local folder files title printed=
	for folder in node_modules/@*/* node_modules/[!@.]* node_modules/*/node_modules/*; do
		[ -f "$folder/package.json" ] || continue # no library has libraries of its own
		title="$(sed -n 's/^ *"name": "\(.*\)",*$/\1/p' "$folder/package.json" | head -1) $(sed -n 's/^ *"version": "\(.*\)",*$/\1/p' "$folder/package.json" | head -1)"
		case "$printed" in *"|$title|"*) continue ;; esac
		printed="$printed|$title|"
		printf '\n==== %s (npm)\n\n' "$title"
		files=("$folder"/LICENSE*)
		{
			cat "${files[0]}"
			case "$title" in # a translation of a program under another licence, which its source has
				'umap-js '*) sed -n '/BSD 3-Clause License/,/SUCH DAMAGE/s/^ \* \?//p' "$folder/src/umap.ts" ;;
			esac
		} | sed 's/\r$//; s/[[:space:]]*$//; s/^\(.\)/    \1/'
	done
}

# bundle writes the bundle, and the files beside it, to a folder.
bundle() {
	mkdir -p "$1/dist"
	$go tool esbuild src/main.js --bundle --minify --format=esm --target=es2022 --charset=utf8 --log-level=warning --alias:connection=./src/connection/server.js --outfile="$1/dist/app.js"
	$go tool esbuild src/umap.js --bundle --minify --format=iife --target=es2022 --charset=utf8 --log-level=warning --outfile="$1/dist/umap.js"
	$go tool esbuild app.css --bundle --minify --log-level=warning --outfile="$1/dist/app.css"
	cp index.html "$1/dist/index.html"
	licences >"$1/LICENSES"
	sources >"$1/sources.sha256"
}

if [ "${1:-}" != --check ]; then
	libraries || { echo 'web.sh: the libraries of package.json are missing: install npm' >&2; exit 1; }
	bundle .
	exit
fi
stale() { echo 'web.sh: web/dist is not current: run make web' >&2; exit 1; }
[ "$(cat sources.sha256)" = "$(sources)" ] || stale
if libraries; then
	new=$(mktemp -d)
	trap 'rm -rf "$new"' EXIT
	bundle "$new"
	for made in dist LICENSES sources.sha256; do diff -rq $made "$new/$made" >&2 || stale; done
else
	echo 'web.sh: npm has no libraries here: only the sources are compared' >&2
fi
size=$(cat dist/* | gzip -9 | wc -c)
[ "$size" -le 409600 ] || { echo "web.sh: web/dist takes $size bytes compressed, want at most 409600" >&2; exit 1; }
