// Package docs_test holds the documents to the code: the numbers of the worked example are
// computed again, and links to files lead somewhere.
package docs_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/docs"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/optim"
)

// The worked example's network and its only image.
var (
	image = []float32{
		0, 1, 2, 1, 0,
		0, 0, 1, 2, 0,
		1, 0, 0, 2, 1,
		2, 1, 0, 1, 0,
		0, 2, 1, 0, 1,
	}
	filter     = []float32{0.5, -0.5, -0.25, 1}
	filterBias = []float32{-0.5}
	weight     = []float32{0.2, -0.1, 0.4, 0.3, -0.3, 0.1, 0.1, 0.2}
	weightBias = []float32{0, 0.1}
	label      = []int32{0}
)

const learningRate = 0.1

// TestWorkedExample compares every number in the document's example with what the layers'
// operations, and the compiled network, give.
func TestWorkedExample(t *testing.T) {
	dev, err := cpu.New()
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	r := &rig{t, dev}
	computed := r.layers()
	printed := examples(t, "backpropagation.md")
	for name, want := range computed {
		got, ok := printed[name]
		if !ok {
			t.Errorf("the document has no block \"example:%s\"; it would hold\n%s", name, format(want))
			continue
		}
		compare(t, name, got, want)
	}
	for name := range printed {
		if _, ok := computed[name]; !ok {
			t.Errorf("the document's block \"example:%s\" is not computed here", name)
		}
	}
	for name, want := range r.network() {
		compare(t, name+" of the compiled network", printed[name], want)
	}
}

// number is a printed number and the place value of its last digit.
type number struct{ value, unit float64 }

// examples returns the numbers in the blocks ```text example:NAME.
func examples(t *testing.T, file string) map[string][]number {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string][]number{}
	for _, m := range regexp.MustCompile("(?ms)^```text example:(\\S+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if _, ok := blocks[m[1]]; ok {
			t.Errorf("two blocks \"example:%s\"", m[1])
		}
		blocks[m[1]] = []number{}
		for _, field := range strings.Fields(m[2]) {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatalf("block example:%s: %v", m[1], err)
			}
			decimals := 0
			if dot := strings.IndexByte(field, '.'); dot >= 0 {
				decimals = len(field) - dot - 1
			}
			blocks[m[1]] = append(blocks[m[1]], number{v, math.Pow(10, -float64(decimals))})
		}
	}
	return blocks
}

// compare wants the printed numbers to be the computed ones, rounded.
func compare(t *testing.T, name string, printed []number, computed []float32) {
	t.Helper()
	if len(printed) != len(computed) {
		t.Errorf("%s: the document has %d numbers, computed are %d", name, len(printed), len(computed))
		return
	}
	const rounding = 1e-6 // of float32
	for i, p := range printed {
		if diff := math.Abs(p.value - float64(computed[i])); !(diff <= p.unit/2+rounding) {
			t.Errorf("%s: number %d is %v in the document, computed is %v", name, i, p.value, computed[i])
		}
	}
}

func format(values []float32) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%.4f ", v)
	}
	return b.String()
}

