package site

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"

	"trainer/nn/data"
)

// The part of MNIST that the site brings: the first images of each set.
const (
	trainPictures = 8000
	testPictures  = 2000
)

// WritePictures writes the site's part of MNIST to a folder, in the format and with the names of MNIST's files.
func WritePictures(mnist *data.Dataset, dir string) error {
	for prefix, set := range map[string]data.Set{"train": data.Limit(mnist.Train, trainPictures), "t10k": data.Limit(mnist.Test, testPictures)} {
		images, labels, err := idx(set)
		if err != nil {
			return err
		}
		if err := writeGzip(filepath.Join(dir, prefix+"-images-idx3-ubyte.gz"), images); err != nil {
			return err
		}
		if err := writeGzip(filepath.Join(dir, prefix+"-labels-idx1-ubyte.gz"), labels); err != nil {
			return err
		}
	}
	return nil
}

// idx returns the images and the labels of a gray set as IDX files: 0, 0, the type 8 (unsigned bytes), the number of
// dimensions, each dimension as a big-endian uint32, then the bytes.
func idx(set data.Set) (images, labels []byte, err error) {
	h, w, _ := set.ImageShape()
	header := func(dims ...int) []byte {
		b := []byte{0, 0, 8, byte(len(dims))}
		for _, d := range dims {
			b = binary.BigEndian.AppendUint32(b, uint32(d))
		}
		return b
	}
	images, labels = header(set.Len(), h, w), header(set.Len())
	pixels := make([]byte, h*w)
	for i := range set.Len() {
		label, err := set.Read(i, pixels)
		if err != nil {
			return nil, nil, err
		}
		images, labels = append(images, pixels...), append(labels, byte(label))
	}
	return images, labels, nil
}

// writeGzip writes a compressed file.
func writeGzip(path string, content []byte) error {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, zipped.Bytes(), 0o644)
}
