# Two processes wrote to one run's folder, and its metrics became unreadable.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
begin run
run "$TRAINER" -resume run -quiet
status_is 2
one_line
expect "another process is using it"
run "$TRAINER" -device cpu -data data -recipe tiny.toml -quiet -out run
status_is 2
# A killed process leaves no lock.
stop KILL
timeout -s INT 1 "$TRAINER" -resume run -quiet >log 2>&1
grep -q "interrupted; to continue" log || { out=$(cat log); fail "the lock of a killed process is still there"; }
