package command

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/figure"
	"trainer/cmd/trainer/internal/report"
	"trainer/cmd/trainer/internal/webpage"
	"trainer/nn"
	"trainer/nn/folder"
	"trainer/nn/metric"
	"trainer/nn/printable"
)

// reportCommand writes the page of a run.
func reportCommand() Command {
	return Command{Name: "report", Args: "RUN", Doc: "write a run's results as one HTML page", run: runReport}
}

// reportOptions are the flags of trainer report.
type reportOptions struct{ out, device string }

// reportFile is the page in a run's folder.
const reportFile = "report.html"

func (p *program) reportFlags(o *reportOptions) *flag.FlagSet {
	f := flag.NewFlagSet("report", flag.ContinueOnError)
	f.StringVar(&o.out, "o", "", "`file` file to write, or to replace, .html (default RUN/report.html)")
	p.deviceFlag(f, &o.device)
	return f
}

var reportUsage = usage{
	about: "trainer report writes the results of a run as one HTML file, which can be sent, archived or printed.",
	lines: []string{"trainer report [flags] RUN     the folder of a run"},
	notes: `The page has the run's figures, the scores of each class on the test images, which it evaluates, and the
configuration. It needs no other file and no network, and contains no scripts.

Example:
  trainer report runs/2026-01-31-mnist-mnist`,
}

func runReport(ctx context.Context, p *program, args []string) error {
	var o reportOptions
	rest, done, err := p.parseAnywhere(p.reportFlags(&o), reportUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) != 1 {
		return usageErrorf("report takes one folder of a run: trainer report RUN (trainer runs lists them)")
	}
	if o.out != "" && !strings.EqualFold(filepath.Ext(o.out), ".html") {
		return usageErrorf("-o %s: want a name that ends in .html", o.out)
	}
	dir, err := folder.Open(rest[0])
	if err != nil {
		return err
	}
	defer dir.Close()
	if dir.Has(report.TrialsFile) {
		return usageErrorf("%s is a search: name the run of one of its trials, such as %s", dir.Path(), dir.File("trial-1"))
	}
	row := p.rowOf(dir, dir.Path())
	if len(row.Seeds) > 1 {
		return usageErrorf("%s has several runs: name one of them, such as %s", dir.Path(), dir.File(fmt.Sprintf("seed-%d", row.Seeds[0])))
	}
	page, err := p.page(ctx, dir, row.Date, o.device)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := webpage.Write(&b, page); err != nil {
		return err
	}
	target, name := dir, reportFile
	if o.out != "" {
		name = filepath.Base(o.out)
		if target, err = folder.Open(filepath.Dir(o.out)); err != nil {
			return err
		}
		defer target.Close()
	}
	if err := target.Write(name, b.Bytes()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, printable.Text(target.File(name)))
	return err
}

// page collects what the page of a run shows. date is the run's.
func (p *program) page(ctx context.Context, dir *folder.Folder, date time.Time, device string) (*webpage.Page, error) {
	config, err := report.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	summary, err := report.ReadSummary(dir)
	if err != nil {
		return nil, &dataError{err}
	}
	if summary == nil {
		return nil, usageErrorf("%s: the run has no summary yet: trainer -resume %s continues it", dir.Path(), dir.Path())
	}
	t, err := p.openTrained(ctx, dir, device)
	if err != nil {
		return nil, err
	}
	defer t.close()
	e, err := t.evaluate(ctx)
	if err != nil {
		return nil, err
	}
	scores := metric.Summarize(e.Answers, t.classes)
	page := &webpage.Page{
		Title:    fmt.Sprintf("%s on %s", t.recipe.Name, t.dataName()),
		Headline: fmt.Sprintf("test accuracy %.2f%% (%s of %s images)", 100*scores.Accuracy, humanize.Comma(int64(scores.Correct)), humanize.Comma(int64(scores.Count))),
		Facts:    t.facts(date, &summary.Summary, scores),
		Config:   string(config),
		Program:  "trainer " + p.version(),
	}
	if page.Figures, err = t.figures(ctx, dir, scores); err != nil {
		return nil, err
	}
	for _, l := range t.net.Layers() {
		page.Layers = append(page.Layers, webpage.Layer{
			Name: l.Name, Kind: l.Kind, Output: fmt.Sprint(l.Output), Parameters: humanize.Comma(int64(l.Params)), FLOPs: humanize.Comma(l.FLOPs),
		})
	}
	for _, c := range scores.Classes {
		page.Classes = append(page.Classes, classRow(c.Name, c.Scores, c.Support))
	}
	page.Means = []webpage.Class{classRow("macro mean", scores.Macro, scores.Count), classRow("weighted mean", scores.Weighted, scores.Count)}
	return page, nil
}

func classRow(name string, s metric.Scores, images int) webpage.Class {
	share := func(x float64) string { return fmt.Sprintf("%.2f%%", 100*x) }
	return webpage.Class{Name: name, Precision: share(s.Precision), Recall: share(s.Recall), F1: share(s.F1), Images: humanize.Comma(int64(images))}
}

