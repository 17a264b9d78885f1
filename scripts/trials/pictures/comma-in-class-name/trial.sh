# A comma in the name of a class made two of it.
digits "$PWD/pictures" 2 8
mv pictures/0 'pictures/cat, black' && mv pictures/1 'pictures/"dog"'
tiny pictures
status_is 0
run "$TRAINER" draw run -o drawn run
status_is 0
run "$TRAINER" predict run 'pictures/cat, black/001.png'
status_is 0
