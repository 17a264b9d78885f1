// Package simd names the instruction sets that the packages of kernels are written for, and
// tells which of them can run.
package simd

import (
	"fmt"
	"strings"
)

// Set is an instruction set that kernels are written for.
type Set string

// The instruction sets.
const (
	AVX512  Set = "avx512"  // AVX-512 F, BW, DQ and VL
	AVX2    Set = "avx2"    // AVX2 with FMA
	Generic Set = "generic" // Go
)

// Select returns the set by name, or the best that can run for "". It fails when the set is
// unknown, or missing on this processor or in this build.
func Select(name string) (Set, error) {
	sets := Available()
	if name == "" {
		return sets[0], nil
	}
	var names []string
	for _, s := range sets {
		if string(s) == name {
			return s, nil
		}
		names = append(names, string(s))
	}
	return "", fmt.Errorf("instruction set %q is not available here, this build and processor have %s", name, strings.Join(names, ", "))
}
