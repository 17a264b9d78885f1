package train

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"trainer/nn/device"
	"trainer/nn/folder"
	"trainer/nn/optim"
	"trainer/nn/train/internal/safetensors"
)

// checkpointName is the file in Checkpoint.Dir.
const checkpointName = "checkpoint.safetensors"

// checkpointKey is the metadata's key for position, as JSON.
const checkpointKey = "checkpoint"

// algorithmsKey is the metadata's key for what the device chose by timing (device.AlgorithmChooser).
const algorithmsKey = "algorithms"

// keepAlgorithms makes the device take the algorithms that a checkpoint's run took.
func keepAlgorithms(path string, dev device.Device) error {
	chooser, ok := dev.(device.AlgorithmChooser)
	if !ok {
		return nil
	}
	f, _, err := openCheckpoint(path)
	if err != nil {
		return nil // reading the checkpoint reports the error
	}
	defer f.Close()
	chosen, ok := f.Metadata()[algorithmsKey]
	if !ok {
		return nil
	}
	if err := chooser.KeepAlgorithms([]byte(chosen)); err != nil {
		return fmt.Errorf("resuming: %s: %w: %v", path, ErrDamaged, err)
	}
	return nil
}

// position is the state of training without the tensors. Floats keep their bits in JSON.
type position struct {
	Step         int           `json:"step"` // steps done
	Totals       totals        `json:"epoch_so_far"`
	TrainSeconds float64       `json:"train_seconds"`
	TrainImages  int           `json:"train_images"`
	History      metricsList   `json:"history"`
	Settings     conditionList `json:"settings"`
	Logged       totals        `json:"logged_so_far"`  // Totals at the last line of the log
	Best         *Best         `json:"best,omitempty"` // the epoch whose weights are in the checkpoint besides the last ones
}

// totals are sums over the examples of an epoch whose results have been fetched.
type totals struct {
	Loss    float64 `json:"loss"`
	Weight  float64 `json:"weight"` // divisor of Loss for the mean
	Correct int     `json:"correct"`
	Count   int     `json:"count"`
	Images  int     `json:"images"`
	Seconds float64 `json:"seconds"`
}

// withWeight returns the totals with the weight that older checkpoints leave out, in which every example counted 1.
func (t totals) withWeight() totals {
	if t.Weight == 0 {
		t.Weight = float64(t.Count)
	}
	return t
}

// condition is a setting that must be the same for a resumed training to give the same bits.
type condition struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// settings returns every setting that decides the bits of the weights after so many steps, and is visible in the
// configuration.
func settings(s *Stepper, steps int) []condition {
	c := s.cfg
	h, w, channels := c.Data.Train.ImageShape()
	list := []condition{
		{"seed", strconv.FormatUint(c.Seed, 10)},
		{"batch", strconv.Itoa(c.Batch)},
		{dropsLast, strconv.FormatBool(c.LastBatch == DropLastBatch)},
		{epochsSetting, strconv.FormatFloat(c.Epochs, 'g', -1, 64)},
		{stepsSetting, strconv.Itoa(s.total)},
		{dataSetting, c.Data.Name},
		{trainingImages, fmt.Sprintf("%d of %dx%dx%d in %d classes", c.Data.Train.Len(), h, w, channels, len(c.Data.Train.Classes()))},
		{"loss", describe(c.Loss)},
		{"augmentation", describe(c.Augment)},
		{"optimizer", describe(c.Optimizer)},
		{"schedule", describe(c.Schedule)},
	}
	if k := c.batchesPerStep(); k > 1 { // older checkpoints have no such setting
		list = append(list, condition{"batches per step", strconv.Itoa(k)})
	}
	if c.SyncBatchNorm {
		list = append(list, condition{"sync-batch-norm", "true"})
	} else if n := c.shards(); n > 1 { // older checkpoints have no such setting
		list = append(list, condition{"shards", strconv.Itoa(n)})
	}
	list = append(list, c.rateChangesBefore(steps)...)
	if w, ok := c.weightsSetting(); ok {
		list = append(list, w)
	}
	list = append(list, c.freezeSetting()...)
	list = append(list, c.resolutionSetting()...)
	if c.DataHash != "" { // older checkpoints have no such setting
		list = append(list, condition{imagesSetting, c.DataHash})
	}
	if t := s.net.DType(); t != device.Float32 {
		list = append(list, condition{precisionSetting, t.String()})
	}
	for i, r := range s.net.Layers() {
		list = append(list, condition{fmt.Sprintf("layer %d", i+1), fmt.Sprintf("%s: %s to %v, %d parameters", r.Name, r.Kind, r.Output, r.Params)})
	}
	return append(list, condition{"settings of the layers", describe(c.Model)})
}