// facts are the rows of the page's first table.
func (t *trained) facts(date time.Time, s *report.Summary, scores *metric.Report) []webpage.Fact {
	flops := int64(0)
	for _, l := range t.net.Layers() {
		flops += l.FLOPs
	}
	training := fmt.Sprintf("%s, %s steps of %d images, in %s", display.Epochs(s.Epochs), humanize.Comma(int64(s.Steps)), s.Batch, humanDuration(s.TrainSeconds))
	if s.Interrupted {
		training += "; interrupted"
	}
	facts := []webpage.Fact{
		{Name: "test images", Value: fmt.Sprintf("mean of -log p %.4f, top 5 %.2f%%, calibration error %.2f%%", scores.Loss, 100*scores.Top5, 100*scores.ECE)},
		{Name: "data", Value: s.Data},
		{Name: "recipe", Value: s.Recipe},
		{Name: "network", Value: fmt.Sprintf("%s parameters, %s per image (forward pass), images of %v", humanize.Comma(int64(s.Parameters)), display.FLOPs(flops), t.input)},
		{Name: "training", Value: training},
		{Name: "device", Value: fmt.Sprintf("%s, %s", s.Device, s.CPU)},
		{Name: "seed", Value: fmt.Sprint(s.Seed)},
		{Name: "program", Value: fmt.Sprintf("trainer %s, %s", s.Version, s.Go)},
	}
	if v := float64(s.ValAccuracy); s.ValCount > 0 && !math.IsNaN(v) {
		validation := webpage.Fact{Name: "validation accuracy", Value: fmt.Sprintf("%.2f%% (%s of %s images)", 100*v, humanize.Comma(int64(s.ValCorrect)), humanize.Comma(int64(s.ValCount)))}
		facts = append([]webpage.Fact{validation}, facts...)
	} else if s.ScoredOn == "test" {
		facts = append(facts, webpage.Fact{Name: "note", Value: "epochs were scored on the test images, because there was no validation set: results on new images may be worse"})
	}
	if !date.IsZero() {
		facts = append(facts, webpage.Fact{Name: "date", Value: date.Format("2006-01-02 15:04")})
	}
	return facts
}

// captions say what the figures of a run show, by name. Other figures are left out.
var captions = map[string]string{
	"curves":      "Loss and accuracy by epoch.",
	"confusion":   "Confusion matrix of the test images.",
	"reliability": "Reliability: how often answers of a given probability are right.",
	"network":     "The network.",
	"filters":     "The filters of the first convolution, positive weights blue, negative ones orange.",
	"predictions": "Some test images with the network's answers, and its worst mistakes.",
	"features":    "The outputs of the layers for one test image.",
	"histograms":  "How the weights are distributed, and the gradients of the last step and the activations if a page followed the training.",
}

// figures draws the page's figures.
func (t *trained) figures(ctx context.Context, dir *folder.Folder, scores *metric.Report) ([]webpage.Figure, error) {
	const format = "svg" // in which browsers have the characters of all class names
	list := t.pictures(ctx, dir, format)
	list = append(list, picture{"reliability", func(w io.Writer) error {
		return figure.Reliability(w, format, fmt.Sprintf("%s on %s", t.recipe.Name, t.dataName()), scores)
	}})
	if p, err := t.histograms(dir, format); err != nil {
		return nil, err
	} else if p != nil {
		list = append(list, *p)
	}
	drawn := map[string][]byte{}
	for _, one := range list {
		var b bytes.Buffer
		if err := one.draw(&b); err != nil {
			return nil, err
		}
		drawn[one.name] = b.Bytes()
	}
	var figures []webpage.Figure
	for _, name := range []string{"curves", "confusion", "predictions", "reliability", "network", "filters", "features", "histograms"} {
		if data, ok := drawn[name]; ok {
			figures = append(figures, webpage.Figure{Name: name, Caption: captions[name], Format: format, Data: data})
		}
	}
	return figures, nil
}

// histograms returns the figure of the run's histograms, or nil if there are too many for one.
func (t *trained) histograms(dir *folder.Folder, format string) (*picture, error) {
	content, err := keptHistograms(dir)
	if err != nil {
		return nil, err
	}
	counted, err := cockpit.HistogramsOf(content, func() (*nn.Network, error) { return t.net, nil })
	if err != nil {
		return nil, err
	}
	drawn := func(h cockpit.Histogram) figure.Distribution {
		return figure.Distribution{Low: h.Low, High: h.High, Mean: h.Mean, Std: h.Std, Counts: h.Counts}
	}
	before := map[string]*figure.Distribution{}
	for _, h := range counted.First {
		d := drawn(h)
		before[h.Of+h.Name] = &d
	}
	var all []figure.Histogram
	for _, h := range counted.Last {
		all = append(all, figure.Histogram{Name: h.Of + " of " + h.Name, Last: drawn(h), First: before[h.Of+h.Name]})
	}
	if len(all) == 0 || len(all) > figure.MaxHistograms {
		return nil, nil
	}
	return &picture{"histograms", func(w io.Writer) error {
		return figure.Histograms(w, format, fmt.Sprintf("%s on %s", t.recipe.Name, t.dataName()), all)
	}}, nil
}
