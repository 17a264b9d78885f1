package cpu

import (
	"fmt"
	"runtime"
	"time"

	"github.com/klauspost/cpuid/v2"

	"trainer/nn/device"
)

// describe returns the names of the processor and of the instruction set that the kernels
// use.
func describe(threads int, instructions string) device.Info {
	brand := cpuid.CPU.BrandName
	if brand == "" {
		brand = runtime.GOARCH + " processor"
	}
	return device.Info{
		Description: fmt.Sprintf("%s, %d threads", brand, threads),
		Features:    []string{instructions},
		Threads:     threads,
	}
}

// Peak measures the processor's peak rate for about t: the multiply-adds of all threads
// at once, on registers alone, in floating-point operations per second.
func (d *Device) Peak(t time.Duration) float64 {
	rates := make([]float64, d.pool.Workers())
	d.pool.Run(len(rates), &peakTask{d, t, rates})
	total := 0.0
	for _, r := range rates {
		total += r
	}
	return total
}

type peakTask struct {
	d     *Device
	t     time.Duration
	rates []float64
}

func (p *peakTask) Do(i, _ int) { p.rates[i] = p.d.kernel.Peak(p.t) }
