package command

import (
	"trainer/gpu"
	"trainer/nn/device"
	"trainer/nn/train"
)

// No speed is reported from the software emulation of CUDA, which is for tests: it would be taken for a GPU's.

// withoutSpeed returns a listener that is told what l is, but for speeds if the device is emulated.
func withoutSpeed(dev device.Device, l train.Listener) train.Listener {
	if !gpu.Emulated(dev.Info()) {
		return l
	}
	return speedless{l}
}

// speedless passes events on without rates and times.
type speedless struct{ to train.Listener }

// OnEvent passes the event on.
func (s speedless) OnEvent(e train.Event) {
	switch e := e.(type) {
	case *train.StepDone:
		step := *e
		step.ImagesPerSecond, step.GFLOPS, step.ETA = 0, 0, 0
		s.to.OnEvent(&step)
	case train.EpochDone:
		e.ImagesPerSecond, e.Seconds, e.EvalSeconds = 0, 0, 0
		s.to.OnEvent(e)
	default:
		s.to.OnEvent(e)
	}
}
