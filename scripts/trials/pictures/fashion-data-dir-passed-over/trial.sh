# Files of other names in a folder that was named were passed over, and other images trained on.
mkdir files
for part in train t10k; do
	idx_images 20 >files/$part-images.idx3-ubyte
	idx_labels 20 3 >files/$part-labels.idx1-ubyte
done
tiny fashion-mnist -data-dir files -offline
status_is 0
expect "/20)"
rm files/train-*
tiny fashion-mnist -data-dir files -offline
status_is 2
mkdir empty
for set in fashion-mnist cifar10 cifar100; do
	tiny $set -data-dir empty -offline
	status_is 2
	expect "empty"
	refuse "did you mean"
done
