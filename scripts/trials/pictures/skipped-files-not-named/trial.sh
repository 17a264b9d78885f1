# Of the pictures that could not be read, only two were named, nowhere the others.
digits "$PWD/pictures" 2 12
for i in 001 002 003 004; do echo nothing >pictures/0/$i.png; done
tiny pictures
status_is 0
expect "2 more images skipped"
[ "$(wc -l <run/skipped.txt)" -eq 4 ] || fail "skipped.txt has $(wc -l <run/skipped.txt) lines, want 4"
