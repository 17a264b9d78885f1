package report

import (
	"encoding/json"
	"math"
	"slices"
)

// Number is a float whose NaN and infinities become null in JSON.
type Number float64

// MarshalJSON writes the number, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads a number, or null as NaN.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

// Summary is summary.json of one run.
type Summary struct {
	Device          string  `json:"device"`
	Precision       string  `json:"precision"` // of the device, such as "fp16"
	Data            string  `json:"data"`
	Recipe          string  `json:"recipe"`
	Parameters      int     `json:"parameters"`
	Epochs          float64 `json:"epochs"` // done
	Steps           int     `json:"steps"`  // done
	Batch           int     `json:"batch"`
	Seed            uint64  `json:"seed"`
	TestAccuracy    Number  `json:"test_accuracy"`
	TestCorrect     int     `json:"test_correct"`
	TestCount       int     `json:"test_count"`
	ValAccuracy     Number  `json:"val_accuracy,omitempty"`
	ValCorrect      int     `json:"val_correct,omitempty"`
	ValCount        int     `json:"val_count,omitempty"`
	ValLoss         Number  `json:"val_loss,omitempty"`
	Weights         string  `json:"weights"`      // those of the model, to which the accuracies belong: last, ema or best
	WeightsStep     int     `json:"weights_step"` // after how many steps
	BestEpoch       int     `json:"best_epoch,omitempty"`
	Stopped         string  `json:"stopped,omitempty"` // why training ended before its last step
	ScoredOn        string  `json:"scored_on"`         // the set that epochs were scored on: "validation", or "test" if there is no other
	ChoicesOnTest   bool    `json:"choices_on_test"`   // the test set scored several epochs, or decided when training stopped
	TrainSeconds    float64 `json:"train_seconds"`
	TotalSeconds    float64 `json:"total_seconds"`
	ImagesPerSecond Number  `json:"images_per_second"`
	FinalLoss       Number  `json:"final_loss"`
	PeakMemory      int64   `json:"peak_memory_bytes"`
	Threads         int     `json:"threads"`
	Interrupted     bool    `json:"interrupted"`
	Complete        bool    `json:"complete"` // all steps were done, without an error
	Go              string  `json:"go"`
	CPU             string  `json:"cpu"`
	Version         string  `json:"version"`
}

// Runs is summary.json of several runs that differ in the seed. The fields of Summary that change from run to run are
// means.
type Runs struct {
	Summary
	TestAccuracyStd Number    `json:"test_accuracy_std"`
	Runs            []Summary `json:"runs"`
}

// Summarize joins the summaries of at least one run. The means are those of the runs that came to their end, if there are any.
func Summarize(runs []Summary) Runs {
	all := Runs{Summary: runs[0], Runs: runs}
	ended := slices.DeleteFunc(slices.Clone(runs), func(r Summary) bool { return r.Interrupted })
	if len(ended) == 0 {
		ended = runs
	}
	var accuracy, train, speed, loss []float64
	for _, r := range ended {
		accuracy = append(accuracy, float64(r.TestAccuracy))
		train = append(train, r.TrainSeconds)
		speed = append(speed, float64(r.ImagesPerSecond))
		loss = append(loss, float64(r.FinalLoss))
	}
	for _, r := range runs {
		all.TotalSeconds = r.TotalSeconds
		all.PeakMemory = max(all.PeakMemory, r.PeakMemory)
		all.Interrupted = all.Interrupted || r.Interrupted
	}
	mean, std := MeanStd(accuracy)
	all.TestAccuracy, all.TestAccuracyStd = Number(mean), Number(std)
	all.TrainSeconds, _ = MeanStd(train)
	mean, _ = MeanStd(speed)
	all.ImagesPerSecond = Number(mean)
	mean, _ = MeanStd(loss)
	all.FinalLoss = Number(mean)
	return all
}

// MeanStd returns the mean and the standard deviation of a sample, with n-1 in the
// denominator; the deviation of one value is 0.
func MeanStd(x []float64) (mean, std float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	if len(x) < 2 {
		return mean, 0
	}
	for _, v := range x {
		std += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, math.Sqrt(std)
}
