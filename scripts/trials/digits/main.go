// Command digits writes folders of small grey PNG digits, with which the trials train: digits FOLDER CLASSES PER_CLASS
// [PART...] makes FOLDER/[PART/]CLASS/NUMBER.png from the first images of MNIST's test set.
package main

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strconv"

	"trainer/nn/data"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "digits:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("want FOLDER CLASSES PER_CLASS [PART...]")
	}
	classes, err := strconv.Atoi(args[1])
	if err != nil || classes < 1 || classes > 10 {
		return fmt.Errorf("%q classes, want 1 to 10", args[1])
	}
	perClass, err := strconv.Atoi(args[2])
	if err != nil || perClass < 1 || perClass > 500 {
		return fmt.Errorf("%q images per class, want 1 to 500", args[2])
	}
	parts := args[3:]
	if len(parts) == 0 {
		parts = []string{""}
	}
	set, err := data.Open(context.Background(), "mnist", data.Options{})
	if err != nil {
		return err
	}
	next := 0
	for _, part := range parts {
		counts := make([]int, classes)
		for done := 0; done < classes*perClass; next++ {
			pixels := image.NewGray(image.Rect(0, 0, 28, 28))
			label, err := set.Test.Read(next, pixels.Pix)
			if err != nil {
				return err
			}
			if int(label) >= classes || counts[label] == perClass {
				continue
			}
			counts[label]++
			done++
			if err := write(filepath.Join(args[0], part, strconv.Itoa(int(label))), counts[label], pixels); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes one picture.
func write(folder string, number int, pixels image.Image) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(folder, fmt.Sprintf("%03d.png", number)))
	if err != nil {
		return err
	}
	if err := png.Encode(file, pixels); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
