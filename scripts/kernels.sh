#!/bin/sh
# Compiles kernels/*.cu to the PTX and the cubins that package kernels embeds, packed in kernels/code, and checks the PTX
# with ptxas for every architecture; see kernels/README.md.
#
#   scripts/kernels.sh            write kernels/code, kernels/manifest.json, kernels/resources.tsv and kernels/names.go
#   scripts/kernels.sh --check    fail if these files are out of date; if the compiler's wheels cannot be
#                                 downloaded, say so and succeed
#   scripts/kernels.sh --unpack DIR   write the PTX and the cubins in kernels/code to a folder
#
# Needs Linux on x86-64, Go, and Python 3.9 or later with pip. No GPU, driver or CUDA toolkit.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
package=$root/kernels
go=${GO:-go}

# pack ARGUMENTS... packs code, or unpacks it.
pack() { (cd "$root" && "$go" run ./kernels/generate/pack "$@"); }

check=0
case "${1:-} $#" in
' 0') ;;
'--check 1') check=1 ;;
'--unpack 2')
	mkdir -p "$2"
	pack -x "$package/code" "$(cd "$2" && pwd)"
	exit
	;;
*)
	echo "kernels.sh: invalid arguments $*; use --check, --unpack DIR or nothing" >&2
	exit 2
	;;
esac

wheels=$package/generate/wheels.txt
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

# The name of the virtual environment depends on the pins, so that a new pin makes a new one.
pins=$(cksum <"$wheels" | tr -c '0-9\n' -)
venv=$root/.venv/kernels-$pins

if [ ! -e "$venv/complete" ]; then
	rm -rf "$venv"
	python3 -m venv "$venv"
	if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
		--require-hashes --requirement "$wheels" 2>"$temp/pip.log"; then
		rm -rf "$venv"
		tail -n 1 "$temp/pip.log" >&2
		if [ $check = 1 ]; then
			echo 'kernels.sh: the wheels cannot be had: the code was not checked' >&2
			exit 0
		fi
		echo 'kernels.sh: the wheels cannot be had' >&2
		exit 1
	fi
	touch "$venv/complete"
fi

PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" "$package/generate/compile.py" "$package" "$temp/out"
gofmt -w "$temp/out/names.go"

if [ $check = 0 ]; then
	mv "$temp/out/code" "$temp/code"
	pack "$temp/code" "$temp/out/code"
	rm -rf "$package/code"
	cp -R "$temp/out/." "$package/"
	exit
fi
# The manifest has the hashes of the code, which go test ./kernels compares: another version of the compressor may pack differently.
for name in manifest.json resources.tsv names.go; do
	if ! diff -r -q "$package/$name" "$temp/out/$name" >"$temp/diff"; then
		head -n 20 "$temp/diff" >&2
		echo "kernels.sh: kernels/$name is not current: run scripts/kernels.sh" >&2
		exit 1
	fi
done
