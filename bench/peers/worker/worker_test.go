package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trainer/bench"
	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device/devicetest"
	"trainer/nn/recipe"
)

const folder = "../networks"

// network has the sizes that follow from a network's definition.
type network struct {
	parameters int   // trained parameters
	flops      int64 // of a training step for one image
}

// A convolution of k x k from in to out channels has weights(k, in, out) and out biases; a
// dense layer is one of 1 x 1. Each of its passes, forward and backward, takes 2 operations
// for every weight and output pixel. The first layer has no backward pass for the data.
var networks = map[string]network{
	"conv8": {
		weights(3, 1, 8) + 8 + weights(1, 13*13*8, 10) + 10,
		2*pass(26, 3, 1, 8) + 3*pass(1, 1, 13*13*8, 10),
	},
	"mnist": {
		weights(5, 1, 24) + 24 + weights(3, 24, 32) + 32 + weights(1, 5*5*32, 256) + 256 + weights(1, 256, 10) + 10,
		2*pass(24, 5, 1, 24) + 3*(pass(10, 3, 24, 32)+pass(1, 1, 5*5*32, 256)+pass(1, 1, 256, 10)),
	},
	"keras-cifar": {
		weights(3, 3, 32) + 32 + weights(3, 32, 32) + 32 + weights(3, 32, 64) + 64 + weights(3, 64, 64) + 64 +
			weights(1, 6*6*64, 512) + 512 + weights(1, 512, 10) + 10,
		2*pass(32, 3, 3, 32) + 3*(pass(30, 3, 32, 32)+pass(15, 3, 32, 64)+pass(13, 3, 64, 64)+
			pass(1, 1, 6*6*64, 512)+pass(1, 1, 512, 10)),
	},
	"airbench93": airbench(64, 128),
	"airbench94": airbench(64, 256),
}

func weights(k, in, out int) int { return k * k * in * out }

// pass returns the operations of one pass of a convolution with size x size outputs.
func pass(size, k, in, out int) int64 {
	return 2 * int64(size) * int64(size) * int64(weights(k, in, out))
}

// airbench begins with 24 filters that are frozen, except for their biases, so that they need
// only the forward pass. The biases of the normalisations are trained, their scales are not.
func airbench(a, b int) network {
	return network{
		24 + weights(3, 24, a) + weights(3, a, a) + weights(3, a, b) + 3*weights(3, b, b) + 2*(a+b+b) + weights(1, b, 10),
		pass(31, 2, 3, 24) + 3*(pass(31, 3, 24, a)+pass(15, 3, a, a)+pass(15, 3, a, b)+2*pass(7, 3, b, b)+
			pass(3, 3, b, b)+pass(1, 1, b, 10)),
	}
}

