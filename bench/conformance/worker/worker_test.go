package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/nn/device"
)

const tables = `
name = "test"
epochs = 1
batch = 1
loss = { kind = "cross-entropy" }
optimizer = { kind = "sgd", lr = 0.5 }
schedule = { kind = "step", gamma = 0.5, every = 1.0 }
`

// input is a request as text: a line of JSON and the elements of its arrays.
type input struct{ bytes.Buffer }

// add adds a request. Arrays are float32, in the order of the header's list.
func (in *input) add(t *testing.T, op string, args map[string]any, arrays []array, elements ...[]float32) {
	t.Helper()
	line, err := json.Marshal(map[string]any{"op": op, "args": args, "arrays": arrays})
	if err != nil {
		t.Fatal(err)
	}
	in.Write(append(line, '\n'))
	for _, e := range elements {
		in.Write(device.Bytes(e))
	}
}

// ask serves the requests and returns the answers, with the arrays' elements.
func ask(t *testing.T, in *input) []answer {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	var out bytes.Buffer
	if err := serve(dev, in, &out); err != nil {
		t.Fatal(err)
	}
	var all []answer
	r := bufio.NewReader(&out)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return all
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		for i := range a.Arrays {
			n, err := a.Arrays[i].size()
			if err != nil {
				t.Fatal(err)
			}
			a.Arrays[i].bytes = make([]byte, n)
			if _, err := io.ReadFull(r, a.Arrays[i].bytes); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, a)
	}
}

// elements returns the elements of the answer's array.
func (a answer) elements(t *testing.T, name string) []float32 {
	t.Helper()
	for _, x := range a.Arrays {
		if x.Name == name {
			v := make([]float32, len(x.bytes)/4)
			copy(device.Bytes(v), x.bytes)
			return v
		}
	}
	t.Fatalf("no array %s in %+v (error %q)", name, a.Arrays, a.Error)
	return nil
}

func equal(t *testing.T, what string, got []float32, want ...float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
	for i := range got {
		if math.Abs(float64(got[i]-want[i])) > 1e-6 {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
}

func float32s(name string, shape ...int) array {
	return array{Name: name, Type: "float32", Shape: shape}
}

// TestNetwork runs y = x w + b, forward and backward: dx = dy w^T, dw = x^T dy and db = dy.
func TestNetwork(t *testing.T) {
	var in input
	in.add(t, "network", map[string]any{"recipe": tables + `network = [{ layer = "dense", out = 2 }]`},
		[]array{float32s("x", 1, 2), float32s("dy", 1, 2), float32s("value:dense1.weight", 2, 2), float32s("value:dense1.bias", 2)},
		[]float32{1, 2}, []float32{1, -1}, []float32{1, 2, 3, 4}, []float32{10, 20})
	a := ask(t, &in)[0]
	equal(t, "y", a.elements(t, "y"), 17, 30)
	equal(t, "dx", a.elements(t, "dx"), -1, -1)
	equal(t, "dw", a.elements(t, "grad:dense1.weight"), 1, -1, 2, -2)
	equal(t, "db", a.elements(t, "grad:dense1.bias"), 1, -1)
}

// TestLoss: two equal logits have the loss log 2 and the gradient 1/2 - t.
func TestLoss(t *testing.T) {
	var in input
	in.add(t, "network", map[string]any{"recipe": tables + `network = [{ layer = "flatten" }]`, "classes": 2},
		[]array{float32s("x", 1, 2), float32s("targets", 1, 2)}, []float32{3, 3}, []float32{1, 0})
	a := ask(t, &in)[0]
	equal(t, "stats", a.elements(t, "stats"), math.Ln2, 1, 1, 1)
	equal(t, "dx", a.elements(t, "dx"), -0.5, 0.5)
}

// TestUpdateAndSchedule: SGD with a rate that halves after each of two steps.
func TestUpdateAndSchedule(t *testing.T) {
	var in input
	args := map[string]any{"recipe": tables + `network = [{ layer = "flatten" }]`, "steps": 2, "total": 2, "per_epoch": 1}
	in.add(t, "update", args, []array{float32s("w", 1), float32s("g", 2, 1)}, []float32{1}, []float32{1, 1})
	in.add(t, "schedule", args, nil)
	answers := ask(t, &in)
	equal(t, "w", answers[0].elements(t, "w"), 0.5, 0.25)
	factors := answers[1].Result.(map[string]any)["factors"].([]any)
	if len(factors) != 2 || factors[0] != 1.0 || factors[1] != 0.5 {
		t.Errorf("factors %v, want [1 0.5]", factors)
	}
}

// TestErrors: a request that can't be answered is answered with an error, and the next one with its result.
func TestErrors(t *testing.T) {
	var in input
	in.add(t, "nothing", nil, nil)
	in.add(t, "network", map[string]any{"recipe": tables + `network = [{ layer = "conv" }]`}, []array{float32s("x", 1, 1)}, []float32{1})
	in.add(t, "map", map[string]any{"Kind": "sqrt", "Batch": 0}, []array{float32s("a", 1)}, []float32{4})
	in.add(t, "map", map[string]any{"Kind": "sqrt", "Batch": 1, "Rows": 1, "C": 1, "Alpha": 1}, []array{float32s("a", 1)}, []float32{4})
	answers := ask(t, &in)
	for i, text := range []string{`unknown operation "nothing"`, `unknown value "conv"`, "panic: map"} {
		if !strings.Contains(answers[i].Error, text) {
			t.Errorf("answer %d has the error %q, want one with %q", i, answers[i].Error, text)
		}
	}
	equal(t, "the answer after errors", answers[3].elements(t, "y"), 2)
}
