package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"trainer/gpu/doctor"
	"trainer/nn/device"
)

// trainer doctor times a sum over the ranks: over those that mpirun has started with it, or over the GPUs of the machine, for which
// it starts ranks itself.

const (
	sumElements = 4 << 20 // 16 MiB
	sumRuns     = 5
)

// timeSum sums a tensor over the ranks, checks the result, and returns how long it takes. All ranks call it.
func timeSum(dev device.Device, c device.Collective, name string, elements int) (*doctor.Sum, error) {
	x, err := dev.NewTensor(device.Float32, elements)
	if err != nil {
		return nil, err
	}
	plan, err := c.NewAllReduce(device.AllReduceSpec{Tensors: []*device.Tensor{x}})
	if err != nil {
		return nil, err
	}
	values := make([]float32, elements)
	for i := range values {
		values[i] = float32(i % 1000)
	}
	if err := dev.Upload(x, device.Bytes(values)); err != nil {
		return nil, err
	}
	if err := errors.Join(plan.Run(), dev.Download(device.Bytes(values), x)); err != nil {
		return nil, err
	}
	s := &doctor.Sum{Name: name, Ranks: c.Size(), Bytes: 4 * elements, Emulated: dev.Info().Emulated}
	for i, v := range values {
		if want := float32(i % 1000 * c.Size()); v != want {
			return nil, fmt.Errorf("a sum over %d ranks is wrong: element %d is %v, want %v", c.Size(), i, v, want)
		}
	}
	if err := c.Barrier(); err != nil {
		return nil, err
	}
	start := time.Now()
	for range sumRuns {
		if err := plan.Run(); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(dev.Sync(), c.Barrier()); err != nil {
		return nil, err
	}
	if s.Seconds = time.Since(start).Seconds() / sumRuns; s.Emulated {
		s.Seconds = 0 // the speed of an emulation means nothing
	}
	return s, nil
}

// sumText describes a sum.
func sumText(s doctor.Sum) string {
	if s.Reason != "" {
		return fmt.Sprintf("%s: %s", s.Name, s.Reason)
	}
	text := fmt.Sprintf("%d ranks, %s: a sum of %s is right", s.Ranks, s.Name, humanize.IBytes(uint64(s.Bytes)))
	if s.Seconds == 0 {
		return text
	}
	sent := 2 * float64(s.Ranks-1) / float64(s.Ranks) * float64(s.Bytes)
	return fmt.Sprintf("%s and takes %.3g ms, %.3g GB/s each way", text, 1e3*s.Seconds, sent/s.Seconds/1e9)
}

// timeHostSum is timeSum over the ranks of a launcher, on the CPU.
func (p *program) timeHostSum(t *team) (*doctor.Sum, error) {
	o := newOptions()
	o.device = p.host().Name
	j := p.newJob(o)
	j.team = t
	return j.timeSum()
}

// timeGPUSum is timeSum over all GPUs: it starts a rank for each, or is one of these ranks.
func (p *program) timeGPUSum(t *team) (*doctor.Sum, error) {
	o := newOptions()
	o.device = p.Devices[0].Name
	if t == nil {
		o.gpus = gpusAll
		var err error
		if t, err = p.startRanks(o, []string{stepName, sumStep}); err != nil || t == nil {
			return nil, err
		}
	}
	j := p.newJob(o)
	j.team = t
	s, err := j.timeSum()
	return s, p.leave(t, err)
}

func (j *job) timeSum() (*doctor.Sum, error) {
	err := j.rankDevice()
	if err == nil {
		j.dev, err = j.openDevice(j.deviceOptions)
	}
	if err = j.team.agree(err); err != nil {
		return nil, err
	}
	defer j.dev.Close()
	if err = j.team.agree(j.connect()); err != nil {
		return nil, err
	}
	name := j.team.Name()
	if j.kindOf(j.dev).Connect != nil {
		name = "NCCL"
	}
	s, err := timeSum(j.dev, j.team.tensors, name, sumElements)
	if err != nil {
		j.team.fail(err)
	}
	return s, err
}
