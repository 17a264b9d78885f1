package cockpit

import (
	"context"
	"fmt"
	"time"

	"trainer/nn/train"
)

// Workshop is what the page's Train part asks the program for. Its methods may be called at the same time. What a page
// names is looked up in lists, never made into a path.
type Workshop interface {
	// Choices returns what a page can choose from.
	Choices() Choices
	// Recipe returns the text of a built-in recipe.
	Recipe(name string) (string, error)
	// Check returns the mistakes in a recipe, none if it is valid.
	Check(recipe string) []Mistake
	// Preview returns the table of a training's layers and memory.
	Preview(ctx context.Context, p Plan) (*Preview, error)
	// Start begins a training, and returns the name of its run.
	Start(p Plan) (run string, err error)
	// Resume continues a run.
	Resume(run string) error
	// Runs lists the runs, the latest first.
	Runs(ctx context.Context) ([]Run, error)
	// Record returns what a run has written.
	Record(ctx context.Context, run string) (*Record, error)
	// Histograms returns the histograms of a run that is over, or as they are now.
	Histograms(ctx context.Context, run string) (*Histograms, error)
	// Rename gives a run's folder another name, and Delete removes it.
	Rename(ctx context.Context, run, name string) error
	Delete(ctx context.Context, run string) error
	// Live returns the training that runs, or the last one; nil before the first.
	Live() *Training
}

// Choices is what a page can choose from.
type Choices struct {
	CanStart bool     `json:"can_start"` // trainings can be started; otherwise the page shows one that was started elsewhere
	Data     []Choice `json:"data"`
	Recipes  []Choice `json:"recipes"`
	Runs     string   `json:"runs"`   // the folder of the runs
	Device   string   `json:"device"` // as -device has it
}

// Choice is one of the things to choose from.
type Choice struct {
	Name   string `json:"name"`
	Doc    string `json:"description"`
	Recipe string `json:"recipe,omitempty"` // of a data set: the default one
}

// Plan is a training that a page wants.
type Plan struct {
	Recipe string  `json:"recipe"` // its text
	Data   string  `json:"data"`   // one of Choices.Data
	Name   string  `json:"name"`   // of the run; "" for the date, the data and the recipe
	Seed   uint64  `json:"seed"`
	Val    float64 `json:"val"` // fraction of the training images that is held out
}

// Mistake is a mistake in a recipe.
type Mistake struct {
	Line int    `json:"line"` // from 1; 0 if unknown
	Text string `json:"text"`
}

// Preview describes a training before it begins.
type Preview struct {
	Table    any       `json:"table,omitempty"` // what trainer -dry-run -json prints
	Mistakes []Mistake `json:"mistakes"`        // instead, what keeps the training from beginning
}

// Run is a line of the list of runs.
type Run struct {
	Name      string            `json:"name"` // its folder, within that of the runs
	Date      time.Time         `json:"date,omitzero"`
	State     string            `json:"state"`
	Problem   string            `json:"problem,omitempty"`
	Data      string            `json:"data"`
	Recipe    string            `json:"recipe"`
	Seeds     []uint64          `json:"seeds"`
	Epochs    float64           `json:"epochs"`
	Test      *float64          `json:"test_accuracy"` // null if there is none
	Val       *float64          `json:"val_accuracy"`
	Seconds   float64           `json:"seconds"`
	Different map[string]string `json:"different,omitempty"` // settings that differ from those of runs of the same recipe and data
}

// Record is what a run has written, for its curves.
type Record struct {
	Run
	Config string               `json:"config"`
	Steps  []train.StepMetrics  `json:"steps"`
	Epochs []train.EpochMetrics `json:"epoch_metrics"`
}

// Error is a request that the workshop refuses.
type Error struct {
	Kind Kind
	Text string
}

func (e *Error) Error() string { return e.Text }

// Kind says why.
type Kind int

// The kinds.
const (
	Invalid Kind = iota // the request is at fault
	Missing             // what it names doesn't exist
	Busy                // not at present
)

// Failf returns an *Error.
func Failf(kind Kind, format string, args ...any) error {
	return &Error{kind, fmt.Sprintf(format, args...)}
}
