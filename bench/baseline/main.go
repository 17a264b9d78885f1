// Command baseline prints a hash of the weights of every built-in recipe after 20 training steps,
// on each instruction set of this processor:
//
//	recipe  instruction set  hash
//
// scripts/baseline.sh records the output, and compares later outputs with the record, to show that a change of the code
// changes no result. The images are synthetic and the batch is 8: only the arithmetic matters, not the accuracy.
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"trainer/bench"
	"trainer/cpu"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

const (
	steps = 20
	batch = 8
)

func main() {
	for _, set := range []string{"avx512", "avx2", "generic"} {
		if err := hashes(set); err != nil {
			fmt.Fprintln(os.Stderr, "baseline:", err)
			os.Exit(1)
		}
	}
}

// hashes prints a line for each recipe, or none if the processor lacks the instruction set.
func hashes(set string) error {
	dev, err := cpu.New(cpu.WithInstructions(set))
	if err != nil {
		fmt.Fprintf(os.Stderr, "baseline: skipped %s: %v\n", set, err)
		return nil
	}
	defer dev.Close()
	for _, name := range recipe.NamesForDataSets() {
		hash, err := train(dev, name)
		if err != nil {
			return fmt.Errorf("%s on %s: %w", name, set, err)
		}
		fmt.Printf("%-16s %-8s %s\n", name, set, hash)
	}
	return nil
}

// train trains a recipe and returns the hash of all parameters and running statistics.
func train(dev device.Device, name string) (string, error) {
	r, err := recipe.LoadWith(name, []string{fmt.Sprintf("batch=%d", batch)})
	if err != nil {
		return "", err
	}
	s := r.ImageShape()
	split := &data.Dataset{Name: r.Data[0], Train: bench.SyntheticImages(steps*batch/2, s[0], s[1], s[2])}
	t, err := bench.NewTraining(r.TrainConfig(dev, split, 1), data.LoaderConfig{Set: split.Train, Batch: batch, Seed: 1, Shuffle: true})
	if err != nil {
		return "", err
	}
	defer t.Close()
	for range steps {
		if err := t.Step(); err != nil {
			return "", err
		}
	}
	if where, err := t.Network().FirstNonFinite(); err != nil || where != "" {
		return "", errors.Join(err, fmt.Errorf("not finite: %q", where)) // a hash of NaN would hide every change
	}
	sum := sha256.New()
	for _, p := range t.Network().Tensors() {
		content := make([]byte, p.Value.Len()*device.Float32.Size())
		if err := dev.Download(content, p.Value); err != nil {
			return "", err
		}
		sum.Write(content)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))[:32], nil
}
