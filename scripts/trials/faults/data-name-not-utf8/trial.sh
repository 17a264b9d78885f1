# A folder whose name is not UTF-8 could be trained on, but the run could not be resumed.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
name=$'da\xffta'
mv data "$name" || exit 0 # a file system that refuses the name
run "$TRAINER" -device cpu -data "$name" -recipe tiny.toml -quiet -out run
status_is 2
one_line
expect "is not UTF-8"
[ ! -e run ] || fail "a folder was made"
