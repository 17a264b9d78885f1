// Command cases writes trained networks for the check of exports: cases FOLDER makes a folder for each case with
//
//	model.onnx           pixels to probabilities
//	normalized.onnx      the same network for normalised images
//	fp16.onnx, int8.onnx the network in other precisions
//	pytorch/             model.py and its weights
//	pixels.bin           uint8 [n, h, w, c], images
//	answers.bin          float32 [n, classes], the probabilities that this project computes for them
//	<name>.logits.bin    float32 [n, classes], the logits that it computes for <name>.onnx, with the file's rounding
//	case.json            n, h, w, c, classes
//
// The cases are all built-in recipes, and networks that together have every layer with its settings. Weights and running
// statistics are random, so that no two channels are alike.
package main

import (
	"encoding/json"
	"fmt"
	"image/color"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/export"
	"trainer/nn/model"
	"trainer/nn/recipe"
)

const images = 5 // per case

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cases FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	dev, err := cpu.New()
	if err != nil {
		return err
	}
	defer dev.Close()
	for _, name := range recipe.Names() {
		r, err := recipe.Load(name)
		if err != nil {
			return err
		}
		shape := r.ImageShape()
		if shape == nil {
			shape = nn.Shape{64, 64, 3}
		}
		if err := write(dev, filepath.Join(folder, name), r.Model(10), shape, 10); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return writeLayers(dev, folder)
}

// writeLayers writes a case for each layer of the networks in layers, and fails if a kind of layer is in none.
func writeLayers(dev device.Device, folder string) error {
	seen := map[string]bool{"conv2d": true, "flatten": true, "dense": true} // in every case
	for name, l := range layers() {
		seen[l.Kind()] = true
		network := nn.NewSequential(nn.Conv2D{OutC: 8, Kernel: nn.Square(3), Padding: nn.Square(1)}, nn.Named("layer", l), nn.Flatten{}, nn.Dense{Out: 4})
		if err := write(dev, filepath.Join(folder, "layer-"+name), network, nn.Shape{11, 9, 3}, 4); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, network := range networks() {
		if err := write(dev, filepath.Join(folder, "network-"+name), network, nn.Shape{11, 9, 3}, 4); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, k := range nn.LayerKinds() {
		if !seen[k.Name] {
			return fmt.Errorf("no case has the layer %s: add it to layers", k.Name)
		}
	}
	return nil
}

// layers returns layers for an image of 11x9x8.
func layers() map[string]nn.Layer {
	return map[string]nn.Layer{
		"conv-stride":            nn.Conv2D{OutC: 6, Kernel: nn.Pair{H: 3, W: 2}, Stride: nn.Pair{H: 2, W: 1}, Padding: nn.Pair{H: 1, W: 0}},
		"conv-groups":            nn.Conv2D{OutC: 12, Kernel: nn.Square(3), Groups: 4, NoBias: true},
		"conv-dilation":          nn.Conv2D{OutC: 5, Kernel: nn.Square(3), Dilation: nn.Pair{H: 2, W: 1}, Same: true},
		"conv-depthwise":         nn.Conv2D{OutC: 8, Kernel: nn.Square(3), Groups: 8, Same: true},
		"conv-same-upper":        nn.Conv2D{OutC: 5, Kernel: nn.Square(3), Stride: nn.Pair{H: 2, W: 4}, SameUpper: true},
		"conv-transpose":         nn.ConvTranspose2D{OutC: 6, Kernel: nn.Pair{H: 3, W: 2}, Stride: nn.Square(2), Padding: nn.Pair{H: 1, W: 0}, OutputPadding: nn.Square(1), Groups: 2},
		"conv-transpose-dilated": nn.ConvTranspose2D{OutC: 3, Kernel: nn.Square(3), Dilation: nn.Square(2), NoBias: true},
		"max-pool-same-lower":    nn.MaxPool2D{Kernel: nn.Square(2), Stride: nn.Square(1), SameLower: true},
		"max-pool-dilated":       nn.MaxPool2D{Kernel: nn.Square(2), Stride: nn.Square(2), Dilation: nn.Pair{H: 3, W: 2}, CeilMode: true},
		"avg-pool-ceil":          nn.AvgPool2D{Kernel: nn.Square(3), Stride: nn.Square(3), Padding: nn.Square(1), CeilMode: true},
		"avg-pool-unequal":       nn.AvgPool2D{Kernel: nn.Square(2), SameUpper: true},
		"max-pool":               nn.MaxPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)},
		"avg-pool":               nn.AvgPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)},
		"avg-pool-exclude":       nn.AvgPool2D{Kernel: nn.Square(3), Padding: nn.Square(1), ExcludePadding: true},
		"global-avg-pool":        nn.GlobalAvgPool{},
		"global-max-pool":        nn.GlobalMaxPool{},
		"batch-norm":             nn.BatchNorm{},
		"layer-norm":             nn.LayerNorm{},
		"group-norm":             nn.GroupNorm{Groups: 4},
		"relu":                   nn.ReLU{}, "leaky-relu": nn.LeakyReLU{Slope: .2}, "gelu": nn.GELU{}, "gelu-tanh": nn.GELU{Tanh: true},
		"sigmoid": nn.Sigmoid{}, "tanh": nn.Tanh{}, "silu": nn.SiLU{}, "hard-swish": nn.HardSwish{}, "elu": nn.ELU{Alpha: .7},
		"softplus": nn.Softplus{}, "mish": nn.Mish{}, "prelu": nn.PReLU{}, "prelu-shared": nn.PReLU{Shared: true},
		"up-sample": nn.UpSample{Factor: 2}, "dropout": nn.Dropout{Rate: .5}, "scale": nn.Scale{By: .3},
		"channel-scale": nn.ChannelScale{Reduction: 2},
		"residual":      nn.Residual{Body: nn.NewSequential(nn.Conv2D{OutC: 8, Kernel: nn.Square(3), Same: true}, nn.SiLU{})},
		"residual-shortcut": nn.Residual{
			Body:     nn.NewSequential(nn.Conv2D{OutC: 6, Kernel: nn.Square(1)}, nn.BatchNorm{}),
			Shortcut: nn.NewSequential(nn.Conv2D{OutC: 6, Kernel: nn.Square(1), NoBias: true}),
		},
		"concat": nn.Concat{Branches: []nn.Layer{nn.NewSequential(nn.Conv2D{OutC: 3, Kernel: nn.Square(3), Same: true}), nn.NewSequential()}},
	}
}

