package command

import (
	"sync"
	"time"

	"trainer/nn/train"
)

// phases measures the parts of a training, for whoever wants to know where the time of its start goes. The variable
// TRAINER_PHASES=1 asks for it: the end of the command prints one line per part, with seconds since the command began.
type phases struct {
	begun time.Time
	mu    sync.Mutex
	list  []phase
}

type phase struct {
	name     string
	from, to time.Duration
}

// phasesVariable asks for the phases.
const phasesVariable = "TRAINER_PHASES"

// newPhases returns phases that begin now, or nil if nobody wants to know.
func (p *program) newPhases() *phases {
	if p.getenv(phasesVariable) == "" {
		return nil
	}
	return &phases{begun: time.Now()}
}

// begin begins a part, which ends when the function that it returns is called.
func (p *phases) begin(name string) (end func()) {
	if p == nil {
		return func() {}
	}
	from := time.Since(p.begun)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.list = append(p.list, phase{name, from, time.Since(p.begun)})
	}
}

// hooks returns hooks that measure the parts of a run, which begins now.
func (p *phases) hooks() train.Hooks {
	if p == nil {
		return train.Hooks{}
	}
	end := p.begin("network, plans and memory")
	next := func(name string) {
		end()
		end = p.begin(name)
	}
	stepped := false
	return train.Hooks{
		Start: func(*train.Training, train.Start) { next("first step, with the copy of the data set") },
		Step: func(*train.Training, *train.StepDone) {
			if !stepped {
				stepped = true
				next("other steps, evaluations and checkpoints")
			}
		},
		Finish: func(*train.Training, *train.Result) { end() },
	}
}

// print prints all parts in the order in which they ended.
func (p *phases) print(note func(format string, args ...any)) {
	if p == nil {
		return
	}
	for _, part := range p.list {
		note("%.3f to %.3f s: %s", part.from.Seconds(), part.to.Seconds(), part.name)
	}
}
