package kernels

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Threads is the number of threads per block, except for kernels that document another number.
const Threads = 256

// Grid is the number of blocks of a launch.
type Grid struct{ X, Y int }

// Blocks returns the number of blocks.
func (g Grid) Blocks() int { return g.X * g.Y }

func divideUp(a, b int) int { return (a + b - 1) / b }

// checkCount panics unless n is positive and 32-bit indices can address n elements.
func checkCount(what string, n int) {
	if n < 1 || n > math.MaxInt32 {
		panic(fmt.Sprintf("kernels: %s: %d elements, want 1 to %d", what, n, math.MaxInt32))
	}
}

// VectorPerThread returns the grid for n elements with 16 bytes per thread.
func VectorPerThread(n int, s Storage) Grid {
	checkCount("VectorPerThread", n)
	return Grid{divideUp(n, Pack(s)*Threads), 1}
}

// Pack returns the number of elements in 16 bytes, the widest access of a thread.
func Pack(s Storage) int {
	if s == Float32 {
		return 4
	}
	return 8
}

// FourPerThread returns the grid for n elements with 4 per thread: dropout, casts.
func FourPerThread(n int) Grid {
	checkCount("FourPerThread", n)
	return Grid{divideUp(n, 4*Threads), 1}
}

// OnePerThread returns the grid for n elements with one per thread: gather_labels.
func OnePerThread(n int) Grid {
	checkCount("OnePerThread", n)
	return Grid{divideUp(n, Threads), 1}
}

// WarpRows returns the grid for n rows with one warp per row: softmax, losses.
func WarpRows(n int) Grid {
	checkCount("WarpRows", n)
	return Grid{divideUp(n, Threads/32), 1}
}

// DenseLaunch is the launch of dense_backward.
type DenseLaunch struct {
	Grid         Grid
	WeightBlocks int // blocks for dw and dbias; the others are for dx
	Groups       int // of elements of dw and dbias, 256 each
	Spans        int // parts of the rows, each with partial sums of all elements of dw and dbias
	RowsPerSpan  int
	Vector       bool // dx is written 16 bytes at a time
}

// MaxDenseOutputs is the largest number of outputs of dense.cu.
const MaxDenseOutputs = 32

// DenseLanes returns the smallest power of two that is not below the number of outputs: the lanes of a warp that share the
// inputs.
func DenseLanes(outputs int) int { return 1 << bits.Len(uint(outputs-1)) }

// DenseBackwardLaunch returns the launch of dense_backward for a dense layer of n rows, with the gradients of the weights,
// of the inputs, or both. Fewer rows have no more spans.
func DenseBackwardLaunch(n, in, outputs int, s Storage, weights, inputs bool) DenseLaunch {
	checkCount("DenseBackwardLaunch", n*max(in+1, outputs))
	l := DenseLaunch{Groups: divideUp((in+1)*outputs, Threads), Vector: in%Pack(s) == 0}
	l.RowsPerSpan = max(64, divideUp(n, max(1, min(16, reductionBlocks/l.Groups))))
	l.Spans = divideUp(n, l.RowsPerSpan)
	if weights {
		l.WeightBlocks = l.Groups * l.Spans
	}
	l.Grid = Grid{l.WeightBlocks, 1}
	if inputs {
		packs := n * in
		if l.Vector {
			packs /= Pack(s)
		}
		l.Grid.X += divideUp(packs, Threads)
	}
	return l
}

// Vector returns the value of the parameter named vector: whether the kernel takes c channels four at a
// time. The addresses of the tensors must be multiples of 16.
func Vector(c int) bool { return c%4 == 0 }

// Pool returns the grid of a pooling kernel over n elements of c channels: of y in the forward pass, of
// dx in the backward pass. For the kernels named wide, which take channels one by one, vector is false.
func Pool(n int, vector bool) Grid {
	checkCount("Pool", n)
	if vector {
		n /= 4
	}
	return Grid{divideUp(n, Threads), 1}
}

// PoolTiles returns the grid of a kernel of pool2d_tiles.cu for n outputs, whose channels are a multiple of Pack.
func PoolTiles(n int, s Storage) Grid {
	checkCount("PoolTiles", n)
	return Grid{divideUp(n/Pack(s), Threads), 1}
}

// Divisor is a number by which kernels divide indices: see division.cuh.
type Divisor struct{ Multiplier, Shift int32 }

// DivisorOf returns the divisor d. It panics unless d is in [1, 2^31).
func DivisorOf(d int) Divisor {
	checkCount("DivisorOf", d)
	shift := bits.Len(uint(d - 1))
	m := (uint64(1)<<(31+shift) + uint64(d) - 1) / uint64(d)
	return Divisor{int32(uint32(m)), int32(shift)}
}

// reductionBlocks is about the number of blocks that the largest GPUs run at a time. It is the same for
// all GPUs, so that sums are the same on all of them.
const reductionBlocks = 512

