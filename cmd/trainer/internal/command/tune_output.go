package command

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"trainer/cmd/trainer/internal/figure"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn/printable"
	"trainer/nn/tune"
)

// What trainer tune prints and writes.

// printBeginning says what is searched, on which images.
func (s *search) printBeginning() {
	if s.json || s.quiet {
		return
	}
	if !s.o.searchesData() {
		for _, line := range s.describePictures() {
			fmt.Fprintln(s.stdout, printable.Text(line))
		}
	}
	on := "on " + s.dev.Name()
	if n := len(s.devices); n > 1 {
		on = fmt.Sprintf("on %d devices", n)
	}
	fmt.Fprintf(s.stdout, "tuning %s on %s, by %s search: %s; %s\n", printable.Text(s.recipe.Name), printable.Text(s.dataName()), s.searchName(), s.plan(), on)
	held := "of the data set"
	if !s.ownValidation {
		held = fmt.Sprintf("held out, as by -val %g", s.val)
	}
	fmt.Fprintf(s.stdout, "%s training images; scored on %s validation images (%s), never on test images\n",
		humanize.Comma(int64(s.split.Train.Len())), humanize.Comma(int64(s.split.Val.Len())), held)
	if len(s.trials) < s.o.Trials {
		fmt.Fprintf(s.stdout, "there are only %d different settings\n", len(s.trials))
	}
	if n := len(s.results); n > 0 {
		fmt.Fprintf(s.stdout, "continuing with %d of %d trainings done\n", n, s.trainings())
	}
}

// searchName returns the strategy as an adjective.
func (s *search) searchName() string {
	if s.o.Strategy == strategyHalving {
		return "halving"
	}
	return "random"
}

// plan describes the rounds.
func (s *search) plan() string {
	var parts []string
	for _, r := range s.rungs {
		trials := "1 trial"
		if r.Trials > 1 {
			trials = fmt.Sprintf("%d trials", r.Trials)
		}
		parts = append(parts, fmt.Sprintf("%s to epoch %.3g", trials, r.Epochs))
	}
	return strings.Join(parts, ", then ")
}

// trainings returns the number of results of a whole search.
func (s *search) trainings() (n int) {
	for _, r := range s.rungs {
		n += r.Trials
	}
	return n
}

// printTrial prints a result.
func (s *search) printTrial(r report.Trial) {
	switch {
	case s.json:
		s.printJSON("trial", r)
		return
	case s.quiet:
		return
	}
	line := fmt.Sprintf("trial %*d  ", len(fmt.Sprint(len(s.trials))), r.Number)
	if r.State == trialDiverged || r.State == trialFailed {
		line += r.State + "  "
	} else {
		line += fmt.Sprintf("epoch %-4.3g  val accuracy %6.2f%%  val loss %.4f  %5s  ", r.Epochs, 100*r.ValAccuracy, r.ValLoss, humanDuration(r.Seconds))
	}
	line += settingsLine(s.trials[r.Number-1])
	if r.State == trialFailed {
		line += ": " + r.Problem
	}
	fmt.Fprintln(s.stdout, printable.Text(line))
}

// searchResult is the last line of trainer tune -json.
type searchResult struct {
	Best     report.Trial `json:"best"`
	Settings []string     `json:"settings"` // of the best trial, as -set takes them
	Command  string       `json:"command"`  // that trains with them
	Folder   string       `json:"folder"`
	Trials   int          `json:"trials"`
	Failed   int          `json:"failed"` // trials that diverged or could not begin
	Data     string       `json:"data"`
	Recipe   string       `json:"recipe"`
}