// networks returns networks whose vectors, flattened images among them, go through more than dense layers.
func networks() map[string]nn.Layer {
	return map[string]nn.Layer{
		"vectors": nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.Flatten{}, nn.BatchNorm{}, nn.PReLU{}, nn.Dropout{Rate: .1},
			nn.Dense{Out: 12, NoBias: true}, nn.BatchNorm{}, nn.LayerNorm{}, nn.ReLU{}, nn.GroupNorm{Groups: 3}, nn.Dense{Out: 4}),
		"no-flatten": nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.GlobalAvgPool{}, nn.Flatten{}, nn.Dense{Out: 4}),
	}
}

// write writes a case.
func write(dev device.Device, folder string, network nn.Layer, shape nn.Shape, classes int) error {
	random := rand.New(rand.NewPCG(1, 2))
	net, err := nn.Compile(dev, network, nn.Options{Input: shape, Batch: images, Sample: func(int) ([]float32, nn.Shape, error) {
		return normal(random, 8*shape.Len()), shape, nil
	}})
	if err != nil {
		return err
	}
	if err := randomize(net, random); err != nil {
		return err
	}
	info := model.Info{Images: model.ImagesOf(data.Preparation{H: shape[0], W: shape[1], C: shape[2], Background: color.NRGBA{A: 255}}, nil, nil), Temperature: 1.5}
	for range shape[2] {
		info.Images.Mean = append(info.Images.Mean, .3+.3*random.Float32())
		info.Images.Std = append(info.Images.Std, .2+.1*random.Float32())
	}
	for k := range classes {
		info.Classes = append(info.Classes, fmt.Sprintf("class %d", k))
	}
	path := filepath.Join(folder, model.FileName)
	if err := model.Save(path, net, info); err != nil {
		return err
	}
	m, err := model.Open(path, dev, model.WithNetwork(network), model.WithBatch(images))
	if err != nil {
		return err
	}
	if err := export.PyTorch(filepath.Join(folder, "pytorch"), m); err != nil {
		return err
	}
	return writeONNX(folder, m, random)
}

// writeONNX writes the ONNX files, and the answers that this project computes for them.
func writeONNX(folder string, m *model.Model, random *rand.Rand) error {
	pixels := make([]byte, images*m.Info().Images.Preparation().Len())
	for i := range pixels {
		pixels[i] = byte(random.IntN(256))
	}
	if err := writeAnswers(folder, m, pixels); err != nil {
		return err
	}
	for name, o := range map[string]export.ONNXOptions{
		"model": {}, "normalized": {Normalized: true}, "fp16": {Precision: export.Float16}, "int8": {Precision: export.Int8, Calibration: pixels},
	} {
		f, err := export.NewONNXFile(m, o)
		if err != nil {
			return err
		}
		if err := f.Save(filepath.Join(folder, name+".onnx")); err != nil {
			return err
		}
		logits, err := f.Logits(pixels)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name+".logits.bin"), device.Bytes(logits), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// randomize gives all tensors random values: weights as they were initialised, and everything else near 1 or 0.
func randomize(net *nn.Network, random *rand.Rand) error {
	for _, p := range net.Tensors() {
		if p.Role == nn.Weight {
			continue
		}
		values := normal(random, p.Value.Len())
		for i, v := range values {
			if values[i] = 1 + v/4; p.Role == nn.Bias || strings.HasSuffix(p.Name, "mean") {
				values[i] = v / 4
			} else if values[i] < .2 {
				values[i] = .2
			}
		}
		if err := net.Device().Upload(p.Value, device.Bytes(values)); err != nil {
			return err
		}
	}
	return nil
}

func normal(random *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	return x
}

// writeAnswers writes images and what the model answers.
func writeAnswers(folder string, m *model.Model, pixels []byte) error {
	im := m.Info().Images
	probabilities, err := m.Probabilities(pixels)
	if err != nil {
		return err
	}
	answers := make([]float32, len(probabilities))
	for i, p := range probabilities {
		answers[i] = float32(p)
	}
	description, err := json.Marshal(map[string]any{
		"n": images, "h": im.Height, "w": im.Width, "c": im.Channels, "classes": len(m.Info().Classes), "mean": im.Mean, "std": im.Std,
	})
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"pixels.bin": pixels, "answers.bin": slices.Clone(device.Bytes(answers)), "case.json": description} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
