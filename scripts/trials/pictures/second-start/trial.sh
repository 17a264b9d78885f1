# The second start decoded every picture again. It now believes the index, and must be the same training nevertheless.
digits "$PWD/pictures" 3 12
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
