# 32 pictures are no error: a batch that is larger than the training set is lowered, in one line, unless it was asked for.
digits "$PWD/data" 2 16
run "$TRAINER" -device cpu -data data -recipe mnist -set image-size=28 -epochs 1 -quiet
status_is 0
expect "batch 8 instead of the recipe's 256, because there are only 26 training images"
run "$TRAINER" -device cpu -data data -recipe mnist -set image-size=28 -epochs 1 -quiet -batch auto
status_is 0
refuse "batch 8 instead"
run "$TRAINER" -device cpu -data data -recipe mnist -set image-size=28 -epochs 1 -quiet -batch 27
status_is 2
expect "batch: 27, more than the 26 training images"
