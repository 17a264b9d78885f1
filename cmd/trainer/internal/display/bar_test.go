package display

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// The text after the bar loses its least important fields until the line fits, and a line is never longer than 80 letters.
func TestBarFitsTheWindow(t *testing.T) {
	const before = "epoch 1/1.5 "
	full := " loss 0.5000  acc 80.00%  lr 0.01  20,000 img/s  150.2 GFLOP/s  ETA 1m5s"
	for width, want := range map[int]string{
		200: " loss 0.5000  acc 80.00%  20,000 img/s  ETA 1m5s",
		80:  " loss 0.5000  acc 80.00%  20,000 img/s  ETA 1m5s",
		60:  " loss 0.5000  acc 80.00%  ETA 1m5s",
		40:  " ETA 1m5s",
		20:  "",
	} {
		got := fit(full, roomFor(width-len(before), before))
		if got != want {
			t.Errorf("%d columns: %q, want %q", width, got, want)
		}
		if n := utf8.RuneCountInString(before+got) + minBar + 2; width >= 40 && n > min(width, lineWidth) {
			t.Errorf("%d columns: a line of %d letters", width, n)
		}
	}
	if short := " testing 25%"; fit(short, roomFor(80-len(before), before)) != short {
		t.Error("a short text lost something")
	}
	if !strings.HasPrefix(fit(full, 73), " loss 0.5000  acc 80.00%  lr") {
		t.Error("a text that fits lost something")
	}
}
