# Names of files, classes, recipes and archives reached the terminal with their escape sequences and line breaks.
name=$'x\e]0;pwned\a\e[31mRED\nforged'
digits "$PWD/data$name" 2 5
mv "data$name/0" "data$name/0$name"
echo nothing >"data$name/1/bad$name.png"
sed 's/^name = .*/name = "x\\u001b[31m"/' <("$TRAINER" recipe mnist-basic) >"recipe$name.toml"
clean() {
	[[ $out != *$'\e'* && $out != *$'\a'* && $out != *$'\nforged'* ]] || fail 'a name was shown as it is'
}
run "$TRAINER" -data "data$name" -recipe mnist-basic -epochs 1 -batch 2 -device cpu -out run
status_is 0
clean
expect 'skipped '
run "$TRAINER" -data "data$name" -recipe mnist-basic -epochs 1 -batch 2 -device cpu -json -out json
status_is 0
clean
for arguments in "-recipe|recipe$name.toml" "-data|$name" "-data-dir|$name" "-device|$name" "-$name" "$name" "-set|$name=1" "-resume|$name" \
	"draw|run|$name" "draw|network|-o|$name.gif" "recipe|$name"; do
	mapfile -td '|' list < <(printf '%s' "$arguments")
	run "$TRAINER" "${list[@]}"
	[ "$status" -ne 0 ] || fail "$arguments: status 0"
	clean
done
run "$TRAINER" draw run run
status_is 0
clean
run "$TRAINER" -data cifar10 -data-dir "$INPUT/esc.tgz" -dry-run
status_is 2
clean
