package command

import (
	"context"
	"fmt"
	"image/color"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/data"
)

// Opening the data set of a job.

// takeData takes the data set that has been opened and divides it, and prepares it for a training.
func (j *job) takeData(ctx context.Context, o *opening) error {
	split, err := o.wait()
	if err != nil {
		return err
	}
	defer j.phases.begin("normalisation")()
	j.split, j.ownValidation = split, o.ownValidation
	if err := j.recordSize(); err != nil {
		return err
	}
	if j.trial == nil { // otherwise the search has said it
		j.warnSkipped()
	}
	if o.divideErr != nil {
		return &dataError{o.divideErr}
	}
	j.split = o.divided
	if err := j.identifyData(ctx, o); err != nil {
		return err
	}
	switch {
	case j.isFolded() && !j.dryRun: // each fold is prepared by itself
		return nil
	case j.isFolded():
		if j.split, err = j.split.Fold(ctx, 0, j.folds, j.seed); err != nil {
			return &dataError{err}
		}
	}
	return j.prepareSplit(ctx)
}

// memoryVariable names the variable of the environment with the number of bytes that a folder's pictures may take
// (data.Options.MaxMemory).
const memoryVariable = "TRAINER_PICTURE_MEMORY"

// dataOptions returns the options with which the data set is opened.
func (j *job) dataOptions() (data.Options, error) {
	opt := j.recipe.Pictures.Options()
	opt.Dir, opt.Download, opt.Progress = j.dataDir, !j.offline, j.downloadProgress()
	opt.TestFraction, opt.Seed, opt.Workers = j.test, j.seed, j.threads
	opt.NoTest = j.folds > 0 && j.test == 0
	opt.Warn = j.late.add
	return opt, j.rememberPictures(&opt)
}

// rememberPictures sets the folder of indexes and the memory for pictures.
func (p *program) rememberPictures(opt *data.Options) error {
	opt.Index, _ = data.IndexFolder() // without a cache folder there is no index
	text := p.getenv(memoryVariable)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return usageErrorf("%s=%s: want a whole number of bytes from 1", memoryVariable, text)
	}
	opt.MaxMemory = n
	return nil
}

// openWith opens the data set and shows the progress of checking a folder, if mayTell says so.
func (j *job) openWith(ctx context.Context, opt data.Options, mayTell func() bool) (*data.Dataset, error) {
	progress := j.newChecking(j.quiet || j.json || j.trial != nil)
	defer progress.close()
	opt.Opening = func(stage data.OpeningStage, done, total int) {
		if mayTell() {
			progress.show(stage, done, total)
		}
	}
	return data.OpenFrom(ctx, j.Kinds.DataSets, j.data, opt)
}

// division says how training and validation images are divided.
type division struct {
	val         float64 // fraction that is held out, if the data has no validation images
	folds, fold int     // the chosen fold is held out, from 1; 0 for no fold
	seed        uint64
}

// of divides a data set. If it was opened like an earlier one, it is divided already.
func (d division) of(ctx context.Context, split *data.Dataset, like *data.Fingerprint) (*data.Dataset, error) {
	if d.fold > 0 && like == nil {
		return split.Fold(ctx, d.fold-1, d.folds, d.seed)
	}
	if d.val > 0 && split.Val == nil {
		return split, split.HoldOut(ctx, d.val, d.seed)
	}
	return split, nil
}

// prepareSplit computes mean and standard deviation of the training images if the recipe has none for the data set, and
// balances them if it says so.
func (j *job) prepareSplit(ctx context.Context) error {
	if err := j.chooseBatch(); err != nil {
		return err
	}
	split := j.split
	var err error
	mean, std, ok := j.recipe.MeanStd(j.data)
	if !ok {
		mean, std, ok = j.initialMeanStd()
	}
	if !ok {
		if mean, std, err = data.MeanStd(split.Train); err != nil {
			return &dataError{err}
		}
		for c, s := range std {
			if s == 0 { // a constant channel becomes zero
				std[c] = 1
			}
		}
	}
	if j.recipe.Pictures.Balance {
		if split.Train, err = data.Balance(ctx, split.Train, j.seed); err != nil {
			return &dataError{err}
		}
	}
	j.recipe, err = j.recipe.WithMeanStd(mean, std)
	return err
}

// recordSize makes the size that the recipe leaves to the pictures a number.
func (j *job) recordSize() (err error) {
	if j.recipe.Pictures.AutoSize {
		h, w, _ := j.split.Train.ImageShape()
		j.recipe, err = j.recipe.With(fmt.Sprintf("data.size=[%d, %d]", h, w))
	}
	return err
}

