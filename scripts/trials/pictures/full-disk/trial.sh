# A full disk is the machine's failure, not the user's: status 1.
digits "$PWD/pictures" 2 8
cat >small.sh <<-'END'
	mkdir disk
	mount -t tmpfs -o size=16k none disk || exit 77
	"$TRAINER" -device cpu -recipe "$TRAINER_ROOT/scripts/trials/pictures/tiny.toml" -data pictures -out disk/run
END
run unshare --user --map-root-user --mount bash -c 'source ./small.sh'
if [ "$status" -eq 77 ] || [[ $out == *unshare:* ]]; then
	exit 0 # this machine lets no user mount a small disk
fi
status_is 1
expect "no space left on device"
