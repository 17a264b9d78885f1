package command

import (
	"strings"
	"testing"
)

// 32 pictures are enough for every recipe: 26 of them are trained on.
func TestBatchIsLoweredForFewImages(t *testing.T) {
	t.Chdir(t.TempDir())
	pictures(t, 16)
	const line = "trainer: batch 8 instead of the recipe's 128, because there are only 26 training images (to choose one: -batch)\n"
	for _, tt := range []struct {
		batch          string
		status         int
		stderr, stdout string
	}{
		{"", exitOK, line, "batch of 8"},
		{"auto", exitOK, "", "batch of 8"},
		{"26", exitOK, "", "batch of 26"},
		{"27", exitUsage, "trainer: batch: 27, more than the 26 training images: use 26 or less, as in -batch 26\n", ""},
	} {
		args := []string{"-data", "pictures", "-recipe", "cifar10-basic", "-dry-run", "-device", "cpu"}
		if tt.batch != "" {
			args = append(args, "-batch", tt.batch)
		}
		got := trainer(t, args...)
		if got.status != tt.status || got.stderr != tt.stderr || !strings.Contains(got.stdout, tt.stdout) {
			t.Errorf("-batch %s: status %d, stderr %q, stdout\n%s", tt.batch, got.status, got.stderr, got.stdout)
		}
	}
}