// dataSetting is the name of the setting for the data set's name, trainingImages that for the number and the shape of its
// images, and imagesSetting that for their fingerprint.
const (
	trainingImages = "training images"
	dataSetting    = "data set"
	imagesSetting  = "fingerprint of the images"
)

// alike returns both lists without what only one of them can have, or what doesn't matter: if both have the
// fingerprint of the images, the data set may have another name, because a folder may have been moved. If one has none,
// the name has to do.
func alike(ours, theirs []condition) (_, _ []condition) {
	drop := imagesSetting
	if has(ours, imagesSetting) && has(theirs, imagesSetting) {
		drop = dataSetting
	}
	without := func(list []condition) []condition {
		return slices.DeleteFunc(slices.Clone(list), func(s condition) bool { return s.Name == drop })
	}
	return without(withPrecision(ours)), without(withPrecision(theirs))
}

func has(list []condition, name string) bool {
	return slices.ContainsFunc(list, func(s condition) bool { return s.Name == name })
}

// precisionSetting is the name of the setting for the precision, which is in the list unless the precision is float32.
const precisionSetting = "precision"

// withPrecision returns the settings including the precision.
func withPrecision(list []condition) []condition {
	if has(list, precisionSetting) {
		return list
	}
	return append(slices.Clip(list), condition{precisionSetting, device.Float32.String()})
}

// describe returns a value's type and fields, following pointers, which a %+v would print
// as addresses.
func describe(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // such as a user's schedule that holds a function
		return fmt.Sprintf("%T", v)
	}
	return fmt.Sprintf("%T%s", v, b)
}

// differences lists where b, the checkpoint's settings, differs from a.
func differences(a, b []condition) []string {
	theirs := map[string]string{}
	for _, s := range b {
		theirs[s.Name] = s.Value
	}
	var diff []string
	for _, s := range a {
		v, ok := theirs[s.Name]
		delete(theirs, s.Name)
		switch {
		case !ok:
			diff = append(diff, fmt.Sprintf("%s is %s, and missing in the checkpoint", s.Name, s.Value))
		case v != s.Value:
			ours, its := excerpts(s.Value, v)
			diff = append(diff, fmt.Sprintf("%s is %s, in the checkpoint %s", s.Name, ours, its))
		}
	}
	for _, s := range b {
		if v, left := theirs[s.Name]; left {
			diff = append(diff, fmt.Sprintf("%s is missing, in the checkpoint %s", s.Name, v))
		}
	}
	return diff
}

// excerpts returns two values, shortened, if they are long, to what is around the first
// byte in which they differ.
func excerpts(a, b string) (string, string) {
	const long, around = 60, 25
	if len(a) <= long && len(b) <= long {
		return a, b
	}
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	cut := func(s string) string {
		from, to := max(0, at-around), min(len(s), at+around)
		return "..." + strings.ToValidUTF8(s[from:to], "") + "..."
	}
	return cut(a), cut(b)
}

