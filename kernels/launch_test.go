package kernels_test

import (
	"fmt"
	"math"
	"testing"

	"trainer/kernels"
)

func TestElementGrids(t *testing.T) {
	for _, c := range []struct {
		got, want kernels.Grid
	}{
		{kernels.VectorPerThread(1, kernels.Float32), kernels.Grid{X: 1, Y: 1}},
		{kernels.VectorPerThread(1024, kernels.Float32), kernels.Grid{X: 1, Y: 1}},
		{kernels.VectorPerThread(1025, kernels.Float32), kernels.Grid{X: 2, Y: 1}},
		{kernels.VectorPerThread(2049, kernels.BFloat16), kernels.Grid{X: 2, Y: 1}},
		{kernels.FourPerThread(1025), kernels.Grid{X: 2, Y: 1}},
		{kernels.OnePerThread(257), kernels.Grid{X: 2, Y: 1}},
		{kernels.WarpRows(9), kernels.Grid{X: 2, Y: 1}},
		{kernels.Pool(2048, true), kernels.Grid{X: 2, Y: 1}},
		{kernels.Pool(2047, false), kernels.Grid{X: 8, Y: 1}},
		{kernels.PoolTiles(8*256, kernels.Float16), kernels.Grid{X: 1, Y: 1}},
		{kernels.PoolTiles(8*257, kernels.Float16), kernels.Grid{X: 2, Y: 1}},
		{kernels.PoolTiles(8*256, kernels.Float32), kernels.Grid{X: 2, Y: 1}},
		{kernels.Reduction(1), kernels.Grid{X: 1, Y: 1}},
		{kernels.Reduction(1 << 30), kernels.Grid{X: 512, Y: 1}},
		{kernels.ColumnsFinish(9), kernels.Grid{X: 2, Y: 1}},
		{kernels.GroupNorm(9, 16, 64).Grid, kernels.Grid{X: 2, Y: 1}},
		{kernels.GroupNorm(9, 16, 65).Grid, kernels.Grid{X: 9, Y: 1}},
	} {
		if c.got != c.want {
			t.Errorf("grid %v, want %v", c.got, c.want)
		}
	}
}

// The quotient by multiplication is exact, for the dividends next to multiples of the divisor and at the ends of the range.
func TestDivisorOf(t *testing.T) {
	quotient := func(n uint32, d kernels.Divisor) uint32 {
		return uint32(uint64(2*n)*uint64(uint32(d.Multiplier))>>32) >> d.Shift
	}
	divisors := []int{math.MaxInt32, math.MaxInt32 - 1, 1<<30 + 1, 1 << 30, 1<<30 - 1}
	for d := 1; d <= 5000; d++ {
		divisors = append(divisors, d, d*997+1)
	}
	for _, d := range divisors {
		divisor := kernels.DivisorOf(d)
		for _, multiple := range []int{0, 1, 2, 3, 1000, math.MaxInt32/d - 1, math.MaxInt32 / d} {
			for n := multiple*d - 2; n <= multiple*d+2; n++ {
				if n < 0 || n > math.MaxInt32 {
					continue
				}
				if got := quotient(uint32(n), divisor); got != uint32(n/d) {
					t.Fatalf("%d / %d is %d, want %d", n, d, got, n/d)
				}
			}
		}
	}
}

