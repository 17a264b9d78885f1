package recipe

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"trainer/cpu"
	"trainer/kernels"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/setting"
	"trainer/nn/train"
)

var ignoreDocument = cmpopts.IgnoreUnexported(Recipe{})

// sameNetwork reports whether two networks are equal, wherever in a file their layers stand.
func sameNetwork(a, b *nn.Sequential) bool {
	return cmp.Equal(a, b, exportAll, ignorePlaces)
}

var (
	exportAll    = cmp.Exporter(func(reflect.Type) bool { return true })
	ignorePlaces = cmpopts.IgnoreFields(nn.Sequential{}, "Places")
)

// A layer that doesn't fit is reported with its line in the file, also within blocks and branches.
func TestMisfitsHaveTheirLines(t *testing.T) {
	text := `name = "mine"
epochs = 1
batch = 8
[loss]
kind = "cross-entropy"
[optimizer]
kind = "sgd"
lr = 0.1
[block]
unit = [{ layer = "relu" },
  { layer = "max-pool2d", kernel = "$kernel" }]
[[network]]
block = "unit"
kernel = 2
[[network]]
layer = "residual"
body = [{ layer = "relu" },
  { layer = "conv2d", out = 4, kernel = 5 }]
[[network]]
layer = "flatten"
`
	for _, c := range []struct{ from, to, want string }{
		{"kernel = 2", "kernel = 9", "my.toml:11: layer pool1: got an image of 8x8"},
		{"", "", "my.toml:18: layer residual1.body.conv1: got an image of 4x4"},
	} {
		r, err := Parse("my.toml", []byte(strings.Replace(text, c.from, c.to, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if r, err = r.WithMeanStd([]float32{0}, []float32{1}); err != nil { // written and read again, as a training does
			t.Fatal(err)
		}
		if _, err := r.Model(10).OutputShape(nn.Shape{8, 8, 1}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// inputs is the shape of one image of each data set.
var inputs = map[string]nn.Shape{"mnist": {28, 28, 1}, "fashion-mnist": {28, 28, 1}, "cifar10": {32, 32, 3}, "folder": {32, 32, 3}}

func TestBuiltInRecipesLoadFitAndRoundTrip(t *testing.T) {
	want := []string{"airbench93", "airbench94", "airbench95", "airbench96", "cifar10", "cifar10-94", "cifar10-basic", "cifar10-fast", "mnist", "mnist-basic", "photos", "resnet18"}
	if diff := cmp.Diff(want, Names()); diff != "" {
		t.Fatalf("Names (-want +got):\n%s", diff)
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			r, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if r.Name != name || r.Description == "" || len(r.Data) == 0 {
				t.Errorf("name %q, description %q, data %q", r.Name, r.Description, r.Data)
			}
			for _, data := range r.Data {
				for _, classes := range []int{2, 10} {
					out, err := r.Model(classes).OutputShape(inputs[data])
					if err != nil || !slices.Equal(out, nn.Shape{classes}) {
						t.Errorf("%s with %d classes: output %v, %v", data, classes, out, err)
					}
				}
			}
			text, err := r.TOML()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("again.toml", text)
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if diff := cmp.Diff(r, again, ignoreDocument); diff != "" {
				t.Errorf("read again (-want +got):\n%s", diff)
			}
			if !sameNetwork(r.Model(10), again.Model(10)) {
				t.Errorf("network changed:\n%#v\n%#v", r.Model(10), again.Model(10))
			}
			second, err := again.TOML()
			if err != nil || !bytes.Equal(text, second) {
				t.Errorf("written again it differs, %v:\n%s", err, cmp.Diff(string(text), string(second)))
			}
		})
	}
}

// Devices fuse batch normalisation with the activations that follow it in built-in recipes, and with no others: each
// is three more kernels of every storage type.
func TestFusedActivationsAreThoseOfRecipes(t *testing.T) {
	used := map[string]bool{}
	var visit func(model nn.Layer)
	visit = func(model nn.Layer) {
		switch l := model.(type) {
		case *nn.Sequential:
			for i, layer := range l.Layers {
				visit(unnamed(layer))
				if _, ok := unnamed(layer).(nn.BatchNorm); ok && i+1 < len(l.Layers) {
					if a, ok := unnamed(l.Layers[i+1]).(nn.ActivationLayer); ok {
						used[a.Activation().Function.Name] = true
					}
				}
			}
		case nn.Residual:
			visit(l.Body)
			if l.Shortcut != nil {
				visit(l.Shortcut)
			}
		}
	}
	for _, name := range Names() {
		r, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		visit(r.Model(10))
	}
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, f := range nn.Functions() {
		_, err := dev.NewBatchNormActivation(device.BatchNormSpec{Rows: 1, C: 1}, f)
		if err == nil != used[f.Name] {
			t.Errorf("%s after batch-norm: used is %v, the CPU's error is %v", f, used[f.Name], err)
		}
		if _, _, _, ok := kernels.BatchNormActivation(f.Name); ok != used[f.Name] {
			t.Errorf("%s after batch-norm: used is %v, there being CUDA kernels is %v", f, used[f.Name], ok)
		}
	}
}

// unnamed returns the layer that nn.Named gave a name.
func unnamed(l nn.Layer) nn.Layer {
	if named, ok := l.(interface{ Unwrap() nn.Layer }); ok {
		return named.Unwrap()
	}
	return l
}

func TestMNISTIsTheNetworkOfTheTable(t *testing.T) {
	r, err := Load("mnist")
	if err != nil {
		t.Fatal(err)
	}
	want := nn.NewSequential(
		nn.Conv2D{OutC: 24, Kernel: nn.Square(5), Stride: nn.Square(1), Dilation: nn.Square(1), Groups: 1},
		nn.MaxPool2D{Kernel: nn.Square(2), Stride: nn.Square(2), Dilation: nn.Square(1)}, nn.ReLU{},
		nn.Conv2D{OutC: 32, Kernel: nn.Square(3), Stride: nn.Square(1), Dilation: nn.Square(1), Groups: 1},
		nn.MaxPool2D{Kernel: nn.Square(2), Stride: nn.Square(2), Dilation: nn.Square(1)}, nn.ReLU{},
		nn.Flatten{}, nn.Dense{Out: 256}, nn.ReLU{}, nn.Dense{Out: 10},
	)
	if !sameNetwork(r.Model(10), want) {
		t.Errorf("got  %#v\nwant %#v", r.Model(10), want)
	}
	if o := r.Optimizer; o.Rule != (optim.Adam{Beta1: 0.7, Beta2: 0.9, Epsilon: 1e-8}) || o.LR != 0.01 {
		t.Errorf("optimizer %+v", o)
	}
	if _, ok := r.Schedule.(optim.OneCycle); !ok || r.Epochs != 1 || r.Batch != 256 {
		t.Errorf("schedule %#v, epochs %v, batch %d", r.Schedule, r.Epochs, r.Batch)
	}
}

// The authors' program derives airbench's numbers from others, and so does this test.
func TestAirbenchRates(t *testing.T) {
	for _, c := range []struct {
		name              string
		lr, decay, epochs float64
	}{
		{"airbench93", 11.5, 0.0153, 11}, {"airbench94", 11.5, 0.0153, 9.9},
		{"airbench95", 10, 0.0153, 15}, {"airbench96", 9, 0.012, 37},
	} {
		r, err := Load(c.name)
		if err != nil {
			t.Fatal(err)
		}
		scale := 1024 * (1 + 1/(1-r.Optimizer.Rule.(optim.SGD).Momentum))
		lr := c.lr / scale
		decay := c.decay * float64(r.Batch) / scale / lr
		if math.Abs(r.Optimizer.LR/lr-1) > 1e-6 || math.Abs(r.Optimizer.WeightDecay/decay-1) > 1e-6 {
			t.Errorf("%s: lr %v and weight decay %v, want %v and %v", c.name, r.Optimizer.LR, r.Optimizer.WeightDecay, lr, decay)
		}
		norm := r.Optimizer.Groups[0]
		if *norm.LRScale != 64 || *norm.DecayScale*64 != 1 {
			t.Errorf("%s: group %+v", c.name, norm)
		}
		if r.Epochs != c.epochs || r.Augment.Flip != device.FlipAlternating || r.LastBatch != train.DropLastBatch {
			t.Errorf("%s: epochs %v, %+v", c.name, r.Epochs, r.Augment)
		}
		var weights float32
		for _, v := range r.Views {
			weights += v.Weight
		}
		if weights != 1 {
			t.Errorf("%s: weights of the views add up to %v", c.name, weights)
		}
	}
}

// head is a recipe that is complete except for the network, which begins on line 9.
const head = `name = "mine"
epochs = 2
batch = 8
[loss]
kind = "cross-entropy"
[optimizer]
kind = "sgd"
lr = 0.1
`

const network = `[[network]]
layer = "flatten"
[[network]]
layer = "dense"
out = "classes"
`

func TestMistakes(t *testing.T) {
	tests := []struct {
		name, text string
		want       string
	}{
		{"syntax", "name = \n", `r.toml:1: unexpected character U+000A at start of value`},
		{"twice", "name = 1\nname = 2\n", `r.toml:2: key name is already defined`},
		{"empty", "", "r.toml: name: missing\nr.toml: epochs: missing\nand 4 more mistakes"},
		{"unknown key", head + "momentun = 0.9\n" + network,
			`r.toml:9: optimizer.momentun: unknown key, did you mean optimizer.momentum?`},
		{"unknown key far from all", head + "zzzz = 0.9\n" + network,
			`r.toml:9: optimizer.zzzz: unknown key (valid here: kind, lr, weight-decay, momentum, nesterov, dampening, decoupled, group, clip, lookahead, ema)`},
		{"unknown table", head + "[argument]\n" + network, `r.toml:9: argument: unknown key, did you mean augment?`},
		{"key of another kind", head + "beta1 = 0.9\n" + network,
			`r.toml:9: optimizer.beta1: unknown key (valid here: kind, lr, weight-decay, momentum, nesterov, dampening, decoupled, group, clip, lookahead, ema)`},
		{"unknown precision", "precision = \"fp-16\"\n" + head + network,
			`r.toml:1: precision: unknown value "fp-16", did you mean fp16? (valid: fp32, tf32, fp16, bf16)`},
		{"precision of the program's flag", "precision = \"auto\"\n" + head + network,
			`r.toml:1: precision: unknown value "auto" (valid: fp32, tf32, fp16, bf16)`},
		{"precision as a number", "precision = 16\n" + head + network, `r.toml:1: precision: want a string, got 16`},
		{"precision in a table", head + "precision = \"fp16\"\n" + network,
			`r.toml:9: optimizer.precision: unknown key (valid here: kind, lr, weight-decay, momentum, nesterov, dampening, decoupled, group, clip, lookahead, ema)`},
		{"misspelt precision", "precison = \"fp16\"\n" + head + network, `r.toml:1: precison: unknown key, did you mean precision?`},
		{"unknown layer", head + "[[network]]\nlayer = \"conv2\"\nout = 3\n",
			`r.toml:10: network.0.layer: unknown value "conv2", did you mean conv2d? (valid: ` + strings.Join(layerNames(), ", ") + `)`},
		{"missing in layer", head + "[[network]]\nlayer = \"conv2d\"\nout = 3\n", `r.toml:9: network.0: kernel is missing`},
		{"missing kind of layer", head + "[[network]]\nout = 3\n", `r.toml:9: network.0: layer is missing`},
		{"wrong type", head + "momentum = \"big\"\n" + network, `r.toml:9: optimizer.momentum: want a number from 0 to below 1, got "big"`},
		{"out of range", head + "momentum = 1.0\n" + network, `r.toml:9: optimizer.momentum: want a number from 0 to below 1, got 1`},
		{"not a number", head + "momentum = nan\n" + network, `r.toml:9: optimizer.momentum: want a number from 0 to below 1, got NaN`},
		{"zero size", head + "[[network]]\nlayer = \"conv2d\"\nout = 0\nkernel = 3\n", `r.toml:11: network.0.out: want a whole number from 1, got 0`},
		{"bad pair", head + "[[network]]\nlayer = \"conv2d\"\nout = 1\nkernel = [3, 3, 3]\n",
			`r.toml:12: network.0.kernel: want a whole number from 1 or a pair [height, width], got [3, 3, 3]`},
		{"nested layer", head + "[[network]]\nlayer = \"residual\"\nbody = [\n  { layer = \"relu\" },\n  { layer = \"conv2d\", out = 3, kernle = 3 },\n]\n",
			"r.toml:13: network.0.body.1: kernel is missing\nr.toml:13: network.0.body.1.kernle: unknown key, did you mean network.0.body.1.kernel?"},
		{"nested table", head + "[[network]]\nlayer = \"residual\"\n[[network.body]]\nlayer = \"scale\"\n",
			`r.toml:11: network.0.body.0: by is missing`},
		{"no layers", "network = []\n" + head, `r.toml:1: network: no layers`},
		{"network is no list", head + "[network]\nlayer = \"relu\"\n", `r.toml:9: network: want tables [[network]], got a table`},
		{"same name", head + "[[network]]\nlayer = \"relu\"\nname = \"a\"\n[[network]]\nlayer = \"relu\"\nname = \"a\"\n",
			`r.toml:14: network.1.name: another layer is called "a" already`},
		{"name with a dot", head + "[[network]]\nlayer = \"relu\"\nname = \"a.b\"\n", `r.toml:11: network.0.name: want letters, digits, - and _, got "a.b"`},
		{"mean without std", "[augment]\nmean = [0.5]\n", `r.toml:1: augment.std: 0 values, but mean has 1: want one per channel`},
		{"two of one", head + "[schedule]\nkind = \"step\"\ngamma = 0.1\n" + network, `r.toml:9: schedule: want one of milestones and every, in epochs`},
		{"points", head + "[schedule]\nkind = \"piecewise\"\npoints = [[0, 1], [0, 2]]\n" + network,
			`r.toml:11: schedule.points: point 1 is at 0, want more than the 0 of the point before it`},
		{"constant alone", head + "[[network]]\nlayer = \"dense\"\nout = 2\ninit = \"constant\"\n",
			`r.toml:12: network.0.init: constant needs a value, such as { kind = "constant", value = 0.5 }`},
		{"key of an initialiser", head + "[[network]]\nlayer = \"dense\"\nout = 2\ninit = { kind = \"orthogonal\", gian = 2 }\n",
			`r.toml:12: network.0.init.gian: unknown key, did you mean network.0.init.gain?`},
		{"unit", head + "[[network]]\nlayer = \"dense\"\nout = \"clases\"\n", `r.toml:11: network.0.out: want a whole number from 1 or "classes", got "clases"`},
		{"class weights", strings.Replace(head, "\n[optimizer]", "\nclass-weights = \"balance\"\n[optimizer]", 1) + network,
			`r.toml:6: loss.class-weights: want a list, each element a number from 0 or "balanced", got "balance"`},
		{"a weight below 0", strings.Replace(head, "\n[optimizer]", "\nclass-weights = [1, -1]\n[optimizer]", 1) + network,
			`r.toml:6: loss.class-weights: want a list, each element a number from 0 or "balanced", got [1, -1]`},
		{"ignored label", strings.Replace(head, "\n[optimizer]", "\nignore-index = \"none\"\n[optimizer]", 1) + network,
			`r.toml:6: loss.ignore-index: want a whole number from -2147483648 to 2147483647, got "none"`},
		{"a date", head + "momentum = 1979-05-27\n" + network, `r.toml:9: optimizer.momentum: want a number from 0 to below 1, got 1979-05-27`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("r.toml", []byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			got := err.Error()
			if strings.Count(got, "\n") >= 3 {
				t.Errorf("more than three lines:\n%s", got)
			}
			if tt.name == "mean without std" { // one of several mistakes
				if !strings.HasPrefix(got, tt.want+"\n") {
					t.Errorf("got\n%s\nwant in it\n%s", got, tt.want)
				}
				return
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestLosses(t *testing.T) {
	for _, c := range []struct {
		text string
		want nn.Loss
	}{
		{`kind = "cross-entropy"`, nn.CrossEntropy{}},
		{`kind = "cross-entropy"
smoothing = 0.2
sum = true
class-weights = [1, 0.5, 2]
ignore-index = -100`, nn.CrossEntropy{Smoothing: 0.2, Sum: true, LossWeights: nn.LossWeights{ClassWeights: []float32{1, 0.5, 2}, IgnoreIndex: new(int32(-100))}}},
		{`kind = "mse"
class-weights = "balanced"`, nn.MeanSquaredError{LossWeights: nn.LossWeights{Balanced: true}}},
	} {
		r, err := Parse("r.toml", []byte(strings.Replace(head, `kind = "cross-entropy"`, c.text, 1)+network))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Loss, c.want) {
			t.Errorf("%s\ngives %+v, want %+v", c.text, r.Loss, c.want)
		}
	}
}

// TestGroupRules reads groups with rules of their own.
func TestGroupRules(t *testing.T) {
	r, err := LoadWith("mnist-basic", []string{
		"accumulate=4",
		`optimizer.group=[{role="weight", kind="muon", lr=0.24, momentum=0.6, nesterov=true, weight-decay=0.1}, {match="*.bias", lr-scale=2}]`,
	})
	if err != nil {
		t.Fatal(err)
	}
	two := 2.0
	want := []optim.Group{
		{Role: nn.Weight, Rule: optim.Muon{Momentum: 0.6, Nesterov: true, Steps: 3, Epsilon: 1e-7}, LR: 0.24, WeightDecay: 0.1},
		{Match: "*.bias", LRScale: &two},
	}
	if !reflect.DeepEqual(r.Optimizer.Groups, want) {
		t.Errorf("got %+v, want %+v", r.Optimizer.Groups, want)
	}
	if c := r.TrainConfig(nil, &data.Dataset{Train: &data.InMemory{ClassNames: []string{"a"}}}, 1); r.Accumulate != 4 || c.Accumulate != 4 {
		t.Errorf("%d and %d batches per update, want 4", r.Accumulate, c.Accumulate)
	}
	for text, says := range map[string]string{
		`{role="weight", kind="muon"}`:                        "optimizer.group.0: lr is missing",
		`{role="weight", kind="moon", lr=1, beta1=0.5}`:       `unknown value "moon"`,
		`{role="weight", lr=1}`:                               "optimizer.group.0.lr: unknown key",
		`{role="weight", kind="lion", lr=1, decoupled=false}`: "decoupled: unknown key",
		`{role="weight", kind="muon", lr=1, nesterov=true}`:   "optimizer.group.0.nesterov: needs a momentum above 0",
		`{role="weight", kind="lion", lr=1, beta2=1}`:         "optimizer.group.0.beta2: want a number between 0 and 1, got 1",
	} {
		_, err := LoadWith("mnist-basic", []string{"optimizer.group=[" + text + "]"})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q in it", text, err, says)
		}
	}
}

func TestChanges(t *testing.T) {
	r, err := LoadWith("mnist-basic", []string{
		"optimizer.momentum=0.8", "network.0.out = 16", "schedule.kind=cosine", "description=my own",
		"network.0.init=", "optimizer.ema.decay=0.99", "augment.mean=[0.5]", `network.1={layer="gelu", tanh=true}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	layers := r.Model(10).Layers
	if c := layers[0].(nn.Conv2D); c.OutC != 16 || c.Init != nil {
		t.Errorf("conv %+v", c)
	}
	if layers[1] != nn.Layer(nn.GELU{Tanh: true}) {
		t.Errorf("activation %#v", layers[1])
	}
	if r.Optimizer.Rule != (optim.SGD{Momentum: 0.8}) || r.Optimizer.EMA.Decay != 0.99 || r.Description != "my own" || r.Augment.Mean[0] != 0.5 {
		t.Errorf("recipe %+v", r)
	}
	if _, ok := r.Schedule.(optim.Cosine); !ok {
		t.Errorf("schedule %#v", r.Schedule)
	}
	text, err := r.TOML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again, ignoreDocument); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}

// In older recipes the scale of a normalisation is named gain.
func TestRoles(t *testing.T) {
	for name, want := range map[string]nn.Role{"weight": nn.Weight, "bias": nn.Bias, "gain": nn.Gain, "scale": nn.Gain} {
		r, err := LoadWith("mnist-basic", []string{`optimizer.group=[{ role = "` + name + `", lr-scale = 0 }]`})
		if err != nil || r.Optimizer.Groups[0].Role != want || *r.Optimizer.Groups[0].LRScale != 0 {
			t.Errorf("role %s: %+v, %v", name, r, err)
		}
	}
	_, err := LoadWith("mnist-basic", []string{`optimizer.group=[{ role = "scales" }]`})
	if want := `-set optimizer.group.0.role: unknown value "scales", did you mean scale? (valid: weight, bias, gain, scale)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWrongChanges(t *testing.T) {
	for change, want := range map[string]string{
		"optimizer.momentun=0.8":  "-set optimizer.momentun: unknown key, did you mean optimizer.momentum?",
		"optimizer.momentum=2":    "-set optimizer.momentum: want a number from 0 to below 1, got 2",
		"optimizer.momentum=much": `-set optimizer.momentum: want a number from 0 to below 1, got "much"`,
		"optimizer":               "-set optimizer: want key=value, such as optimizer.momentum=0.8",
		"=3":                      "-set =3: want key=value, such as optimizer.momentum=0.8",
		"network.7.out=3":         "-set network.7.out: no element 7, want 0 to 4",
		"network.x.out=3":         "-set network.x.out: no element x, want 0 to 4",
		"epochs.x=3":              "-set epochs.x: epochs is a value, not a table",
		"a..b=3":                  "-set a..b: empty part in the key",
		"optimizer.lr=":           "mnist-basic.toml:16: optimizer: lr is missing",
		"schedule.kind=cosin":     `-set schedule.kind: unknown value "cosin", did you mean cosine? (valid: constant, step, cosine, cosine-restarts, one-cycle, piecewise, polynomial, plateau, sequential)`,
	} {
		_, err := LoadWith("mnist-basic", []string{change})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", change, err, want)
		}
	}
}

func TestLoadFindsFilesAndSuggestsNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(path, []byte(head+network), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Load(path)
	if err != nil || r.Name != "mine" {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = Load("minst")
	if err == nil || !strings.Contains(err.Error(), `unknown recipe "minst", did you mean mnist?`) {
		t.Errorf("error %v", err)
	}
	if _, err = Load(path + ".toml"); err == nil || !strings.Contains(err.Error(), path+".toml") {
		t.Errorf("error %v", err)
	}
}

func TestMeanStdIsOfTheFirstDataSet(t *testing.T) {
	r, err := Load("mnist")
	if err != nil {
		t.Fatal(err)
	}
	if mean, std, ok := r.MeanStd("mnist"); !ok || mean[0] != 0.1307 || std[0] != 0.3081 {
		t.Errorf("mnist: %v %v %v", mean, std, ok)
	}
	if _, _, ok := r.MeanStd("fashion-mnist"); ok {
		t.Error("fashion-mnist has MNIST's mean")
	}
	own, err := r.WithMeanStd([]float32{0.25}, []float32{0.1})
	if err != nil {
		t.Fatal(err)
	}
	if mean, std, ok := own.MeanStd("anything"); !ok || mean[0] != 0.25 || std[0] != 0.1 {
		t.Errorf("after WithMeanStd: %v %v %v", mean, std, ok)
	}
}

func TestWithRunIsWrittenAndRead(t *testing.T) {
	r, err := Load("mnist")
	if err != nil {
		t.Fatal(err)
	}
	want := Run{
		Data: `C:\pictures "new"`, DataDir: "d", Val: 0.25, Seed: 1 << 62,
		Device: "cuda:1", Precision: "bf16", Deterministic: true, Autotune: true, CUDAGraph: true,
	}
	r, err = r.WithRun(want)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.TOML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("config.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if *again.Run != want {
		t.Errorf("got %+v, want %+v", *again.Run, want)
	}
}

// A configuration written by an older version of the program doesn't say how the run computed.
func TestRunOfAnOlderVersion(t *testing.T) {
	r, err := Parse("config.toml", []byte(head+network+"[run]\ndata = \"mnist\"\nseed = 3\ndevice = \"auto\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Run{Data: "mnist", Seed: 3, Device: "auto", CUDAGraph: true}); *r.Run != want {
		t.Errorf("got %+v, want %+v", *r.Run, want)
	}
	_, err = Parse("config.toml", []byte(head+network+"[run]\nprecision = \"fp-16\"\ncuda-graph = \"yes\"\n"))
	want := "config.toml:15: run.precision: unknown value \"fp-16\", did you mean fp16? (valid: fp32, tf32, fp16, bf16)\n" +
		`config.toml:16: run.cuda-graph: want true or false, got "yes"`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// The precision for a GPU. The teaching network leaves it to the program, because readers follow its numbers by hand.
func TestPrecisions(t *testing.T) {
	for _, name := range Names() {
		r, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		want := "fp16"
		if name == "mnist-basic" {
			want = ""
		}
		if r.Precision != want {
			t.Errorf("%s: precision %q, want %q", name, r.Precision, want)
		}
	}
	for _, name := range Precisions() {
		r, err := LoadWith("mnist", []string{"precision=" + name})
		if err != nil || r.Precision != name {
			t.Errorf("precision %s: %v", name, err)
		}
	}
	if r, err := LoadWith("mnist", []string{"precision="}); err != nil || r.Precision != "" {
		t.Errorf("without a precision: %v", err)
	}
}

// Every kind has a description, its layer has the kind's name, and recipes can set every setting that it declares.
func TestKindsDescribeThemselves(t *testing.T) {
	kinds := BuiltIn()
	for _, k := range kinds.Layers {
		if got := k.New().Kind(); got != k.Name {
			t.Errorf("the kind %s makes a layer of the kind %s", k.Name, got)
		}
		if k.Family == "" {
			t.Errorf("%s has no family", k.Name)
		}
	}
	for _, k := range kinds.Losses {
		if got := k.New().Kind(); got != k.Name {
			t.Errorf("the kind %s makes a loss of the kind %s", k.Name, got)
		}
	}
	checkKinds(t, kinds, kinds.layers())
	checkKinds(t, kinds, kinds.Losses)
	checkKinds(t, kinds, kinds.Initializers)
	for _, k := range kinds.Rules {
		if got := k.New().Kind(); got != k.Name {
			t.Errorf("the kind %s makes a rule of the kind %s", k.Name, got)
		}
	}
	checkKinds(t, kinds, kinds.Rules)
	checkKinds(t, kinds, kinds.Schedules)
	checkKinds(t, kinds, kinds.Transforms)
}

func checkKinds[T any](t *testing.T, kinds Kinds, list []setting.Kind[T]) {
	for _, k := range list {
		if k.Doc == "" {
			t.Errorf("%s has no description", k.Name)
		}
		for _, it := range setting.Of(k.New()).All() {
			if it.Doc == "" {
				t.Errorf("%s: the setting %s has no description", k.Name, it.Key)
			}
			d := &document{origin: map[string]origin{}}
			s := newReader(d, kinds, 2)
			s.table = map[string]any{it.Key: map[string]any{"wrong": true}}
			setting.Edit(k.New(), nil, s.read)
			if len(d.errs) == 0 {
				t.Errorf("%s: the setting %s takes any table", k.Name, it.Key)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		text, err := Source(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "optimizer.lr=0.5")
	}
	f.Add([]byte(head+network), "network.0={layer=\"residual\", body=[]}")
	f.Add([]byte(stages), "network.0.out=3")
	f.Add([]byte("[[a.b]]\n[a.b.c]\nx.y = [[1], {z = 2}]\n"), "a.b.0.c=1")
	f.Fuzz(func(t *testing.T, text []byte, change string) {
		r, err := BuiltIn().Parse("f.toml", text, change)
		if err != nil {
			if strings.Count(err.Error(), "\n") >= maxErrorLines {
				t.Errorf("long error: %v", err)
			}
			return
		}
		r.Model(3)
		again, err := r.TOML()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("again.toml", again); err != nil {
			t.Errorf("can't read what was written: %v\n%s", err, again)
		}
	})
}

// layerNames returns the kinds of layers.
func layerNames() []string {
	var names []string
	for _, k := range nn.LayerKinds() {
		names = append(names, k.Name)
	}
	return names
}
