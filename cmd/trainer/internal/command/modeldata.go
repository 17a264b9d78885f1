package command

import (
	"context"
	"flag"
	"os"
	"path/filepath"

	"trainer/nn/data"
	"trainer/nn/model"
	"trainer/nn/recipe"
)

// modelData is the data set that a trained network is measured with: that of its run, or another one.
type modelData struct {
	data, dataDir string
	val, test     float64
	seed          uint64
	folds, fold   int // of the run
	offline       bool

	runData *data.Fingerprint // of the run whose data is used; nil for other data
	place   string            // the run's folder
}

// flags declares the flags that name other data.
func (o *modelData) flags(f *flag.FlagSet) {
	o.test = 0.2
	f.StringVar(&o.data, "data", "", "`name` data set, or a folder with one subfolder of images per class (default: that of the run, if MODEL is a run's folder)")
	f.StringVar(&o.dataDir, "data-dir", "", "`folder` folder with the data set's files (default: embedded, cached or downloaded)")
	f.Func("val", "`fraction` fraction of the training images that become validation images, if the data set has none", number(&o.val, 0, 1, "a number between 0 and 1"))
	f.Func("test", "`fraction` fraction of an image folder that becomes test images, if it has no test subfolder (default 0.2)", number(&o.test, 0, 1, "a number between 0 and 1"))
	f.Uint64Var(&o.seed, "seed", 0, "`number` random seed that chooses the images of -val and -test")
	f.BoolVar(&o.offline, "offline", false, "do not download anything")
}

// choose takes the data set and its split from the run that the model belongs to, unless -data names one.
func (o *modelData) choose(kinds recipe.Kinds, path string) error {
	if o.data != "" {
		return nil
	}
	config := path
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		config = filepath.Dir(path)
	}
	var run options
	if err := run.readFolder(kinds, config); err != nil {
		return usageErrorf("%s: there is no configuration of a run beside it, so pass -data", path)
	}
	r := run.before
	o.data, o.val, o.test, o.seed = r.Data, r.Val, r.Test, r.Seed
	o.folds, o.fold = r.Folds, r.Fold
	o.runData, o.place = run.runData, config
	if o.dataDir == "" {
		o.dataDir = r.DataDir
	}
	return nil
}

// openModelData opens the data set, with pictures made into images of the model. Quiet shows no progress.
func (p *program) openModelData(ctx context.Context, o *modelData, info model.Info, workers int, quiet bool) (*data.Dataset, error) {
	prepare := info.Images.Preparation()
	r, err := info.ReadRecipe(p.Kinds)
	if err != nil {
		return nil, err
	}
	var pictures recipe.Pictures
	if r != nil {
		pictures = r.Pictures
	}
	opt := data.Options{
		Classes: pictures.Classes, Labels: pictures.Labels, Transpose: pictures.Transpose,
		Dir: o.dataDir, Download: !o.offline, TestFraction: o.test, Seed: o.seed,
		ImageSize: [2]int{prepare.H, prepare.W}, Resize: prepare.Resize, Background: prepare.Background,
		IgnoreOrientation: prepare.IgnoreOrientation, Grayscale: prepare.C == 1, Workers: workers,
		Like: recordedFiles(o.runData), NoTest: o.folds > 0 && o.test == 0,
	}
	if err := p.rememberPictures(&opt); err != nil {
		return nil, err
	}
	progress := p.newChecking(quiet)
	defer progress.close()
	opt.Opening = progress.show
	split, err := data.OpenFrom(ctx, p.Kinds.DataSets, o.data, opt)
	if err != nil {
		return nil, &dataError{err}
	}
	if split, err = (division{o.val, o.folds, o.fold, o.seed}).of(ctx, split, recordedFiles(o.runData)); err != nil {
		return nil, &dataError{err}
	}
	_, err = identify(ctx, split, o.runData, o.place)
	return split, err
}

// fits returns an error if the images of a set are not those that the model takes.
func (o *modelData) fits(set data.Set, info model.Info) error {
	prepare := info.Images.Preparation()
	if h, w, c := set.ImageShape(); h != prepare.H || w != prepare.W || c != prepare.C {
		return usageErrorf("the images of %s are %dx%dx%d, and the model takes %dx%dx%d", o.data, h, w, c, prepare.H, prepare.W, prepare.C)
	}
	return nil
}
