# A run whose folder was removed made it anew at the end, without most of its files, and exited with 0.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
begin run
rm -rf run
status=0
{ wait "$child" || status=$?; } 2>/dev/null
out=$(cat begin.log)
status_is 1
expect "was removed while training"
[ ! -e run ] || fail "the folder was made anew"
