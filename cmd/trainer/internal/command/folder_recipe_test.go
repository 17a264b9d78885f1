package command

import (
	"strings"
	"testing"
)

// A recipe that is for folders of pictures never trains on another data set unasked, and a folder is what it is meant for.
func TestRecipeForFoldersNeedsAFolder(t *testing.T) {
	workplace(t)
	for _, args := range [][]string{
		{"-recipe", "resnet18"}, {"draw", "augment", "-recipe", "resnet18"},
	} {
		got := trainer(t, args...)
		if want := "recipe resnet18 is for a folder of pictures: pass -data FOLDER\n"; got.status != exitUsage || !strings.HasSuffix(got.stderr, want) {
			t.Errorf("%v: status %d, stderr %q", args, got.status, got.stderr)
		}
	}
	for _, recipe := range []string{"resnet18", "cifar10-basic"} {
		got := trainer(t, "-recipe", recipe, "-data", "pictures", "-dry-run", "-set", "batch=8", "-device", "cpu")
		if got.status != exitOK || got.stderr != "" {
			t.Errorf("%s on a folder: status %d, stderr %q", recipe, got.status, got.stderr)
		}
	}
	got := trainer(t, "-recipe", "mnist-basic", "-data", "pictures", "-dry-run", "-device", "cpu")
	if want := "recipe mnist-basic is meant for mnist"; !strings.Contains(got.stderr, want) {
		t.Errorf("want %q, got status %d, %q", want, got.status, got.stderr)
	}
}
