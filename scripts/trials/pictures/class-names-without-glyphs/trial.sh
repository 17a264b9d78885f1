# Names in scripts that the figures' font lacks were left blank without a word.
digits "$PWD/pictures" 2 8
mv pictures/0 pictures/猫 && mv pictures/1 pictures/قطة
tiny pictures
status_is 0
# Without fonts on the system, numbers stand for the names in PNG figures, and one line says so.
export HOME=$PWD XDG_DATA_HOME=$PWD/none
run env XDG_DATA_DIRS="$PWD/none" "$TRAINER" draw run -o drawn run
status_is 0
expect "no font on this system has the characters of the class قطة"
[ "$(cat drawn/classes.txt)" = "$(printf '0\tقطة\n1\t猫')" ] || fail "the legend is $(cat drawn/classes.txt)"
run env XDG_DATA_DIRS="$PWD/none" "$TRAINER" draw run -o vector -format svg run
status_is 0
refuse "no font"
run env XDG_DATA_DIRS="$PWD/none" "$TRAINER" evaluate -device cpu -figures measured run
status_is 0
expect "no font on this system"
# With a font of the system that has the characters, the names are drawn.
mkdir -p data/fonts
cp "$TRAINER_ROOT/cmd/trainer/internal/figure/testdata/dejavu-subset.ttf" data/fonts/
mv pictures/猫 pictures/მ
rm -r run
tiny pictures
status_is 0
run env XDG_DATA_DIRS="$PWD/data" "$TRAINER" draw run -o named run
status_is 0
refuse "no font"
[ ! -e named/classes.txt ] || fail "there is a legend"
