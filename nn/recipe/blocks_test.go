package recipe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trainer/nn"
)

// stages is a recipe with two blocks, one of which uses the other; the blocks begin on line 9.
const stages = head + `[block]
conv = [
  { layer = "conv2d", name = "conv$name", out = "$out", kernel = "$kernel", padding = "same", init = "$init" },
  { layer = "leaky-relu", slope = "$slope" },
]
stage = [
  { block = "conv", name = "$n-1", out = "$out", kernel = 3, init = "he", slope = 0.2 },
  { layer = "residual", body = [
    { block = "conv", name = "${n}-2", out = "$out", kernel = [3, 1], init = { kind = "orthogonal", gain = "$gain" }, slope = 0.2 },
  ] },
]
[[network]]
block = "stage"
n = 1
out = 4
gain = 2
[[network]]
block = "stage"
n = "b"
out = 8
gain = 1.5
[[network]]
layer = "flatten"
[[network]]
layer = "dense"
out = "classes"
`

func TestBlocks(t *testing.T) {
	conv := func(name string, out int, kernel nn.Pair, init nn.Initializer) nn.Layer {
		return nn.Named("conv"+name, nn.Conv2D{OutC: out, Kernel: kernel, Stride: nn.Square(1), Dilation: nn.Square(1), Groups: 1, Same: true, Init: init})
	}
	stage := func(name string, out int, gain float64) []nn.Layer {
		return []nn.Layer{
			conv(name+"-1", out, nn.Square(3), nn.HeNormal{}), nn.LeakyReLU{Slope: 0.2},
			nn.Residual{Body: nn.NewSequential(
				conv(name+"-2", out, nn.Pair{H: 3, W: 1}, nn.Orthogonal{Gain: gain}), nn.LeakyReLU{Slope: 0.2},
			)},
		}
	}
	want := nn.NewSequential(append(append(stage("1", 4, 2), stage("b", 8, 1.5)...), nn.Flatten{}, nn.Dense{Out: 7})...)

	r, err := Parse("r.toml", []byte(stages))
	if err != nil {
		t.Fatal(err)
	}
	check := func(r *Recipe, want *nn.Sequential) {
		t.Helper()
		got := r.Model(7)
		if len(got.Layers) != len(want.Layers) {
			t.Fatalf("%d layers, want %d", len(got.Layers), len(want.Layers))
		}
		for i := range got.Layers {
			if diff := cmp.Diff(want.Layers[i], got.Layers[i], exportAll, ignorePlaces); diff != "" {
				t.Errorf("layer %d (-want +got):\n%s", i, diff)
			}
		}
	}
	check(r, want)

	text, err := r.TOML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again.toml", text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	check(again, want)

	// A change reaches a parameter, or the block itself.
	changed, err := r.With("network.1.out=6", "block.stage.0.slope=0.5")
	if err != nil {
		t.Fatal(err)
	}
	layers := changed.Model(7).Layers
	if l := layers[1].(nn.LeakyReLU); l.Slope != 0.5 {
		t.Errorf("slope %v, want 0.5", l.Slope)
	}
	if out, err := nn.NewSequential(layers[3:5]...).OutputShape(nn.Shape{4, 4, 4}); err != nil || out[2] != 6 {
		t.Errorf("output %v, %v, want 6 channels", out, err)
	}
}

func TestMistakesInBlocks(t *testing.T) {
	replace := func(old, replacement string) string {
		if !strings.Contains(stages, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(stages, old, replacement, 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"a key of the block", replace(`kernel = "$kernel"`, `kernle = "$kernel"`),
			"r.toml:11: block.conv.0: kernel is missing\nr.toml:11: block.conv.0.kernle: unknown key, did you mean block.conv.0.kernel?"},
		{"a parameter's value", replace("out = 8", "out = 0"), "r.toml:28: network.1.out: want a whole number from 1, got 0"},
		{"a value between blocks", replace("[3, 1]", "[3, 1, 1]"),
			"r.toml:17: block.stage.1.body.0.kernel: want a whole number from 1 or a pair [height, width], got [3, 1, 1]"},
		{"a key of a table that is a parameter", replace("gain = 1.5", "gain = -1.5"), "r.toml:29: network.1.gain: want a number above 0, got -1.5"},
		{"a name", replace(`n = "b"`, `n = "b.c"`),
			"r.toml:27: network.1.n: want letters, digits, - and _, got \"convb.c-1\"\nr.toml:27: network.1.n: want letters, digits, - and _, got \"convb.c-2\""},
		{"the same name", replace(`n = "b"`, `n = 1`), `r.toml:27: network.1.n: another layer is called "conv1-1" already`},
		{"no parameter", replace("out = 8\n", ""), "r.toml:25: network.1: out is missing: the block has $out"},
		{"another key", replace("out = 8\n", "out = 8\nouts = 3\n"), "r.toml:29: network.1.outs: unknown key, did you mean network.1.out?"},
		{"another block", replace(`block = "conv", name = "$n-1"`, `block = "cnov", name = "$n-1"`),
			`r.toml:15: block.stage.0.block: unknown value "cnov", did you mean conv? (valid: conv, stage)`},
		{"within itself", replace(`block = "conv", name = "$n-1"`, `block = "stage", n = "$n", gain = 1, name = "$n-1"`),
			`r.toml:15: block.stage.0.block: the block stage is within itself`},
		{"unused", replace("[block]\n", "[block]\nother = [{ layer = \"relu\" }]\n"), "r.toml:10: block.other: the network doesn't use this block"},
		{"no list", replace("[block]\n", "[block]\nother = { layer = \"relu\" }\n"),
			`r.toml:10: block.other: want a list of layers, such as [{ layer = "conv2d", out = "$out", kernel = 3 }], got a table`},
		{"a list in a name", replace(`n = "b"`, `n = [1]`), "r.toml:27: network.1.n: want a number or a string, got [1]"},
		{"no blocks", head + "[[network]]\nblock = \"conv\"\n", `r.toml:10: network.0.block: there is no block "conv": the recipe has none`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("r.toml", []byte(c.text))
			if err == nil || err.Error() != c.want {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
		})
	}
}

// Blocks within blocks grow exponentially: a few lines must not fill the memory.
func TestBlocksAreBounded(t *testing.T) {
	layers, text := head+"[block]\n", head+"[block]\n"
	layers += "a0 = [{ layer = \"relu\" }]\n"
	text += "b0 = [{ layer = \"dense\", out = 3, name = \"$x\" }]\n"
	for i := range 40 {
		layers += fmt.Sprintf("a%d = [{ block = \"a%d\" }, { block = \"a%d\" }]\n", i+1, i, i)
		text += fmt.Sprintf("b%d = [{ block = \"b%d\", x = \"$x$x\" }]\n", i+1, i)
	}
	for name, c := range map[string]struct{ text, want string }{
		"layers":  {layers + "[[network]]\nblock = \"a40\"\n", "more than 4096 layers"},
		"letters": {text + "[[network]]\nblock = \"b40\"\nx = \"abc\"\n", "grows to more than 100 letters"},
	} {
		if _, err := Parse("r.toml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
}
