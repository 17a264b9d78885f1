package train

import "time"

// Listener is told what happens in training, such as a progress bar or a log. It is
// called between steps, from the goroutine that trains, and should return soon.
type Listener interface {
	OnEvent(Event)
}

// Event is one of Start, *StepDone, *EvalProgress, EpochDone, CheckpointWritten, Finished.
type Event interface{ event() }

// Start is the first event.
type Start struct {
	Summary
	Step int // steps that a checkpoint had already
}

// StepDone follows every step. It is reused: take what you need, don't keep it.
type StepDone struct {
	Step, Total int // steps done, or queued on a device that works by itself
	Epoch       int // from 1

	// Loss and Accuracy are means over the examples of the epoch so far, as they have
	// last arrived from the device; until the first of an epoch do, those of the epoch before.
	Loss, Accuracy  float64
	LR              float64
	ImagesPerSecond float64 // of the same examples; evaluation doesn't count
	GFLOPS          float64 // 10^9 floating-point operations a second, a step taken as three forward passes
	ETA             time.Duration
}

// EvalProgress follows every batch of an evaluation. It is reused like StepDone.
type EvalProgress struct {
	Epoch       int // from 1
	Done, Total int // images
}

// EpochMetrics is what an epoch gave. Its JSON form is a line of metrics.jsonl.
type EpochMetrics struct {
	Epoch           int     `json:"epoch"` // from 1
	Step            int     `json:"step"`  // steps done
	TrainLoss       float64 `json:"train_loss"`
	TrainAccuracy   float64 `json:"train_accuracy"` // 0 to 1, of augmented images, while training
	ValLoss         float64 `json:"val_loss,omitempty"`
	ValAccuracy     float64 `json:"val_accuracy,omitempty"` // 0 to 1
	ValCorrect      int     `json:"val_correct,omitempty"`
	ValCount        int     `json:"val_count,omitempty"` // 0 without a validation set, or where the epoch wasn't scored
	Evaluated       bool    `json:"evaluated"`           // whether the test set was evaluated
	TestLoss        float64 `json:"test_loss"`
	TestAccuracy    float64 `json:"test_accuracy"` // 0 to 1
	TestCorrect     int     `json:"test_correct"`
	TestCount       int     `json:"test_count"`
	LR              float64 `json:"learning_rate"` // of the last step
	ImagesPerSecond float64 `json:"images_per_second"`
	Seconds         float64 `json:"seconds"`      // of training
	EvalSeconds     float64 `json:"eval_seconds"` // of evaluation
}

// EpochDone follows every epoch, evaluation included.
type EpochDone struct{ EpochMetrics }

// CheckpointWritten follows every checkpoint.
type CheckpointWritten struct {
	Path string
	Step int
}

// Finished is the last event, also after an interruption or a diverged loss.
type Finished struct{ Result *Result }

func (Start) event()             {}
func (*StepDone) event()         {}
func (*EvalProgress) event()     {}
func (EpochDone) event()         {}
func (CheckpointWritten) event() {}
func (Finished) event()          {}
