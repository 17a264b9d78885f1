// Package recipe reads recipes: TOML files that say everything about a training but the
// data: the network layer by layer, augmentation, loss, optimiser, schedule, epochs.
//
//	r, err := recipe.Load("mnist")           // a built-in one, or the path of a file
//	model := r.Model(10)                     // for 10 classes
//
// # The file
//
// A recipe is read strictly: an unknown key, a value of the wrong kind or out of range, or
// a key that is missing is an error with file and line. All mistakes are reported at once.
//
//	name = "my-recipe"
//	description = "one line"
//	data = ["mnist"]          # the data sets it is meant for
//	epochs = 3                # may be a fraction
//	batch = 64
//	accumulate = 4            # batches per update, whose gradients add up; 1 if left out
//	precision = "fp16"        # what a GPU should compute in; the CPU ignores it
//
//	[augment]                 # mean, std, flip, crop, cutout
//	[loss]                    # kind = "cross-entropy" or "mse"
//	[optimizer]               # kind = "sgd", "adam", ... (see optim.RuleKinds); lr
//	[schedule]                # kind; the learning rate's factor over training
//	[evaluate]                # views: test-time augmentation
//	[[network]]               # one table a layer
//	layer = "conv2d"
//	out = 8
//	kernel = 3
//
// Wherever a height and a width are meant, one number stands for both.
//
// # Mean and deviation
//
// augment.mean and augment.std are those of the first data set that data names. For any
// other, or without them, they are to be computed from the training images: see
// [Recipe.MeanStd].
package recipe

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/setting"
	"trainer/nn/train"
)

// Recipe is a recipe that has been read and checked. Recipes are not changed after Load:
// With returns another one.
type Recipe struct {
	Name        string
	Description string
	Data        []string // data sets that it is meant for, the first being the one of Mean and Std
	ImageSize   nn.Pair  // to which the images of a folder are resized; zero: as they are
	Grayscale   bool     // images of a folder are read as gray ones

	Epochs     float64 // may be a fraction
	Batch      int
	Accumulate int  // batches per update
	DropLast   bool // leave out a last, smaller batch
	EvalEvery  int  // epochs from one test to the next; 0: at the end only

	Precision string // that a GPU should compute in, one of Precisions; "" leaves it to the program

	Augment   train.Augment
	Views     []train.TTAView // of a test image, at the end; none, and before the end: the image as it is
	Loss      nn.Loss
	Optimizer optim.Config
	Schedule  optim.Schedule

	Run *Run // nil unless it was written by a run

	doc *document
}

// Run is what a configuration of a run says besides the recipe, in the table [run]: a
// recipe that has it can still be used like any other.
type Run struct {
	Data    string  // name of the data set, or folder
	DataDir string  // where its files are; may be empty
	Val     float64 // share of a folder's images that is held out
	Seed    uint64

	Device        string // that trained, as Device.Name; in older files what was asked for
	Precision     string // that it computed in, one of Precisions; "" in older files
	Deterministic bool   // only algorithms that give the same bits each time
	Autotune      bool   // a GPU's algorithms were measured
	CUDAGraph     bool   // a GPU replayed recorded steps
}

// parse reads and checks a recipe.
func parse(d *document) (*Recipe, error) {
	d.errs = nil
	s := &section{doc: d, table: d.root}
	r := &Recipe{doc: d}
	r.readHeader(s)
	if sub := s.sub("augment"); sub != nil {
		r.Augment = readAugment(sub)
	}
	if s.require("loss") {
		r.Loss = readLoss(s.sub("loss"))
	}
	if s.require("optimizer") {
		r.Optimizer = readOptimizer(s.sub("optimizer"))
	}
	r.Schedule = readSchedule(s.sub("schedule"))
	if sub := s.sub("evaluate"); sub != nil {
		r.Views = readViews(sub)
	}
	if sub := s.sub("run"); sub != nil {
		r.Run = readRun(sub)
	}
	if s.require("network") {
		readNetwork(s, 2)
	}
	s.finish()
	if len(d.errs) > 0 {
		d.errs.sort()
		return nil, d.errs
	}
	return r, nil
}

func (r *Recipe) readHeader(s *section) {
	s.require("name")
	r.Name = s.text("name", "")
	r.Description = s.text("description", "")
	r.Data = s.texts("data")
	r.ImageSize = s.pair("image-size", 1, 0)
	r.Grayscale = s.flag("grayscale", false)
	s.require("epochs")
	r.Epochs = s.number("epochs", positive, 1)
	s.require("batch")
	r.Batch = s.integer("batch", 1, 1)
	r.Accumulate = s.integer("accumulate", 1, 1)
	r.DropLast = s.flag("drop-last", false)
	r.EvalEvery = s.integer("eval-every", 0, 1)
	r.Precision = s.choice("precision", "", Precisions()...)
}

