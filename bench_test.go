// Package trainer has the benchmarks of the whole project:
//
//	go test -bench ./bench
//
// runs every case of package bench, as children of Benchmark/bench. The pattern may be longer: go test -bench ./bench/conv.
package trainer

import (
	"testing"

	"trainer/bench"
)

func Benchmark(b *testing.B) { b.Run("bench", bench.Run) }
