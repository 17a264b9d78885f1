// Command cifar writes a data set with the files of the binary version of CIFAR-10, for trials on machines without CIFAR-10: cifar
// FOLDER N makes five training files of N images each, and a test file of N. An image is a digit of MNIST's test set in a random
// colour on a random ground, with a frame of two pixels, 32x32.
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"trainer/nn/data"
)

const (
	digit = 28 // the side of an image of MNIST
	side  = 32
	frame = (side - digit) / 2
	files = 6
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cifar:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want FOLDER N")
	}
	set, err := data.Open(context.Background(), "mnist", data.Options{})
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 || n*files > set.Test.Len() {
		return fmt.Errorf("%q images per file, want 1 to %d", args[1], set.Test.Len()/files)
	}
	if err := os.MkdirAll(args[0], 0o777); err != nil {
		return err
	}
	for f, name := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"} {
		var records []byte
		for i := f * n; i < (f+1)*n; i++ {
			pixels := make([]byte, digit*digit)
			label, err := set.Test.Read(i, pixels)
			if err != nil {
				return err
			}
			records = append(records, byte(label))
			records = append(records, colour(pixels, rand.New(rand.NewPCG(uint64(i), 0)))...)
		}
		if err := os.WriteFile(filepath.Join(args[0], name), records, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// colour returns the red, the green and the blue plane of a digit in a random bright colour on a random dark ground.
func colour(pixels []byte, random *rand.Rand) []byte {
	var planes []byte
	for range 3 {
		ground, ink := random.IntN(100), 156+random.IntN(100)
		for y := range side {
			for x := range side {
				v := 0
				if x, y := x-frame, y-frame; x >= 0 && x < digit && y >= 0 && y < digit {
					v = int(pixels[y*digit+x])
				}
				planes = append(planes, byte(ground+(ink-ground)*v/255))
			}
		}
	}
	return planes
}
