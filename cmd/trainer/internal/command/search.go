package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/device"
	"trainer/nn/printable"
	"trainer/nn/train"
	"trainer/nn/tune"
)

// A search trains its trials in rungs: each trial of a rung until so many epochs, on the first device that is free. The
// trials of a rung don't depend on one another, and the next rung begins when all are done, so that the results are the same
// on any number of devices, and after any stop.

// search is one call of trainer tune.
type search struct {
	*job
	o       *tuneOptions
	devices []device.Device // the first is the job's
	folder  *report.Folder
	trials  [][]tune.Setting // by number, from 0
	rungs   []tune.Rung

	mu      sync.Mutex // for what follows, and for the printed lines
	results []report.Trial
	begun   map[int]bool // trials that have a folder by this process
}

// newSearch checks the search space and draws the trials.
func newSearch(j *job, o *tuneOptions) (*search, error) {
	if j.split.Val == nil || j.split.Val.Len() == 0 {
		return nil, usageErrorf("a search needs validation images: pass a larger -val")
	}
	set := *j.split
	set.Test = nil // a search never evaluates it
	j.split = &set
	s := &search{job: j, o: o, devices: []device.Device{j.dev}, begun: map[int]bool{}}
	if err := s.checkSpace(); err != nil {
		return nil, err
	}
	if o.searchesData() {
		s.recipe = s.loaded // each trial adds what its images say
	}
	s.trials = o.space.Trials(j.seed, o.Trials)
	for i, settings := range s.trials {
		if _, err := s.recipe.With(tune.Assignments(settings)...); err != nil {
			return nil, fmt.Errorf("trial %d: %w", i+1, err)
		}
	}
	s.rungs = o.rungs(len(s.trials), s.recipe.Epochs)
	others, err := j.openOthers(o.devices[1:])
	s.devices = append(s.devices, others...)
	if err != nil {
		s.close()
		return nil, err
	}
	if len(s.devices) > 1 {
		s.shareOutput()
	}
	return s, nil
}

