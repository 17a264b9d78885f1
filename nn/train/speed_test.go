package train

import (
	"testing"

	"trainer/nn/device"
)

// emulated is a device whose times mean nothing.
type emulated struct{ device.Device }

func (e emulated) Info() device.Info {
	info := e.Device.Info()
	info.Emulated = true
	return info
}

// On an emulated device, events and results have no speeds or times.
func TestNoSpeedsOfAnEmulatedDevice(t *testing.T) {
	cfg := everything(t)
	cfg.Device = emulated{cfg.Device}
	cfg.Hooks = []Hooks{listen(func(e Event) {
		switch e := e.(type) {
		case *StepDone:
			if e.ImagesPerSecond != 0 || e.GFLOPS != 0 || e.ETA != 0 {
				t.Errorf("%+v", *e)
			}
		case EpochDone:
			if e.ImagesPerSecond != 0 || e.Seconds != 0 || e.EvalSeconds != 0 || !e.Evaluated {
				t.Errorf("%+v", e)
			}
		}
	})}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.TrainSeconds != 0 || r.ImagesPerSecond != 0 || r.Steps != 50 || r.TestAccuracy < 0.9 {
		t.Errorf("%+v", r)
	}
}
