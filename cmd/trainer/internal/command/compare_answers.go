package command

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

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

// readAnswers returns the answers to the test images, by the images' paths below their common folder, or by their indices if
// they are not files. If there are none, why says so.
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
	name := dir.File(report.AnswersFile)
	rows := csv.NewReader(bounded.Reader(file, name, maxAnswersFile))
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return nil, "", &dataError{fmt.Errorf("%s: %w", name, err)}
	}
	column := map[string]int{}
	for _, title := range []string{"image", "path", "label", "answer"} {
		at := slices.Index(head, title)
		if at < 0 {
			return nil, "", &dataError{fmt.Errorf("%s has no column %s", name, title)}
		}
		column[title] = at
	}
	answers = map[string]testAnswer{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return belowFolder(answers), "", nil
		}
		if err != nil {
			return nil, "", &dataError{fmt.Errorf("%s: %w", name, err)}
		}
		image := row[column["path"]]
		if image == "" {
			image = "image " + row[column["image"]]
		}
		if _, twice := answers[image]; twice {
			return nil, "", &dataError{fmt.Errorf("%s has two answers to %s", name, image)}
		}
		answers[image] = testAnswer{row[column["label"]], row[column["answer"]]}
	}
}

// belowFolder returns the answers by the images' paths without the folder that all of them are in: a run that was resumed
// names it by its absolute path, and another may have been trained from elsewhere.
func belowFolder(answers map[string]testAnswer) map[string]testAnswer {
	var common []string // the folder's parts
	isFirst := true
	for image := range answers {
		parts := strings.Split(path.Dir(filepath.ToSlash(image)), "/")
		if isFirst {
			common, isFirst = parts, false
		}
		n := 0
		for n < min(len(common), len(parts)) && common[n] == parts[n] {
			n++
		}
		common = common[:n]
	}
	below := make(map[string]testAnswer, len(answers))
	folder := strings.Join(common, "/") + "/"
	for image, a := range answers {
		below[strings.TrimPrefix(filepath.ToSlash(image), folder)] = a
	}
	return below
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
