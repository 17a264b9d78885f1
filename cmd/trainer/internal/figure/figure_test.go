package figure

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/recipe"
	"trainer/nn/tune"
)

// drawing is a figure with what its text must contain.
type drawing struct {
	name   string
	draw   func(w io.Writer, format string) error
	labels []string
}

// builtIn returns the network of a built-in recipe with 10 outputs.
func builtIn(t *testing.T, name string) *nn.Sequential {
	t.Helper()
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return r.Model(10)
}

func drawings(t *testing.T) []drawing {
	t.Helper()
	table := func(model nn.Layer, input nn.Shape) []Layer {
		return Layers(rows(t, model, input), model, nn.LayerKinds())
	}
	image := nn.Shape{12, 12, 3}
	conv := nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}
	residual := nn.NewSequential(
		nn.Named("stem", conv), nn.ReLU{},
		nn.Residual{
			Body:     nn.NewSequential(nn.Conv2D{OutC: 8, Kernel: nn.Square(3), Same: true, Stride: nn.Square(2)}, nn.BatchNorm{}),
			Shortcut: nn.Conv2D{OutC: 8, Kernel: nn.Square(1), Stride: nn.Square(2)},
		},
		nn.ReLU{}, nn.Dropout{Rate: 0.25}, nn.GlobalAvgPool{}, nn.Dense{Out: 5},
	)
	branches := nn.NewSequential(nn.Concat{Branches: []nn.Layer{nil, nn.NewSequential(conv, nn.LayerNorm{})}}, nn.GlobalAvgPool{}, nn.Dense{Out: 5})
	pixels, err := Pixels(make([]byte, 16), 4, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	twice := append(Augmented{}.Epochs, pixels, pixels)
	maps := []Activation{
		{"conv1", "conv2d", nn.Shape{3, 3, 12}, numbers(108)},
		{"flat", "flatten", nn.Shape{40}, numbers(40)},
		{"dense1", "dense", nn.Shape{2}, []float32{-1, 2}},
	}
	return []drawing{
		{"network", func(w io.Writer, f string) error {
			return Network(w, f, "the teaching network", table(builtIn(t, "mnist-basic"), nn.Shape{28, 28, 1}), nn.Shape{28, 28, 1})
		}, []string{"the teaching network", "5 layers", "13.6 k parameters", "conv1", "conv2d", "3×3", "26×26×8", "80 parameters", "relu", "1352", "flatten1", "layer with weights"}},
		{"long network", func(w io.Writer, f string) error {
			return Network(w, f, "long", table(builtIn(t, "cifar10-basic"), nn.Shape{32, 32, 3}), nn.Shape{32, 32, 3})
		}, []string{"32×32×32", "3×3, same", "dropout 20%", "batch-norm", "dense2", "normalisation"}},
		{"residual network", func(w io.Writer, f string) error {
			return Network(w, f, "residual", table(residual, image), image)
		}, []string{"stem", "in residual1.body", "in residual1.shortcut", "body + shortcut", "6×6×8", "dropout 25%", "joining"}},
		{"branches", func(w io.Writer, f string) error {
			return Network(w, f, "branches", table(branches, image), image)
		}, []string{"in concat1.2", "side by side", "12×12×7", "concat", "joining"}},
		{"curves", func(w io.Writer, f string) error {
			return Curves(w, f, "a run", []Epoch{
				{1, Result{2, 0.3}, notMeasured(), Result{1.5, 0.5}}, {2, Result{1, 0.6}, notMeasured(), notMeasured()}, {3, Result{0.5, 0.8}, notMeasured(), Result{0.75, 0.8125}},
			}, nil)
		}, []string{"a run", "after 3 epochs: test accuracy 81.25%, test loss 0.7500", "epoch", "loss", "accuracy (%)", "training", "test"}},
		{"curves with validation", func(w io.Writer, f string) error {
			return Curves(w, f, "a run", []Epoch{{1, Result{2, 0.3}, Result{1.5, 0.5}, notMeasured()}, {2, Result{1, 0.6}, Result{1.25, 0.75}, notMeasured()}}, nil)
		}, []string{"after 2 epochs: validation accuracy 75.00%, validation loss 1.2500", "training", "validation"}},
		{"curve of one epoch", func(w io.Writer, f string) error {
			return Curves(w, f, "short", []Epoch{{1, Result{2, 0.25}, notMeasured(), notMeasured()}}, []Epoch{
				{0.25, Result{4, 0.1}, notMeasured(), notMeasured()}, {0.5, Result{3, 0.2}, notMeasured(), notMeasured()}, {1, Result{2, 0.3}, notMeasured(), notMeasured()},
			})
		}, []string{"after 1 epoch: training accuracy 25.00%"}},
		{"runs compared", func(w io.Writer, f string) error {
			return Compared(w, f, "two runs", "on the test images", []Series{
				{"one", [][]Point{{{1, 2, 0.5}, {2, 1, 0.75}}}},
				{"three seeds", [][]Point{{{1, 1.5, 0.5}, {2, 0.5, 0.8}, {3, 0.25, 0.9}}, {{1, 1.75, 0.4}, {2, math.NaN(), math.NaN()}}, {{1, 1.25, 0.6}}}},
				{"nothing", nil},
			})
		}, []string{"two runs", "on the test images", "epoch", "loss", "accuracy (%)", "one", "three seeds", "nothing"}},
		{"confusion", func(w io.Writer, f string) error {
			return Confusion(w, f, "who is who", [][]int{{7, 1, 0}, {2, 5, 0}, {0, 0, 0}}, []string{"cat", "dog", "a long name of a class"})
		}, []string{"who is who", "12 of 15 correct, 80.00%", "cat", "dog", "87.5%", "71.4%"}},
		{"gray filters", func(w io.Writer, f string) error {
			return Filters(w, f, "filters", []float32{1, -2, 0.5, 0, 0, 0, 0, 0}, []int{2, 2, 2, 1})
		}, []string{"2 filters of 2×2 over 1 channel", "−2.00", "2.00"}},
		{"coloured filters", func(w io.Writer, f string) error {
			return Filters(w, f, "filters", numbers(54), []int{2, 3, 3, 3})
		}, []string{"2 filters of 3×3 over 3 channels", "from its smallest to its largest weight"}},
		{"deep filters", func(w io.Writer, f string) error {
			return Filters(w, f, "filters", numbers(10), []int{2, 1, 1, 5})
		}, []string{"over 5 channels", "1.4"}},
		{"predictions", func(w io.Writer, f string) error {
			return Predictions(w, f, "answers", []Prediction{{pixels, "3", "3", 0.987, ""}, {pixels, "4", "9", 0.51, "a.png"}})
		}, []string{"2 images, 1 of them wrong", "99%", "51%", "is 4", "a.png"}},
		{"augmentation", func(w io.Writer, f string) error {
			return Augmentations(w, f, "augmented", "flip, mixup", []Augmented{
				{pixels, "cat", twice, [][]string{nil, {"70% cat", "30% dog"}}},
				{pixels, "dog", twice, [][]string{nil, nil}},
			})
		}, []string{"augmented", "flip, mixup", "epoch 2", "cat", "30% dog"}},
		{"range test", func(w io.Writer, f string) error {
			return Rates(w, f, "range test", rates(60), &tune.Suggestion{Rate: 0.0012, Steepest: 0.0012, Minimum: 0.01}, 0.1)
		}, []string{"range test", "suggested learning rate: 0.0012", "learning rate", "1e-05", "0.1", "loss, smoothed", "recipe's 0.1", "steepest 0.0012", "minimum / 10 0.001"}},
		{"range test without a descent", func(w io.Writer, f string) error {
			return Rates(w, f, "range test", rates(1), nil, 0.1)
		}, []string{"no suggestion: the loss did not fall"}},
		{"search", func(w io.Writer, f string) error {
			return Search(w, f, "search", "four trials", searchAxes(), []SearchTrial{
				{1, 1, 0.97, false}, {2, 0, 0.96, false}, {3, 0, 0.1, false}, {4, 0, math.NaN(), true},
			}, []string{"to epoch 1", "to epoch 3"})
		}, []string{"four trials", "optimizer.lr", "batch", "momentum", "name", "validation accuracy (%)", "64", "0.001", "trained to epoch 3", "the best", "lower", "diverged or failed", "a value wit…"}},
		{"histograms", func(w io.Writer, f string) error {
			d, one := Distribution{-1, 2, 0.5, 1, []float32{1, 0, 7, 2}}, Distribution{3, 3, 3, 0, []float32{4}}
			return Histograms(w, f, "small on pictures", []Histogram{{"weights of conv1.weight", d, &Distribution{-2, 1, 0, 1, []float32{1, 9}}}, {"b", one, nil}, {"c", d, nil}, {"d", d, &one}})
		}, []string{"small on pictures", "weights of conv1.weight", "mean 0.5, standard"}},
		{"features", func(w io.Writer, f string) error {
			return FeatureMaps(w, f, "features", pixels, maps, []string{"no", "yes"})
		}, []string{"input", "conv1", "conv2d 3x3x12", "dense1", "yes"}},
	}
}

