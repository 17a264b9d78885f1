package command

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/bounded"
	"trainer/nn/data"
	"trainer/nn/folder"
	"trainer/nn/metric"
)

// The answers that a run left in predictions.csv, for McNemar's test.

// maxAnswersFile is the largest predictions.csv that is read, in bytes.
const maxAnswersFile = 256 << 20

// testAnswer is a run's answer to a test image, by the names of the classes.
type testAnswer struct{ label, answer string }

// judged returns the answer as package metric counts it: class 0 is the right one.
func (a testAnswer) judged() metric.Answer {
	if a.answer == a.label {
		return metric.Answer{}
	}
	return metric.Answer{Class: 1}
}

// readAnswers returns the answers to the test images, by the images' paths, or by their indices if they are not files. If
// there are none, why says so.
func readAnswers(dir *folder.Folder, seeds int) (answers map[string]testAnswer, why string, err error) {
	if seeds > 1 {
		return nil, "it has several seeds", nil
	}
	file, err := dir.Open(report.AnswersFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "it has no " + report.AnswersFile, nil
	}
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	path := dir.File(report.AnswersFile)
	rows := csv.NewReader(bounded.Reader(file, path, maxAnswersFile))
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return nil, "", &dataError{fmt.Errorf("%s: %w", path, err)}
	}
	column := map[string]int{}
	for _, name := range []string{"image", "path", "label", "answer"} {
		at := slices.Index(head, name)
		if at < 0 {
			return nil, "", &dataError{fmt.Errorf("%s has no column %s", path, name)}
		}
		column[name] = at
	}
	answers = map[string]testAnswer{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return answers, "", nil
		}
		if err != nil {
			return nil, "", &dataError{fmt.Errorf("%s: %w", path, err)}
		}
		image := row[column["path"]]
		if image == "" {
			image = "image " + row[column["image"]]
		}
		if _, twice := answers[image]; twice {
			return nil, "", &dataError{fmt.Errorf("%s has two answers to %s", path, image)}
		}
		answers[image] = testAnswer{row[column["label"]], row[column["answer"]]}
	}
}

// otherPixels reports whether the test images of two runs are known to differ, by the checksums in data.json. Of images
// of different sizes, or of whose bytes different samples were taken, nothing is known.
func otherPixels(a, b *data.Fingerprint) bool {
	if a == nil || b == nil || a.AllBytes != b.AllBytes {
		return false
	}
	if len(a.Test.Files) > 0 && len(b.Test.Files) > 0 {
		return !slices.Equal(a.Test.Files, b.Test.Files)
	}
	return a.Shape == b.Shape && a.Test.Pixels != "" && b.Test.Pixels != "" && a.Test.Pixels != b.Test.Pixels
}

// otherImages returns how the images of two runs differ, or "".
func otherImages(a, b map[string]testAnswer) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d and %d images", len(a), len(b))
	}
	worst := "" // the first in the order of the alphabet, so that the message is always the same
	for image, x := range a {
		y, ok := b[image]
		text := ""
		switch {
		case !ok:
			text = image + " was in the test of one of them only"
		case x.label != y.label:
			text = fmt.Sprintf("%s is labelled %s and %s", image, x.label, y.label)
		}
		if text != "" && (worst == "" || text < worst) {
			worst = text
		}
	}
	return worst
}
