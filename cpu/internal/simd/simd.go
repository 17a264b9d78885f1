// Package simd names the instruction sets that the kernels of package cpu are written for,
// and detects which of them this processor supports.
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

// Select returns the set with this name, or for "" the best that can run. It fails if the
// set is unknown, or not supported by this processor or this build.
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
