# Pipes, devices and sockets given as files were waited for, without hearing a signal.
mkfifo pipe.toml
mkdir idx run
for f in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do mkfifo "idx/$f-ubyte"; done
mkfifo run/checkpoint.safetensors run/config.toml
for arguments in '-recipe pipe.toml' '-recipe /dev/zero' '-data cifar10 -data-dir pipe.toml' '-data cifar10 -data-dir /dev/zero' \
	'-data mnist -data-dir idx' '-data pipe.toml' '-data /dev/zero' '-resume run' '-resume pipe.toml'; do
	# shellcheck disable=SC2086 # the words are arguments
	run timeout 10 "$TRAINER" $arguments -dry-run
	[ "$status" -ne 0 ] && [ "$status" -ne 124 ] || fail "$arguments: status $status"
	one_line
done
run timeout 10 "$TRAINER" draw run run
status_is 2
expect 'not a regular file'
