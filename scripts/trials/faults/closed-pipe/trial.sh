# trainer ... | head -1 killed the run when it printed its second line.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
"$TRAINER" -device cpu -data data -recipe tiny.toml -out run 2>&1 | head -n 1 >/dev/null
[ "${PIPESTATUS[0]}" -eq 0 ] || fail "training ended with its reader"
grep -q '"complete": true' run/summary.json || fail "the run is not complete"
