# With train, val and test, every epoch was scored on test, and val was never read.
digits "$PWD/pictures" 2 6 train val test
# The labels of the test set are wrong, so that the sets can be told apart.
mv pictures/test/0 pictures/test/x && mv pictures/test/1 pictures/test/0 && mv pictures/test/x pictures/test/1
tiny pictures -epochs 20
status_is 0
expect "test accuracy 0.00%"
expect "val"
tiny mnist -val 0.1 -dry-run
status_is 0
