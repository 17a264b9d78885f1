#!/usr/bin/env bash
# Builds the archives of a release: the program without CUDA for five systems, stripped, each with its licence, the
# licences of what is linked into it, the manual pages and the shells' completion; and SHA256SUMS of the archives.
#
#   scripts/dist.sh VERSION [FOLDER]    into FOLDER (dist by default), which is made anew
#
# The same tree and the same Go give the same bytes. It needs GNU tar, zip and sha256sum.
set -euo pipefail

for program in tar zip sha256sum; do
	command -v $program >/dev/null || { echo "dist: $program not found" >&2; exit 1; }
done

cd "$(dirname "$0")/.."
version=$1
out=${2:-dist}
go=${GO:-go}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

CGO_ENABLED=0 "$go" build -trimpath -ldflags "-X main.version=$version" -o "$work/host" ./cmd/trainer
"$work/host" man "$work/man"
mkdir "$work/completion"
for shell in bash zsh fish; do
	"$work/host" completion "$shell" >"$work/completion/trainer.$shell"
done

rm -rf "$out"
mkdir -p "$out"
for system in linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 windows/amd64; do
	os=${system%/*} arch=${system#*/}
	name=trainer-$version-$os-$arch
	folder=$work/$name
	mkdir "$folder"
	program=trainer
	[ "$os" != windows ] || program=trainer.exe
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch "$go" build -trimpath -ldflags "-s -w -X main.version=$version" -o "$folder/$program" ./cmd/trainer
	cp -r LICENSE NOTICE README.md "$work/man" "$work/completion" "$folder"
	find "$folder" -exec touch -d 1980-01-01T00:00:00Z {} + # the earliest that a zip can have
	if [ "$os" = windows ]; then
		(cd "$work" && find "$name" -type f | LC_ALL=C sort | TZ=UTC zip -qX@ "$name.zip")
		mv "$work/$name.zip" "$out"
	else
		tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX -cf - "$name" | gzip -n9 >"$out/$name.tar.gz"
	fi
done
(cd "$out" && sha256sum trainer-* >SHA256SUMS && cat SHA256SUMS)
