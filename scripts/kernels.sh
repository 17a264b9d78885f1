#!/bin/sh
# Compiles kernels/*.cu to the PTX that package kernels embeds, and checks it with ptxas for
# every architecture; see kernels/README.md.
#
#   scripts/kernels.sh           write kernels/ptx, kernels/manifest.json, kernels/resources.tsv and kernels/names.go
#   scripts/kernels.sh --check   fail if these files are out of date; if the compiler's wheels cannot be
#                                downloaded, say so and succeed
#
# Needs Linux on x86-64, Go, and Python 3.9 or later with pip. No GPU, driver or CUDA toolkit.
set -eu

check=0
case "${1:-}" in
'') ;;
--check) check=1 ;;
*)
	echo "kernels.sh: unknown argument $1; use --check or nothing" >&2
	exit 2
	;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
package=$root/kernels
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
			echo 'kernels.sh: the wheels cannot be had: the PTX was not checked' >&2
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
	rm -rf "$package/ptx"
	cp -R "$temp/out/." "$package/"
	exit
fi
for name in ptx manifest.json resources.tsv names.go; do
	if ! diff -r -q "$package/$name" "$temp/out/$name" >"$temp/diff"; then
		head -n 20 "$temp/diff" >&2
		echo "kernels.sh: kernels/$name is not current: run scripts/kernels.sh" >&2
		exit 1
	fi
done
