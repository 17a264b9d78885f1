package export_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/export"
	"trainer/nn/model"
	"trainer/nn/recipe"
)

// opened returns a model of a network with random weights, as it is read from a file.
func opened(t *testing.T, network nn.Layer, shape nn.Shape, change func(net *nn.Network)) *model.Model {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	net, err := nn.Compile(dev, network, nn.Options{Input: shape, Batch: 2, Sample: func(int) ([]float32, nn.Shape, error) {
		x := make([]float32, 8*shape.Len())
		nn.InitContext{Stream: device.StreamInit}.Normal(x, 1)
		return x, shape, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(net)
	}
	info := model.Info{Images: model.ImagesOf(data.Preparation{H: shape[0], W: shape[1], C: shape[2]}, make([]float32, shape[2]), slices.Repeat([]float32{.3}, shape[2]))}
	for k := range net.Classes() {
		info.Classes = append(info.Classes, string(rune('a'+k)))
	}
	path := filepath.Join(t.TempDir(), model.FileName)
	if err := model.Save(path, net, info); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(path, dev, model.WithNetwork(network), model.WithBatch(2))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// images returns n images of bytes.
func images(n int, m *model.Model) []byte {
	pixels := make([]byte, n*m.Info().Images.Preparation().Len())
	for i := range pixels {
		pixels[i] = byte(127 + 120*math.Sin(float64(i)/7))
	}
	return pixels
}

// The description of every recipe's network, which is what is exported, computes what the network computes, and in lower
// precisions about the same. bench/export compares with other programs, and has every layer.
func TestFilesComputeTheNetwork(t *testing.T) {
	for _, name := range recipe.NamesForDataSets() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "mnist" && name != "airbench94" {
				t.Skip("short")
			}
			r, err := recipe.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			m := opened(t, r.Model(10), r.ImageShape(), nil)
			pixels := images(3, m)
			want, err := m.Logits(pixels)
			if err != nil {
				t.Fatal(err)
			}
			scale := float64(max(slices.Max(want), -slices.Min(want)))
			for precision, tolerance := range map[export.Precision]float64{export.Float32: 1e-5, export.Float16: 1e-2, export.Int8: 0.3} {
				f, err := export.NewONNXFile(m, export.ONNXOptions{Precision: precision, Calibration: pixels})
				if err != nil {
					t.Fatal(err)
				}
				got, err := f.Logits(pixels)
				if err != nil || len(got) != len(want) {
					t.Fatalf("%s: %d logits, %v", precision, len(got), err)
				}
				worst := 0.
				for i := range want {
					worst = max(worst, math.Abs(float64(got[i]-want[i])))
				}
				if worst > tolerance*scale || precision != export.Float32 && worst == 0 {
					t.Errorf("%s: a logit of at most %v differs by %v", precision, scale, worst)
				}
			}
		})
	}
}

func TestRoundedFilesRefuse(t *testing.T) {
	network := nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(3)}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 3})
	first := func(value float32) func(net *nn.Network) {
		return func(net *nn.Network) {
			p := net.Params()[0].Value
			x := make([]float32, p.Len())
			x[1] = value
			if err := net.Device().Upload(p, device.Bytes(x)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		value     float32
		precision export.Precision
		images    int
		want      string
	}{
		{1, export.Int8, 0, "int8 needs images"},
		{1, "fp8", 1, `unknown precision "fp8"`},
		{70000, export.Float16, 1, "layer conv1: conv1.weight has the value 70000, and fp16 ends at 65504: export in fp32 or int8"},
		{float32(math.NaN()), export.Float16, 1, "the tensor conv1.weight has the value NaN"},
		{float32(math.Inf(1)), export.Int8, 1, "the tensor conv1.weight has the value +Inf"},
		{3e38, export.Int8, 1, "values that are not finite"},
	} {
		m := opened(t, network, nn.Shape{6, 5, 1}, first(tt.value))
		_, err := export.NewONNXFile(m, export.ONNXOptions{Precision: tt.precision, Calibration: images(tt.images, m)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v in %s: %v, want %q", tt.value, tt.precision, err, tt.want)
		}
	}
}
