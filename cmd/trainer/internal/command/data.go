package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"

	"trainer/nn/data"
)

// dataCommand examines a data set.
func dataCommand() Command {
	return Command{Name: "data", Args: "NAME", Doc: "examine a data set: classes, sizes, duplicates, odd images", run: runData}
}

// errSerious is a data set on which an accuracy would be worthless; the report says so.
var errSerious = errors.New("the data set has serious faults")

var dataUsage = usage{
	about: "trainer data examines a data set, and trains nothing.",
	lines: []string{"trainer data [flags] NAME    a data set, folder, archive or table, as for trainer -data"},
	notes: `The report has parts, classes, sizes and formats, files that can't be read, and findings: images that are
in two parts (train and test), in two classes or repeated; images of nearly a single colour; pictures
of unusual size or proportions; classes with few images, without test images, or with nearly the same
name; and classes of very different numbers of images. Images are the same if their files have the same
bytes; another copy of a photograph in another size is not found.

What is found is kept in the user's cache folder (trainer/index) for the next start, until a file's size
or time of change differs.

Exit status: 0 nothing serious was found; 1 an image is in two parts, so that an accuracy is better than
that of new images; 2 the data set can't be read.

Examples:
  trainer data photos/
  trainer data photos/ -set data.size=64 -json`,
}

// dataFlags are those flags of trainer train that choose images.
func (p *program) dataFlags(o *options) *flag.FlagSet {
	f := p.someFlags("data", o, "data-dir", "classes", "val", "test", "seed", "offline", "recipe", "set", "threads")
	f.BoolVar(&o.json, "json", false, "print the report as one JSON object, with all images that it names")
	return f
}

func runData(ctx context.Context, p *program, args []string) error {
	o := newOptions()
	rest, done, err := p.parseAnywhere(p.dataFlags(o), dataUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) != 1 || rest[0] == "" {
		return usageErrorf("data takes one data set: trainer data NAME or trainer data FOLDER (trainer data -h lists the flags)")
	}
	o.data = rest[0]
	j := p.newJob(o)
	if err := j.loadRecipe(); err != nil {
		return err
	}
	found, err := j.examine(ctx)
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(p.stdout).Encode(found)
	} else {
		err = writeExamination(p.stdout, found)
	}
	if err == nil && found.Serious() {
		err = errSerious
	}
	return err
}

// examine opens the data set and examines it. Nothing is trained, so that no pixels are kept.
func (j *job) examine(ctx context.Context) (*data.Examination, error) {
	opt, err := j.dataOptions()
	if err != nil {
		return nil, err
	}
	opt.MaxMemory = 1
	split, err := j.openWith(ctx, opt, func() bool { return true })
	if err == nil {
		split, err = division{val: j.val, seed: j.seed}.of(ctx, split, nil)
	}
	var found *data.Examination
	if err == nil {
		found, err = split.Examine(ctx)
	}
	if err != nil {
		return nil, &dataError{err}
	}
	return found, nil
}