// Every row and column is in exactly one block, there are no more partial results than
// MaxColumnBlocks says, and the grid is within the limits of a GPU.
func TestColumns(t *testing.T) {
	for _, c := range []int{1, 2, 3, 4, 24, 31, 33, 64, 128, 130, 256, 512, 513, 1000, 4096} {
		for _, rows := range []int{1, 2, 100, 511, 512, 513, 1000, 65536, 230400, 1 << 20} {
			if rows*c > math.MaxInt32 {
				continue
			}
			l := kernels.Columns(rows, c)
			if l.Grid.X*l.RowsPerBlock < rows || (l.Grid.X-1)*l.RowsPerBlock >= rows {
				t.Errorf("[%d %d]: %d blocks of %d rows", rows, c, l.Grid.X, l.RowsPerBlock)
			}
			packs := c
			if l.Vector {
				packs = c / 4
			}
			if l.Grid.Y*32 < packs || (l.Grid.Y-1)*32 >= packs || l.Grid.Y > 65535 {
				t.Errorf("[%d %d]: %d groups of columns, vector %v", rows, c, l.Grid.Y, l.Vector)
			}
			for _, fewer := range []int{rows, rows - 1, rows/2 + 1, 1} {
				if fewer > 0 && kernels.Columns(fewer, c).Grid.X > kernels.MaxColumnBlocks(rows, c) {
					t.Errorf("[%d %d]: %d blocks, memory is for %d of up to %d rows", fewer, c, kernels.Columns(fewer, c).Grid.X, kernels.MaxColumnBlocks(rows, c), rows)
				}
			}
			if blocks := l.Grid.Blocks(); blocks > 512+l.Grid.Y {
				t.Errorf("[%d %d]: %d blocks", rows, c, blocks)
			}
		}
	}
}

// The same for the kernels of batch normalisation, whose last blocks add up the partial results of a group.
func TestBatchNorm(t *testing.T) {
	for _, storage := range []kernels.Storage{kernels.Float32, kernels.Float16} {
		for _, c := range []int{1, 3, 4, 12, 24, 33, 64, 130, 256, 512, 1000, 4096} {
			for _, rows := range []int{1, 2, 100, 513, 9216, 65536, 230400} {
				l := kernels.BatchNorm(rows, c, storage)
				if l.Grid.X*l.RowsPerBlock < rows || (l.Grid.X-1)*l.RowsPerBlock >= rows {
					t.Errorf("[%d %d] %s: %d blocks of %d rows", rows, c, storage, l.Grid.X, l.RowsPerBlock)
				}
				packs, most := c, 32
				if l.Vector {
					packs, most = c/kernels.Pack(storage), 8
				}
				if l.Vector != (c%kernels.Pack(storage) == 0) || l.Grid.Y*most < packs || (l.Grid.Y-1)*most >= packs {
					t.Errorf("[%d %d] %s: %d groups of columns, vector %v", rows, c, storage, l.Grid.Y, l.Vector)
				}
				for _, fewer := range []int{rows, rows - 1, rows/2 + 1, 1} {
					if fewer > 0 && kernels.BatchNorm(fewer, c, storage).Grid.X > kernels.MaxBatchNormBlocks(rows, c, storage) {
						t.Errorf("[%d %d] %s: memory for %d blocks is too little for %d rows", rows, c, storage, kernels.MaxBatchNormBlocks(rows, c, storage), fewer)
					}
				}
				if blocks := l.Grid.Blocks(); blocks > 512+l.Grid.Y {
					t.Errorf("[%d %d] %s: %d blocks", rows, c, storage, blocks)
				}
			}
		}
	}
}

func TestChunks(t *testing.T) {
	got := kernels.Chunks([]int{1, 2048, 5000})
	want := []kernels.Chunk{{Tensor: 0, From: 0, To: 1}, {Tensor: 1, From: 0, To: 2048}, {Tensor: 2, From: 0, To: 2048}, {Tensor: 2, From: 2048, To: 4096}, {Tensor: 2, From: 4096, To: 5000}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("chunks %v, want %v", got, want)
	}
}

func TestLaunchPanics(t *testing.T) {
	for want, call := range map[string]func(){
		"kernels: FourPerThread: 0 elements, want 1 to 2147483647":            func() { kernels.FourPerThread(0) },
		"kernels: VectorPerThread: 2147483648 elements, want 1 to 2147483647": func() { kernels.VectorPerThread(1<<31, kernels.Float32) },
		"kernels: Columns: 4294967296 elements, want 1 to 2147483647":         func() { kernels.Columns(1<<20, 1<<12) },
		"kernels: Chunks: tensor 1: 0 elements, want 1 to 2147483647":         func() { kernels.Chunks([]int{3, 0}) },
		"kernels: WarpRows: -1 elements, want 1 to 2147483647":                func() { kernels.WarpRows(-1) },
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("the panic says %v, want %q", got, want)
				}
			}()
			call()
		}()
	}
}
