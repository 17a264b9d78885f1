//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"testing"

	"trainer/nn/device"
)

// On the software emulation (or a GPU), a recorded loss divides by the sum of the weights at the time of the replay,
// which the device computes without the host.
func TestReplayedLossFollowsWeights(t *testing.T) {
	const n, classes = 11, 4
	d := anyDevice(t, WithDeterministic())
	tensor := func(dtype device.DType, shape ...int) *device.Tensor {
		x, err := d.NewTensor(dtype, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	upload := func(x *device.Tensor, bytes []byte) {
		if err := d.Upload(x, bytes); err != nil {
			t.Fatal(err)
		}
	}
	z, dz, labels, weights := tensor(device.Float32, n, classes), tensor(device.Float32, n, classes), tensor(device.Int32, n), tensor(device.Float32, n)
	classWeights, stats := tensor(device.Float32, classes), tensor(device.Float32, device.StatsLen)
	logits := make([]float32, n*classes)
	for i := range logits {
		logits[i] = float32(i*i%7) / 4
	}
	upload(z, device.Bytes(logits))
	upload(classWeights, device.Bytes([]float32{1, 0.5, 2, 4}))
	loss, err := d.NewLoss(device.LossSpec{
		Kind: device.SoftmaxCrossEntropy, N: n, Classes: classes, ClassWeights: classWeights, Weights: true, Ignore: true, IgnoreIndex: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	step := func() {
		loss.Forward(stats, z, labels, weights)
		loss.Backward(dz, z, labels, weights)
	}
	result := func(run func(), batch int32) []float32 {
		var l [n]int32
		var w [n]float32
		for i := range l {
			l[i], w[i] = (int32(i)+batch)%classes, float32(i)*float32(batch+1)/8
		}
		upload(labels, device.Bytes(l[:]))
		upload(weights, device.Bytes(w[:]))
		d.Zero(stats)
		run()
		all := make([]float32, n*classes+device.StatsLen)
		for x, part := range map[*device.Tensor][]float32{dz: all[:n*classes], stats: all[n*classes:]} {
			if err := d.Download(device.Bytes(part), x); err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
	var want [3][]float32
	for i := range want {
		want[i] = result(step, int32(i))
	}
	g := capture(t, d, step)
	for i := range want {
		same(t, result(g.Launch, int32(i)), want[i])
	}
}
