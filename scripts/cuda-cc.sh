#!/bin/sh
# Prints the C compiler that builds the CUDA device: $CC, cc, gcc or clang, whichever works first.
# If the device can't be built, it prints nothing on standard output, gives the reason in one line
# on standard error, and fails. CUDA=0 selects a build without the device.

fail() {
	echo "$*" >&2
	exit 1
}

go=${GO:-go}
[ "${CUDA-}" != 0 ] || fail 'CUDA=0 was given'
system=$($go env GOOS)
architecture=$($go env GOARCH)
case $system/$architecture in
linux/amd64 | linux/arm64) ;;
*) fail "it is there for Linux on amd64 and arm64, this is $system on $architecture" ;;
esac

temp=$(mktemp -d) || exit 1
trap 'rm -rf "$temp"' EXIT
printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$temp/main.c"
for compiler in "${CC-}" cc gcc clang; do
	# $CC may hold flags, as in "ccache gcc".
	if [ -n "$compiler" ] && $compiler -o "$temp/main" "$temp/main.c" >/dev/null 2>&1; then
		# If no compiler is named, Go turns cgo off when gcc is missing, and in a cross build.
		[ "$(CC=$compiler $go env CGO_ENABLED)" = 1 ] || fail 'cgo is off: CGO_ENABLED=0, or a build for another machine'
		echo "$compiler"
		exit
	fi
done
fail 'there is no C compiler that works (tried $CC, cc, gcc and clang)'
