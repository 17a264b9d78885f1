package command

import (
	"flag"

	"trainer/nn/device"
	"trainer/nn/model"
)

// inferenceOptions are the flags of commands that ask a trained network.
type inferenceOptions struct {
	deviceOptions
	batch     int // 0: the model's default
	views     bool
	json, csv bool
}

// inferenceFlags declares them, except -json and -csv, whose texts differ.
func (p *program) inferenceFlags(f *flag.FlagSet, o *inferenceOptions) {
	f.Func("batch", "`number` images that the network takes at once (default 64, or 256 of at most 32x32 pixels)", whole(&o.batch))
	f.BoolVar(&o.views, "views", false, "average over the recipe's views of each image, as the test at the end of a training does")
	p.deviceFlag(f, &o.device)
	p.threadsFlag(f, &o.threads)
}

// openModel opens a model as the flags say.
func (p *program) openModel(path string, dev device.Device, o *inferenceOptions) (*model.Model, error) {
	options := []model.Option{model.WithKinds(p.Kinds), model.WithBatch(o.batch)}
	if o.views {
		options = append(options, model.WithViews())
	}
	return model.Open(path, dev, options...)
}
