package recipe

import (
	"reflect"
	"strings"
	"testing"

	"trainer/nn/augment"
	"trainer/nn/train"
)

func TestTransforms(t *testing.T) {
	text := head + `[augment]
mean = [0.5]
std = [0.25]
[[augment.transform]]
kind = "alternating-flip"
[[augment.transform]]
kind = "shift"
max = 2
border = "zeros"
[[augment.transform]]
kind = "hue"
p = 0.5
` + network
	r, err := Parse("r.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := train.Augment{Mean: []float32{0.5}, Std: []float32{0.25}, Transforms: augment.List{
		{Transform: augment.AlternatingFlip{}}, {Transform: augment.Shift{Max: 2, Border: "zeros"}}, {Transform: augment.Hue{Max: 0.05}, P: 0.5},
	}}
	if !reflect.DeepEqual(r.Augment, want) {
		t.Errorf("got %+v, want %+v", r.Augment, want)
	}
	again, err := r.TOML()
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Parse("r.toml", again); err != nil || !reflect.DeepEqual(second.Augment, want) {
		t.Errorf("written and read again: %+v, %v", second, err)
	}
}

func TestTransformMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"kind = \"rotat\"":                         `augment.transform.0.kind: unknown value "rotat", did you mean rotate?`,
		"max = 0.1":                                "augment.transform.0: kind is missing",
		"kind = \"hue\"\nmax = 0.7":                "augment.transform.0.max: want a number from 0.001 to 0.5, got 0.7",
		"kind = \"hue\"\nmaxx = 0.1":               "augment.transform.0.maxx: unknown key, did you mean augment.transform.0.max?",
		"kind = \"hue\"\np = 0":                    "augment.transform.0.p: want a number above 0, up to 1, got 0",
		"kind = \"shift\"\nborder = \"reflekt\"":   `augment.transform.0.border: unknown value "reflekt", did you mean reflect? (valid: reflect, zeros)`,
		"kind = \"blur\"\nmin-sigma = 2.5":         "augment.transform.0.min-sigma: is 2.5, needs at most 2, which is max-sigma",
		"kind = \"flip\"\n[augment]\ncrop = 2":     "augment.crop: beside a list of transforms: write it as the transform shift",
		"kind = \"erasing\"\nmin-area = \"small\"": `augment.transform.0.min-area: want a number from 0.01 to 1, got "small"`,
	} {
		_, err := Parse("r.toml", []byte(head+"[[augment.transform]]\n"+text+"\n"+network))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nwant in it\n%s", text, err, want)
		}
	}
}