// checkSpace returns an error if a key or a value to search is invalid by itself.
func (s *search) checkSpace() error {
	for _, d := range s.o.space {
		if isDataKey(d.Key) && d.Key != "data.balance" && s.split.Pictures == nil {
			return usageErrorf("-set %s: this says how picture files are read, and %s has none", d.Key, s.dataName())
		}
		for _, value := range d.Extremes() {
			_, err := s.recipe.With(d.Key + "=" + value)
			if err != nil && !strings.HasPrefix(err.Error(), "-set ") { // another key is wrong because of the value
				return fmt.Errorf("with %s=%s: %w", d.Key, value, err)
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// close closes the devices but the first, and the folder, unless the job does.
func (s *search) close() {
	for _, dev := range s.devices[1:] {
		dev.Close()
	}
	if s.folder != nil && s.folder != s.continued {
		s.folder.Close()
	}
}

// train trains all trials and reports.
func (s *search) train(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	s.place = s.folder.Path()
	s.printBeginning()
	if err := s.trainRungs(ctx); err != nil {
		if len(s.results) == 0 && ctx.Err() == nil {
			s.discard()
		}
		return err
	}
	return s.finish()
}

// discard removes the folder of a search that could not begin.
func (s *search) discard() { s.folder.Discard() }

// open makes the folder, or reads the results in that of the search that is continued.
func (s *search) open() (err error) {
	if s.continued != nil {
		s.folder = s.continued
		if s.results, err = report.ReadTrials(s.folder.Folder); err != nil {
			return usageErrorf("%v", err)
		}
		if err := s.checkResults(); err != nil {
			return err
		}
		return s.folder.WriteSearch(&s.o.Search)
	}
	if s.folder, err = s.newFolder("-tune"); err != nil {
		return err
	}
	s.o.Arguments = s.arguments(s.commandVal())
	return errors.Join(s.folder.WriteSkipped(s.split.Skipped), s.folder.WriteData(s.fingerprint),
		s.writeConfig(s.folder, s.seed, 1), s.folder.WriteSearch(&s.o.Search))
}

// commandVal returns the fraction of images that a training with the best settings holds out: one that the user passed, or
// that the recipe needs.
func (s *search) commandVal() float64 {
	r := s.recipe
	if s.given["val"] || r.Weights == train.WeightsBest || r.Stop.Patience > 0 {
		return s.val
	}
	if e, ok := r.Schedule.(interface{ NeedsEvaluations() bool }); ok && e.NeedsEvaluations() {
		return s.val
	}
	return 0
}

// checkResults returns an error unless the results are those of the search's trials.
func (s *search) checkResults() error {
	for _, r := range s.results {
		if r.Number < 1 || r.Number > len(s.trials) || r.Rung < 1 || r.Rung > len(s.rungs) {
			return usageErrorf("%s: the search has no trial %d in round %d", s.folder.File(report.TrialsFile), r.Number, r.Rung)
		}
		if !maps.Equal(r.Settings, settingsMap(s.trials[r.Number-1])) {
			return usageErrorf("%s: the settings of trial %d are not those that the search draws", s.folder.File(report.TrialsFile), r.Number)
		}
	}
	return nil
}

func settingsMap(settings []tune.Setting) map[string]string {
	m := map[string]string{}
	for _, s := range settings {
		m[s.Key] = s.Value
	}
	return m
}

// trainRungs trains round after round.
func (s *search) trainRungs(ctx context.Context) error {
	trials := make([]int, len(s.trials))
	for i := range trials {
		trials[i] = i
	}
	for k, rung := range s.rungs {
		if k > 0 {
			on := tune.Promote(s.scores(k-1), rung.Trials, s.byLoss())
			s.removeCheckpoints(trials, on)
			trials = on
		}
		if err := s.trainRung(ctx, k, trials); err != nil {
			return err
		}
		if k == 0 {
			if err := s.allFailed(); err != nil {
				return err
			}
		}
	}
	s.removeCheckpoints(trials, nil)
	return nil
}

// allFailed returns an error if no trial of the first round has a result.
func (s *search) allFailed() error {
	for _, r := range s.results {
		if r.State != trialFailed && r.State != trialDiverged {
			return nil
		}
	}
	return usageErrorf("no trial could be trained to its end; trial %d: %s", s.results[0].Number, s.results[0].Problem)
}

// trainRung trains those trials that have no result in the round yet, on all devices.
func (s *search) trainRung(ctx context.Context, k int, trials []int) error {
	left := slices.DeleteFunc(slices.Clone(trials), func(n int) bool { return s.result(n, k) != nil })
	if len(s.devices) == 1 {
		for _, n := range left {
			if err := s.trainTrial(ctx, s.dev, n, k); err != nil {
				return err
			}
		}
		return nil
	}
	return s.trainParallel(ctx, k, left)
}

// trainParallel trains trials on all devices. The first error stops all.
func (s *search) trainParallel(ctx context.Context, k int, trials []int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan int, len(trials))
	for _, n := range trials {
		queue <- n
	}
	close(queue)
	var group sync.WaitGroup
	errs := make([]error, len(s.devices))
	panics := make([]any, len(s.devices))
	for i, dev := range s.devices {
		group.Go(func() {
			defer func() {
				if panics[i] = recover(); panics[i] != nil {
					cancel()
				}
			}()
			for n := range queue {
				if errs[i] = s.trainTrial(ctx, dev, n, k); errs[i] != nil {
					cancel()
					return
				}
			}
		})
	}
	group.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
	for _, err := range errs { // an interruption may be the consequence of another error
		if err != nil && !isA[*interruptedError](err) {
			return err
		}
	}
	return cmp.Or(errs...)
}

// byLoss reports whether trials are compared by their loss.
func (s *search) byLoss() bool { return s.recipe.BestBy == train.ByLoss }

// result returns the result of a trial in a round, or nil.
func (s *search) result(n, k int) *report.Trial {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.results {
		if r := &s.results[i]; r.Number == n+1 && r.Rung == k+1 {
			return r
		}
	}
	return nil
}

// add adds a result, and prints it.
func (s *search) add(r report.Trial) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, r)
	err := s.folder.WriteTrials(s.results)
	s.printTrial(r)
	return err
}

// scores returns the scores of a round.
func (s *search) scores(k int) (scores []tune.Score) {
	for _, r := range s.results {
		if r.Rung == k+1 {
			scores = append(scores, scoreOf(r))
		}
	}
	return scores
}

func scoreOf(r report.Trial) tune.Score {
	return tune.Score{
		Trial: r.Number - 1, Rung: r.Rung - 1, Failed: r.State == trialDiverged || r.State == trialFailed,
		Accuracy: float64(r.ValAccuracy), Loss: float64(r.ValLoss),
	}
}

// ranking returns the last result of each trial, the best first.
func (s *search) ranking() []report.Trial {
	last := map[int]report.Trial{}
	for _, r := range s.results {
		if r.Rung >= last[r.Number].Rung {
			last[r.Number] = r
		}
	}
	return slices.SortedFunc(maps.Values(last), func(a, b report.Trial) int {
		return tune.Compare(scoreOf(a), scoreOf(b), s.byLoss())
	})
}

// removeCheckpoints removes the checkpoints of those trials that don't go on. Each is several times as large as the model.
func (s *search) removeCheckpoints(trials, on []int) {
	for _, n := range trials {
		if slices.Contains(on, n) || !s.folder.Has(s.trialName(n)) {
			continue
		}
		sub, err := s.folder.Folder.Sub(s.trialName(n))
		if err != nil {
			continue // the file is only in the way
		}
		_ = sub.Remove(report.CheckpointFile)
		_ = sub.Close()
	}
}

// trialName returns the name of a trial's folder.
func (s *search) trialName(n int) string {
	return fmt.Sprintf("trial-%0*d", len(fmt.Sprint(len(s.trials))), n+1)
}

// shareOutput makes the writers safe for several goroutines.
func (s *search) shareOutput() {
	p := *s.program
	lock := &sync.Mutex{}
	p.stdout, p.stderr = &sharedWriter{lock, p.stdout}, &sharedWriter{lock, p.stderr}
	s.program = &p
}

// settingsLine returns settings in one line.
func settingsLine(settings []tune.Setting) string {
	line := ""
	for _, s := range settings {
		line += " " + s.Key + "=" + s.Value
	}
	return printable.Text(line[1:])
}
