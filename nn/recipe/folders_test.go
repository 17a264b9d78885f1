package recipe

import (
	"slices"
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
	if want := []string{"resnet18"}; !slices.Equal(left, want) {
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
