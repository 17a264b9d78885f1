package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"trainer/nn/folder"
	"trainer/nn/graph"
	"trainer/nn/model"
	"trainer/nn/train"
)

// The files that PyTorch writes.
const (
	PyTorchCode    = "model.py"
	PyTorchWeights = "model_pytorch.safetensors"
)

// PyTorch writes a model to a folder: model.py, which defines the network, and its weights in the layout of PyTorch
// (convolutions OIHW, dense layers OI, flattened images in the order CHW). In Python,
//
//	import model
//	network = model.load()
//	probabilities = model.probabilities(network, pixels)   # uint8 [n, h, w, c]
func PyTorch(path string, m *model.Model) error {
	g, err := m.Graph()
	if err != nil {
		return fmt.Errorf("exporting to PyTorch: %w", err)
	}
	t := newTorchWriter(m, g)
	for _, n := range g.Nodes {
		if err := t.node(n); err != nil {
			return fmt.Errorf("exporting to PyTorch: layer %s: %w", n.Layer, err)
		}
	}
	dir, err := folder.Make(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer dir.Close()
	meta := map[string]string{"layout": "pytorch"}
	addViews(meta, m)
	if err := train.SaveTensors(filepath.Join(path, PyTorchWeights), t.tensors, meta); err != nil {
		return err
	}
	return dir.Write(PyTorchCode, []byte(t.code(g)))
}

// torchWriter collects the lines of the class.
type torchWriter struct {
	model   *model.Model
	names   map[int]string // variables that hold the values, by their numbers
	uses    map[int]int    // how often each value is used
	fresh   int            // variables so far
	module  map[string]bool
	init    []string // lines of __init__
	forward []string // lines of forward
	tensors []train.NamedValues
}

func newTorchWriter(m *model.Model, g *graph.Graph) *torchWriter {
	t := &torchWriter{model: m, names: map[int]string{0: "x"}, uses: map[int]int{}, module: map[string]bool{}}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			t.uses[v.ID]++
		}
	}
	t.uses[g.Output.ID]++
	return t
}

// assign adds a line that computes a node's output. Its variable is that of the first input if nothing else needs this.
func (t *torchWriter) assign(n graph.Node, format string, args ...any) {
	first := n.Inputs[0].ID
	name := t.names[first]
	if t.uses[first] > n.UsesOf(first) {
		t.fresh++
		name = "y" + strconv.Itoa(t.fresh)
	}
	t.names[n.Output.ID] = name
	t.forward = append(t.forward, name+" = "+fmt.Sprintf(format, args...))
}

// addModule adds a module with the node's parameters, and returns the expression that calls it.
func (t *torchWriter) addModule(n graph.Node, names []string, format string, args ...any) (string, error) {
	name := identifier(n.Layer)
	for n := 2; t.module[name]; n++ {
		name = identifier(fmt.Sprintf("%s %d", strings.TrimRight(name, "_0123456789"), n))
	}
	t.module[name] = true
	t.init = append(t.init, "self."+name+" = "+fmt.Sprintf(format, args...))
	for k, p := range n.Params {
		values, err := t.model.Tensor(p.Tensor)
		if err != nil {
			return "", err
		}
		t.tensors = append(t.tensors, train.NamedValues{Name: name + "." + names[k], Shape: p.Shape, Values: p.Convert(values)})
	}
	return "self." + name, nil
}

// identifier returns a name as an attribute in Python: letters, digits and underscores, and no digit first.
func identifier(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "layer_" + name
	}
	return name
}

// code returns the file.
func (t *torchWriter) code(g *graph.Graph) string {
	info := t.model.Info()
	images := info.Images
	c, h, w := g.Input.Shape[0], g.Input.Shape[1], g.Input.Shape[2]
	var b strings.Builder
	fmt.Fprintf(&b, `"""A network for images of %dx%d pixels and %s, exported by trainer.

    network = load()
    probabilities(network, pixels)    # pixels: uint8 [n, %d, %d, %d]

Pictures of another size are resized as for the training: %s, on the background %s.
%s"""

import os

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

CLASSES = %s
MEAN = %s
STD = %s
TEMPERATURE = %s


class Network(nn.Module):
    def __init__(self):
        super().__init__()
`, h, w, channelCount(c), h, w, c, images.Resize, images.Background, viewsLine(t.model), pythonLiteral(info.Classes), pythonLiteral(images.Mean), pythonLiteral(images.Std),
		number(cmp.Or(info.Temperature, 1)))
	for _, line := range t.init {
		fmt.Fprintf(&b, "        %s\n", line)
	}
	fmt.Fprintf(&b, `
    def forward(self, x):
        """Returns the logits [n, %d] of normalised images x, float32 [n, %d, %d, %d]."""
`, len(info.Classes), c, h, w)
	for _, line := range t.forward {
		fmt.Fprintf(&b, "        %s\n", line)
	}
	fmt.Fprintf(&b, `        return %s


def load(path=os.path.join(os.path.dirname(os.path.abspath(__file__)), %q)):
    """Returns the trained network, ready for inference."""
    network = Network()
    network.load_state_dict(safetensors.torch.load_file(path))
    return network.eval()


def normalize(pixels):
    """Returns uint8 images [n, h, w, c] as the network's input."""
    x = pixels.permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(MEAN).view(1, -1, 1, 1)
    std = torch.tensor(STD).view(1, -1, 1, 1)
    return (x - mean) / std


@torch.no_grad()
def probabilities(network, pixels):
    """Returns the probability of each of CLASSES, [n, classes], for uint8 images [n, h, w, c]."""
    return torch.softmax(network(normalize(pixels)) / TEMPERATURE, dim=1)
`, t.names[g.Output.ID], PyTorchWeights)
	return b.String()
}

// channelCount returns a number of channels as text.
func channelCount(c int) string {
	if c == 1 {
		return "1 channel"
	}
	return fmt.Sprintf("%d channels", c)
}

// viewsLine returns the line of the module's text about the views of its recipe, or "".
func viewsLine(m *model.Model) string {
	if note := viewsNote(m); note != "" {
		return "Views: " + note + ".\n"
	}
	return ""
}

// pythonLiteral returns a list as Python writes it, which is JSON for numbers and texts.
func pythonLiteral(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("export: " + err.Error()) // a list of texts or of finite numbers can be written
	}
	return strings.ReplaceAll(string(text), ",", ", ")
}