// Precisions returns the names of what a GPU can compute in: 32-bit numbers, the same with the
// factors of products rounded to 10 bits of fraction, and 16-bit numbers of two kinds.
func Precisions() []string { return []string{"fp32", "tf32", "fp16", "bf16"} }

func readAugment(s *section) train.Augment {
	a := train.Augment{
		Mean:   toFloat32(s.numbers("mean", share)),
		Std:    toFloat32(s.numbers("std", positive)),
		Crop:   s.integer("crop", 0, 0),
		Cutout: s.integer("cutout", 0, 0),
	}
	switch s.choice("flip", "none", "none", "random", "alternating") {
	case "random":
		a.Flip = device.FlipRandom
	case "alternating":
		a.Flip = device.FlipAlternating
	}
	if len(a.Mean) != len(a.Std) {
		s.fail("std", "%d values, but mean has %d: want one a channel", len(a.Std), len(a.Mean))
	}
	s.finish()
	return a
}

func toFloat32(x []float64) []float32 {
	if x == nil {
		return nil
	}
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

func readLoss(s *section) nn.Loss {
	if s == nil {
		return nil
	}
	defer s.finish()
	s.require("kind")
	switch s.choice("kind", "", LossKinds()...) {
	case "cross-entropy":
		return nn.CrossEntropy{
			Smoothing: float32(s.number("smoothing", belowOne, 0)),
			Sum:       s.flag("sum", false),
		}
	case "mse":
		return nn.MeanSquaredError{Sum: s.flag("sum", false)}
	}
	s.asked = append(s.asked, "smoothing", "sum") // of a kind that isn't known
	return nil
}

// LossKinds returns the names of the losses.
func LossKinds() []string { return []string{"cross-entropy", "mse"} }

func readOptimizer(s *section) optim.Config {
	var c optim.Config
	if s == nil {
		return c
	}
	defer s.finish()
	s.require("kind")
	s.require("lr")
	c.Rule, c.LR, c.WeightDecay, c.Decoupled = readRule(s)
	for _, g := range s.subs("group") {
		c.Groups = append(c.Groups, readGroup(g))
	}
	c.Clip = readClip(s.sub("clip"))
	c.Lookahead = readLookahead(s.sub("lookahead"))
	c.EMA = readEMA(s.sub("ema"))
	return c
}

// readRule reads the update rule that kind names, with its learning rate and weight decay. The rule is nil where there
// is none of that name.
func readRule(s *section) (rule optim.Rule, lr, decay float64, decoupled bool) {
	lr = s.number("lr", positive, 1)
	decay = s.number("weight-decay", notNegative, 0)
	kinds := optim.RuleKinds()
	name := s.choice("kind", "", setting.KindNames(kinds)...)
	i := slices.IndexFunc(kinds, func(k optim.RuleKind) bool { return k.Name == name })
	if i < 0 { // an error already: don't call the keys of the right kind unknown
		for key := range s.table {
			s.has(key)
		}
		return nil, lr, decay, false
	}
	rule = setting.Edit(kinds[i].New(), nil, func(l *setting.List) { readSettings(s, l) })
	if !optim.AlwaysDecoupled(rule) {
		decoupled = s.flag("decoupled", false)
	}
	return rule, lr, decay, decoupled
}

// readSettings reads the keys of a list, each into its field.
func readSettings(s *section, l *setting.List) {
	wrong := len(s.doc.errs)
	for _, x := range l.All() {
		if v, ok := s.lookup(x.Key); ok {
			if err := x.Set(v); err != nil {
				s.fail(x.Key, "%v", err)
			}
		}
	}
	if err := l.Finish(); err != nil && len(s.doc.errs) == wrong {
		if of, ok := errors.AsType[*setting.Error](err); ok {
			s.fail(of.Key, "%s", of.Msg)
			return
		}
		s.doc.fail(s.path, "%v", err)
	}
}

func readGroup(s *section) optim.Group {
	defer s.finish()
	g := optim.Group{Match: s.text("match", "")}
	g.Role = nn.Role(s.choice("role", "", string(nn.Weight), string(nn.Bias), string(nn.Gain)))
	if !s.has("match") && !s.has("role") {
		s.doc.fail(s.path, "match (a pattern of names, such as \"norm*\") or role is missing")
	}
	if s.has("lr-scale") {
		x := s.number("lr-scale", notNegative, 1)
		g.LRScale = &x
	}
	if s.has("decay-scale") {
		x := s.number("decay-scale", notNegative, 1)
		g.DecayScale = &x
	}
	g.UntilEpoch = s.number("until-epoch", notNegative, 0)
	if s.has("kind") {
		s.require("lr")
		g.Rule, g.LR, g.WeightDecay, g.Decoupled = readRule(s)
	}
	return g
}

func readClip(s *section) optim.Clip {
	if s == nil {
		return optim.Clip{}
	}
	defer s.finish()
	return optim.Clip{
		MaxNorm:  s.number("max-norm", notNegative, 0),
		MaxValue: s.number("max-value", notNegative, 0),
	}
}

func readLookahead(s *section) *optim.Lookahead {
	if s == nil {
		return nil
	}
	defer s.finish()
	s.require("every")
	l := &optim.Lookahead{Every: s.integer("every", 1, 1)}
	if s.has("decay") == s.has("base") {
		s.doc.fail(s.path, "want one of decay (constant) and base (growing over training)")
	}
	l.Decay = s.number("decay", share, 0)
	l.Base = s.number("base", share, 0)
	l.Power = s.number("power", notNegative, 0)
	return l
}

func readEMA(s *section) *optim.EMA {
	if s == nil {
		return nil
	}
	defer s.finish()
	s.require("decay")
	return &optim.EMA{Decay: s.number("decay", belowOne, 0)}
}

// ScheduleKinds returns the names of the schedules.
func ScheduleKinds() []string {
	return []string{"constant", "step", "cosine", "one-cycle", "piecewise"}
}

func readSchedule(s *section) optim.Schedule {
	if s == nil {
		return optim.Constant{}
	}
	defer s.finish()
	s.require("kind")
	kind := s.choice("kind", "", ScheduleKinds()...)
	schedule := newSchedule(s, kind)
	warm := optim.WarmUp{
		Steps:    s.integer("warm-up-steps", 1, 0),
		Fraction: s.number("warm-up", share, 0),
		Then:     schedule,
	}
	if warm.Steps > 0 && warm.Fraction > 0 {
		s.fail("warm-up-steps", "want only one of warm-up and warm-up-steps")
	}
	if warm.Steps > 0 || warm.Fraction > 0 {
		return warm
	}
	return schedule
}

func newSchedule(s *section, kind string) optim.Schedule {
	switch kind {
	case "step":
		s.require("gamma")
		step := optim.Step{
			Gamma:      s.number("gamma", positive, 1),
			Milestones: s.numbers("milestones", notNegative),
			Every:      s.number("every", positive, 0),
		}
		if s.has("milestones") == s.has("every") {
			s.doc.fail(s.path, "want one of milestones and every, in epochs")
		}
		return step
	case "cosine":
		return optim.Cosine{Final: s.number("final", notNegative, 0)}
	case "one-cycle":
		return optim.OneCycle{
			Start:    s.number("start", between, 0.3),
			Div:      s.number("div", bounds{low: 1, high: math.MaxFloat32}, 25),
			FinalDiv: s.number("final-div", positive, 1e4),
			Linear:   s.flag("linear", false),
		}
	case "piecewise":
		return optim.PiecewiseLinear{Points: readPoints(s)}
	case "":
		for key := range s.table { // an error already: don't call the right keys unknown
			s.asked = append(s.asked, key)
		}
	}
	return optim.Constant{}
}

// readPoints reads a list of pairs [share of training, factor].
func readPoints(s *section) []optim.Point {
	s.require("points")
	v, ok := s.lookup("points")
	if !ok {
		return nil
	}
	list, _ := v.([]any)
	var points []optim.Point
	for i, e := range list {
		p, ok := toNumbers(e, notNegative)
		if !ok || len(p) != 2 || p[0] > 1 {
			s.fail("points", "point %d is %s, want [share of training from 0 to 1, factor from 0]", i, describe(e))
			return nil
		}
		if i > 0 && p[0] <= points[i-1].At {
			s.fail("points", "point %d is at %g, want more than %g, where the one before is", i, p[0], points[i-1].At)
			return nil
		}
		points = append(points, optim.Point{At: p[0], Factor: p[1]})
	}
	if len(points) == 0 {
		s.fail("points", "want a list of points, such as [[0, 0.2], [0.3, 1], [1, 0]], got %s", describe(v))
	}
	return points
}

func readViews(s *section) []train.TTAView {
	defer s.finish()
	var views []train.TTAView
	for _, sub := range s.subs("views") {
		v := train.TTAView{Weight: float32(sub.number("weight", positive, 1)), Mirror: sub.flag("mirror", false)}
		if sub.has("shift") {
			v.DY, v.DX = readShift(sub)
		}
		sub.finish()
		views = append(views, v)
	}
	return views
}

// readShift reads a pair of whole numbers, which may be negative.
func readShift(s *section) (dy, dx int) {
	const most = 1 << 10
	v, _ := s.lookup("shift")
	if list, ok := v.([]any); ok && len(list) == 2 {
		y, okY := toInteger(list[0], -most)
		x, okX := toInteger(list[1], -most)
		if okY && okX && y <= most && x <= most {
			return y, x
		}
	}
	s.fail("shift", "want [rows, columns], got %s", describe(v))
	return 0, 0
}

func readRun(s *section) *Run {
	defer s.finish()
	return &Run{
		Data:    s.text("data", ""),
		DataDir: s.text("data-dir", ""),
		Val:     s.number("val", belowOne, 0),
		Seed:    uint64(s.seed("seed")),

		Device:        s.text("device", ""),
		Precision:     s.choice("precision", "", Precisions()...),
		Deterministic: s.flag("deterministic", false),
		Autotune:      s.flag("autotune", false),
		CUDAGraph:     s.flag("cuda-graph", true),
	}
}

// WithRun returns the recipe with a table [run].
func (r *Recipe) WithRun(run Run) (*Recipe, error) {
	return r.with(func(d *document) {
		d.root["run"] = map[string]any{
			"data": run.Data, "data-dir": run.DataDir, "val": run.Val, "seed": int64(run.Seed),
			"device": run.Device, "precision": run.Precision,
			"deterministic": run.Deterministic, "autotune": run.Autotune, "cuda-graph": run.CUDAGraph,
		}
		d.noteSet("run")
	})
}

// WithMeanStd returns the recipe with another mean and deviation, one a channel, which
// then hold for every data set.
func (r *Recipe) WithMeanStd(mean, std []float32) (*Recipe, error) {
	return r.with(func(d *document) {
		augment, ok := d.root["augment"].(map[string]any)
		if !ok {
			augment = map[string]any{}
			d.root["augment"] = augment
			d.noteSet("augment")
		}
		augment["mean"], augment["std"] = fromFloat32(mean), fromFloat32(std)
		delete(d.root, "data")
	})
}

// fromFloat32 returns the shortest decimals that stand for the numbers.
func fromFloat32(x []float32) []any {
	out := make([]any, len(x))
	for i, v := range x {
		out[i], _ = strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	}
	return out
}

// readNetwork reads the layers.
func readNetwork(s *section, classes int) *nn.Sequential {
	sections := s.subs("network")
	if v, ok := s.lookup("network"); ok && len(sections) == 0 {
		if list, isList := v.([]any); isList && len(list) == 0 {
			s.fail("network", "no layers")
		}
	}
	return buildLayers(sections, classes)
}

// Model returns the network for a number of classes. It panics when classes is below 1.
func (r *Recipe) Model(classes int) *nn.Sequential {
	if classes < 1 {
		panic(fmt.Sprintf("recipe: Model(%d), want at least 1 class", classes))
	}
	scratch := *r.doc // the recipe is valid: no errors come of this
	return readNetwork(&section{doc: &scratch, table: r.doc.root}, classes)
}

// TrainConfig returns what trains the recipe on a data set. Mean and Std are the recipe's if
// it has some for that data set, and nil otherwise, which lets training compute them.
func (r *Recipe) TrainConfig(dev device.Device, split *data.Dataset, seed uint64) train.Config {
	augment := r.Augment
	augment.Mean, augment.Std, _ = r.MeanStd(split.Name)
	evalEvery := r.EvalEvery
	if evalEvery == 0 {
		evalEvery = -1
	}
	return train.Config{
		Device: dev, Data: split, Seed: seed,
		Model: r.Model(len(split.Train.Classes())), Loss: r.Loss,
		Augment: augment, TTA: r.Views,
		Optimizer: r.Optimizer, Schedule: r.Schedule,
		Epochs: r.Epochs, Batch: r.Batch, Accumulate: r.Accumulate, DropLast: r.DropLast, EvalEvery: evalEvery,
	}
}

// MeanStd returns the mean and deviation for a data set, and false when the recipe has none for
// it: they must be
// computed then.
func (r *Recipe) MeanStd(data string) (mean, std []float32, ok bool) {
	if len(r.Augment.Mean) == 0 || len(r.Data) > 0 && r.Data[0] != data {
		return nil, nil, false
	}
	return slices.Clone(r.Augment.Mean), slices.Clone(r.Augment.Std), true
}

// TOML returns the recipe as a file: loading it gives the same recipe.
func (r *Recipe) TOML() ([]byte, error) { return r.doc.encode() }

// ImageShape returns the shape [h w c] of the images that the recipe is meant for: those of its first known data set, or
// the size that it asks for; nil where it says neither.
func (r *Recipe) ImageShape() nn.Shape {
	for _, name := range r.Data {
		switch name {
		case "mnist", "fashion-mnist":
			return nn.Shape{28, 28, 1}
		case "cifar10":
			return nn.Shape{32, 32, 3}
		}
	}
	if r.ImageSize == (nn.Pair{}) {
		return nil
	}
	channels := 3
	if r.Grayscale {
		channels = 1
	}
	return nn.Shape{r.ImageSize.H, r.ImageSize.W, channels}
}
