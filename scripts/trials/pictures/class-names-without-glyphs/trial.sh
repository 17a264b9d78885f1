# Names in scripts that the figures' font lacks were left blank without a word.
digits "$PWD/pictures" 2 8
mv pictures/0 pictures/猫 && mv pictures/1 pictures/कुत्ता
tiny pictures
status_is 0
run "$TRAINER" draw run -o drawn run
status_is 0
if ! fc-list :lang=zh 2>/dev/null | grep -q .; then
	expect "number"
fi
