# A run could be continued only from the folder in which it began, with its data in the same place.
digits "$PWD/data" 2 10
tiny_recipe tiny.toml
mkdir work below
for name in one two; do
	begin work/$name
	stop INT
done
cd below
timeout -s INT 1 "$TRAINER" -resume ../work/one -quiet >../log 2>&1
grep -q "interrupted; to continue" ../log || { out=$(cat ../log); fail "not continued from another folder"; }
mv ../data photos
timeout -s INT 1 "$TRAINER" -resume ../work/two -data photos -quiet >../log 2>&1
grep -q "interrupted; to continue" ../log || { out=$(cat ../log); fail "not continued with the same pictures elsewhere"; }
