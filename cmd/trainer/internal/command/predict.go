package command

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn/bounded"
	"trainer/nn/data"
	"trainer/nn/model"
)

// predictCommand asks a trained network about pictures.
func predictCommand() Command {
	return Command{Name: "predict", Args: "MODEL", Doc: "ask a trained network what pictures show", run: runPredict}
}

// predictOptions are the flags of trainer predict.
type predictOptions struct {
	inferenceOptions
	top int
}

func (p *program) predictFlags(o *predictOptions) *flag.FlagSet {
	f := flag.NewFlagSet("predict", flag.ContinueOnError)
	o.top = 5
	f.Func("top", "`number` number of classes per picture, the most probable first (default 5)", whole(&o.top))
	f.BoolVar(&o.json, "json", false, "print one JSON object per picture")
	f.BoolVar(&o.csv, "csv", false, "print comma-separated values, with a header")
	p.inferenceFlags(f, &o.inferenceOptions)
	return f
}

var predictUsage = usage{
	about: "trainer predict prints what a trained network sees in pictures: classes and their probabilities.",
	lines: []string{
		"trainer predict [flags] MODEL PICTURE...     pictures",
		"trainer predict [flags] MODEL FOLDER         all pictures in a folder and in its subfolders",
		"trainer predict [flags] MODEL LIST.txt       pictures named in a text file, one path per line",
		"trainer predict [flags] MODEL -              pictures named on standard input, one path per line",
	},
	notes: `MODEL is a model.safetensors, or the folder of a run. Pictures of any size are resized as for the
training. A picture that can't be read is named, and the others are answered.

Examples:
  trainer predict runs/2026-01-31-mnist-mnist digit.png
  find . -name '*.jpg' | trainer predict model.safetensors -csv - > answers.csv

Exit status: 0 all pictures were answered; 1 a picture can't be read, or the device failed; 2 invalid
arguments or model; 130 interrupted.`,
}

// errUnreadable ends trainer predict if pictures were named that could not be read: report adds nothing.
var errUnreadable = errors.New("pictures could not be read")

func runPredict(ctx context.Context, p *program, args []string) error {
	var o predictOptions
	f := p.predictFlags(&o)
	rest, done, err := p.parseAnywhere(f, predictUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) < 2 {
		return usageErrorf("predict takes a model and pictures: trainer predict MODEL PICTURE... (trainer predict -h lists the flags)")
	}
	if o.json && o.csv {
		return usageErrorf("-json and -csv: use one of them")
	}
	if _, err := model.ReadInfo(rest[0], p.Kinds); err != nil { // before its pictures, so that two arguments in the wrong order are noticed
		return err
	}
	paths, known, err := p.picturePaths(ctx, rest[1:])
	if err != nil {
		return err
	}
	dev, err := p.openDevice(o.deviceOptions)
	if err != nil {
		return err
	}
	defer dev.Close()
	m, err := p.openModel(rest[0], dev, &o.inferenceOptions)
	if err != nil {
		return err
	}
	return p.predict(ctx, m, paths, known, &o)
}

// predict answers the pictures whose paths arrive. known are these paths, or nil if they are not known in advance.
func (p *program) predict(ctx context.Context, m *model.Model, paths <-chan string, known []string, o *predictOptions) error {
	buffered := bufio.NewWriterSize(p.stdout, 1<<16)
	out := newAnswerWriter(buffered, o, known)
	unreadable := 0
	err := m.PredictFiles(ctx, paths, func(answers []model.FileAnswer) error {
		for _, a := range answers {
			var top []model.Prediction
			if a.Err == nil {
				top = m.Ranked(a.Probabilities)
				top = top[:min(o.top, len(top))]
			} else {
				unreadable++
				p.note("%s: %v", a.Path, a.Err)
			}
			if err := out.write(a, top); err != nil {
				return err
			}
		}
		return errors.Join(out.flush(), buffered.Flush())
	})
	if err == nil && unreadable > 0 {
		err = errUnreadable
	}
	return err
}

// pathsAhead is how many paths wait for the decoder: enough that neither waits for the other at each path.
const pathsAhead = 256

// picturePaths sends the paths that the arguments name. known are these paths, or nil if they are not known in advance.
func (p *program) picturePaths(ctx context.Context, args []string) (paths <-chan string, known []string, err error) {
	if slices.Contains(args, "-") {
		if len(args) > 1 {
			return nil, nil, usageErrorf("predict: - reads the paths from standard input, and no other picture may be named")
		}
		queue := make(chan string, pathsAhead)
		go sendLines(ctx, p.stdin, queue)
		return queue, nil, nil
	}
	for _, arg := range args {
		some, err := filesOf(arg)
		if err != nil {
			return nil, nil, err
		}
		known = append(known, some...)
	}
	if len(known) == 0 {
		return nil, nil, usageErrorf("predict: no pictures in %s", strings.Join(args, ", "))
	}
	queue := make(chan string, pathsAhead)
	go func() {
		defer close(queue)
		for _, path := range known {
			select {
			case queue <- path:
			case <-ctx.Done():
				return
			}
		}
	}()
	return queue, known, nil
}

// maxPictureList is the largest file with a list of pictures, in bytes.
const maxPictureList = 256 << 20

// filesOf returns the pictures that one argument names: a picture, a folder of pictures, or a list in a text file.
func filesOf(arg string) ([]string, error) {
	info, err := os.Stat(arg)
	switch {
	case err != nil:
		return []string{arg}, nil // named as unreadable in its turn, so that the others are answered
	case info.IsDir():
		paths, err := data.PictureFiles(arg)
		if err != nil {
			return nil, &dataError{err}
		}
		return paths, nil
	case filepath.Ext(arg) != ".txt":
		return []string{arg}, nil
	}
	file, err := bounded.Open(arg)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var paths []string
	lines := bufio.NewScanner(bounded.Reader(file, arg, maxPictureList))
	for lines.Scan() {
		if line := strings.TrimSuffix(lines.Text(), "\r"); line != "" {
			paths = append(paths, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, usageErrorf("%s: %v: want one path per line", arg, err)
	}
	return paths, nil
}
