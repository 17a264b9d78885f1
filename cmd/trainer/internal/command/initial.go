package command

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/model"
)

// Training that begins with the weights of a file: -init-from.

// isAddress reports whether -init-from names a file elsewhere.
func isAddress(s string) bool { return strings.Contains(s, "://") }

// checkInitial rejects addresses without a checksum, and a checksum without an address.
func (o *options) checkInitial() error {
	switch {
	case isAddress(o.initFrom) && o.sha256 == "":
		return usageErrorf("-init-from %s: an address needs the file's checksum as well: -sha256", o.initFrom)
	case o.sha256 != "" && !isAddress(o.initFrom):
		return usageErrorf("-sha256 is for the file at an address: -init-from https://...")
	}
	return nil
}

// openInitial reads the weights to begin with, if there are any. A run that is continued reads them only if it was stopped
// before its first checkpoint; they must not have changed then.
func (j *job) openInitial(ctx context.Context) error {
	if j.initFrom == "" || j.initial != nil {
		return nil
	}
	path := j.initFrom
	if isAddress(path) {
		file, err := data.Fetch(ctx, path, j.sha256, data.Options{Download: !j.offline, Progress: j.downloadProgress()})
		if err != nil {
			return &dataError{fmt.Errorf("-init-from: %w", err)}
		}
		path = file
	} else if absolute, err := filepath.Abs(path); err == nil {
		j.initFrom = absolute // for the run's configuration
	}
	w, err := model.OpenWeights(path)
	if err != nil {
		return fmt.Errorf("-init-from: %w", err)
	}
	if j.sha256 != "" && !strings.EqualFold(j.sha256, w.SHA256()) {
		return usageErrorf("-init-from: %s is not the file that the run began with: its SHA-256 is %s", path, w.SHA256())
	}
	j.initial, j.sha256 = w, w.SHA256()
	return nil
}

// recipeOfInitial takes the recipe of the model that training begins with, and the size of its images for a folder.
func (j *job) recipeOfInitial() error {
	info := j.initial.Info()
	j.name = info.Run.Recipe
	if info.Recipe == "" {
		return usageErrorf("-init-from: the network of %s was written in Go: describe it by -recipe", j.initial.Path())
	}
	r, err := j.Kinds.Parse("recipe of "+j.initial.Path(), []byte(info.Recipe))
	if err != nil {
		return err
	}
	if j.data != "" && (!j.namesDataSet() || j.data != info.Run.Data) {
		if r, err = r.WithoutClasses(); err != nil {
			return err
		}
		// The model's batch was right for the number of its images.
		if r, err = r.With("batch=auto"); err != nil {
			return err
		}
	}
	if r, err = r.With(j.changes...); err != nil {
		return err
	}
	if j.data == "" && slices.Contains(data.NamesOf(j.Kinds.DataSets), info.Run.Data) {
		j.data = info.Run.Data
	}
	if j.data == "" {
		return usageErrorf("-init-from: say what to train on: -data FOLDER")
	}
	if !j.namesDataSet() && r.Pictures.Size == (nn.Pair{}) {
		if r, err = r.WithImageSize(info.Images.Height, info.Images.Width, info.Images.Resize); err != nil {
			return err
		}
	}
	j.recipe = r
	return nil
}

// initialMeanStd returns how the model that training begins with normalises images, if it takes as many channels.
func (j *job) initialMeanStd() (mean, std []float32, ok bool) {
	if j.initial == nil || j.initial.Info() == nil {
		return nil, nil, false
	}
	images := j.initial.Info().Images
	_, _, c := j.split.Train.ImageShape()
	return images.Mean, images.Std, images.Channels == c
}

// applyInitial gives a network the weights to begin with, and prints once what was loaded and what was not.
func (j *job) applyInitial(net *nn.Network, layers nn.Layer) error {
	report, err := j.initial.Apply(net, layers, j.split.Train.Classes())
	if err != nil {
		return fmt.Errorf("-init-from: %w", err)
	}
	if isAddress(j.initFrom) { // not the copy in the cache
		report.Path = j.initFrom
	}
	if !j.told {
		j.note("%s", report)
		j.told = true
	}
	return nil
}
