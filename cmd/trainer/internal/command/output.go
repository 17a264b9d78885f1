package command

import (
	"encoding/json"
	"fmt"

	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn/printable"
	"trainer/nn/train"
)

// What trainer train prints.

// display returns the display for a run.
func (j *job) display(run display.Run) display.Display {
	switch {
	case j.trial != nil:
		return j.trial.display(j)
	case j.json:
		return display.NewJSON(j.stdout, run)
	case j.quiet:
		return display.Quiet{}
	case j.terminal:
		return display.NewBar(j.screen, run)
	}
	return display.NewLines(j.stdout, run)
}

// printFinal prints a run's result.
func (j *job) printFinal(s *report.Summary, folder *report.Folder) {
	if s == nil {
		return
	}
	if j.json {
		j.printJSON("summary", s)
		return
	}
	if !j.quiet {
		steps := fmt.Sprintf("%d steps", s.Steps)
		if s.TrainSeconds > 0 {
			steps += fmt.Sprintf(" in %.1fs", s.TrainSeconds)
		}
		fmt.Fprintf(j.stdout, "%s, results in %s\n", steps, printable.Text(folder.Path()))
		if j.runs == 1 {
			j.printChoices(s)
		}
	}
	of := ""
	if s.Weights == string(train.WeightsBest) {
		of = fmt.Sprintf(", with the weights of epoch %d, the best on the validation set", s.BestEpoch)
	}
	switch {
	case s.TestCount > 0:
		fmt.Fprintf(j.stdout, "test accuracy %.2f%% (%d/%d)%s\n", 100*s.TestAccuracy, s.TestCorrect, s.TestCount, of)
	case s.ValCount > 0:
		fmt.Fprintf(j.stdout, "validation accuracy %.2f%% (%d/%d)%s\n", 100*s.ValAccuracy, s.ValCorrect, s.ValCount, of)
	case s.Interrupted && !j.quiet && s.ScoredOn != "":
		fmt.Fprintf(j.stdout, "the weights after step %d have not been evaluated; to evaluate them: trainer evaluate %s\n", s.WeightsStep, printable.Text(folder.Path()))
	}
}

// printChoices says that choices were made on the test images, if they were.
func (j *job) printChoices(s *report.Summary) {
	if s.ChoicesOnTest {
		fmt.Fprintln(j.stdout, "without validation images, epochs were scored on test: choices made by these scores were made on test (-val 0.1 avoids this)")
	}
}

// printRuns prints the result of several runs.
func (j *job) printRuns(r report.Runs) {
	if j.json {
		j.printJSON("runs", r)
		return
	}
	if !j.quiet {
		j.printChoices(&r.Summary)
	}
	fmt.Fprintf(j.stdout, "test accuracy %.2f%% +- %.2f%% (mean and standard deviation of %d runs)\n",
		100*r.TestAccuracy, 100*r.TestAccuracyStd, len(r.Runs))
}

// printJSON prints a value as one line. A closed pipe is not an error.
func (j *job) printJSON(event string, v any) {
	_ = json.NewEncoder(j.stdout).Encode(map[string]any{"event": event, event: v})
}
