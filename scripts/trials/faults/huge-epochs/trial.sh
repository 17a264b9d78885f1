# A number of epochs that no run can reach was taken for one step.
run "$TRAINER" -device cpu -epochs 1e20 -quiet
status_is 2
expect "epochs"
one_line