// openFolder opens the folder for checkpoints, which it makes if it is missing, and makes sure that files can be made in
// it: finding out at the first checkpoint would be too late.
func openFolder(path string) (*folder.Folder, error) {
	dir, err := folder.Make(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	err = dir.Try(checkpointName)
	if err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	return dir, nil
}

// checkpointMetadata returns the metadata of a checkpoint: the position, and what tells a reader what it is of.
func checkpointMetadata(s *Stepper, best *bestWeights, p position) (map[string]string, error) {
	if best.values != nil {
		p.Best = best.at
	}
	p.Settings = settings(s, p.Step)
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	digest, err := json.Marshal(p.Settings)
	if err != nil {
		return nil, err
	}
	meta := map[string]string{
		checkpointKey:     string(text),
		"step":            strconv.Itoa(p.Step),
		"epoch":           strconv.Itoa(p.Step / s.perEpoch),
		"seed":            strconv.FormatUint(s.cfg.Seed, 10),
		"data":            s.cfg.Data.Name,
		"settings_sha256": fmt.Sprintf("%x", sha256.Sum256(digest)),
	}
	if c, ok := s.dev.(device.AlgorithmChooser); ok {
		if chosen := c.ChosenAlgorithms(); chosen != nil {
			meta[algorithmsKey] = string(chosen)
		}
	}
	return meta, nil
}

// readCheckpoint sets weights, optimiser state and step from the file, and the best epoch with its weights.
func readCheckpoint(path string, s *Stepper, best *bestWeights) (position, error) {
	f, p, err := openCheckpoint(path)
	if err != nil {
		return p, fmt.Errorf("resuming: %w", err)
	}
	defer f.Close()
	ours, theirs := alike(settings(s, p.Step), p.Settings)
	if s.cfg.Extend {
		ours, theirs = withoutLength(ours), withoutLength(theirs)
	}
	if diff := differences(ours, theirs); len(diff) > 0 {
		return p, fmt.Errorf("resuming: %w", &MismatchError{Path: path, Differences: diff})
	}
	if err := s.checkLength(p.Step); s.cfg.Extend && err != nil {
		return p, err
	}
	if p.Step < 0 || p.Step > s.total {
		return p, fmt.Errorf("resuming: %s: %w: step %d of %d", path, ErrDamaged, p.Step, s.total)
	}
	list := checkpointTensors(s)
	counts := func(name string) bool {
		if s.divides() && strings.HasPrefix(name, optimizerPrefix) { // it may belong to another rank
			return slices.ContainsFunc(list, func(t optim.Named) bool { return t.Name == name })
		}
		return !isBest(name) || p.Best == nil
	}
	if err = readTensors(path, f, s.dev, list, counts); err == nil {
		err = best.read(path, f, p, s.cfg.BestBy)
	}
	if err != nil {
		return p, fmt.Errorf("resuming: %w", err)
	}
	s.step = p.Step
	return p, nil
}

// openCheckpoint opens a checkpoint and returns the position that its metadata holds.
func openCheckpoint(path string) (f *safetensors.File, p position, err error) {
	file, err := folder.OpenFile(path)
	if err != nil {
		return nil, p, err
	}
	if f, err = safetensors.New(file, path); err != nil {
		return nil, p, err
	}
	if p, err = parsePosition(path, f); err != nil {
		_ = f.Close() // nothing was written
		return nil, p, err
	}
	return f, p, nil
}

// parsePosition returns the position that a checkpoint's metadata holds.
func parsePosition(path string, f *safetensors.File) (p position, err error) {
	if !f.HasChecksum() {
		return p, fmt.Errorf("%s: %w: it has no checksum", path, ErrDamaged)
	}
	text, ok := f.Metadata()[checkpointKey]
	if !ok {
		return p, fmt.Errorf("%s has weights only and is not a checkpoint", path)
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("%s: %w: its position: %v", path, ErrDamaged, err)
	}
	return p, nil
}

// checkpointTensors returns the tensors of the network, of the loss scaling if there is one, and of the optimiser.
func checkpointTensors(s *Stepper) []optim.Named {
	list := networkTensors(s.net)
	if t := s.net.Scaling(); t != nil {
		list = append(list, optim.Named{Name: scalingName, Tensor: t})
	}
	for _, t := range s.opt.Tensors() {
		t.Name = optimizerPrefix + t.Name
		list = append(list, t)
	}
	return list
}
