# A folder is trained with the recipe photos, at a size that its pictures decide; config.toml has size and batch as numbers.
digits "$PWD/data" 2 10
run "$TRAINER" -device cpu -data data -dry-run
status_is 0
expect "resized to 64x64 by crop"
expect "Memory is for a batch of 8"
run "$TRAINER" -device cpu -data data -epochs 1 -set data.size=16 -out run
status_is 0
expect "resized to 16x16 by crop"
grep -q '^batch = 8$' run/config.toml || fail "config.toml has no batch"
run "$TRAINER" -device cpu -data data -epochs 1 -out auto
status_is 0
grep -q '^size = \[64, 64\]$' auto/config.toml || fail "config.toml has no size"
