# A class was renamed while a run was stopped: two classes swapped their numbers, and the run went on without a word.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
begin run
stop INT
status_is 130
mv data/0 data/2
run "$TRAINER" -resume run -quiet
status_is 2
one_line
expect 'class "0" is missing, and "2" is new'
