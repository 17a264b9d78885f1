# Pictures whose few bytes stand for 16384 x 16384 pixels took 2 to 4 GB each, as many at once as there are threads.
digits "$PWD/pictures" 2 6
for i in 1 2; do
	cp "$INPUT/bomb.png" "pictures/0/bomb$i.png"
	cp "$INPUT/bomb.jpg" "pictures/1/bomb$i.jpg"
done
memory_below 200 "$TRAINER" -data pictures -recipe mnist-basic -batch 2 -device cpu -dry-run
status_is 0
expect 'takes 5120 MiB, want at most 2048'
expect '2 more images skipped'