// rates returns the points of a range test from 1e-5 to 1, whose loss explodes.
func rates(n int) []tune.Point {
	points := make([]tune.Point, n)
	for i := range points {
		x := float64(i) / float64(max(1, n-1))
		loss := 2.3 - 2*x + math.Pow(3*x, 8)
		points[i] = tune.Point{Step: i + 1, Rate: math.Pow(10, 5*x-5), Loss: loss + 0.1*math.Sin(50*x), Smooth: loss}
	}
	points[n-1].Loss = math.Inf(1)
	return points
}

// searchAxes returns a logarithmic range, a list, a range and a list of texts, with four trials.
func searchAxes() []SearchAxis {
	return []SearchAxis{
		{Key: "optimizer.lr", Low: 1e-4, High: 0.1, Log: true, Settings: []string{"0.01", "0.02", "0.1", "0.1"}},
		{Key: "batch", Values: []string{"64", "128"}, Settings: []string{"64", "64", "128", "128"}},
		{Key: "optimizer.momentum", Low: 0.8, High: 0.9, Settings: []string{"0.8", "0.85", "0.9", "0.8123"}},
		{Key: "name", Values: []string{"a", "a value with spaces"}, Settings: []string{"a", "a value with spaces", "a", "other"}},
	}
}

// numbers returns n different numbers around 0.
func numbers(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.Sin(float64(i)))
	}
	return v
}

