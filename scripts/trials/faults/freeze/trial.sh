# freeze keeps layers as they are; a pattern that matches nothing is refused with the names of the layers.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -quiet -out run
status_is 0
run "$TRAINER" -device cpu -data data -init-from run -set 'freeze=["conv*"]' -quiet -out frozen
status_is 0
run "$TRAINER" -device cpu -data data -init-from run -set 'freeze=["conv*"]' -set freeze-until=1 -quiet -out thawed
status_is 0
run "$TRAINER" -device cpu -data data -recipe tiny.toml -set 'freeze=["block*"]' -quiet -out none
status_is 2
one_line
expect 'no layer is named "block*" (layers: conv1, relu1, pool1, flatten1, dense1)'
run "$TRAINER" -device cpu -data data -recipe tiny.toml -set freeze-until=3 -quiet -out none
status_is 2
one_line
expect "freeze-until"
