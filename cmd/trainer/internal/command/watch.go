package command

import (
	"errors"
	"path/filepath"
	"sync"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/train"
)

// watch lets pages follow a job's training.
type watch struct {
	training *cockpit.Training
	named    bool           // pages know the run by its folder's name
	told     bool           // what can't be done with several runs
	host     device.Device  // on which activations are computed; nil before the first training
	probe    *cockpit.Probe // of the present training

	mu   sync.Mutex
	path string // the folder of the present run
}

// place returns the folder of the present run, or "".
func (w *watch) place() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.path
}

// The pictures whose activations are summarised after every epoch: as many as take this many operations at most.
const (
	maxProbes  = 32
	probeFLOPs = 1e9
)

// watched adds to the configuration of a run in a folder what a page needs.
func (j *job) watched(cfg *train.Config, folder *report.Folder) {
	w := j.watch
	if w == nil {
		return
	}
	w.mu.Lock()
	w.path = folder.Path()
	w.mu.Unlock()
	if w.named {
		w.training.Name(filepath.Base(folder.Path()))
	}
	if w.probe != nil {
		_ = w.probe.Close() // of the run before
	}
	cfg.KeepAnswers = true
	w.probe = &cockpit.Probe{Open: func() (*inspect.Session, error) { return w.open(j) }}
	several := j.runs > 1 || j.folds > 0
	if several && !w.told {
		w.told = true
		w.training.Note("several runs, one after the other: Stop ends the present one, and the next begins; the learning rate can't be changed, because all runs have the same settings")
	}
	d := cockpit.Data{
		Val: j.split.Val, Test: j.split.Test, Classes: j.split.Train.Classes(), Precision: device.PrecisionOf(j.dev).String(), Probe: w.probe,
		CanSteer: !several,
		Keeper: &cockpit.Keeper{
			Load: func() ([]byte, error) { return keptHistograms(folder.Folder) },
			Save: func(content []byte) error { return folder.Write(report.HistogramsFile, content) },
		},
	}
	hooks := w.training.Hooks(d)
	begin := hooks.Start
	hooks.Start = func(t *train.Training, e train.Start) {
		w.probe.Pictures = cockpit.FirstPictures(j.split.Train, int(max(1, min(maxProbes, probeFLOPs/float64(max(1, e.FLOPs))))))
		begin(t, e)
	}
	cfg.Hooks = append(cfg.Hooks, hooks)
}

// open opens a copy of the network on a device of its own, so that the training's device computes for nobody else.
func (w *watch) open(j *job) (*inspect.Session, error) {
	if w.host == nil {
		host, err := j.openHost(1)
		if err != nil {
			return nil, err
		}
		w.host = host
	}
	h, width, c := j.split.Train.ImageShape()
	return inspect.New(w.host, j.recipe.Model(len(j.split.Train.Classes())), inspect.Options{
		Input: nn.Shape{h, width, c}, Mean: j.recipe.Augment.Mean, Std: j.recipe.Augment.Std, Loss: j.recipe.Loss,
	})
}

// close frees what was opened.
func (w *watch) close() error {
	if w == nil || w.host == nil {
		return nil
	}
	return errors.Join(w.probe.Close(), w.host.Close())
}
