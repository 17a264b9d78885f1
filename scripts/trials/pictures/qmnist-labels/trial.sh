# QMNIST's labels have eight columns of 32 bits, of which the first is the label.
mkdir files
for part in train test; do
	idx_images 20 >files/qmnist-$part-images-idx3-ubyte
	{
		idx 12 20 8
		for ((i = 0; i < 20; i++)); do number $((i % 2)) && number 1 && number 2 && number 3 && number 4 && number 5 && number 6 && number 7; done
	} >files/qmnist-$part-labels-idx2-int
done
tiny files
status_is 0
expect "/20)"
