package recipe

import (
	"strings"
	"testing"

	"trainer/nn"
)

// windows is a recipe with every key of windows.
const windows = `name = "windows"
epochs = 1
batch = 8
[loss]
kind = "cross-entropy"
[optimizer]
kind = "sgd"
lr = 0.1
[[network]]
layer = "conv2d"
out = 4
kernel = 3
stride = 2
padding = "same-upper"
[[network]]
layer = "conv2d"
out = 4
kernel = 2
padding = [0, 1, 1, 0]
[[network]]
layer = "max-pool2d"
kernel = 2
dilation = [1, 2]
stride = 3
ceil-mode = true
[[network]]
layer = "avg-pool2d"
kernel = 3
stride = 2
padding = "same-lower"
exclude-padding = true
[[network]]
layer = "conv2d-transpose"
out = 2
kernel = 3
stride = 2
padding = 1
output-padding = 1
[[network]]
layer = "flatten"
[[network]]
layer = "dense"
out = "classes"
`

func TestKeysOfWindows(t *testing.T) {
	r, err := Parse("windows.toml", []byte(windows))
	if err != nil {
		t.Fatal(err)
	}
	in := nn.Shape{28, 25, 1}
	for i, want := range []string{"14x13x4", "14x13x4", "5x5x4", "3x3x4", "6x6x2", "72", "10"} {
		if in, err = r.Model(10).Layers[i].OutputShape(in); err != nil || in.String() != want {
			t.Fatalf("layer %d gives %v, %v, want %s", i+1, in, err, want)
		}
	}
	for change, want := range map[string]string{
		`padding = [0, 1, 1]`:      "windows.toml:19: network.1.padding: want a whole number from 0, a pair [height, width] or a list [top, left, bottom, right] or \"same\" or \"same-upper\" or \"same-lower\", got [0, 1, 1]",
		`padding = [0, 1, 1, -1]`:  "got [0, 1, 1, -1]",
		`padding = "same-uper"`:    `"same-upper"`,
		`padding = [0, 16777217]`:  "want at most 16777216, got 16777217",
		`padding = [1, 1, 1, 1.5]`: "got [1, 1, 1, 1.5]",
	} {
		_, err := Parse("windows.toml", []byte(strings.Replace(windows, "padding = [0, 1, 1, 0]", change, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %s", change, err, want)
		}
	}
}
