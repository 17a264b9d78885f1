package bench

import "testing"

// Benchmark is the same as the root's Benchmark/bench: go test -bench . ./bench.
func Benchmark(b *testing.B) { Run(b) }
