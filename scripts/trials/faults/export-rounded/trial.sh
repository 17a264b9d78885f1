# Exports in fp16 and int8 say what they cost, are smaller, and are refused as models with what to use instead.
digits "$PWD/data" 2 20
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -set 'network.0.out=64' -epochs 1 -quiet -out run
status_is 0
run "$TRAINER" export run
status_is 0
for precision in fp16 int8; do
	run "$TRAINER" export run -precision $precision
	status_is 0
	expect "instead of"
	expect "answers differ"
	[ "$(stat -c %s run-$precision.onnx)" -lt "$(stat -c %s run.onnx)" ] || fail "the file is not smaller"
	for command in "predict run-$precision.onnx data" "evaluate run-$precision.onnx -data data" "-data data -init-from run-$precision.onnx -out other"; do
		run "$TRAINER" $command
		status_is 2
		one_line
		expect "use the model that it was exported from"
	done
done
[ ! -e other ] || fail "a run was begun"
# A model without its run needs images for int8.
mv run/model.safetensors alone.safetensors
run "$TRAINER" export alone.safetensors -precision int8
status_is 2
one_line
expect "pass -data"
run "$TRAINER" export alone.safetensors -precision int8 -data data
status_is 0
expect "test images"