// rows returns a network's table.
func rows(t *testing.T, model nn.Layer, input nn.Shape) []nn.LayerInfo {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	net, err := nn.Compile(dev, model, nn.Options{Input: input, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	return net.Layers()
}

func TestPNG(t *testing.T) {
	for _, d := range drawings(t) {
		t.Run(d.name, func(t *testing.T) {
			first := encode(t, d, "png")
			img, err := png.Decode(bytes.NewReader(first))
			if err != nil {
				t.Fatal(err)
			}
			if size := img.Bounds().Size(); size.X < 1000 || size.X > 1500 || size.Y < 200 {
				t.Errorf("the picture has %v pixels, want a width of 1000 to 1500", size)
			}
			if colours(img) < 8 {
				t.Errorf("the picture has %d colours: nothing is drawn", colours(img))
			}
			if !bytes.Equal(first, encode(t, d, "png")) {
				t.Error("the same figure gave other bytes")
			}
		})
	}
}

func TestSVG(t *testing.T) {
	for _, d := range drawings(t) {
		t.Run(d.name, func(t *testing.T) {
			first := encode(t, d, "svg")
			text := checkSVG(t, first)
			for _, label := range d.labels {
				if !strings.Contains(text, label) {
					t.Errorf("there is no text %q", label)
				}
			}
			if !bytes.Equal(first, encode(t, d, "svg")) {
				t.Error("the same figure gave other bytes")
			}
		})
	}
}

func encode(t *testing.T, d drawing, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.draw(&b, format); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// colours counts a picture's colours.
func colours(img image.Image) int {
	seen := map[[3]uint32]bool{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, b, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r, g, b}] = true
		}
	}
	return len(seen)
}

