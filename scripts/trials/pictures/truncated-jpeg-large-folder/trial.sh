# A damaged picture in a folder too large for memory ended the run, after an epoch and without a checkpoint.
digits "$PWD/pictures" 2 10
head -c 150 pictures/0/003.png >cut && mv cut pictures/0/003.png
tiny pictures
status_is 0
expect "skipped pictures/0/003.png"
grep -q 003.png run/skipped.txt || fail "skipped.txt lacks the picture"
