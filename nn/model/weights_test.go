package model_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/export"
	"trainer/nn/model"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// resNet is torchvision's ResNet-18 with the names of the recipe resnet18, and with a number of channels of its own.
func resNet(width, classes int) *nn.Sequential {
	conv := func(name string, out, kernel, stride int) nn.Layer {
		return nn.Named(name, nn.Conv2D{OutC: out, Kernel: nn.Square(kernel), Stride: nn.Square(stride), Padding: nn.Square(kernel / 2), NoBias: true})
	}
	layers := []nn.Layer{
		conv("conv1", width, 7, 2), nn.Named("bn1", nn.BatchNorm{}), nn.ReLU{},
		nn.MaxPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)},
	}
	for stage := range 4 {
		for n := range 2 {
			out, stride := width<<stage, 1
			var shortcut nn.Layer
			if stage > 0 && n == 0 {
				stride = 2
				shortcut = nn.NewSequential(conv("conv", out, 1, 2), nn.Named("bn", nn.BatchNorm{}))
			}
			body := nn.NewSequential(
				conv("conv1", out, 3, stride), nn.Named("bn1", nn.BatchNorm{}), nn.ReLU{},
				conv("conv2", out, 3, 1), nn.Named("bn2", nn.BatchNorm{}),
			)
			layers = append(layers, nn.Named(fmt.Sprintf("layer%d-%d", stage+1, n), nn.Residual{Body: body, Shortcut: shortcut}), nn.ReLU{})
		}
	}
	return nn.NewSequential(append(layers, nn.GlobalAvgPool{}, nn.Named("fc", nn.Dense{Out: classes}))...)
}

// stateDict returns the tensors of torchvision's resnet18, in the order of its definition, with made-up numbers.
func stateDict(width, classes int) []train.NamedValues {
	var list []train.NamedValues
	add := func(name string, shape ...int) {
		n := nn.Shape(shape).Len()
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(math.Sin(float64(i+100*len(list)))) / 4
			if strings.HasSuffix(name, "running_var") {
				v[i] += 1
			}
		}
		list = append(list, train.NamedValues{Name: name, Shape: shape, Values: v})
	}
	norm := func(name string, c int) {
		for _, tensor := range []string{"weight", "bias", "running_mean", "running_var"} {
			add(name+"."+tensor, c)
		}
	}
	add("conv1.weight", width, 3, 7, 7)
	norm("bn1", width)
	in := width
	for stage := range 4 {
		out := width << stage
		for n := range 2 {
			block := fmt.Sprintf("layer%d.%d.", stage+1, n)
			add(block+"conv1.weight", out, in, 3, 3)
			norm(block+"bn1", out)
			add(block+"conv2.weight", out, out, 3, 3)
			norm(block+"bn2", out)
			if stage > 0 && n == 0 {
				add(block+"downsample.0.weight", out, in, 1, 1)
				norm(block+"downsample.1", out)
			}
			in = out
		}
	}
	add("fc.weight", classes, in)
	add("fc.bias", classes)
	return list
}

func numbered(n int) []string {
	var names []string
	for k := range n {
		names = append(names, fmt.Sprint("class ", k))
	}
	return names
}

