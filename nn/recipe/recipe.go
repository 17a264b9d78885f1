package recipe

import (
	"fmt"
	"slices"
	"strconv"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/setting"
	"trainer/nn/train"
)

// Recipe is a recipe that has been read and checked. A Recipe doesn't change after Load:
// With returns a new one.
type Recipe struct {
	Name        string
	Description string
	Data        []string // data sets that it is meant for, "folder" being folders of pictures; Augment.Mean and Std are those of the first
	Pictures    Pictures // how the pictures of a folder are read

	Epochs     float64 // may be fractional
	Batch      int     // the largest one if AutoBatch is set
	AutoBatch  bool    // the batch depends on the number of training images: see BatchFor
	Accumulate int     // batches per update
	Shards     int     // parts of a batch, which several processes can share
	SyncNorm   bool    // batch normalisation takes its statistics over the parts of all processes
	ZeroStage  int     // 1: these processes divide the states of the optimiser
	LastBatch  train.LastBatch
	EvalEvery  int                // epochs from one evaluation to the next; 0 means only at the end
	Resolution []train.Resolution // size of training images by epoch; nil: that of the data
	LogEvery   int                // steps from one line of the log to the next; 0 means about a fiftieth of an epoch

	Weights train.Weights // which weights become the model
	BestBy  train.Metric  // what makes an epoch the best
	Stop    train.Stop    // when training ends early

	Freeze      []string // patterns of the names of layers that are not trained
	FreezeUntil float64  // epoch from which they are; 0: never

	Precision string // the precision for a GPU, one of Precisions; "" leaves it to the program

	Augment   train.Augment
	Views     []train.TTAView // test-time augmentation at the end of training; empty means none
	ViewShare float64         // share of the test images that get it, the least certain ones
	Loss      nn.Loss
	Optimizer optim.Config
	Schedule  optim.Schedule
	// RateChanges are the changes of the learning rate that a run made while it trained.
	RateChanges []optim.RateChange

	Run *Run // nil unless a run wrote the recipe

	doc   *document
	kinds Kinds
}

// Run is the table [run] of a run's config.toml: the run's settings that are not part of the recipe. A recipe with
// this table loads like any other.
type Run struct {
	Data    string  // name of the data set, or folder
	DataDir string  // where its files are; may be empty
	Val     float64 // fraction of the training images that was held out for validation
	Test    float64 // fraction of a folder's images that was held out as the test set
	Seed    uint64
	Runs    int // number of runs with successive seeds, each in a subfolder; 0 or 1 in the folder of a single run
	Folds   int // number of folds of a cross-validation, each in a subfolder; 0 if there is none
	Fold    int // the fold in this folder, from 1; 0 in the folder of all

	Device        string // the device used, as Device.Name; in older files the value of the flag
	Precision     string // the precision used, one of Precisions; "" in older files
	Deterministic bool   // only deterministic algorithms were used
	Autotune      bool   // the algorithms were chosen by timing them on the GPU
	CUDAGraph     bool   // steps were replayed as a CUDA graph
	Features      string // instruction set, or GPU and libraries, that computed; "" in older files
	Version       string // of the program; "" in older files

	// PlannedEpochs is the number of epochs that the run had first, if -resume changed it to the recipe's; otherwise 0.
	PlannedEpochs float64

	InitFrom   string // the file that training began with, or its address; "" for the initialisers' weights
	InitSHA256 string // its checksum
}

