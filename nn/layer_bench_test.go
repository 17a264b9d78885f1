package nn_test

import (
	"fmt"
	"testing"

	"trainer/nn"
)

// BenchmarkLayers measures the forward and backward passes of layers that do little arithmetic per element, each by itself,
// on a batch of images that no cache holds and on a batch of small images.
func BenchmarkLayers(b *testing.B) {
	const batch = 64
	for _, in := range []nn.Shape{{32, 32, 64}, {8, 8, 128}} {
		for _, layer := range []nn.Layer{
			nn.BatchNorm{}, nn.LayerNorm{}, nn.GroupNorm{}, nn.GroupNorm{Groups: 1}, nn.ReLU{}, nn.PReLU{}, nn.ChannelScale{},
		} {
			name := layer.Kind()
			if g, ok := layer.(nn.GroupNorm); ok && g.Groups > 0 {
				name += fmt.Sprintf("-%d", g.Groups)
			}
			b.Run(fmt.Sprintf("%v/%s", in, name), func(b *testing.B) {
				dev := newCPU(b)
				built, err := nn.BuildUnit(dev, layer, in, batch, 1)
				if err != nil {
					b.Fatal(err)
				}
				shape := append([]int{batch}, in...)
				x, gradient := newTensor(b, dev, random(1, batch*in.Len()), shape...), newTensor(b, dev, random(2, batch*in.Len()), shape...)
				dy := newTensor(b, dev, make([]float32, x.Len()), shape...)
				b.Run("forward", func(b *testing.B) {
					b.SetBytes(int64(4 * x.Len()))
					for b.Loop() {
						built.Unit.Forward(x, nn.Training)
					}
				})
				b.Run("backward", func(b *testing.B) {
					b.SetBytes(int64(4 * x.Len()))
					for b.Loop() {
						b.StopTimer()
						dev.Copy(dy, gradient) // Backward overwrites it
						b.StartTimer()
						built.Unit.Backward(dy)
					}
				})
			})
		}
	}
}