func compiled(t testing.TB, dev device.Device, layers nn.Layer, shape nn.Shape, seed uint64) *nn.Network {
	t.Helper()
	net, err := nn.Compile(dev, layers, nn.Options{Input: shape, Batch: 3, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func tensors(t testing.TB, net *nn.Network) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, p := range net.Tensors() {
		all[p.Name] = make([]float32, p.Value.Len())
		if err := net.Device().Download(device.Bytes(all[p.Name]), p.Value); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func opened(t testing.TB, path string) *model.Weights {
	t.Helper()
	w, err := model.OpenWeights(path)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Every tensor of torchvision's ResNet-18 finds its place, with PyTorch's order of dimensions turned into ours; so it does
// in the files of programs that wrap the network.
func TestTorchvisionNamesAreKnown(t *testing.T) {
	dev := newDevice(t)
	const width, nClasses = 4, 7
	for _, prefix := range []string{"", "module.", "module.model."} {
		list := stateDict(width, nClasses)
		theirs := map[string][]float32{}
		for i := range list {
			theirs[list[i].Name] = list[i].Values
			list[i].Name = prefix + list[i].Name
		}
		path := foreign(t, list)
		layers := resNet(width, nClasses)
		net := compiled(t, dev, layers, nn.Shape{33, 35, 3}, 1)
		report, err := opened(t, path).Apply(net, layers, numbered(nClasses))
		if err != nil {
			t.Fatal(err)
		}
		if report.Loaded != len(list) || report.ByShape != 0 || len(report.Fresh) != 0 || len(report.Left) != 0 {
			t.Errorf("prefix %q: %v, %d tensors in the file", prefix, report, len(list))
		}
		ours := tensors(t, net)
		const out, in, y, x = 5, 2, 1, 2
		if got, want := ours["layer2-0.body.conv1.weight"][((out*3+y)*3+x)*width+in], theirs["layer2.0.conv1.weight"][((out*width+in)*3+y)*3+x]; got != want {
			t.Errorf("a weight of a filter is %v, want %v", got, want)
		}
		if got, want := ours["fc.weight"][in*nClasses+out], theirs["fc.weight"][out*8*width+in]; got != want {
			t.Errorf("a weight of the last layer is %v, want %v", got, want)
		}
		for our, their := range map[string]string{
			"layer3-0.shortcut.bn.running_var": "layer3.0.downsample.1.running_var", "layer4-1.body.bn2.bias": "layer4.1.bn2.bias", "fc.bias": "fc.bias",
		} {
			if !slices.Equal(ours[our], theirs[their]) {
				t.Errorf("%s is not %s", our, their)
			}
		}
	}
}

// foreign writes tensors as another program does: without this program's metadata, and with a counter.
func foreign(t testing.TB, list []train.NamedValues) string {
	t.Helper()
	var header, elements []byte
	header = append(header, `{"num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]}`...)
	elements = binary.LittleEndian.AppendUint64(elements, 3)
	for _, v := range list {
		begin := len(elements)
		for _, x := range v.Values {
			elements = binary.LittleEndian.AppendUint32(elements, math.Float32bits(x))
		}
		shape := strings.ReplaceAll(fmt.Sprint(v.Shape), " ", ",")
		header = fmt.Appendf(header, `,%q:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, v.Name, shape, begin, len(elements))
	}
	header = append(header, '}')
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	path := filepath.Join(t.TempDir(), "theirs.safetensors")
	if err := os.WriteFile(path, slices.Concat(raw, header, elements), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// What this program writes in any format gives the same weights again, bit by bit.
func TestOwnFilesOfEveryFormatGiveTheSameWeights(t *testing.T) {
	dev := newDevice(t)
	const text = `name = "mixed"
epochs = 1
batch = 4
optimizer = { kind = "sgd", lr = 0.1 }
loss = { kind = "cross-entropy" }
network = [
  { layer = "conv2d", out = 8, kernel = 3, groups = 1 }, { layer = "batch-norm" }, { layer = "prelu" },
  { layer = "residual", name = "a-b", body = [ { layer = "conv2d", out = 8, kernel = 3, padding = 1, groups = 2 }, { layer = "group-norm", groups = 2 } ] },
  { layer = "flatten" }, { layer = "dense", out = 6 }, { layer = "batch-norm" }, { layer = "dense", out = "classes" },
]`
	r, err := recipe.Parse("mixed.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	info := tinyInfo()
	info.Recipe = text
	folder := t.TempDir()
	path := filepath.Join(folder, model.FileName)
	first := compiled(t, dev, r.Model(len(classes)), nn.Shape{6, 8, 3}, 1)
	if err := model.Save(path, first, info); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(path, dev)
	if err != nil {
		t.Fatal(err)
	}
	onnx, torch := filepath.Join(folder, "m.onnx"), filepath.Join(folder, "torch")
	if err := errors.Join(export.ONNX(onnx, m, export.ONNXOptions{}), export.PyTorch(torch, m)); err != nil {
		t.Fatal(err)
	}
	want := tensors(t, first)
	for _, file := range []string{path, folder, onnx, filepath.Join(torch, export.PyTorchWeights)} {
		layers := r.Model(len(classes))
		net := compiled(t, dev, layers, nn.Shape{6, 8, 3}, 2)
		report, err := opened(t, file).Apply(net, layers, classes)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Fresh) != 0 || len(report.Left) != 0 || report.Loaded != len(want) || report.ByShape != 0 {
			t.Errorf("%v", report)
		}
		for name, got := range tensors(t, net) {
			if !slices.Equal(got, want[name]) {
				t.Errorf("%s: %s differs", filepath.Base(file), name)
			}
		}
	}
}

// The outputs of a model belong to its classes by their names, never by their places.
func TestClassesAreMatchedByName(t *testing.T) {
	dev := newDevice(t)
	path := saved(t, dev, tinyInfo())
	layersFor := func(n int) *nn.Sequential {
		r, err := recipe.Parse("tiny.toml", []byte(network))
		if err != nil {
			t.Fatal(err)
		}
		return r.Model(n)
	}
	first := tensors(t, tiny(t, dev))
	other := slices.Clone(classes)
	other[1] = "horse"
	permuted := []string{classes[2], classes[0], classes[4], classes[3], classes[1]}
	for _, tt := range []struct {
		classes []string
		fresh   string
	}{
		{permuted, ""},
		{other, "; fresh: dense1.weight, dense1.bias (other classes); unused in the file: dense1.bias, dense1.weight"},
		{classes[:3], "; fresh: dense1.weight, dense1.bias (other classes); unused in the file: dense1.bias, dense1.weight"},
	} {
		layers := layersFor(len(tt.classes))
		net := compiled(t, dev, layers, nn.Shape{6, 8, 3}, 2)
		before := tensors(t, net)
		report, err := opened(t, path).Apply(net, layers, tt.classes)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%s: loaded %d of 4 tensors%s", path, report.Loaded, tt.fresh)
		if report.String() != want {
			t.Errorf("%q, want %q", report, want)
		}
		after := tensors(t, net)
		if !slices.Equal(after["conv1.weight"], first["conv1.weight"]) {
			t.Error("the filters are not the file's")
		}
		if tt.fresh != "" {
			if !slices.Equal(after["dense1.weight"], before["dense1.weight"]) {
				t.Error("the last layer is not fresh")
			}
			continue
		}
		for i, v := range after["dense1.weight"] {
			k := slices.Index(classes, permuted[i%5])
			if want := first["dense1.weight"][i/5*5+k]; v != want {
				t.Fatalf("weight %d of the last layer is %v, want %v", i, v, want)
			}
		}
	}
}

// Tensors of unknown names are matched by their shapes where there is no choice, and never where there is one.
func TestShapesDecideOnlyWithoutAChoice(t *testing.T) {
	dev := newDevice(t)
	filters := func(n int) []float32 { return make([]float32, n) }
	path := foreign(t, []train.NamedValues{
		{Name: "stem.kernel.weight", Shape: []int{4, 3, 3, 3}, Values: filters(108)},
		{Name: "stem.kernel.bias", Shape: []int{4}, Values: []float32{1, 2, 3, 4}},
		{Name: "a.weight", Shape: []int{4, 4, 3, 3}, Values: filters(144)},
		{Name: "b.weight", Shape: []int{4, 4, 3, 3}, Values: filters(144)},
	})
	conv := nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}
	layers := nn.NewSequential(conv, conv, conv, nn.Flatten{}, nn.Dense{Out: 2})
	net := compiled(t, dev, layers, nn.Shape{9, 9, 3}, 2)
	report, err := opened(t, path).Apply(net, layers, []string{"x", "y"})
	if err != nil {
		t.Fatal(err)
	}
	want := path + ": loaded 2 of 8 tensors, 2 of them by their shape; fresh: conv2.weight, conv2.bias, conv3.weight, conv3.bias and 2 more (not in the file); unused in the file: a.weight, b.weight"
	if report.String() != want {
		t.Errorf("%q, want %q", report, want)
	}
	if got := tensors(t, net)["conv1.bias"]; !slices.Equal(got, []float32{1, 2, 3, 4}) {
		t.Errorf("the bias is %v", got)
	}
}

func TestWhatFitsNothingIsRefused(t *testing.T) {
	dev := newDevice(t)
	layers := resNet(4, 7)
	net := compiled(t, dev, layers, nn.Shape{33, 33, 3}, 2)
	before := tensors(t, net)
	path := foreign(t, []train.NamedValues{{Name: "bn1.bias", Shape: []int{4}, Values: make([]float32, 4)}, {Name: "embed.weight", Shape: []int{9, 2}, Values: make([]float32, 18)}})
	_, err := opened(t, path).Apply(net, layers, numbered(7))
	if _, ok := errors.AsType[*train.MismatchError](err); !ok || !strings.Contains(err.Error(), "nothing in it fits the network: it has, for example, embed.weight [9 2]") {
		t.Errorf("%v", err)
	}
	for name, v := range tensors(t, net) {
		if !slices.Equal(v, before[name]) {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestFilesWithoutWeightsAreRefused(t *testing.T) {
	dev := newDevice(t)
	whole, err := os.ReadFile(saved(t, dev, tinyInfo()))
	if err != nil {
		t.Fatal(err)
	}
	node := func(operator, name, domain string) []byte {
		var n []byte
		for number, text := range map[protowire.Number]string{3: name, 4: operator, 7: domain} {
			n = protowire.AppendString(protowire.AppendTag(n, number, protowire.BytesType), text)
		}
		graph := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), n)
		return protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), graph)
	}
	nan := foreignBytes(t, []train.NamedValues{{Name: "w", Shape: []int{1, 2}, Values: []float32{1, float32(math.NaN())}}})
	newer := []byte(strings.Replace(string(whole), `"trainer.model":"1"`, `"trainer.model":"9"`, 1))
	for name, tt := range map[string]struct {
		file string
		raw  []byte
		want string
	}{
		"truncated":          {"m.safetensors", whole[:len(whole)-9], "damaged"},
		"no safetensors":     {"m.safetensors", []byte("PK\x03\x04 a zip file of another program, such as torch.save writes"), "(want a safetensors file)"},
		"a newer version":    {"m.safetensors", withoutChecksum(newer), "newer version"},
		"only counters":      {"m.safetensors", foreignBytes(t, nil), "it has no weights"},
		"NaN":                {"m.safetensors", nan, "w has the value NaN"},
		"no ONNX":            {"m.onnx", []byte("something else"), "not an ONNX file"},
		"unknown operator":   {"m.onnx", node("Einsum", "/blocks.0/attn", ""), `the operator "Einsum" of its node "/blocks.0/attn" is not supported`},
		"operator elsewhere": {"m.onnx", node("Conv", "c", "com.example"), `the operator "com.example.Conv"`},
	} {
		path := filepath.Join(t.TempDir(), tt.file)
		if err := os.WriteFile(path, tt.raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := model.OpenWeights(path); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func foreignBytes(t testing.TB, list []train.NamedValues) []byte {
	t.Helper()
	raw, err := os.ReadFile(foreign(t, list))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// withoutChecksum renames the key of the checksum, so that a changed file is not a damaged one.
func withoutChecksum(raw []byte) []byte {
	return []byte(strings.Replace(string(raw), `"crc32c"`, `"crc32x"`, 1))
}

// An ONNX file that has a matrix as [in, out] gives it the right way round.
func TestMatricesOfONNXAreTurned(t *testing.T) {
	dev := newDevice(t)
	field := func(m []byte, number protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), content)
	}
	var node, constant []byte
	for _, in := range []string{"x", "dense1.weight"} {
		node = field(node, 1, []byte(in))
	}
	node = field(node, 4, []byte("MatMul"))
	constant = field(constant, 1, []byte{3, 2}) // 3 rows, 2 columns
	constant = protowire.AppendVarint(protowire.AppendTag(constant, 2, protowire.VarintType), 1)
	var raw []byte
	values := []float32{1, 2, 3, 4, 5, 6}
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	constant = field(field(constant, 8, []byte("dense1.weight")), 9, raw)
	file := field(nil, 7, field(field(nil, 1, node), 5, constant))
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	layers := nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 2})
	net := compiled(t, dev, layers, nn.Shape{1, 1, 3}, 2)
	if _, err := opened(t, path).Apply(net, layers, []string{"x", "y"}); err != nil {
		t.Fatal(err)
	}
	if got := tensors(t, net)["dense1.weight"]; !slices.Equal(got, values) {
		t.Errorf("%v, want %v", got, values)
	}
}

func TestRename(t *testing.T) {
	dev := newDevice(t)
	list := []train.NamedValues{
		{Name: "backbone.0.weight", Shape: []int{3, 3, 1, 1}, Values: []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{Name: "backbone.0.bias", Shape: []int{3}, Values: []float32{1, 2, 3}},
		{Name: "backbone.3.weight", Shape: []int{3, 3, 1, 1}, Values: make([]float32, 9)},
		{Name: "backbone.3.b", Shape: []int{3}, Values: []float32{4, 5, 6}},
	}
	conv := nn.Conv2D{OutC: 3, Kernel: nn.Square(1)}
	layers := nn.NewSequential(conv, conv, nn.GlobalAvgPool{})
	w := opened(t, foreign(t, list))
	if err := w.Rename(map[string]string{"backbone.0": "conv2", "backbone.3": "conv1", "backbone.3.b": "conv1.bias"}); err != nil {
		t.Fatal(err)
	}
	net := compiled(t, dev, layers, nn.Shape{2, 2, 3}, 2)
	report, err := w.Apply(net, layers, numbered(3))
	if err != nil || report.Loaded != 4 || report.ByShape != 0 {
		t.Fatalf("%v, %v", report, err)
	}
	if got := tensors(t, net); !slices.Equal(got["conv2.weight"], list[0].Values) || !slices.Equal(got["conv1.bias"], list[3].Values) {
		t.Errorf("%v", got)
	}
	for from, to := range map[string]string{"backbone.7": "conv1", "backbone.0.bias": "backbone.0.weight"} {
		if err := opened(t, foreign(t, list)).Rename(map[string]string{from: to}); err == nil {
			t.Errorf("%s to %s: no error", from, to)
		}
	}
}

// A small part of an ONNX file can ask for many times its size: an entry or a dimension has two bytes.
func TestONNXFilesAreBounded(t *testing.T) {
	field := func(number protowire.Number, content ...byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
	}
	var entries, constants []byte
	for i := range 1<<17 + 1 {
		name := binary.BigEndian.AppendUint32(nil, uint32(i))
		entries = append(entries, field(14, field(1, name...)...)...)
		constants = append(constants, field(5, field(8, name...)...)...)
	}
	dimensions := append(field(1, bytes.Repeat([]byte{1}, 1000)...), 2<<3, 1) // of the type float
	for want, content := range map[string][]byte{
		"its metadata have more than 1024 entries": entries,
		"it has more than 131072 constants":        field(7, constants...),
		`its constant "" [1 1 1 1 1 1 1 1 1] has`:  field(7, field(5, dimensions...)...),
	} {
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := model.OpenWeights(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// FuzzONNXWeights: whatever an ONNX file holds, reading it ends with weights or one error.
func FuzzONNXWeights(f *testing.F) {
	dev := newDevice(f)
	m, err := model.Open(saved(f, dev, tinyInfo()), dev)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "seed.onnx")
	if err := export.ONNX(path, m, export.ONNXOptions{}); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("\x3a\x11\x0a\x0f\x1a\x05/attn\x22\x06Einsum"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := model.OpenWeights(path); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
	})
}
