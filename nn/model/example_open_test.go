package model_test

import (
	"fmt"
	"image"
	_ "image/png"
	"log"
	"os"

	"trainer/cpu"
	"trainer/nn/model"
)

// A program opens a model, the folder of a run or a model.safetensors, and asks it about a picture.
func ExampleOpen() {
	dev, err := cpu.New()
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	m, err := model.Open("testdata/landscapes", dev)
	if err != nil {
		log.Fatal(err)
	}
	file, err := os.Open("testdata/meadow.png")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	picture, _, err := image.Decode(file)
	if err != nil {
		log.Fatal(err)
	}
	predictions, err := m.Predict(picture)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, above 90%%: %v\n", predictions[0].Name, predictions[0].Probability > 0.9)
	// Output: grass, above 90%: true
}
