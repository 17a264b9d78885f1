# The program's own folder of results became a class.
digits "$PWD/pictures" 2 8
cd pictures
for _ in 1 2; do
	run "$TRAINER" -device cpu -recipe "$TRAINER_ROOT/scripts/trials/pictures/tiny.toml" -data .
	status_is 0
	sleep 1.1 # the folder's name has the time
done
expect "2 classes, 16 gray pictures"