// parse reads and checks a recipe.
func (k Kinds) parse(d *document) (*Recipe, error) {
	d.errs = nil
	s := newReader(d, k, 2)
	r := &Recipe{doc: d, kinds: k}
	r.readHeader(s)
	if sub := s.sub("augment"); sub != nil {
		r.Augment = sub.readAugment()
	}
	if s.require("loss") {
		r.Loss = s.sub("loss").readLoss()
	}
	if s.require("optimizer") {
		r.Optimizer = s.sub("optimizer").readOptimizer()
	}
	r.Schedule = s.sub("schedule").readSchedule()
	if sub := s.sub("stop"); sub != nil {
		r.Stop = readTable(sub, train.Stop{})
	}
	if r.Weights == train.WeightsEMA && r.Optimizer.EMA == nil {
		s.fail("weights", "ema needs the table [optimizer.ema], such as decay = 0.999")
	}
	if sub := s.sub("evaluate"); sub != nil {
		r.Views, r.ViewShare = sub.readViews()
	}
	if sub := s.sub("run"); sub != nil {
		r.Run = sub.readRun()
	}
	s.readBlocks()
	if s.require("network") {
		if s.readNetwork(); len(d.errs) == 0 {
			s.reportUnused()
		}
	}
	s.finish()
	if len(d.errs) > 0 {
		d.errs.sort()
		return nil, d.errs
	}
	return r, nil
}

// newReader returns the document's table, to be read for a number of classes.
func newReader(d *document, k Kinds, classes int) *section {
	r := &reader{doc: d, kinds: k, constants: map[string]int{"classes": classes}}
	return &section{reader: r, table: d.root}
}

func (r *Recipe) readHeader(s *section) {
	var l setting.List
	l.Func("name", "a string", "name of the recipe, from which names of files are made", r.setName).Require()
	l.Text(&r.Description, "description", "one line")
	if v, _ := s.lookup("data"); isTable(v) {
		r.Pictures.read(s.sub("data"), &r.Data)
	} else {
		l.Texts(&r.Data, "data", "data sets that it is meant for")
	}
	l.Pair(&r.Pictures.Size.H, &r.Pictures.Size.W, "image-size", 0, setting.AtLeast(1), "the older name of data.size")
	l.Bool(&r.Pictures.Grayscale, "grayscale", "the older name of data.grayscale")
	if s.has("image-size") {
		r.Pictures.AutoSize = false
	}
	if s.has("image-size") && r.Pictures.Resize == "" { // what that key has always meant
		r.Pictures.Resize = data.ResizeStretch
	}
	r.keys(&l)
	s.read(&l)
	if s.has("drop-last") && s.has("last-batch") {
		s.fail("drop-last", "want only one of last-batch and its older form, drop-last")
	}
}

// Keys returns the keys at the top of a recipe that say how to train, for listings.
func Keys() *setting.List {
	var l setting.List
	new(Recipe).keys(&l)
	return &l
}

// keys declares the keys at the top that say how to train.
func (r *Recipe) keys(l *setting.List) {
	l.Float64(&r.Epochs, "epochs", 0, setting.Positive, "epochs, or a fraction of one").Require()
	l.Func("batch", `a whole number from 1, or "auto"`, "images of a batch; auto: by the number of training images", r.setBatch).Require()
	l.Int(&r.Accumulate, "accumulate", 1, setting.AtLeast(1), "batches whose gradients make one update")
	l.Int(&r.Shards, "shards", 1, setting.AtLeast(1), "parts of a batch, each normalised by itself, which several processes can share")
	l.Bool(&r.SyncNorm, "sync-batch-norm", "normalise by the statistics of the batches of all processes, one part each, in place of shards")
	l.Int(&r.ZeroStage, "zero-stage", 0, setting.Range(0, 1), "1: these processes divide the states of the optimiser, to save memory")
	setting.Choice(l, &r.LastBatch, "last-batch", lastBatches(), "what to do with an epoch's last batch if it is smaller")
	l.Func("drop-last", "true or false", "the older form of last-batch: true means drop, false keep", r.setDropLast)
	r.EvalEvery = 1
	l.Func("eval-every", "a whole number", "epochs from one test to the next; 0: only at the end", func(v any) error {
		n, err := setting.Whole(v, setting.AtLeast(0))
		r.EvalEvery = n
		return err
	})
	l.Func("resolution", resolutionForm, "from which epoch on, counted from 0, training images have which size: their shorter side in pixels", r.setResolution)
	l.Texts(&r.Freeze, "freeze", "patterns of the names of layers that stay as they are, such as \"block*\"")
	l.Float64(&r.FreezeUntil, "freeze-until", 0, setting.NotNegative, "epoch, counted from 0, from which they are trained; 0: never")
	l.Func("rate-changes", "a list of pairs", "pairs of a step, counted from 0, and the factor of the learning rate from that step on; written by a run whose rate was changed", r.setRateChanges)
	l.Int(&r.LogEvery, "log-every", 0, setting.AtLeast(0), "steps from one line of steps.jsonl to the next; 0: about a fiftieth of an epoch")
	setting.Choice(l, &r.Weights, "weights", setting.Names(train.DefaultWeights, train.WeightsLast, train.WeightsBest, train.WeightsEMA), "which weights become the model; by default ema with [optimizer.ema], otherwise last")
	setting.Choice(l, &r.BestBy, "best-by", setting.Names(train.ByAccuracy, train.ByLoss), "the validation set's result that makes an epoch the best")
	setting.Choice(l, &r.Precision, "precision", precisions(), "what a GPU should compute in")
}

