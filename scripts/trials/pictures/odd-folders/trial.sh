# Folders that are not as they should be: each was read without a word, or refused with words that didn't help.
digits "$PWD/good" 2 12
first=good/0/$(ls good/0 | head -n 1)

# A flat BMP picture: a head, and pixels of one colour.
bmp() {
	bytes 66 77 102 0 0 0 0 0 0 0 54 0 0 0 40 0 0 0 4 0 0 0 4 0 0 0 1 0 24 0 0 0 0 0 48 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
	for ((i = 0; i < 48; i++)); do bytes 90; done
}

# Pictures beside class folders have no label: they are counted.
cp -r good stray && cp "$first" stray/lost.png
tiny stray -dry-run
status_is 0
expect "not used: 1 picture without a label, such as stray/lost.png"

# Parts without one for training are no classes.
mkdir -p parts && cp -r good parts/val && cp -r good parts/test
tiny parts -dry-run
status_is 2
one_line
expect 'want a folder train beside "test"'

# The only class has the classes in it.
mkdir -p outer/inner && cp -r good outer/inner/set
tiny outer -dry-run
status_is 2
one_line
expect "if its subfolders are the classes: -data outer/inner/set"

# A class with a single image has none for the test; two classes have the same name but for case.
cp -r good odd && mv odd/0 odd/Cat && mv odd/1 odd/cat && mkdir odd/rare && cp "$first" odd/rare
tiny odd -dry-run
status_is 0
expect 'class "rare" has no test images'
expect 'the classes "Cat" and "cat" differ only in case'
tiny odd -dry-run -json
status_is 0
expect 'has no test images'

# Pictures of a single colour.
cp -r good flat && bmp >flat/0/flat.bmp
tiny flat -dry-run
status_is 0
expect "1 of them is nearly of a single colour (trainer data flat names it)"

# A table without a column of labels.
mkdir table && cp "$first" table && printf 'filename,cat,dog\n%s,1,0\n' "$(basename "$first")" >table/table.csv
tiny table -dry-run
status_is 2
one_line
expect "want a column of labels"

# Pictures without folders.
cp -r good/0 pictures
tiny pictures -dry-run
status_is 2
one_line
expect "one subfolder of pictures per class, or a CSV file"
