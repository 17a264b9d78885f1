#!/usr/bin/env bash
# Writes NOTICE: the licences of everything that is linked into the program, on any system.
#
#   scripts/notice.sh            write NOTICE
#   scripts/notice.sh --check    fail if NOTICE is not what would be written
#
# The modules are those of the packages that ./cmd/trainer needs, with CUDA and without; their licences are the files of
# that name in the modules' folders. A module without such a file is an error. Then come those of the libraries of the page of
# trainer serve.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
export LC_ALL=C

# modules prints path, version and folder of every linked module.
modules() {
	local system format='{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}'
	{
		for system in linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 windows/amd64; do
			CGO_ENABLED=0 GOOS=${system%/*} GOARCH=${system#*/} $go list -deps -f "$format" ./cmd/trainer
		done
		CGO_ENABLED=1 GOOS=linux GOARCH=amd64 $go list -deps -tags cuda -f "$format" ./cmd/trainer
	} | sed '/^$/d' | sort -u
}

# licences prints the files with a module's licences.
licences() {
	find "$1" -maxdepth 2 -type f \( -iname '*LICEN[SC]E*' -o -iname 'COPYING*' -o -iname 'NOTICE*' -o -path '*/licenses/*' \) \
		! -name '*.go' ! -path '*/testdata/*' ! -path '*/_*' | sort
}

# text prints one licence, indented.
text() { sed 's/\r$//; s/[[:space:]]*$//; s/^\(.\)/    \1/' "$1"; }

write() {
	local path version folder file found
	cat <<-'END'
		trainer is distributed under the licence in LICENSE. The program contains the following software of others, under the
		licences below. scripts/notice.sh writes this file.

	END
	printf '%s\n\n' "==== Go standard library and runtime"
	text "$($go env GOROOT)/LICENSE"
	modules | while read -r path version folder; do
		printf '\n==== %s %s\n' "$path" "$version"
		found=0
		for file in $(licences "$folder"); do
			printf '\n---- %s\n\n' "${file#"$folder"/}"
			text "$file"
			found=1
		done
		[ $found -eq 1 ] || { echo "notice.sh: no licence in $folder" >&2; exit 1; }
	done
	cat cmd/trainer/internal/serve/web/LICENSES # of the page's libraries; scripts/web.sh writes it
}

new=$(mktemp)
trap 'rm -f "$new"' EXIT
write >"$new"
if [ "${1:-}" = --check ]; then
	diff -u NOTICE "$new" >&2 || { echo 'notice.sh: NOTICE is not current: run scripts/notice.sh' >&2; exit 1; }
	exit
fi
cp "$new" NOTICE
chmod 644 NOTICE
