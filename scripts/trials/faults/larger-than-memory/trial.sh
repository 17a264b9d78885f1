# A network that is larger than the memory ended in 300 lines of Go's, with status 2.
# GOMEMLIMIT counts like the machine's memory, so that the trial needs little of it.
dense=$'[[network]]\nlayer = "dense"\nout = 16384\n[[network]]\nlayer = "dense"\nout = 65536\n'
{
	sed '/^\[\[network\]\]/,$d' <("$TRAINER" recipe mnist-basic)
	printf '[[network]]\nlayer = "flatten"\n%s[[network]]\nlayer = "dense"\nout = "classes"\n' "$dense"
} >dense.toml
for mode in '-dry-run' '-out run'; do
	# shellcheck disable=SC2086 # the words are arguments
	run env GOMEMLIMIT=1GiB "$TRAINER" -recipe dense.toml -device cpu $mode
	status_is 1
	one_line
	expect 'out of device memory on cpu for batch'
	expect 'not even batch 1 would fit'
done
[ ! -e run ] || fail 'a folder was left behind'

# With less memory than the batch needs, the line names one that fits.
run bash -c 'ulimit -v 2500000; "$0" -batch 60000 -device cpu -threads 1 -dry-run' "$TRAINER"
status_is 1
one_line
expect 'would fit: pass -batch'
