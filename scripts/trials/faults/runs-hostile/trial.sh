# A folder of runs that comes from a stranger: each is listed, with what is wrong, and no link is followed out of it.
mkdir -p secret runs/link-config runs/pipe runs/half runs/names
echo 'name = "secret"' >secret/config.toml
echo '{"test_count": 1, "test_accuracy": 0.125}' >secret/summary.json
ln -s ../secret runs/link
ln -s ../../secret/config.toml runs/link-config/config.toml
ln -s ../../secret/summary.json runs/link-config/summary.json
echo '{}' >runs/pipe/summary.json
mkfifo runs/pipe/config.toml
printf '{"test_acc' >runs/half/summary.json
printf 'name = "\\u001b[31m"\n' >runs/names/config.toml
touch runs/names/metrics.jsonl
run timeout 10 "$TRAINER" runs
status_is 0
[ "$(printf '%s\n' "$out" | wc -l)" -eq 5 ] || fail 'want a head and four rows'
[ "$(grep -c broken <<<"$out")" -eq 4 ] || fail 'want four broken runs'
refuse 12.5
refuse $'\e'
run "$TRAINER" compare runs/half runs/link-config
status_is 2
one_line