// checkSVG parses an SVG, wants a fallback for every font, numbers that are finite, and
// returns its text, a line for each element.
func checkSVG(t *testing.T, svg []byte) string {
	t.Helper()
	var text strings.Builder
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
			text.WriteByte('\n')
		case xml.StartElement:
			for _, a := range token.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("<%s %s=%q> is not finite", token.Name.Local, a.Name.Local, a.Value)
				}
				if strings.Contains(a.Value, "font-family") && !strings.Contains(a.Value, "sans-serif") {
					t.Errorf("text without a font to fall back on: %s", a.Value)
				}
			}
		}
	}
}

func TestWhatCannotBeDrawn(t *testing.T) {
	layers := []Layer{{LayerInfo: nn.LayerInfo{Name: "dense1", Kind: "dense", Output: nn.Shape{2}}}}
	gray := image.NewGray(image.Rect(0, 0, 2, 2))
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"format", Network(io.Discard, "gif", "", layers, nn.Shape{2}), `format "gif", want one of png, svg`},
		{"no layers", Network(io.Discard, "png", "", nil, nn.Shape{2}), "no layers"},
		{"no input", Network(io.Discard, "png", "", layers, nil), "no shape of the input"},
		{"no epochs", Curves(io.Discard, "png", "", nil, nil), "no epochs"},
		{"no classes", Confusion(io.Discard, "png", "", nil, nil), "no classes"},
		{"names", Confusion(io.Discard, "png", "", [][]int{{1}}, []string{"a", "b"}), "2 names for 1 classes"},
		{"ragged", Confusion(io.Discard, "png", "", [][]int{{1, 2}, {3}}, []string{"a", "b"}), "row 1 has 1 columns, want 2"},
		{"no filters", Filters(io.Discard, "png", "", nil, []int{0, 3, 3, 1}), "[0 3 3 1]"},
		{"not filters", Filters(io.Discard, "png", "", numbers(6), []int{2, 3}), "want [outC, kH, kW, inC]"},
		{"too few weights", Filters(io.Discard, "png", "", numbers(5), []int{1, 2, 3, 1}), "5 values"},
		{"no predictions", Predictions(io.Discard, "png", "", nil), "no predictions"},
		{"no rates", Rates(io.Discard, "png", "", nil, nil, 1), "no steps"},
		{"no trials", Search(io.Discard, "png", "", "", searchAxes(), nil, nil), "no settings, or no trials"},
		{"format of a search", Search(io.Discard, "gif", "", "", nil, nil, nil), `format "gif"`},
		{"format of a range test", Rates(io.Discard, "gif", "", nil, nil, 1), `format "gif"`},
		{"no maps", FeatureMaps(io.Discard, "png", "", gray, nil, nil), "no layers"},
		{"values", FeatureMaps(io.Discard, "png", "", gray, []Activation{{"conv1", "conv2d", nn.Shape{2, 2, 1}, numbers(3)}}, nil), "layer conv1"},
		{"scores", FeatureMaps(io.Discard, "png", "", gray, []Activation{{"dense1", "dense", nn.Shape{2}, numbers(2)}}, []string{"a"}), "each of 1 classes"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, c.err, c.want)
		}
	}
	if _, err := Pixels(make([]byte, 8), 2, 2, 2); err == nil {
		t.Error("an image of two channels was made")
	}
	if _, err := Pixels(make([]byte, 3), 2, 2, 1); err == nil {
		t.Error("an image was made of too few bytes")
	}
}

