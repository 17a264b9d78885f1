package train

import (
	"fmt"
	"strconv"

	"trainer/nn"
)

// LastBatch says what to do with an epoch's last batch if it is smaller than the others.
type LastBatch string

// The choices. By default a small last batch is dropped if the network normalises over the batch: the fewer images, the
// further their mean and variance are from those of the training set, and yet they count as much in the running
// statistics as a whole batch. Small is under an eighth of a batch, or too few images to normalise, or with Config.Shards
// too few for every part. Images are shuffled in every epoch, so others are left out each time.
const (
	DefaultLastBatch LastBatch = ""
	KeepLastBatch    LastBatch = "keep"
	DropLastBatch    LastBatch = "drop"
)

// chooseLastBatch replaces the default by what it means for the network, and reports whether that drops a batch. It
// returns an error if the network can't train on a last batch that is to be kept.
func (c *Config) chooseLastBatch(net *nn.Network) (dropped bool, err error) {
	rest := c.Data.Train.Len() % c.Batch
	tooFew := rest > 0 && rest/c.shards() < net.SmallestBatch()
	switch {
	case c.LastBatch == KeepLastBatch && tooFew && c.shards() > 1:
		return false, &ConfigError{Setting: "last-batch", Problem: fmt.Sprintf(
			"an epoch of %d images ends with a batch of %d, too few for %d parts of at least %d: use last-batch = \"drop\", fewer shards, or another batch than %d",
			c.Data.Train.Len(), rest, c.shards(), net.SmallestBatch(), c.Batch)}
	case c.LastBatch == KeepLastBatch && tooFew:
		return false, &ConfigError{Setting: "last-batch", Problem: fmt.Sprintf(
			"an epoch of %d images ends with a batch of %d, which has one value per channel to normalise: use last-batch = \"drop\", or another batch than %d",
			c.Data.Train.Len(), rest, c.Batch)}
	case c.LastBatch != DefaultLastBatch:
		return false, nil
	case rest > 0 && net.NormalizesOverBatch() && 8*rest < c.Batch, tooFew:
		c.LastBatch = DropLastBatch
		return true, nil
	}
	c.LastBatch = KeepLastBatch
	return false, nil
}

// dropsLast is the name of the setting in checkpoints that says whether the last batch is dropped.
const dropsLast = "drop last"

// lastBatchOf returns what a checkpoint's run does with the last batch, or the default if that can't be read.
func lastBatchOf(path string) LastBatch {
	f, p, err := openCheckpoint(path)
	if err != nil {
		return DefaultLastBatch // reading the checkpoint reports the error
	}
	_ = f.Close()
	for _, s := range p.Settings {
		if s.Name != dropsLast {
			continue
		}
		if drop, _ := strconv.ParseBool(s.Value); drop {
			return DropLastBatch
		}
		return KeepLastBatch
	}
	return DefaultLastBatch
}