// Reduction returns the grid of a sum over n elements. Its X is the number of partial sums.
func Reduction(n int) Grid {
	checkCount("Reduction", n)
	return Grid{min(reductionBlocks, divideUp(n, 8*Threads)), 1}
}

// Runs is the launch of a reduction to several results, each of n elements: see reduce.cu.
type Runs struct {
	Warp  bool // one warp per result
	Parts int  // without Warp: blocks per result, and partial results per result
}

// warpRun is the longest run that one warp reduces: eight times 16 bytes per thread.
const warpRun = 1024

// RunsOf returns the launch for this number of results. For one result it has the grid of Reduction.
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

// Grid returns the grid for this number of results, which may be less than the number that the launch is
// made for.
func (r Runs) Grid(results int) Grid {
	if r.Warp {
		return Grid{divideUp(results, Threads/32), 1}
	}
	return Grid{results * r.Parts, 1}
}

// ColumnsLaunch is the launch of a kernel over the columns of a matrix [rows, c]: see columns.cuh.
type ColumnsLaunch struct {
	Grid         Grid
	RowsPerBlock int
	Vector       bool
}

// Columns returns the launch for a matrix [rows, c] whose address is a multiple of 16. Grid.X is the
// number of partial results per column.
func Columns(rows, c int) ColumnsLaunch {
	return ColumnsOf(1, rows, c)
}

// ColumnsOf returns the launch for one of n matrices [rows, c] that are stored one after the other. The
// launch for all of them has n times its Grid.X.
func ColumnsOf(n, rows, c int) ColumnsLaunch {
	checkCount("Columns", n*rows*c)
	groups, blocks, least := columnGroups(c)
	perBlock := max(divideUp(rows, max(blocks/n, 1)), least)
	return ColumnsLaunch{Grid{divideUp(rows, perBlock), groups}, perBlock, Vector(c)}
}

// normPacks is the largest number of packs per group of columns of BatchNorm: few, because the last block of a group adds
// up the partial results of the group, and enough for 128 bytes of a row per group.
const normPacks = 8

// normBlocks is about the number of blocks of BatchNorm: three per SM of an H100, which has 132. By their registers that
// many run at a time, so that none has to wait for others to end.
const normBlocks = 384

// BatchNorm returns the launch of the kernels of batchnorm.cu for a matrix [rows, c] whose address is a multiple of 16.
// Grid.X is the number of partial results per column, at most MaxBatchNormBlocks; Grid.Y is the number of groups.
func BatchNorm(rows, c int, s Storage) ColumnsLaunch {
	checkCount("BatchNorm", rows*c)
	vector, groups, blocks, least := normGroups(c, s)
	perBlock := max(divideUp(rows, blocks), least)
	return ColumnsLaunch{Grid{divideUp(rows, perBlock), groups}, perBlock, vector}
}

// MaxBatchNormBlocks returns the largest Grid.X of BatchNorm for up to this number of rows.
func MaxBatchNormBlocks(rows, c int, s Storage) int {
	_, _, blocks, least := normGroups(c, s)
	return min(blocks, divideUp(rows, least))
}

// normGroups returns whether threads take 16 bytes at a time, and groupsOf of the packs.
func normGroups(c int, s Storage) (vector bool, groups, blocks, least int) {
	if c%Pack(s) == 0 {
		groups, blocks, least = groupsOf(c/Pack(s), normPacks, normBlocks)
		return true, groups, blocks, least
	}
	groups, blocks, least = groupsOf(c, columnPacks, normBlocks)
	return false, groups, blocks, least
}

// WhitenStrip is the number of pixels of a row that a thread of whiten.cu takes at a time.
const WhitenStrip = 8

// Whiten returns the grid of the kernels of whiten.cu over an output of rows x width pixels of c channels; rows counts the
// rows of all images. For sums it is the number of partial results, at most MaxWhitenBlocks. ok is false if the kernels
// don't take this number of channels.
func Whiten(rows, width, c int, sums bool) (g Grid, ok bool) {
	checkCount("Whiten", rows*width*c)
	if c%4 != 0 || c > 4*Threads {
		return Grid{}, false
	}
	most := 8 * MaxWhitenBlocks
	if sums {
		most = MaxWhitenBlocks
	}
	return Grid{min(divideUp(rows*divideUp(width, WhitenStrip), Threads/(c/4)), most), 1}, true
}

// MaxWhitenBlocks is the largest number of partial results of a sum of Whiten: two blocks per SM of an H100, as many as run
// at a time by their registers.
const MaxWhitenBlocks = 256

// GroupNormLaunch is the launch of groupnorm_forward and groupnorm_backward.
type GroupNormLaunch struct {
	Grid   Grid
	Warp   bool // one warp per group, otherwise one block
	Vector bool // columns are taken four at a time
}