// resolutionForm is the form of the key resolution.
const resolutionForm = "a list of [epoch, pixels], such as [[0, 24], [3, 28], [6, 32]]"

// setResolution reads the key resolution.
func (r *Recipe) setResolution(v any) error {
	list, _ := v.([]any)
	if len(list) == 0 {
		return fmt.Errorf("want %s, got %s", resolutionForm, setting.Describe(v))
	}
	for i, e := range list {
		var values [2]int
		pair, _ := e.([]any)
		for k := range pair {
			n, err := setting.Whole(pair[k], setting.AtLeast(float64(k)))
			if err != nil || len(pair) != 2 {
				pair = nil
				break
			}
			values[k] = n
		}
		if len(pair) != 2 || i > 0 && values[0] <= r.Resolution[i-1].Epoch {
			return fmt.Errorf("element %d is %s, want [epoch from 0, pixels from 1], the epochs in ascending order", i, setting.Describe(e))
		}
		r.Resolution = append(r.Resolution, train.Resolution{Epoch: values[0], Size: values[1]})
	}
	return nil
}

// lastBatches returns the valid values of the key last-batch.
func lastBatches() []setting.Option[train.LastBatch] {
	return setting.Names(train.DefaultLastBatch, train.KeepLastBatch, train.DropLastBatch)
}

// setDropLast reads the key drop-last.
func (r *Recipe) setDropLast(v any) error {
	drop, ok := v.(bool)
	if !ok {
		return fmt.Errorf("want true or false, got %s", setting.Describe(v))
	}
	r.LastBatch = train.KeepLastBatch
	if drop {
		r.LastBatch = train.DropLastBatch
	}
	return nil
}

// precisions returns the valid values of a key for a precision: "" or one of Precisions.
func precisions() []setting.Option[string] {
	return setting.Names(append([]string{""}, Precisions()...)...)
}

// Precisions returns the names of the precisions of a GPU: fp32, tf32 (fp32 with the operands of products rounded to 10
// mantissa bits), and the 16-bit types fp16 and bf16.
func Precisions() []string { return []string{"fp32", "tf32", "fp16", "bf16"} }

func (s *section) readLoss() nn.Loss {
	if s == nil {
		return nil
	}
	defer s.finish()
	loss, _ := readKind(s, "kind", s.kinds.Losses)
	return loss
}

func (s *section) readSchedule() optim.Schedule {
	if s == nil {
		return optim.Constant{}
	}
	defer s.finish()
	schedule, ok := readKind(s, "kind", s.kinds.Schedules)
	if !ok {
		return optim.Constant{}
	}
	if !s.has("warm-up") && !s.has("warm-up-steps") {
		return schedule
	}
	warm := setting.Edit(optim.WarmUp{}, nil, s.read)
	warm.Then = schedule
	return warm
}

func (s *section) readViews() (views []train.TTAView, share float64) {
	defer s.finish()
	var all setting.List
	all.Float64(&share, "views-share", 1, setting.AboveZeroToOne, "share of the images that get views: those whose answers are least certain without")
	s.read(&all)
	list, _ := s.subs("views")
	for _, sub := range list {
		var v train.TTAView
		var l setting.List
		l.Float32(&v.Weight, "weight", 1, setting.Positive, "weight of the view's probabilities")
		l.Bool(&v.Mirror, "mirror", "mirror the image")
		l.Pair(&v.DY, &v.DX, "shift", 0, setting.Range(-1<<10, 1<<10), "rows and columns by which the image is moved")
		sub.read(&l)
		sub.finish()
		views = append(views, v)
	}
	return views, share
}

