# With steps in fractions of an epoch the learning rate fell one step late: 10 steps per epoch, every 0.2 epochs, gave
# 2, 4, 7, 8. After 7 steps it has fallen three times.
digits "$PWD/pics" 2 10 train test
run "$TRAINER" -device cpu -data pics -recipe "$INPUT/step.toml" -batch 2 -epochs 0.7 -out run
status_is 0
run cat run/metrics.jsonl
expect '"learning_rate":0.0125,'

# A plateau follows a validation set: without one it is refused, before training, with the remedy.
run "$TRAINER" -device cpu -data pics -recipe "$INPUT/step.toml" -set 'schedule={ kind = "plateau", patience = 2 }' -out plateau
status_is 2
expect "-val 0.1"
one_line
run "$TRAINER" -device cpu -data pics -recipe "$INPUT/step.toml" -set 'schedule={ kind = "plateau", patience = 2 }' -val 0.2 -out plateau
status_is 0
