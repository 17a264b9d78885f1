package report

// Folds is summary.json of a cross-validation. The fields of Summary that change from fold to fold are means, except that
// the numbers of validation images are sums: every image is in one fold.
type Folds struct {
	Summary
	ValAccuracyStd  Number    `json:"val_accuracy_std"`
	TestAccuracyStd Number    `json:"test_accuracy_std"` // of one test set by all networks; 0 if there is none
	Folds           []Summary `json:"folds"`
}

// SummarizeFolds joins the summaries of at least one fold.
func SummarizeFolds(folds []Summary) Folds {
	runs := Summarize(folds)
	all := Folds{Summary: runs.Summary, TestAccuracyStd: runs.TestAccuracyStd, Folds: folds}
	var accuracy []float64
	all.ValCorrect, all.ValCount = 0, 0
	for _, f := range folds {
		all.ValCorrect += f.ValCorrect
		all.ValCount += f.ValCount
		accuracy = append(accuracy, float64(f.ValAccuracy))
	}
	mean, std := MeanStd(accuracy)
	all.ValAccuracy, all.ValAccuracyStd = Number(mean), Number(std)
	return all
}
