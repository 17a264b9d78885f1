//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// Diagnose loads the libraries, asks the driver for its GPUs, and runs a self-test on each, whose
// results it compares with those of reference, the CPU. It does not fail: what is wrong is in
// the diagnosis. When ctx is done it looks at no further GPU.
func Diagnose(ctx context.Context, reference device.Device) Diagnosis {
	d := Diagnosis{Built: true, GPUs: []GPU{}}
	d.Driver, d.Libraries = findLibraries()
	n, err := cuda.DeviceCount()
	if err == nil && n == 0 {
		d.Driver.Reason, d.Driver.Remedy = "the driver sees no GPU", "CUDA_VISIBLE_DEVICES may hide it"
	} else if err != nil {
		d.Driver.Reason, d.Driver.Remedy = explain(err)
	} else if err := checkDriver(); err != nil {
		d.Driver.Reason, d.Driver.Remedy = explain(err)
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		d.GPUs = append(d.GPUs, examine(ctx, i, reference))
	}
	d.conclude()
	return d
}

// findLibraries loads the libraries and tells where they are from.
func findLibraries() (Driver, []Library) {
	all := cuda.Libraries()
	driver := Driver{Library: library("driver", all[0])}
	driver.Version, driver.CUDA = driverVersion(driver.File), driver.Version
	lt := Library{Name: "cuBLASLt"}
	if lt.File, lt.Version = cuda.LoadedCuBLASLt(); lt.File == "" {
		lt.Reason = "not loaded: it comes with cuBLAS, which loads it"
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

// kernelModule is where the driver's kernel module tells its version.
const kernelModule = "/proc/driver/nvidia/version"

var (
	fileVersion   = regexp.MustCompile(`libcuda\.so\.(\d{3}\.\d+(?:\.\d+)?)$`)
	moduleVersion = regexp.MustCompile(`Kernel Module.*?\s(\d{3}\.\d+(?:\.\d+)?)\s`)
)

// driverVersion returns the driver's own version, from the name of libcuda's file or from the
// kernel module; "" where neither tells.
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

// examineLimit is how long a GPU may take: the first launch after a new driver compiles the PTX.
const examineLimit = 60 * time.Second

// examine looks at one GPU. One that doesn't answer, until ctx is done or in a minute, is left alone.
func examine(ctx context.Context, index int, reference device.Device) GPU {
	done := make(chan GPU, 1)
	found := make(chan GPU, 1) // what was known before the GPU had to do something
	go func() {
		g := look(index)
		found <- g
		if g.Reason == "" {
			g.try(reference)
		}
		done <- g
	}()
	ctx, cancel := context.WithTimeout(ctx, examineLimit)
	defer cancel()
	select {
	case g := <-done:
		return g
	case <-ctx.Done():
	}
	g := GPU{Index: index}
	select {
	case g = <-found:
	default:
	}
	g.Reason, g.Remedy = fmt.Sprintf("it didn't answer within %v", examineLimit), Remedy(device.ErrLost)
	return g
}

// look asks the driver about a GPU.
func look(index int) GPU {
	g := GPU{Index: index}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
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
	c, err := cuda.Open(index)
	if err != nil {
		g.Reason, g.Remedy = explain(err)
		return g
	}
	if g.Free, _, err = cuda.FreeMemory(); err != nil {
		g.Reason, g.Remedy = explain(err)
	}
	if err := c.Close(); err != nil && g.Reason == "" {
		g.Reason, g.Remedy = explain(err)
	}
	return g
}

// try opens the GPU and runs the self-test.
func (g *GPU) try(reference device.Device) {
	defer func() {
		if r := recover(); r != nil {
			g.Reason = fmt.Sprintf("the self-test failed: %v", r)
		}
	}()
	start := time.Now()
	dev, err := New(g.Index)
	if err == nil {
		g.Tests, err = selftest(dev, reference)
		if closed := dev.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		g.Reason, g.Remedy = explain(err)
		return
	}
	g.Seconds = time.Since(start).Seconds()
	g.judge()
}
