# Files with a dot in their names were not found, and the message proposed the name that was given.
mkdir files
for part in train t10k; do
	idx_images 20 >files/$part-images.idx3-ubyte
	idx_labels 20 0 | gzip >files/$part-labels.idx1-ubyte.gz
done
tiny mnist -data-dir files
status_is 0
expect "/20)"
tiny files -dry-run
status_is 0
mkdir empty
tiny mnist -data-dir empty
status_is 2
refuse "did you mean"
