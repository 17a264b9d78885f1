package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"trainer/nn/bounded"
	"trainer/nn/train"
)

// Weights are the tensors of a file, with which the training of another network can begin: see Weights.Apply. The file may
// be a model of this program (model.safetensors, a run's folder, or the ONNX file that it was exported to), or hold the
// weights of another program's network: a PyTorch state dict in safetensors, or an ONNX file.
type Weights struct {
	path    string
	sha256  string
	info    *Info // nil unless the file describes itself as a model
	classes []string
	// foreign says that the tensors have PyTorch's layout (convolutions OIHW, dense layers OI), as ONNX files have.
	foreign bool
	tensors []weight // sorted by name
}

// weight is a tensor of a file.
type weight struct {
	name   string
	shape  []int
	values []float32
}

// OpenWeights reads the weights of a file, or of a run's folder. The error is train.ErrDamaged for a damaged file, and an
// *Error for a file that holds no weights.
func OpenWeights(path string) (*Weights, error) {
	file, err := Locate(path)
	if err != nil {
		return nil, err
	}
	w := &Weights{path: path}
	if w.sha256, err = checksum(file); err != nil {
		return nil, fmt.Errorf("reading the weights: %w", err)
	}
	if isONNX(file) {
		err = w.readONNX(file)
	} else {
		err = w.readSafetensors(file)
	}
	if err != nil {
		return nil, err
	}
	if len(w.tensors) == 0 {
		return nil, errorf(file, "it has no weights: none of its tensors has floating-point numbers")
	}
	if err := w.checkFinite(); err != nil {
		return nil, &Error{file, err}
	}
	return w, nil
}

// readSafetensors reads a safetensors file. Files of this program have the metadata precision, with which train.SaveWeights
// and checkpoints are written.
func (w *Weights) readSafetensors(file string) error {
	list, meta, err := train.ReadTensors(file)
	if errors.Is(err, train.ErrDamaged) {
		return fmt.Errorf("%w (want a safetensors file)", err)
	}
	if err != nil {
		return err
	}
	if err := w.describe(file, meta); err != nil {
		return err
	}
	_, own := meta["precision"]
	w.foreign = !own && w.info == nil
	for _, t := range list {
		if own && (strings.HasPrefix(t.Name, "optimizer/") || t.Name == "loss_scaling") { // of a checkpoint
			continue
		}
		w.tensors = append(w.tensors, weight{t.Name, t.Shape, t.Values})
	}
	return nil
}

// describe reads the description of a model from metadata, if there is one.
func (w *Weights) describe(file string, meta map[string]string) error {
	info, err := readInfo(meta)
	switch {
	case errors.Is(err, ErrNoModel):
		if old, ok := meta["classes"]; ok { // of a run of an older version
			w.classes = strings.Split(old, ", ")
		}
		return nil
	case err != nil:
		return &Error{file, err}
	}
	w.info, w.classes = info, info.Classes
	return nil
}

// checkFinite returns an error if a weight is NaN or infinite.
func (w *Weights) checkFinite() error {
	for _, t := range w.tensors {
		for _, v := range t.values {
			if v-v != 0 {
				return fmt.Errorf("%s has the value %v", t.name, v)
			}
		}
	}
	return nil
}

// checksum returns the SHA-256 of a file.
func checksum(path string) (string, error) {
	f, err := bounded.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// SHA256 returns the file's SHA-256 in hexadecimal digits.
func (w *Weights) SHA256() string { return w.sha256 }

// Path returns the path that was opened.
func (w *Weights) Path() string { return w.path }

// Info returns the model's description, or nil if the file has none.
func (w *Weights) Info() *Info { return w.info }
