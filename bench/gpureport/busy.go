package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// busy reports the GPU utilisation of a training: the share of the time in which a kernel ran, as nvidia-smi samples it.
func (r *report) busy() error {
	text, err := r.read("busy.csv")
	if err != nil || text == "" || r.emulated {
		return err
	}
	var share, clock, power []float64
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Split(line, ",")
		if i == 0 || len(f) < 3 {
			continue
		}
		for k, list := range []*[]float64{&share, &clock, &power} {
			number, _, _ := strings.Cut(strings.TrimSpace(f[k]), " ")
			if v, err := strconv.ParseFloat(number, 64); err == nil {
				*list = append(*list, v)
			}
		}
	}
	share = inTheMiddle(share)
	if len(share) == 0 {
		return nil
	}
	r.heading("GPU utilisation", "busy")
	text = fmt.Sprintf("In %d samples from the middle of the training, the median utilisation was %.0f%%, the minimum %.0f%%, the maximum %.0f%%",
		len(share), share[len(share)/2], share[0], share[len(share)-1])
	if len(clock) > 0 && len(power) > 0 {
		text += fmt.Sprintf("; the highest SM clock was %.0f MHz, the highest power %.0f W", slices.Max(clock), slices.Max(power))
	}
	r.line("%s.\n", text)
	return nil
}

// inTheMiddle returns, sorted, the samples between the first and the last that are not zero, without these two.
func inTheMiddle(samples []float64) []float64 {
	first := slices.IndexFunc(samples, func(x float64) bool { return x > 0 })
	last := len(samples) - 1
	for last >= 0 && samples[last] <= 0 {
		last--
	}
	if first < 0 || last-first < 2 {
		return nil
	}
	middle := slices.Clone(samples[first+1 : last])
	slices.Sort(middle)
	return middle
}
