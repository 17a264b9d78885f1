# A run that was interrupted within an epoch had the accuracy of the epoch before in its summary, and other weights in its
# file.
digits "$PWD/data" 2 20
tiny_recipe tiny.toml
begin run -set optimizer.lr=0.002 -set network.0.out=32
stop INT
status_is 130
summary() { sed -n "s/^  \"$1\": \([0-9.]*\),*$/\1/p" run/summary.json; }
[ "$(summary steps)" = "$(summary weights_step)" ] || fail "the model has the weights after step $(summary weights_step) of $(summary steps)"
if [ "$(summary test_count)" = 0 ]; then
	expect "have not been evaluated"
else
	tested=$(summary test_correct)
	run "$TRAINER" evaluate -json run
	status_is 0
	[[ $out =~ \"correct\":\ *$tested[,}] ]] || fail "the summary has $tested correct answers"
fi
