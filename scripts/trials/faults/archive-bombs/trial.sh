# An archive of 288 bytes with a sparse file, and one of a few MB of zeros, took gigabytes.
memory_below 120 "$TRAINER" -data cifar10 -data-dir "$INPUT/sparsepax.tgz" -dry-run
status_is 2
one_line
expect 'is sparse'

mkdir bomb
head -c 400000000 /dev/zero >bomb/data_batch_1.bin
tar -C bomb -cf - data_batch_1.bin | gzip -1 >bomb.tgz
rm -r bomb
memory_below 160 "$TRAINER" -data cifar10 -data-dir bomb.tgz -dry-run
status_is 2
one_line
expect 'MiB of unpacked data in a file of this size'

# An IDX file whose header asks for 2 GB.
mkdir idx
printf '\0\0\x08\x03\0\0\x80\0\0\0\1\0\0\0\1\0' | gzip >idx/train-images-idx3-ubyte.gz
for f in train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do cp idx/train-images-idx3-ubyte.gz "idx/$f-ubyte.gz"; done
memory_below 120 "$TRAINER" -data mnist -data-dir idx -dry-run
status_is 2
one_line