// rig runs operations on host values.
type rig struct {
	*testing.T
	dev device.Device
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// tensor uploads values; without values it is all zeros.
func (r *rig) tensor(values []float32, shape ...int) *device.Tensor {
	r.Helper()
	t, err := r.dev.NewTensor(device.Float32, shape...)
	r.must(err)
	if values != nil {
		r.must(r.dev.Upload(t, device.Bytes(values)))
	}
	return t
}

func (r *rig) labels() *device.Tensor {
	r.Helper()
	t, err := r.dev.NewTensor(device.Int32, len(label))
	r.must(err)
	r.must(r.dev.Upload(t, device.Bytes(label)))
	return t
}

func (r *rig) values(t *device.Tensor) []float32 {
	r.Helper()
	v := make([]float32, t.Len())
	r.must(r.dev.Download(device.Bytes(v), t))
	return v
}

// layers computes the example's step operation by operation.
func (r *rig) layers() map[string][]float32 {
	x, w, b := r.tensor(image, 1, 5, 5, 1), r.tensor(filter, 1, 2, 2, 1), r.tensor(filterBias, 1)
	dw, db := r.tensor(nil, 1, 2, 2, 1), r.tensor(nil, 1)
	u, c := r.tensor(weight, 4, 2), r.tensor(weightBias, 2)
	du, dc := r.tensor(nil, 4, 2), r.tensor(nil, 2)
	y, relu, pool, z := r.tensor(nil, 1, 4, 4, 1), r.tensor(nil, 1, 4, 4, 1), r.tensor(nil, 1, 2, 2, 1), r.tensor(nil, 1, 2)
	dx, dy, drelu, dpool, dz := r.tensor(nil, 1, 5, 5, 1), r.tensor(nil, 1, 4, 4, 1), r.tensor(nil, 1, 4, 4, 1), r.tensor(nil, 1, 2, 2, 1), r.tensor(nil, 1, 2)
	p, stats := r.tensor(nil, 1, 2), r.tensor(nil, device.StatsLen)

	convolution, err := r.dev.NewConv2D(device.Conv2DSpec{
		N: 1, H: 5, W: 5, InC: 1, OutC: 1, KH: 2, KW: 2,
		StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, Bias: true,
	})
	r.must(err)
	activation, err := r.dev.NewActivation(device.ActivationSpec{Function: nn.ReLU{}.Activation().Function, Len: 16})
	r.must(err)
	pooling, err := r.dev.NewPool2D(device.Pool2DSpec{
		Mode: device.MaxPool, N: 1, H: 4, W: 4, C: 1, KH: 2, KW: 2, StrideH: 2, StrideW: 2,
	})
	r.must(err)
	dense, err := r.dev.NewMatMul(device.MatMulSpec{M: 1, N: 2, K: 4, Bias: true})
	r.must(err)
	denseFilter, err := r.dev.NewMatMul(device.MatMulSpec{M: 4, N: 2, K: 1, TransA: true})
	r.must(err)
	denseData, err := r.dev.NewMatMul(device.MatMulSpec{M: 1, N: 4, K: 2, TransB: true})
	r.must(err)
	sumRows, err := r.dev.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 1, Rows: 1, C: 2, Keep: device.AxisC})
	r.must(err)
	softmax, err := r.dev.NewSoftmax(device.SoftmaxSpec{N: 1, Classes: 2})
	r.must(err)
	loss, err := r.dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 1, Classes: 2})
	r.must(err)

	forward := func() float32 {
		r.dev.Zero(stats)
		convolution.Forward(y, x, w, b)
		activation.Forward(relu, y)
		pooling.Forward(pool, relu)
		dense.Run(z, pool.View(1, 4), u, c)
		softmax.Forward(p, z)
		loss.Forward(stats, z, r.labels(), nil)
		return r.values(stats)[device.StatLoss]
	}
	out := map[string][]float32{
		"image": image, "filter": filter, "filter-bias": filterBias, "weight": weight, "weight-bias": weightBias,
		"loss": {forward()},
		"conv": r.values(y), "relu": r.values(relu), "pool": r.values(pool), "logits": r.values(z), "softmax": r.values(p),
	}
	loss.Backward(dz, z, r.labels(), nil)
	denseFilter.Run(du, pool.View(1, 4), dz, nil)
	sumRows.Run(dc, dz, nil)
	denseData.Run(dpool.View(1, 4), dz, u, nil)
	pooling.Backward(drelu, dpool, pool, relu)
	activation.Backward(dy, drelu, y, relu)
	convolution.BackwardFilter(dw, db, dy, x)
	convolution.BackwardData(dx, dy, w)
	for name, t := range map[string]*device.Tensor{
		"d-logits": dz, "d-weight": du, "d-weight-bias": dc, "d-pool": dpool, "d-relu": drelu,
		"d-conv": dy, "d-filter": dw, "d-filter-bias": db, "d-image": dx,
	} {
		out[name] = r.values(t)
	}
	r.descend(w, dw)
	r.descend(b, db)
	r.descend(u, du)
	r.descend(c, dc)
	out["new-filter"], out["new-filter-bias"] = r.values(w), r.values(b)
	out["new-weight"], out["new-weight-bias"] = r.values(u), r.values(c)
	out["new-loss"] = []float32{forward()}
	out["new-softmax"] = r.values(p)
	return out
}

// descend is the step of plain gradient descent, w - LR*dw.
func (r *rig) descend(w, dw *device.Tensor) {
	values := r.values(w)
	for i, g := range r.values(dw) {
		values[i] -= learningRate * g
	}
	r.must(r.dev.Upload(w, device.Bytes(values)))
}

