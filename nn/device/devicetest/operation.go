package devicetest

import (
	"testing"

	"trainer/nn/device"
)

// Operation is one operation of a device. The list of all operations (Operations) drives everything that the project
// does with them: conformance tests in every storage type, tests of panics, of allocations, of equal bits with any
// number of threads and of guard pages, and benchmarks.
type Operation struct {
	Name string // of its sub-test
	// Constructor is the method that makes its plans: of device.Device or of one of the optional interfaces.
	Constructor string
	Group       Group
	// Types are the types of the tensors whose type the spec leaves open. A device without 16-bit support must refuse
	// all but Float32.
	Types []device.DType
	// Test compares the plans of many cases with package reference. It skips if the device lacks the constructor.
	Test func(t *testing.T, dev device.Device, opt Options)
	// Panics checks that a programmer's mistake panics, and that the panic names the wrong operand and says what would
	// be right. It is nil if another operation has the same checks.
	Panics func(t *testing.T, dev device.Device)
	// Calls returns calls of every method of the plan, for a size of operands.
	Calls func(size Size) []Call
}

// Group groups operations by what limits their speed; benchmarks show operations of one group together.
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
		groupNormOperation(),
		activationOperation(),
		dropoutOperation(),
		lossOperation(),
		trainingLossOperation(),
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
		scaledMatMulOperation(),
		fusedConvPoolOperation(),
		biasGradientOperation(),
		fusedConvActivationOperation(),
		poolBatchNormOperation(),
		batchNormPoolOperation(),
		convPoolBatchNormOperation(),
		convOfActivationOperation(),
		denseLossOperation(),
		denseGradientsOperation(),
	}
}
