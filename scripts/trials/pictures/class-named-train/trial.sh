# A class named train was taken for the training set.
digits "$PWD/pictures" 3 6
mv pictures/0 pictures/train
tiny pictures -dry-run
status_is 0
expect "3 classes, 18 gray pictures"
# Folders that are parts, and have no class folders, are no classes.
digits "$PWD/flat" 2 6
mv flat/0 flat/train && mv flat/1 flat/test
tiny flat -dry-run
status_is 2
expect "one subfolder of pictures per class"