// filesToDraw returns the files of each part of a folder of images, for a run that is drawn. A run that is continued is
// split anew, and the parts are compared.
func (j *job) filesToDraw() *data.Fingerprint {
	if j.drawn {
		return recordedFiles(j.runData)
	}
	return nil
}

// dataError is an invalid data set.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }

func (e *dataError) Unwrap() error { return e.err }

// warnSkipped names images that could not be read.
func (j *job) warnSkipped() {
	const maxNames = 2
	for i, s := range j.split.Skipped {
		if i == maxNames {
			j.note("%d more images skipped; %s in the results folder names all", len(j.split.Skipped)-maxNames, report.SkippedFile)
			return
		}
		j.note("skipped %s", s)
	}
}

// describePictures returns lines about the picture files of a folder: how many, of what sizes, and what was done to them.
func (j *job) describePictures() []string {
	p := j.split.Pictures
	if p == nil {
		return nil
	}
	h, w, c := j.split.Train.ImageShape()
	colour := "colour"
	if c == 1 {
		colour = "gray"
	}
	size := fmt.Sprintf("%dx%d", p.MinW, p.MinH)
	if p.MinW != p.MaxW || p.MinH != p.MaxH {
		size += fmt.Sprintf(" to %dx%d", p.MaxW, p.MaxH)
	}
	first := fmt.Sprintf("%d classes, %s %s pictures of %s", len(j.split.Train.Classes()), humanize.Comma(int64(p.Count)), colour, size)
	if p.Resized > 0 {
		first += fmt.Sprintf(", resized to %dx%d by %s", w, h, p.Resize)
	}
	lines := []string{first}
	if p.Transparent > 0 {
		lines = append(lines, fmt.Sprintf("%s of them have transparent pixels, which are laid on %s (data.background)", humanize.Comma(int64(p.Transparent)), colourName(j.recipe.Pictures.Background)))
	}
	if p.Turned > 0 {
		lines = append(lines, fmt.Sprintf("%s of them are turned upright by their EXIF orientation (data.orientation)", humanize.Comma(int64(p.Turned))))
	}
	switch {
	case p.Empty == 1:
		lines = append(lines, fmt.Sprintf("1 of them is nearly of a single colour (trainer data %s names it)", shellWord(j.data)))
	case p.Empty > 1:
		lines = append(lines, fmt.Sprintf("%s of them are nearly of a single colour (trainer data %s names them)", humanize.Comma(int64(p.Empty)), shellWord(j.data)))
	}
	lines = append(lines, j.describeClasses()...)
	if n := len(p.Unlabelled); n > 0 {
		lines = append(lines, fmt.Sprintf("not used: %s %s without a label, such as %s", humanize.Comma(int64(n)), plural(n, "picture"), p.Unlabelled[0]))
	}
	if len(p.Unsupported) > 0 {
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(p.Unsupported)) {
			kinds = append(kinds, fmt.Sprintf("%d %s", p.Unsupported[kind], kind))
		}
		lines = append(lines, fmt.Sprintf("not read: %s (unsupported formats)", strings.Join(kinds, ", ")))
	}
	return lines
}

// describeClasses returns a line for each kind of finding about classes that makes a result doubtful.
func (j *job) describeClasses() []string {
	found, err := j.split.ClassFindings(context.Background())
	if err != nil { // only of a set whose labels aren't known, which is none of files
		return nil
	}
	var lines []string
	for _, kind := range []data.FindingKind{data.UntestedClass, data.SimilarNames} {
		of := slices.DeleteFunc(slices.Clone(found), func(f data.Finding) bool { return f.Kind != kind })
		switch n := len(of); {
		case n == 1:
			lines = append(lines, of[0].Text)
		case n > 1:
			lines = append(lines, fmt.Sprintf("%s, and %d more like this (trainer data %s)", of[0].Text, n-1, shellWord(j.data)))
		}
	}
	return lines
}

// colourName returns the name of a background.
func colourName(c color.NRGBA) string {
	switch c {
	case color.NRGBA{}, color.NRGBA{R: 255, G: 255, B: 255, A: 255}:
		return "white"
	case color.NRGBA{A: 255}:
		return "black"
	}
	return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
}

// downloadProgress returns a function that prints the progress of downloads, one line per tenth.
func (j *job) downloadProgress() func(file string, done, total int64) {
	printed := map[string]int64{}
	return func(file string, done, total int64) {
		if total <= 0 || j.quiet {
			return
		}
		tenth := 10 * done / total
		if last, ok := printed[file]; ok && last >= tenth {
			return
		}
		printed[file] = tenth
		fmt.Fprintf(j.stderr, "downloading %s: %d%% of %s\n", file, 10*tenth, humanize.Bytes(uint64(total)))
	}
}
