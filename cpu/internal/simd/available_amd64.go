//go:build amd64 && !noasm

package simd

import "golang.org/x/sys/cpu"

// Available returns the sets that this build and processor have, best first.
func Available() []Set {
	var sets []Set
	x := &cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX2 && x.HasFMA {
		sets = append(sets, AVX512)
	}
	if x.HasAVX2 && x.HasFMA {
		sets = append(sets, AVX2)
	}
	return append(sets, Generic)
}
