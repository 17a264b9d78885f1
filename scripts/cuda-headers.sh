#!/bin/sh
# Regenerates the headers, trampolines and status tables of gpu/internal/cuda from the wheels
# that generate/wheels.txt pins (1.2 GB; only their headers are kept, in the cache folder).
#
#   scripts/cuda-headers.sh           write them
#   scripts/cuda-headers.sh --check   fail if the committed files are out of date; if the wheels cannot be
#                                     downloaded, say so and succeed
#
# Needs Linux on x86-64, Go, a C compiler, and Python 3.9 or later with pip.
set -eu

check=0
case "${1:-}" in
'') ;;
--check) check=1 ;;
*)
	echo "cuda-headers.sh: unknown argument $1; use --check or nothing" >&2
	exit 2
	;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
package=$root/gpu/internal/cuda
wheels=$package/generate/wheels.txt
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

# The name of the cache folder depends on the pins, so that a new pin makes a new folder.
pins=$(cksum <"$wheels" | tr -c '0-9\n' -)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trainer/cuda-headers-$pins

if [ ! -d "$cache" ]; then
	if ! python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes \
		--requirement "$wheels" --dest "$temp/wheels" 2>"$temp/pip.log"; then
		tail -n 1 "$temp/pip.log" >&2
		if [ $check = 1 ]; then
			echo 'cuda-headers.sh: the wheels cannot be had: the headers were not checked' >&2
			exit 0
		fi
		echo 'cuda-headers.sh: the wheels cannot be had' >&2
		exit 1
	fi
	python3 "$package/generate/extract.py" "$temp/wheels" "$temp/headers"
	mkdir -p "$(dirname "$cache")"
	mv "$temp/headers" "$cache"
fi

gorgonia=$(cd "$root" && go list -m -f '{{.Dir}}' gorgonia.org/cu)
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$cache/python \
	python3 "$package/generate/gen.py" "$gorgonia" "$package" "$cache" "$temp/out"
gofmt -w "$temp/out/status_names.go"

if [ $check = 0 ]; then
	cp -R "$temp/out/." "$package/"
	exit
fi
for file in include/cuda.h include/cublas_v2.h include/cudnn.h trampolines.h status_names.go; do
	if ! diff -u "$package/$file" "$temp/out/$file" >"$temp/diff"; then
		head -n 20 "$temp/diff" >&2
		echo "cuda-headers.sh: gpu/internal/cuda/$file is not current: run scripts/cuda-headers.sh" >&2
		exit 1
	fi
done
echo 'cuda-headers.sh: the headers are current'
