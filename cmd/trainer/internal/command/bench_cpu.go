package command

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/klauspost/cpuid/v2"

	"trainer/bench"
	"trainer/cmd/trainer/internal/display"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// trainer bench on the CPU: the peak, the share of it that each kernel reaches, and the recipes' training steps.

// peaked is a device that can measure its peak: the CPU.
type peaked interface {
	device.Device
	// Peak measures the multiply-adds of all threads for about t, in floating-point operations per second.
	Peak(t time.Duration) float64
}

// measure measures and prints everything, each line as soon as it is known.
func (b *benchmark) measure(recipes []*recipe.Recipe) error {
	b.show(describeMachine(b.dev, b.version()))
	if err := b.measurePeaks(); err != nil {
		return err
	}
	if b.recipe == "" {
		if err := b.measureKernels(); err != nil {
			return err
		}
	}
	b.heading("%-*s %9s %9s %11s  %s", recipeColumn, "recipe", "images/s", "of peak ", "batch", "whole recipe")
	for _, r := range recipes {
		speed, err := bench.MeasureSteps(b.ctx, b.dev, r, r.ImageShape(), b.peak, b.time)
		if err != nil {
			return err
		}
		b.show(b.recipeLine(r, speed))
	}
	return nil
}

// measurePeaks measures one thread and all threads.
func (b *benchmark) measurePeaks() error {
	single, err := b.openHost(1)
	if err != nil {
		return err
	}
	defer single.Close()
	devices := []peaked{single.(peaked), b.dev}
	if b.dev.Info().Threads == 1 {
		devices = devices[1:]
	}
	b.heading("%-*s %9s", kernelColumn, "multiply-add peak", "GFLOP/s")
	for _, d := range devices {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		b.peak = bestPeak(d, b.time/4)
		b.show(peakLine{"peak", d.Info().Threads, b.peak / 1e9})
	}
	return nil
}

// bestPeak returns the best of some measurements that take about t together: other programs lower a peak, and nothing
// raises it.
func bestPeak(d peaked, t time.Duration) float64 {
	const times = 5
	best := 0.0
	for range times {
		best = max(best, d.Peak(t/times))
	}
	return best
}

func (b *benchmark) measureKernels() error {
	b.heading("%-*s %9s %10s", kernelColumn, "kernel", "GFLOP/s", "of peak ")
	for _, k := range bench.Kernels() {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		rate, err := k.Measure(b.dev, b.time/4)
		if err != nil {
			return err
		}
		if k.Bytes > 0 {
			b.show(copyLine{"copy", k.Name, rate * float64(k.Bytes)})
			continue
		}
		flops := rate * float64(k.FLOPs)
		b.show(kernelLine{"kernel", k.Name, k.Pass, flops / 1e9, b.percent(flops)})
	}
	return nil
}

// percent returns a rate as a percentage of the peak.
func (b *benchmark) percent(flops float64) float64 {
	share := 100 * flops / b.peak
	b.above = b.above || share > 100
	return share
}

func (b *benchmark) recipeLine(r *recipe.Recipe, speed *bench.StepSpeed) recipeLine {
	return recipeLine{b.speedOf(r, speed.Batch, speed.ImagesPerSecond, speed.FLOPs), b.percent(speed.FLOPs)}
}

// machineLine describes the machine that is measured.
type machineLine struct {
	Event           string   `json:"event"`
	CPU             string   `json:"cpu"`
	Threads         int      `json:"threads"` // in use
	Kernels         []string `json:"kernels"` // instruction sets in use
	Version         string   `json:"version"`
	Go              string   `json:"go"`
	Platform        string   `json:"platform"`
	Cores           int      `json:"cores,omitempty"`
	HardwareThreads int      `json:"hardware_threads,omitempty"`
	L1D             int      `json:"l1d_bytes,omitempty"`
	L2              int      `json:"l2_bytes,omitempty"`
	L3              int      `json:"l3_bytes,omitempty"`
}

func describeMachine(d device.Device, version string) machineLine {
	info, c := d.Info(), cpuid.CPU
	return machineLine{
		Event: "machine", CPU: info.Description, Threads: info.Threads, Kernels: info.Features,
		Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Cores: c.PhysicalCores, HardwareThreads: c.LogicalCores,
		// Package cpuid returns -1 for an unknown size.
		L1D: max(0, c.Cache.L1D), L2: max(0, c.Cache.L2), L3: max(0, c.Cache.L3),
	}
}

func (m machineLine) text() string {
	lines := []string{
		fmt.Sprintf("trainer %s, %s %s", m.Version, m.Go, m.Platform),
		"cpu     " + m.CPU,
		"kernels " + strings.Join(m.Kernels, ", "),
	}
	if m.Cores > 0 && m.HardwareThreads > 0 {
		lines = append(lines, fmt.Sprintf("cores   %d, with %d hardware threads", m.Cores, m.HardwareThreads))
	}
	var caches []string
	for _, c := range []struct {
		name  string
		bytes int
	}{{"L1 data", m.L1D}, {"L2", m.L2}, {"L3", m.L3}} {
		if c.bytes > 0 {
			caches = append(caches, c.name+" "+humanize.IBytes(uint64(c.bytes)))
		}
	}
	if len(caches) > 0 {
		lines = append(lines, "caches  "+strings.Join(caches, ", "))
	}
	return strings.Join(lines, "\n")
}

// peakLine is the rate of multiply-adds on registers alone.
type peakLine struct {
	Event   string  `json:"event"`
	Threads int     `json:"threads"`
	GFLOPS  float64 `json:"gflops"`
}

func (p peakLine) text() string {
	threads := "1 thread"
	if p.Threads > 1 {
		threads = fmt.Sprintf("%d threads", p.Threads)
	}
	return fmt.Sprintf("%-*s %9.1f", kernelColumn, threads, p.GFLOPS)
}

// kernelLine is the rate that a kernel reaches.
type kernelLine struct {
	Event   string  `json:"event"`
	Name    string  `json:"name"`
	Pass    string  `json:"pass,omitempty"`
	GFLOPS  float64 `json:"gflops"`
	Percent float64 `json:"percent_of_peak"`
}

func (k kernelLine) text() string {
	name := k.Name
	if k.Pass != "" {
		name += ", " + k.Pass
	}
	return fmt.Sprintf("%-*s %9.1f %10s", kernelColumn, name, k.GFLOPS, percentText(k.Percent))
}

// percentText returns a percentage of the peak, with the mark of a note if it is above 100.
func percentText(percent float64) string {
	mark := " "
	if percent > 100 {
		mark = "*"
	}
	return fmt.Sprintf("%.0f%%%s", percent, mark)
}

// copyLine is the speed of memory.
type copyLine struct {
	Event          string  `json:"event"`
	Name           string  `json:"name"`
	BytesPerSecond float64 `json:"bytes_per_second"`
}

func (c copyLine) text() string {
	return fmt.Sprintf("%-*s %9.1f GB/s", kernelColumn, c.Name+", read and written", c.BytesPerSecond/1e9)
}

// recipeLine is how fast a recipe trains.
type recipeLine struct {
	recipeSpeed
	Percent float64 `json:"percent_of_peak"`
}

func (r recipeLine) text() string {
	whole := display.Epochs(r.Epochs)
	if r.TrainImages > 0 {
		whole += fmt.Sprintf(" of %s: %s", r.Data, humanDuration(r.TrainSeconds))
	}
	return fmt.Sprintf("%-*s %9s %9s %11s  %s", recipeColumn, r.Name, imageRate(r.ImagesPerSecond), percentText(r.Percent), batchText(r.Batch, r.RecipeBatch), whole)
}
