// Command pictures writes the part of MNIST that the static site brings to a folder: see make site.
package main

import (
	"context"
	"fmt"
	"os"

	"trainer/cmd/trainer/internal/site"
	"trainer/nn/data"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pictures FOLDER")
		os.Exit(2)
	}
	mnist, err := data.Open(context.Background(), "mnist", data.Options{})
	if err == nil {
		err = site.WritePictures(mnist, os.Args[1])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "pictures: %v\n", err)
		os.Exit(1)
	}
}