// GroupNorm returns the launch for this number of groups [rows, width].
func GroupNorm(groups, rows, width int) GroupNormLaunch {
	checkCount("GroupNorm", groups*rows*width)
	l := GroupNormLaunch{Grid{groups, 1}, rows*width <= warpRun, Vector(width)}
	if l.Warp {
		l.Grid = WarpRows(groups)
	}
	return l
}

// Squares returns the grid for images [m, n] with one block per square of 32 x 32 elements: transpose.
func Squares(images, m, n int) Grid {
	checkCount("Squares", images*m*n)
	return Grid{images * divideUp(m, 32) * divideUp(n, 32), 1}
}

// mapKinds are the functions of map.cu, in the order of its constants.
var mapKinds = [...]string{
	"affine", "square", "abs", "sign", "sqrt", "rsqrt", "reciprocal", "exp", "log",
	"add", "mul", "div", "max", "min", "greater", "select",
}

// MapCode returns the number of a function in map.cu. It panics if there is no function with this name.
func MapCode(kind string) int {
	for i, k := range mapKinds {
		if k == kind {
			return i
		}
	}
	panic(fmt.Sprintf("kernels: MapCode: no function is named %q", kind))
}

// MaxColumnBlocks returns the largest Grid.X of Columns for up to this number of rows: the number of
// partial results per column to allocate memory for.
func MaxColumnBlocks(rows, c int) int {
	_, blocks, least := columnGroups(c)
	return min(blocks, divideUp(rows, least))
}

// columnGroups returns the number of groups of columns, the largest number of blocks per group, and the
// smallest number of rows per block: four per lane.
func columnGroups(c int) (groups, blocks, least int) {
	if Vector(c) {
		return groupsOf(c/4, columnPacks, reductionBlocks)
	}
	return groupsOf(c, columnPacks, reductionBlocks)
}

// columnPacks is the largest number of packs per group of columns, except for BatchNorm.
const columnPacks = 32

// groupsOf is columnGroups for a number of packs, the largest number per group, and the number of blocks of all groups.
func groupsOf(packs, most, all int) (groups, blocks, least int) {
	groups = divideUp(packs, most)
	lanes := Threads / divideUp(packs, groups)
	return groups, max(all/groups, 1), 4 * lanes
}

// DepthwiseStrips returns the grid of depthwise_forward and depthwise_data over a result of rows x width pixels of c
// channels; rows counts the rows of all images. vector is whether channels are taken four at a time.
func DepthwiseStrips(rows, width, c int, vector bool) Grid {
	checkCount("DepthwiseStrips", rows*width*c)
	if vector {
		c /= 4
	}
	return Grid{divideUp(rows*divideUp(width, 4)*c, Threads), 1}
}

// TapsAtOnce is the number of taps per launch of depthwise_filter.
const TapsAtOnce = 9

// DepthwiseFilterLaunch returns the launch of depthwise_filter for rows pixels of c channels. Grid.X is the number of
// partial results per tap, at most MaxDepthwiseBlocks.
func DepthwiseFilterLaunch(rows, c int) ColumnsLaunch {
	checkCount("DepthwiseFilterLaunch", rows*c)
	groups, blocks, least := groupsOf(c, columnPacks, reductionBlocks)
	perBlock := max(divideUp(rows, blocks), least)
	return ColumnsLaunch{Grid{divideUp(rows, perBlock), groups}, perBlock, false}
}

// MaxDepthwiseBlocks returns the largest Grid.X of DepthwiseFilterLaunch for up to this number of rows.
func MaxDepthwiseBlocks(rows, c int) int {
	_, blocks, least := groupsOf(c, columnPacks, reductionBlocks)
	return min(blocks, divideUp(rows, least))
}

// ColumnsFinish returns the grid of the kernels that combine the partial results of c columns.
func ColumnsFinish(c int) Grid { return Grid{divideUp(c, 8), 1} }

// Chunk is the part of one tensor of a list that one block works on: elements [From, To). The parameter
// named chunks is a table of them in device memory.
type Chunk struct{ Tensor, From, To int32 }

// chunkElements is eight elements per thread.
const chunkElements = 8 * Threads

// Chunks divides tensors of these lengths into chunks. The grid has one block per chunk.
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

// Slot is one parameter of optimizer.cu: device addresses, 0 for a state that the rule doesn't have, and
// the row of the hyperparameters.
type Slot struct {
	Value, Grad, State1, State2 uint64
	Copy                        uint64 // of the value in 16 bits, or 0
	Group                       int32
	BFloat16                    int32 // 1 if the copy is bfloat16, 0 if it is float16
}

// Pair is one destination and source for average.cu, or for the list kernels of cast.cu.
type Pair struct{ Dst, Src uint64 }

// Table returns rows in the layout that the kernels read. A list of pointers is a table of uint64.
func Table[T Chunk | Slot | Pair | uint64](rows []T) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, rows); err != nil {
		panic(fmt.Sprintf("kernels: Table: %v", err))
	}
	return b.Bytes()
}
