package command

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn/export"
	"trainer/nn/model"
)

// exportCommand writes trained networks for other programs.
func exportCommand() Command {
	return Command{Name: "export", Args: "MODEL", Doc: "write a trained network for ONNX or PyTorch", run: runExport}
}

// exportOptions are the flags of trainer export.
type exportOptions struct {
	modelData
	to, out    string
	normalized bool
	precision  string
	calibrate  int // images
}

// exportFormats are the values of -to.
var exportFormats = []string{"onnx", "pytorch"}

func exportFlags(o *exportOptions) *flag.FlagSet {
	f := flag.NewFlagSet("export", flag.ContinueOnError)
	f.StringVar(&o.to, "to", "onnx", "`format` onnx or pytorch")
	f.StringVar(&o.out, "o", "", "`path` file to write for onnx (default: MODEL with .onnx, -fp16.onnx or -int8.onnx), folder to write for pytorch (default: MODEL-pytorch)")
	f.BoolVar(&o.normalized, "normalized", false, "onnx: take float32 images [n, c, h, w] that are already normalised, instead of uint8 pixels [n, h, w, c]")
	f.StringVar(&o.precision, "precision", "fp32", "`precision` onnx: fp32; fp16, half the size; or int8, a quarter, quantised by the values that training images cause")
	o.calibrate = 512
	f.Func("calibrate", "`number` int8: training images from which the ranges of values are taken (default 512)", whole(&o.calibrate))
	o.modelData.flags(f)
	return f
}

var exportUsage = usage{
	about: "trainer export writes a trained network for other programs.",
	lines: []string{"trainer export [flags] MODEL      a model.safetensors, or the folder of a run"},
	notes: `onnx writes one file (opset 17) that takes a batch of images of any length and returns "logits" and
"probabilities"; its metadata has the names of the classes and how pictures are resized. fp16 and int8
also print what they cost: the accuracy of the file, computed with its rounding, beside the model's.
The images for this, and training images for int8, are those of the run, or of -data.
Test-time views of the recipe are not in the file.
pytorch writes a folder with model.py, which defines the network, and its weights in PyTorch's layout
(safetensors).

Examples:
  trainer export runs/2026-01-31-mnist-mnist -o digits.onnx
  trainer export runs/2026-01-31-mnist-mnist -precision int8
  trainer export runs/2026-01-31-mnist-mnist -to pytorch -o digits`,
}

func runExport(ctx context.Context, p *program, args []string) error {
	var o exportOptions
	f := exportFlags(&o)
	rest, done, err := p.parseAnywhere(f, exportUsage, args)
	if done || err != nil {
		return err
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := o.check(rest, given); err != nil {
		return err
	}
	path := o.out
	if path == "" {
		path = exportPath(rest[0], o.to, o.precision)
	}
	if _, err := os.Stat(path); o.out == "" && err == nil {
		return usageErrorf("%s exists: pass -o to write to another place, or to replace it", path)
	}
	dev, err := p.openDevice(deviceOptions{device: p.Devices[len(p.Devices)-1].Name})
	if err != nil {
		return err
	}
	defer dev.Close()
	if o.to == "onnx" && o.precision != string(export.Float32) {
		e := &roundedExport{program: p, exportOptions: &o, source: rest[0], path: path}
		return e.run(ctx, dev)
	}
	m, err := model.Open(rest[0], dev, model.WithKinds(p.Kinds), model.WithBatch(1))
	if err != nil {
		return err
	}
	if o.to == "onnx" {
		err = export.ONNX(path, m, export.ONNXOptions{Normalized: o.normalized})
	} else {
		err = export.PyTorch(path, m)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, path)
	p.noteViews(m)
	return nil
}

// noteViews says that an exported network answers for one view, if the recipe has several.
func (p *program) noteViews(m *model.Model) {
	if n := len(m.Views()); n > 0 {
		p.note("the file computes each image as it is: its accuracy is that of trainer evaluate, and with the recipe's %d views that of trainer evaluate -views", n)
	}
}

// check rejects unknown values, and flags that have no meaning beside others.
func (o *exportOptions) check(models []string, given map[string]bool) error {
	precisions := make([]string, len(export.Precisions()))
	for k, precision := range export.Precisions() {
		precisions[k] = string(precision)
	}
	switch {
	case len(models) != 1:
		return usageErrorf("export takes one model: trainer export MODEL (trainer export -h lists the flags)")
	case !slices.Contains(exportFormats, o.to):
		return usageErrorf("-to: unknown format %q%s", o.to, suggest(o.to, exportFormats))
	case !slices.Contains(precisions, o.precision):
		return usageErrorf("-precision: unknown precision %q%s", o.precision, suggest(o.precision, precisions))
	case o.normalized && o.to != "onnx":
		return usageErrorf("-normalized is for -to onnx: model.py takes normalised images, and has a function that normalises")
	case o.precision != string(export.Float32) && o.to != "onnx":
		return usageErrorf("-precision is for -to onnx: in PyTorch, load().half() makes the network fp16")
	case given["calibrate"] && o.precision != string(export.Int8):
		return usageErrorf("-calibrate is for -precision int8: other precisions don't depend on images")
	}
	for _, name := range []string{"data", "data-dir", "val", "test", "seed", "offline"} {
		if given[name] && o.precision == string(export.Float32) {
			return usageErrorf("-%s is for -precision fp16 or int8: an export in fp32 needs no images", name)
		}
	}
	return nil
}

// exportPath returns the path to write for a model without -o: beside the run's folder or the model's file.
func exportPath(path, format, precision string) string {
	path = strings.TrimSuffix(filepath.Clean(path), ".safetensors")
	switch {
	case format != "onnx":
		return path + "-pytorch"
	case precision != string(export.Float32):
		return path + "-" + precision + ".onnx"
	}
	return path + ".onnx"
}
