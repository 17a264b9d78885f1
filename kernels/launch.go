package kernels

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Threads is the size of every block, but where a kernel says otherwise.
const Threads = 256

// Grid is the number of blocks of a launch.
type Grid struct{ X, Y int }

// Blocks returns how many they are.
func (g Grid) Blocks() int { return g.X * g.Y }

func divideUp(a, b int) int { return (a + b - 1) / b }

// checkCount panics unless 32-bit indices reach n elements.
func checkCount(what string, n int) {
	if n < 1 || n > math.MaxInt32 {
		panic(fmt.Sprintf("kernels: %s: %d elements, want 1 to %d", what, n, math.MaxInt32))
	}
}

// VectorPerThread returns the grid for n elements at 16 bytes a thread.
func VectorPerThread(n int, s Storage) Grid {
	checkCount("Elementwise", n)
	pack := 8
	if s == Float32 {
		pack = 4
	}
	return Grid{divideUp(n, pack*Threads), 1}
}

// FourPerThread returns the grid for n elements at 4 a thread: dropout, casts.
func FourPerThread(n int) Grid {
	checkCount("Quads", n)
	return Grid{divideUp(n, 4*Threads), 1}
}

// OnePerThread returns the grid for n elements at one a thread: gather_labels.
func OnePerThread(n int) Grid {
	checkCount("Linear", n)
	return Grid{divideUp(n, Threads), 1}
}

// WarpRows returns the grid for n rows at a warp each: softmax, losses.
func WarpRows(n int) Grid {
	checkCount("WarpRows", n)
	return Grid{divideUp(n, Threads/32), 1}
}

// Vector returns whether kernels take c channels four at a time, for tensors whose
// addresses are multiples of 16, and so what their parameter of that name is.
func Vector(c int) bool { return c%4 == 0 }

// Pool returns the grid of a pooling kernel over n elements of c channels: of y in forward, of dx
// in backward. The kernels named wide take channels one by one: vector is false.
func Pool(n int, vector bool) Grid {
	checkCount("Pool", n)
	if vector {
		n /= 4
	}
	return Grid{divideUp(n, Threads), 1}
}

// reductionBlocks is about what the largest GPUs run at a time. It is the same for all, so
// that sums come out the same on all.
const reductionBlocks = 512

// Reduction returns the grid of a sum over n elements, of which X is the length of the partial sums.
func Reduction(n int) Grid {
	checkCount("Reduction", n)
	return Grid{min(reductionBlocks, divideUp(n, 8*Threads)), 1}
}

// Runs is how a reduction of n elements to each of several results is launched: see reduce.cu.
type Runs struct {
	Warp  bool // a warp per result
	Parts int  // blocks per result otherwise, and partial results
}

// warpRun is the longest run that one warp reduces: eight times 16 bytes a thread.
const warpRun = 1024

// RunsOf returns the launch for this number of results. That for one has the grid of Reduction.
func RunsOf(results, n int) Runs {
	checkCount("RunsOf", results)
	if results > 1 && n <= warpRun {
		return Runs{Warp: true, Parts: 1}
	}
	parts := Reduction(n).X
	if results > 1 {
		parts = min(parts, max(reductionBlocks/results, 1))
	}
	return Runs{Parts: parts}
}

// Grid returns the grid for so many results, which may be fewer than those that the launch is made for.
func (r Runs) Grid(results int) Grid {
	if r.Warp {
		return Grid{divideUp(results, Threads/32), 1}
	}
	return Grid{results * r.Parts, 1}
}

// ColumnsLaunch is how a matrix [rows, c] is shared out: see columns.cuh.
type ColumnsLaunch struct {
	Grid         Grid
	RowsPerBlock int
	Vector       bool
}

// Columns returns the launch for a matrix [rows, c] whose address is a multiple of 16. Grid.X is the
// number of partial results of each column.
func Columns(rows, c int) ColumnsLaunch {
	return ColumnsOf(1, rows, c)
}

// ColumnsOf returns the launch for one of n matrices [rows, c] that follow each other. That for all has n times the
// Grid.X.
func ColumnsOf(n, rows, c int) ColumnsLaunch {
	checkCount("Columns", n*rows*c)
	groups, blocks, least := columnGroups(c)
	perBlock := max(divideUp(rows, max(blocks/n, 1)), least)
	return ColumnsLaunch{Grid{divideUp(rows, perBlock), groups}, perBlock, Vector(c)}
}

// Squares returns the grid for images [m, n] with a block for each square of 32 x 32 elements: transpose.
func Squares(images, m, n int) Grid {
	checkCount("Squares", images*m*n)
	return Grid{images * divideUp(m, 32) * divideUp(n, 32), 1}
}

// mapKinds are the functions of map.cu, in the order of its constants.
var mapKinds = [...]string{
	"affine", "square", "abs", "sign", "sqrt", "rsqrt", "reciprocal", "exp", "log",
	"add", "mul", "div", "max", "min", "greater", "select",
}

// MapCode returns the number by which map.cu knows a function.
func MapCode(kind string) int {
	for i, k := range mapKinds {
		if k == kind {
			return i
		}
	}
	panic(fmt.Sprintf("kernels: MapCode: no function is named %q", kind))
}

// MaxColumnBlocks returns the largest Grid.X of Columns for up to this number of rows: what
// memory for partial results to make.
func MaxColumnBlocks(rows, c int) int {
	_, blocks, least := columnGroups(c)
	return min(blocks, divideUp(rows, least))
}

// columnGroups returns the groups of columns, the most blocks each gets, and the fewest
// rows that are worth a block: four a lane.
func columnGroups(c int) (groups, blocks, least int) {
	packs := c
	if Vector(c) {
		packs = c / 4
	}
	groups = divideUp(packs, 32)
	lanes := Threads / divideUp(packs, groups)
	return groups, max(reductionBlocks/groups, 1), 4 * lanes
}

// ColumnsFinish returns the grid of the kernels that put the partial results of c columns together.
func ColumnsFinish(c int) Grid { return Grid{divideUp(c, 8), 1} }

// Chunk is the part of one tensor of a list that one block works on: elements [From, To).
// A table of them in device memory is the parameter chunks.
type Chunk struct{ Tensor, From, To int32 }

// chunkElements is eight elements a thread.
const chunkElements = 8 * Threads

// Chunks cuts tensors of these lengths up. The number of chunks is the grid.
func Chunks(lengths []int) []Chunk {
	var chunks []Chunk
	for i, n := range lengths {
		checkCount(fmt.Sprintf("Chunks: tensor %d", i), n)
		for from := 0; from < n; from += chunkElements {
			chunks = append(chunks, Chunk{int32(i), int32(from), int32(min(from+chunkElements, n))})
		}
	}
	return chunks
}

// Slot is one parameter of optimizer.cu: device addresses, 0 for a state that the rule
// doesn't keep, and the row of the hyperparameters.
type Slot struct {
	Value, Grad, State1, State2 uint64
	Group, _                    int32
}

// Pair is one destination and source of average.cu or of the lists of cast.cu.
type Pair struct{ Dst, Src uint64 }

// Table returns rows as a GPU reads them. A list of pointers is a table of uint64.
func Table[T Chunk | Slot | Pair | uint64](rows []T) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, rows); err != nil {
		panic(fmt.Sprintf("kernels: Table: %v", err))
	}
	return b.Bytes()
}
