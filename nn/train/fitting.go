package train

import (
	"errors"

	"trainer/nn/device"
)

// FittingBatch returns the largest of cfg.Batch, cfg.Batch/2, cfg.Batch/4 and so on, all multiples of cfg.Shards, for which the device has the memory
// that Run allocates before the first step. It returns 0 if none fits or another error occurs. To find out, it
// allocates and releases that memory.
func FittingBatch(cfg Config) int {
	cfg.Ranks, cfg.Shared = nil, nil // the memory is this training's alone
	if cfg.check() != nil || cfg.normalization() != nil {
		return 0
	}
	for ; cfg.Batch > 0; cfg.Batch /= 2 {
		if cfg.Batch%cfg.shards() != 0 {
			return 0
		}
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

// tryBuild builds everything and releases it.
func tryBuild(cfg Config) error {
	r := &run{cfg: cfg}
	defer r.close()
	return r.build()
}
