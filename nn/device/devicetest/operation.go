package devicetest

import (
	"testing"

	"trainer/nn/device"
)

// Operation is one operation of a device. What the project does with operations follows from the list of them
// (Operations): conformance in every storage type, panics, allocations, bits at any number of threads, guard pages and benchmarks.
type Operation struct {
	Name string // of its sub-test
	// Constructor is the method that makes its plans: of device.Device or of one of the optional interfaces.
	Constructor string
	Group       Group
	// Types are the types of the tensors whose type the spec leaves open. A device without 16 bits must refuse the others.
	Types []device.DType
	// Test compares the plans of many cases with package reference. It skips if the device has no such constructor.
	Test func(t *testing.T, dev device.Device, opt Options)
	// Panics checks that a programmer's mistake panics, and that the panic says which operand was wrong and what would
	// be right. Nil if another operation's checks are the same.
	Panics func(t *testing.T, dev device.Device)
	// Calls returns calls of every method of the plan, for a size of operands.
	Calls func(size Size) []Call
}

// Group is what limits the speed of an operation; benchmarks show operations of one group together.
type Group string

// The groups.
const (
	Convolutions Group = "conv" // bound by arithmetic
	Products     Group = "gemm" // bound by arithmetic
	Elementwise  Group = "elementwise"
)

// The storage types of operations.
var (
	float32Only = []device.DType{device.Float32}
	allFloats   = []device.DType{device.Float32, device.Float16, device.BFloat16}
	halfOnly    = []device.DType{device.Float16, device.BFloat16}
)

// Operations returns the list of all operations.
func Operations() []Operation {
	return []Operation{
		conv2DOperation(),
		pool2DOperation(),
		matMulOperation(),
		batchNormOperation(),
		activationOperation(),
		dropoutOperation(),
		lossOperation(),
		softmaxOperation(),
		weightedSumOperation(),
		reduceOperation(),
		mapOperation(),
		transposeOperation(),
		gatherOperation(),
		copyColumnsOperation(),
		optimizerOperation(),
		clipOperation(),
		averageOperation(),
		augmentOperation(),
		transformOperation(),
		castOperation(),
		castListOperation(),
		lossScalingOperation(),
		fusedBatchNormOperation(),
		fusedPool2DOperation(),
		fusedConv2DOperation(),
		fusedMatMulOperation(),
		fusedConvPoolOperation(),
	}
}