func (s *section) readRun() *Run {
	defer s.finish()
	r := &Run{CUDAGraph: true}
	off := false
	var l setting.List
	l.Text(&r.Data, "data", "name of the data set, or folder")
	l.Text(&r.DataDir, "data-dir", "where its files are")
	l.Float64(&r.Val, "val", 0, setting.ZeroToBelowOne, "fraction of the training images that is held out for validation")
	l.Float64(&r.Test, "test", 0, setting.ZeroToBelowOne, "fraction of a folder's images that is held out as the test set")
	l.Uint64(&r.Seed, "seed", "random seed")
	l.Int(&r.Runs, "runs", 0, setting.Range(0, 1<<20), "number of runs with successive seeds")
	l.Int(&r.Folds, "folds", 0, setting.Range(0, 1<<20), "number of folds of a cross-validation")
	l.Int(&r.Fold, "fold", 0, setting.Range(0, 1<<20), "fold in this folder")
	l.Text(&r.Device, "device", "device that trained")
	setting.Choice(&l, &r.Precision, "precision", precisions(), "precision that it computed in")
	l.Bool(&r.Deterministic, "deterministic", "only deterministic algorithms")
	l.Bool(&r.Autotune, "autotune", "a GPU's algorithms were measured")
	l.Unless(&off, "cuda-graph", "a GPU replayed recorded steps")
	l.Text(&r.Features, "features", "instruction set, or GPU and libraries, that computed")
	l.Text(&r.Version, "version", "version of the program")
	l.Float64(&r.PlannedEpochs, "planned-epochs", 0, setting.NotNegative, "epochs that were planned first, if the run was resumed for another number of them")
	l.Text(&r.InitFrom, "init-from", "file of the weights that training began with")
	l.Text(&r.InitSHA256, "init-sha256", "checksum of that file")
	s.read(&l)
	r.CUDAGraph = !off
	if !s.has("test") { // in older files val was the test set's fraction
		r.Val, r.Test = 0, r.Val
	}
	return r
}

// WithRun returns the recipe with a table [run].
func (r *Recipe) WithRun(run Run) (*Recipe, error) {
	return r.with(func(d *document) {
		table := map[string]any{
			"data": run.Data, "data-dir": run.DataDir, "val": run.Val, "test": run.Test, "seed": int64(run.Seed),
			"device": run.Device, "precision": run.Precision,
			"deterministic": run.Deterministic, "autotune": run.Autotune, "cuda-graph": run.CUDAGraph,
			"features": run.Features, "version": run.Version,
		}
		if run.Runs > 1 {
			table["runs"] = int64(run.Runs)
		}
		if run.PlannedEpochs > 0 {
			table["planned-epochs"] = run.PlannedEpochs
		}
		if run.InitFrom != "" {
			table["init-from"], table["init-sha256"] = run.InitFrom, run.InitSHA256
		}
		if run.Folds > 0 {
			table["folds"], table["fold"] = int64(run.Folds), int64(run.Fold)
		}
		d.root["run"] = table
		d.noteSet("run")
	})
}

// WithoutRun returns the recipe without a table [run].
func (r *Recipe) WithoutRun() (*Recipe, error) {
	return r.with(func(d *document) { delete(d.root, "run") })
}

// WithMeanStd returns the recipe with the given mean and standard deviation per channel, for every data set.
func (r *Recipe) WithMeanStd(mean, std []float32) (*Recipe, error) {
	return r.with(func(d *document) {
		augment, ok := d.root["augment"].(map[string]any)
		if !ok {
			augment = map[string]any{}
			d.root["augment"] = augment
			d.noteSet("augment")
		}
		augment["mean"], augment["std"] = fromFloat32(mean), fromFloat32(std)
		removeSets(d.root)
	})
}

