package train

import (
	"time"

	"trainer/nn/optim"
)

// This file has what Run tells its hooks.

// Start describes a training before its first step.
type Start struct {
	Summary
	Step        int                // steps already done in the checkpoint
	History     []EpochMetrics     // the epochs already done in the checkpoint
	RateChanges []optim.RateChange // of the configuration
	// Extension describes the change of the training's length since the checkpoint; nil without one.
	Extension *Extension
}

// StepDone is the state of training after a step.
type StepDone struct {
	Step, Total int // steps done, or queued on an asynchronous device
	Epoch       int // from 1

	// Loss and Accuracy are the latest means over the examples of the epoch that have arrived
	// from the device. Until the first of an epoch have arrived, they are those of the
	// previous epoch.
	Loss, Accuracy  float64
	LR              float64
	ImagesPerSecond float64 // over the same examples, without evaluation
	GFLOPS          float64 // 10^9 floating-point operations per second, counting a step as three forward passes
	ETA             time.Duration
}

// EvalProgress is the state of an evaluation.
type EvalProgress struct {
	Epoch       int // from 1
	Done, Total int // images
}

// EpochMetrics are the metrics of an epoch. In JSON they are a line of metrics.jsonl.
type EpochMetrics struct {
	Epoch           int     `json:"epoch"` // from 1
	Step            int     `json:"step"`  // steps done
	TrainLoss       float64 `json:"train_loss"`
	TrainAccuracy   float64 `json:"train_accuracy"` // 0 to 1, on augmented images, during training
	ValLoss         float64 `json:"val_loss,omitempty"`
	ValAccuracy     float64 `json:"val_accuracy,omitempty"` // 0 to 1
	ValCorrect      int     `json:"val_correct,omitempty"`
	ValCount        int     `json:"val_count,omitempty"` // 0 without a validation set, or if the epoch wasn't scored
	Best            bool    `json:"best,omitempty"`      // the best so far on the validation set: see Config.BestBy
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

// EvaluationDone is the result of an evaluation.
type EvaluationDone struct {
	*Evaluation
	Epoch  int  // from 1
	Test   bool // on the test set, otherwise on the validation set
	Scores bool // the set is the one that epochs are scored on
	Best   bool // the epoch is the best so far: see Config.BestBy
}

// CheckpointWritten names a checkpoint.
type CheckpointWritten struct {
	Path string
	Step int
}

// Laggard is a rank for which the others wait, because it computes more slowly.
type Laggard struct {
	Rank   int
	Host   string
	Factor float64 // its seconds of computation in the epoch, relative to the median of all ranks
}
