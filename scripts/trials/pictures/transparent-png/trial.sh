# Black strokes on a transparent ground became black on black: every pixel was 0.
run "$TRAINER" -device cpu -recipe "$INPUT/lines.toml" -data "$INPUT/transparent" -out run
status_is 0
expect "transparent pixels, which are laid on white"
expect "test accuracy 100.00%"
run "$TRAINER" -device cpu -recipe "$INPUT/lines.toml" -data "$INPUT/transparent" -set data.background=black -out black
expect "laid on black"
