# The end of a terminal killed a run without saving.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
begin run -quiet
stop HUP
status_is 130
expect "interrupted; to continue: trainer -resume run"
grep -q '"interrupted": true' run/summary.json || fail "no summary"
