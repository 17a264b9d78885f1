# A recipe that is for folders of pictures asks for one instead of training on MNIST.
run "$TRAINER" -device cpu -recipe resnet18 -dry-run
status_is 2
expect "recipe resnet18 is for a folder of pictures: pass -data FOLDER"
one_line
digits "$PWD/data" 2 8
run "$TRAINER" -device cpu -recipe resnet18 -data data -dry-run
status_is 0
refuse "is meant for"
