package train

import (
	"errors"

	"trainer/nn/device"
)

// FittingBatch returns the largest of cfg.Batch, half of it, a quarter and so on for which the device has the
// memory that Run allocates before the first step, or 0 if there is none, or something else is in the way. It
// allocates, and lets go of, all of that.
func FittingBatch(cfg Config) int {
	if cfg.check() != nil || cfg.normalization() != nil {
		return 0
	}
	for ; cfg.Batch > 0; cfg.Batch /= 2 {
		err := tryBuild(cfg)
		if err == nil {
			return cfg.Batch
		}
		if !errors.Is(err, device.ErrOutOfMemory) {
			return 0
		}
	}
	return 0
}

// tryBuild builds everything and drops it.
func tryBuild(cfg Config) error {
	r := &run{cfg: cfg}
	defer r.close()
	return r.build()
}