// finish writes the figure and the best recipe, and prints the table.
func (s *search) finish() error {
	ranking := s.ranking()
	best := ranking[0]
	if scoreOf(best).Failed {
		return usageErrorf("every trial diverged or could not begin; trial %d: %s", best.Number, best.Problem)
	}
	result := &searchResult{
		Best: best, Settings: tune.Assignments(s.trials[best.Number-1]), Folder: s.folder.Path(), Trials: len(s.trials),
		Data: s.dataName(), Recipe: s.recipe.Name,
	}
	result.Command = commandLine("", s.o.Arguments, result.Settings...)
	for _, r := range ranking {
		if scoreOf(r).Failed {
			result.Failed++
		}
	}
	if err := errors.Join(s.writeBestRecipe(best), s.writeFigure(ranking)); err != nil {
		return err
	}
	if s.json {
		s.printJSON("search", result)
		return nil
	}
	s.printRanking(ranking)
	fmt.Fprintf(s.stdout, "best: trial %d, validation accuracy %.2f%% (%d/%d), loss %.4f: %s\n",
		best.Number, 100*best.ValAccuracy, best.ValCorrect, best.ValCount, best.ValLoss, settingsLine(s.trials[best.Number-1]))
	fmt.Fprintf(s.stdout, "to train with these settings, and test: %s\n", printable.Text(result.Command))
	return nil
}

// writeBestRecipe writes the recipe with the settings of a trial.
func (s *search) writeBestRecipe(best report.Trial) error {
	r, err := s.recipe.With(tune.Assignments(s.trials[best.Number-1])...)
	if err == nil {
		r, err = r.WithoutRun()
	}
	if err != nil {
		return err
	}
	text, err := r.TOML()
	if err != nil {
		return err
	}
	head := fmt.Sprintf("# Trial %d, the best of %d: validation accuracy %.2f%%.\n", best.Number, len(s.trials), 100*best.ValAccuracy)
	return s.folder.Write(report.BestRecipeFile, append([]byte(head), text...))
}

// printRanking prints a table of all trials, the best first.
func (s *search) printRanking(ranking []report.Trial) {
	if s.quiet {
		return
	}
	fmt.Fprintln(s.stdout)
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "trial\tepochs\tval accuracy\tval loss\ttime\tstate")
	for _, d := range s.o.space {
		fmt.Fprintf(w, "\t%s", cell(d.Key))
	}
	fmt.Fprintln(w)
	for _, r := range ranking {
		accuracy, loss, state := "", "", r.State
		if state == trialPaused { // and it didn't go on
			state = "dropped"
		}
		if !scoreOf(r).Failed {
			accuracy, loss = fmt.Sprintf("%.2f%%", 100*r.ValAccuracy), fmt.Sprintf("%.4f", r.ValLoss)
		}
		fmt.Fprintf(w, "%d\t%.3g\t%s\t%s\t%s\t%s", r.Number, r.Epochs, accuracy, loss, timeText(r.Seconds), state)
		for _, set := range s.trials[r.Number-1] {
			fmt.Fprintf(w, "\t%s", cell(set.Value))
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // a closed pipe is not an error
	fmt.Fprintf(s.stdout, "\nresults in %s: %s, %s, %s, and a run per trial\n", printable.Text(s.folder.Path()), report.TrialsFile, report.SearchFigureFile, report.BestRecipeFile)
}

// writeFigure draws the scores over each setting.
func (s *search) writeFigure(ranking []report.Trial) error {
	var axes []figure.SearchAxis
	for k, d := range s.o.space {
		axis := figure.SearchAxis{Key: d.Key, Values: d.Values, Low: d.Low, High: d.High, Log: d.Log}
		for _, r := range ranking {
			axis.Settings = append(axis.Settings, s.trials[r.Number-1][k].Value)
		}
		axes = append(axes, axis)
	}
	var trials []figure.SearchTrial
	for _, r := range ranking {
		trials = append(trials, figure.SearchTrial{Number: r.Number, Rung: r.Rung - 1, Accuracy: float64(r.ValAccuracy), Failed: scoreOf(r).Failed})
	}
	var rounds []string
	for _, r := range s.rungs {
		rounds = append(rounds, fmt.Sprintf("to epoch %.3g", r.Epochs))
	}
	best := ranking[0]
	title := fmt.Sprintf("Search of %s on %s", s.recipe.Name, s.dataName())
	subtitle := fmt.Sprintf("%d trials; the best is trial %d: %s", len(s.trials), best.Number, settingsLine(s.trials[best.Number-1]))
	var picture bytes.Buffer
	if err := figure.Search(&picture, "png", title, subtitle, axes, trials, rounds); err != nil {
		return err
	}
	return s.folder.Write(report.SearchFigureFile, picture.Bytes())
}
