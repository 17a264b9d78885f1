package nn

import (
	"math"
	"testing"

	"trainer/nn/device"
)

// TestAccumulate checks the sum of three batches' gradients against the float64 sum of the gradients that each backward
// pass left, and against the gradients of one batch with all of the images.
func TestAccumulate(t *testing.T) {
	const images, each = 10, 4 // the last of three batches has 2
	dev := newHost(t)
	x, labels := make([]float32, images*16), make([]int32, images)
	for i := range x {
		x[i] = float32(math.Sin(float64(i * i)))
	}
	for i := range labels {
		labels[i] = int32(i % 3)
	}
	compile := func(loss Loss, batch int, accumulate bool) *Network {
		n, err := Compile(dev, smallModel(), Options{
			Input: Shape{4, 4, 1}, Batch: batch, Training: true, Loss: loss, Seed: 3, Accumulate: accumulate,
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// backward computes the gradients of images from to to.
	backward := func(n *Network, from, to int) {
		xt, err := dev.NewTensor(device.Float32, to-from, 4, 4, 1)
		if err != nil {
			t.Fatal(err)
		}
		lt, err := dev.NewTensor(device.Int32, to-from)
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(xt, device.Bytes(x[from*16:to*16])); err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(lt, device.Bytes(labels[from:to])); err != nil {
			t.Fatal(err)
		}
		if err := n.BeginBatch(to-from, images); err != nil {
			t.Fatal(err)
		}
		n.Forward(xt, Training)
		n.Backward(lt)
	}
	download := func(x *device.Tensor) []float32 {
		values := make([]float32, x.Len())
		if err := dev.Download(device.Bytes(values), x); err != nil {
			t.Fatal(err)
		}
		return values
	}
	for _, loss := range []Loss{CrossEntropy{}, CrossEntropy{Sum: true}, MeanSquaredError{}} {
		n, whole := compile(loss, each, true), compile(loss, images, false)
		backward(whole, 0, images)
		for round := range 2 { // the second round starts from zero
			sums, sizes := map[string][]float64{}, map[string][]float64{}
			for from := 0; from < images; from += each {
				to := min(from+each, images)
				backward(n, from, to)
				weight := float64(to-from) / images
				if loss.Summed() {
					weight = 1
				}
				for _, p := range n.Params() {
					g := download(p.Grad)
					if sums[p.Name] == nil {
						sums[p.Name], sizes[p.Name] = make([]float64, len(g)), make([]float64, len(g))
					}
					for i, v := range g {
						sums[p.Name][i] += weight * float64(v)
						sizes[p.Name][i] += math.Abs(weight * float64(v))
					}
				}
			}
			n.BeginUpdate()
			for k, p := range n.Params() {
				if p.StepGrad() != p.GradSum || whole.Params()[k].StepGrad() != whole.Params()[k].Grad {
					t.Errorf("%s: the update does not take the sum of the gradients", p.Name)
				}
				all := download(whole.Params()[k].Grad)
				largest := 0.0
				for _, v := range all {
					largest = max(largest, math.Abs(float64(v)))
				}
				for i, got := range download(p.GradSum) {
					// The weight, the product and the sum are rounded, for each of three batches.
					const unit = 1.0 / (1 << 24)
					if math.Abs(float64(got)-sums[p.Name][i]) > 5*unit*sizes[p.Name][i] {
						t.Errorf("%+v, round %d: the sum of %s[%d] is %v, want %v", loss, round, p.Name, i, got, sums[p.Name][i])
					}
					// Both sum the terms of 10 images, of up to 4 pixels each, in a different order: 40 roundings of
					// sums that can be several times as large as the result.
					if math.Abs(float64(got-all[i])) > 4*40*unit*largest {
						t.Errorf("%+v, round %d: the sum of %s[%d] is %v, in one batch it is %v", loss, round, p.Name, i, got, all[i])
					}
				}
			}
			n.EndUpdate()
		}
	}
}
