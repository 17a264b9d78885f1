# The second start of a training on a folder reads the pictures by its index, and didn't know the labels of what is left when
# validation images are held out: a run with -val, -folds or of trainer tune could not be resumed ("the labels of the training
# images are others"), nor evaluated.
digits "$PWD/data" 2 20
find data -name '*.png' -exec touch -d '1 hour ago' {} + # the index passes over files that may still change
tiny_recipe tiny.toml
export XDG_CACHE_HOME=$PWD/cache
begin run -val 0.2
stop INT
status_is 130
run "$TRAINER" -resume run -epochs 40000 -set stop.target=0.0001 -quiet
refuse "the data is not that of the run"
run "$TRAINER" evaluate run -part val
status_is 0
