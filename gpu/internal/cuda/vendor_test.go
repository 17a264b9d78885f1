//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"trainer/gpu/cudasim"
)

// named is the setting of NVIDIA's libraries in the environment, before a test replaces it by the emulation.
var named = os.Getenv(PathVariable)

// NVIDIA's cuDNN itself accepts the graphs that this package describes, and prepares plans of them for an H100,
// although there is none: cuDNN 9.8 and newer can do that for a GPU described in a file, testdata/h100.json, without a
// device or a driver. So names, types and numbers of attributes are checked against the library. The results of a plan
// are not.
//
// TRAINER_CUDA_PATH must name a folder with cuDNN, such as nvidia/cudnn/lib of the Python package nvidia-cudnn-cu12 or
// -cu13, next to cuBLAS and, for engines that compile kernels, NVRTC.
func TestGraphsOfNVIDIA(t *testing.T) {
	_ = os.Getenv(PathVariable) // makes go test run this test again if the variable changes
	if !inOtherProgram() {
		if !containsCuDNN(named) {
			t.Skipf("%s names no folder of NVIDIA's cuDNN 9", PathVariable)
		}
		// The driver of a machine without a device, which the emulation has, before NVIDIA's libraries.
		driver := cudasim.Build(t, cudasim.Options{Libraries: []string{cudasim.Driver}, Kernels: newest.Kernels})
		named = driver + string(filepath.ListSeparator) + named
	}
	if !again(t, PathVariable+"="+named, cudasim.SettingsVariable+"=devices=0") {
		return
	}
	check(t, driver.need()) // parts of cuDNN are linked with libcuda
	text, err := os.ReadFile("testdata/h100.json")
	check(t, err)
	d, err := newTargetDNN(string(text))
	check(t, err)
	if _, err := newTargetDNN("{}"); err == nil {
		t.Error("a GPU of which nothing is said is no error")
	}
	t.Logf("cuDNN %d", CuDNNVersion())
	for name, c := range vendorCases {
		for _, typ := range []DataType{Float32, Float16, BFloat16} {
			for _, p := range []Pass{Forward, BackwardData, BackwardFilter} {
				for _, bias := range []bool{false, true} {
					for _, relu := range []bool{false, true} {
						if p != Forward && bias || relu && !bias {
							continue
						}
						c.Pass, c.Type, c.Bias, c.ReLU = p, typ, bias, relu
						t.Run(fmt.Sprintf("%s/%v/%v/bias %v/ReLU %v", name, typ, p, bias, relu), func(t *testing.T) { checkVendor(t, d, c) })
					}
				}
			}
		}
	}
}

func containsCuDNN(path string) bool {
	for _, dir := range filepath.SplitList(path) {
		if _, err := os.Stat(filepath.Join(dir, "libcudnn.so.9")); err == nil {
			return true
		}
	}
	return false
}

// vendorCases are convolutions of every kind.
var vendorCases = map[string]GraphConvolution{
	"3 x 3":           {N: 128, H: 32, W: 32, InC: 64, OutC: 64, KH: 3, KW: 3, Geometry: Geometry{1, 1, 1, 1, 1, 1, 1}},
	"of colours":      {N: 128, H: 32, W: 32, InC: 3, OutC: 32, KH: 3, KW: 3, Geometry: Geometry{1, 1, 1, 1, 1, 1, 1}},
	"of gray":         {N: 128, H: 28, W: 28, InC: 1, OutC: 32, KH: 5, KW: 5, Geometry: Geometry{0, 0, 1, 1, 1, 1, 1}},
	"odd":             {N: 5, H: 13, W: 11, InC: 7, OutC: 9, KH: 3, KW: 2, Geometry: Geometry{1, 0, 1, 2, 1, 1, 1}},
	"strided":         {N: 128, H: 32, W: 32, InC: 64, OutC: 128, KH: 3, KW: 3, Geometry: Geometry{1, 1, 2, 2, 1, 1, 1}},
	"1 x 1":           {N: 128, H: 16, W: 16, InC: 64, OutC: 128, KH: 1, KW: 1, Geometry: Geometry{0, 0, 1, 1, 1, 1, 1}},
	"dilated":         {N: 32, H: 32, W: 32, InC: 64, OutC: 64, KH: 3, KW: 3, Geometry: Geometry{2, 2, 1, 1, 2, 2, 1}},
	"in groups":       {N: 32, H: 32, W: 32, InC: 64, OutC: 64, KH: 3, KW: 3, Geometry: Geometry{1, 1, 1, 1, 1, 1, 4}},
	"of each channel": {N: 32, H: 32, W: 32, InC: 64, OutC: 64, KH: 3, KW: 3, Geometry: Geometry{1, 1, 1, 1, 1, 1, 64}},
}

// checkVendor describes a convolution, and prepares a plan of the first proposal.
func checkVendor(t *testing.T, d *DNN, c GraphConvolution) {
	g, err := d.NewConvolutionGraph(c)
	check(t, err)
	engines, err := g.Engines(Fastest)
	check(t, err)
	fallback, err := g.Engines(Fallback)
	check(t, err)
	if len(engines) == 0 || len(fallback) == 0 {
		t.Fatalf("%d engines, and %d to fall back on", len(engines), len(fallback))
	}
	// At least one engine must fit a device that is deterministic and multiplies float32 operands unrounded.
	const avoided = TensorCores | DownConverts | ReducedSums | Nondeterministic
	exact := 0
	for _, e := range append(engines, fallback...) {
		if e.Notes&avoided == 0 {
			exact++
		}
	}
	if exact == 0 {
		t.Errorf("no engine of %v and %v does without tensor cores, and is deterministic", engines, fallback)
	}
	plan, err := g.Plan(engines[0])
	check(t, err, g.Close())
	if plan.Workspace() < 0 || plan.Workspace() > 1<<32 {
		t.Errorf("a workspace of %d bytes", plan.Workspace())
	}
	t.Logf("%d proposals, first engine %d with notes %b in %d bytes of workspace; %d to fall back on; %d are exact",
		len(engines), engines[0].Number, engines[0].Notes, plan.Workspace(), len(fallback), exact)
	check(t, plan.Close())
}
