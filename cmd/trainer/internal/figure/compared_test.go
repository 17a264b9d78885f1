package figure

import (
	"io"
	"math"
	"testing"
)

// The line of several seeds is their mean, the band their standard deviation, over those that got so far.
func TestSpreadOfSeeds(t *testing.T) {
	seeds := [][]Point{{{Epoch: 1, Loss: 1}, {Epoch: 2, Loss: 4}}, {{Epoch: 1, Loss: 3}, {Epoch: 2, Loss: math.NaN()}}, {{Epoch: 1, Loss: 5}}}
	mean, std := spread(seeds, func(p Point) float64 { return p.Loss })
	if len(mean) != 2 || mean[0].Y != 3 || std[0] != 2 || mean[1].X != 2 || mean[1].Y != 4 || std[1] != 0 {
		t.Errorf("mean %v, standard deviation %v", mean, std)
	}
	if err := Compared(io.Discard, "png", "", "", make([]Series, MaxSeries+1)); err == nil {
		t.Error("too many series were drawn")
	}
}
