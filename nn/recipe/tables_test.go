package recipe

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trainer/cpu"
	"trainer/nn"
)

var update = flag.Bool("update", false, "record testdata/tables.txt")

// TestTables compares the compiled networks of all built-in recipes with their record: layers, shapes, operations and
// the names of the weights, which resuming a run depends on.
func TestTables(t *testing.T) {
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	var b bytes.Buffer
	for _, name := range Names() {
		r, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		input := r.ImageShape()
		net, err := nn.Compile(dev, r.Model(10), nn.Options{
			Input: input, Batch: 2, Seed: 1,
			Sample: func(int) ([]float32, nn.Shape, error) {
				const few = 20 // images: the whitening's values don't matter
				pixels := make([]float32, few*input.Len())
				for i := range pixels {
					pixels[i] = float32(i*i%101) / 101
				}
				return pixels, input, nil
			},
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want, ok := weightsElsewhere[name]; ok && net.NumParams() != want {
			t.Errorf("%s has %d weights, want %d", name, net.NumParams(), want)
		}
		fmt.Fprintf(&b, "%s\n", name)
		for _, l := range net.Layers() {
			fmt.Fprintf(&b, "  %s %s %v, %d parameters, %d FLOPs\n", l.Name, l.Kind, l.Output, l.Params, l.FLOPs)
		}
		for _, p := range net.Tensors() {
			fmt.Fprintf(&b, "  %s %v\n", p.Name, p.Value.Shape())
		}
	}
	const record = "testdata/tables.txt"
	if *update {
		if err := os.WriteFile(record, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("networks differ from the record (-) (go test ./nn/recipe -run TestTables -update writes it):\n%s", diff)
	}
}
