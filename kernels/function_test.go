package kernels_test

import (
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"trainer/kernels"
)

// The distribution of the kernels for 16-bit storage, at x = 0, 1/256, ... 13, and GELU and its derivative there and at -x.
const normalOf16Bits = `#define STORAGE_FLOAT16 1
#include "cuda_host.h"
#include "storage.cuh"
#include "function.cuh"
#include <cstdio>
int main() {
	for (int i = 0; i <= 13 * 256; i++) {
		float x = i / 256.0f;
		printf("%.9g %.9g %.9g %.9g %.9g %.9g\n", x, Normal(x).tail, GELU::value(x, 0), GELU::value(-x, 0), GELU::slope(x, 0), GELU::slope(-x, 0));
	}
}
`

// The polynomial for results stored in 16 bits is off by less than a relative 2^-15 in Phi(-x), and GELU by less than a
// sixteenth of float16's unit roundoff. Its derivative crosses 0, so that its error is absolute.
func TestNormalOf16Bits(t *testing.T) {
	const most = 0x1p-15
	worst := map[string]float64{}
	note := func(what string, err float64) { worst[what] = max(worst[what], err) }
	for _, row := range runHost(t, normalOf16Bits) {
		x := row[0]
		tail := math.Erfc(x/math.Sqrt2) / 2
		density := x * math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)
		note("tail", math.Abs(row[1]/tail-1))
		if x > 0 {
			note("GELU", math.Abs(row[2]/(x*(1-tail))-1))
			note("GELU of -x", math.Abs(row[3]/(-x*tail)-1))
		}
		note("slope", math.Abs(row[4]-(1-tail+density)))
		note("slope of -x", math.Abs(row[5]-(tail-density)))
	}
	for what, err := range worst {
		t.Logf("%s: 2^%.1f", what, math.Log2(err))
		if !(err < most) {
			t.Errorf("%s is off by %g, want less than %g", what, err, most)
		}
	}
}

// runHost compiles a program with the kernels' headers for the host, and returns the numbers in the lines that it prints.
func runHost(t *testing.T, source string) [][]float64 {
	t.Helper()
	compiler, err := findCompiler()
	if err != nil {
		t.Skip(err)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, kernels.Sources()); err != nil {
		t.Fatal(err)
	}
	header, err := fs.Sub(kernels.Sources(), "internal/host")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(folder, header); err != nil {
		t.Fatal(err)
	}
	file, program := filepath.Join(folder, "program.cc"), filepath.Join(folder, "program")
	if err := os.WriteFile(file, []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(compiler, "-std=c++17", "-O2", "-ffp-contract=off", file, "-o", program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]float64
	for line := range strings.Lines(string(out)) {
		var row []float64
		for _, word := range strings.Fields(line) {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				t.Fatal(err)
			}
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	return rows
}
