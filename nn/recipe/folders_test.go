package recipe

import (
	"slices"
	"strings"
	"testing"
)

// weightsElsewhere holds numbers of weights that other implementations have, for 10 classes: torchvision's
// models.resnet18, whose parameters() has no running statistics either.
var weightsElsewhere = map[string]int{"resnet18": 11_181_642}

// TestRecipesForFolders checks which recipes the loops over data sets leave out, and what a recipe says it is meant for.
func TestRecipesForFolders(t *testing.T) {
	var left []string
	for _, name := range Names() {
		if !slices.Contains(NamesForDataSets(), name) {
			left = append(left, name)
		}
	}
	if want := []string{"photos", "resnet18"}; !slices.Equal(left, want) {
		t.Errorf("only for folders: %v, want %v", left, want)
	}
	for _, tt := range []struct {
		recipe, data string
		want         bool
	}{
		{"resnet18", "pictures/of/cats", true}, {"resnet18", "cifar10", false},
		{"cifar10-basic", "pictures", true}, {"cifar10-basic", "cifar10", true}, {"cifar10-basic", "mnist", false},
		{"mnist", "pictures", false},
	} {
		r, err := Load(tt.recipe)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.MeantFor(tt.data); got != tt.want {
			t.Errorf("%s is meant for %s: %v", tt.recipe, tt.data, got)
		}
	}
}

func TestSizeAndCacheOfPictures(t *testing.T) {
	for _, tt := range []struct {
		change string
		size   [2]int
		isAuto bool
		cache  int64
	}{
		{"data.size=auto", [2]int{}, true, 0}, {"image-size=50", [2]int{50, 50}, false, 0},
		{"data.size=80", [2]int{80, 80}, false, 0}, {"data.cache=4 GB", [2]int{}, true, 4e9},
		{"data.cache=1000000", [2]int{}, true, 1e6}, {"data.cache=512 MiB", [2]int{}, true, 512 << 20},
	} {
		r, err := LoadWith("photos", []string{tt.change})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Pictures.Options(); got.ImageSize != tt.size || got.AutoSize != tt.isAuto || got.Cache != tt.cache {
			t.Errorf("%s: size %v, auto %v, cache %d", tt.change, got.ImageSize, got.AutoSize, got.Cache)
		}
	}
	for _, wrong := range []string{"data.cache=0", "data.cache=much", "data.cache=-1", "data.size=automatic"} {
		if _, err := LoadWith("photos", []string{wrong}); err == nil || !strings.Contains(err.Error(), "want a") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
