# A finished run is made longer: the new course of the learning rate is said, the configuration has both numbers of epochs,
# and the result is that of a run of that length if the schedule doesn't depend on it. Shorter than done is refused.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -epochs 2 -quiet -out run
status_is 0
run "$TRAINER" -resume run -epochs 4 -quiet
status_is 0
expect "steps instead of"
expect "continues with 0.05 and ends with 0.05"
run "$TRAINER" -device cpu -data data -recipe tiny.toml -epochs 4 -quiet -out long
status_is 0
run cat run/config.toml
expect "epochs = 4"
expect "planned-epochs = 2"
run "$TRAINER" -resume run -epochs 3 -quiet
status_is 2
one_line
expect "the run has done 4 already"
"$TRAINER" export run -o run.onnx >/dev/null && "$TRAINER" export long -o long.onnx >/dev/null || fail "the export failed"
run "$TRAINER" evaluate run -json
first=$(printf '%s' "$out" | grep -o '"loss":[0-9.e-]*' | head -1)
run "$TRAINER" evaluate long -json
[ -n "$first" ] || fail "no loss"
expect "$first"
