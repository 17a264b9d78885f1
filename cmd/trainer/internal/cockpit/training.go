package cockpit

import (
	"context"
	"slices"
	"sync"

	"trainer/nn/data"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// Phase says what a training is doing.
type Phase string

// The phases.
const (
	Preparing   Phase = "preparing" // opening the data, building the network
	Running     Phase = "training"
	Evaluating  Phase = "evaluating"
	Paused      Phase = "paused"
	Finished    Phase = "finished"
	Interrupted Phase = "interrupted" // it can be continued
	Failed      Phase = "failed"
)

// Over reports whether the training has ended.
func (p Phase) Over() bool { return p == Finished || p == Interrupted || p == Failed }

// State is what a page shows of a training at a moment.
type State struct {
	Run     string   `json:"run"`
	Phase   Phase    `json:"phase"`
	Problem string   `json:"problem,omitempty"` // why it failed, or was stopped
	Notes   []string `json:"notes"`             // what the command line would have said

	Device        string  `json:"device"`
	Precision     string  `json:"precision"`
	Memory        int64   `json:"memory_bytes"` // on the device
	Parameters    int     `json:"parameters"`
	Batch         int     `json:"batch"`
	Epochs        float64 `json:"epochs"`
	Steps         int     `json:"steps"`
	StepsPerEpoch int     `json:"steps_per_epoch"`
	CanSteer      bool    `json:"can_steer"`

	Step            int     `json:"step"` // done
	Epoch           int     `json:"epoch"`
	Loss            float64 `json:"loss"`
	Accuracy        float64 `json:"accuracy"`
	LR              float64 `json:"learning_rate"` // of the last step
	ImagesPerSecond float64 `json:"images_per_second"`
	SecondsLeft     float64 `json:"seconds_left"`
	EvaluationDone  int     `json:"evaluation_done"` // images, while evaluating
	EvaluationTotal int     `json:"evaluation_total"`
	SavedStep       int     `json:"saved_step"` // of the last checkpoint, negative before the first

	RateChanges []optim.RateChange `json:"rate_changes"`
	Histograms  int                `json:"histograms"` // step of the last ones, 0 before the first
	Mistakes    int                `json:"mistakes"`   // the same of the confusion matrix and the mistakes
}

// Training is a training in progress that pages follow and steer.
type Training struct {
	ctx    context.Context
	cancel context.CancelFunc
	orders chan Order
	done   chan struct{} // closed when it is over
	hooked hooked        // of the goroutine that trains

	mu         sync.Mutex
	state      State
	steps      []train.StepMetrics
	epochs     []train.EpochMetrics
	answers    *Answers
	first      []Histogram // after the first epoch, whose last step is firstStep
	firstStep  int
	histograms []Histogram
	listeners  map[*Listener]bool
}

// New returns a training that hasn't begun, of the run that pages know by a name. The context that it returns is cancelled
// when ctx is, or when a page stops the training before its first step.
func New(ctx context.Context, run string) (*Training, context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	return &Training{
		ctx: ctx, cancel: cancel, orders: make(chan Order, maxOrders), done: make(chan struct{}),
		state:     State{Run: run, Phase: Preparing, Notes: []string{}, SavedStep: -1},
		listeners: map[*Listener]bool{},
	}, ctx
}

// Name gives the training's run another name, such as when its folder is known.
func (t *Training) Name(run string) { t.update(func(s *State) { s.Run = run }) }

// Data says what hooks need besides what training tells them: the set whose images a page shows as mistakes, and the names
// of the classes.
type Data struct {
	Val, Test data.Set
	Classes   []string
	Precision string
	Probe     *Probe  // nil for no activations
	Keeper    *Keeper // of histograms; nil to keep none
	// CanSteer reports whether the learning rate may be changed: the change becomes part of the run's configuration.
	CanSteer bool
}

// State returns the present state.
func (t *Training) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.state
	s.Notes, s.RateChanges = slices.Clone(s.Notes), slices.Clone(s.RateChanges)
	return s
}

// Curves returns the means over steps and the epochs since the training began or was continued, and the epochs before.
func (t *Training) Curves() ([]train.StepMetrics, []train.EpochMetrics) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.steps), slices.Clone(t.epochs)
}

// Histograms returns the histograms so far.
func (t *Training) Histograms() *Histograms {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &Histograms{t.state.Histograms, t.histograms, t.first}
}

// Answers returns the last evaluation's confusion matrix and worst mistakes, or nil before the first.
func (t *Training) Answers() *Answers {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.answers
}

// maxNotes is the number of lines that are kept.
const maxNotes = 50

// Note adds a line that the command line would have printed.
func (t *Training) Note(line string) {
	t.update(func(s *State) {
		if len(s.Notes) < maxNotes {
			s.Notes = append(s.Notes, line)
		}
	})
}

// End says how the training ended. It must be called once, last.
func (t *Training) End(phase Phase, problem string) {
	t.cancel()
	t.update(func(s *State) {
		s.Phase = phase
		if problem != "" {
			s.Problem = problem
		}
	})
	close(t.done)
}

// Done is closed when the training is over.
func (t *Training) Done() <-chan struct{} { return t.done }

// Interrupt ends the training as Ctrl-C would: it finishes the step and writes a checkpoint.
func (t *Training) Interrupt() { t.cancel() }

// update changes the state and tells those who watch.
func (t *Training) update(change func(*State)) {
	t.mu.Lock()
	change(&t.state)
	t.mu.Unlock()
	t.tell(Event{"state", t.State()})
}
