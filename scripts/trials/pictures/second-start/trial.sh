# The second start decoded every picture again. It now believes the index, and must be the same training nevertheless.
digits "$PWD/pictures" 3 12
digits "$PWD/set" 2 10
digits "$PWD/other" 2 11
export XDG_CACHE_HOME=$PWD/cache # of indexes; the cache of go run is another one
find pictures -type f -exec touch -d '2 days ago' {} +
tiny pictures
status_is 0
mv run cold
tiny pictures
status_is 0
cmp run/model.safetensors cold/model.safetensors || fail "the index changes the bits of the training"
mv run warm
run "$TRAINER" evaluate -device cpu warm
status_is 0
expect "accuracy"
# A file that is damaged without a trace is named during the training and in its folder, and the training ends well.
file=pictures/1/$(ls pictures/1 | head -n 1)
head -c "$(stat -c %s "$file")" /dev/zero >damaged
touch -r "$file" damaged
cp -p damaged "$file"
tiny pictures
status_is 0
expect "skipped $file"
grep -q "$file" run/skipped.txt || fail "skipped.txt doesn't name the file"
mv run damaged-run
# So is one that has other pixels: the index is removed, and the next start finds out what is true.
[ "$(ls cache/trainer/index | wc -l)" -eq 2 ] || fail "the index has $(ls cache/trainer/index)"
touch -d '1 day ago' "$file"
tiny pictures
status_is 0
expect "skipped $file"
# Archives have an index, too. It counts until the archive has another size or time of change.
rm -r cache run
tar -cf set.tar set && tar -czf set.tgz set
touch -d '2 days ago' set.tar set.tgz
for archive in set.tar set.tgz; do
	for start in cold warm; do
		tiny $archive
		status_is 0
		mv run $archive-$start
	done
	cmp $archive-cold/model.safetensors $archive-warm/model.safetensors || fail "$archive: the index changes the bits"
	run "$TRAINER" evaluate -device cpu $archive-warm
	status_is 0
done
[ "$(ls cache/trainer/index | wc -l)" -eq 4 ] || fail "the indexes are $(ls cache/trainer/index)"
run "$TRAINER" data set.tgz
status_is 0
expect "formats: 20 png"
tar -czf set.tgz other
touch -d '1 day ago' set.tgz
tiny set.tgz -dry-run
status_is 0
expect "2 classes, 22 gray pictures"
run "$TRAINER" -resume set.tgz-warm -epochs 5
status_is 2
expect "the data is not that of the run"
