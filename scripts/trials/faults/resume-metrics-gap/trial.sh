# After a loss of power the last lines of metrics.jsonl were missing, and a resumed run left a gap.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
run "$TRAINER" -device cpu -data data -recipe tiny.toml -quiet -out run
status_is 0
cp run/metrics.jsonl whole
for how in none one zeros longer; do
	case $how in
	none) rm run/metrics.jsonl ;;
	one) head -n 1 whole >run/metrics.jsonl ;;
	zeros) head -n 1 whole >run/metrics.jsonl && head -c 100 /dev/zero >>run/metrics.jsonl ;;
	longer) sed 's/"epoch":3/"epoch":4/; s/"step":6/"step":8/' whole >>run/metrics.jsonl ;;
	esac
	run "$TRAINER" -resume run -quiet
	status_is 0
	cmp whole run/metrics.jsonl || fail "the metrics differ: $how"
done
