package main

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn/train"
)

// run has the fields of a training's summary.json that are shown. For several runs, Runs has each, and the others are
// means of those that came to their end.
type run struct {
	name string // of its folder

	Device       string  `json:"device"`
	Precision    string  `json:"precision"`
	Recipe       string  `json:"recipe"`
	Data         string  `json:"data"`
	Accuracy     float64 `json:"test_accuracy"`
	Deviation    float64 `json:"test_accuracy_std"`
	TrainSeconds float64 `json:"train_seconds"`
	TotalSeconds float64 `json:"total_seconds"`
	Speed        float64 `json:"images_per_second"`
	GPU          string  `json:"cpu"` // the device, which need not be a CPU
	Interrupted  bool    `json:"interrupted"`
	Runs         []run   `json:"runs"`
}

// seeds returns the single runs that came to their end, or all if none did.
func (x *run) seeds() []run {
	if len(x.Runs) == 0 {
		return []run{*x}
	}
	ended := slices.DeleteFunc(slices.Clone(x.Runs), func(s run) bool { return s.Interrupted })
	if len(ended) == 0 {
		return x.Runs
	}
	return ended
}

// remark says what a reader must know about a run.
func (x *run) remark() string {
	switch n := len(x.Runs) - len(x.seeds()); {
	case n > 0:
		return fmt.Sprintf("%d more stopped at the time limit, and not counted", n)
	case x.Interrupted:
		return "stopped at its time limit"
	}
	return ""
}

// summaries reads the summaries of the runs whose folders match a pattern, by name.
func (r *report) summaries(pattern string) (runs []*run, err error) {
	files, err := filepath.Glob(filepath.Join(r.folder, "runs", pattern, "summary.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	for _, f := range files {
		name, err := filepath.Rel(r.folder, f)
		if err != nil {
			return nil, err
		}
		text, err := r.read(name)
		if err != nil {
			return nil, err
		}
		x := &run{name: filepath.Base(filepath.Dir(f))}
		if err := json.Unmarshal([]byte(text), x); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		runs = append(runs, x)
	}
	return runs, nil
}

// accuracy returns the mean and the standard deviation.
func (x *run) accuracy() string {
	text := fmt.Sprintf("%.2f%%", 100*x.Accuracy)
	if len(x.seeds()) > 1 {
		text += fmt.Sprintf(" ± %.2f%%", 100*x.Deviation)
	}
	return text
}

// timeText returns seconds, or a remark if they were not measured on a GPU.
func (r *report) timeText(x *run, seconds float64) string {
	if r.noGPU(x) {
		return emulation
	}
	return fmt.Sprintf("%.2f s", seconds)
}

func (r *report) noGPU(x *run) bool { return r.emulated || strings.Contains(x.GPU, emulation) }

// trainingSeconds returns the mean training time, with its minimum and maximum.
func (r *report) trainingSeconds(x *run) string {
	text := r.timeText(x, x.TrainSeconds)
	if len(x.seeds()) < 2 || r.noGPU(x) {
		return text
	}
	least, most := math.Inf(1), 0.0
	for _, s := range x.seeds() {
		least, most = min(least, s.TrainSeconds), max(most, s.TrainSeconds)
	}
	return fmt.Sprintf("%s (%.2f to %.2f)", text, least, most)
}

// warm returns the mean training time without the first run, which also loads code and chooses algorithms.
func (r *report) warm(x *run) string {
	seeds := x.seeds()
	if len(seeds) < 2 {
		return "–"
	}
	sum := 0.0
	for _, s := range seeds[1:] {
		sum += s.TrainSeconds
	}
	return r.timeText(x, sum/float64(len(seeds)-1))
}

// trainings is the table of whole trainings.
func (r *report) trainings() error {
	runs, err := r.summaries("full-*")
	if err != nil || len(runs) == 0 {
		return err
	}
	r.heading("Whole trainings", "")
	r.line("Training times are without evaluation. *Warm* excludes the first run of the process.\n")
	var rows [][]string
	for _, x := range runs {
		rows = append(rows, []string{
			code(strings.TrimPrefix(x.name, "full-")), x.Precision, fmt.Sprint(len(x.seeds())), x.accuracy(), r.trainingSeconds(x), r.warm(x),
			r.timeText(x, x.TotalSeconds), x.remark(),
		})
	}
	r.table([]string{"recipe", "precision", ">runs", ">test accuracy", ">training per run", ">warm", ">whole process", "remark"}, rows)
	for _, x := range runs {
		r.command("full-"+strings.TrimPrefix(x.name, "full-"), code(x.Recipe))
	}
	return nil
}

// command names the command of a stage.
func (r *report) command(stageName, of string) {
	for _, s := range r.stages {
		if s.name == stageName && s.command != "" {
			r.line("%s: `%s`\n", of, s.command)
		}
	}
}

// precisions is the table of one recipe in every precision.
func (r *report) precisions() error {
	runs, err := r.summaries("precision-*")
	if err != nil || len(runs) == 0 {
		return err
	}
	r.heading("Precisions", "")
	var rows [][]string
	for _, x := range runs {
		rows = append(rows, []string{code(x.Recipe), x.Precision, fmt.Sprint(len(x.seeds())), x.accuracy(), r.trainingSeconds(x), r.warm(x), x.remark()})
	}
	r.table([]string{"recipe", "precision", ">runs", ">test accuracy", ">training per run", ">warm", "remark"}, rows)
	for _, x := range runs {
		r.command(x.name, x.Precision)
	}
	return nil
}

// goal is the accuracy whose time is reported.
const goal = 0.8

// timeTo80 reports how long a recipe with an evaluation after each epoch took to reach the goal.
func (r *report) timeTo80() error {
	text, err := r.read("runs/time-to-80/metrics.jsonl")
	if err != nil || text == "" {
		return err
	}
	var rows [][]string
	seconds, evaluation, reached := 0.0, 0.0, ""
	show := func(x float64) string {
		if r.emulated {
			return emulation
		}
		return fmt.Sprintf("%.2f s", x)
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var m train.EpochMetrics
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return fmt.Errorf("metrics.jsonl: %w", err)
		}
		seconds += m.Seconds
		evaluation += m.EvalSeconds
		rows = append(rows, []string{fmt.Sprint(m.Epoch), fmt.Sprintf("%.2f%%", 100*m.TestAccuracy), show(seconds), show(evaluation)})
		if reached == "" && m.Evaluated && m.TestAccuracy >= goal {
			reached = fmt.Sprintf("%.0f%% after epoch %d: %s of training, %s of evaluation.", 100*goal, m.Epoch, show(seconds), show(evaluation))
		}
	}
	r.heading("Time to 80%", "time-to-80")
	r.table([]string{">epoch", ">test accuracy", ">training so far", ">evaluation so far"}, rows)
	if reached == "" {
		reached = fmt.Sprintf("It did not reach %.0f%%.", 100*goal)
	}
	r.line("%s\n", reached)
	return nil
}
