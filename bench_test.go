// Package trainer has the whole project's benchmarks:
//
//	go test -bench ./bench
//
// runs every case of package bench, here as the children of Benchmark/bench. The pattern
// may go on: go test -bench ./bench/conv.
package trainer

import (
	"testing"

	"trainer/bench"
)

func Benchmark(b *testing.B) { b.Run("bench", bench.Run) }
