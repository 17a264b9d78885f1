package command

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	to, out    string
	normalized bool
}

// exportFormats are the values of -to.
var exportFormats = []string{"onnx", "pytorch"}

func exportFlags(o *exportOptions) *flag.FlagSet {
	f := flag.NewFlagSet("export", flag.ContinueOnError)
	f.StringVar(&o.to, "to", "onnx", "`format` onnx or pytorch")
	f.StringVar(&o.out, "o", "", "`path` file to write for onnx (default: MODEL with .onnx), folder to write for pytorch (default: MODEL-pytorch)")
	f.BoolVar(&o.normalized, "normalized", false, "onnx: take float32 images [n, c, h, w] that are already normalised, instead of uint8 pixels [n, h, w, c]")
	return f
}

var exportUsage = usage{
	about: "trainer export writes a trained network for other programs.",
	lines: []string{"trainer export [flags] MODEL      a model.safetensors, or the folder of a run"},
	notes: `onnx writes one file (opset 17) that takes a batch of images of any length and returns "logits" and
"probabilities"; its metadata has the names of the classes and how pictures are resized.
pytorch writes a folder with model.py, which defines the network, and its weights in PyTorch's layout
(safetensors).

Examples:
  trainer export runs/2026-01-31-mnist-mnist -o digits.onnx
  trainer export runs/2026-01-31-mnist-mnist -to pytorch -o digits`,
}

func runExport(_ context.Context, p *program, args []string) error {
	var o exportOptions
	f := exportFlags(&o)
	rest, done, err := p.parseAnywhere(f, exportUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) != 1 {
		return usageErrorf("export takes one model: trainer export MODEL (trainer export -h lists the flags)")
	}
	if o.to != "onnx" && o.to != "pytorch" {
		return usageErrorf("-to: unknown format %q%s", o.to, suggest(o.to, exportFormats))
	}
	if o.normalized && o.to != "onnx" {
		return usageErrorf("-normalized is for -to onnx: model.py takes normalised images, and has a function that normalises")
	}
	path := o.out
	if path == "" {
		path = exportPath(rest[0], o.to)
	}
	if _, err := os.Stat(path); o.out == "" && err == nil {
		return usageErrorf("%s exists: pass -o to write to another place, or to replace it", path)
	}
	dev, err := p.openDevice(deviceOptions{device: p.Devices[len(p.Devices)-1].Name})
	if err != nil {
		return err
	}
	defer dev.Close()
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
	return nil
}

// exportPath returns the path to write for a model without -o: beside the run's folder or the model's file.
func exportPath(path, format string) string {
	path = strings.TrimSuffix(filepath.Clean(path), ".safetensors")
	if format == "onnx" {
		return path + ".onnx"
	}
	return path + "-pytorch"
}
