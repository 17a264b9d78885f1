# A recipe's name became a path: ../PWNED.png was written, and files were overwritten.
sed 's/^name = .*/name = "..\/PWNED"/' <("$TRAINER" recipe mnist-basic) >evil.toml
mkdir inside
cd inside
run "$TRAINER" draw network -recipe ../evil.toml
status_is 2
expect 'name: want 1 to 100 printable characters'
[ ! -e ../PWNED.png ] || fail 'a picture was written outside'

# A name that nobody gave replaces nothing; one that was given does.
echo precious >mnist-basic.png
run "$TRAINER" draw network -recipe mnist-basic
status_is 2
expect 'mnist-basic.png exists already: to replace it, pass -o mnist-basic.png'
[ "$(cat mnist-basic.png)" = precious ] || fail 'a file was overwritten'
ln -s mnist-basic.png link.svg
run "$TRAINER" draw network -recipe mnist-basic -o link.svg
status_is 0
[ "$(cat mnist-basic.png)" = precious ] || fail 'a link was followed'
