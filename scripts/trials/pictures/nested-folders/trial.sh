# Pictures in subfolders of a class, and behind links, were passed over without a word.
digits "$PWD/pictures" 2 8
mkdir -p pictures/0/deep/deeper elsewhere
mv pictures/0/001.png pictures/0/002.png pictures/0/003.png pictures/0/deep/deeper/
mv pictures/1/001.png elsewhere/
ln -s ../../elsewhere pictures/1/linked
tiny pictures -dry-run
status_is 0
expect "16 gray pictures"
ln -s .. pictures/1/circle
tiny pictures -dry-run
status_is 2
expect "link back"
