package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dustin/go-humanize"

	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/export"
	"trainer/nn/model"
	"trainer/nn/printable"
)

// roundedExport is an export in fp16 or int8, which is less exact than the model. It says by how much.
type roundedExport struct {
	*program
	*exportOptions
	source, path string

	model *model.Model
	split *data.Dataset // nil if there is none
}

// mostMeasured bounds the images that the accuracy is measured on.
const mostMeasured = 10000

func (e *roundedExport) run(ctx context.Context, dev device.Device) (err error) {
	if e.model, err = model.Open(e.source, dev, model.WithKinds(e.Kinds)); err != nil {
		return err
	}
	if err := e.openData(ctx); err != nil {
		return err
	}
	options := export.ONNXOptions{Normalized: e.normalized, Precision: export.Precision(e.precision)}
	if options.Precision == export.Int8 {
		if options.Calibration, err = e.calibration(); err != nil {
			return err
		}
	}
	file, err := export.NewONNXFile(e.model, options)
	if err != nil {
		return err
	}
	exact, err := export.NewONNXFile(e.model, export.ONNXOptions{Normalized: e.normalized})
	if err != nil {
		return err
	}
	cost, err := e.cost(ctx, file)
	if err != nil {
		return err
	}
	if err := file.Save(e.path); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n%s, instead of %s in fp32\n%s", e.path, humanize.Bytes(uint64(file.Size())), humanize.Bytes(uint64(exact.Size())), cost)
	e.noteViews(e.model)
	return err
}

// openData opens the data set of the run, or of -data. fp16 can do without.
func (e *roundedExport) openData(ctx context.Context) error {
	if err := e.modelData.choose(e.Kinds, e.source); err != nil {
		if e.precision == string(export.Int8) {
			return usageErrorf("int8 is calibrated with training images: %v", err)
		}
		e.note("the accuracy of the file was not measured: %v", err)
		return nil
	}
	split, err := e.openModelData(ctx, &e.modelData, e.model.Info(), 0, false)
	if err != nil {
		return err
	}
	e.split = split
	return e.modelData.fits(split.Train, e.model.Info())
}

// calibration reads training images, which lie evenly over the set.
func (e *roundedExport) calibration() ([]byte, error) {
	set, size := e.split.Train, e.model.Info().Images.Preparation().Len()
	n := min(e.calibrate, set.Len())
	pixels := make([]byte, n*size)
	for i := range n {
		if _, err := set.Read(i*set.Len()/n, pixels[i*size:][:size]); err != nil {
			return nil, &dataError{err}
		}
	}
	return pixels, nil
}

// cost says how the file's answers differ from those of the model on the test images, or on the validation images if there
// is no test set; "" without data.
func (e *roundedExport) cost(ctx context.Context, file *export.ONNXFile) (string, error) {
	if e.split == nil {
		return "", nil
	}
	set, part := e.split.Test, "test"
	if set == nil || set.Len() == 0 {
		set, part = e.split.Val, "validation"
	}
	if set == nil || set.Len() == 0 {
		e.note("the accuracy of the file was not measured: %s has no test or validation images", e.data)
		return "", nil
	}
	c, err := e.measure(ctx, file, set)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("accuracy %.2f%%, instead of %.2f%% in fp32, on %s %s images of %s; %s answers differ\n",
		100*float64(c.correct)/float64(c.images), 100*float64(c.exactCorrect)/float64(c.images),
		humanize.Comma(int64(c.images)), part, printable.Text(e.data), humanize.Comma(int64(c.different))), nil
}

// roundingCost compares the answers of a file with those of the model.
type roundingCost struct{ images, correct, exactCorrect, different int }

func (e *roundedExport) measure(ctx context.Context, file *export.ONNXFile, set data.Set) (c roundingCost, err error) {
	loader, err := data.NewLoader(data.LoaderConfig{Set: set, Batch: e.model.Network().Batch()})
	if err != nil {
		return c, err
	}
	defer loader.Close()
	loader.Start(0, 0)
	classes := e.model.Info().Classes
	for c.images < mostMeasured {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		b, err := loader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return c, &dataError{err}
		}
		labels, err := relabel(b.Labels, set.Classes(), classes)
		if err != nil {
			return c, err
		}
		exact, err := e.model.Logits(b.Images)
		if err != nil {
			return c, err
		}
		rounded, err := file.Logits(b.Images)
		if err != nil {
			return c, err
		}
		loader.Release(b)
		c.add(labels, exact, rounded, len(classes))
	}
	return c, nil
}

// add counts the answers to images with these labels and outputs.
func (c *roundingCost) add(labels []int32, exact, rounded []float32, classes int) {
	for i, label := range labels {
		a, b := largest(exact[i*classes:][:classes]), largest(rounded[i*classes:][:classes])
		c.images++
		if a == int(label) {
			c.exactCorrect++
		}
		if b == int(label) {
			c.correct++
		}
		if a != b {
			c.different++
		}
	}
}

// largest returns the index of the largest number, the first of equal ones.
func largest(x []float32) int { return slices.Index(x, slices.Max(x)) }
