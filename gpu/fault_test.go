//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// fault is a failure that the software emulation is told to produce in the middle of a step.
type fault struct {
	name, setting string
	lost          bool   // the context is unusable afterwards
	word          string // text that the error must contain
}

func faults() []fault {
	return []fault{
		{"a launch is refused", "fail=cuLaunchKernel#3:INVALID_VALUE", false, "CUDA_ERROR_INVALID_VALUE"},
		{"a kernel fails", "fail=batchnorm_moments_f32#1:LAUNCH_FAILED", true, "CUDA_ERROR_LAUNCH_FAILED"},
		{"a kernel reaches wrong memory", "fail=dropout_f32#2:ILLEGAL_ADDRESS", true, "CUDA_ERROR_ILLEGAL_ADDRESS"},
		{"a product fails", "fail=cublasGemmEx#1:EXECUTION_FAILED", false, "CUBLAS_STATUS_EXECUTION_FAILED"},
		{"a convolution fails", "fail=cudnnConvolutionBackwardFilter#1:BAD_PARAM", false, "CUDNN_STATUS_BAD_PARAM"},
		{"the memory has an error", "fail=optimizer_nesterov#1:ECC_UNCORRECTABLE", true, "CUDA_ERROR_ECC_UNCORRECTABLE"},
		{"the device is lost", "fail=loss_cross_entropy#1:LOST", true, "CUDA_ERROR_UNKNOWN"},
	}
}

// A fault, here of the software emulation, is recorded: Sync and every later call return it, and plans do nothing more.
// Closing still works.
func TestFaultsAreKept(t *testing.T) {
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			emulate(t, "")
			dev, err := New(0)
			if err != nil {
				t.Fatal(err)
			}
			d := dev.(*Device)
			n := newSmallNet(t, d, true)
			n.step()
			if err := d.Sync(); err != nil {
				t.Fatal(err)
			}
			configure(t, f.setting)
			n.step()
			fault := d.Sync()
			if fault == nil {
				t.Fatal("Sync returns no fault")
			}
			var kind error
			if f.lost {
				kind = device.ErrLost
			}
			checkError(t, fault, kind, "cuda:0", f.word)
			if e := new(cuda.Error); !errors.As(fault, &e) || e.Name != f.word {
				t.Errorf("the fault %v has no *cuda.Error of %s in it", fault, f.word)
			}
			launched := cudasim.Calls("cuLaunchKernel")
			n.step()
			if got := cudasim.Calls("cuLaunchKernel"); got != launched {
				t.Errorf("%d launches after the fault", got-launched)
			}
			checkEveryCall(t, d, n, fault)
			if err := d.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
			if f.lost {
				forgiveLeaks(t)
			}
		})
	}
}

// checkEveryCall fails the test unless all that returns an error returns the fault.
func checkEveryCall(t *testing.T, d *Device, n *smallNet, fault error) {
	t.Helper()
	_, newTensor := d.NewTensor(device.Float32, 1)
	_, newPlan := d.NewSoftmax(device.SoftmaxSpec{N: 1, Classes: 2})
	_, capture := d.Capture(func() {})
	for name, err := range map[string]error{
		"Sync": d.Sync(), "Upload": d.Upload(n.counter, make([]byte, 4)), "Download": d.Download(make([]byte, 4), n.counter),
		"NewTensor": newTensor, "NewSoftmax": newPlan, "Capture": capture,
	} {
		if !errors.Is(err, fault) {
			t.Errorf("%s returns %v, want the fault, %v", name, err, fault)
		}
	}
	if free := d.FreeMemory(); free != 0 {
		t.Errorf("%d bytes are free, want 0 after a fault", free)
	}
}

// forgiveLeaks drops the emulation's findings of memory that was not freed: in a lost context memory can't be freed.
func forgiveLeaks(t *testing.T) {
	t.Helper()
	for _, line := range cudasim.Findings() {
		if !strings.HasPrefix(line, "leak:") {
			t.Errorf("software CUDA: %s", line)
		}
	}
	cudasim.Clear()
}

// The next Download returns the software emulation's fault as well as Sync does.
func TestDownloadReturnsTheFault(t *testing.T) {
	emulate(t, "")
	dev, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	n := newSmallNet(t, dev, true)
	configure(t, "fail=loss_cross_entropy#1:LAUNCH_FAILED")
	n.step()
	checkError(t, dev.Download(make([]byte, 4*device.StatsLen), n.stats), device.ErrLost, "CUDA_ERROR_LAUNCH_FAILED")
	if err := dev.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	forgiveLeaks(t)
}

// A replayed graph of the software emulation has its fault like the step.
func TestFaultInAGraph(t *testing.T) {
	d := newDevice(t)
	n := newSmallNet(t, d, true)
	n.step()
	g := mustCapture(t, d, n.step)
	configure(t, "fail=cuGraphLaunch#2:INVALID_VALUE")
	g.Launch()
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	g.Launch()
	checkError(t, d.Sync(), nil, "a recorded step", "CUDA_ERROR_INVALID_VALUE")
}

// Calls to a closed device, here a software emulation, return an error that says so.
func TestClosed(t *testing.T) {
	emulate(t, "")
	dev, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	n := newSmallNet(t, dev, true)
	g := mustCapture(t, dev.(*Device), n.step)
	for range 2 {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
	n.step()
	g.Launch()
	if err := dev.Sync(); err == nil || !strings.Contains(err.Error(), "it is closed") {
		t.Errorf("Sync of a closed device returns %v", err)
	}
}

// If the software cuDNN refuses to add the bias in the same call, a pass over the output adds it; the result is the
// same.
func TestConvolutionWithoutFusedBias(t *testing.T) {
	spec := device.Conv2DSpec{N: 3, H: 6, W: 5, InC: 4, OutC: 6, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1}
	for _, c := range []struct {
		name       string
		bias, relu bool
	}{{"bias", true, false}, {"relu", false, true}, {"bias and relu", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(t)
			n := &smallNet{t: t, dev: d, params: map[string]*param{}}
			n.param("x", 1, 3, 6, 5, 4)
			n.param("w", 1, 6, 3, 3, 4)
			n.param("bias", 1, 6)
			y, bias := n.zeros(3, 6, 5, 6), n.params["bias"].value
			if spec.Bias = c.bias; !c.bias {
				bias = nil
			}
			run := func() []float32 {
				conv, err := d.newConv2D(spec, c.relu)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					conv.Forward(y, n.params["x"].value, n.params["w"].value, bias)
				}
				return n.download(y)
			}
			want, fused := run(), cudasim.Calls("cudnnConvolutionBiasActivationForward")
			configure(t, "fail=cudnnConvolutionBiasActivationForward#1+:NOT_SUPPORTED")
			same(t, run(), want)
			if again := cudasim.Calls("cudnnConvolutionBiasActivationForward") - fused; again > 1 {
				t.Errorf("cuDNN was asked %d times for what it had refused", again)
			}
		})
	}
}
