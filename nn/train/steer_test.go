package train

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"trainer/nn/optim"
)

// steered returns hooks that change the rate after 12 and after 25 steps, and note the changes.
func steered(changes *[]optim.RateChange) Hooks {
	return Hooks{
		Step: func(t *Training, s *StepDone) {
			switch s.Step {
			case 12:
				t.ChangeRate(0.5)
			case 25:
				t.ChangeRate(0.25)
			}
		},
		RateChanged: func(_ *Training, all []optim.RateChange) { *changes = all },
	}
}

// TestRateChanges: a training whose rate is changed in flight, its repetition, and its continuation after an interruption
// have the same bits, and other bits than a training without the changes.
func TestRateChanges(t *testing.T) {
	cfg := everything(t)
	plain, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var changes []optim.RateChange
	cfg = everything(t)
	cfg.Hooks = []Hooks{steered(&changes)}
	flown, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := []optim.RateChange{{Step: 12, Factor: 0.5}, {Step: 25, Factor: 0.25}}
	if !reflect.DeepEqual(changes, want) {
		t.Fatalf("changes %v, want %v", changes, want)
	}
	bits := weights(t, flown.Network)
	if reflect.DeepEqual(bits, weights(t, plain.Network)) {
		t.Fatal("the changes changed nothing")
	}

	cfg = everything(t)
	cfg.RateChanges = want
	repeated, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(bits, weights(t, repeated.Network)) {
		t.Error("the repetition has other bits")
	}

	// Interrupted after 18 steps, between the changes.
	dir := t.TempDir()
	cfg = everything(t)
	cfg.Checkpoint = Checkpoint{Dir: dir, EverySteps: 18}
	cfg.Hooks = []Hooks{steered(&changes), {Checkpoint: func(t *Training, c CheckpointWritten) { t.Stop("for the test") }}}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	resume := everything(t)
	resume.Resume = filepath.Join(dir, checkpointName)
	resume.RateChanges = want // the second one is still to come
	resumed, err := Run(t.Context(), resume)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(bits, weights(t, resumed.Network)) {
		t.Error("the resumed training has other bits")
	}

	// A configuration without the change that was made is another training than the checkpoint's.
	resume = everything(t)
	resume.Resume = filepath.Join(dir, checkpointName)
	if _, err := Run(t.Context(), resume); err == nil {
		t.Error("a checkpoint with a change of the rate was resumed without it")
	}
}

// TestSaveAndPause saves within an epoch and pauses at its end: neither changes the bits, and the pause takes no training
// time.
func TestSaveAndPause(t *testing.T) {
	plain, err := Run(t.Context(), everything(t))
	if err != nil {
		t.Fatal(err)
	}
	const pause = 300 * time.Millisecond
	var saved, paused []int
	cfg := everything(t)
	cfg.Checkpoint = Checkpoint{Dir: t.TempDir(), EveryEpochs: 100}
	cfg.Hooks = []Hooks{{
		Step: func(r *Training, s *StepDone) {
			wait := func() {
				paused = append(paused, s.Step)
				time.Sleep(pause)
			}
			switch s.Step {
			case 7:
				r.Save()
			case 13:
				r.Save()
				r.Pause(wait)
			case 20:
				r.Pause(wait)
			}
		},
		Checkpoint: func(_ *Training, c CheckpointWritten) { saved = append(saved, c.Step) },
	}}
	steered, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{7, 13, 50}; !reflect.DeepEqual(saved, want) {
		t.Errorf("saved after %v, want %v", saved, want)
	}
	if want := []int{13, 20}; !reflect.DeepEqual(paused, want) {
		t.Errorf("paused after %v, want %v", paused, want)
	}
	if steered.TrainSeconds > steered.TotalSeconds-2*pause.Seconds() {
		t.Errorf("the pauses count as training: %v of %v s", steered.TrainSeconds, steered.TotalSeconds)
	}
	if !reflect.DeepEqual(weights(t, plain.Network), weights(t, steered.Network)) {
		t.Error("saving or pausing changed the bits")
	}
}

// TestKeepAnswers: every evaluation has the answers if the configuration asks for them.
func TestKeepAnswers(t *testing.T) {
	cfg := everything(t)
	cfg.KeepAnswers = true
	cfg.Hooks = []Hooks{{Evaluation: func(_ *Training, e *EvaluationDone) {
		if len(e.Answers) != e.Count {
			t.Errorf("epoch %d: %d answers to %d images", e.Epoch, len(e.Answers), e.Count)
		}
	}}}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}
