//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"math"
	"testing"

	"trainer/gpu"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/train"
)

// growing is the training of epochConfig with images that grow, a network for all sizes, and views of some test images.
func growing(dev device.Device, dtype device.DType) train.Config {
	cfg := epochConfig(dev)
	cfg.DType = dtype
	cfg.Model = nn.NewSequential(
		nn.Conv2D{OutC: 8, Kernel: nn.Square(3), Same: true, NoBias: true}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.BatchNorm{}, nn.GELU{},
		nn.Conv2D{OutC: 8, Kernel: nn.Square(3), Same: true}, nn.ReLU{}, nn.GlobalMaxPool{}, nn.Dense{Out: 3},
	)
	cfg.Resolution = []train.Resolution{{Epoch: 0, Size: 5}, {Epoch: 1, Size: 6}, {Epoch: 2, Size: 8}}
	cfg.TTA, cfg.TTAShare = []train.TTAView{{}, {Mirror: true}}, 0.25
	return cfg
}

// A training whose images grow agrees with the CPU, and has the same bits when it was stopped in the second epoch and
// resumed, in float32 and in float16. (Whether each size is recorded is tested with package train's own device.)
func TestResolution(t *testing.T) {
	want, err := train.Run(t.Context(), growing(newCPU(t), device.Float32))
	if err != nil {
		t.Fatal(err)
	}
	for _, dtype := range []device.DType{device.Float32, device.Float16} {
		t.Run(dtype.String(), func(t *testing.T) {
			d := anyDevice(t, gpu.WithDeterministic())
			straight, err := train.Run(t.Context(), growing(d, dtype))
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range straight.History {
				if w := want.History[i]; !(math.Abs(m.TrainLoss-w.TrainLoss) < 0.05*w.TrainLoss) || m.TestCount != w.TestCount {
					t.Errorf("epoch %d: %+v, on the CPU %+v", m.Epoch, m, w)
				}
			}
			cfg := growing(d, dtype)
			cfg.Resume = interrupted(t, growing(d, dtype), 31)
			resumed, err := train.Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			same(t, trained(t, resumed), trained(t, straight))
		})
	}
}
