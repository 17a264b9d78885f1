package command

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"trainer/bench"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// trainer bench -gpus: how much faster several GPUs train than one. Each recipe is trained on one GPU, and then on all: with the
// recipe's batch, which all share, and with a batch that is as many times larger. The efficiency is the rate of all divided by the
// number of GPUs and by the rate of one.

// scalingLine is how fast a recipe trains on several GPUs.
type scalingLine struct {
	Event     string  `json:"event"`
	Name      string  `json:"name"`
	GPUs      int     `json:"gpus"`
	Batch     int     `json:"batch"` // of all GPUs
	One       float64 `json:"images_per_second_one"`
	All       float64 `json:"images_per_second"`
	Share     float64 `json:"efficiency"`
	Precision string  `json:"precision"`
}

func (l scalingLine) text() string {
	return fmt.Sprintf("%-*s %6d %10s %10s %11.0f%% %10s", recipeColumn, l.Name, l.Batch, imageRate(l.One), imageRate(l.All), 100*l.Share, l.Precision)
}

// measureScaling measures the recipes as one of the ranks. Rank 0 prints.
func (b *benchmark) measureScaling(t *team, recipes []*recipe.Recipe) error {
	o := newOptions()
	o.deviceOptions = b.deviceOptions
	if o.device == auto {
		o.device = b.Devices[0].Name
	}
	j := b.newJob(o)
	j.team = t
	err := j.rankDevice()
	if err == nil {
		j.dev, err = j.openDevice(j.deviceOptions)
	}
	if err == nil && j.dev.Info().Emulated {
		err = usageErrorf("-device %s: %s is an emulation, whose speed means nothing", b.device, j.dev.Name())
	}
	if err = t.agree(err); err != nil {
		return err
	}
	defer j.dev.Close()
	if err = t.agree(j.connect()); err != nil {
		return err
	}
	b.heading("%-*s %6s %10s %10s %12s %10s", recipeColumn, "recipe", "batch", "one GPU/s", fmt.Sprintf("%d GPUs/s", t.Size()), "efficiency", "precision")
	for _, r := range recipes {
		for _, times := range []int{1, t.Size()} {
			line, err := b.measureShared(t, j.dev, r, times)
			if err != nil {
				t.fail(err)
				return fmt.Errorf("recipe %s: %w", r.Name, err)
			}
			b.show(line)
		}
	}
	return nil
}

// measureShared measures a recipe with so many times its batch.
func (b *benchmark) measureShared(t *team, dev device.Device, r *recipe.Recipe, times int) (scalingLine, error) {
	size := t.Size()
	g := &gpuBenchmark{b, dev.Name(), b.kindOf(dev)}
	batch := r.Batch / size * size * times
	if batch == 0 {
		return scalingLine{}, usageErrorf("a batch of %d can't be split among %d GPUs", r.Batch, size)
	}
	var one float64
	if t.Rank() == 0 {
		single, err := newSyntheticTraining(g.syntheticTraining(dev, r, r.Batch))
		if err != nil {
			return scalingLine{}, err
		}
		one, err = queuedRate(b.ctx, dev, b.time, single.Step)
		single.Close()
		if err != nil {
			return scalingLine{}, err
		}
		one *= float64(r.Batch)
	}
	steps := max(8, int(b.time.Seconds()*one*float64(size)/float64(batch)))
	all, err := rankedRate(b.ctx, dev, t.tensors, g.syntheticTraining(dev, r, batch), steps)
	if err != nil {
		return scalingLine{}, err
	}
	return scalingLine{Event: "scaling", Name: r.Name, GPUs: size, Batch: batch, One: one, All: all, Share: all / one / float64(size), Precision: device.PrecisionOf(dev).String()}, nil
}

// rankedRate returns the images per second that all ranks train together, each on its shard of every batch. The number of steps is
// rank 0's. All ranks call it.
func rankedRate(ctx context.Context, dev device.Device, c device.Collective, cfg train.Config, steps int) (rate float64, err error) {
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], uint64(steps))
	if err := c.Broadcast(number[:], 0); err != nil {
		return 0, err
	}
	steps = int(binary.LittleEndian.Uint64(number[:]))
	rank, size := c.Rank(), c.Size()
	cfg.Ranks, cfg.Shards = c, size
	t, err := bench.NewTraining(cfg, data.LoaderConfig{
		Set: cfg.Data.Train, Batch: cfg.Batch, Seed: 1, Shuffle: true,
		Part: func(n int) (from, to int) { return rank * n / size, (rank + 1) * n / size },
	})
	if err != nil {
		return 0, err
	}
	defer t.Close()
	const unmeasured = 4
	if _, err := queueTimes(ctx, dev, unmeasured, t.Step); err != nil {
		return 0, err
	}
	if err := c.Barrier(); err != nil {
		return 0, err
	}
	start := time.Now()
	_, err = queueTimes(ctx, dev, steps, t.Step)
	if err = errors.Join(err, c.Barrier()); err != nil {
		return 0, err
	}
	return float64(steps*cfg.Batch) / time.Since(start).Seconds(), nil
}
