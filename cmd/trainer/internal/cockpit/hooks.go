package cockpit

import (
	"time"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/metric"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// interval is the time between two states that pages get while steps are done.
const interval = 200 * time.Millisecond

// maxLines is the number of means over steps that are kept. Beyond it, every other one is dropped.
const maxLines = 20_000

// hooked is what the hooks keep between two calls.
type hooked struct {
	data    Data
	next    time.Time           // of the next state
	pending []train.StepMetrics // not told yet
}

// Hooks follow the training, and carry out the orders that arrive between two steps.
func (t *Training) Hooks(d Data) train.Hooks {
	t.hooked = hooked{data: d}
	return train.Hooks{
		Start:       t.start,
		Step:        t.step,
		Log:         func(_ *train.Training, m *train.StepMetrics) { t.log(*m) },
		Progress:    t.progress,
		Evaluation:  t.evaluation,
		Epoch:       t.epoch,
		RateChanged: func(_ *train.Training, all []optim.RateChange) { t.update(func(s *State) { s.RateChanges = all }) },
		Checkpoint: func(_ *train.Training, c train.CheckpointWritten) {
			t.update(func(s *State) { s.SavedStep = c.Step })
		},
		Finish: func(_ *train.Training, r *train.Result) {
			t.flush()
			t.update(func(s *State) { s.Step, s.Problem = r.Steps, r.Stopped })
		},
	}
}

// start takes what is known before the first step.
func (t *Training) start(r *train.Training, e train.Start) {
	t.mu.Lock()
	t.steps, t.epochs = nil, append([]train.EpochMetrics(nil), e.History...)
	t.first, t.firstStep, t.histograms, t.answers = nil, 0, nil, nil
	t.mu.Unlock()
	at := t.recall(r, e.Step)
	t.update(func(s *State) {
		s.Histograms, s.Mistakes = at, 0
		s.Phase, s.CanSteer = Running, t.hooked.data.CanSteer
		s.Device, s.Precision, s.Memory, s.Parameters = e.Device, t.hooked.data.Precision, e.Memory, e.Params
		s.Batch, s.Epochs, s.Steps, s.StepsPerEpoch = e.Batch, e.Epochs, e.Summary.Steps, e.StepsPerEpoch
		s.Step, s.Epoch, s.RateChanges = e.Step, len(e.History)+1, e.RateChanges
		if e.Step > 0 {
			s.SavedStep = e.Step
		}
	})
}

// recall takes the histograms of a run that is continued, and returns their step, or 0.
func (t *Training) recall(r *train.Training, step int) int {
	if step == 0 {
		return 0
	}
	first, last, err := t.hooked.data.Keeper.recall(func() (*nn.Network, error) { return r.Network(), nil }, step)
	if err != nil {
		t.Note("histograms: " + err.Error())
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.first, t.firstStep, t.histograms = first.histograms(), first.Step, last.histograms()
	return last.Step
}

// step tells the state now and then, and carries out orders.
func (t *Training) step(r *train.Training, e *train.StepDone) {
	if now := time.Now(); now.After(t.hooked.next) || e.Step == e.Total {
		t.hooked.next = now.Add(interval)
		t.flush()
		t.update(func(s *State) {
			s.Phase, s.EvaluationDone = Running, 0
			s.Step, s.Epoch, s.Loss, s.Accuracy, s.LR = e.Step, e.Epoch, e.Loss, e.Accuracy, e.LR
			s.ImagesPerSecond, s.SecondsLeft = e.ImagesPerSecond, e.ETA.Seconds()
		})
	}
	for {
		select {
		case o := <-t.orders:
			t.obey(r, o)
		default:
			return
		}
	}
}

// obey carries out an order.
func (t *Training) obey(r *train.Training, o Order) {
	switch o.Action {
	case Pause:
		r.Save()
		r.Pause(func() { t.rest(r) })
	case Stop:
		r.Stop("by hand")
	case Save:
		r.Save()
	case ChangeRate:
		r.ChangeRate(o.Factor)
	}
}

// rest waits until an order or the end of the program ends the pause.
func (t *Training) rest(r *train.Training) {
	t.flush()
	t.update(func(s *State) { s.Phase, s.Step = Paused, r.Steps() })
	defer t.update(func(s *State) { s.Phase = Running })
	for {
		select {
		case <-t.ctx.Done():
			return
		case o := <-t.orders:
			switch o.Action {
			case Continue:
				return
			case Stop, ChangeRate:
				t.obey(r, o)
			}
			if o.Action == Stop {
				return
			}
		}
	}
}

// log keeps the means over some steps.
func (t *Training) log(m train.StepMetrics) {
	t.hooked.pending = append(t.hooked.pending, m)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.steps) >= maxLines {
		half := t.steps[:0]
		for i := 1; i < len(t.steps); i += 2 {
			half = append(half, t.steps[i])
		}
		t.steps = half
	}
	t.steps = append(t.steps, m)
}

// flush tells the means that have not been told.
func (t *Training) flush() {
	if len(t.hooked.pending) > 0 {
		t.tell(Event{"steps", t.hooked.pending})
		t.hooked.pending = nil // which listeners have now
	}
}

// progress tells how far an evaluation is.
func (t *Training) progress(_ *train.Training, e *train.EvalProgress) {
	now := time.Now()
	if now.Before(t.hooked.next) {
		return
	}
	t.hooked.next = now.Add(interval)
	t.update(func(s *State) {
		s.Phase, s.EvaluationDone, s.EvaluationTotal = Evaluating, e.Done, e.Total
	})
}

// evaluation keeps the confusion matrix and the worst mistakes.
func (t *Training) evaluation(r *train.Training, e *train.EvaluationDone) {
	set := t.hooked.data.Val
	if e.Test {
		set = t.hooked.data.Test
	}
	a := &Answers{
		Step: r.Steps(), Epoch: e.Epoch, Test: e.Test, Loss: e.Loss, Accuracy: e.Accuracy, Classes: t.hooked.data.Classes,
		Confusion: e.Confusion,
	}
	if len(a.Classes) > maxConfusion {
		a.Confusion = nil
	}
	a.takeMistakes(set, e.Answers)
	t.mu.Lock()
	t.answers = a
	t.mu.Unlock()
	t.update(func(s *State) { s.Mistakes = a.Step })
}

// epoch keeps an epoch's results, and summarises weights, gradients and activations.
func (t *Training) epoch(r *train.Training, m train.EpochMetrics) {
	t.flush()
	t.mu.Lock()
	t.epochs = append(t.epochs, m)
	t.mu.Unlock()
	t.tell(Event{"epoch", m})
	h, err := histograms(r.Network(), t.hooked.data.Probe)
	if err != nil {
		t.Note("histograms: " + err.Error())
		return
	}
	t.mu.Lock()
	if t.first == nil {
		t.first, t.firstStep = h, m.Step
	}
	t.histograms = h
	first, firstStep := t.first, t.firstStep
	t.mu.Unlock()
	if k := t.hooked.data.Keeper; k != nil {
		if err := k.keep(firstStep, first, m.Step, h); err != nil {
			t.Note("histograms: " + err.Error())
		}
	}
	t.update(func(s *State) { s.Histograms = m.Step })
}

// maxConfusion is the number of classes up to which a page shows the confusion matrix.
const maxConfusion = 64

// Answers are the results of an evaluation.
type Answers struct {
	Step      int      `json:"step"`
	Epoch     int      `json:"epoch"`
	Test      bool     `json:"test"` // of the test set; otherwise of the validation set
	Loss      float64  `json:"loss"`
	Accuracy  float64  `json:"accuracy"`
	Classes   []string `json:"classes"`
	Confusion [][]int  `json:"confusion"` // [class][answer]; null with many classes
	// Mistakes are the worst ones, the worst first, and Pixels their images [n h w c].
	Mistakes []Mistaken `json:"mistakes"`
	Shape    [3]int     `json:"shape"`
	Pixels   []byte     `json:"pixels"`
}

// Mistaken is a wrong answer.
type Mistaken struct {
	Image       int     `json:"image"` // index in the set
	Label       int     `json:"label"`
	Answer      int     `json:"answer"`
	Probability float64 `json:"probability"` // of the answer
}

// maxMistakes is the number of mistakes that a page shows, and maxMistakePixels that of the bytes of their images.
const (
	maxMistakes      = 16
	maxMistakePixels = 4 << 20
)

// takeMistakes takes the worst mistakes and their images.
func (a *Answers) takeMistakes(set data.Set, answers []metric.Answer) {
	var wrong []metric.Answer
	for _, one := range answers {
		if !one.Correct() {
			wrong = append(wrong, one)
		}
	}
	metric.WorstFirst(wrong)
	h, w, c := set.ImageShape()
	a.Shape, a.Mistakes = [3]int{h, w, c}, []Mistaken{}
	for _, one := range wrong[:min(len(wrong), maxMistakes, maxMistakePixels/(h*w*c))] {
		pixels := make([]byte, h*w*c)
		if _, err := set.Read(one.Image, pixels); err != nil {
			continue // the training says what is wrong with it, if that matters
		}
		a.Mistakes = append(a.Mistakes, Mistaken{one.Image, one.Label, one.Class, one.Probability})
		a.Pixels = append(a.Pixels, pixels...)
	}
}
