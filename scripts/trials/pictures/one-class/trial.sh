# A data set of one class can only be answered right, so it teaches nothing: it is refused.
digits "$PWD/data" 1 8
run "$TRAINER" -device cpu -data data -epochs 1 -quiet
status_is 2
expect "class"
one_line
