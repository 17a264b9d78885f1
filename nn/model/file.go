package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// FileName is the name of a model's file in a run's folder, and BestName that of the file with the weights of the best
// epoch so far.
const (
	FileName = "model.safetensors"
	BestName = "best.safetensors"
)

// The files of a run of an older version of the program, which hold a model together.
const (
	oldWeights = "weights.safetensors"
	oldConfig  = "config.toml"
)

// ErrNoModel is a safetensors or ONNX file without the metadata of a model.
var ErrNoModel = errors.New("it is not a model of this program: its metadata has no trainer.model")

// Error reports a file that can't be used as a model.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func errorf(path, format string, args ...any) error {
	return &Error{Path: path, Err: fmt.Errorf(format, args...)}
}

// Save writes a network's weights and its description to path. Afterwards the file is complete or, after an error,
// unchanged.
func Save(path string, net *nn.Network, info Info) error {
	meta, err := info.describe(net)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return train.SaveWeights(path, net, meta)
}

// SaveIn is Save for a file in an open folder.
func SaveIn(root *os.Root, name string, net *nn.Network, info Info) error {
	meta, err := info.describe(net)
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(root.Name(), name), err)
	}
	return train.SaveWeightsIn(root, name, net, meta)
}

// Copy copies a network's weights, and returns a function that writes the file that SaveIn would have written now.
func Copy(net *nn.Network, info Info) (saveIn func(root *os.Root, name string) error, err error) {
	meta, err := info.describe(net)
	if err != nil {
		return nil, err
	}
	weights, err := train.CopyWeights(net)
	if err != nil {
		return nil, err
	}
	return func(root *os.Root, name string) error { return train.SaveTensorsIn(root, name, weights, meta) }, nil
}

// describe returns the metadata of a network's file.
func (i *Info) describe(net *nn.Network) (map[string]string, error) {
	if n := net.Classes(); n != len(i.Classes) {
		return nil, fmt.Errorf("%d classes for a network of %d outputs", len(i.Classes), n)
	}
	return i.metadata(layoutOf(net))
}

// Files returns the names that a model's file can have in a run's folder, the present one first.
func Files() []string { return []string{FileName, oldWeights} }

// Locate returns the file of the weights in a model's path, which is a file, also one that was exported to ONNX, or a run's
// folder.
func Locate(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("reading the model: %w", err)
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, name := range Files() {
		file := filepath.Join(path, name)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", errorf(path, "the folder has no model: want a run's folder with %s", FileName)
}

// ReadInfo reads the description of a model, a file or a run's folder, without its weights. kinds are the kinds that the
// recipe of an older run may name.
func ReadInfo(path string, kinds recipe.Kinds) (*Info, error) {
	file, err := Locate(path)
	if err != nil {
		return nil, err
	}
	meta, err := metadataOf(file)
	if err != nil {
		return nil, err
	}
	info, err := readInfo(meta)
	if errors.Is(err, ErrNoModel) && filepath.Base(file) == oldWeights {
		return readOld(file, meta, kinds)
	}
	if err != nil {
		return nil, &Error{file, err}
	}
	return info, nil
}

// isONNX reports whether a path is that of an ONNX file.
func isONNX(path string) bool { return filepath.Ext(path) == ".onnx" }

// metadataOf returns the metadata of a safetensors or an ONNX file.
func metadataOf(file string) (map[string]string, error) {
	if !isONNX(file) {
		return train.WeightsMetadata(file)
	}
	f, err := readONNX(file)
	if err != nil {
		return nil, err
	}
	return f.metadata, nil
}

// loadWeights gives the network of a model the weights in its file.
func loadWeights(file string, network nn.Layer, net *nn.Network) error {
	if !isONNX(file) {
		return train.LoadWeights(file, net)
	}
	f, err := readONNX(file)
	if err != nil {
		return err
	}
	g, err := nn.GraphOf(network, net.Input())
	if err != nil {
		return &Error{file, err}
	}
	return f.load(file, net, g)
}

// readOld describes the weights of a run that wrote no model file, by the configuration beside them.
func readOld(file string, meta map[string]string, kinds recipe.Kinds) (*Info, error) {
	r, err := kinds.Load(filepath.Join(filepath.Dir(file), oldConfig))
	if err != nil {
		return nil, err
	}
	shape := r.ImageShape()
	dataSet := meta["data"]
	for _, set := range kinds.DataSets {
		if set.Name == dataSet && set.ImageShape != [3]int{} {
			shape = set.ImageShape[:]
		}
	}
	if len(shape) != 3 {
		return nil, errorf(file, "its run's configuration doesn't say how large the images are: train it again, or add data.size to %s", oldConfig)
	}
	mean, std := r.Augment.Mean, r.Augment.Std
	p := data.Preparation{
		H: shape[0], W: shape[1], C: shape[2], Resize: r.Pictures.Resize,
		Background: r.Pictures.Background, IgnoreOrientation: r.Pictures.IgnoreOrientation,
	}
	text, err := r.TOML()
	if err != nil {
		return nil, err
	}
	info := &Info{
		Recipe: string(text), Classes: strings.Split(meta["classes"], ", "), Images: ImagesOf(p, mean, std),
		Run: Run{Data: dataSet, Recipe: r.Name, Weights: "last"},
	}
	if err := info.check(); err != nil {
		return nil, &Error{file, err}
	}
	return info, nil
}
