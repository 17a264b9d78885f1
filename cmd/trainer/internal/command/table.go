package command

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"trainer/cmd/trainer/internal/display"
	"trainer/nn/train"
)

// writeTable prints a network's table and the size of its training. precision is the device's, or "" if it has only one.
func writeTable(out io.Writer, s *train.Summary, precision string) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "layer\tkind\toutput\tparameters\tFLOPs\tmemory\t")
	for _, r := range s.Rows {
		fmt.Fprintf(w, "%s\t%s\t%v\t%s\t%s\t%s\t\n", r.Name, r.Kind, r.Output,
			humanize.Comma(int64(r.Params)), display.FLOPs(r.FLOPs), humanize.IBytes(uint64(r.Memory)))
	}
	fmt.Fprintf(w, "total\t\t\t%s\t%s\t%s\t\n", humanize.Comma(int64(s.Params)), display.FLOPs(s.FLOPs), humanize.IBytes(uint64(s.Memory)))
	if err := w.Flush(); err != nil {
		return err
	}
	validation := ""
	if s.ValImages > 0 {
		validation = humanize.Comma(int64(s.ValImages)) + " validation images, "
	}
	_, err := fmt.Fprintf(out, `
FLOPs are for the forward pass of one image; a training step needs about three times as
many per image. Memory is for a batch of %d; the total includes optimiser and input.
%s training images, %s%s test images; %s, %s steps of %d images on %s
`, s.Batch, humanize.Comma(int64(s.TrainImages)), validation, humanize.Comma(int64(s.TestImages)),
		display.Epochs(s.Epochs), humanize.Comma(int64(s.Steps)), s.Batch*s.Accumulate, display.Device(*s, precision))
	for _, p := range s.Phases {
		if err == nil {
			_, err = fmt.Fprintf(out, "from epoch %d on: training images of %dx%d, %s\n", p.Epoch, p.Input[0], p.Input[1], display.FLOPs(p.FLOPs))
		}
	}
	if err == nil && s.Dropped > 0 {
		_, err = fmt.Fprintln(out, display.DroppedLine(*s))
	}
	return err
}