// network computes the example's step as training does: a compiled network and an
// optimiser.
func (r *rig) network() map[string][]float32 {
	net, err := nn.Compile(r.dev, nn.NewSequential(
		nn.Conv2D{OutC: 1, Kernel: nn.Square(2)}, nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Flatten{}, nn.Dense{Out: 2},
	), nn.Options{Input: nn.Shape{5, 5, 1}, Batch: 1, Training: true, Loss: nn.CrossEntropy{}})
	r.must(err)
	params := map[string]*nn.Param{}
	for _, p := range net.Params() {
		params[p.Name] = p
	}
	for name, values := range map[string][]float32{
		"conv1.weight": filter, "conv1.bias": filterBias, "dense1.weight": weight, "dense1.bias": weightBias,
	} {
		r.must(r.dev.Upload(params[name].Value, device.Bytes(values)))
	}
	opt, err := optim.New(r.dev, net.Params(), net.State(), optim.Config{Algorithm: "sgd", LR: learningRate}, nil, 1, 1)
	r.must(err)

	x, labels := r.tensor(image, 1, 5, 5, 1), r.labels()
	logits := r.values(net.Forward(x, nn.Training))
	net.Loss(labels)
	before := r.values(net.Stats())[device.StatLoss]
	net.Backward(labels)
	out := map[string][]float32{
		"logits": logits, "loss": {before},
		"d-filter": r.values(params["conv1.weight"].Grad), "d-filter-bias": r.values(params["conv1.bias"].Grad),
		"d-weight": r.values(params["dense1.weight"].Grad), "d-weight-bias": r.values(params["dense1.bias"].Grad),
	}
	r.must(opt.Step(0))
	out["new-filter"], out["new-filter-bias"] = r.values(params["conv1.weight"].Value), r.values(params["conv1.bias"].Value)
	out["new-weight"], out["new-weight-bias"] = r.values(params["dense1.weight"].Value), r.values(params["dense1.bias"].Value)
	r.dev.Zero(net.Stats())
	net.Forward(x, nn.Training)
	net.Loss(labels)
	out["new-loss"] = []float32{r.values(net.Stats())[device.StatLoss]}
	return out
}

// TestPageLinks makes sure that the links to the page of trainer serve name numbers of the worked example.
func TestPageLinks(t *testing.T) {
	dev, err := cpu.New()
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	x, err := inspect.WorkedExample(dev)
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{}
	for _, p := range x.Session.Places() {
		shapes[p.Name] = p.Shape
		for _, tensor := range p.Tensors {
			shapes[tensor.Name] = tensor.Shape
		}
	}
	shapes["loss"], shapes["step"] = nil, nil // panels, not numbers
	text, err := os.ReadFile("backpropagation.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\(http://127\.0\.0\.1:8080/#learn/worked-example/([^/)]+)(?:/([a-z-]+)/([0-9,]+))?\)`).FindAllStringSubmatch(string(text), -1)
	if len(links) < 10 {
		t.Errorf("%d links", len(links))
	}
	for _, m := range links {
		shape, ok := shapes[m[1]]
		at := strings.Split(m[3], ",")
		if m[3] == "" {
			at = nil
		}
		if !ok || len(at) != len(shape) {
			t.Errorf("%s: the worked example has no such number", m[0])
			continue
		}
		for d, k := range at {
			if n, err := strconv.Atoi(k); err != nil || n >= shape[d] {
				t.Errorf("%s: the shape is %v", m[0], shape)
			}
		}
	}
}

// TestPageText makes sure that the text that the page shows has its figures with it, and the sections that the page links to.
func TestPageText(t *testing.T) {
	text, err := docs.Text.ReadFile("backpropagation.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`!\[[^]]*\]\(([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := docs.Text.ReadFile(m[1]); err != nil {
			t.Errorf("%s is not part of the program: %v", m[1], err)
		}
	}
	page, err := os.ReadFile("../cmd/trainer/internal/serve/web/src/read/read.js")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "const sections = {")
	table, _, _ = strings.Cut(table, "}")
	links := regexp.MustCompile(`: "([a-z-]+)"`).FindAllStringSubmatch(table, -1)
	if len(links) < 10 {
		t.Errorf("%d sections in read.js", len(links))
	}
	for _, m := range links {
		heading := "\n### " + strings.ReplaceAll(m[1], "-", " ") + "\n"
		if !strings.Contains(strings.ToLower(strings.ReplaceAll(string(text), "-", " ")), heading) {
			t.Errorf("read.js links to the section %s, which the text lacks", m[1])
		}
	}
}

// TestLinks makes sure that the documents' links to files of this project lead to one.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(documents) == 0 {
		t.Fatal("no documents found")
	}
	documents = append(documents, "../README.md")
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), m[1])); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}
