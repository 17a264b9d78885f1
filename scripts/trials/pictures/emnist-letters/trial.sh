# Sets with other labels than 0 to 9, or with names that begin otherwise, could not be read.
mkdir files own
for part in train t10k; do
	idx_images 20 | gzip >files/$part-images-idx3-ubyte.gz
	idx_labels 20 25 | gzip >files/$part-labels-idx1-ubyte.gz
	for split in letters balanced; do
		cp files/$part-images-idx3-ubyte.gz own/emnist-$split-${part/t10k/test}-images-idx3-ubyte.gz
		cp files/$part-labels-idx1-ubyte.gz own/emnist-$split-${part/t10k/test}-labels-idx1-ubyte.gz
	done
done
tiny mnist -data-dir files
status_is 0
expect "/20)"
rm -r run
tiny own/emnist-letters
status_is 0
expect "/20)"
tiny own -dry-run
status_is 2
expect "emnist-balanced, emnist-letters"
