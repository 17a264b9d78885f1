//go:build cuda && linux && cgo && (amd64 || arm64)

package doctor

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"time"

	"trainer/gpu"
	"trainer/gpu/internal/cuda"
	"trainer/gpu/internal/require"
	"trainer/nn/device"
)

// Survey loads the libraries and asks the driver for its GPUs, without using any of them. It does not fail: what is
// wrong is in the diagnosis, to which Examine adds. It calls begin before each action, so that a crash within a library
// can be attributed.
func Survey(begin func(doing string)) Diagnosis {
	d := Diagnosis{Built: true, GPUs: []GPU{}}
	begin("starting the driver")
	n, err := cuda.DeviceCount()
	begin("loading cuBLAS and cuDNN")
	d.Driver, d.Libraries = findLibraries()
	begin("loading NCCL")
	found := library("NCCL", cuda.LibraryOfRanks())
	if found.File == "" {
		found.Reason = "not found: several GPUs need it"
	}
	d.NCCL = &found
	for _, l := range cuda.Libraries() {
		d.Python = cmp.Or(d.Python, l.Asked)
	}
	if err == nil && n == 0 {
		d.Driver.Reason, d.Driver.Remedy = "the driver lists no GPU", "CUDA_VISIBLE_DEVICES may hide it"
	} else if err != nil {
		d.Driver.Reason, d.Driver.Remedy = explain(err)
	} else if err := require.Driver(); err != nil {
		d.Driver.Reason, d.Driver.Remedy = explain(err)
	}
	for i := range n {
		begin(fmt.Sprintf("asking the driver about cuda:%d", i))
		d.GPUs = append(d.GPUs, look(i))
	}
	d.Conclude()
	return d
}

// findLibraries loads the libraries and returns where each was found.
func findLibraries() (Driver, []Library) {
	all := cuda.Libraries()
	driver := Driver{Library: library("driver", all[0])}
	driver.Version, driver.CUDA = driverVersion(driver.File), driver.Version
	lt := Library{Name: "cuBLASLt"}
	if lt.File, lt.Version = cuda.LoadedCuBLASLt(); lt.File == "" {
		lt.Reason = "not loaded: cuBLAS, which it comes with, loads it"
	}
	return driver, []Library{library("cuBLAS", all[1]), lt, library("cuDNN", all[2])}
}

func library(name string, l cuda.Library) Library {
	r := Library{Name: name, Version: l.Version, CUDA: l.CUDA, File: l.File}
	if l.File == "" {
		r.Reason = "not found"
	}
	for _, a := range l.Tried {
		r.Tried = append(r.Tried, Attempt{Place: a.Place, File: a.File, Reason: a.Reason})
	}
	return r
}

// kernelModule is the file in which the driver's kernel module reports its version.
const kernelModule = "/proc/driver/nvidia/version"

var (
	fileVersion   = regexp.MustCompile(`libcuda\.so\.(\d{3}\.\d+(?:\.\d+)?)$`)
	moduleVersion = regexp.MustCompile(`Kernel Module.*?\s(\d{3}\.\d+(?:\.\d+)?)\s`)
)

// driverVersion returns the driver's own version, from the name of libcuda's file or from the
// kernel module; "" if neither has it.
func driverVersion(file string) string {
	if m := fileVersion.FindStringSubmatch(file); m != nil {
		return m[1]
	}
	if file == "" {
		return ""
	}
	text, err := os.ReadFile(kernelModule)
	if err != nil {
		return ""
	}
	if m := moduleVersion.FindStringSubmatch(string(text)); m != nil {
		return m[1]
	}
	return ""
}

// Examine opens a GPU, runs a self-test on it, and compares the results with those of reference, the CPU. It does not
// fail: what is wrong is in the GPU that it returns. It calls begin before each action, with what is known so far,
// because a library may crash or never return.
func Examine(index int, reference device.Device, begin func(doing string, sofar GPU)) (g GPU) {
	defer func() {
		if r := recover(); r != nil {
			g.Usable, g.Reason = false, fmt.Sprintf("the self-test failed: %v", r)
		}
	}()
	if g = look(index); g.Reason != "" {
		return g
	}
	begin("opening it", g)
	start := time.Now()
	dev, err := gpu.New(index, gpu.WithPrecision(gpu.FP32))
	if err == nil {
		g.Free = dev.(device.DatasetResident).FreeMemory()
		g.Tests, err = selftest(dev, reference, func(test string, done []Selftest) {
			g.Tests = done
			begin("the self-test's "+test, g)
		})
		g.Kernels = dev.(*gpu.Device).KernelCode()
		begin("closing it", g)
		if closed := dev.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		g.Reason, g.Remedy = explain(err)
		return g
	}
	g.Seconds = time.Since(start).Seconds()
	g.judge()
	return g
}

// look queries the driver about a GPU.
func look(index int) GPU {
	g := GPU{Index: index}
	d, err := cuda.Device(index)
	if err != nil {
		g.Reason, g.Remedy = explain(err)
		return g
	}
	p, err := cuda.DeviceProperties(d)
	if err != nil {
		g.Reason, g.Remedy = explain(err)
		return g
	}
	g.Name, g.UUID, g.PCI, g.Memory = p.Name, p.UUID, p.PCI, p.Memory
	g.ComputeCapability = fmt.Sprintf("%d.%d", p.Major, p.Minor)
	if require.GPU(p) == nil {
		g.offer(p)
	}
	return g
}

// offer fills in the precisions of a GPU that can be used.
func (g *GPU) offer(properties cuda.Properties) {
	for _, p := range gpu.Precisions() {
		if _, _, err := require.Precision(p, properties); err == nil {
			g.Precisions = append(g.Precisions, p.String())
		}
	}
	if auto, _, err := require.Precision(gpu.Auto, properties); err == nil {
		g.Auto = auto.String()
	}
}
