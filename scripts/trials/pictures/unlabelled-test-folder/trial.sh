# A competition's test folder, without classes, ended the run.
digits "$PWD/pictures" 2 10 train test
for f in pictures/test/*/*.png; do mv "$f" "pictures/test/${f//\//-}"; done
rmdir pictures/test/0 pictures/test/1
tiny pictures
status_is 0
expect "not used: 20 pictures without a label"
expect "/4)"
# The labels may also be in a table.
mkdir table && mv pictures/train/0 table/train
(cd table && echo id,label >train.csv && for f in train/*; do echo "$(basename "$f" .png),$(($((10#$(basename "$f" .png))) % 2))" >>train.csv; done)
tiny table -dry-run
status_is 0
expect "2 classes, 10 gray pictures"