// fromFloat32 returns the numbers with the shortest decimal representation.
func fromFloat32(x []float32) []any {
	out := make([]any, len(x))
	for i, v := range x {
		out[i], _ = strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	}
	return out
}

// Model returns the network for a number of classes. It panics when classes is below 1.
func (r *Recipe) Model(classes int) *nn.Sequential {
	if classes < 1 {
		panic(fmt.Sprintf("recipe: Model(%d), want at least 1 class", classes))
	}
	scratch := *r.doc // the recipe is valid, so this finds no errors
	s := newReader(&scratch, r.kinds, classes)
	s.readBlocks()
	return s.readNetwork()
}

// TrainConfig returns the configuration that trains the recipe on a data set. Mean and Std
// are the recipe's values for that data set. If it has none they are nil, and training
// computes them.
func (r *Recipe) TrainConfig(dev device.Device, split *data.Dataset, seed uint64) train.Config {
	augment := r.Augment
	augment.Mean, augment.Std, _ = r.MeanStd(split.Name)
	batch := r.Batch
	if r.AutoBatch {
		batch = r.BatchFor(split.Train.Len())
	}
	evalEvery := r.EvalEvery
	if evalEvery == 0 {
		evalEvery = -1
	}
	return train.Config{
		Device: dev, Data: split, Seed: seed,
		Model: r.Model(len(split.Train.Classes())), Loss: r.Loss,
		Augment: augment, TTA: r.Views, TTAShare: r.ViewShare,
		Optimizer: r.Optimizer, Schedule: r.Schedule, RateChanges: r.RateChanges,
		Freeze: r.Freeze, FreezeUntil: r.FreezeUntil,
		Epochs: r.Epochs, Batch: batch, Accumulate: r.Accumulate, Shards: r.Shards, SyncBatchNorm: r.SyncNorm, ZeroStage: r.ZeroStage, LastBatch: r.LastBatch, EvalEvery: evalEvery,
		Resolution: r.Resolution, LogEvery: r.LogEvery, Weights: r.Weights, BestBy: r.BestBy, Stop: r.Stop,
	}
}

// OnlyForFolders reports whether the recipe is for folders of pictures and for no named data set.
func (r *Recipe) OnlyForFolders() bool {
	return len(r.Data) > 0 && !slices.ContainsFunc(r.Data, func(name string) bool { return name != data.FolderKind().Name })
}

// MeantFor reports whether the recipe is meant for a data set, given by its name or as the path of a folder. A recipe that
// names no data set is meant for all of them.
func (r *Recipe) MeantFor(dataSet string) bool {
	isNamed := slices.ContainsFunc(r.kinds.DataSets, func(d data.SetKind) bool { return d.Name == dataSet })
	if !isNamed {
		dataSet = data.FolderKind().Name
	}
	return len(r.Data) == 0 || slices.Contains(r.Data, dataSet)
}

// MeanStd returns the mean and standard deviation of each channel for a data set, and false if the recipe has none for
// that data set, so that they must be computed.
func (r *Recipe) MeanStd(data string) (mean, std []float32, ok bool) {
	if len(r.Augment.Mean) == 0 || len(r.Data) > 0 && r.Data[0] != data {
		return nil, nil, false
	}
	return slices.Clone(r.Augment.Mean), slices.Clone(r.Augment.Std), true
}

// TOML returns the recipe as the text of a file: loading the file gives the same recipe.
func (r *Recipe) TOML() ([]byte, error) { return r.doc.encode() }

// ImageShape returns the shape [h w c] of the images that the recipe is for: the shape of its first known data set or,
// if there is none, image-size. It returns nil if the recipe has neither.
func (r *Recipe) ImageShape() nn.Shape {
	for _, name := range r.Data {
		for _, d := range r.kinds.DataSets {
			if d.Name == name && d.ImageShape != [3]int{} {
				return d.ImageShape[:]
			}
		}
	}
	if r.Pictures.Size == (nn.Pair{}) {
		return nil
	}
	channels := 3
	if r.Pictures.Grayscale {
		channels = 1
	}
	return nn.Shape{r.Pictures.Size.H, r.Pictures.Size.W, channels}
}
