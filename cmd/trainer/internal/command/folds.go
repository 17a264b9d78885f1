package command

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"trainer/cmd/trainer/internal/report"
)

// k-fold cross-validation: the training images are divided into k folds, and each is the validation set of one training
// on the others. The mean of the k accuracies depends less on the choice of validation images than one accuracy does.

// isFolded reports whether all folds are trained, each in a folder of its own.
func (j *job) isFolded() bool { return j.folds > 0 && j.fold == 0 }

// trainFolds trains on each fold, in a folder of its own in the folder. Folds that have come to their end are kept when
// the whole is continued.
func (j *job) trainFolds(ctx context.Context, folder *report.Folder) error {
	if err := errors.Join(folder.WriteData(j.fingerprint), j.writeConfig(folder, j.seed, 1)); err != nil {
		return err
	}
	var all []report.Summary
	for fold := 1; fold <= j.folds; fold++ {
		summary, err := j.trainFold(ctx, folder, fold)
		if summary != nil {
			all = append(all, *summary)
		}
		if err != nil {
			if len(all) > 0 {
				return errors.Join(err, folder.WriteSummary(report.SummarizeFolds(all)))
			}
			folder.Discard()
			return err
		}
	}
	folds := report.SummarizeFolds(all)
	j.printFolds(folds)
	return folder.WriteSummary(folds)
}

// trainFold makes the training of one fold, continues it, or returns the summary that it left.
func (j *job) trainFold(ctx context.Context, folder *report.Folder, fold int) (*report.Summary, error) {
	sub, err := folder.Sub(fmt.Sprintf("fold-%d", fold))
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	if !sub.Fresh() {
		if done := sub.ReadComplete(); done != nil {
			return done, nil
		}
	}
	one, err := j.forFold(ctx, fold)
	if err != nil {
		sub.Discard()
		return nil, err
	}
	summary, err := one.trainOnce(ctx, sub, j.seed, fold, j.folds)
	one.printFinal(summary, sub)
	return summary, err
}

// forFold returns the job of one fold, which has its own normalisation: nothing of the validation images is known to the
// training.
func (j *job) forFold(ctx context.Context, fold int) (*job, error) {
	one, opt := *j, *j.options
	one.options, opt.fold = &opt, fold
	var err error
	if one.split, err = j.split.Fold(ctx, fold-1, j.folds, j.seed); err != nil {
		return nil, &dataError{err}
	}
	if one.fingerprint, err = one.split.Fingerprint(ctx, j.fingerprint.AllBytes); err != nil {
		return nil, &dataError{err}
	}
	return &one, one.prepareSplit(ctx)
}

// printFolds prints a table of all folds, and the mean.
func (j *job) printFolds(r report.Folds) {
	if j.json {
		j.printJSON("folds", r)
		return
	}
	hasTest := r.TestCount > 0
	if !j.quiet {
		w := tabwriter.NewWriter(j.stdout, 0, 0, 3, ' ', 0)
		header := "fold\tvalidation accuracy"
		if hasTest {
			header += "\ttest accuracy"
		}
		fmt.Fprintln(w, header)
		for i, s := range r.Folds {
			fmt.Fprintf(w, "%d\t%.2f%% (%d/%d)", i+1, 100*s.ValAccuracy, s.ValCorrect, s.ValCount)
			if hasTest {
				fmt.Fprintf(w, "\t%.2f%% (%d/%d)", 100*s.TestAccuracy, s.TestCorrect, s.TestCount)
			}
			fmt.Fprintln(w)
		}
		_ = w.Flush() // a closed pipe is not an error
	}
	if hasTest {
		fmt.Fprintf(j.stdout, "test accuracy %.2f%% +- %.2f%% (mean and standard deviation of %d trainings)\n", 100*r.TestAccuracy, 100*r.TestAccuracyStd, len(r.Folds))
	}
	fmt.Fprintf(j.stdout, "validation accuracy %.2f%% +- %.2f%% (mean and standard deviation of %d folds)\n", 100*r.ValAccuracy, 100*r.ValAccuracyStd, len(r.Folds))
}