func openDevice(t *testing.T) *cpu.Device {
	t.Helper()
	d, err := cpu.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestNetworks builds every network of the folder and takes a step.
func TestNetworks(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(networks) {
		t.Errorf("%d files in %s, want %d", len(files), folder, len(networks))
	}
	d := openDevice(t)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(name, func(t *testing.T) {
			saved := filepath.Join(t.TempDir(), "weights.safetensors")
			tr, err := newTraining(d, folder, name, settings{batch: 2, check: saved})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			got, want := tr.ready(describe(d)), networks[name]
			if got.Parameters != want.parameters || got.FLOPsPerImage != want.flops {
				t.Errorf("%d parameters, %d FLOPs, want %d and %d", got.Parameters, got.FLOPsPerImage, want.parameters, want.flops)
			}
			if !slices.Equal(got.Output, []int{2, bench.Classes}) {
				t.Errorf("the output is %v, want [2 %d]", got.Output, bench.Classes)
			}
			if len(got.Losses) != checkSteps {
				t.Errorf("losses %v, want %d", got.Losses, checkSteps)
			}
			for _, loss := range got.Losses {
				if !(loss > 0 && loss < 10) {
					t.Errorf("losses %v, want numbers near ln 10", got.Losses)
				}
			}
			if _, err := os.Stat(saved); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSameAsRecipes compares the networks that are those of recipes with them, layer by
// layer.
func TestSameAsRecipes(t *testing.T) {
	d := openDevice(t)
	rows := func(r *recipe.Recipe, input nn.Shape) (list []string) {
		net, err := nn.Compile(d, r.Model(bench.Classes), nn.Options{Input: input, Batch: 2, Loss: r.Loss, Training: true,
			Sample: func(n int) ([]float32, nn.Shape, error) { return make([]float32, input.Len()), input, nil }})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range net.Layers() {
			list = append(list, fmt.Sprint(row.Kind, row.Output, row.Params, row.FLOPs))
		}
		return append(list, fmt.Sprint(trained(net)))
	}
	for name, input := range map[string]nn.Shape{
		"mnist": {28, 28, 1}, "mnist-basic": {28, 28, 1}, "airbench93": {32, 32, 3}, "airbench94": {32, 32, 3},
	} {
		own, ok := map[string]string{"mnist-basic": "conv8"}[name]
		if !ok {
			own = name
		}
		want, err := recipe.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := load(folder, own, settings{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := rows(got, input), rows(want, input); !slices.Equal(got, want) {
			t.Errorf("%s: layers\n%q\nwant those of recipe %s\n%q", own, got, name, want)
		}
	}
}

// TestServe speaks the protocol.
func TestServe(t *testing.T) {
	d := openDevice(t)
	tr, err := newTraining(d, folder, "conv8", settings{batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	shape := `{"n":2,"size":5,"in":3,"out":4,"kernel":3,"padding":1,"pass":`
	var out bytes.Buffer
	s := server{out: &out, commands: map[string]command{"measure": tr.measure, "peak": peak(d), "conv": conv(d)}}
	s.in = strings.NewReader(strings.Join([]string{
		"measure 0.01", "peak 0.001", `conv 0.001 ` + shape + `"forward"}`, `conv 0.001 ` + shape + `"backward-data"}`,
		`conv 0.001 ` + shape + `"backward-filter"}`, `conv 0.001 ` + shape + `"sideways"}`,
		`conv 0.001 {"n":2}`, "measure", "measure -1", "dance", "quit", "measure 1",
	}, "\n"))
	if err := s.serve(tr.ready(describe(d))); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`"ready":true`, `"images_per_second":`, `"flops_per_second":`, `"flops_per_second":`, `"flops_per_second":`, `"flops_per_second":`,
		"backward-data or backward-filter", "must be at least 1", "number of seconds", "number of seconds", `unknown command \"dance\"`,
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), &out)
	}
	for i, line := range lines {
		if !json.Valid([]byte(line)) || !strings.Contains(line, want[i]) {
			t.Errorf("line %d is %s, want JSON with %s", i, line, want[i])
		}
	}
}

// TestErrors checks the errors about invalid networks.
func TestErrors(t *testing.T) {
	d := openDevice(t)
	for name, want := range map[string]string{"none": `no network "none"`, "../../../nn/recipe/recipes/mnist": "image-size is missing"} {
		if _, err := newTraining(d, folder, name, settings{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("network %s: error %v, want one with %s", name, err, want)
		}
	}
	if _, err := newTraining(d, folder, "conv8", settings{batch: -1}); err == nil || !strings.Contains(err.Error(), "batch") {
		t.Errorf("batch -1: error %v, want one about it", err)
	}
}

// TestConvolutions checks convolutions.json against the convolutions that package bench measures.
func TestConvolutions(t *testing.T) {
	text, err := os.ReadFile("../convolutions.json")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []convShape
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, c := range devicetest.RecipeConvs() {
		want = append(want, convShape{
			Network: c.Recipe, N: c.N, Size: c.Size, In: c.InC, Out: c.OutC, Kernel: c.Kernel, Padding: c.Padding, First: c.First,
		})
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("convolutions.json has\n%+v\nthe benchmarks\n%+v", got, want)
	}
}
