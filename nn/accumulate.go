package nn

import (
	"fmt"

	"trainer/nn/device"
)

// accumulation sums the gradients of several batches, so that they share one update (Options.Accumulate). After the
// backward pass of each batch it computes
//
//	sum = sum + weight*dw          for each trained parameter
//
// With n examples in the batch and N in all batches of the step, weight is n/N if the loss is the mean over a batch,
// and 1 if it is the sum: either way, sum ends up as the gradient of a single batch of all N examples. (What a layer
// computes from the batch itself, such as the statistics of batch normalisation, still comes from each batch alone; and
// so does the sum of the class and example weights by which the mean over a batch is divided.)
type accumulation struct {
	dev    device.Device
	params []*Param
	add    []device.Map
	weight *device.Tensor // float32 [1]
	isSum  bool           // the loss is a sum
	next   [1]float32     // weight's next contents
}

// buildAccumulation allocates the sums, once all layers are built.
func (n *Network) buildAccumulation(b *Builder) (err error) {
	if !n.opt.Accumulate || !n.opt.Training || n.opt.Shards > 0 {
		return nil
	}
	a := &accumulation{dev: n.dev, isSum: n.opt.Loss.Summed()}
	if a.weight, err = b.Tensor(device.Float32, 1); err != nil {
		return err
	}
	for _, p := range b.params {
		if p.Grad == nil {
			continue
		}
		if p.GradSum, err = b.Tensor(device.Float32, p.Grad.Shape()...); err != nil {
			return err
		}
		add, err := n.dev.NewMap(device.MapSpec{
			Kind: device.MapMul, Batch: 1, Rows: 1, C: p.Grad.Len(), B: device.NoAxes, Alpha: 1, Accumulate: true,
		})
		if err != nil {
			return fmt.Errorf("adding up the gradients of %s: %w", p.Name, err)
		}
		a.params, a.add = append(a.params, p), append(a.add, add)
	}
	n.accumulation = a
	return nil
}

// run queues sum = sum + weight*dw.
func (a *accumulation) run() {
	for i, p := range a.params {
		a.add[i].Run(p.GradSum, p.Grad, a.weight)
	}
}

// BeginBatch uploads the weight with which Accumulate adds the gradients of the next batch, which has n of the step's
// total examples. Without Accumulate it does nothing.
func (n *Network) BeginBatch(examples, total int) error {
	a := n.accumulation
	if a == nil {
		return nil
	}
	a.next[0] = 1
	if !a.isSum {
		a.next[0] = float32(float64(examples) / float64(total))
	}
	if err := n.dev.Upload(a.weight, device.Bytes(a.next[:])); err != nil {
		return fmt.Errorf("weight of a batch: %w", err)
	}
	return nil
}

// BeginUpdate must be called before the update that follows the backward passes of a step, and EndUpdate after it. With
// Accumulate or Shards, BeginUpdate checks for the loss scaling whether the sums are finite. With Accumulate, EndUpdate
// sets them to zero. Otherwise both do nothing.
func (n *Network) BeginUpdate() {
	summed := n.accumulation != nil || n.shards != nil
	if summed && n.mixed != nil && n.mixed.scaling != nil {
		n.mixed.scaling.Update()
	}
}

// EndUpdate sets the gradients' sums to zero; see BeginUpdate.
func (n *Network) EndUpdate() {
	if !n.opt.Accumulate {
		return
	}
	for _, p := range n.params {
		if p.GradSum != nil {
			n.dev.Zero(p.GradSum)
		}
	}
}
