# Pictures were changed, taken away and added while a run was stopped, and the run went on with them.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
begin run
stop INT
mv data/0/001.png kept.png
cp data/1/001.png data/0/001.png
run "$TRAINER" -resume run -quiet
status_is 2
one_line
expect "file 0/001.png"
rm data/0/001.png
run "$TRAINER" -resume run -quiet
status_is 2
expect "file 0/001.png is missing"
mv kept.png data/0/001.png
cp data/0/001.png data/0/new.png
run "$TRAINER" -resume run -quiet
status_is 2
expect "file 0/new.png is new"
