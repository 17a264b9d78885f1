package command

import (
	"context"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"trainer/nn/data"
)

// What identifies a run's data: absolute paths, by which it is found from anywhere, and a fingerprint, by which other data
// is noticed.

// paths are the places of the data in a run's configuration.
type paths struct{ data, dataDir string }

// findPaths makes the paths of the data absolute. A configuration is UTF-8, so that it can't have other paths.
func (j *job) findPaths() (err error) {
	j.paths = paths{j.data, j.dataDir}
	if !j.namesDataSet() {
		if j.paths.data, err = filepath.Abs(j.data); err != nil {
			return err
		}
	}
	if j.dataDir != "" {
		if j.paths.dataDir, err = filepath.Abs(j.dataDir); err != nil {
			return err
		}
	}
	for _, path := range []string{j.paths.data, j.paths.dataDir} {
		if !utf8.ValidString(path) && !j.dryRun && !j.drawn {
			return usageErrorf("the path %q is not UTF-8, so that the run could not be resumed: rename the folder, or pass a link to it", path)
		}
	}
	return nil
}

// namesDataSet reports whether -data is the name of a data set, not a folder.
func (j *job) namesDataSet() bool { return slices.Contains(data.NamesOf(j.Kinds.DataSets), j.data) }

// dataName returns the name of the data set, or of the folder without its place, which may change.
func (j *job) dataName() string {
	if j.namesDataSet() {
		return j.data
	}
	return filepath.Base(j.paths.data)
}

// identifyData takes the fingerprint of the data, or compares the data with that of the run that is continued or drawn.
func (j *job) identifyData(ctx context.Context, o *opening) (err error) {
	if j.runData != nil {
		j.fingerprint, err = identify(ctx, j.split, j.runData, j.out)
		return err
	}
	if o.fingerprintErr != nil {
		return &dataError{o.fingerprintErr}
	}
	j.fingerprint = o.fingerprint
	return nil
}

// identify returns the fingerprint of the data, as the run in the folder place recorded it, after comparing the data with
// it, or nil if there is none.
func identify(ctx context.Context, split *data.Dataset, before *data.Fingerprint, place string) (*data.Fingerprint, error) {
	if before == nil {
		return nil, nil
	}
	now, err := split.FingerprintLike(ctx, before)
	if err != nil {
		return nil, &dataError{err}
	}
	if d := now.Difference(before); d != "" {
		return nil, usageErrorf("%s: the data is not that of the run: %s", place, d)
	}
	return before, nil // whose checksum its checkpoints have
}

// recordedFiles returns the fingerprint if it is that of a folder of images: a new split of the folder might have images in
// the test set that were trained on.
func recordedFiles(run *data.Fingerprint) *data.Fingerprint {
	if run == nil || len(run.Train.Files) == 0 {
		return nil
	}
	return run
}
