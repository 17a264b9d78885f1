package recipe

import (
	"strings"
	"testing"
)

func TestBatchFor(t *testing.T) {
	for _, tt := range []struct {
		change       string
		images, want int
	}{
		{"batch=100", 100, 100}, {"batch=100", 99, 8}, {"batch=1000", 999, 32}, {"batch=1000", 255, 8}, {"batch=1000", 256, 16},
		{"batch=5", 4, 4}, {"batch=auto", 1, 1}, {"batch=auto", 5, 5}, {"batch=auto", 127, 8}, {"batch=auto", 400, 16},
		{"batch=auto", 1023, 32}, {"batch=auto", 1024, 64}, {"batch=auto", 50_000, 64},
	} {
		r, err := LoadWith("mnist-basic", []string{tt.change})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.BatchFor(tt.images); got != tt.want {
			t.Errorf("%s, %d images: %d, want %d", tt.change, tt.images, got, tt.want)
		}
	}
	for _, wrong := range []string{"batch=0", "batch=1.5", "batch=large"} {
		if _, err := LoadWith("mnist-basic", []string{wrong}); err == nil || !strings.Contains(err.Error(), `want a whole number from 1, or "auto"`) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
