// Package tensorboard writes event files for TensorBoard (https://github.com/tensorflow/tensorboard), the web page that
// plots trainings:
//
//	w, err := tensorboard.Create("runs/mine/tensorboard")
//	cfg.Hooks = append(cfg.Hooks, tensorboard.Hooks(w))
//	result, err := train.Run(ctx, cfg)
//	err = errors.Join(err, w.Close())
//
// and then tensorboard --logdir runs.
//
// # The format
//
// An event file is a sequence of records, a TFRecord file, each with the encoding of one protocol buffer message:
//
//	uint64  length of the data, little-endian
//	uint32  masked CRC-32C of the length
//	data
//	uint32  masked CRC-32C of the data
//
// A masked CRC is the CRC rotated right by 15 bits plus 0xa282ead8, modulo 2^32: the CRC of data that contains CRCs has
// weaknesses. The messages are Event and Summary (tensorboard/compat/proto/event.proto and summary.proto in TensorBoard's
// repository); the first event of a file has only the version, "brain.Event:2".
package tensorboard
