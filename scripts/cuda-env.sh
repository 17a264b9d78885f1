#!/bin/sh
# Sets what `go build -tags cuda` needs to compile gorgonia.org/cu without a CUDA toolkit: the
# folders with the headers and with empty archives for -lcuda, -lcublas and -lcudnn. For sh:
#
#   . scripts/cuda-env.sh           in this shell, from the root of the repository
#   eval "$(scripts/cuda-env.sh)"   the same, from anywhere
#
# Run as a program, it prints the lines to evaluate. Flags that are already set are kept, and
# running it twice changes nothing.

case "${0##*/}" in
cuda-env.sh) trainer_root=$(cd "$(dirname "$0")/.." && pwd) ;;
*) trainer_root=$PWD ;;
esac
trainer_cuda=$trainer_root/gpu/internal/cuda

if [ ! -f "$trainer_cuda/include/cuda.h" ]; then
	echo "cuda-env.sh: $trainer_cuda/include/cuda.h is missing: source this from the root of the repository" >&2
else
	# Go's build cache doesn't check the folder with the headers. A checksum of the headers among
	# the flags makes Go compile again when they change.
	trainer_sum=$(cat "$trainer_cuda"/include/*.h | cksum | cut -d ' ' -f 1)
	trainer_cflags="'-I$trainer_cuda/include' -DTRAINER_CUDA_HEADERS=$trainer_sum"
	trainer_ldflags="'-L$trainer_cuda/lib' -Wl,--as-needed"
	case "${CGO_CFLAGS-}" in
	*"$trainer_cflags"*) ;;
	*) CGO_CFLAGS="${CGO_CFLAGS:--O2 -g} $trainer_cflags" ;;
	esac
	case "${CGO_LDFLAGS-}" in
	*"$trainer_ldflags"*) ;;
	*) CGO_LDFLAGS="${CGO_LDFLAGS:--O2 -g} $trainer_ldflags" ;;
	esac
	export CGO_CFLAGS CGO_LDFLAGS
	case "${0##*/}" in
	cuda-env.sh) printf 'export CGO_CFLAGS="%s"\nexport CGO_LDFLAGS="%s"\n' "$CGO_CFLAGS" "$CGO_LDFLAGS" ;;
	esac
	unset trainer_sum trainer_cflags trainer_ldflags
fi
unset trainer_root trainer_cuda