func TestPixelsAreInOrder(t *testing.T) {
	img, err := Pixels([]byte{1, 2, 3, 4, 5, 6}, 1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	r, g, b, _ := img.At(1, 0).RGBA()
	if r>>8 != 4 || g>>8 != 5 || b>>8 != 6 {
		t.Errorf("the second pixel is %d, %d, %d; want 4, 5, 6", r>>8, g>>8, b>>8)
	}
}

func TestLayersTellTheDetails(t *testing.T) {
	model := nn.NewSequential(
		nn.Conv2D{OutC: 4, Kernel: nn.Pair{H: 3, W: 5}, Stride: nn.Pair{H: 2, W: 1}, Padding: nn.Square(2), Dilation: nn.Square(2), Groups: 2, Frozen: true},
		nn.AvgPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)},
		nn.Flatten{}, nn.Dense{Out: 2}, nn.Named("temperature", nn.Scale{By: 0.5}),
	)
	var got []string
	for _, l := range Layers(rows(t, model, nn.Shape{20, 20, 2}), model, nn.LayerKinds()) {
		got = append(got, l.Name+": "+l.Detail)
	}
	want := "conv1: 3×5, stride 2×1, padding 2, dilation 2, 2 groups, frozen|pool1: 3×3, stride 2, padding 1|flatten1: |dense1: |temperature: × 0.5"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

func TestReadSteps(t *testing.T) {
	line := func(n int) string {
		return fmt.Sprintf(`{"step":%d,"epoch":%g,"train_loss":%d,"train_accuracy":0.5,"learning_rate":0.1}`+"\n", n, float64(n)/8, n)
	}
	steps, err := ReadSteps(strings.NewReader(line(1) + line(2)))
	if err != nil || len(steps) != 2 || steps[1].Epoch != 0.25 || steps[1].Train.Loss != 2 || !math.IsNaN(steps[1].Test.Loss) {
		t.Errorf("steps %v, %v", steps, err)
	}
	var long strings.Builder
	for n := range maxSteps + 2 {
		long.WriteString(line(n))
	}
	if steps, err = ReadSteps(strings.NewReader(long.String())); err != nil || len(steps) != maxSteps/2+2 || steps[1].Train.Loss != 2.5 || steps[1].Epoch != 3.0/8 {
		t.Errorf("%d steps of a long file, the second %v; %v", len(steps), steps[1], err)
	}
	for text, want := range map[string]string{"{": "steps, line 1: ", line(1) + `{"step":2}`: "steps, line 2: missing epoch"} {
		if _, err := ReadSteps(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestReadMetrics(t *testing.T) {
	epochs, err := ReadMetrics(strings.NewReader(
		`{"epoch":1,"train_loss":2,"train_accuracy":0.5,"val_loss":1.75,"val_accuracy":0.625,"evaluated":true,"test_loss":1.5,"test_accuracy":0.75}
{"epoch":2,"train_loss":null,"train_accuracy":0.5,"evaluated":false,"test_loss":0,"test_accuracy":0}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(epochs) != 2 || epochs[0] != (Epoch{1, Result{2, 0.5}, Result{1.75, 0.625}, Result{1.5, 0.75}}) {
		t.Errorf("got %+v", epochs)
	}
	for _, v := range []float64{epochs[1].Train.Loss, epochs[1].Validation.Loss, epochs[1].Validation.Accuracy, epochs[1].Test.Loss, epochs[1].Test.Accuracy} {
		if !math.IsNaN(v) {
			t.Errorf("an epoch without a test is %+v", epochs[1])
		}
	}
	if epochs[1].Train.Accuracy != 0.5 {
		t.Errorf("an epoch without a test is %+v", epochs[1])
	}
	for text, want := range map[string]string{"{\n": "line 1", "{\"epoch\":1}\n{}\n": "line 2: missing epoch"} {
		if _, err := ReadMetrics(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", text, err, want)
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		ticks     roundTicks
		low, high float64
		want      string
	}{
		{roundTicks{"%g", true}, 0, 3, "0 1 2 3"},
		{roundTicks{"%g", true}, 0, 18, "0 5 10 15"},
		{roundTicks{"%.3g", false}, 0.06, 0.27, "0.1 0.15 0.2 0.25"},
		{roundTicks{"%.4g", false}, 93.1, 97.9, "94 95 96 97"},
	} {
		var labels []string
		for _, tick := range c.ticks.Ticks(c.low, c.high) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("ticks from %v to %v: %s, want %s", c.low, c.high, got, c.want)
		}
	}
}
